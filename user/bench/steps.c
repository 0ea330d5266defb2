/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps fork|futex|park|signal: N = 10 operations between two calls of getsid(2), which tools/profile takes as marks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lwputil.h"

#define N                  10
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

static _Atomic int turn;

static void
do_fork(void)
{
	pid_t pid = fork();
	int st;

	if (pid == 0)
		_exit(0);
	waitpid(pid, &st, 0);
}

static void
on_signal(int sig)
{
	(void)sig;
}

static void
do_signal(void)
{
	syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
}

static char stack[LWP_STACK] __attribute__((aligned(64)));
static lwpid_t first, second;

static void
parker(void *arg)
{
	(void)arg;
	for (;;)
		_lwp_park(CLOCK_MONOTONIC, 0, NULL, first, NULL, NULL);
}

static void
pass(int me)
{
	atomic_store(&turn, !me);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL);
	while (atomic_load(&turn) != me)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !me, NULL);
}

static void *
other(void *arg)
{
	while (atomic_load(&turn) != 1)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 0, NULL);
	for (;;)
		pass(1);
	return arg;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "fork";
	pthread_t t;

	if (strcmp(what, "futex") == 0)
		pthread_create(&t, NULL, other, NULL);
	signal(SIGUSR1, on_signal);
	if (strcmp(what, "park") == 0) {
		first = _lwp_self();
		second = lwp_start(stack, parker, NULL, 0);
	}
	for (int i = 0; i < 2 * N; i++) {
		if (i == N)
			getsid(0);
		if (strcmp(what, "futex") == 0)
			pass(0);
		else if (strcmp(what, "signal") == 0)
			do_signal();
		else if (strcmp(what, "park") == 0)
			_lwp_park(CLOCK_MONOTONIC, 0, NULL, second, NULL, NULL);
		else
			do_fork();
	}
	getsid(0);
	return 0;
}
