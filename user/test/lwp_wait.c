/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * _lwp_wait by several at once: circles, all waiting, and that each id is given exactly once.
 * B25 (EDEADLK false or missed; wait for one loses to wait for any), B7 (stale scan).
 *
 * test: name=b25 args="40" host=no timeout=60
 * test: name=b7 smp=2,4 args="40" append="fp=lwpwait-after-drop:300,free-after-IDL-before-id:300,zombie-before-switch:100" host=no timeout=90
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define CIRCLE 5
#define CROWD  24

static char stacks[CROWD + 4][LWP_STACK] __attribute__((aligned(64)));
static _Atomic(lwpid_t) next_of[CIRCLE];
static atomic_int deadlocks, joined, other, ready, go;

/* Waits for the next in the circle, after `arg` others do. */
static void
in_circle(void *arg)
{
	long i = (long)arg;
	int r;

	lwp_until(&go, (int)i + 1);
	atomic_store(&go, (int)i + 2);
	r = _lwp_wait(atomic_load(&next_of[i]), NULL);
	if (r == 0)
		atomic_fetch_add(&joined, 1);
	else if (errno == EDEADLK)
		atomic_fetch_add(&deadlocks, 1);
	else if (errno != ESRCH)
		atomic_fetch_add(&other, 1);
}

/* One of a circle of n must see it; its end then frees the others one by one. */
static void
test_circle(int n)
{
	lwpid_t id[CIRCLE];
	int i;

	atomic_store(&go, 0);
	atomic_store(&deadlocks, 0);
	atomic_store(&joined, 0);
	atomic_store(&other, 0);
	for (i = 0; i < n; i++)
		id[i] = lwp_start(stacks[i], in_circle, (void *)(long)i, 0);
	for (i = 0; i < n; i++)
		atomic_store(&next_of[i], id[(i + 1) % n]);
	atomic_store(&go, 1);
	lwp_until(&go, n + 1);
	while (atomic_load(&deadlocks) == 0 && atomic_load(&other) == 0)
		raw0(RAW_YIELD);
	while (_lwp_wait(0, NULL) == 0)
		continue;
	is_int(atomic_load(&deadlocks), 1, "a circle of %d: one is told", n);
	is_int(atomic_load(&other), 0, "and nobody anything wrong");
}

static void
wait_any(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ready, 1);
	if (_lwp_wait(0, NULL) == -1 && errno == EDEADLK)
		atomic_fetch_add(&deadlocks, 1);
}

static int
all_wait(void *arg)
{
	int i, n = (int)(long)arg;

	for (i = 0; i < n; i++)
		lwp_start(stacks[i], wait_any, NULL, 0);
	/* The last that joins is told; its end is then collected, and so on to the last one. */
	for (i = 0; i < n; i++)
		if (_lwp_wait(0, NULL) == -1 && errno != EDEADLK)
			break;
	return 17;
}

static void
quick(void *arg)
{
	thr_spin((unsigned)(long)arg);
}

/* --- each exactly once ----------------------------------------------------- */
static _Atomic(lwpid_t) made[CROWD], got[CROWD + 8];
static atomic_int ngot, bad;

static void
collect_any(void *arg)
{
	lwpid_t lid;

	(void)arg;
	lwp_until(&go, 1);
	for (;;) {
		if (_lwp_wait(0, &lid) == 0) {
			int i = atomic_fetch_add(&ngot, 1);

			if (i < CROWD + 8)
				atomic_store(&got[i], lid);
		} else if (errno == EINTR)
			return;
		else if (errno == EDEADLK || errno == ESRCH)
			raw0(RAW_YIELD);
		else
			atomic_fetch_add(&bad, 1);
	}
}

