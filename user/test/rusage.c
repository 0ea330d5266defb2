/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Usage: that of a process is the sum of what its threads used, those that are
 * gone included (B49); that of children is the sum of those that were waited
 * for; page faults, switches and the largest size are counted.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define NTHREADS 4
#define MS       1000000LL
#define PAGES    256

static long long
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* User and system time, microseconds. */
static long long
cpu_us(const struct rusage *ru)
{
	return (ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000LL + ru->ru_utime.tv_usec +
	    ru->ru_stime.tv_usec;
}

static struct rusage
usage(int who)
{
	struct rusage ru;

	if (getrusage(who, &ru) == -1)
		bail_out("getrusage");
	return ru;
}

static void
burn_ms(int ms)
{
	long long end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ms * MS;

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		continue;
}

/* --- threads ---------------------------------------------------------------------- */

struct report {
	long long r_clock, r_usage, r_gap, r_at; /* ns, us, ns; when it has looked last */
	long r_nvcsw;
	int r_ms, r_sleeps;
};

static void *
work(void *arg)
{
	struct report *r = arg;
	struct timespec ts = { 0, 1000000 };
	struct rusage ru;
	int i;

	burn_ms(r->r_ms);
	for (i = 0; i < r->r_sleeps; i++)
		nanosleep(&ts, NULL);
	r->r_gap = -now_ns();
	ru = usage(RUSAGE_THREAD);
	r->r_at = now_ns();
	r->r_clock = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	r->r_gap += now_ns();
	r->r_usage = cpu_us(&ru);
	r->r_nvcsw = ru.ru_nvcsw;
	return NULL;
}

static void
test_threads(void)
{
	struct report r[NTHREADS];
	struct rusage before = usage(RUSAGE_SELF), after, own;
	/* unseen: real time in which a thread may have used what only the process's clock shows */
	long long unseen = -now_ns();
	long long p0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID), m0 = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	long long sum, total, mine;
	pthread_t t[NTHREADS];
	int i, agree = 1;

	unseen += now_ns();
	for (i = 0; i < NTHREADS; i++) {
		r[i] = (struct report){ .r_ms = 20 * (i + 1), .r_sleeps = 25 * i };
		pthread_create(&t[i], NULL, work, &r[i]);
	}
	for (sum = i = 0; i < NTHREADS; i++) {
		pthread_join(t[i], NULL);
		unseen += now_ns() - r[i].r_at;
		sum += r[i].r_clock;
		agree &= r[i].r_usage <= r[i].r_clock / 1000 + 1 &&
		    r[i].r_clock - r[i].r_usage * 1000 <= r[i].r_gap + MS;
		agree &= r[i].r_clock >= r[i].r_ms * MS;
	}
	unseen -= now_ns();
	mine = clock_ns(CLOCK_THREAD_CPUTIME_ID) - m0;
	total = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - p0;
	unseen += now_ns();
	ok(agree, "RUSAGE_THREAD and the thread's clock agree");
	ok(sum >= 200 * MS, "each thread has what it burned");
	ok(total >= sum + mine,
	    "B49: the process has the time of all its threads, dead ones included");
	ok(total - sum - mine <= unseen + MS, "B49: and no more");
	after = usage(RUSAGE_SELF);
	ok(cpu_us(&after) - cpu_us(&before) >= (sum + mine) / 1000 - 2,
	    "RUSAGE_SELF says the same");
	/* But for those whose time runs out before the switch, on a host that is slow just then. */
	ok(r[3].r_nvcsw >= 20 && r[1].r_nvcsw >= 5, "each sleep is a voluntary switch");
	ok(after.ru_nvcsw - before.ru_nvcsw >= 40, "of the process, too, when the thread is gone");
	own = usage(RUSAGE_THREAD);
	ok(own.ru_nvcsw + own.ru_nivcsw <= after.ru_nvcsw + after.ru_nivcsw + 5,
	    "the first thread has its own count");
}

/* Few ticks yet, and each moves the border between the two parts of all the time before. */
static void
test_parts(void)
{
	static const int whose[2] = { RUSAGE_SELF, RUSAGE_THREAD };
	long long told[2][2] = { { 0 } }, now[2], end = clock_ns(CLOCK_MONOTONIC) + 300 * MS, phase;
	int i, k, back = 0;
	struct rusage ru;

	while (clock_ns(CLOCK_MONOTONIC) < end) {
		phase = clock_ns(CLOCK_MONOTONIC) + 3 * MS;
		while (clock_ns(CLOCK_MONOTONIC) < phase)
			continue;
		phase = clock_ns(CLOCK_MONOTONIC) + 3 * MS;
		while (clock_ns(CLOCK_MONOTONIC) < phase)
			for (i = 0; i < 50; i++)
				syscall(SYS_getppid);
		for (k = 0; k < 2; k++) {
			ru = usage(whose[k]);
			now[0] = ru.ru_utime.tv_sec * 1000000LL + ru.ru_utime.tv_usec;
			now[1] = ru.ru_stime.tv_sec * 1000000LL + ru.ru_stime.tv_usec;
			for (i = 0; i < 2; i++) {
				back += now[i] < told[k][i];
				told[k][i] = now[i];
			}
		}
	}
	is_int(back, 0, "neither user nor system time goes back");
}

