/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vfork child works on its parent's memory while the parent's other threads
 * end the process, or all vfork themselves.  B47 (a vfork child that leaves by
 * exit of its only thread), B54's core (a parent that waits in vfork ends when
 * it must), B50.  docs/protocol.md 4.3: a sleep that cannot be interrupted.
 *
 * test: timeout=60
 * test: name=release smp=2,4 append="fp=vfork-release:500" args="15" host=no
 * test: name=exit smp=2,4 append="fp=exit-after-DEAD:200,zombie-before-switch:200,exec-commit:300" args="15" host=no
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define FORKERS  3
#define LIMIT    15000
#define BY_GROUP 40
#define BY_CHILD 7
#define BY_EXEC  21

extern char **environ;

static unsigned delay;
static atomic_int started;
static char *exec_argv[3];

static void *
vfork_loop(void *arg)
{
	volatile int i, how;
	pid_t pid;

	for (i = 0;; i++) {
		how = (i + (int)(long)arg) % 3;
		pid = vfork();
		if (pid == 0) {
			if (how == 0)
				execve(exec_argv[0], exec_argv, environ);
			else if (how == 1)
				raw3(RAW_EXIT, BY_CHILD, 0, 0);
			_exit(BY_CHILD);
		}
		atomic_fetch_add(&started, 1);
		/* Half of the children stay behind for the reaper. */
		if (pid > 0 && i % 2 == 0)
			waitpid(pid, NULL, 0);
	}
	return NULL;
}

static int
group_exit_meanwhile(void *arg)
{
	pthread_t t;
	long i;

	(void)arg;
	for (i = 0; i < FORKERS; i++)
		pthread_create(&t, NULL, vfork_loop, (void *)i);
	while (atomic_load(&started) < 2)
		sched_yield();
	thr_spin(delay);
	syscall(SYS_exit_group, BY_GROUP);
	return 1;
}

static void *
vfork_counted(void *arg)
{
	volatile long i, good = 0, n = (long)arg;
	pid_t pid;
	int st;

	for (i = 0; i < n; i++) {
		pid = vfork();
		if (pid == 0) {
			if (i % 3 == 0)
				execve(exec_argv[0], exec_argv, environ);
			if (i % 3 == 1)
				raw3(RAW_EXIT, BY_EXEC, 0, 0);
			_exit(BY_EXEC);
		}
		good += waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == BY_EXEC;
	}
	return (void *)good;
}

int
main(int argc, char **argv)
{
	long i, n, good = 0, odd = 0;
	pthread_t t[FORKERS];
	struct rng r;
	void *ret;
	pid_t pid;
	int st;

	if (argc > 1 && strcmp(argv[1], "role-leaf") == 0)
		return BY_EXEC;
	n = arg_rounds(argc, argv, 24);
	rng_seed(&r, rng_arg(argc, argv));
	become_reaper();
	exec_argv[0] = (char *)self_path();
	exec_argv[1] = (char *)"role-leaf";
	for (i = 0; i < n; i++) {
		delay = rng_below(&r, 10000);
		st = reap_ms(spawn(group_exit_meanwhile, NULL), LIMIT);
		if (st >= 0 && WIFEXITED(st) && WEXITSTATUS(st) == BY_GROUP)
			good++;
		else if (i - good < 3)
			diag("why: round %ld: %s", i, st < 0 ? "it hangs" : status_text(st));
		if (st < 0)
			break;
		while ((pid = waitpid(-1, &st, 0)) > 0)
			if (!WIFEXITED(st) ||
			    (WEXITSTATUS(st) != BY_CHILD && WEXITSTATUS(st) != BY_EXEC)) {
				diag("why: round %ld: an orphan %s", i, status_text(st));
				odd++;
			}
	}
	is_int(good, n, "the process ends while three threads wait in vfork");
	is_int(odd, 0, "the children end as they would have");
	for (i = 0; i < FORKERS; i++)
		pthread_create(&t[i], NULL, vfork_counted, (void *)n);
	for (i = good = 0; i < FORKERS; i++) {
		pthread_join(t[i], &ret);
		good += (long)ret;
	}
	is_int(good, FORKERS * n, "B47: exec, exit and exit of the only thread in vfork children");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
