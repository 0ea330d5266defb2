/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B29: a CPU must not overlook a wakeup.  Pairs of threads hand a word to and
 * fro, on two CPUs, on one, and wherever they like beside a load.  B18: a
 * woken sleeper runs soon although others burn time.  The limit is wide, for
 * the machine may be a slow emulation: a lost wakeup takes for ever.
 *
 * test: timeout=60
 * test: name=b29 smp=2,4 append="fp=sleep-queued-not-switched:200,woken-while-RUNNING:200" args="120" host=no
 * test: name=switch smp=2,4 append="fp=switch-before-clear-RUNNING:200,steal-between-count-and-lock:200" args="120" host=no
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define PAIRS    4
#define LIMIT_NS 15000000000LL

struct pair {
	atomic_int p_turn; /* even: the first thread's; moved by one at each hand-over */
	atomic_int p_late; /* a wait took longer than the limit */
	int p_cpu[2];      /* -1: anywhere */
	long p_rounds;
	long long p_max;
};

static atomic_int burn_stop;
static struct pair pairs[PAIRS];

struct side {
	struct pair *s_pair;
	int s_which;
};

static void *
player(void *arg)
{
	struct side *s = arg;
	struct pair *p = s->s_pair;
	long long t0, t;
	long i;
	int turn;

	if (p->p_cpu[s->s_which] >= 0)
		pin_cpu(p->p_cpu[s->s_which]);
	for (i = 0; i < p->p_rounds; i++) {
		turn = (int)(2 * i) + s->s_which;
		t0 = now_ns();
		if (!word_wait_ms(&p->p_turn, turn, 60000)) {
			atomic_fetch_add(&p->p_late, 1000000);
			return NULL;
		}
		t = now_ns() - t0;
		if (t > LIMIT_NS)
			atomic_fetch_add(&p->p_late, 1);
		if (s->s_which == 0 && t > p->p_max)
			p->p_max = t;
		word_add(&p->p_turn, 1);
	}
	return NULL;
}

static void *
burner(void *arg)
{
	(void)arg;
	while (!atomic_load(&burn_stop))
		;
	return NULL;
}

static void
test_pairs(int n, long rounds, int cpu0, int cpu1, const char *what)
{
	struct side side[PAIRS][2];
	pthread_t t[PAIRS][2];
	long long max = 0;
	int i, k, late = 0;
	long turns = 0;

	for (i = 0; i < n; i++) {
		pairs[i] = (struct pair){ .p_cpu = { cpu0, cpu1 }, .p_rounds = rounds };
		for (k = 0; k < 2; k++) {
			side[i][k] = (struct side){ &pairs[i], k };
			pthread_create(&t[i][k], NULL, player, &side[i][k]);
		}
	}
	for (i = 0; i < n; i++) {
		for (k = 0; k < 2; k++)
			pthread_join(t[i][k], NULL);
		late += atomic_load(&pairs[i].p_late);
		turns += atomic_load(&pairs[i].p_turn);
		if (pairs[i].p_max > max)
			max = pairs[i].p_max;
	}
	diag("%s: the longest wait took %lld us", what, max / 1000);
	is_int(late, 0, "B18, B29: %s: no wakeup is late", what);
	is_int(turns, 2 * n * rounds, "%s: the word was handed over each time", what);
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 200);
	int cpu[CPU_MAX], ncpus;
	pthread_t burn[CPU_MAX];

	rng_arg(argc, argv);
	ncpus = cpu_list(cpu, CPU_MAX);
	test_pairs(1, n, cpu[0], cpu[ncpus - 1], "two CPUs");
	test_pairs(1, n, cpu[ncpus - 1], cpu[0], "the other way round");
	test_pairs(1, n, cpu[0], cpu[0], "one CPU");
	test_pairs(PAIRS, n / PAIRS, -1, -1, "four pairs anywhere");
	for (i = 0; i < ncpus; i++)
		pthread_create(&burn[i], NULL, burner, NULL);
	test_pairs(1, n / 20, cpu[0], cpu[ncpus - 1], "beside a load");
	atomic_store(&burn_stop, 1);
	for (i = 0; i < ncpus; i++)
		pthread_join(burn[i], NULL);
	return tap_done();
}
