/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex LOCK_PI, LOCK_PI2, TRYLOCK_PI, UNLOCK_PI: the word, errors, time-outs,
 * hand-over, owners that end, words that lie, and musl's mutexes on top.
 *
 * test: timeout=90
 * test: name=fp smp=1,2,4 append="fp=pi-waiters-set:300,pi-woken:300,pi-died:300,lend-restart:100,sleep-queued-not-switched:200,woken-while-RUNNING:200" host=no timeout=120
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define LOCK_PI    6
#define UNLOCK_PI  7
#define TRYLOCK_PI 8
#define LOCK_PI2   13
#define REALTIME   256
#define WAITERS    0x80000000u
#define DIED       0x40000000u
#define TIDS       0x3fffffffu

static _Atomic uint32_t *w; /* shared: w[0..7] are locks */
static atomic_int *gate;

static unsigned
self(void)
{
	return (unsigned)syscall(SYS_gettid);
}

static long
op(int cmd, int i)
{
	return futex(&w[i], cmd, 0, NULL, NULL, 0);
}

/* By user code if it is free, as a library does. */
static void
lock(int i)
{
	uint32_t zero = 0;

	if (!atomic_compare_exchange_strong(&w[i], &zero, self()) && op(LOCK_PI, i) != 0)
		_exit(100 + errno);
}

static void
unlock(int i)
{
	uint32_t mine = self();

	if (!atomic_compare_exchange_strong(&w[i], &mine, 0) && op(UNLOCK_PI, i) != 0)
		_exit(200);
}

