/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfork and CLONE_VFORK: the child runs on the parent's memory while the
 * parent waits, until exec or exit; only the calling thread waits.
 *
 * test: timeout=60
 * test: name=release flavour=debug smp=2,4 append="fp=vfork-release:1000"
 * test: name=commit flavour=debug smp=2,4 append="fp=exec-commit:1000"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

extern char **environ;
static volatile int word;
static atomic_int *gate;

static void
test_exit(void)
{
	volatile int local = 1;
	pid_t pid, parent = getpid();

	pid = vfork();
	if (pid == 0) {
		word = 5;
		local = getppid() == parent && getpid() != parent ? 2 : 3;
		_exit(6);
	}
	is_int(word, 5, "the child wrote the parent's memory");
	is_int(local, 2, "even its stack, and its ids are its own");
	is_exit(reap(pid), 6, "its status");
}

static void
test_exec(void)
{
	char *argv[] = { (char *)self_path(), (char *)"role-exit", (char *)"33", NULL };
	pid_t pid;

	pid = vfork();
	if (pid == 0) {
		execve(argv[0], argv, environ);
		_exit(127);
	}
	is_exit(reap(pid), 33, "vfork, exec, exit");

	argv[1] = (char *)"role-sleep";
	argv[2] = (char *)"100000";
	pid = vfork();
	if (pid == 0) {
		execve(argv[0], argv, environ);
		_exit(127);
	}
	ok(waitpid(pid, NULL, WNOHANG) == 0, "the parent goes on at the exec, not at the exit");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "and collects the child later");

	pid = vfork();
	if (pid == 0) {
		execve("/no/such/file", argv, environ);
		_exit(errno == ENOENT ? 44 : 1);
	}
	is_exit(reap(pid), 44, "a failed exec leaves the vfork child as it was");
}

static void
test_killed(void)
{
	pid_t pid;

	pid = vfork();
	if (pid == 0) {
		kill(getpid(), SIGKILL);
		_exit(1);
	}
	is_killed(reap(pid), SIGKILL, "a killed vfork child releases its parent");
	pid = vfork();
	if (pid == 0) {
		*(volatile int *)hide(16) = 1;
		_exit(1);
	}
	is_killed(reap(pid), SIGSEGV, "and so does a fault");
}

static void *
counter(void *arg)
{
	atomic_int *n = arg;

	while (atomic_load(gate) == 0)
		atomic_fetch_add(n, 1);
	return NULL;
}

static void
test_siblings_run(void)
{
	static atomic_int n;
	volatile int before = 0, after = 0;
	volatile long ms = 0;
	pthread_t t;
	pid_t pid;

	atomic_store(gate, 0);
	pthread_create(&t, NULL, counter, &n);
	while (atomic_load(&n) == 0)
		sleep_ms(1);
	pid = vfork();
	if (pid == 0) {
		before = after = atomic_load(&n);
		for (; after == before && ms < 30000; ms++) {
			sleep_ms(1);
			after = atomic_load(&n);
		}
		_exit(0);
	}
	ok(after > before, "the parent's other threads run while one waits in vfork");
	word_add(gate, 1);
	pthread_join(t, NULL);
	reap(pid);
}

static void *
vfork_many(void *arg)
{
	volatile long i, good = 0;
	pid_t pid;
	int st;

	(void)arg;
	for (i = 0; i < 25; i++) {
		pid = vfork();
		if (pid == 0)
			_exit(7);
		good += waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 7;
	}
	return (void *)good;
}

static void
test_parallel(void)
{
	pthread_t t[4];
	void *ret;
	long i, sum = 0;

	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, vfork_many, NULL);
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &ret);
		sum += (long)ret;
	}
	is_int(sum, 100, "four threads vfork at once, 25 times each");
}

static void
test_posix_spawn(void)
{
	char *argv[] = { (char *)self_path(), (char *)"role-exit", (char *)"21", NULL };
	char *none[] = { (char *)"x", NULL };
	pid_t pid;

	is_int(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0, "posix_spawn");
	is_exit(reap(pid), 21, "its child's status");
	is_int(posix_spawn(&pid, "/no/such/file", NULL, NULL, none, environ), ENOENT,
	    "posix_spawn of nothing: ENOENT");
	is_err(waitpid(-1, NULL, 0), ECHILD, "and it leaves no child");
}

static void
test_nested(void)
{
	volatile int inner = 0;
	pid_t pid, pid2;
	int st;

	pid = vfork();
	if (pid == 0) {
		pid2 = vfork();
		if (pid2 == 0) {
			inner = 1;
			_exit(2);
		}
		inner += waitpid(pid2, &st, 0) == pid2 && WEXITSTATUS(st) == 2;
		_exit(3);
	}
	is_exit(reap(pid), 3, "vfork within a vfork child");
	is_int(inner, 2, "both worked on the same memory");
}

int
main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "role-exit") == 0)
		return atoi(argv[2]);
	if (argc > 2 && strcmp(argv[1], "role-sleep") == 0) {
		sleep_ms(atoi(argv[2]));
		return 0;
	}
	gate = shared_mem(PAGE);
	test_exit();
	test_exec();
	test_killed();
	test_siblings_run();
	test_parallel();
	test_posix_spawn();
	test_nested();
	return tap_done();
}