static void
test_exactly_once(long rounds, struct rng *r)
{
	long round, i, lost = 0, doubled = 0, named = 0;
	lwpid_t lid, c;

	atomic_store(&bad, 0);
	for (round = 0; round < rounds; round++) {
		atomic_store(&ngot, 0);
		atomic_store(&go, 0);
		c = lwp_start(stacks[CROWD], collect_any, NULL, LWP_DETACHED);
		for (i = 0; i < CROWD; i++)
			atomic_store(&made[i],
			    lwp_start(stacks[i], quick, (void *)(long)rng_below(r, 400),
				i % 6 == 5 ? LWP_DETACHED : 0));
		atomic_store(&go, 1);
		for (i = 0; i < CROWD; i += 3) {
			if (i % 6 == 5)
				continue;
			if (_lwp_wait(atomic_load(&made[i]), &lid) == 0) {
				named++;
				atomic_store(&got[atomic_fetch_add(&ngot, 1)], lid);
			} else if (errno != ESRCH && errno != EINVAL)
				atomic_fetch_add(&bad, 1);
		}
		for (;;) {
			if (_lwp_wait(0, &lid) == 0)
				atomic_store(&got[atomic_fetch_add(&ngot, 1)], lid);
			else if (errno == ESRCH)
				break;
			else if (errno != EDEADLK)
				atomic_fetch_add(&bad, 1);
		}
		while (_lwp_wakeup(c) == 0 || errno != ESRCH) /* it would wait for us */
			raw0(RAW_YIELD);
		for (i = 0; i < CROWD; i++) {
			int k, n = 0;

			for (k = 0; k < atomic_load(&ngot); k++)
				n += atomic_load(&got[k]) == atomic_load(&made[i]);
			lost += n == 0 && i % 6 != 5;
			doubled += n > 1 || (n == 1 && i % 6 == 5);
			while (i % 6 == 5 && _lwp_kill(atomic_load(&made[i]), 0) == 0)
				raw0(RAW_YIELD); /* it still uses its stack */
		}
	}
	is_int(lost, 0, "each LWP is collected");
	is_int(doubled, 0, "once, and no detached one");
	is_int(atomic_load(&bad), 0, "no other error than ESRCH and EDEADLK");
	diag("%ld by name", named);
}

/* Who waits for one is not robbed by who waits for any, and detach tells who waits. */
static _Atomic(lwpid_t) target;
static atomic_int outcome;

static void
wait_one(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ready, 1);
	atomic_store(&outcome, _lwp_wait(atomic_load(&target), NULL) == 0 ? -1 : errno);
}

static void
sleep_until_go(void *arg)
{
	(void)arg;
	while (atomic_load(&go) == 0)
		raw6(RAW_FUTEX, (long)&go, 0, 0, 0, 0, 0);
}

static void
let_go(void)
{
	atomic_store(&go, 1);
	raw3(RAW_FUTEX, (long)&go, 1, 100);
}

static void
test_named_first(long n)
{
	long i, robbed = 0, told = 0;
	lwpid_t w, lid;

	for (i = 0; i < n; i++) {
		atomic_store(&go, 0);
		atomic_store(&ready, 0);
		atomic_store(&target, lwp_start(stacks[0], sleep_until_go, NULL, 0));
		w = lwp_start(stacks[1], wait_one, NULL, 0);
		lwp_until(&ready, 1);
		usleep(1000);
		let_go();
		_lwp_wait(0, &lid); /* must be the waiter itself: the target is marked */
		robbed += lid != w || atomic_load(&outcome) != -1;
		while (_lwp_wait(0, &lid) == 0)
			continue;

		atomic_store(&go, 0);
		atomic_store(&ready, 0);
		atomic_store(&target, lwp_start(stacks[0], sleep_until_go, NULL, 0));
		w = lwp_start(stacks[1], wait_one, NULL, 0);
		lwp_until(&ready, 1);
		usleep(1000);
		_lwp_detach(atomic_load(&target));
		_lwp_wait(w, NULL);
		told += atomic_load(&outcome) == EINVAL;
		let_go();
		while (_lwp_kill(atomic_load(&target), 0) == 0)
			raw0(RAW_YIELD);
	}
	is_int(robbed, 0, "a wait for one comes before a wait for any");
	is_int(told, n, "a detach ends the wait for it: EINVAL");
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 8);
	struct rng r;
	int i;

	rng_seed(&r, rng_arg(argc, argv));
	for (i = 2; i <= CIRCLE; i++)
		test_circle(i);
	for (i = 1; i <= 3; i++)
		is_exit(run_child(all_wait, (void *)(long)i), 17, "all of %d wait: none for ever",
		    i + 1);
	test_exactly_once(n, &r);
	test_named_first(n / 4);
	dbg_cmd("fsck");
	return tap_done();
}
