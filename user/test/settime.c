/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_settime: what waits for a time of the wall clock follows it, what waits
 * for a span or a monotonic time does not.  Not on Linux: it is the build
 * machine's clock.
 *
 * test: timeout=60 host=no
 * test: name=fired smp=2,4 append="fp=timer-fired-not-run:500" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lwp.h"
#include "tap.h"
#include "util.h"

#define SEC  1000000000LL
#define HOUR (3600 * SEC)

static long long
wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static struct timespec
to_ts(long long ns)
{
	return (struct timespec){ ns / SEC, ns % SEC };
}

static void
move_clock(long long by)
{
	struct timespec ts = to_ts(wall_ns() + by);

	clock_settime(CLOCK_REALTIME, &ts);
}

/* --- sleepers: each notes when it woke, by the monotonic clock -------------------- */

static atomic_int ready, word;
static long long until; /* wall-clock time */

struct sleeper {
	int (*s_sleep)(void);
	long long s_woke;
	int s_result;
};

static int
by_nanosleep(void)
{
	struct timespec ts = to_ts(until);

	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL);
}

static int
by_futex(void)
{
	struct timespec ts = to_ts(until);

	return futex(&word, FUT_WAIT_BITSET | FUT_PRIVATE | 256, 0, &ts, NULL, -1) == -1 ? errno
											 : 0;
}

static int
by_park(void)
{
	struct timespec ts = to_ts(until);
	long r = syscall(1033, CLOCK_REALTIME, TIMER_ABSTIME, &ts, 0, NULL, NULL);

	return r == -1 ? errno : 0;
}

static int
by_span(void)
{
	struct timespec ts = to_ts(SEC / 2);

	return clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL);
}

static void *
sleeper(void *arg)
{
	struct sleeper *s = arg;

	word_add(&ready, 1);
	s->s_result = s->s_sleep();
	s->s_woke = now_ns();
	return NULL;
}

/* All sleep until `ahead` from now; meanwhile the clock is moved. */
static void
sleep_all(struct sleeper *s, int n, long long ahead, long long by)
{
	pthread_t t[8];
	int i;

	atomic_store(&ready, 0);
	until = wall_ns() + ahead;
	for (i = 0; i < n; i++)
		pthread_create(&t[i], NULL, sleeper, &s[i]);
	word_wait(&ready, n);
	sleep_ms(50);
	move_clock(by);
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

static void
test_sleeps(void)
{
	struct sleeper s[] = { { by_nanosleep, 0, -1 }, { by_futex, 0, -1 }, { by_park, 0, -1 },
		{ by_span, 0, -1 } };
	long long t0 = now_ns(), w0;

	sleep_all(s, 4, 2 * HOUR, 3 * HOUR);
	is_int(s[0].s_result, 0, "forward: clock_nanosleep until a time ends at once");
	is_int(s[1].s_result, ETIMEDOUT, "and a futex wait until one");
	is_int(s[2].s_result, ETIMEDOUT, "and _lwp_park");
	ok(s[0].s_woke - t0 < 30 * SEC && s[1].s_woke - t0 < 30 * SEC &&
		s[2].s_woke - t0 < 30 * SEC,
	    "all long before their two hours");
	ok(s[3].s_woke - t0 >= SEC / 2, "a sleep for a span lasts its span");
	t0 = now_ns();
	w0 = wall_ns();
	sleep_all(s, 4, SEC / 4, -SEC);
	ok(s[0].s_woke - t0 >= SEC && s[1].s_woke - t0 >= SEC && s[2].s_woke - t0 >= SEC,
	    "back: they sleep on until the clock shows their time");
	ok(wall_ns() >= w0 + SEC / 4, "which it does");
	ok(s[3].s_woke - t0 >= SEC / 2 && s[3].s_woke - t0 < 30 * SEC, "a span is a span");
}

/* --- timers ------------------------------------------------------------------------ */

static int
expires_within(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigtimedwait(&set, NULL, &ts) == SIGUSR1;
}

static void
test_timers(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec it = { { 0, 0 }, { 0, 0 } }, left;
	sigset_t set;
	timer_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	is_ok(timer_create(CLOCK_REALTIME, &ev, &t), "a timer by the wall clock");
	it.it_value = to_ts(wall_ns() + HOUR);
	timer_settime(t, TIMER_ABSTIME, &it, NULL);
	ok(!expires_within(50), "set for the time in an hour, does not expire");
	move_clock(2 * HOUR);
	ok(expires_within(30000), "until the clock is set after that");
	it.it_value = to_ts(SEC * 600);
	timer_settime(t, 0, &it, NULL);
	move_clock(2 * HOUR);
	ok(!expires_within(100), "a span of ten minutes is not over two wall hours later");
	timer_gettime(t, &left);
	ok(left.it_value.tv_sec >= 500 && left.it_value.tv_sec < 600, "and it says so");
	it.it_value = to_ts(wall_ns() + HOUR);
	timer_settime(t, TIMER_ABSTIME, &it, NULL);
	move_clock(-HOUR);
	timer_gettime(t, &left);
	ok(left.it_value.tv_sec > 7000 && left.it_value.tv_sec <= 7200,
	    "back: it has two hours left");
	timer_delete(t);
}

/* --- errors -------------------------------------------------------------------------- */

static int
as_user(void *arg)
{
	struct timespec ts = to_ts(wall_ns());
	struct timeval tv = { ts.tv_sec, 0 };

	(void)arg;
	if (setuid(54321) == -1)
		return 1;
	if (clock_settime(CLOCK_REALTIME, &ts) != -1 || errno != EPERM)
		return 2;
	return settimeofday(&tv, NULL) == -1 && errno == EPERM ? 0 : 3;
}

static void
test_calls(void)
{
	struct timespec ts = { 2000000000, 0 }, bad = { 5, 1000000000 }, old = { 0, 0 };
	struct timeval tv = { 1900000000, 500000 };
	long long mono = now_ns();

	is_int(clock_settime(CLOCK_REALTIME, &ts), 0, "the superuser sets the clock");
	ok(wall_ns() >= 2000000000 * SEC && wall_ns() < 2000000060 * SEC, "it shows that time");
	ok(now_ns() - mono < 60 * SEC, "the monotonic clock has not moved");
	is_int((int)syscall(SYS_settimeofday, &tv, NULL), 0, "settimeofday");
	ok(wall_ns() >= 1900000000 * SEC + SEC / 2 && wall_ns() < 1900000060 * SEC, "does it, too");
	is_err(clock_settime(CLOCK_MONOTONIC, &ts), EINVAL, "the monotonic clock: EINVAL");
	is_err(clock_settime(CLOCK_PROCESS_CPUTIME_ID, &ts), EINVAL, "CPU time: EINVAL");
	is_err(clock_settime(77, &ts), EINVAL, "no such clock: EINVAL");
	is_err(clock_settime(CLOCK_REALTIME, &bad), EINVAL, "too many nanoseconds: EINVAL");
	is_err(clock_settime(CLOCK_REALTIME, &old), EINVAL,
	    "a time that lets the boot have been before 1970: EINVAL");
	is_err(clock_settime(CLOCK_REALTIME, hide(8)), EFAULT, "a bad address: EFAULT");
	is_exit(run_child(as_user, NULL), 0, "for others: EPERM");
	is_err(
	    syscall(SYS_restart_syscall), EINTR, "restart_syscall, with nothing to restart: EINTR");
}

int
main(void)
{
	test_calls();
	test_sleeps();
	test_timers();
	return tap_done();
}