static struct timespec
in_ms(clockid_t clock, long ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

/* ---- alone ---- */

static void
test_word(void)
{
	char *ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec bad = { 0, 1000000000 };

	atomic_store(&w[0], 0);
	is_int(op(LOCK_PI, 0), 0, "LOCK_PI of a free lock");
	is_int(atomic_load(&w[0]), self(), "the word is our id");
	is_err(op(LOCK_PI, 0), EDEADLK, "again: EDEADLK");
	is_err(op(TRYLOCK_PI, 0), EDEADLK, "TRYLOCK_PI: EDEADLK, too");
	is_int(op(UNLOCK_PI, 0), 0, "UNLOCK_PI");
	is_int(atomic_load(&w[0]), 0, "the word is 0");
	is_err(op(UNLOCK_PI, 0), EPERM, "again: EPERM");
	is_int(op(TRYLOCK_PI, 0), 0, "TRYLOCK_PI of a free lock");
	is_int(op(UNLOCK_PI | FUT_PRIVATE, 0), 0, "UNLOCK_PI, private");
	is_int(op(LOCK_PI2, 0), 0, "LOCK_PI2");
	is_int(op(UNLOCK_PI, 0), 0, "and back");
	atomic_store(&w[0], DIED);
	is_int(op(LOCK_PI, 0), 0, "a lock whose owner died");
	is_int(atomic_load(&w[0]), (long)(DIED | self()), "keeps the mark");
	is_int(op(UNLOCK_PI, 0), 0, "until it is unlocked");
	is_int(atomic_load(&w[0]), 0, "then it is 0");
	atomic_store(&w[0], WAITERS | self());
	is_int(op(UNLOCK_PI, 0), 0, "a WAITERS bit that nobody set");
	is_int(atomic_load(&w[0]), 0, "is cleared");

	is_err(futex((char *)w + 1, LOCK_PI, 0, NULL, NULL, 0), EINVAL, "misaligned: EINVAL");
	is_err(futex(hide(0), LOCK_PI, 0, NULL, NULL, 0), EFAULT, "NULL: EFAULT");
	is_err(futex(hide(0), UNLOCK_PI, 0, NULL, NULL, 0), EFAULT, "also to unlock");
	is_err(futex(hide(0xffff800000000000), LOCK_PI | FUT_PRIVATE, 0, NULL, NULL, 0), EFAULT,
	    "a kernel address: EFAULT");
	is_err(futex(ro, LOCK_PI | FUT_PRIVATE, 0, NULL, NULL, 0), EFAULT, "read-only: EFAULT");
	is_err(futex(&w[0], LOCK_PI, 0, &bad, NULL, 0), EINVAL, "10^9 ns: EINVAL");
	is_err(futex(&w[0], LOCK_PI | REALTIME, 0, NULL, NULL, 0), ENOSYS,
	    "LOCK_PI with a clock: ENOSYS");
	is_err(futex(&w[0], TRYLOCK_PI | REALTIME, 0, NULL, NULL, 0), ENOSYS, "so TRYLOCK_PI");
}

static int
exit_now(void *arg)
{
	(void)arg;
	return 0;
}

static int
sleep_long(void *arg)
{
	(void)arg;
	while (pause() != 0)
		continue;
	return 0;
}

static int
lock_child(void *arg)
{
	(void)arg;
	return op(LOCK_PI, 0) == 0 ? 0 : errno;
}

/* Words that name nobody, the dead, the kernel, or somebody who does not know. */
static void
test_lies(void)
{
	pid_t gone = spawn(exit_now, NULL), other;
	struct timespec ts = in_ms(CLOCK_REALTIME, 50);

	reap(gone);
	atomic_store(&w[0], (uint32_t)gone);
	is_err(op(LOCK_PI, 0), ESRCH, "the owner is dead: ESRCH");
	is_int(atomic_load(&w[0]), (long)(WAITERS | (unsigned)gone), "WAITERS is set");
	is_err(op(TRYLOCK_PI, 0), ESRCH, "TRYLOCK_PI: ESRCH, too");
	is_err(op(UNLOCK_PI, 0), EPERM, "and it is not ours");
	atomic_store(&w[0], TIDS);
	is_err(op(LOCK_PI, 0), ESRCH, "an id that never was: ESRCH");
	atomic_store(&w[0], 0xffffffff);
	is_err(op(LOCK_PI, 0), ESRCH, "all bits: ESRCH");
	other = spawn(sleep_long, NULL);
	atomic_store(&w[0], (uint32_t)other);
	is_err(
	    futex(&w[0], LOCK_PI, 0, &ts, NULL, 0), ETIMEDOUT, "a process that knows of nothing");
	kill(other, SIGKILL);
	reap(other);
	atomic_store(&w[0], 0);
	is_exit(run_child(lock_child, NULL), 0, "a child locks and ends");
	ok(atomic_load(&w[0]) != 0, "its id stays in the word without a robust list");
	is_err(op(LOCK_PI, 0), ESRCH, "then nobody will free it: ESRCH");
}

/* ---- two ---- */

static void *
holder(void *arg)
{
	int until = (int)(long)arg;

	lock(0);
	word_add(gate, 1);
	word_wait(gate, until);
	unlock(0);
	return NULL;
}

static void
on_usr1(int sig)
{
	(void)sig;
	word_add(gate, 100);
}

static void *
signaller(void *arg)
{
	pthread_t *t = arg;

	sleep_ms(60);
	pthread_kill(*t, SIGUSR1);
	sleep_ms(60);
	word_add(gate, 1);
	return NULL;
}

static void
test_timeouts(void)
{
	struct timespec ts, past = { 1, 0 };
	pthread_t t, s, me = pthread_self();
	long long t0;

	atomic_store(&w[0], 0);
	atomic_store(gate, 0);
	pthread_create(&t, NULL, holder, (void *)2);
	word_wait(gate, 1);
	is_err(op(TRYLOCK_PI, 0), EAGAIN, "TRYLOCK_PI of a taken lock: EAGAIN");
	is_err(futex(&w[0], LOCK_PI, 0, &past, NULL, 0), ETIMEDOUT, "a time in the past");
	ts = in_ms(CLOCK_REALTIME, 40);
	t0 = now_ns();
	is_err(futex(&w[0], LOCK_PI, 0, &ts, NULL, 0), ETIMEDOUT, "LOCK_PI: ETIMEDOUT");
	ok(now_ns() - t0 > 30000000, "not early");
	ts = in_ms(CLOCK_MONOTONIC, 40);
	t0 = now_ns();
	is_err(futex(&w[0], LOCK_PI2, 0, &ts, NULL, 0), ETIMEDOUT, "LOCK_PI2: ETIMEDOUT");
	ok(now_ns() - t0 > 30000000 && now_ns() - t0 < 60000000000, "by the monotonic clock");
	ts = in_ms(CLOCK_REALTIME, 40);
	is_err(futex(&w[0], LOCK_PI2 | REALTIME, 0, &ts, NULL, 0), ETIMEDOUT, "or the other");
	is_err(op(UNLOCK_PI, 0), EPERM, "UNLOCK_PI of another's lock: EPERM");
	ok((atomic_load(&w[0]) & WAITERS) != 0, "WAITERS is set");

	signal(SIGUSR1, on_usr1);
	pthread_create(&s, NULL, signaller, &me);
	is_int(op(LOCK_PI, 0), 0, "a signal does not end LOCK_PI");
	ok(atomic_load(gate) >= 101, "though its handler ran");
	is_int((long)(atomic_load(&w[0]) & TIDS), self(), "the lock is ours");
	is_int(op(UNLOCK_PI, 0), 0, "free again");
	is_int(atomic_load(&w[0]), 0, "the word is 0");
	pthread_join(t, NULL);
	pthread_join(s, NULL);
	signal(SIGUSR1, SIG_DFL);
}

/* ---- deadlocks: a ring of three, found by who closes it ---- */

static atomic_int ring_errors, ring_got;

static void *
ring_link(void *arg)
{
	int i = (int)(long)arg;

	lock(i);
	word_add(gate, 1);
	word_wait(gate, 3);
	sleep_ms(40 * i);
	if (op(LOCK_PI, (i + 1) % 3) != 0) {
		if (errno == EDEADLK)
			atomic_fetch_add(&ring_errors, 1);
	} else {
		atomic_fetch_add(&ring_got, 1);
		unlock((i + 1) % 3);
	}
	unlock(i);
	return NULL;
}

static void
test_deadlock(void)
{
	pthread_t t[3];

	atomic_store(gate, 0);
	for (int i = 0; i < 3; i++)
		atomic_store(&w[i], 0);
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, ring_link, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ok(atomic_load(&ring_errors) >= 1, "a ring of three: EDEADLK");
	is_int(atomic_load(&ring_errors) + atomic_load(&ring_got), 3, "the others got theirs");
}

/* ---- hand-over ---- */

static atomic_int inside, count;
#define ROUNDS 120

static void *
storm(void *arg)
{
	int bad = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		lock(3);
		bad += atomic_fetch_add(&inside, 1) != 0;
		atomic_fetch_add(&count, 1);
		if (i % 8 == 0)
			sched_yield();
		bad += atomic_fetch_sub(&inside, 1) != 1;
		unlock(3);
	}
	return (void *)(long)bad;
}

