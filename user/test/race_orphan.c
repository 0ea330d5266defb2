/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parents and children that end together.  B62 (a child that is dead already
 * when its parent ends must still come to the reaper, which must be woken),
 * B65 (child list under concurrent exits of both).
 *
 * test: timeout=60
 * test: name=b62 smp=2,4 append="fp=exit-after-DEAD:300" args="24" host=no
 * test: name=b65 smp=2,4 append="fp=exit-after-wake-before-switch:300,zombie-before-switch:200" args="24" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define KIDS 3

enum { TOGETHER, KIDS_FIRST, PARENT_FIRST, NKINDS };

struct round {
	atomic_int r_met;   /* parent and children stand here before they leave */
	atomic_int r_dead;  /* the parent has left */
	atomic_int r_wrong; /* an orphan saw a wrong parent */
};

static struct round *rd;
static unsigned skew[KIDS + 1];
static int kind;
static pid_t reaper;

static int
child(void *arg)
{
	long k = (long)arg;

	if (kind == TOGETHER) {
		thr_meet(&rd->r_met, KIDS + 1);
		thr_spin(skew[k]);
	} else if (kind == PARENT_FIRST) {
		atomic_fetch_add(&rd->r_met, 1);
		word_wait(&rd->r_dead, 1);
		if (getppid() != reaper)
			atomic_fetch_add(&rd->r_wrong, 1);
	}
	return 10 + (int)k;
}

static int
parent(void *arg)
{
	siginfo_t si;
	pid_t pid[KIDS];
	long k;

	(void)arg;
	for (k = 0; k < KIDS; k++)
		if ((pid[k] = spawn(child, (void *)k)) == -1)
			return 99;
	if (kind == TOGETHER) {
		thr_meet(&rd->r_met, KIDS + 1);
		thr_spin(skew[KIDS]);
	} else if (kind == KIDS_FIRST) {
		/* All are dead and nobody has collected them. */
		for (k = 0; k < KIDS; k++)
			waitid(P_PID, (id_t)pid[k], &si, WEXITED | WNOWAIT);
	} else {
		while (atomic_load(&rd->r_met) < KIDS)
			raw0(RAW_YIELD);
	}
	return 20;
}

/* Collect the parent and its orphans; whether they came with their own statuses. */
static int
collect(pid_t pid)
{
	int seen[KIDS] = { 0 }, i, st, parents = 0;
	pid_t r;

	for (i = 0; i < KIDS + 1; i++) {
		r = waitpid(-1, &st, 0);
		if (r == -1 || !WIFEXITED(st)) {
			diag("why: wait %d gave %d, %s", i, (int)r, status_text(st));
			return 0;
		}
		if (r == pid) {
			parents += WEXITSTATUS(st) == 20;
			word_add(&rd->r_dead, 1);
		} else if (WEXITSTATUS(st) >= 10 && WEXITSTATUS(st) < 10 + KIDS)
			seen[WEXITSTATUS(st) - 10]++;
	}
	for (i = 0; i < KIDS; i++)
		if (seen[i] != 1)
			return 0;
	return parents == 1 && waitpid(-1, &st, WNOHANG) == -1 && errno == ECHILD;
}

static void
test_rounds(int how, long n, struct rng *r, const char *what)
{
	long i, k, good = 0;
	pid_t pid;

	kind = how;
	for (i = 0; i < n; i++) {
		atomic_store(&rd->r_met, 0);
		atomic_store(&rd->r_dead, 0);
		for (k = 0; k < KIDS + 1; k++)
			skew[k] = rng_below(r, 400);
		pid = spawn(parent, NULL);
		good += collect(pid);
	}
	is_int(good, n, "%s", what);
}

/* A tree in which nobody waits; everyone comes home. */
static int
subtree(void *arg)
{
	long depth = (long)arg;

	if (depth > 0) {
		spawn(subtree, (void *)(depth - 1));
		spawn(subtree, (void *)(depth - 1));
	}
	return 0;
}

/* --- getppid while the parent ends, is collected, and its memory is somebody else's --- */

static int
ask_parent(void *arg)
{
	pid_t parent = (pid_t)(long)arg, p;

	atomic_fetch_add(&rd->r_met, 1);
	while ((p = getppid()) != reaper)
		if (p != parent)
			atomic_fetch_add(&rd->r_wrong, 1);
	return 0;
}

static int
leave_asking(void *arg)
{
	long k;

	for (k = 0; k < KIDS; k++)
		spawn(ask_parent, (void *)(long)getpid());
	while (atomic_load(&rd->r_met) < KIDS)
		raw0(RAW_YIELD);
	return arg != NULL;
}

static void
test_getppid(long n)
{
	long i, k;

	atomic_store(&rd->r_wrong, 0);
	for (i = 0; i < n; i++) {
		atomic_store(&rd->r_met, 0);
		reap(spawn(leave_asking, NULL));
		for (k = 0; k < KIDS; k++)
			run_child(subtree, (void *)0L);
		reap_all();
	}
	is_int(atomic_load(&rd->r_wrong), 0, "getppid names the parent or the reaper, nobody else");
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 48), trees = n / 12 + 1;
	struct rng r;

	rng_seed(&r, rng_arg(argc, argv));
	become_reaper();
	reaper = getpid();
	rd = shared_mem(PAGE);
	test_rounds(TOGETHER, n, &r, "B65: parent and three children end together");
	test_rounds(KIDS_FIRST, n, &r, "B62: children dead before the parent ends");
	test_rounds(PARENT_FIRST, n, &r, "children that outlive the parent");
	is_int(atomic_load(&rd->r_wrong), 0, "their parent is the reaper then");
	test_getppid(n / 12 + 1);
	for (i = 0; i < trees; i++)
		spawn(subtree, (void *)3L);
	is_int(reap_all(), trees * 15, "trees of fifteen that never wait: all come to the reaper");
	return tap_done();
}
