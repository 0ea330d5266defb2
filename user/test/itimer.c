/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alarm, setitimer and getitimer: once and again, what is left, CPU-time timers, fork, exec, errors.
 *
 * test: timeout=60
 * test: name=late flavour=debug smp=2,4 append="fp=timer-fired-not-run:2000,timer-found-not-posted:2000"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MS 1000000LL

static volatile int count;
static volatile long long last;
static volatile int code;

static void
on_sig(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	count++;
	code = si->si_code;
	last = now_ns();
}

static void
handle(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_sig, .sa_flags = SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
	count = 0;
}

static struct itimerval
usecs(long value, long interval)
{
	return (struct itimerval){ { interval / 1000000, interval % 1000000 },
		{ value / 1000000, value % 1000000 } };
}

static int
set(int which, long value, long interval)
{
	struct itimerval it = usecs(value, interval);

	return setitimer(which, &it, NULL);
}

static long
left(int which)
{
	struct itimerval it;

	getitimer(which, &it);
	return it.it_value.tv_sec * 1000000 + it.it_value.tv_usec;
}

static void
wait_count(int n)
{
	long long end = now_ns() + 10000 * MS;

	while (count < n && now_ns() < end)
		sleep_ms(1);
}

static long long
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

static void
burn(int n)
{
	long long end = now_ns() + 20000 * MS;

	while (count < n && now_ns() < end)
		continue;
}

static void
test_real(void)
{
	struct itimerval it, old;
	long long t;

	handle(SIGALRM);
	is_int(getitimer(ITIMER_REAL, &it), 0, "getitimer of one never set");
	ok(!timerisset(&it.it_value) && !timerisset(&it.it_interval), "is zero");
	t = now_ns();
	is_int(set(ITIMER_REAL, 20000, 0), 0, "setitimer, 20 ms");
	ok(left(ITIMER_REAL) <= 20000, "what is left");
	wait_count(1);
	ok(last - t >= 20 * MS, "comes, not early");
	is_int(code, SI_KERNEL, "si_code is SI_KERNEL");
	sleep_ms(40);
	is_int(count, 1, "once");
	is_int(left(ITIMER_REAL), 0, "nothing is left");
	count = 0;
	t = now_ns();
	set(ITIMER_REAL, 10000, 5000);
	wait_count(5);
	ok(now_ns() - t >= 30 * MS, "five times take 10 + 4 * 5 ms");
	it = usecs(0, 0);
	is_int(setitimer(ITIMER_REAL, &it, &old), 0, "stop it");
	ok(old.it_interval.tv_usec == 5000 && old.it_value.tv_usec <= 5000, "the old values");
	count = 0;
	sleep_ms(20);
	is_int(count, 0, "it is quiet");
	set(ITIMER_REAL, 50000000, 0);
	it = usecs(0, 7000);
	setitimer(ITIMER_REAL, &it, NULL);
	getitimer(ITIMER_REAL, &it);
	ok(!timerisset(&it.it_value) && !timerisset(&it.it_interval),
	    "value 0 stops, whatever interval");
	t = now_ns();
	set(ITIMER_REAL, 20000, 20000); /* again, if the first comes before pause */
	pause();
	ok(now_ns() - t >= 20 * MS, "a timer ends pause");
	set(ITIMER_REAL, 0, 0);
}

/* The raw call: C libraries may take setitimer, and round otherwise. */
static long
set_alarm(unsigned seconds)
{
	return syscall(SYS_alarm, seconds);
}

/* What alarm(next) tells just after the timer was set to `us`: not if we did not run for a while. */
static long
alarm_after(long us, unsigned next)
{
	long long t;
	long told;

	do {
		t = now_ns();
		set(ITIMER_REAL, us, 0);
		told = set_alarm(next);
	} while (now_ns() - t > 200 * MS);
	return told;
}

static void
test_alarm(void)
{
	long us;

	handle(SIGALRM);
	is_int(set_alarm(100), 0, "alarm(100), the first");
	is_int(alarm_after(100000000, 1), 100, "alarm(1) gives what was left");
	us = left(ITIMER_REAL);
	ok((us > 0 && us <= 1000000) || count == 1, "it is the interval timer");
	wait_count(1);
	is_int(count, 1, "SIGALRM came");
	is_int(set_alarm(0), 0, "nothing is left");
	is_int(alarm_after(400000, 0), 1, "less than a second counts as one");
	is_int(alarm_after(2400000, 0), 2, "2.4 seconds as two");
	is_int(alarm_after(2900000, 0), 3, "2.9 as three");
	is_int(set_alarm(UINT_MAX), 0, "the longest alarm");
	ok(set_alarm(0) > 2000000000, "is long");
}

