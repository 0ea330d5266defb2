/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU clocks of a process and of a thread never go back, while other
 * threads come and go, sleep and wake on other CPUs.  B49: what the threads
 * have used is what their process has used.
 *
 * test: timeout=60
 * test: name=switch smp=2,4 append="fp=picked-before-clear-resched:300" host=no
 * test: name=release flavour=release smp=2,4 host=no
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define RUN_MS   250
#define SLEEPERS 3

static atomic_int stop;

static long long
cpu_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void *
sleeper(void *arg)
{
	struct timespec ts = { 0, 1000000 + (long)arg * 700000 };
	volatile int i;

	while (!atomic_load(&stop)) {
		nanosleep(&ts, NULL);
		for (i = 0; i < 2000; i++)
			;
	}
	return NULL;
}

/* A thread that makes threads that live for a moment: their time moves to the process. */
static void *
one_moment(void *arg)
{
	return arg;
}

static void *
churn(void *arg)
{
	pthread_t t;

	while (!atomic_load(&stop)) {
		if (pthread_create(&t, NULL, one_moment, NULL) == 0)
			pthread_join(t, NULL);
		usleep(300);
	}
	return arg;
}

/* How often a clock was behind what it had been before. */
static long
backwards(clockid_t clock)
{
	long long now, before = 0, end = now_ns() + RUN_MS * 1000000LL;
	long i, back = 0;

	for (i = 0; i % 64 != 0 || now_ns() < end; i++) {
		now = cpu_ns(clock);
		if (now < before) {
			if (back++ == 0)
				diag("why: %lld ns behind", before - now);
		}
		before = now;
	}
	return back;
}

static long long used[SLEEPERS], used_at[SLEEPERS];

static void *
use(void *arg)
{
	long long end = (2 + (long)arg) * 30000000LL;

	while (cpu_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		if ((long)arg & 1)
			sched_yield();
	used_at[(long)arg] = now_ns();
	used[(long)arg] = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static void
test_sum(void)
{
	/* unseen: real time in which a thread may have used what only the process's clock shows */
	long long unseen = -now_ns(), all, sum;
	pthread_t t[SLEEPERS];
	long i;

	all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	sum = -cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	unseen += now_ns();
	for (i = 0; i < SLEEPERS; i++)
		pthread_create(&t[i], NULL, use, (void *)i);
	for (i = 0; i < SLEEPERS; i++) {
		pthread_join(t[i], NULL);
		sum += used[i];
		unseen += now_ns() - used_at[i];
	}
	unseen -= now_ns();
	sum += cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all;
	unseen += now_ns();
	if (!ok(sum <= all && all <= sum + unseen,
		"B49: the times of the threads add up to that of the process"))
		diag("why: %lld ns, the process %lld, unseen %lld", sum, all, unseen);
}

static int
burn(void *arg)
{
	(void)arg;
	for (;;)
		sched_yield();
	return 0;
}

int
main(void)
{
	pthread_t t[SLEEPERS + 1];
	clockid_t other;
	long i;
	pid_t pid;

	for (i = 0; i < SLEEPERS; i++)
		pthread_create(&t[i], NULL, sleeper, (void *)i);
	pthread_create(&t[i], NULL, churn, NULL);
	is_int(backwards(CLOCK_PROCESS_CPUTIME_ID), 0, "the clock of the process");
	is_int(backwards(CLOCK_THREAD_CPUTIME_ID), 0, "that of the thread");
	pthread_getcpuclockid(t[0], &other);
	is_int(backwards(other), 0, "that of a thread that sleeps and wakes");
	atomic_store(&stop, 1);
	for (i = 0; i < SLEEPERS + 1; i++)
		pthread_join(t[i], NULL);
	test_sum();
	pid = spawn(burn, NULL);
	if (pid > 0 && clock_getcpuclockid(pid, &other) == 0)
		is_int(backwards(other), 0, "that of another process that yields");
	if (pid > 0) {
		kill(pid, SIGKILL);
		reap(pid);
	}
	return tap_done();
}
