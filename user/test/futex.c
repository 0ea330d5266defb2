/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex WAIT, WAKE, REQUEUE and CMP_REQUEUE: errors, counts, time-outs (B13),
 * private and shared keys across fork and mappings.
 *
 * test: timeout=60
 * test: name=fp-queued flavour=debug smp=2,4 append="fp=sleep-queued-not-switched:500"
 * test: name=fp-running flavour=debug smp=2,4 append="fp=woken-while-RUNNING:500"
 * test: name=fp-timer flavour=debug smp=2,4 append="fp=timer-fired-not-run:500"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static atomic_int a, b, entered, woken;
static atomic_int *sh;

static void
test_errors(void)
{
	struct timespec bad = { 0, 1000000000 }, neg = { -1, 0 }, zero = { 0, 0 };
	char *ro;

	atomic_store(&a, 1);
	is_err(futex(&a, FUT_WAIT, 2, NULL, NULL, 0), EAGAIN, "the value differs: EAGAIN");
	is_err(
	    futex((char *)&a + 1, FUT_WAIT, 1, &zero, NULL, 0), EINVAL, "misaligned wait: EINVAL");
	is_err(
	    futex((char *)&a + 2, FUT_WAKE, 1, NULL, NULL, 0), EINVAL, "misaligned wake: EINVAL");
	is_err(futex(hide(0), FUT_WAIT, 1, &zero, NULL, 0), EFAULT, "NULL: EFAULT");
	is_err(futex(hide(0xffff800000000000), FUT_WAIT, 1, &zero, NULL, 0), EFAULT,
	    "a kernel address: EFAULT");
	is_err(futex(&a, FUT_WAIT, 1, &bad, NULL, 0), EINVAL, "10^9 ns: EINVAL");
	is_err(futex(&a, FUT_WAIT, 1, &neg, NULL, 0), EINVAL, "a negative time: EINVAL");
	is_err(futex(&a, FUT_WAIT, 1, hide(8), NULL, 0), EFAULT, "a bad time pointer: EFAULT");
	is_err(futex(&a, 0x7f, 1, NULL, NULL, 0), ENOSYS, "an unknown operation: ENOSYS");
	is_err(futex(&a, FUT_WAIT_BITSET, 1, &zero, NULL, 0), EINVAL, "an empty bit set: EINVAL");
	is_err(
	    futex(&a, FUT_CMP_REQUEUE, 1, (void *)1, &b, 2), EAGAIN, "CMP_REQUEUE differs: EAGAIN");
	is_err(futex(&a, FUT_REQUEUE, -1, (void *)1, &b, 0), EINVAL, "a negative count: EINVAL");
	is_int(futex(&a, FUT_WAKE, 1, NULL, NULL, 0), 0, "nobody to wake: 0");
	is_int(futex(&a, FUT_WAKE | FUT_PRIVATE, INT_MAX, NULL, NULL, 0), 0, "nor privately");
	ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	is_err(futex(ro, FUT_WAIT | FUT_PRIVATE, 1, &zero, NULL, 0), EAGAIN,
	    "a private wait on a read-only page reads it");
}

static long
timed(int op, long long ns, int absolute)
{
	long long t0 = now_ns(), t = ns + (absolute ? t0 : 0);
	struct timespec ts = { t / 1000000000, t % 1000000000 };

	if (futex(&a, op, 1, &ts, NULL, -1) != -1 || errno != ETIMEDOUT)
		return -1;
	return (long)((now_ns() - t0) / 1000);
}

static void
test_timeouts(void)
{
	struct timespec past = { 1, 0 };
	long us;

	atomic_store(&a, 1);
	us = timed(FUT_WAIT, 0, 0);
	ok(us >= 0 && us < 30000000, "B13: a time-out of 0 ends at once");
	us = timed(FUT_WAIT, 1, 0);
	ok(us >= 0 && us < 30000000, "B13: and one of 1 ns");
	us = timed(FUT_WAIT | FUT_PRIVATE, 30000000, 0);
	ok(us >= 30000 && us < 30000000, "30 ms, relative, not early");
	us = timed(FUT_WAIT_BITSET, 30000000, 1);
	ok(us >= 30000 && us < 30000000, "30 ms, absolute, not early");
	is_err(futex(&a, FUT_WAIT_BITSET, 1, &past, NULL, -1), ETIMEDOUT,
	    "B13: an absolute time in the past ends at once");
	is_err(futex(&a, FUT_WAIT_BITSET | 256, 1, &past, NULL, -1), ETIMEDOUT,
	    "also by the clock of the day");
}

