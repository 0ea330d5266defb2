/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs: affinity is obeyed at once and always (B16), under load; all CPUs are
 * used; threads of one CPU share it; a wakeup reaches another CPU soon (B29).
 *
 * test: timeout=90
 * test: name=b16 flavour=debug smp=2,4 append="fp=steal-between-count-and-lock:200"
 * test: name=move flavour=debug smp=2,4 append="fp=migrate-between-locks:200,picked-before-clear-resched:100"
 * test: name=b29 flavour=debug smp=2,4 append="fp=woken-while-RUNNING:50"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static int cpus[CPU_MAX], n_cpus;
static atomic_int stop, go;
static atomic_llong work[CPU_MAX * 2];

static int
here(void)
{
	unsigned cpu = 999;

	syscall(SYS_getcpu, &cpu, NULL, NULL);
	return (int)cpu;
}

static void *
load(void *arg)
{
	while (atomic_load(&stop) == 0)
		if ((long)arg & 1)
			sched_yield();
	return NULL;
}

static void *
wander(void *arg)
{
	struct timespec ts = { 0, 100000 };
	long i, k, bad = 0;

	for (i = 0; i < 3 * n_cpus; i++) {
		int cpu = cpus[(i + (long)arg) % n_cpus];

		if (pin_cpu(cpu) != 0)
			return (void *)999;
		for (k = 0; k < 20; k++) {
			bad += here() != cpu;
			if (k % 5 == 0)
				futex(&go, FUT_WAIT, 0, &ts, NULL, 0);
			else if (k % 5 == 1)
				sched_yield();
		}
	}
	return (void *)bad;
}

static void
test_b16(void)
{
	pthread_t t[8], l[4];
	long i, bad = 0;
	void *ret;

	for (i = 0; i < 4; i++)
		pthread_create(&l[i], NULL, load, (void *)i);
	for (i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, wander, (void *)i);
	for (i = 0; i < 8; i++) {
		pthread_join(t[i], &ret);
		bad += (long)ret;
	}
	atomic_store(&stop, 1);
	for (i = 0; i < 4; i++)
		pthread_join(l[i], NULL);
	is_int(bad, 0, "B16: eight threads pinned to each CPU in turn never run elsewhere");
}

static void *
inherit(void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	return (void *)(long)(CPU_COUNT(&set) == 1 && CPU_ISSET((int)(long)arg, &set) &&
	    here() == (int)(long)arg);
}

static int
inherit_child(void *arg)
{
	return inherit(arg) != NULL ? 0 : 1;
}

static void
test_calls(void)
{
	cpu_set_t set;
	pthread_t t;
	void *ret;
	int last = cpus[n_cpus - 1];

	CPU_ZERO(&set);
	ok(syscall(SYS_sched_getaffinity, 0, sizeof(set), &set) > 0, "sched_getaffinity");
	is_int(CPU_COUNT(&set), n_cpus, "every CPU is allowed at first");
	is_err(sched_getaffinity(0, 4, &set), EINVAL, "a set of 4 bytes: EINVAL");
	is_err(sched_getaffinity(0x0fffffff, sizeof(set), &set), ESRCH, "nobody: ESRCH");
	is_err(sched_setaffinity(0x0fffffff, sizeof(set), &set), ESRCH, "set for nobody: ESRCH");
	CPU_ZERO(&set);
	is_err(sched_setaffinity(0, sizeof(set), &set), EINVAL, "an empty set: EINVAL");
	CPU_SET(CPU_SETSIZE - 1, &set);
	is_err(sched_setaffinity(0, sizeof(set), &set), EINVAL, "only absent CPUs: EINVAL");
	is_int(pin_cpu(last), 0, "pin to the last CPU");
	is_int(here(), last, "we are there");
	is_int(sched_getcpu(), last, "sched_getcpu agrees");
	pthread_create(&t, NULL, inherit, (void *)(long)last);
	pthread_join(t, &ret);
	ok(ret != NULL, "a new thread inherits the set");
	is_exit(run_child(inherit_child, (void *)(long)last), 0, "so does a child");
	is_int(unpin_cpu(), 0, "unpin");
	is_int(sched_yield(), 0, "yield");
}

/* --- another thread is moved while it runs, sleeps and waits for a CPU ----------------------- */
static atomic_int tid, where;

static void *
moved(void *arg)
{
	struct timespec ts = { 0, 200000 };

	word_add(&tid, gettid());
	while (atomic_load(&stop) == 0) {
		atomic_store(&where, here());
		if (arg != NULL)
			futex(&stop, FUT_WAIT, 0, &ts, NULL, 0);
	}
	return NULL;
}

