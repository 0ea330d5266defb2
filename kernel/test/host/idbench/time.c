/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * time [most]: nanoseconds of the same operations on this machine, medians of many short batches; a
 * neighbour's load spoils some of the batches, not the median. Lookups also by two threads at once, of
 * different ids, of one id, and beside a thread that makes and frees ids; batches in which one of the two
 * was kept off its CPU are left out. exact.c counts what is exact.
 */
#define _GNU_SOURCE
#include "crowd.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES 31
#define BATCH   2000
#define TRIES   2000  /* to find batches in which two threads ran together */
#define RING    8192  /* ids that a thread of two looks up in turn */
#define LOOKUPS 50000 /* of a thread, in a batch of two threads */

static const struct design *const designs[] = { &design_table, &design_bitmap,
	&design_bitmap_wide };
static int64_t sample[BATCHES];
static struct object *volatile found;

static int64_t
time_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int64_t
now(void)
{
	return time_of(CLOCK_MONOTONIC);
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Prints the median of the samples, each the time of so many operations. */
static void
report(const char *operation, const struct crowd *c, int batches, int operations)
{
	qsort(sample, (size_t)batches, sizeof(sample[0]), compare);
	printf("%s-%s-%s %.1f ns %d\n", operation, number_name(c->c_number), c->c_design->d_name,
	    (double)sample[batches / 2] / operations, batches * operations);
	fflush(stdout);
}

/* --- One thread --------------------------------------------------------------------- */

static void
time_alloc_free(struct crowd *c)
{
	static int64_t allocs[BATCHES];
	const struct design *d = c->c_design;
	struct object *victim[BATCH];
	int n = c->c_number / 2 < BATCH ? (int)c->c_number / 2 : BATCH;

	for (int b = 0; b < BATCHES; b++) {
		int64_t start;
		uint32_t first = crowd_random(c, c->c_number);

		/* Spread, and each of them once. */
		for (int i = 0; i < n; i++)
			victim[i] =
			    &c->c_object[(first + (uint64_t)i * (c->c_number / (uint32_t)n)) %
				c->c_number];
		start = now();
		for (int i = 0; i < n; i++)
			d->d_free(c->c_space, victim[i]);
		sample[b] = now() - start;
		start = now();
		for (int i = 0; i < n; i++)
			d->d_alloc(c->c_space, victim[i]);
		allocs[b] = now() - start;
	}
	report("free", c, BATCHES, n);
	for (int b = 0; b < BATCHES; b++)
		sample[b] = allocs[b];
	report("alloc", c, BATCHES, n);
}

static void
time_find(
    struct crowd *c, const char *name, struct object *(*find)(void *, int32_t), bool hit, bool get)
{
	static int32_t ids[BATCH];

	for (int b = 0; b < BATCHES; b++) {
		int64_t start;

		for (int i = 0; i < BATCH; i++)
			ids[i] =
			    hit ? c->c_object[crowd_random(c, c->c_number)].o_id : crowd_absent(c);
		start = now();
		for (int i = 0; i < BATCH; i++) {
			found = find(c->c_space, ids[i]);
			if (get)
				host_unlock(&found->o_lock);
		}
		sample[b] = now() - start;
	}
	report(name, c, BATCHES, BATCH);
}

static void
time_worst(const struct design *d, uint32_t number)
{
	struct crowd c = { .c_design = d, .c_number = number };
	int batches = number <= 10000 ? BATCHES : 5;

	for (int b = 0; b < batches; b++) {
		int64_t start;

		c.c_object = crowd_objects(2 * number);
		c.c_space = d->d_make_worst(number, c.c_object);
		start = now();
		d->d_worst(c.c_space, &c.c_object[2 * number - 1]);
		sample[b] = now() - start;
		d->d_destroy(c.c_space);
		free(c.c_object);
	}
	report("worst", &c, batches, 1);
}

/* --- Two threads --------------------------------------------------------------------- */

struct pair {
	struct crowd *p_crowd;
	pthread_barrier_t p_barrier;
	atomic_int p_ready, p_stop;
	int32_t p_ids[2][RING];
	struct object *(*p_find)(void *, int32_t);
	bool p_churn;                           /* the second thread makes and frees ids */
	bool p_alone;                           /* there is no second thread */
	int64_t p_start[2], p_end[2], p_cpu[2]; /* the last: time on a CPU */
};

static int cpu[2]; /* where the threads run */
static bool two_cpus;

static void
choose_cpus(void)
{
	int n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		die("sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	two_cpus = n == 2;
}

static void
pin(int which)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu[which], &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		die("pthread_setaffinity_np");
}

static void
run_batch(struct pair *p, int me)
{
	const struct crowd *c = p->p_crowd;
	const struct design *d = c->c_design;

	if (!p->p_alone) {
		atomic_fetch_add(&p->p_ready, 1);
		while (atomic_load(&p->p_ready) % 2 != 0)
			; /* both are on a CPU now */
	}
	p->p_cpu[me] = -time_of(CLOCK_THREAD_CPUTIME_ID);
	p->p_start[me] = now();
	if (me == 1 && p->p_churn) {
		struct object *o = &c->c_object[c->c_number];

		while (!atomic_load_explicit(&p->p_stop, memory_order_relaxed)) {
			d->d_alloc(c->c_space, o);
			d->d_free(c->c_space, o);
		}
	} else {
		for (int i = 0; i < LOOKUPS; i++)
			found = p->p_find(c->c_space, p->p_ids[me][i % RING]);
	}
	p->p_end[me] = now();
	p->p_cpu[me] += time_of(CLOCK_THREAD_CPUTIME_ID);
	if (me == 0)
		atomic_store(&p->p_stop, 1);
}

/* Did both begin at once, and was neither kept off its CPU? */
static bool
together(const struct pair *p)
{
	int64_t late = p->p_start[1] - p->p_start[0];

	for (int i = 0; i < (p->p_alone ? 1 : 2); i++) {
		int64_t wall = p->p_end[i] - p->p_start[i];

		if (p->p_cpu[i] * 20 < wall * 19 ||
		    (!p->p_alone && (late > wall / 20 || -late > wall / 20)))
			return false;
	}
	return true;
}

static void *
second_thread(void *arg)
{
	struct pair *p = arg;

	pin(1);
	for (;;) {
		pthread_barrier_wait(&p->p_barrier);
		if (p->p_find == NULL)
			return NULL;
		run_batch(p, 1);
		pthread_barrier_wait(&p->p_barrier);
	}
}

static void
time_pair(struct crowd *c, const char *name, struct object *(*find)(void *, int32_t), bool one_id,
    bool alone, bool churn)
{
	static struct pair pair;
	struct pair *p = &pair;
	pthread_t second;
	int good = 0;

	if (!alone && !two_cpus)
		return;
	*p = (struct pair){ .p_crowd = c, .p_find = find, .p_churn = churn, .p_alone = alone };
	pthread_barrier_init(&p->p_barrier, NULL, 2);
	if (!alone && pthread_create(&second, NULL, second_thread, p) != 0)
		die("pthread_create");
	for (int tries = 0; good < BATCHES && tries < TRIES; tries++) {
		int32_t same = c->c_object[crowd_random(c, c->c_number)].o_id;

		for (int i = 0; i < 2 * RING; i++)
			p->p_ids[i / RING][i % RING] =
			    one_id ? same : c->c_object[crowd_random(c, c->c_number)].o_id;
		atomic_store(&p->p_stop, 0);
		if (!alone)
			pthread_barrier_wait(&p->p_barrier);
		run_batch(p, 0);
		if (!alone)
			pthread_barrier_wait(&p->p_barrier);
		if (together(p))
			sample[good++] = p->p_end[0] - p->p_start[0];
	}
	if (!alone) {
		p->p_find = NULL;
		pthread_barrier_wait(&p->p_barrier);
		pthread_join(second, NULL);
	}
	pthread_barrier_destroy(&p->p_barrier);
	if (good != 0)
		report(name, c, good, LOOKUPS);
}

static void
crowd_rows(const struct design *d, uint32_t number)
{
	struct crowd c;

	crowd_make(&c, d, number);
	time_alloc_free(&c);
	time_find(&c, "find-hit", d->d_find, true, false);
	time_find(&c, "find-miss", d->d_find, false, false);
	time_find(&c, "get", d->d_get, true, true);
	time_pair(&c, "find-1-thread", d->d_find, false, true, false);
	time_pair(&c, "find-2-threads", d->d_find, false, false, false);
	time_pair(&c, "find-2-threads-one-id", d->d_find, true, false, false);
	time_pair(&c, "find-beside-churn", d->d_find, false, false, true);
	if (d == &design_table) {
		time_find(&c, "find-locked", table_find_locked, true, false);
		time_pair(&c, "find-locked-2-threads", table_find_locked, false, false, false);
	}
	crowd_destroy(&c);
}

int
main(int argc, char **argv)
{
	uint32_t most = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000;

	choose_cpus();
	pin(0);
	for (uint32_t number = 100; number <= most; number *= 100)
		for (int i = 0; i < 3; i++) {
			if (designs[i] == &design_bitmap_wide && number < 1000000)
				continue;
			crowd_rows(designs[i], number);
			time_worst(designs[i], number);
		}
	return 0;
}
