/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fork storm with a fast parent: the corpse is collected while its last thread
 * may still be on the way out.  B26 (process touched after the collector was
 * woken), B46 (fault on a freed kernel stack), B50 (collected before the last
 * thread has left the CPU).
 *
 * test: timeout=60
 * test: name=b46 smp=2,4 append="fp=switch-before-clear-RUNNING:200" args="100" host=no
 * test: name=b26 smp=2,4 append="fp=exit-after-wake-before-switch:200" args="100" host=no
 * test: name=b50 smp=2,4 append="fp=exit-after-DEAD:200,zombie-before-switch:200" args="100" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define FORKERS 4
#define BATCH   8

static atomic_int *count;
static long per_forker;

/* Spin on WNOHANG, so that the corpse is found in the first instant it can be. */
static long
fast_parent(long n)
{
	long i, good = 0;
	pid_t pid, r;
	int st;

	for (i = 0; i < n; i++) {
		pid = spawn(exit_with, (void *)(i & 0x7f));
		if (pid == -1) {
			diag("why: fork %ld: %s", i, strerror(errno));
			break;
		}
		while ((r = waitpid(pid, &st, i & 1 ? WNOHANG : 0)) == 0)
			if (ncpu() == 1)
				sched_yield();
		good += r == pid && WIFEXITED(st) && WEXITSTATUS(st) == (i & 0x7f);
	}
	return good;
}

/* Collect a batch newest first. */
static int
forker(void *arg)
{
	pid_t pid[BATCH];
	long i, k, n = (long)arg;
	int st;

	for (i = 0; i < n; i += BATCH) {
		for (k = 0; k < BATCH; k++)
			if ((pid[k] = spawn(exit_with, (void *)k)) == -1)
				return 1;
		for (k = BATCH - 1; k >= 0; k--) {
			st = reap(pid[k]);
			if (!WIFEXITED(st) || WEXITSTATUS(st) != k)
				return 2;
			atomic_fetch_add(count, 1);
		}
	}
	return 0;
}

static void *
forker_thread(void *arg)
{
	return (void *)(long)forker(arg);
}

/* Each generation forks the next and leaves at once. */
static void
chain(long n)
{
	while (n-- > 0) {
		atomic_fetch_add(count, 1);
		if (fork() != 0)
			_exit(0);
	}
	_exit(0);
}

int
main(int argc, char **argv)
{
	long i, n = arg_long(argc, argv, 1, 200), bad = 0;
	pthread_t t[FORKERS];
	pid_t pid[FORKERS];
	void *ret;

	rng_arg(argc, argv);
	become_reaper();
	count = shared_mem(PAGE);
	is_int(fast_parent(n), n, "B26 B50: a fast parent gets every status");

	per_forker = (n / FORKERS + BATCH - 1) / BATCH * BATCH;
	for (i = 0; i < FORKERS; i++)
		pid[i] = spawn(forker, (void *)per_forker);
	for (i = 0; i < FORKERS; i++)
		bad += reap(pid[i]) != 0;
	is_int(bad, 0, "B46: four processes fork at once");
	is_int(atomic_exchange(count, 0), FORKERS * per_forker, "every child is collected");

	for (i = 0; i < FORKERS; i++)
		pthread_create(&t[i], NULL, forker_thread, (void *)per_forker);
	for (i = bad = 0; i < FORKERS; i++) {
		pthread_join(t[i], &ret);
		bad += ret != NULL;
	}
	is_int(bad, 0, "four threads of one process fork at once");
	is_int(atomic_exchange(count, 0), FORKERS * per_forker, "every child is collected");

	pid[0] = fork();
	if (pid[0] == 0)
		chain(n / 2);
	is_int(reap_all(), n / 2 + 1, "a chain of orphans: each comes to the reaper");
	is_int(atomic_load(count), n / 2, "and every link ran");
	return tap_done();
}
