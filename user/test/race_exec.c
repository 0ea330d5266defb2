/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B31: eight threads of one process exec, exit, fork and leave at once.  One
 * of them wins, in bounded time.  B59's cousin: no thread of the old image
 * starts another after the winner is alone.
 *
 * test: timeout=90
 * test: name=commit smp=2,4 append="fp=exec-commit:500" args="12" host=no
 * test: name=b31 smp=2,4 append="fp=lend-restart:50,zombie-before-switch:200,switch-before-clear-RUNNING:200" args="12" host=no
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define NT      8
#define STK     16384
#define LIMIT   15000
#define BY_EXEC 21
#define BY_EXIT 22

enum { DO_EXEC, DO_GROUP, DO_FORK, DO_LEAVE };

extern char **environ;

struct job {
	int j_what;
	unsigned j_skew;
};

static atomic_int met;
static struct job job[NT];
static char *stk, *exec_argv[3];

static int
act(void *arg)
{
	struct job *j = arg;
	int i;

	thr_meet(&met, NT);
	thr_spin(j->j_skew);
	switch (j->j_what) {
	case DO_EXEC:
		raw3(SYS_execve, (long)exec_argv[0], (long)exec_argv, (long)environ);
		raw3(RAW_EXIT_GROUP, 97, 0, 0);
		break;
	case DO_GROUP:
		raw3(RAW_EXIT_GROUP, BY_EXIT, 0, 0);
		break;
	case DO_FORK:
		for (i = 0; i < 4; i++)
			if (raw0(SYS_fork) == 0)
				raw3(RAW_EXIT_GROUP, 0, 0, 0);
		break;
	default:
		break;
	}
	return 0;
}

static int
many(void *arg)
{
	static atomic_int tid[NT];
	long i;

	(void)arg;
	for (i = 1; i < NT; i++)
		if (thr_start(stk + i * STK, act, &job[i], &tid[i]) < 0)
			return 99;
	act(&job[0]);
	return 98;
}

static void
test_rounds(long n, int all_exec, struct rng *r, const char *what)
{
	long i, good = 0, execs = 0;
	int k, st;

	for (i = 0; i < n; i++) {
		for (k = 0; k < NT; k++) {
			job[k].j_what = all_exec ? DO_EXEC : (int)rng_below(r, DO_LEAVE + 1);
			job[k].j_skew = rng_below(r, 500);
		}
		job[0].j_what = all_exec || rng_below(r, 2) ? DO_EXEC : DO_GROUP;
		st = reap_ms(spawn(many, NULL), LIMIT);
		if (st >= 0 && WIFEXITED(st) &&
		    (WEXITSTATUS(st) == BY_EXEC || (!all_exec && WEXITSTATUS(st) == BY_EXIT)))
			good++;
		else if (i - good < 3)
			diag("why: round %ld: %s", i, st < 0 ? "it hangs" : status_text(st));
		if (st < 0)
			break;
		execs += WEXITSTATUS(st) == BY_EXEC;
	}
	diag("%ld times exec won", execs);
	is_int(good, n, "%s", what);
}

int
main(int argc, char **argv)
{
	struct rng r;
	int st, bad = 0;
	long n;

	if (argc > 1 && strcmp(argv[1], "role-won") == 0)
		return BY_EXEC;
	n = arg_rounds(argc, argv, 24);
	rng_seed(&r, rng_arg(argc, argv));
	become_reaper();
	exec_argv[0] = (char *)self_path();
	exec_argv[1] = (char *)"role-won";
	stk = private_mem(NT * STK);
	test_rounds(n, 1, &r, "B31: eight threads exec at once, one wins");
	test_rounds(n, 0, &r, "B31: exec, exit_group, fork and exit of threads at once");
	while (waitpid(-1, &st, 0) > 0)
		bad += st != 0;
	is_int(bad, 0, "what the losers had forked ended by itself");
	return tap_done();
}