static void
test_move(int sleeps)
{
	int i, k, bad = 0;
	cpu_set_t set;
	pthread_t t;

	atomic_store(&stop, 0);
	atomic_store(&tid, 0);
	atomic_store(&where, -1);
	pthread_create(&t, NULL, moved, sleeps ? &t : NULL);
	word_wait(&tid, 1);
	for (i = 0; i < 3 * n_cpus; i++) {
		CPU_ZERO(&set);
		CPU_SET(cpus[i % n_cpus], &set);
		bad += sched_setaffinity(atomic_load(&tid), sizeof(set), &set) != 0;
		for (k = 0; k < 20000 && atomic_load(&where) != cpus[i % n_cpus]; k++)
			sleep_ms(1);
		bad += k == 20000;
	}
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	is_int(bad, 0,
	    sleeps ? "a sleeping thread is moved from CPU to CPU"
		   : "a spinning thread is moved from CPU to CPU");
}

static void *
spin(void *arg)
{
	if (arg != NULL)
		pin_cpu(cpus[0]);
	while (atomic_load(&go) == 0)
		sched_yield();
	while (atomic_load(&stop) == 0)
		atomic_fetch_add(&work[(long)arg], 1);
	return NULL;
}

static void
test_fair(void)
{
	pthread_t t[5];
	long i, starved = 4;

	atomic_store(&stop, 0);
	for (i = 1; i <= 4; i++)
		pthread_create(&t[i], NULL, spin, (void *)i);
	atomic_store(&go, 1);
	for (int ms = 0; ms < 20000 && starved != 0; ms += 20) {
		sleep_ms(20);
		for (i = 1, starved = 0; i <= 4; i++)
			starved += atomic_load(&work[i]) == 0;
	}
	atomic_store(&stop, 1);
	for (i = 1; i <= 4; i++)
		pthread_join(t[i], NULL);
	is_int(starved, 0, "four spinning threads on one CPU all get on");
}

static void *
note_cpu(void *arg)
{
	long long end = now_ns() + 70000 * 1000000LL;

	(void)arg;
	/* Stay busy until every CPU was seen, so that idle ones must take some of us. */
	while (now_ns() < end && atomic_load(&stop) == 0)
		atomic_fetch_or(&where, 1 << (here() & 31));
	return NULL;
}

static void
test_spread(void)
{
	pthread_t t[CPU_MAX];
	int i, all = 0;

	atomic_store(&stop, 0);
	atomic_store(&where, 0);
	for (i = 0; i < n_cpus; i++)
		all |= 1 << (cpus[i] & 31);
	for (i = 0; i < n_cpus; i++)
		pthread_create(&t[i], NULL, note_cpu, NULL);
	for (i = 0; i < 60000 && atomic_load(&where) != all; i++)
		sleep_ms(1);
	atomic_store(&stop, 1);
	ok(atomic_load(&where) == all, "as many threads as CPUs use every CPU");
	for (i = 0; i < n_cpus; i++)
		pthread_join(t[i], NULL);
}

/* --- B29 ---------------------------------------------------------------------------------------- */
#define TURNS 120
static atomic_int ball;

static void *
player(void *arg)
{
	long me = (long)arg, i, slow = 0;
	long long t0;

	pin_cpu(cpus[me % n_cpus]);
	for (i = 0; i < TURNS; i++) {
		t0 = now_ns();
		while (atomic_load(&ball) % 2 != me)
			futex(&ball, FUT_WAIT, (int)(1 - me) + (atomic_load(&ball) & ~1), NULL,
			    NULL, 0);
		slow += now_ns() - t0 > 20000000000LL;
		word_add(&ball, 1);
	}
	return (void *)slow;
}

static void
test_b29(void)
{
	pthread_t t[2];
	void *a, *b;

	pthread_create(&t[0], NULL, player, (void *)0L);
	pthread_create(&t[1], NULL, player, (void *)1L);
	pthread_join(t[0], &a);
	pthread_join(t[1], &b);
	is_int(atomic_load(&ball), 2 * TURNS, "B29: ping-pong between two CPUs");
	is_int((long)a + (long)b, 0, "no turn is late");
}

int
main(void)
{
	n_cpus = cpu_list(cpus, CPU_MAX);
	test_calls();
	test_b16();
	test_move(0);
	test_move(1);
	test_fair();
	test_spread();
	test_b29();
	return tap_done();
}