static void *
timed_storm(void *arg)
{
	struct rng r;
	long got = 0;

	rng_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < ROUNDS; i++) {
		struct timespec ts = in_ms(CLOCK_MONOTONIC, 0);
		uint32_t zero = 0;

		ts.tv_nsec += rng_below(&r, 300000);
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		if (!atomic_compare_exchange_strong(&w[3], &zero, self()) &&
		    futex(&w[3], LOCK_PI2, 0, &ts, NULL, 0) != 0) {
			if (errno != ETIMEDOUT)
				_exit(101);
			continue;
		}
		if (atomic_fetch_add(&inside, 1) != 0)
			_exit(102);
		got++;
		if (atomic_fetch_sub(&inside, 1) != 1)
			_exit(103);
		unlock(3);
	}
	return (void *)got;
}

static void
test_storm(void)
{
	pthread_t t[6];
	void *bad;
	long sum = 0;

	atomic_store(&w[3], 0);
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, i < 3 ? storm : timed_storm, (void *)(long)(i + 1));
	for (int i = 0; i < 6; i++) {
		pthread_join(t[i], &bad);
		if (i < 3)
			sum += (long)bad;
	}
	is_int(sum, 0, "a storm: nobody was inside with another");
	is_int(atomic_load(&count), 3 * ROUNDS, "everybody came in");
	is_int(atomic_load(&w[3]), 0, "the word is 0");
}

/* ---- owners that end ---- */

static int
wait_forever(void *arg)
{
	(void)arg;
	lock(4);
	word_add(gate, 1);
	while (pause() != 0)
		continue;
	return 0;
}

static int
waits_killed(void *arg)
{
	(void)arg;
	word_add(gate, 1);
	return op(LOCK_PI, 4) == 0 ? 0 : 1;
}

static void
test_owner_ends(void)
{
	pid_t owner, other;

	atomic_store(&w[4], 0);
	atomic_store(gate, 0);
	owner = spawn(wait_forever, NULL);
	word_wait(gate, 1);
	other = spawn(waits_killed, NULL);
	word_wait(gate, 2);
	sleep_ms(50);
	kill(other, SIGKILL);
	is_killed(reap(other), SIGKILL, "a waiter can be killed");
	other = spawn(waits_killed, NULL);
	word_wait(gate, 3);
	sleep_ms(50);
	kill(owner, SIGKILL);
	is_killed(reap(owner), SIGKILL, "the owner is killed");
	is_exit(reap(other), 0, "its waiter gets the lock, robust or not");
	ok((atomic_load(&w[4]) & TIDS) == (uint32_t)other, "the word names the heir");
	ok((atomic_load(&w[4]) & DIED) != 0, "and tells of the death");
}

static void *
takes(void *arg)
{
	lock(4);
	unlock(4);
	return arg;
}

/* Its first thread takes a stop signal; the other is stopped with it. */
static int
thread_takes(void *arg)
{
	pthread_t t;

	pthread_create(&t, NULL, takes, arg);
	return pthread_join(t, NULL);
}