/* --- children ----------------------------------------------------------------------- */

static int
child_burns(void *arg)
{
	burn_ms((int)(long)arg);
	return 0;
}

static int
child_waits(void *arg)
{
	return run_child(child_burns, arg);
}

static struct {
	long long used, at; /* us; ns */
} * last;                   /* shared: what a child has seen of itself, and when */

static int
child_abandons(void *arg)
{
	siginfo_t si;
	pid_t pid = spawn(child_burns, arg);
	int error = waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	struct rusage ru;

	last->at = now_ns();
	ru = usage(RUSAGE_SELF);
	last->used = cpu_us(&ru);
	return error;
}

/* What a child and those that it waited for have used, by wait4; *all: what RUSAGE_CHILDREN has grown by. */
static long long
collect(child_fn fn, int ms, long long *all)
{
	struct rusage before = usage(RUSAGE_CHILDREN), after, ru;
	pid_t pid = spawn(fn, (void *)(long)ms);
	int st;

	*all = -1;
	if (pid == -1 || wait4(pid, &st, 0, &ru) != pid || st != 0)
		return -1;
	after = usage(RUSAGE_CHILDREN);
	*all = cpu_us(&after) - cpu_us(&before);
	return cpu_us(&ru);
}

static int
near(long long a, long long b)
{
	return a - b < 3 && b - a < 3;
}

static void
test_children(void)
{
	struct rusage before, after;
	struct tms t0, t1;
	long long used, all, ticks;
	siginfo_t si;
	pid_t pid;

	times(&t0);
	before = usage(RUSAGE_CHILDREN);
	used = collect(child_burns, 60, &all);
	ok(used >= 60000, "wait4: what the child has burned");
	ok(near(used, all), "RUSAGE_CHILDREN grows by just that");
	used = collect(child_waits, 50, &all);
	ok(used >= 50000 && near(used, all), "a grandchild counts if it was waited for");
	last = shared_mem(sizeof(*last));
	used = collect(child_abandons, 50, &all);
	/* After its look it may have used what there was of time, and no more. */
	ok(used >= last->used - 2 && used - last->used <= (now_ns() - last->at) / 1000 + 2,
	    "and not if it was not");
	reap_all(); /* where we are init, it is ours now */
	times(&t1);
	after = usage(RUSAGE_CHILDREN);
	ticks = (t1.tms_cutime + t1.tms_cstime) - (t0.tms_cutime + t0.tms_cstime);
	all = (cpu_us(&after) - cpu_us(&before)) / 10000;
	ok(ticks >= all - 3 && ticks <= all + 3, "times: the same in clock ticks");

	before = usage(RUSAGE_CHILDREN);
	pid = spawn(child_burns, (void *)30L);
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	after = usage(RUSAGE_CHILDREN);
	ok(near(cpu_us(&before), cpu_us(&after)), "a zombie does not count yet");
	syscall(SYS_waitid, P_PID, pid, &si, WEXITED, &after);
	ok(cpu_us(&after) >= 30000, "waitid: its usage");
	after = usage(RUSAGE_CHILDREN);
	ok(cpu_us(&after) - cpu_us(&before) >= 30000, "and now it counts");

	before = after;
	signal(SIGCHLD, SIG_IGN);
	spawn(child_burns, (void *)30L);
	waitpid(-1, NULL, 0);
	signal(SIGCHLD, SIG_DFL);
	after = usage(RUSAGE_CHILDREN);
	ok(near(cpu_us(&before), cpu_us(&after)), "one that nobody wants to wait for never does");
}

/* --- memory ------------------------------------------------------------------------- */

static int
child_large(void *arg)
{
	char *p = private_mem(8 << 20);
	long i;

	(void)arg;
	for (i = 0; i < 8 << 20; i += PAGE)
		p[i] = 1;
	return 0;
}

static void
test_memory(void)
{
	struct rusage before, after;
	char *p = private_mem(PAGES * PAGE);
	int i;

	madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
	before = usage(RUSAGE_SELF);
	for (i = 0; i < PAGES; i++)
		p[(long)i * PAGE] = 1;
	after = usage(RUSAGE_SELF);
	ok(after.ru_minflt - before.ru_minflt >= PAGES &&
		after.ru_minflt - before.ru_minflt < PAGES + 64,
	    "each page that is touched is a fault");
	is_int(after.ru_majflt - before.ru_majflt, 0, "without input");
	munmap(p, PAGES * PAGE);
	run_child(child_large, NULL);
	after = usage(RUSAGE_CHILDREN);
	ok(after.ru_maxrss >= 8 << 10, "the largest child had 8 MiB");
	child_large(NULL);
	after = usage(RUSAGE_SELF);
	ok(after.ru_maxrss >= 8 << 10, "now we have had them, too");
}

static void
test_errors(void)
{
	struct rusage ru;

	is_err(getrusage(5, &ru), EINVAL, "no such usage: EINVAL");
	is_err(getrusage(RUSAGE_SELF, hide(8)), EFAULT, "a bad address: EFAULT");
	is_err(syscall(SYS_times, 8), EFAULT, "times: EFAULT");
}

int
main(void)
{
	test_memory();
	test_parts();
	test_threads();
	test_children();
	test_errors();
	return tap_done();
}
