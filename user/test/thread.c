/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX threads on our clone, futex and TLS: create, join, detach, mutexes,
 * condition variables, barriers, per-thread errno, cancellation, keys.
 *
 * test: timeout=90
 * test: name=fp-start flavour=debug smp=2,4 append="fp=id-published-not-started:200" args="100"
 * test: name=fp-sleep flavour=debug smp=2,4 append="fp=sleep-queued-not-switched:20" args="100"
 * test: name=fp-woken flavour=debug smp=2,4 append="fp=woken-while-RUNNING:20" args="100"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define NT 8

static __thread int tls_zero;
static __thread int tls_set = 42;
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t bar;
static atomic_int flag, sum;
static long counter, rounds = 1000;

static void *
echo_arg(void *arg)
{
	return (void *)((uintptr_t)arg ^ 0x5555);
}

static void *
check_tls(void *arg)
{
	int i, bad = tls_zero != 0 || tls_set != 42;

	for (i = 0; i < 200; i++) {
		tls_zero = (int)(long)arg;
		errno = (int)(long)arg + 1000;
		sched_yield();
		bad |= tls_zero != (int)(long)arg || errno != (int)(long)arg + 1000;
	}
	return (void *)(long)bad;
}

static void *
count_locked(void *arg)
{
	long i;

	(void)arg;
	for (i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mtx);
		counter++;
		if (i % 64 == 0)
			sched_yield();
		pthread_mutex_unlock(&mtx);
	}
	return NULL;
}

static void
join_all(void *(*fn)(void *), long n, long *total)
{
	pthread_t t[64];
	void *ret;
	long i;

	*total = 0;
	for (i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL, fn, (void *)i) != 0)
			bail_out("pthread_create %ld", i);
	for (i = 0; i < n; i++) {
		pthread_join(t[i], &ret);
		*total += (long)ret;
	}
}

/* --- condition variable: a queue of one ------------------------------------------- */
static int slot_full, slot;

static void *
producer(void *arg)
{
	long i;

	for (i = 1; i <= rounds; i++) {
		pthread_mutex_lock(&mtx);
		while (slot_full)
			pthread_cond_wait(&cond, &mtx);
		slot = (int)i;
		slot_full = 1;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mtx);
	}
	return arg;
}

static void
test_cond(void)
{
	long i, got = 0;
	struct timespec ts;
	pthread_t t;

	pthread_create(&t, NULL, producer, NULL);
	for (i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mtx);
		while (!slot_full)
			pthread_cond_wait(&cond, &mtx);
		got += slot;
		slot_full = 0;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mtx);
	}
	pthread_join(t, NULL);
	is_int(got, rounds * (rounds + 1) / 2, "condition variable: every item passes once");

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	pthread_mutex_lock(&mtx);
	is_int(pthread_cond_timedwait(&cond, &mtx, &ts), ETIMEDOUT, "timed wait: ETIMEDOUT");
	is_int(pthread_mutex_unlock(&mtx), 0, "with the mutex held again");
}

static void *
at_barrier(void *arg)
{
	long i, bad = 0;

	(void)arg;
	for (i = 1; i <= 50; i++) {
		atomic_fetch_add(&sum, 1);
		pthread_barrier_wait(&bar);
		bad += atomic_load(&sum) < i * NT;
		pthread_barrier_wait(&bar);
	}
	return (void *)bad;
}

static void *
detached(void *arg)
{
	(void)arg;
	word_add(&flag, 1);
	return NULL;
}

static void *
wait_forever(void *arg)
{
	word_add(&flag, 1);
	sem_wait(arg);
	return NULL;
}

static void
test_cancel(void)
{
	sem_t sem;
	pthread_t t;
	void *ret;

	sem_init(&sem, 0, 0);
	atomic_store(&flag, 0);
	pthread_create(&t, NULL, wait_forever, &sem);
	word_wait(&flag, 1);
	sleep_ms(10);
	is_int(pthread_cancel(t), 0, "cancel a thread that waits");
	pthread_join(t, &ret);
	ok(ret == PTHREAD_CANCELED, "it ends as cancelled");
}

static void
test_kinds(void)
{
	pthread_mutexattr_t ma;
	pthread_mutex_t m;
	struct timespec past = { 1, 0 };

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &ma);
	pthread_mutex_lock(&m);
	is_int(pthread_mutex_lock(&m), EDEADLK, "error-checking mutex: EDEADLK");
	pthread_mutex_unlock(&m);
	is_int(pthread_mutex_unlock(&m), EPERM, "unlock by a stranger: EPERM");
	pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_NORMAL);
	pthread_mutex_init(&m, &ma);
	pthread_mutex_lock(&m);
	is_int(pthread_mutex_trylock(&m), EBUSY, "trylock: EBUSY");
	is_int(pthread_mutex_timedlock(&m, &past), ETIMEDOUT, "timed lock in the past: ETIMEDOUT");
}

int
main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t t;
	void *ret;
	long i, n, total, good = 0;

	n = arg_rounds(argc, argv, 400);
	if (n < rounds)
		rounds = n;
	for (i = 0; i < n; i++) {
		if (pthread_create(&t, NULL, echo_arg, (void *)i) != 0)
			break;
		pthread_join(t, &ret);
		good += (long)ret == (i ^ 0x5555);
	}
	is_int(good, n, "create and join, over and over");
	join_all(check_tls, 64, &total);
	is_int(total, 0, "64 threads: thread-local storage and errno are their own");
	join_all(count_locked, NT, &total);
	is_int(counter, NT * rounds, "mutex: no update is lost");
	test_cond();
	pthread_barrier_init(&bar, NULL, NT);
	join_all(at_barrier, NT, &total);
	is_int(total, 0, "barrier: nobody passes early");

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_store(&flag, 0);
	for (i = 0; i < 100; i++)
		pthread_create(&t, &attr, detached, NULL);
	ok(word_wait_ms(&flag, 100, 60000), "a hundred detached threads run");
	test_cancel();
	test_kinds();
	return tap_done();
}
