/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Storm of the native calls: LWPs park, unpark, suspend, continue, wake and end each other, at random,
 * while others are created, detached and waited for; then the process exits in the middle of it.
 * B32 and B52 in all orders.
 *
 * test: args="3" host=no timeout=60
 * test: name=fp smp=4 args="3" append="fp=lwpwait-after-drop:50,sleep-queued-not-switched:50,woken-while-RUNNING:50,zombie-before-switch:50" host=no timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define WORKERS 6
#define MOVES   150

static char stacks[WORKERS][LWP_STACK] __attribute__((aligned(64)));
static _Atomic(lwpid_t) ids[WORKERS];
static atomic_int wrong, finished;
static uint64_t seed;

static int
expected(int r)
{
	return r >= 0 || errno == ESRCH || errno == EALREADY || errno == ETIMEDOUT ||
	    errno == EINTR || errno == ENODEV || errno == EBUSY || errno == EDEADLK ||
	    errno == EINVAL;
}

static void
worker(void *arg)
{
	struct timespec ts;
	struct rng r;
	int i, ret = 0;

	rng_seed(&r, seed + (uint64_t)(long)arg);
	for (i = 0; i < MOVES; i++) {
		lwpid_t other = atomic_load(&ids[rng_below(&r, WORKERS)]);

		ts.tv_sec = 0;
		ts.tv_nsec = rng_below(&r, 300000);
		switch (rng_below(&r, 9)) {
		case 0:
		case 1:
			ret = _lwp_park(CLOCK_MONOTONIC, 0, &ts, 0, NULL, NULL);
			break;
		case 2:
			ret = _lwp_park(CLOCK_MONOTONIC, 0, &ts, other, NULL, NULL);
			break;
		case 3:
			ret = _lwp_unpark(other, NULL);
			break;
		case 4:
			ret = other != _lwp_self() ? _lwp_suspend(other) : 0;
			break;
		case 5:
		case 6:
			ret = _lwp_continue(other);
			break;
		case 7:
			ret = _lwp_wakeup(other);
			break;
		default:
			ret = _lwp_kill(other, 0);
			break;
		}
		if (!expected(ret))
			atomic_fetch_add(&wrong, 1);
	}
	atomic_fetch_add(&finished, 1);
}

/* Continues everybody until all workers of a round are collected. */
static void
round_of(int n)
{
	int i, left = WORKERS;
	lwpid_t lid;

	atomic_store(&finished, 0);
	for (i = 0; i < WORKERS; i++)
		atomic_store(
		    &ids[i], lwp_start(stacks[i], worker, (void *)(long)(n * WORKERS + i), 0));
	while (atomic_load(&finished) < WORKERS) {
		for (i = 0; i < WORKERS; i++)
			(void)_lwp_continue(atomic_load(&ids[i]));
		usleep(200);
	}
	while (left > 0) {
		for (i = 0; i < WORKERS; i++)
			(void)_lwp_continue(atomic_load(&ids[i]));
		if (_lwp_wait(0, &lid) == 0)
			left--;
		else if (errno != EINTR)
			break;
	}
	if (left != 0)
		atomic_fetch_add(&wrong, 1);
}

static int
cut_short(void *arg)
{
	int i;

	for (i = 0; i < WORKERS; i++)
		atomic_store(&ids[i],
		    lwp_start(
			stacks[i], worker, (void *)((long)arg + i), i % 2 ? LWP_DETACHED : 0));
	usleep((unsigned)(long)arg % 7 * 500);
	return 11;
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 4), bad = 0;

	seed = rng_arg(argc, argv);
	for (i = 0; i < n; i++) {
		round_of((int)i);
		dbg_cmd("fsck");
	}
	is_int(
	    atomic_load(&wrong), 0, "all calls answer as they should, all workers are collected");
	for (i = 0; i < n * 4; i++) {
		int st = run_child(cut_short, (void *)i);

		bad += st != 11 << 8;
		dbg_cmd("fsck");
	}
	is_int(bad, 0, "a process may exit in the middle of it");
	return tap_done();
}
