/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks and sleeps: never early, never backwards on any CPU, B13 (times of
 * 0, 1 ns and the past), errors, and what a signal leaves of a sleep.
 *
 * test: timeout=60
 * test: name=b14 flavour=debug smp=2,4 append="fp=timer-fired-not-run:300"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MS 1000000LL

static atomic_llong latest;
static atomic_int backwards;

static void
test_clocks(void)
{
	static const struct {
		clockid_t id;
		const char *name;
	} clocks[] = { { CLOCK_REALTIME, "REALTIME" }, { CLOCK_MONOTONIC, "MONOTONIC" },
		{ CLOCK_BOOTTIME, "BOOTTIME" }, { CLOCK_MONOTONIC_RAW, "MONOTONIC_RAW" },
		{ CLOCK_REALTIME_COARSE, "REALTIME_COARSE" },
		{ CLOCK_MONOTONIC_COARSE, "MONOTONIC_COARSE" },
		{ CLOCK_PROCESS_CPUTIME_ID, "PROCESS_CPUTIME_ID" },
		{ CLOCK_THREAD_CPUTIME_ID, "THREAD_CPUTIME_ID" } };
	struct timespec a, b;
	struct timeval tv;
	size_t i;

	for (i = 0; i < NELEM(clocks); i++) {
		ok(clock_gettime(clocks[i].id, &a) == 0 && a.tv_nsec >= 0 &&
			a.tv_nsec < 1000000000 && clock_getres(clocks[i].id, &b) == 0 &&
			b.tv_sec == 0 && b.tv_nsec > 0,
		    "clock %s and its resolution", clocks[i].name);
	}
	is_err(clock_gettime(99, &a), EINVAL, "unknown clock: EINVAL");
	is_err(clock_getres(99, &a), EINVAL, "its resolution: EINVAL");
	clock_gettime(CLOCK_REALTIME, &a);
	gettimeofday(&tv, NULL);
	ok(tv.tv_sec - a.tv_sec >= 0 && tv.tv_sec - a.tv_sec <= 2,
	    "gettimeofday agrees with REALTIME");
	ok(a.tv_sec > 1700000000, "it is later than 2023");
	ok(time(NULL) - a.tv_sec >= -1 && time(NULL) - a.tv_sec <= 2, "so does time");
	ok(times(NULL) != (clock_t)-1, "times without a buffer");
}

static void *
read_clock(void *arg)
{
	long long t, seen, end = now_ns() + 100 * MS;

	pin_cpu((int)(long)arg);
	do {
		seen = atomic_load(&latest);
		t = now_ns();
		if (t < seen)
			atomic_fetch_add(&backwards, 1);
		while (seen < t && !atomic_compare_exchange_weak(&latest, &seen, t))
			;
	} while (t < end);
	return NULL;
}

static void
test_cpus(void)
{
	int cpus[CPU_MAX], n = cpu_list(cpus, CPU_MAX), i;
	pthread_t t[CPU_MAX];

	for (i = 0; i < n; i++)
		pthread_create(&t[i], NULL, read_clock, (void *)(long)cpus[i]);
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	is_int(atomic_load(&backwards), 0, "MONOTONIC never goes back, from CPU to CPU");
}

static long long
slept(clockid_t clock, int flags, long long ns)
{
	struct timespec now, ts;
	long long t0 = now_ns();

	ts.tv_sec = ns / 1000000000;
	ts.tv_nsec = ns % 1000000000;
	if (flags & TIMER_ABSTIME) {
		clock_gettime(clock, &now);
		ts.tv_sec += now.tv_sec;
		ts.tv_nsec += now.tv_nsec;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
	}
	if (clock_nanosleep(clock, flags, &ts, NULL) != 0)
		return -1;
	return now_ns() - t0;
}

