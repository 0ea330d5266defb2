/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of one process touch fresh memory at once: the same pages, each its
 * own, while another one maps, protects and unmaps beside it, and forks.
 * No store is lost, no page is given twice.
 *
 * test: timeout=90
 * test: name=fp smp=1,2,4 append="fp=fault-page-not-entered:60,rw-waiters-set:60,lend-restart:30" args="8" host=no timeout=120
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define THREADS 4
#define PAGES   64

static char *area;
static long rounds;
static atomic_int stop;
static pthread_barrier_t barrier;

/* All touch all pages, each its own bytes of them. */
static void *
toucher(void *arg)
{
	long me = (long)arg;

	for (long r = 0; r < rounds; r++) {
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < PAGES; i++)
			area[((i + 16 * me) % PAGES) * PAGE + me] = (char)(r + me + 1);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier); /* looked at, and given back */
	}
	return NULL;
}

static void *
mapper(void *arg)
{
	long bad = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		char *p = mmap(
		    NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return (void *)-1l;
		for (int i = 0; i < 4; i++) {
			bad += p[i * PAGE] != 0;
			p[i * PAGE] = 1;
		}
		bad += mprotect(p, PAGE, PROT_READ) != 0 || p[0] != 1;
		bad += munmap(p, 4 * PAGE) != 0;
	}
	return (void *)bad;
}

static void *
forker(void *arg)
{
	long bad = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			_exit(3);
		bad += waitpid(pid, &status, 0) != pid || !WIFEXITED(status);
		sched_yield();
	}
	return (void *)bad;
}

int
main(int argc, char **argv)
{
	pthread_t t[THREADS], other[2];
	long lost = 0, wrong = 0;
	void *bad;

	rounds = arg_rounds(argc, argv, 8);
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, toucher, (void *)i);
	pthread_create(&other[0], NULL, mapper, NULL);
	pthread_create(&other[1], NULL, forker, NULL);
	for (long r = 0; r < rounds; r++) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < PAGES; i++) {
			for (int me = 0; me < THREADS; me++)
				lost += area[i * PAGE + me] != (char)(r + me + 1);
			for (int k = THREADS; k < PAGE; k += 61)
				wrong += area[i * PAGE + k] != 0;
		}
		wrong += madvise(area, PAGES * PAGE, MADV_DONTNEED) != 0;
		pthread_barrier_wait(&barrier);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	is_int(lost, 0, "no store of a first touch is lost");
	is_int(wrong, 0, "each page was fresh");
	pthread_join(other[0], &bad);
	is_int((long)bad, 0, "mmap, mprotect and munmap beside it");
	pthread_join(other[1], &bad);
	is_int((long)bad, 0, "fork beside it");
	return tap_done();
}