/* A lock is for those that can use it: who is stopped asks again when he is continued. */
static void
test_stopped(void)
{
	pid_t stopped;
	int st;

	atomic_store(&w[4], 0);
	lock(4);
	stopped = spawn(thread_takes, NULL);
	while ((atomic_load(&w[4]) & WAITERS) == 0)
		sleep_ms(1);
	sleep_ms(30);
	kill(stopped, SIGSTOP);
	waitpid(stopped, &st, WUNTRACED);
	ok(WIFSTOPPED(st), "the only waiter is stopped");
	unlock(4);
	is_exit(reap_ms(spawn(thread_takes, NULL), 10000), 0, "the lock is not given to it");
	kill(stopped, SIGCONT);
	is_exit(reap_ms(stopped, 10000), 0, "it gets the lock when it is continued");
	is_int(atomic_load(&w[4]), 0, "and frees it");
}

#define WAIT_REQUEUE_PI 11
#define CMP_REQUEUE_PI  12

static void *
waits_once(void *arg)
{
	word_add(gate, 1);
	if (futex(&w[5], WAIT_REQUEUE_PI, 0, NULL, &w[6], 0) != 0)
		_exit(errno);
	unlock(6);
	return arg;
}

static int
thread_waits(void *arg)
{
	pthread_t t;

	pthread_create(&t, NULL, waits_once, arg);
	return pthread_join(t, NULL);
}

static long
give(void)
{
	return syscall(SYS_futex, &w[5], CMP_REQUEUE_PI, 1, 0, &w[6], 0);
}

/* Nor is it given to who waits to be moved to it. */
static void
test_stopped_cond(void)
{
	pid_t pid;
	int st;

	atomic_store(gate, 0);
	pid = spawn(thread_waits, NULL);
	word_wait(gate, 1);
	sleep_ms(50);
	kill(pid, SIGSTOP);
	waitpid(pid, &st, WUNTRACED);
	is_int(give(), 0, "who is stopped is not given the lock");
	is_int(atomic_load(&w[6]), 0, "which stays free");
	kill(pid, SIGCONT);
	for (st = 0; st < 10000 && give() == 0; st++)
		sleep_ms(1);
	is_exit(reap_ms(pid, 10000), 0, "continued it waits again, and gets it");
}

/* ---- mutexes of the library ---- */

static pthread_mutex_t *mtx;
static int mtx_value;

static void *
mutex_worker(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(mtx);
		mtx_value++;
		if (i % 16 == 0)
			sched_yield();
		pthread_mutex_unlock(mtx);
	}
	return NULL;
}

static int
mutex_die(void *arg)
{
	pthread_mutex_lock(mtx);
	word_add(gate, 1);
	sleep_ms(arg != NULL ? 80 : 0);
	raise(SIGKILL);
	return 0;
}

static void
test_mutex(int robust)
{
	const char *kind = robust ? "robust" : "plain";
	pthread_mutexattr_t ma;
	struct timespec ts;
	pthread_t t[4];
	pid_t child;

	pthread_mutexattr_init(&ma);
	is_int(pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT), 0,
	    "%s: PTHREAD_PRIO_INHERIT is supported", kind);
	pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
	memset(mtx, 0, sizeof(*mtx));
	is_int(pthread_mutex_init(mtx, &ma), 0, "%s: a mutex", kind);
	mtx_value = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, mutex_worker, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	is_int(mtx_value, 4 * ROUNDS, "%s: it excludes", kind);
	if (!robust)
		return;
	is_killed(run_child(mutex_die, NULL), SIGKILL, "its owner dies");
	is_int(pthread_mutex_lock(mtx), EOWNERDEAD, "EOWNERDEAD");
	is_int(pthread_mutex_consistent(mtx), 0, "consistent again");
	is_int(pthread_mutex_unlock(mtx), 0, "unlocked");
	atomic_store(gate, 0);
	child = spawn(mutex_die, mtx);
	word_wait(gate, 1);
	ts = in_ms(CLOCK_REALTIME, 10);
	is_int(pthread_mutex_timedlock(mtx, &ts), ETIMEDOUT, "timedlock");
	is_int(pthread_mutex_lock(mtx), EOWNERDEAD, "one that waits gets EOWNERDEAD");
	is_int(pthread_mutex_consistent(mtx), 0, "consistent again");
	is_int(pthread_mutex_unlock(mtx), 0, "unlocked");
	is_killed(reap(child), SIGKILL, "its owner has died");
}

int
main(void)
{
	char *mem = shared_mem(PAGE);

	w = (void *)mem;
	gate = (void *)(mem + 256);
	mtx = (void *)(mem + 512);
	test_word();
	test_lies();
	test_timeouts();
	test_deadlock();
	test_storm();
	test_owner_ends();
	test_stopped();
	test_stopped_cond();
	test_mutex(0);
	test_mutex(1);
	return tap_done();
}
