/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kills that meet their target at a bad moment.  B59: one kill of a process
 * group during a fork bomb leaves no survivor, no newborn is missed.  B58:
 * SIGKILL ends a process whatever its threads are at: making threads, in exec,
 * waiting in vfork, stopping and going on, leaving.
 *
 * test: timeout=90
 * test: name=b59 smp=2,4 append="fp=id-published-not-started:300,exit-after-DEAD:200" args="4" host=no
 * test: name=b58 smp=2,4 append="fp=exec-commit:300,vfork-release:300,lend-restart:50" args="4" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define BOMB_MAX 40 /* members alive at a time, about */
#define LIMIT    10000
#define STK      8192
#define POOL     4

extern char **environ;

static atomic_int *born, *gone;
static char *stk;

/* --- B59 -------------------------------------------------------------------------- */
/* Forks for ever; a member leaves when there are too many. */
static void
bomb(void)
{
	pid_t pid;

	for (;;) {
		pid = (pid_t)raw0(SYS_fork);
		if (pid == 0) {
			atomic_fetch_add(born, 1);
		} else if (pid > 0 && atomic_load(born) - atomic_load(gone) > BOMB_MAX) {
			atomic_fetch_add(gone, 1);
			raw3(RAW_EXIT_GROUP, 0, 0, 0);
		} else if (pid < 0)
			raw0(RAW_YIELD);
	}
}

static int
bomb_leader(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	atomic_fetch_add(born, 1);
	bomb();
	return 0;
}

static int
group_is_empty(pid_t pg, int ms)
{
	long long end = now_ns() + ms * 1000000LL;

	do {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (kill(-pg, 0) == -1 && errno == ESRCH)
			return 1;
		sleep_ms(1);
	} while (now_ns() < end);
	return 0;
}

static void
test_bomb(long n, struct rng *r)
{
	long i, good = 0, total = 0;
	pid_t pid;

	for (i = 0; i < n; i++) {
		atomic_store(born, 0);
		atomic_store(gone, 0);
		pid = spawn(bomb_leader, NULL);
		while (atomic_load(born) < 5)
			sleep_ms(1);
		sleep_ms((int)rng_below(r, 20));
		if (kill(-pid, SIGKILL) != 0)
			diag("why: round %ld: kill: %s", i, strerror(errno));
		if (group_is_empty(pid, LIMIT)) {
			good++;
		} else {
			diag("why: round %ld: there are survivors", i);
			while (!group_is_empty(pid, 1))
				kill(-pid, SIGKILL);
		}
		total += atomic_load(born);
	}
	diag("%ld processes were born", total);
	is_int(good, n, "B59: one SIGKILL to the group of a fork bomb leaves no survivor");
	is_int(reap_all(), 0, "and everyone is collected");
}

/* --- B58 -------------------------------------------------------------------------- */
static int
thread_end(void *arg)
{
	(void)arg;
	return 0;
}

static int
make_threads(void *arg)
{
	static atomic_int tid[POOL];
	int k;

	(void)arg;
	for (;;)
		for (k = 0; k < POOL; k++) {
			thr_join(&tid[k]);
			thr_start(stk + (k + 1) * STK, thread_end, NULL, &tid[k]);
			atomic_store(born, 1);
		}
	return 0;
}

static int
exec_again(void *arg)
{
	char *argv[] = { (char *)self_path(), (char *)"role-again", NULL };

	(void)arg;
	if (born != NULL) /* the first of the images */
		atomic_store(born, 1);
	execve(argv[0], argv, environ);
	return 98;
}

static int
vfork_again(void *arg)
{
	pid_t pid;

	(void)arg;
	for (;;) {
		pid = vfork();
		if (pid == 0)
			_exit(0);
		atomic_store(born, 1);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* The vfork child stays until we are told that its parent is dead. */
static int
vfork_stuck(void *arg)
{
	(void)arg;
	if (vfork() == 0) {
		atomic_store(born, 1);
		while (atomic_load(gone) == 0)
			sleep_ms(1);
		_exit(0);
	}
	return 0;
}

static int
stop_and_go(void *arg)
{
	(void)arg;
	atomic_store(born, 1);
	for (;;)
		raise(SIGSTOP);
	return 0;
}

static int
wait_word(void *arg)
{
	(void)arg;
	atomic_store(born, 1);
	word_wait(gone, 1000);
	return 0;
}

static void
test_kill(child_fn fn, long n, struct rng *r, const char *what)
{
	long i, k, good = 0, steps;
	pid_t pid;
	int st;

	for (i = 0; i < n; i++) {
		atomic_store(born, 0);
		atomic_store(gone, 0);
		pid = spawn(fn, NULL);
		while (atomic_load(born) == 0)
			raw0(RAW_YIELD);
		steps = rng_below(r, 30);
		for (k = 0; k < steps; k++) {
			thr_spin(500);
			if (fn == stop_and_go)
				kill(pid, k & 1 ? SIGCONT : SIGSTOP);
		}
		kill(pid, SIGKILL);
		st = reap_ms(pid, LIMIT);
		atomic_store(gone, 1);
		if (st >= 0 && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL)
			good++;
		else if (i - good < 3)
			diag("why: round %ld: %s", i, st < 0 ? "it does not die" : status_text(st));
		reap_all();
	}
	is_int(good, n, "B58: SIGKILL while %s", what);
}

int
main(int argc, char **argv)
{
	struct rng r;
	long n;

	if (argc > 1 && strcmp(argv[1], "role-again") == 0)
		return exec_again(NULL);
	n = arg_rounds(argc, argv, 8);
	rng_seed(&r, rng_arg(argc, argv));
	become_reaper();
	born = shared_mem(PAGE);
	gone = born + 16;
	stk = private_mem(POOL * STK);
	test_bomb(n / 2, &r);
	test_kill(make_threads, n, &r, "it makes threads");
	test_kill(exec_again, n, &r, "it execs itself again and again");
	test_kill(vfork_again, n, &r, "it vforks");
	test_kill(vfork_stuck, n, &r, "it waits for a vfork child");
	test_kill(stop_and_go, n, &r, "it is stopped and continued");
	test_kill(wait_word, n, &r, "it sleeps");
	return tap_done();
}
