/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A random tree of processes: forks, threads, exits, execs, vforks and kills
 * in an order that the seed chooses.  No row of its own; it mixes the windows
 * of B24, B26, B31, B46, B50, B60, B62 and B65.
 *
 * test: timeout=90 args="30"
 * test: name=fp-exit smp=2,4 timeout=120 append="fp=exit-after-DEAD:200,exit-after-wake-before-switch:200,zombie-before-switch:200" args="12" host=no
 * test: name=fp-switch smp=2,4 timeout=120 append="fp=switch-before-clear-RUNNING:200,lend-restart:50,woken-while-RUNNING:200" args="12" host=no
 * test: name=fp-exec smp=2,4 timeout=120 append="fp=exec-commit:500,vfork-release:500,id-published-not-started:200" args="12" host=no
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define DEPTH 3
#define STEPS 5
#define KIDS  16
#define STK   16384

extern char **environ;

/* What a process of the tree may end with. */
#define END_TREE  0
#define END_LEAF  21
#define END_GROUP 22

static void tree(struct rng *r, int depth) __attribute__((noreturn));

static void
exec_role(const char *role, int depth, uint32_t seed)
{
	char d[16], s[16], *argv[] = { (char *)self_path(), (char *)role, d, s, NULL };

	snprintf(d, sizeof(d), "%d", depth);
	snprintf(s, sizeof(s), "%u", seed);
	execve(argv[0], argv, environ);
	_exit(127);
}

static int
leaf(void *arg)
{
	(void)arg;
	return END_LEAF;
}

static void *
thread_step(void *arg)
{
	struct rng r;
	uint32_t what;

	rng_seed(&r, (uint64_t)(uintptr_t)arg);
	what = rng_below(&r, 16);
	thr_spin(rng_below(&r, 2000));
	if (what < 4)
		run_child(leaf, NULL);
	else if (what == 4)
		syscall(SYS_exit_group, END_GROUP);
	else if (what == 5)
		exec_role("role-leaf", 0, 0);
	return NULL;
}

static int
bare_step(void *arg)
{
	thr_spin((unsigned)(uintptr_t)arg % 2000);
	return 0;
}

static void
vfork_step(struct rng *r, pid_t *pid)
{
	char *argv[] = { (char *)self_path(), (char *)"role-leaf", (char *)"0", (char *)"0", NULL };
	int how = (int)rng_below(r, 3);

	*pid = vfork();
	if (*pid == 0) {
		if (how == 0)
			execve(argv[0], argv, environ);
		else if (how == 1)
			syscall(SYS_exit, END_LEAF);
		_exit(END_LEAF);
	}
}

static void
tree(struct rng *r, int depth)
{
	atomic_int tid[STEPS];
	pthread_t t[STEPS];
	pid_t kid[KIDS], pid;
	int i, nt = 0, nk = 0;
	char *stk;

	memset(tid, 0, sizeof(tid));
	for (i = 0; i < STEPS; i++) {
		switch (rng_below(r, 9)) {
		case 0:
		case 1:
		case 2:
			if (depth == 0)
				break;
			pid = fork();
			if (pid == 0) {
				rng_seed(r, rng_next(r) + (uint64_t)i * 77 + (uint64_t)depth);
				tree(r, depth - 1);
			}
			if (pid > 0)
				kid[nk++] = pid;
			break;
		case 3:
			if (pthread_create(
				&t[nt], NULL, thread_step, (void *)(uintptr_t)rng_next(r)) == 0)
				nt++;
			break;
		case 4:
			stk = private_mem(STK);
			thr_start(stk + STK, bare_step, (void *)(uintptr_t)rng_next(r), &tid[i]);
			break;
		case 5:
			vfork_step(r, &pid);
			if (pid > 0)
				kid[nk++] = pid;
			break;
		case 6:
			if (nk > 0)
				kill(kid[rng_below(r, (uint32_t)nk)], SIGKILL);
			break;
		case 7:
			if (nk > 0)
				reap(kid[--nk]);
			break;
		default:
			thr_spin(rng_below(r, 5000));
			break;
		}
	}
	switch (rng_below(r, 8)) {
	case 0:
		if (depth > 0)
			exec_role("role-tree", depth - 1, rng_next(r));
		break;
	case 1:
		exec_role("role-leaf", 0, 0);
		break;
	case 2:
		syscall(SYS_exit, END_TREE);
		break;
	case 3:
		for (i = 0; i < nt; i++)
			pthread_join(t[i], NULL);
		for (i = 0; i < STEPS; i++)
			thr_join(&tid[i]);
		break;
	default: /* leave with whatever still runs */
		break;
	}
	_exit(END_TREE);
}

int
main(int argc, char **argv)
{
	long i, n, odd = 0, started = 0, ended = 0, killed = 0;
	pid_t pid, trees[8];
	struct rng r;
	uint64_t seed;
	size_t k;
	int st;

	if (argc > 3 && strcmp(argv[1], "role-leaf") == 0)
		return END_LEAF;
	if (argc > 3 && strcmp(argv[1], "role-tree") == 0) {
		rng_seed(&r, (uint64_t)atol(argv[3]));
		tree(&r, atoi(argv[2]));
	}
	n = arg_rounds(argc, argv, 60);
	seed = rng_arg(argc, argv);
	become_reaper();
	memset(trees, 0, sizeof(trees));
	/* Up to eight trees grow at once; whoever ends is collected. */
	while (ended < n) {
		for (k = 0; k < NELEM(trees) && started < n; k++) {
			if (trees[k] != 0)
				continue;
			rng_seed(&r, seed * 1000003 + (uint64_t)started);
			pid = fork();
			if (pid == 0)
				tree(&r, DEPTH);
			if (pid == -1)
				bail_out("fork of tree %ld", started);
			trees[k] = pid;
			started++;
		}
		pid = waitpid(-1, &st, 0);
		if (pid == -1)
			break;
		for (k = 0; k < NELEM(trees); k++)
			if (trees[k] == pid) {
				trees[k] = 0;
				ended++;
			}
		killed += WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
		if ((WIFSIGNALED(st) && WTERMSIG(st) != SIGKILL) ||
		    (WIFEXITED(st) && WEXITSTATUS(st) != END_TREE && WEXITSTATUS(st) != END_LEAF &&
			WEXITSTATUS(st) != END_GROUP)) {
			if (odd++ < 5)
				diag("why: a process of the tree %s", status_text(st));
		}
	}
	for (i = 0; (pid = waitpid(-1, &st, 0)) > 0; i++)
		killed += WIFSIGNALED(st);
	diag("%ld orphans came late, %ld were killed", i, killed);
	is_int(ended, n, "every tree ends");
	is_int(odd, 0, "each process ends as it was told to");
	return tap_done();
}
