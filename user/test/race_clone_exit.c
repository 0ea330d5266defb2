/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exit_group, or a fatal signal, while every thread of the process is making
 * others: no newborn is missed (P5 of the invariants: a newborn of an exiting
 * process is told to exit too).  Rows B24, B50, and B59 within one process.
 * And a hold of a process between its birth and its start (no such thing on
 * other kernels).
 *
 * test: timeout=60
 * test: name=newborn smp=2,4 append="fp=id-published-not-started:300" args="16" host=no
 * test: name=corpse smp=2,4 append="fp=zombie-before-switch:200,free-after-IDL-before-id:200" args="16" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define CREATORS 4
#define POOL     8
#define STK      8192
#define LIMIT    10000

static atomic_int *beats; /* shared: moves while any thread of the child runs */
static unsigned delay;
static int by_signal;
static char *stk;
static atomic_int tid[CREATORS][POOL + 1];

static int
newborn(void *arg)
{
	(void)arg;
	atomic_fetch_add(beats, 1);
	return 0;
}

static int
creator(void *arg)
{
	long c = (long)arg;
	char *mine = stk + c * (POOL + 1) * STK;
	int k;

	for (;;)
		for (k = 1; k <= POOL; k++) {
			thr_join(&tid[c][k]);
			thr_start(mine + (k + 1) * STK, newborn, NULL, &tid[c][k]);
			atomic_fetch_add(beats, 1);
		}
	return 0;
}

static int
busy(void *arg)
{
	long c;

	(void)arg;
	for (c = 0; c < CREATORS; c++)
		if (thr_start(stk + (c * (POOL + 1) + 1) * STK, creator, (void *)c, &tid[c][0]) < 0)
			return 99;
	while (atomic_load(beats) < 20)
		raw0(RAW_YIELD);
	thr_spin(delay);
	if (by_signal)
		raw3(62 /* kill */, raw0(RAW_GETPID), SIGTERM, 0);
	raw3(RAW_EXIT_GROUP, 33, 0, 0);
	return 98;
}

static void
test_rounds(long n, struct rng *r, const char *what)
{
	long i, good = 0, moved = 0;
	int st, v;

	for (i = 0; i < n; i++) {
		atomic_store(beats, 0);
		delay = rng_below(r, 20000);
		st = reap_ms(spawn(busy, NULL), LIMIT);
		v = atomic_load(beats);
		if (st >= 0 &&
		    (by_signal ? WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM
			       : WIFEXITED(st) && WEXITSTATUS(st) == 33))
			good++;
		else if (i - good < 3)
			diag("why: round %ld: %s", i, st < 0 ? "it hangs" : status_text(st));
		if (st < 0)
			break;
		if (i % 4 == 0)
			sleep_ms(2);
		moved += atomic_load(beats) != v;
	}
	is_int(good, n, "%s", what);
	is_int(moved, 0, "no thread outlives its process");
}

/* The child's id is told before it is started: who holds it then need not wait for anything else to happen. */
static void *
hold_newborn(void *arg)
{
	char cmd[40];
	int pid;

	while ((pid = atomic_load((atomic_int *)arg)) == 0)
		continue;
	snprintf(cmd, sizeof(cmd), "hold %d 0", pid);
	return hide((uintptr_t)-dbg_cmd(cmd));
}

static int
births(void *arg)
{
	static atomic_int told;
	pthread_t t;
	void *error;

	for (int i = 0; i < *(int *)arg; i++) {
		long pid;

		atomic_store(&told, 0);
		pthread_create(&t, NULL, hold_newborn, &told);
		pid = thr_clone(
		    CLONE_PARENT_SETTID | SIGCHLD, stk + STK, newborn, NULL, &told, NULL, 0);
		pthread_join(t, &error);
		reap((pid_t)pid);
		if (error != NULL && error != (void *)ESRCH && error != (void *)ENOSYS)
			return 1;
	}
	return 0;
}

static void
test_newborn(int n)
{
	fp_arm("child-not-started", 20000);
	is_exit(reap_ms(spawn(births, &n), 30000), 0, "held between its birth and its start");
	fp_arm("child-not-started", 0);
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 20);
	struct rng r;

	rng_seed(&r, rng_arg(argc, argv));
	beats = shared_mem(PAGE);
	stk = private_mem(CREATORS * (POOL + 1) * STK);
	test_rounds(n, &r, "exit_group while four threads create threads");
	by_signal = 1;
	test_rounds(n, &r, "SIGTERM while four threads create threads");
	test_newborn(8);
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
