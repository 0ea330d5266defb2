/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Park, unpark, wakeup. B30 (lost unpark; both forms of time), B35 (an old cancel makes a later sleep
 * fail), B11 (flags survive a wakeup).
 *
 * test: host=no
 * test: name=b30 args="1500" append="fp=sleep-queued-not-switched:100" smp=2,4 host=no timeout=60
 * test: name=b35 args="1000" append="fp=timer-fired-not-run:200,woken-while-RUNNING:50" host=no timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define NONE 0x3ffffff
#define MS   1000000L

static char stacks[4][LWP_STACK] __attribute__((aligned(64)));
static lwpid_t main_lid;
static atomic_int turn, result;

static int
park(long ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	return _lwp_park(CLOCK_MONOTONIC, 0, ns < 0 ? NULL : &ts, 0, NULL, NULL);
}

static void
test_errors(void)
{
	struct timespec ts = { 0, 20 * MS };
	lwpid_t ids[3];
	long long t0;

	is_err(park(0), ETIMEDOUT, "park: no time");
	is_err(_lwp_park(CLOCK_MONOTONIC, 0, hide(8), 0, NULL, NULL), EFAULT, "park: bad address");
	ts.tv_nsec = 1000000000;
	is_err(_lwp_park(CLOCK_MONOTONIC, 0, &ts, 0, NULL, NULL), EINVAL, "park: bad time");
	ts.tv_nsec = 0;
	is_err(_lwp_park(77, 0, &ts, 0, NULL, NULL), EINVAL, "park: bad clock");
	is_err(_lwp_park(CLOCK_MONOTONIC, 64, &ts, 0, NULL, NULL), EINVAL, "park: bad flag");
	is_err(_lwp_park(CLOCK_MONOTONIC, 0, NULL, NONE, NULL, NULL), ESRCH,
	    "park: nobody to unpark: does not park");
	is_err(_lwp_unpark(NONE, NULL), ESRCH, "unpark: no such LWP");

	ts.tv_nsec = 20 * MS;
	t0 = now_ns();
	is_err(_lwp_park(CLOCK_MONOTONIC, 0, &ts, 0, NULL, NULL), ETIMEDOUT, "park: a span passes");
	ok(now_ns() - t0 >= 20 * MS, "not earlier");
	ok(ts.tv_sec == 0 && ts.tv_nsec == 0, "nothing of it is left");
	clock_gettime(CLOCK_REALTIME, &ts);
	is_err(_lwp_park(CLOCK_REALTIME, 1, &ts, 0, NULL, NULL), ETIMEDOUT,
	    "park: a time of the wall clock that is over");
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20 * MS;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	t0 = now_ns();
	is_err(_lwp_park(CLOCK_REALTIME, TIMER_ABSTIME, &ts, 0, NULL, NULL), ETIMEDOUT,
	    "park: a time of the wall clock");
	ok(now_ns() - t0 >= 19 * MS && now_ns() - t0 < 60000 * MS, "passes in time");

	is_ok(_lwp_unpark(main_lid, NULL), "unpark oneself: a token");
	is_ok(_lwp_unpark(main_lid, NULL), "a second one makes no two");
	is_err(park(-1), EALREADY, "park takes it");
	is_err(park(5 * MS), ETIMEDOUT, "and there is no other");
	is_err(_lwp_park(CLOCK_MONOTONIC, 0, NULL, main_lid, NULL, NULL), EALREADY,
	    "park with oneself to unpark");

	is_int(_lwp_unpark_all(NULL, 0, NULL), 1024, "unpark_all tells its limit");
	ids[0] = ids[2] = main_lid;
	ids[1] = NONE;
	is_err(_lwp_unpark_all(ids, 0, NULL), EINVAL, "unpark_all: none");
	is_err(_lwp_unpark_all(ids, 1025, NULL), EINVAL, "unpark_all: too many");
	is_err(_lwp_unpark_all(hide(8), 1, NULL), EFAULT, "unpark_all: bad address");
	is_int(_lwp_unpark_all(ids, 1, NULL), 1, "unpark_all: how many");
	is_err(park(-1), EALREADY, "a token from it");
	is_err(_lwp_unpark_all(ids + 1, 2, NULL), ESRCH, "unpark_all: one is missing");
	is_err(park(-1), EALREADY, "the other has its token");
}

