/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last threads of a process leave at once, and nobody may be left over:
 * B60 (two threads exit together, nobody is last), B47 (all leave singly),
 * B50 (collected before the last has left the CPU).
 *
 * test: timeout=60
 * test: name=b60 smp=2,4 append="fp=zombie-before-switch:200,exit-after-DEAD:200" args="100" host=no
 * test: name=b50 smp=2,4 append="fp=switch-before-clear-RUNNING:200" args="100" host=no
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define STK   16384
#define MANY  6
#define LIMIT 10000

static atomic_int met;
static unsigned skew[2];
static char *stk;

static int
leave(void *arg)
{
	thr_meet(&met, 2);
	thr_spin(skew[1]);
	return (int)(long)arg;
}

/* One thread leaves with 4 while the lead makes the call. */
static int
leave_beside(long call, int status)
{
	static atomic_int tid;

	if (thr_start(stk + STK, leave, (void *)4, &tid) < 0)
		return 99;
	thr_meet(&met, 2);
	thr_spin(skew[0]);
	raw3(call, status, 0, 0);
	return 98;
}

static int
two_leave(void *arg)
{
	(void)arg;
	return leave_beside(RAW_EXIT, 3);
}

static int
leave_and_group(void *arg)
{
	(void)arg;
	return leave_beside(RAW_EXIT_GROUP, 5);
}

static int
group_thread(void *arg)
{
	thr_meet(&met, MANY + 1);
	raw3(RAW_EXIT_GROUP, 10 + (long)arg, 0, 0);
	return 98;
}

static int
all_exit_group(void *arg)
{
	static atomic_int tid[MANY];
	long i;

	(void)arg;
	for (i = 0; i < MANY; i++)
		if (thr_start(stk + (i + 1) * STK, group_thread, (void *)i, &tid[i]) < 0)
			return 99;
	thr_meet(&met, MANY + 1);
	raw3(RAW_EXIT_GROUP, 10 + MANY, 0, 0);
	return 98;
}

static void
test_round(child_fn fn, long n, int lo, int hi, struct rng *r, const char *what)
{
	long i, good = 0;
	int st;

	for (i = 0; i < n; i++) {
		skew[0] = rng_below(r, 400);
		skew[1] = rng_below(r, 400);
		st = reap_ms(spawn(fn, NULL), LIMIT);
		if (st >= 0 && WIFEXITED(st) && WEXITSTATUS(st) >= lo && WEXITSTATUS(st) <= hi)
			good++;
		else if (i - good < 3)
			diag("why: round %ld: %s", i, st < 0 ? "it never ended" : status_text(st));
		if (st < 0)
			break;
	}
	is_int(good, n, "%s", what);
}

int
main(int argc, char **argv)
{
	long n = arg_long(argc, argv, 1, 300);
	struct rng r;

	rng_seed(&r, rng_arg(argc, argv));
	stk = private_mem(MANY * STK);
	test_round(
	    two_leave, n, 3, 4, &r, "B60: the last two threads leave at once: status of one");
	test_round(leave_and_group, n, 5, 5, &r, "one leaves while the other ends the process");
	test_round(all_exit_group, n / 4, 10, 10 + MANY, &r,
	    "seven threads end the process at once: status of one");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