static void
test_sleep(void)
{
	struct timespec bad = { 0, 1000000000 }, neg = { -1, 0 }, past = { 1, 0 }, zero = { 0, 0 };
	long long t;
	int i, early = 0, late = 0;

	for (i = 1; i <= 10; i++) {
		t = slept(CLOCK_MONOTONIC, 0, i * MS);
		early += t < i * MS;
		late += t > i * MS + 2000 * MS;
	}
	is_int(early, 0, "ten sleeps of 1 to 10 ms: none early");
	is_int(late, 0, "and none hangs");
	t = slept(CLOCK_MONOTONIC, TIMER_ABSTIME, 20 * MS);
	ok(t >= 19 * MS && t < 30000 * MS, "until an absolute time");
	t = slept(CLOCK_REALTIME, TIMER_ABSTIME, 20 * MS);
	ok(t >= 19 * MS && t < 30000 * MS, "of the day's clock");
	t = slept(CLOCK_MONOTONIC, 0, 1);
	ok(t >= 0 && t < 30000 * MS, "B13: 1 ns");
	is_int(nanosleep(&zero, NULL), 0, "B13: 0");
	is_int(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0, "B13: the past");
	is_int(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &zero, NULL), 0, "B13: time 0");
	is_err(nanosleep(&bad, NULL), EINVAL, "10^9 ns: EINVAL");
	is_err(nanosleep(&neg, NULL), EINVAL, "a negative time: EINVAL");
	is_int(clock_nanosleep(99, 0, &zero, NULL), EINVAL, "unknown clock: EINVAL");
	is_int(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL, "clock_nanosleep: EINVAL");
}

static void
on_sig(int sig)
{
	(void)sig;
}

static int
poke(void *arg)
{
	sleep_ms(50);
	kill((pid_t)(long)arg, SIGUSR1);
	return 0;
}

static void
test_signal(void)
{
	struct sigaction sa = { .sa_handler = on_sig, .sa_flags = SA_RESTART };
	struct timespec ts = { 5, 0 }, rem = { 0, 0 };
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	pid = spawn(poke, (void *)(long)getpid());
	is_err(nanosleep(&ts, &rem), EINTR, "a handler ends a sleep, SA_RESTART or not: EINTR");
	ok(rem.tv_sec < 5 && (rem.tv_sec > 0 || rem.tv_nsec > 0), "the rest is given back");
	reap(pid);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += 5;
	rem.tv_sec = 77;
	pid = spawn(poke, (void *)(long)getpid());
	is_int(
	    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &rem), EINTR, "absolute: EINTR");
	is_int(rem.tv_sec, 77, "and no rest");
	reap(pid);
}

static int
sleep_long(void *arg)
{
	struct timespec ts = { 100, 0 };
	int word = 0;

	if (arg != NULL)
		futex(&word, FUT_WAIT, 0, &ts, NULL, 0);
	else
		nanosleep(&ts, NULL);
	return 0;
}

/* 0 if a sleep of 10 ms is about that long. */
static int
sleep_short(void *arg)
{
	long long end = now_ns() + 50000 * MS;
	struct timespec ts = { 0, 10 * MS };
	int word = 0;

	if (arg != NULL)
		futex(&word, FUT_WAIT, 0, &ts, NULL, 0);
	else
		nanosleep(&ts, NULL);
	return now_ns() > end;
}

/* On one CPU, so that the next process gets the kernel's memory of the one before. */
static void
test_after_kill(void)
{
	int cpu, i, late = 0, kind;
	pid_t pid;

	cpu_list(&cpu, 1);
	pin_cpu(cpu);
	for (kind = 0; kind < 2; kind++) {
		for (i = 0; i < 3; i++) {
			pid = spawn(sleep_long, kind != 0 ? &late : NULL);
			sleep_ms(20);
			if (pid > 0)
				kill(pid, SIGTERM);
			reap(pid);
			late += run_child(sleep_short, NULL) != 0;
			late += run_child(sleep_short, &late) != 0;
		}
	}
	unpin_cpu();
	is_int(late, 0, "a sleep's deadline ends with the process that is killed in it");
}

static void *
sleep_often(void *arg)
{
	long i, early = 0;

	for (i = 0; i < 50; i++)
		early += slept(CLOCK_MONOTONIC, 0, ((long)arg * 37 + i * 11) % 400 * 10000) < 0;
	return (void *)early;
}

int
main(void)
{
	pthread_t t[16];
	long i, bad = 0;
	void *ret;

	test_clocks();
	test_cpus();
	test_sleep();
	test_signal();
	test_after_kill();
	for (i = 0; i < 16; i++)
		pthread_create(&t[i], NULL, sleep_often, (void *)i);
	for (i = 0; i < 16; i++) {
		pthread_join(t[i], &ret);
		bad += (long)ret;
	}
	is_int(bad, 0, "sixteen threads sleep fifty times each");
	return tap_done();
}
