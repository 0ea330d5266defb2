# SPDX-License-Identifier: BSD-2-Clause
"""Programs for the tests of the gdb commands to look at."""

# Sleepers of each kind; one that makes a call now and then, also when all others sleep; two in a deadlock.
SLEEPERS = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int secret = 4711;
static int word = 5, lock_a, lock_b;

static void *
waiter(void *arg)
{
	syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 5, NULL, NULL, 0);
	return arg;
}

/* Waits for a lock that another thread owns, by its id in the word. */
static void *
deadlock(void *arg)
{
	int *mine = arg, *other = mine == &lock_a ? &lock_b : &lock_a, id;

	__atomic_store_n(mine, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while ((id = __atomic_load_n(other, __ATOMIC_SEQ_CST)) == 0)
		usleep(1000);
	syscall(SYS_futex, other, 0 /* FUTEX_WAIT */, id, NULL, NULL, 0);
	return NULL;
}

int
main(void)
{
	struct timespec wait = { 0, 50000000 };
	pthread_t t;

	pthread_create(&t, NULL, waiter, NULL);
	pthread_create(&t, NULL, deadlock, &lock_a);
	pthread_create(&t, NULL, deadlock, &lock_b);
	pid_t child = fork();
	while (child == 0) {
		nanosleep(&wait, NULL);
		syscall(SYS_getppid);
	}
	waitpid(child, NULL, 0);
	return secret;
}
"""

# A stopped child; a priority-inheriting lock that one thread holds and another one wants.
STOPPED = r"""
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock;
static int held;

static void *
owner(void *arg)
{
	pthread_mutex_lock(&lock);
	__atomic_store_n(&held, 1, __ATOMIC_SEQ_CST);
	pause();
	return arg;
}

static void *
waiter(void *arg)
{
	while (!__atomic_load_n(&held, __ATOMIC_SEQ_CST))
		usleep(1000);
	pthread_mutex_lock(&lock);
	return arg;
}

int
main(void)
{
	pthread_mutexattr_t attr;
	pthread_t t;
	int status;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&lock, &attr);
	pid_t child = fork();
	if (child == 0) {
		setpgid(0, 0);
		nice(5);
		raise(SIGSTOP);
	}
	waitpid(child, &status, WUNTRACED);
	pthread_create(&t, NULL, owner, NULL);
	pthread_create(&t, NULL, waiter, NULL);
	for (;;) {
		usleep(10000);
		syscall(SYS_getppid);
	}
}
"""
