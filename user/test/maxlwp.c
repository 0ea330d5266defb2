/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own limits, options maxlwp and maxproc: EAGAIN from fork, clone
 * and _lwp_create, a word on the console, the last few for the superuser, and
 * nothing lost by refusals (B1).
 *
 * test: name=lwps append="maxlwp=48" args="40 48 1" expect_log="limit: maxlwp=48 reached: [0-9]+ refused" host=no
 * test: name=procs append="maxproc=24" args="16 24 0" expect_log="limit: maxproc=24 reached: [0-9]+ refused" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lwp.h"
#include "tap.h"
#include "util.h"

#define MAX 64

static atomic_int *gate, *report;

static int
live(void *arg)
{
	(void)arg;
	word_wait(gate, 1);
	return 0;
}

/* Forks until it fails; how many there are then, `all` of before included. */
static int
fill(int all)
{
	int n = 0;

	while (n < MAX && spawn(live, NULL) != -1)
		n++;
	atomic_store(report, errno);
	return n + all;
}

static int
as_user(void *arg)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_NPROC, &all) == -1 || setuid(54321) == -1)
		return -1;
	return fill((int)(long)arg);
}

static void
release(void)
{
	word_add(gate, 1);
	reap_all();
	atomic_store(gate, 0);
}

static __attribute__((noinline)) int
refused_fork(int v)
{
	pid_t pid = v ? vfork() : fork();

	if (pid == 0)
		_exit(1);
	return pid == -1 && errno == EAGAIN;
}

static void
never(void *arg)
{
	(void)arg;
	_exit(2);
}

static int
refusals(void *arg)
{
	long i, n = (long)arg, again = 0;
	static char stack[8192];
	static ucontext_t uc;
	lwpid_t lid;

	for (i = 0; i < n; i++)
		again += refused_fork(i & 1);
	_lwp_makecontext(&uc, never, NULL, NULL, stack, sizeof(stack));
	for (i = 0; i < n; i++)
		again += _lwp_create(&uc, 0, &lid) == -1 && errno == EAGAIN;
	return again == 2 * n ? 0 : 1;
}

int
main(int argc, char **argv)
{
	long user = arg_long(argc, argv, 1, 0), all = arg_long(argc, argv, 2, 0);
	int st, n;

	gate = shared_mem(PAGE);
	report = gate + 1;
	for (n = 0; n < 2; n++) {
		/* The child is one of those that are counted, as we are. */
		st = run_child(as_user, (void *)2L);
		is_int(WEXITSTATUS(st), user, "a user finds the last eight reserved");
		is_int(atomic_load(report), EAGAIN, "fork: EAGAIN");
		release();
	}
	is_int(dbg_cmd("ledger-begin"), 0, "take the ledger");
	is_int(fill(1), all, "the superuser gets them all");
	is_int(atomic_load(report), EAGAIN, "and then EAGAIN");
	if (arg_long(argc, argv, 3, 0) != 0)
		is_int(refusals((void *)500L), 0, "B1: so do a thousand fork, vfork, _lwp_create");
	release();
	is_int(dbg_cmd("ledger-end"), 0, "B1: nothing was lost");
	is_int(fill(1), all, "and as many can be made again");
	release();
	return tap_done();
}
