/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WAKE, REQUEUE, time-outs and signals meet the same waiters.  B10 (a wakeup
 * given to a thread that had also a signal or a time-out is lost), B11 (flags
 * of a requeued thread), B13, B14, B40 (timer against wake): each wake that was
 * counted ended exactly one wait with 0, and no token of a semaphore is lost.
 *
 * test: timeout=60
 * test: name=b10 smp=2,4 append="fp=sleep-queued-not-switched:200,woken-while-RUNNING:200" args="80" host=no
 * test: name=b14 smp=2,4 append="fp=timer-fired-not-run:300,lend-restart:50" args="80" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define WAITERS 6
#define WAKERS  2
#define LIMIT   30000

static atomic_int word[2] = { 1, 1 };
static atomic_int zeros, timeouts, signals, odd, counted, done, stop, handled;
static long rounds;
static uint64_t seed;
static pthread_t waiter_id[WAITERS];

static void
on_usr1(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void *
waiter(void *arg)
{
	struct timespec ts;
	struct rng r;
	long i, e;

	rng_seed(&r, seed + (uint64_t)(uintptr_t)arg);
	for (i = 0; i < rounds; i++) {
		ts = (struct timespec){ 0, rng_below(&r, 400000) };
		e = futex(&word[rng_below(&r, 2)], FUT_WAIT | FUT_PRIVATE, 1,
		    rng_below(&r, 4) == 0 ? NULL : &ts, NULL, 0);
		if (e == 0)
			atomic_fetch_add(&zeros, 1);
		else if (errno == ETIMEDOUT)
			atomic_fetch_add(&timeouts, 1);
		else if (errno == EINTR)
			atomic_fetch_add(&signals, 1);
		else
			atomic_fetch_add(&odd, 1);
	}
	word_add(&done, 1);
	return NULL;
}

static void *
waker(void *arg)
{
	struct rng r;
	long e, max;
	int w;

	rng_seed(&r, seed + 100 + (uint64_t)(uintptr_t)arg);
	while (!atomic_load(&stop)) {
		w = (int)rng_below(&r, 2);
		if (rng_below(&r, 3) == 0) {
			/* Wakes nobody, so its answer does not count. */
			max = 1 + (long)rng_below(&r, 3);
			e = futex(
			    &word[w], FUT_REQUEUE | FUT_PRIVATE, 0, (void *)max, &word[!w], 0);
		} else {
			e = futex(&word[w], FUT_WAKE | FUT_PRIVATE, 1 + (int)rng_below(&r, 2), NULL,
			    NULL, 0);
			if (e > 0)
				atomic_fetch_add(&counted, (int)e);
		}
		if (e < 0)
			atomic_fetch_add(&odd, 1);
		if (rng_below(&r, 4) == 0)
			sched_yield();
	}
	return NULL;
}

static void *
signaller(void *arg)
{
	struct rng r;

	(void)arg;
	rng_seed(&r, seed + 200);
	while (!atomic_load(&stop)) {
		pthread_kill(waiter_id[rng_below(&r, WAITERS)], SIGUSR1);
		if (rng_below(&r, 2) == 0)
			sleep_ms(1);
		else
			sched_yield();
	}
	return NULL;
}

static void
test_conserved(void)
{
	pthread_t helper[WAKERS + 1];
	long i;

	for (i = 0; i < WAITERS; i++)
		pthread_create(&waiter_id[i], NULL, waiter, (void *)i);
	for (i = 0; i < WAKERS; i++)
		pthread_create(&helper[i], NULL, waker, (void *)i);
	pthread_create(&helper[WAKERS], NULL, signaller, NULL);
	if (!ok(word_wait_ms(&done, WAITERS, LIMIT), "every wait ends"))
		bail_out("%d of %d waiters hang", WAITERS - atomic_load(&done), WAITERS);
	atomic_store(&stop, 1);
	for (i = 0; i < WAKERS + 1; i++)
		pthread_join(helper[i], NULL);
	for (i = 0; i < WAITERS; i++)
		pthread_join(waiter_id[i], NULL);
	diag("%d woken, %d timed out, %d interrupted", atomic_load(&zeros), atomic_load(&timeouts),
	    atomic_load(&signals));
	is_int(
	    atomic_load(&zeros), atomic_load(&counted), "B10: as many waits gave 0 as were woken");
	is_int(atomic_load(&zeros) + atomic_load(&timeouts) + atomic_load(&signals),
	    WAITERS * rounds, "B11, B40: each wait ended once: woken, timed out or interrupted");
	is_int(atomic_load(&odd), 0, "there was no other answer");
}

/* --- tokens of a semaphore ------------------------------------------------------------ */
static sem_t sem;
static atomic_int taken;

static void *
consumer(void *arg)
{
	struct timespec ts;
	struct rng r;
	int e;

	rng_seed(&r, seed + 300 + (uint64_t)(uintptr_t)arg);
	while (!atomic_load(&stop)) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += (long)rng_below(&r, 2000000);
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
		e = rng_below(&r, 2) ? sem_wait(&sem) : sem_timedwait(&sem, &ts);
		if (e == 0)
			word_add(&taken, 1);
		else if (errno != EINTR && errno != ETIMEDOUT)
			atomic_fetch_add(&odd, 1);
	}
	return NULL;
}

static void
test_tokens(void)
{
	pthread_t sig;
	long i;

	atomic_store(&stop, 0);
	sem_init(&sem, 0, 0);
	for (i = 0; i < WAITERS; i++)
		pthread_create(&waiter_id[i], NULL, consumer, (void *)i);
	pthread_create(&sig, NULL, signaller, NULL);
	for (i = 0; i < rounds; i++) {
		sem_post(&sem);
		if (i % 8 == 0)
			sched_yield();
	}
	ok(word_wait_ms(&taken, (int)rounds, LIMIT), "B10: each token of a semaphore is taken");
	is_int(atomic_load(&taken), rounds, "and only once");
	atomic_store(&stop, 1);
	pthread_join(sig, NULL);
	for (i = 0; i < WAITERS; i++)
		sem_post(&sem);
	for (i = 0; i < WAITERS; i++)
		pthread_join(waiter_id[i], NULL);
	is_int(atomic_load(&odd), 0, "there was no other answer");
	ok(atomic_load(&handled) > 0, "signals were handled all the while");
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_usr1 };

	rounds = arg_rounds(argc, argv, 250);
	seed = rng_arg(argc, argv);
	sigaction(SIGUSR1, &sa, NULL);
	test_conserved();
	test_tokens();
	return tap_done();
}
