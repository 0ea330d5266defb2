/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads that come and go: bare and detached ones, from several creators.
 * B24 (two detached corpses, one lost), B45 (ended threads kept: memory must
 * stay flat), B3 and B46 (stack reused before its owner left it).
 *
 * test: timeout=90 args="160"
 * test: name=b24 smp=2,4 append="fp=zombie-before-switch:200" args="80" timeout=90 host=no
 * test: name=b45 smp=2,4 append="fp=free-after-IDL-before-id:200" args="80" timeout=90 host=no
 * test: name=b3 smp=2,4 append="fp=switch-before-clear-RUNNING:200" args="80" timeout=90 host=no
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define CREATORS 4
#define POOL     4
#define STK      8192
#define PASSES   6
#define SLACK    (256 << 10)

static long per_creator;
static atomic_int ran, detached_ran;

/* The thread fills its own stack with its mark and finds it again. */
static int
bare(void *arg)
{
	volatile long mark[64];
	int i, bad = 0;

	for (i = 0; i < 64; i++)
		mark[i] = (long)arg + i;
	thr_spin((unsigned)(long)arg % 64);
	for (i = 0; i < 64; i++)
		bad |= mark[i] != (long)arg + i;
	atomic_fetch_add(&ran, bad ? 1 << 20 : 1);
	return 0;
}

static long
create_many(long n)
{
	char *stk = private_mem(POOL * STK);
	static atomic_int tids[CREATORS][POOL];
	static atomic_int next;
	atomic_int *tid = tids[atomic_fetch_add(&next, 1) % CREATORS];
	long i, failed = 0;
	int k;

	for (i = 0; i < n; i++) {
		k = (int)(i % POOL);
		thr_join(&tid[k]);
		failed += thr_start(stk + (k + 1) * STK, bare, (void *)i, &tid[k]) < 0;
	}
	for (k = 0; k < POOL; k++)
		thr_join(&tid[k]);
	return failed;
}

static void *
creator(void *arg)
{
	(void)arg;
	return (void *)create_many(per_creator);
}

static void *
nothing(void *arg)
{
	(void)arg;
	atomic_fetch_add(&detached_ran, 1);
	return NULL;
}

/* Detached threads unmap their own stacks. */
static void *
detacher(void *arg)
{
	pthread_attr_t attr;
	pthread_t t;
	long i, failed = 0;

	(void)arg;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 16384);
	for (i = 0; i < per_creator; i++)
		while (pthread_create(&t, &attr, nothing, NULL) != 0) {
			if (++failed > 1000)
				return (void *)failed;
			sleep_ms(1);
		}
	return NULL;
}

static long
run_creators(void *(*fn)(void *))
{
	pthread_t t[CREATORS];
	long bad = 0;
	void *ret;
	int i;

	for (i = 0; i < CREATORS; i++)
		pthread_create(&t[i], NULL, fn, NULL);
	for (i = 0; i < CREATORS; i++) {
		pthread_join(t[i], &ret);
		bad += (long)ret;
	}
	return bad;
}

static long long
free_ram(void)
{
	struct sysinfo si;

	sleep_ms(20);
	return sysinfo(&si) == -1 ? -1 : (long long)si.freeram * si.mem_unit;
}

/* One pass of both kinds; how many bytes less are free after it. */
static long long
one_pass(long *failed, long *wrong)
{
	long total = per_creator * CREATORS;
	long long before = free_ram();

	atomic_store(&ran, 0);
	atomic_store(&detached_ran, 0);
	*failed += run_creators(creator) + run_creators(detacher);
	*wrong += atomic_load(&ran) != total;
	while (atomic_load(&detached_ran) < total)
		sleep_ms(1);
	*wrong += atomic_load(&detached_ran) != total;
	return before - free_ram();
}

int
main(int argc, char **argv)
{
	long failed = 0, wrong = 0;
	long long lost = 0;
	int i;

	per_creator = arg_rounds(argc, argv, 400) / CREATORS;
	rng_arg(argc, argv);
	one_pass(&failed, &wrong); /* fills the kernel's caches too */
	/* The peak of threads alive at once is chance, and caches keep it; a leak shows each time. */
	for (i = 0; i < PASSES; i++) {
		lost = one_pass(&failed, &wrong);
		diag("pass %d: %lld KiB less are free", i, lost / 1024);
		if (lost < SLACK || getpid() != 1)
			break;
	}
	is_int(failed, 0, "B24: four threads create bare and detached threads at once");
	is_int(wrong, 0, "each ran once on a stack of its own");
	if (getpid() != 1)
		skip("other programs use this machine", "B45: memory is flat");
	else if (!ok(lost < SLACK, "B45: memory is flat"))
		diag("why: %lld KiB less are free after each of %d passes", lost / 1024, PASSES);
	return tap_done();
}
