/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spin [threads [seconds]]: keeps CPUs busy with threads that make no system
 * call, then tells how far each came.  Default: a thread for each CPU, 5 s.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

struct spinner {
	pthread_t s_thread;
	unsigned long s_loops;
	pid_t s_lid;
	int s_cpu;
};

static atomic_int stop;

static void *
spin(void *arg)
{
	struct spinner *s = arg;
	unsigned long loops = 0;

	s->s_lid = gettid();
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		loops++;
	s->s_loops = loops;
	s->s_cpu = sched_getcpu();
	return NULL;
}

int
main(int argc, char **argv)
{
	long n = arg_long(argc, argv, 1, ncpu()), seconds = arg_long(argc, argv, 2, 5), i;
	struct spinner *s;
	pthread_attr_t attr;
	int error = 0;

	if (argc > 3 || n < 1 || seconds < 0) {
		fprintf(stderr, "usage: spin [threads [seconds]]\n");
		return 2;
	}
	s = calloc((size_t)n, sizeof(*s));
	if (s == NULL) {
		perror("spin");
		return 1;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (i = 0; i < n; i++) {
		error = pthread_create(&s[i].s_thread, &attr, spin, &s[i]);
		if (error != 0) {
			fprintf(stderr, "spin: thread %ld: %s\n", i, strerror(error));
			n = i;
		}
	}
	if (n > 0)
		sleep((unsigned)seconds);
	atomic_store(&stop, 1);
	for (i = 0; i < n; i++) {
		pthread_join(s[i].s_thread, NULL);
		printf("LID %-7d CPU %-3d %lu loops\n", s[i].s_lid, s[i].s_cpu, s[i].s_loops);
	}
	free(s);
	return error != 0;
}