/* --- every unpark lets exactly one park return ------------------------------------ */
static void
ping(void *arg)
{
	long n = (long)arg;

	while (n-- > 0) {
		while (atomic_load(&turn) == 0)
			_lwp_park(CLOCK_MONOTONIC, 0, NULL, 0, NULL, NULL);
		atomic_store(&turn, 0);
		_lwp_unpark(main_lid, NULL);
	}
}

static void
test_no_loss(long n)
{
	lwpid_t peer;
	long i;

	atomic_store(&turn, 0);
	peer = lwp_start(stacks[0], ping, (void *)n, 0);
	for (i = 0; i < n; i++) {
		atomic_store(&turn, 1);
		_lwp_unpark(peer, NULL);
		while (atomic_load(&turn) == 1)
			_lwp_park(CLOCK_MONOTONIC, 0, NULL, 0, NULL, NULL);
	}
	is_ok(_lwp_wait(peer, NULL), "no unpark is lost (B30)");
	(void)park(0); /* the last token may be left */
}

/*
 * Waits until *w is not `old` any more; in the kernel if that takes long: who spins keeps a loaded host from running
 * whom it waits for.
 */
static int
until_not(atomic_int *w, int old)
{
	for (int i = 0; atomic_load(w) == old; i++)
		if (i < 100)
			raw0(RAW_YIELD);
		else
			(void)raw6(RAW_FUTEX, (long)w, FUT_WAIT, old, 0, 0, 0);
	return atomic_load(w);
}

static void
tell(atomic_int *w, int v)
{
	atomic_store(w, v);
	(void)raw6(RAW_FUTEX, (long)w, FUT_WAKE, 1, 0, 0, 0);
}

/* A token that races with the end of the time is given to one park, this one or the next. */
static void
unpark_late(void *arg)
{
	(void)arg;
	while (until_not(&turn, 0) > 0) {
		thr_spin(50);
		atomic_store(&turn, 0);
		_lwp_unpark(main_lid, NULL);
		tell(&result, atomic_load(&result) + 1);
	}
}

static void
test_late_token(long n)
{
	long i, taken = 0, doubled = 0;
	lwpid_t peer;
	int sent;

	atomic_store(&turn, 0);
	atomic_store(&result, 0);
	peer = lwp_start(stacks[0], unpark_late, NULL, 0);
	for (i = 0; i < n; i++) {
		sent = atomic_load(&result);
		tell(&turn, 1);
		if (park(20000) == 0 || errno == EALREADY) {
			taken++;
			(void)until_not(&result, sent);
		} else {
			(void)until_not(&result, sent);
			if (park(0) == -1 && errno == EALREADY)
				taken++;
		}
		doubled += park(0) == 0 || errno != ETIMEDOUT;
	}
	tell(&turn, -1);
	_lwp_wait(peer, NULL);
	while (park(0) == 0 || errno == EALREADY)
		continue;
	is_int(taken, n, "a token that comes as the time runs out is not lost");
	is_int(doubled, 0, "and not given twice");
}

/* --- wakeup ---------------------------------------------------------------------- */
static atomic_int naps;

static void
nap_twice(void *arg)
{
	struct timespec ts = { 5, 0 };

	(void)arg;
	atomic_store(&naps, 1);
	if (raw3(35, (long)&ts, 0, 0) == -EINTR)
		atomic_store(&naps, 2);
	ts.tv_sec = 0;
	ts.tv_nsec = 3 * MS;
	if (raw3(35, (long)&ts, 0, 0) == 0 && park(3 * MS) == -1 && errno == ETIMEDOUT)
		atomic_store(&naps, 3);
}

