/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads that are moved by others: an affinity holds from the call on, however it races with an earlier
 * move (B16); no thread waits while a CPU idles on which it may run; a move is soon done.
 *
 * test: host=no smp=2,4
 * test: name=race host=no smp=2,4 append="fp=migrate-between-locks:300,picked-before-clear-resched:100"
 * test: name=icount host=no smp=2 icount=yes args="40 1000"
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define TRIES 100
#define CROWD 24

static int cpus[CPU_MAX], n_cpus;
static atomic_int stop, tid, where;
static atomic_llong steps;

static void *
spin(void *arg)
{
	unsigned cpu = 0;

	(void)arg;
	word_add(&tid, gettid());
	while (atomic_load(&stop) == 0) {
		syscall(SYS_getcpu, &cpu, NULL, NULL);
		atomic_store(&where, (int)cpu);
		atomic_fetch_add(&steps, 1);
	}
	return NULL;
}

static void *
hog(void *arg)
{
	pin_cpu(*(int *)arg);
	while (atomic_load(&stop) == 0)
		continue;
	return NULL;
}

static pthread_t
start_spin(void)
{
	pthread_t t;

	atomic_store(&stop, 0);
	atomic_store(&tid, 0);
	atomic_store(&where, -1);
	pthread_create(&t, NULL, spin, NULL);
	while (atomic_load(&tid) == 0)
		sched_yield();
	return t;
}

static int
allow(int a, int b)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(a, &set);
	CPU_SET(b, &set);
	return sched_setaffinity(atomic_load(&tid), sizeof(set), &set);
}

/* To one CPU and at once back to the other: the last word counts. */
static void
test_race(void)
{
	pthread_t t = start_spin();
	int i, bad = 0;
	long long s;

	pin_cpu(cpus[n_cpus - 1]);
	for (i = 0; i < TRIES; i++) {
		volatile int d;

		bad += allow(cpus[1], cpus[1]) != 0;
		for (d = 0; d < i * 370 % 30000; d++)
			continue;
		bad += allow(cpus[0], cpus[0]) != 0;
		s = atomic_load(&steps);
		while (atomic_load(&steps) < s + 4)
			sched_yield();
		bad += atomic_load(&where) != cpus[0];
	}
	unpin_cpu();
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	is_int(bad, 0, "B16: the last affinity holds, whatever was under way");
}

/* Waits until the spinning thread is on `cpu` or has had ample time. */
static int
comes_to(int cpu)
{
	int k;

	for (k = 0; k < 20000 && atomic_load(&where) != cpu; k++)
		sleep_ms(1);
	return k < 20000;
}

static void
test_idle(void)
{
	pthread_t t = start_spin(), h;
	int i, bad = 0, last = cpus[n_cpus - 1], busy = n_cpus > 2 ? cpus[1] : cpus[0];

	pthread_create(&h, NULL, hog, &busy);
	for (i = 0; i < 5; i++) {
		bad += allow(busy, busy) != 0 || !comes_to(busy);
		bad += allow(busy, last) != 0 || !comes_to(last);
	}
	is_int(bad, 0, "a thread that waits behind another goes to an idle CPU when it may");
	bad = 0;
	if (n_cpus > 2)
		for (i = 0; i < 5; i++) {
			bad += allow(cpus[0], cpus[0]) != 0 || !comes_to(cpus[0]);
			bad += allow(busy, last) != 0 || !comes_to(last);
		}
	is_int(bad, 0, "and is moved to the idle one of two");
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	pthread_join(h, NULL);
}

static void
test_soon(long moves, long limit_ms)
{
	pthread_t t = start_spin();
	long long t0, worst = 0;
	long i;

	for (i = 0; i < moves; i++) {
		t0 = now_ns();
		allow(cpus[i % n_cpus], cpus[i % n_cpus]);
		while (atomic_load(&where) != cpus[i % n_cpus])
			usleep(1000);
		if (now_ns() - t0 > worst)
			worst = now_ns() - t0;
	}
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	diag("the slowest of %ld moves took %lld us", moves, worst / 1000);
	ok(limit_ms == 0 || worst < limit_ms * 1000000LL, "a move takes less than its limit");
}

/*
 * One thread behind a real-time one that spins; the other CPU is so full that somebody always waits there whose turn
 * it is, so that nothing is more urgent than what it has.
 */
static void
test_behind_realtime(void)
{
	struct sched_param high = { .sched_priority = 20 }, low = { .sched_priority = 10 };
	pthread_t t = start_spin(), h, crowd[CROWD];
	int i, k;
	long long s;

	for (i = 0; i < CROWD; i++)
		pthread_create(&crowd[i], NULL, hog, &cpus[1]);
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &high);
	allow(cpus[0], cpus[0]);
	pthread_create(&h, NULL, hog, &cpus[0]);
	pthread_setschedparam(h, SCHED_FIFO, &low);
	sleep_ms(1000); /* until the crowd takes turns */
	allow(cpus[0], cpus[1]);
	s = atomic_load(&steps);
	for (k = 0; k < 2000 && atomic_load(&steps) == s; k++)
		sleep_ms(10);
	diag("it ran after %d ms", 10 * k);
	ok(k < 2000, "who waits behind a real-time thread goes to a CPU that is full, too");
	atomic_store(&stop, 1);
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &(struct sched_param){ 0 });
	pthread_join(t, NULL);
	pthread_join(h, NULL);
	for (i = 0; i < CROWD; i++)
		pthread_join(crowd[i], NULL);
}

int
main(int argc, char **argv)
{
	long limit_ms = arg_long(argc, argv, 2, 0);

	n_cpus = cpu_list(cpus, CPU_MAX);
	test_soon(arg_long(argc, argv, 1, 20), limit_ms);
	if (limit_ms == 0) {
		test_race();
		test_idle();
		test_behind_realtime();
	}
	return tap_done();
}
