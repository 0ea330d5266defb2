/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Priority goes down a chain of PTHREAD_PRIO_INHERIT mutexes: three owners on
 * one CPU, the first of which is urgent at the end of the chain; somebody of
 * middling priority, who would run for ever, cannot come between. When the
 * one at the top gives up, he can.
 *
 * test: timeout=60
 * test: name=fp smp=1,2,4 append="fp=pi-waiters-set:300,pi-woken:300,lend-restart:200,sleep-queued-not-switched:200" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define LINKS 3

static pthread_mutex_t mtx[LINKS];
static atomic_int held, go, top_done, hog_end, hog_late;
static atomic_long work;
static int top_limit_ms;

static int
be(int pri)
{
	struct sched_param sp = { .sched_priority = pri };

	/* musl has only a stub */
	return (int)syscall(SYS_sched_setscheduler, 0, pri == 0 ? SCHED_OTHER : SCHED_FIFO, &sp);
}

static void
start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	if (pthread_create(t, NULL, fn, arg) != 0)
		bail_out("no thread");
}

/* Link i holds mutex i and waits for mutex i - 1; link 0 has work to do. */
static void *
chain_link(void *arg)
{
	long i = (long)arg;

	be(10 + 5 * (int)i);
	pthread_mutex_lock(&mtx[i]);
	word_add(&held, 1);
	if (i == 0) {
		word_wait(&go, 1);
		while (atomic_load(&work) < 2000000 && !atomic_load(&hog_end))
			atomic_fetch_add(&work, 1);
	} else {
		pthread_mutex_lock(&mtx[i - 1]);
		pthread_mutex_unlock(&mtx[i - 1]);
	}
	pthread_mutex_unlock(&mtx[i]);
	return NULL;
}

static void *
top(void *arg)
{
	struct timespec ts;

	be(80);
	if (top_limit_ms != 0) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += top_limit_ms * 1000000l;
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		*(int *)arg = pthread_mutex_timedlock(&mtx[LINKS - 1], &ts);
	} else
		*(int *)arg = pthread_mutex_lock(&mtx[LINKS - 1]);
	if (*(int *)arg == 0)
		pthread_mutex_unlock(&mtx[LINKS - 1]);
	atomic_store(&top_done, 1);
	return NULL;
}

/* Leaves the CPU to nobody below until the one at the top has come through, or it is too late. */
static void *
hog(void *arg)
{
	long long end;

	(void)arg;
	be(50);
	end = now_ns() + (top_limit_ms != 0 ? 150 : 20000) * 1000000ll;
	while (!atomic_load(&top_done) && now_ns() < end)
		continue;
	atomic_store(&hog_late, !atomic_load(&top_done));
	return NULL;
}

static void
test_chain(int limit_ms)
{
	pthread_t t[LINKS], high, mid;
	pthread_mutexattr_t ma;
	long before;
	int got = -1;

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT);
	atomic_store(&held, 0);
	atomic_store(&go, 0);
	atomic_store(&top_done, 0);
	atomic_store(&hog_end, 0);
	atomic_store(&work, 0);
	top_limit_ms = limit_ms;
	for (long i = 0; i < LINKS; i++) {
		pthread_mutex_init(&mtx[i], &ma);
		start(&t[i], chain_link, (void *)i);
		word_wait(&held, (int)i + 1);
		sleep_ms(20); /* until it sleeps: the walk is to find the whole chain */
	}
	start(&high, top, &got);
	sleep_ms(50);
	if (limit_ms == 0) {
		/* We are urgent: nobody runs before we sleep. */
		start(&mid, hog, NULL);
		word_add(&go, 1);
		pthread_join(mid, NULL);
		is_int(atomic_load(&hog_late), 0,
		    "who is less urgent than the waiter cannot come between");
		pthread_join(high, NULL);
		is_int(got, 0, "the waiter got it");
	} else {
		pthread_join(high, NULL);
		is_int(got, ETIMEDOUT, "the waiter gives up");
		atomic_store(&top_done, 0);
		start(&mid, hog, NULL);
		word_add(&go, 1);
		before = atomic_load(&work);
		pthread_join(mid, NULL);
		is_int(
		    atomic_load(&work), before, "then the owner at the end has lost its priority");
		atomic_store(&hog_end, 1);
	}
	for (int i = 0; i < LINKS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < LINKS; i++)
		pthread_mutex_destroy(&mtx[i]);
}

