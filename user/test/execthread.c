/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec in a process of many threads.  B53: a failed exec leaves every thread
 * alive.  B63: exec from a thread that does not lead keeps the pid, also when
 * the lead has already left.  B51: the others are gone before the new image runs.
 * B64: it is found by its new id.  docs/protocol.md 4.3: the owner, BOUNDARY.
 *
 * test: timeout=90
 * test: name=b63 flavour=debug smp=2,4 append="fp=exec-commit:1000"
 * test: name=b51 flavour=debug smp=2,4 append="fp=switch-before-clear-RUNNING:500"
 * test: name=b53 flavour=debug smp=2,4 append="fp=lend-restart:50"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

extern char **environ;

static atomic_int *count, *ready;
static int result_fd;

static void *
beat(void *arg)
{
	atomic_int *c = &count[(long)arg];

	word_add(ready, 1);
	for (;;) {
		atomic_fetch_add(c, 1);
		if ((long)arg & 1)
			sleep_ms(1);
	}
	return NULL;
}

static void
start_beats(long n)
{
	pthread_t t;
	long i;

	atomic_store(ready, 0);
	for (i = 0; i < n; i++)
		pthread_create(&t, NULL, beat, (void *)i);
	word_wait(ready, (int)n);
}

/* --- B53 ------------------------------------------------------------------------- */
static int
all_beat(void)
{
	int i, k, before[4];

	for (i = 0; i < 4; i++)
		before[i] = atomic_load(&count[i]);
	for (k = 0; k < 1000; k++) {
		for (i = 0; i < 4 && atomic_load(&count[i]) != before[i]; i++)
			;
		if (i == 4)
			return 1;
		sleep_ms(5);
	}
	return 0;
}

static int
failing_execs(void *arg)
{
	char *argv[] = { (char *)"x", NULL };
	long i;

	start_beats(4);
	for (i = 0; i < (long)arg; i++) {
		if (execve("/no/such/file", argv, environ) != -1 || errno != ENOENT)
			return 1;
		if (execve(data_path("garbage"), argv, environ) != -1 || errno != ENOEXEC)
			return 2;
		if (execve(self_path(), hide(8), environ) != -1 || errno != EFAULT)
			return 3;
		if (!all_beat())
			return 4;
	}
	return 0;
}

/* --- B63 ------------------------------------------------------------------------- */
static void
exec_report(void)
{
	char fd[16], *argv[] = { (char *)self_path(), (char *)"role-ids", fd, NULL };

	snprintf(fd, sizeof(fd), "%d", result_fd);
	execve(argv[0], argv, environ);
	_exit(90);
}

static void *
exec_now(void *arg)
{
	(void)arg;
	exec_report();
	return NULL;
}

static void *
exec_soon(void *arg)
{
	(void)arg;
	sleep_ms(20);
	exec_report();
	return NULL;
}

static int
exec_from_thread(void *arg)
{
	pthread_t t;

	start_beats(4);
	pthread_create(&t, NULL, exec_now, arg);
	pause();
	return 91;
}

static int
exec_lead_gone(void *arg)
{
	pthread_t t;

	start_beats(3);
	pthread_create(&t, NULL, exec_soon, arg);
	syscall(SYS_exit, 0);
	return 91;
}

static int
exec_from_lead(void *arg)
{
	(void)arg;
	start_beats(6);
	exec_report();
	return 91;
}

static void
test_ids(child_fn fn, const char *what)
{
	int fd[2], ids[3] = { 0, 0, 0 }, moved[4], i, still = 1;
	pid_t pid;

	if (pipe(fd) == -1)
		bail_out("pipe");
	result_fd = fd[1];
	for (i = 0; i < 8; i++)
		atomic_store(&count[i], 0);
	pid = spawn(fn, NULL);
	close(fd[1]);
	ok(read(fd[0], ids, sizeof(ids)) == sizeof(ids), "%s: the new image runs", what);
	for (i = 0; i < 4; i++)
		moved[i] = atomic_load(&count[i]);
	is_int(ids[0], pid, "%s: getpid() is the pid from before", what);
	is_int(ids[1], pid, "%s: gettid() is the pid", what);
	is_int(ids[2], getpid(), "%s: the parent is the same", what);
	is_int(kill(pid, 0), 0, "B64: %s: the pid can be signalled", what);
	sleep_ms(10);
	for (i = 0; i < 4; i++)
		still &= atomic_load(&count[i]) == moved[i];
	ok(still, "%s: no old thread runs", what);
	is_exit(reap(pid), 55, "%s: the status is the new image's", what);
	close(fd[0]);
}

static int
role_ids(int fd)
{
	int ids[3] = { getpid(), gettid(), getppid() };

	if (write(fd, ids, sizeof(ids)) != sizeof(ids))
		return 1;
	/* The pid is ours alone: a thread of our own can be made and is not the pid. */
	sleep_ms(60);
	return syscall(SYS_tgkill, getpid(), gettid(), 0) == 0 ? 55 : 2;
}

int
main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "role-ids") == 0)
		return role_ids(atoi(argv[2]));
	ready = shared_mem(PAGE);
	count = ready + 16;
	is_exit(run_child(failing_execs, (void *)arg_long(argc, argv, 1, 10)), 0,
	    "B53: failed execs leave four threads alive");
	test_ids(exec_from_lead, "exec from the lead");
	test_ids(exec_from_thread, "exec from a thread");
	test_ids(exec_lead_gone, "exec after the lead left");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
