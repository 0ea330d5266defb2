/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads wait for the same children.  Each child goes to exactly one.
 * B37 (exit between scan and sleep), B25's rule for processes (any-wait against
 * named wait), B36 (seen dead, yet not to be collected).
 *
 * test: timeout=90
 * test: name=b37 smp=2,4 append="fp=wait-scan-to-sleep:500" args="24" host=no
 * test: name=b36 smp=2,4 append="fp=exit-after-DEAD:300,exit-after-wake-before-switch:300" args="24" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define COLLECTORS 4
#define LIVE       64 /* children alive at a time */

static atomic_int met, got, none, other;
static unsigned skew;

static int
late_exit(void *arg)
{
	thr_spin(skew);
	return (int)(long)arg;
}

static void *
wait_one(void *arg)
{
	pid_t pid = *(pid_t *)arg, r;
	int st;

	thr_meet(&met, 2);
	r = waitpid(pid, &st, 0);
	if (r == pid && WIFEXITED(st) && WEXITSTATUS(st) == 17)
		atomic_fetch_add(&got, 1);
	else if (r == -1 && errno == ECHILD)
		atomic_fetch_add(&none, 1);
	else
		atomic_fetch_add(&other, 1);
	return NULL;
}

static void
test_same_child(long n, struct rng *r)
{
	long i, good = 0;
	pthread_t t;
	pid_t pid;

	for (i = 0; i < n; i++) {
		atomic_store(&met, 0);
		atomic_store(&got, 0);
		atomic_store(&none, 0);
		skew = rng_below(r, 3000);
		pid = spawn(late_exit, (void *)17);
		pthread_create(&t, NULL, wait_one, &pid);
		wait_one(&pid);
		pthread_join(t, NULL);
		if (atomic_load(&got) == 1 && atomic_load(&none) == 1)
			good++;
		else if (i - good < 3)
			diag("why: round %ld: %d got it, %d saw ECHILD", i, atomic_load(&got),
			    atomic_load(&none));
	}
	is_int(good, n, "two threads wait for one child: one gets it, the other ECHILD");
	is_int(atomic_load(&other), 0, "and nobody anything else");
}

/* --- any-waits ------------------------------------------------------------------ */
static pid_t *made, *collected;
static atomic_int ncollected, finished;
static long total;

static void *
collect_any(void *arg)
{
	pid_t r;
	int st, i;

	for (;;) {
		r = waitpid(-1, &st, (long)arg == 0 ? WNOHANG : 0);
		if (r > 0) {
			i = atomic_fetch_add(&ncollected, 1);
			if (i < total)
				collected[i] = WIFEXITED(st) && WEXITSTATUS(st) == 9 ? r : -1;
		} else if (r == -1 && errno != ECHILD) {
			atomic_fetch_add(&other, 1);
		} else if (r == -1 && atomic_load(&finished)) {
			break;
		} else
			usleep(100); /* leave the locks to the others */
	}
	return NULL;
}

static int
cmp(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

static void
test_any(struct rng *r)
{
	pthread_t t[COLLECTORS];
	long i, bad = 0;

	made = calloc((size_t)total, sizeof(*made));
	collected = calloc((size_t)total, sizeof(*collected));
	atomic_store(&other, 0);
	for (i = 0; i < COLLECTORS; i++)
		pthread_create(&t[i], NULL, collect_any, (void *)i);
	for (i = 0; i < total; i++) {
		while (i - atomic_load(&ncollected) >= LIVE)
			sched_yield();
		skew = rng_below(r, 1000);
		made[i] = spawn(late_exit, (void *)9);
		if (made[i] == -1)
			bail_out("fork %ld", i);
	}
	atomic_store(&finished, 1);
	for (i = 0; i < COLLECTORS; i++)
		pthread_join(t[i], NULL);
	is_int(atomic_load(&ncollected), total, "four threads collect as many as were made");
	qsort(made, (size_t)total, sizeof(*made), cmp);
	qsort(collected, (size_t)total, sizeof(*collected), cmp);
	for (i = 0; i < total; i++)
		bad += made[i] != collected[i];
	is_int(bad, 0, "each child exactly once");
	is_int(atomic_load(&other), 0, "no other answer than a child or ECHILD");
}

/* Named waits in one thread against an any-wait in another: nothing is lost, nobody hangs. */
static void
test_mixed(long n)
{
	long i, k, bad = 0;
	pid_t pid[8];
	int st;

	for (i = 0; i < n / 8; i++) {
		for (k = 0; k < 8; k++)
			pid[k] = spawn(late_exit, (void *)(k + 1));
		for (k = 7; k >= 4; k--)
			bad += waitpid(pid[k], &st, 0) != pid[k] || st != (k + 1) << 8;
		for (k = 0; k < 4; k++)
			bad += waitpid(-1, &st, 0) <= 0 || st >> 8 > 4;
		bad += waitpid(-1, &st, WNOHANG) != -1 || errno != ECHILD;
	}
	is_int(bad, 0, "named waits and any-waits take turns");
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 40);
	struct rng r;

	rng_seed(&r, rng_arg(argc, argv));
	test_same_child(n, &r);
	total = n * 4;
	test_any(&r);
	test_mixed(n);
	return tap_done();
}