static void
park_twice(void *arg)
{
	(void)arg;
	atomic_store(&naps, 1);
	if (park(-1) == -1 && (errno == EINTR || errno == EALREADY))
		atomic_store(&naps, 2);
	if (park(3 * MS) == -1 && errno == ETIMEDOUT)
		atomic_store(&naps, 3);
}

static void
busy(void *arg)
{
	struct timespec ts = { 5, 0 };

	(void)arg;
	atomic_store(&naps, 1);
	lwp_until(&naps, 2);
	/* The cancel has stayed. */
	atomic_store(&result, (int)raw3(35, (long)&ts, 0, 0));
}

static void
wait_child_vfork(void *arg)
{
	static char child[LWP_STACK] __attribute__((aligned(64)));
	/* vfork semantics by clone: the child runs on another stack. */
	extern int vfork_child(void *);

	(void)arg;
	atomic_store(&naps, 1);
	(void)thr_clone(0x4100 | SIGCHLD, child + sizeof(child), vfork_child, NULL, NULL, NULL, 0);
	atomic_store(&result, (int)raw6(61, -1, 0, 0, 0, 0, 0));
}

int
vfork_child(void *arg)
{
	(void)arg;
	while (atomic_load(&naps) < 2)
		raw0(RAW_YIELD);
	return 0;
}

static void
test_wakeup(long n)
{
	long i, good = 0;
	lwpid_t lid;

	for (i = 0; i < n; i++) {
		atomic_store(&naps, 0);
		lid = lwp_start(stacks[0], i % 2 ? park_twice : nap_twice, NULL, 0);
		lwp_until(&naps, 1);
		(void)_lwp_wakeup(lid); /* before the sleep, or during it */
		_lwp_wait(lid, NULL);
		good += atomic_load(&naps) == 3;
	}
	is_int(good, n, "wakeup ends one sleep, the next one sleeps (B35)");
	is_err(_lwp_wakeup(NONE), ESRCH, "wakeup: no such LWP");
	is_err(_lwp_wakeup(main_lid), ENODEV, "wakeup: one that does not sleep");
	is_err(park(-1), EALREADY, "the cancel stays for its next sleep");
	is_err(park(0), ETIMEDOUT, "and no longer");
	atomic_store(&naps, 0);
	lid = lwp_start(stacks[0], busy, NULL, 0);
	lwp_until(&naps, 1);
	is_err(_lwp_wakeup(lid), ENODEV, "wakeup: one that runs");
	atomic_store(&naps, 2);
	_lwp_wait(lid, NULL);
	is_int(atomic_load(&result), -EINTR, "its next sleep ends, whatever sleep it is");
	atomic_store(&naps, 0);
	lid = lwp_start(stacks[0], wait_child_vfork, NULL, 0);
	lwp_until(&naps, 1);
	for (i = 0; i < 20000 && (_lwp_wakeup(lid), errno != EBUSY); i++)
		usleep(1000);
	is_err(_lwp_wakeup(lid), EBUSY, "wakeup: a sleep that cannot be interrupted");
	atomic_store(&naps, 2);
	_lwp_wait(lid, NULL);
}

static void
on_usr1(int sig)
{
	(void)sig;
	atomic_fetch_add(&naps, 1);
}

static void
signal_main(void *arg)
{
	(void)arg;
	while (atomic_load(&turn) == 0) { /* the first may come before it parks */
		usleep(10000);
		_lwp_kill(main_lid, SIGUSR1);
	}
}

static void
test_signal(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	lwpid_t lid;

	sigaction(SIGUSR1, &sa, NULL);
	atomic_store(&naps, 0);
	atomic_store(&turn, 0);
	lid = lwp_start(stacks[0], signal_main, NULL, 0);
	is_err(park(-1), EINTR, "park: a signal ends it, SA_RESTART or not");
	ok(atomic_load(&naps) > 0, "its handler has run");
	atomic_store(&turn, 1);
	_lwp_wait(lid, NULL);
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 80);

	main_lid = _lwp_self();
	test_errors();
	test_no_loss(n);
	test_late_token(n);
	test_wakeup(n / 20 + 2);
	test_signal();
	dbg_cmd("fsck");
	return tap_done();
}
