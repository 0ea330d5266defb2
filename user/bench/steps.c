/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps fork|futex|park|pipe|signal|thread|mmap: N = 10 operations between two calls of getsid(2), which
 * tools/profile takes as marks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
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

/* A byte to a thread and back: two switches. */
static int ping[2], pong[2];

static void *
echo(void *arg)
{
	char c;

	while (read(ping[0], &c, 1) == 1)
		(void)!write(pong[1], &c, 1);
	return arg;
}

static void
do_pipe(void)
{
	char c = 0;

	(void)!write(ping[1], &c, 1);
	(void)!read(pong[0], &c, 1);
}

static void *
nothing(void *arg)
{
	return arg;
}

static void
do_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, nothing, NULL);
	pthread_join(t, NULL);
}

static void
do_mmap(void)
{
	munmap(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
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
	if (strcmp(what, "pipe") == 0 && pipe(ping) == 0 && pipe(pong) == 0)
		pthread_create(&t, NULL, echo, NULL);
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
		else if (strcmp(what, "pipe") == 0)
			do_pipe();
		else if (strcmp(what, "thread") == 0)
			do_thread();
		else if (strcmp(what, "mmap") == 0)
			do_mmap();
		else
			do_fork();
	}
	getsid(0);
	return 0;
}
