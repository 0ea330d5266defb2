/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets how much of the CPU: equals, nice values, SCHED_IDLE, more threads
 * than CPUs; how soon a sleeper gets it. Exact where instructions are counted
 * (the argument is by how many percent a share may be off), else by and large.
 *
 * test: timeout=120
 * test: name=exact args="25" smp=1 icount=yes flavour=release host=no timeout=180
 * test: name=spread args="25" smp=2,4 icount=yes flavour=release host=no timeout=240
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MAX         8
#define POLICY_IDLE 5
#define SLEEPS      30

static int cpu[CPU_MAX], n_cpus;
static int off; /* percent by which a share may be off; 0: by and large */
static atomic_int go, stop, ready;

struct spinner {
	int s_nice, s_policy;
	int s_cpu; /* -1: any */
	pthread_t s_thread;
	double s_share; /* of all that the spinners got */
};

static long long
cpu_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void *
spin(void *arg)
{
	const struct spinner *s = arg;
	int pri = 0;

	if (s->s_cpu >= 0)
		pin_cpu(s->s_cpu);
	syscall(SYS_setpriority, PRIO_PROCESS, 0, s->s_nice);
	syscall(SYS_sched_setscheduler, 0, s->s_policy, &pri);
	word_add(&ready, 1);
	word_wait(&go, 1);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	return NULL;
}

static void
start(struct spinner *s, int n)
{
	atomic_store(&go, 0);
	atomic_store(&stop, 0);
	atomic_store(&ready, 0);
	for (int i = 0; i < n; i++)
		pthread_create(&s[i].s_thread, NULL, spin, &s[i]);
	word_wait(&ready, n);
	word_add(&go, 1);
}

static void
finish(struct spinner *s, int n)
{
	atomic_store(&stop, 1);
	for (int i = 0; i < n; i++)
		pthread_join(s[i].s_thread, NULL);
}

/* Lets them run for `settle`, then measures for `ms`; by and large, until each has got something. */
static void
run(struct spinner *s, int n, int settle, int ms)
{
	long long t[MAX], sum = 0;
	clockid_t clock[MAX];

	if (off == 0)
		settle = ms = 50;
	start(s, n);
	for (int i = 0; i < n; i++)
		pthread_getcpuclockid(s[i].s_thread, &clock[i]);
	sleep_ms(settle);
	for (int i = 0; i < n; i++)
		t[i] = cpu_ns(clock[i]);
	sleep_ms(ms);
	/* By and large: a loaded host may have run nobody yet. */
	for (int i = 0, more = 200; off == 0 && i < n && more > 0;)
		if (cpu_ns(clock[i]) > t[i])
			i++;
		else {
			sleep_ms(ms);
			more--;
		}
	for (int i = 0; i < n; i++)
		sum += t[i] = cpu_ns(clock[i]) - t[i];
	finish(s, n);
	for (int i = 0; i < n; i++) {
		s[i].s_share = sum == 0 ? 0 : 100.0 * (double)t[i] / (double)sum;
		diag("nice %d policy %d: %.1f %% of %lld ms", s[i].s_nice, s[i].s_policy,
		    s[i].s_share, sum / 1000000);
	}
}

/* Is `share` what it should be? By and large: anything but nothing. */
static int
near(double share, double want)
{
	if (off == 0)
		return share > 0;
	return share > want * (100 - off) / 100 && share < want * (100 + off) / 100;
}

static void
test_equal(void)
{
	struct spinner s[4] = { [0 ... 3] = { .s_cpu = cpu[0] } };
	int good = 0;

	run(s, 4, 100, 400);
	for (int i = 0; i < 4; i++)
		good += near(s[i].s_share, 25);
	is_int(good, 4, "four equal threads share a CPU");
}

static void
test_nice(int nice, double want)
{
	struct spinner s[2] = { { .s_cpu = cpu[0] }, { .s_cpu = cpu[0], .s_nice = nice } };

	run(s, 2, 500, 800);
	ok(near(s[1].s_share, want) && (off == 0 || s[1].s_share < 45),
	    "nice %d against nice 0: a smaller share", nice);
}

static void
test_idle(void)
{
	struct spinner s[2] = { { .s_cpu = cpu[0] }, { .s_cpu = cpu[0], .s_policy = POLICY_IDLE } };

	run(s, 2, 300, 800);
	ok(off == 0 || s[1].s_share < 5, "SCHED_IDLE gets what is hardly missed");
	run(s + 1, 1, 0, 100);
	is_int((int)s[1].s_share, 100, "or all that nobody wants");
}

/* One that has used much, and by its nice value should have used little, is not kept waiting for ever. */
static void
test_waits(void)
{
	struct spinner s[2] = { { .s_cpu = cpu[0], .s_nice = 19 }, { .s_cpu = cpu[0] } };
	clockid_t clock;
	long long t;

	start(s, 1);
	sleep_ms(off == 0 ? 100 : 500);
	pthread_create(&s[1].s_thread, NULL, spin, &s[1]);
	word_wait(&ready, 2);
	pthread_getcpuclockid(s[0].s_thread, &clock);
	t = cpu_ns(clock);
	for (int more = off == 0 ? 200 : 10; more > 0 && cpu_ns(clock) == t; more--)
		sleep_ms(200);
	t = cpu_ns(clock) - t;
	finish(s, 2);
	diag("nice 19 got %lld ms", t / 1000000);
	ok(t > 0, "nice 19 gets on beside nice 0, whatever it had before");
}

/* A thread that sleeps most of the time finds the CPU when it wakes, whatever else runs. */
static void
test_sleeper(void)
{
	struct spinner s[3] = { [0 ... 2] = { .s_cpu = cpu[0] } };
	long long t0, late, worst = 0, sum = 0;
	struct timespec ts;

	pin_cpu(cpu[0]);
	start(s, 3);
	for (int i = 0; i < SLEEPS; i++) {
		t0 = now_ns() + 5000000;
		ts = (struct timespec){ t0 / 1000000000, t0 % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		late = now_ns() - t0;
		sum += late;
		worst = late > worst ? late : worst;
	}
	finish(s, 3);
	unpin_cpu();
	diag("%d sleeps: late by %lld us on the average, %lld us at worst", SLEEPS,
	    sum / SLEEPS / 1000, worst / 1000);
	ok(off == 0 ? sum / SLEEPS < 5000000000 : worst < 1000000,
	    "a sleeper gets the CPU promptly");
}

/* One more than there are CPUs: nobody has a CPU for himself for ever. */
static void
test_spread(void)
{
	struct spinner s[MAX] = { [0 ... MAX - 1] = { .s_cpu = -1 } };
	int n = n_cpus < MAX ? n_cpus + 1 : MAX, good = 0;

	run(s, n, 500, 1000);
	for (int i = 0; i < n; i++)
		good += near(s[i].s_share, 100.0 / n);
	is_int(good, n, "one more thread than CPUs: all get the same");
}

int
main(int argc, char **argv)
{
	off = (int)arg_long(argc, argv, 1, 0);
	n_cpus = cpu_list(cpu, CPU_MAX);
	if (off != 0 && n_cpus > 1) {
		test_spread();
		return tap_done();
	}
	test_equal();
	test_nice(10, 20);
	if (off != 0)
		test_nice(5, 100.0 / 3);
	test_idle();
	test_waits();
	test_sleeper();
	if (off == 0)
		test_spread();
	return tap_done();
}