/* Several wait for one mutex: the more urgent is first, whoever came first. */
static atomic_int order[4], norder;

static void *
one_of_many(void *arg)
{
	int pri = (int)(long)arg;

	be(pri);
	word_add(&held, 1);
	pthread_mutex_lock(&mtx[0]);
	atomic_store(&order[atomic_fetch_add(&norder, 1)], pri);
	pthread_mutex_unlock(&mtx[0]);
	return NULL;
}

static void
test_order(void)
{
	static const int pri[4] = { 30, 20, 60, 40 };
	pthread_mutexattr_t ma;
	pthread_t t[4];

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&mtx[0], &ma);
	atomic_store(&held, 0);
	pthread_mutex_lock(&mtx[0]);
	for (int i = 0; i < 4; i++) {
		start(&t[i], one_of_many, (void *)(long)pri[i]);
		word_wait(&held, i + 1);
		sleep_ms(20);
	}
	pthread_mutex_unlock(&mtx[0]);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ok(order[0] == 60 && order[1] == 40 && order[2] == 30 && order[3] == 20,
	    "waiters get it by priority");
}

/*
 * Who waits at a plain futex is woken by priority, too, those of time sharing after the others in order of arrival; who
 * waits to be moved to a lock is moved in this order, and gets the lock in it.
 */
#define WAIT_REQUEUE_PI 11
#define CMP_REQUEUE_PI  12
#define UNLOCK_PI       7
#define NPLAIN          6

static const int plain_pri[NPLAIN] = { 30, 0, 60, -1, 40, 60 };
static atomic_int cond, plain_order[NPLAIN], nplain;
static _Atomic uint32_t pi_word;
static int requeue;

static void *
plain_waiter(void *arg)
{
	long i = (long)arg;
	uint32_t mine;

	be(plain_pri[i] < 0 ? 0 : plain_pri[i]);
	word_add(&held, 1);
	if (requeue)
		futex(&cond, WAIT_REQUEUE_PI, 0, NULL, &pi_word, 0);
	else
		futex(&cond, FUT_WAIT, 0, NULL, NULL, 0);
	atomic_store(&plain_order[atomic_fetch_add(&nplain, 1)], (int)i);
	mine = (uint32_t)syscall(SYS_gettid);
	if (requeue && !atomic_compare_exchange_strong(&pi_word, &mine, 0))
		futex(&pi_word, UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void
test_plain_order(int how)
{
	static const int want[NPLAIN] = { 2, 5, 4, 0, 1, 3 };
	pthread_t t[NPLAIN];
	uint32_t mine = (uint32_t)syscall(SYS_gettid);
	int good = 0, woken = 0;

	requeue = how;
	atomic_store(&held, 0);
	atomic_store(&nplain, 0);
	for (long i = 0; i < NPLAIN; i++) {
		start(&t[i], plain_waiter, (void *)i);
		word_wait(&held, (int)i + 1);
		sleep_ms(20); /* until it sleeps */
	}
	sleep_ms(60);
	atomic_store(&pi_word, mine);
	if (how) {
		while (woken < NPLAIN)
			woken += (int)syscall(SYS_futex, &cond, CMP_REQUEUE_PI, 1, 0l, &pi_word, 0);
		is_int(woken, NPLAIN, "all are moved to the lock");
		futex(&pi_word, UNLOCK_PI, 0, NULL, NULL, 0);
	} else
		while (woken < NPLAIN) {
			woken += (int)futex(&cond, FUT_WAKE, 1, NULL, NULL, 0);
			while (atomic_load(&nplain) < woken)
				sleep_ms(1);
		}
	for (int i = 0; i < NPLAIN; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < NPLAIN; i++)
		good += atomic_load(&plain_order[i]) == want[i];
	is_int(good, NPLAIN,
	    how ? "they get it by priority, the others as they came"
		: "a plain futex wakes by priority, the others as they came");
}

int
main(void)
{
	int cpu;

	if (cpu_list(&cpu, 1) < 1 || pin_cpu(cpu) != 0)
		bail_out("no CPU");
	if (be(90) != 0) {
		skip("no real-time priority", "a chain of three");
		return tap_done();
	}
	test_chain(0);
	test_chain(100);
	test_order();
	test_plain_order(0);
	test_plain_order(1);
	be(0);
	return tap_done();
}