static void
test_cpu(int which, int sig, const char *name)
{
	long long t;

	handle(sig);
	t = cpu_ns();
	is_int(set(which, 60000, 0), 0, "%s: 60 ms", name);
	sleep_ms(150);
	is_int(count, 0, "%s: sleep does not count", name);
	ok(left(which) > 0 && left(which) <= 70000, "%s: what is left", name);
	burn(1);
	is_int(count, 1, "%s: work does", name);
	/* Linux bills whole ticks to who runs when they end. */
	ok(which != ITIMER_PROF || cpu_ns() - t >= 60 * MS || dbg_cmd("fsck") == -ENOSYS,
	    "%s: not early", name);
	count = 0;
	set(which, 20000, 20000);
	burn(4);
	set(which, 0, 0);
	ok(count >= 4, "%s: again and again", name);
	is_int(left(which), 0, "%s: stopped", name);
}

static int
child_left(void *arg)
{
	(void)arg;
	if (left(ITIMER_REAL) != 0 || left(ITIMER_PROF) != 0)
		return 1;
	return 0;
}

static int
child_alarm(void *arg)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };

	(void)arg;
	sigaction(SIGALRM, &sa, NULL);
	set(ITIMER_REAL, 20000, 0);
	sleep_ms(10000);
	return 3;
}

static int
child_exec(void *arg)
{
	char *argv[] = { (char *)(uintptr_t)self_path(), (char *)(uintptr_t) "after-exec", NULL };

	(void)arg;
	signal(SIGALRM, SIG_DFL);
	set(ITIMER_REAL, 100000, 0);
	execv(argv[0], argv);
	return 99;
}

static int
after_exec(void)
{
	long us = left(ITIMER_REAL);

	if (us <= 0 || us > 100000)
		return 2;
	sleep_ms(10000);
	return 3;
}

static void
test_family(void)
{
	set(ITIMER_REAL, 60000000, 0);
	set(ITIMER_PROF, 60000000, 0);
	is_exit(run_child(child_left, NULL), 0, "fork: the child has no timers");
	ok(left(ITIMER_REAL) > 50000000, "the parent keeps its own");
	set(ITIMER_REAL, 0, 0);
	set(ITIMER_PROF, 0, 0);
	is_killed(run_child(child_alarm, NULL), SIGALRM, "SIGALRM ends who does not catch it");
	is_killed(run_child(child_exec, NULL), SIGALRM, "exec keeps the timer, its signal kills");
}

static void
test_errors(void)
{
	struct itimerval it = usecs(1, 0), bad = usecs(0, 0);

	is_err(getitimer(3, &it), EINVAL, "getitimer 3: EINVAL");
	is_err(getitimer(-1, &it), EINVAL, "getitimer -1: EINVAL");
	is_err(syscall(SYS_getitimer, ITIMER_REAL, hide(8)), EFAULT, "getitimer: EFAULT");
	is_err(setitimer(3, &it, NULL), EINVAL, "setitimer 3: EINVAL");
	bad.it_value.tv_usec = 1000000;
	is_err(setitimer(ITIMER_REAL, &bad, NULL), EINVAL, "10^6 microseconds: EINVAL");
	bad.it_value.tv_usec = -1;
	is_err(setitimer(ITIMER_REAL, &bad, NULL), EINVAL, "-1 microseconds: EINVAL");
	bad.it_value.tv_usec = LONG_MAX; /* as nanoseconds it is too much even for a look */
	is_err(setitimer(ITIMER_REAL, &bad, NULL), EINVAL, "LONG_MAX microseconds: EINVAL");
	bad = usecs(0, 0);
	bad.it_interval.tv_sec = -1;
	is_err(setitimer(ITIMER_REAL, &bad, NULL), EINVAL, "-1 seconds: EINVAL");
	is_err(syscall(SYS_setitimer, ITIMER_REAL, hide(8), NULL), EFAULT, "setitimer: EFAULT");
	it = usecs(0, 0);
	is_err(syscall(SYS_setitimer, ITIMER_REAL, &it, hide(8)), EFAULT,
	    "no room for the old: EFAULT");
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "after-exec") == 0)
		return after_exec();
	test_real();
	test_alarm();
	test_cpu(ITIMER_PROF, SIGPROF, "PROF");
	test_cpu(ITIMER_VIRTUAL, SIGVTALRM, "VIRTUAL");
	test_family();
	test_errors();
	return tap_done();
}