static atomic_int tids[10], n_tids;

static void *
waiter(void *arg)
{
	atomic_store(&tids[atomic_fetch_add(&n_tids, 1)], gettid());
	word_add(&entered, 1);
	if (futex(&a, FUT_WAIT | (int)(long)arg, 1, NULL, NULL, 0) == 0)
		word_add(&woken, 1);
	return NULL;
}

static void
test_requeue(int priv)
{
	const char *kind = priv ? "private" : "shared";
	pthread_t t[10];
	long r = 0;
	int i;

	atomic_store(&a, 1);
	atomic_store(&entered, 0);
	atomic_store(&woken, 0);
	atomic_store(&n_tids, 0);
	for (i = 0; i < 10; i++)
		pthread_create(&t[i], NULL, waiter, (void *)(long)priv);
	word_wait(&entered, 10);
	for (i = 0; i < 10; i++)
		until_asleep(atomic_load(&tids[i]));
	is_int(futex(&a, FUT_WAKE | priv, 2, NULL, NULL, 0), 2, "%s: wake 2 of 10", kind);
	ok(word_wait_ms(&woken, 2, 60000), "%s: they ran", kind);
	is_int(futex(&a, FUT_CMP_REQUEUE | priv, 1, (void *)3, &b, 1), 4,
	    "%s: wake 1 and requeue 3: 4", kind);
	is_int(
	    futex(&b, FUT_WAKE | priv, 2, NULL, NULL, 0), 2, "%s: 2 woken at the new place", kind);
	is_int(futex(&a, FUT_REQUEUE | priv, 0, (void *)(long)INT_MAX, &b, 0), 4,
	    "%s: requeue all that are left", kind);
	is_int(futex(&a, FUT_WAKE | priv, INT_MAX, NULL, NULL, 0), 0, "%s: none at the old", kind);
	r = futex(&b, FUT_WAKE | priv, INT_MAX, NULL, NULL, 0);
	is_int(r, 5, "%s: 5 at the new", kind);
	for (i = 0; i < 10; i++)
		pthread_join(t[i], NULL);
	is_int(atomic_load(&woken), 10, "%s: each was woken once", kind);
}

static int
child_wake(void *arg)
{
	long i, r = 0;
	atomic_int *w = arg;

	for (i = 0; i < 4000 && r == 0; i++) {
		r = futex(w, FUT_WAKE, 1, NULL, NULL, 0);
		if (r == 0)
			sleep_ms(5);
	}
	return (int)r;
}

static int
child_wake_private(void *arg)
{
	sleep_ms(50);
	return (int)futex(arg, FUT_WAKE | FUT_PRIVATE, 1, NULL, NULL, 0);
}

static void
test_fork(void)
{
	struct timespec ts = { 0, 150000000 };
	pid_t pid;

	atomic_store(sh, 1);
	pid = spawn(child_wake, sh);
	is_int(
	    futex(sh, FUT_WAIT, 1, NULL, NULL, 0), 0, "a shared word: the child wakes the parent");
	is_exit(reap(pid), 1, "and counts one");
	pid = spawn(child_wake_private, sh);
	is_err(futex(sh, FUT_WAIT | FUT_PRIVATE, 1, &ts, NULL, 0), ETIMEDOUT,
	    "the private flag: no wake from another process");
	is_exit(reap(pid), 0, "which finds nobody");
	atomic_store(&a, 1);
	pid = spawn(child_wake_private, &a);
	is_err(futex(&a, FUT_WAIT | FUT_PRIVATE, 1, &ts, NULL, 0), ETIMEDOUT,
	    "private memory: the same address in the child is another word");
	is_exit(reap(pid), 0, "which finds nobody");
}

static void
on_usr1(int sig)
{
	(void)sig;
}

static void *
poke(void *arg)
{
	sleep_ms(50);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void
test_signal(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	pthread_t t, self = pthread_self();

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, poke, &self);
	atomic_store(&a, 1);
	is_err(futex(&a, FUT_WAIT, 1, NULL, NULL, 0), EINTR, "a handled signal: EINTR");
	pthread_join(t, NULL);
}

int
main(void)
{
	sh = shared_mem(PAGE);
	test_errors();
	test_timeouts();
	test_requeue(0);
	test_requeue(FUT_PRIVATE);
	test_fork();
	test_signal();
	return tap_done();
}
