/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: errors, pairs that do not
 * match, a free and a taken lock, signals and time limits before and after the
 * move, an owner that dies, a circle, signals for who moves, and a storm of
 * condition variables.
 *
 * test: timeout=90 smp=1,4
 * test: name=fp smp=2 append="fp=pi-waiters-set:300,pi-woken:300,pi-moved:300,lend-restart:100,sleep-queued-not-switched:200,woken-while-RUNNING:200" host=no timeout=120
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define WAKE_OP         5
#define LOCK_PI         6
#define UNLOCK_PI       7
#define WAIT_REQUEUE_PI 11
#define CMP_REQUEUE_PI  12
#define LOCK_PI2        13
#define REALTIME        256
#define WAITERS         0x80000000u
#define DIED            0x40000000u
#define TIDS            0x3fffffffu

#define PATIENCE 20000000000ll

/* Shared: [COND] is waited on, the others are locks. */
enum { COND, LOCK, LOCK_A, OTHER, WORDS };
static _Atomic uint32_t *w;
static atomic_int *gate;

static uint32_t
self(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

static void
lock(int i)
{
	uint32_t zero = 0;

	if (!atomic_compare_exchange_strong(&w[i], &zero, self()) &&
	    futex(&w[i], LOCK_PI, 0, NULL, NULL, 0) != 0)
		_exit(100 + errno);
}

static void
unlock(int i)
{
	uint32_t mine = self();

	if (!atomic_compare_exchange_strong(&w[i], &mine, 0) &&
	    futex(&w[i], UNLOCK_PI, 0, NULL, NULL, 0) != 0)
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

static long
wait_cond(const struct timespec *until)
{
	return futex(&w[COND], WAIT_REQUEUE_PI, 0, until, &w[LOCK], 0);
}

static long
move(int nwake, long nmove)
{
	return syscall(SYS_futex, &w[COND], CMP_REQUEUE_PI, nwake, nmove, &w[LOCK], 0);
}

/* Until n were moved or given the lock: how many, which is n unless it takes too long. */
static int
move_all(int n, long nmove)
{
	long long end = now_ns() + PATIENCE;
	int sum = 0;
	long got;

	while (sum < n && now_ns() < end) {
		got = move(1, nmove);
		if (got < 0)
			return -errno;
		sum += (int)got;
		if (sum < n)
			sleep_ms(1);
	}
	return sum;
}

static void
begin(void)
{
	for (int i = 0; i < WORDS; i++)
		atomic_store(&w[i], 0);
	atomic_store(gate, 0);
}

/* ---- alone ---- */

static void
test_errors(void)
{
	struct timespec bad = { 0, 1000000000 }, past = { 1, 0 };
	uint32_t *alias =
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *alias2 = mremap(alias, 0, PAGE, MREMAP_MAYMOVE);

	begin();
	is_err(futex(&w[COND], WAIT_REQUEUE_PI, 0, NULL, &w[COND], 0), EINVAL,
	    "to wait: one word for both: EINVAL");
	is_err(futex(&w[COND], WAIT_REQUEUE_PI, 1, NULL, &w[LOCK], 0), EAGAIN,
	    "another value: EAGAIN");
	is_err(futex((char *)w + 1, WAIT_REQUEUE_PI, 0, NULL, &w[LOCK], 0), EINVAL,
	    "misaligned: EINVAL");
	is_err(futex(&w[COND], WAIT_REQUEUE_PI, 0, NULL, (char *)w + 5, 0), EINVAL, "so the lock");
	is_err(futex(hide(0), WAIT_REQUEUE_PI, 0, NULL, &w[LOCK], 0), EFAULT, "NULL: EFAULT");
	is_err(futex(&w[COND], WAIT_REQUEUE_PI, 0, NULL, hide(0), 0), EFAULT, "so the lock");
	is_err(wait_cond(&bad), EINVAL, "10^9 ns: EINVAL");
	is_err(wait_cond(&past), ETIMEDOUT, "a time in the past: ETIMEDOUT");
	is_err(futex(&w[COND], WAIT_REQUEUE_PI | REALTIME, 0, &past, &w[LOCK], 0), ETIMEDOUT,
	    "of the other clock, too");
	is_err(futex(&w[COND], CMP_REQUEUE_PI, 1, (void *)1, &w[COND], 0), EINVAL,
	    "to move: one word for both: EINVAL");
	is_err(move(0, 1), EINVAL, "to wake 0: EINVAL");
	is_err(move(2, 1), EINVAL, "2: EINVAL");
	is_err(move(-1, 1), EINVAL, "-1: EINVAL");
	is_err(move(1, -1), EINVAL, "to move -1: EINVAL");
	is_err(futex(&w[COND], CMP_REQUEUE_PI, 1, (void *)1, &w[LOCK], 7), EAGAIN,
	    "another value: EAGAIN");
	is_err(futex(hide(0), CMP_REQUEUE_PI, 1, (void *)1, &w[LOCK], 0), EFAULT, "NULL: EFAULT");
	is_err(futex(&w[COND], CMP_REQUEUE_PI, 1, (void *)1, hide(0), 0), EFAULT, "so the lock");
	is_err(futex(&w[COND], CMP_REQUEUE_PI | REALTIME, 1, (void *)1, &w[LOCK], 0), ENOSYS,
	    "with a clock: ENOSYS");
	is_int(move(1, INT_MAX), 0, "nobody waits: 0");
	is_int(atomic_load(&w[LOCK]), 0, "and the lock is left alone");
	if (alias2 == MAP_FAILED) {
		skip("no second mapping", "one word by two addresses");
		return;
	}
	is_err(futex(alias, WAIT_REQUEUE_PI, 0, &past, alias2, 0), EINVAL,
	    "one word by two addresses");
	is_err(futex(alias, CMP_REQUEUE_PI, 1, (void *)1, alias2, 0), EINVAL, "also to move");
}

/* ---- with waiters ---- */

struct waiter {
	pthread_t t;
	long limit_ms; /* 0: none */
	long ret;
	int error;
	int inside; /* it had the lock when it came back */
};

static atomic_int inside, crowd, come, back, signals;

static void *
waiter(void *arg)
{
	struct waiter *me = arg;
	struct timespec ts = in_ms(CLOCK_MONOTONIC, me->limit_ms);

	atomic_fetch_add(&come, 1);
	me->ret = wait_cond(me->limit_ms != 0 ? &ts : NULL);
	me->error = errno;
	if (me->ret == 0) {
		me->inside = (atomic_load(&w[LOCK]) & TIDS) == self();
		if (atomic_fetch_add(&inside, 1) != 0)
			atomic_store(&crowd, 1);
		sched_yield();
		atomic_fetch_sub(&inside, 1);
		unlock(LOCK);
	}
	atomic_fetch_add(&back, 1);
	return NULL;
}

static void
start(struct waiter *x, int n, long limit_ms)
{
	atomic_store(&come, 0);
	atomic_store(&back, 0);
	for (int i = 0; i < n; i++) {
		x[i] = (struct waiter){ .limit_ms = limit_ms, .ret = -2 };
		if (pthread_create(&x[i].t, NULL, waiter, &x[i]) != 0)
			bail_out("no thread");
	}
}

static void
join(struct waiter *x, int n)
{
	for (int i = 0; i < n; i++)
		pthread_join(x[i].t, NULL);
}

/* Repeats a call that finds nobody, until the waiter sleeps; what it says then. */
#define UNTIL(call) \
	({ \
		long long end_ = now_ns() + PATIENCE; \
		long ret_; \
		while ((ret_ = (call)) == 0 && now_ns() < end_) \
			sleep_ms(1); \
		ret_; \
	})

static void *
plain(void *arg)
{
	*(long *)arg = futex(&w[COND], FUT_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

static void
test_pairs(void)
{
	struct waiter x[1];
	pthread_t t;
	long got = -2;

	begin();
	start(x, 1, 0);
	is_err(UNTIL(futex(&w[COND], FUT_WAKE, 1, NULL, NULL, 0)), EINVAL, "WAKE: EINVAL");
	is_err(futex(&w[COND], FUT_REQUEUE, 1, (void *)1, &w[LOCK], 0), EINVAL, "REQUEUE: EINVAL");
	is_err(futex(&w[COND], FUT_CMP_REQUEUE, 0, (void *)1, &w[LOCK], 0), EINVAL,
	    "CMP_REQUEUE: EINVAL");
	is_err(futex(&w[COND], WAKE_OP, 1, NULL, &w[OTHER], 0), EINVAL, "WAKE_OP: EINVAL");
	is_err(futex(&w[COND], CMP_REQUEUE_PI, 1, (void *)1, &w[LOCK_A], 0), EINVAL,
	    "to another lock: EINVAL");
	is_int(atomic_load(&back), 0, "it sleeps on");
	is_int(move_all(1, 0), 1, "it is given the free lock");
	join(x, 1);
	is_int(x[0].ret, 0, "which it waited for");
	ok(x[0].inside, "the word named it");
	is_int(atomic_load(&w[LOCK]), 0, "and was 0 afterwards");

	pthread_create(&t, NULL, plain, &got);
	is_err(UNTIL(move(1, 1)), EINVAL, "who waits otherwise is not moved: EINVAL");
	is_int(futex(&w[COND], FUT_WAKE, 1, NULL, NULL, 0), 1, "but woken");
	pthread_join(t, NULL);
	is_int(got, 0, "it was");
}

static void
test_taken(void)
{
	struct waiter x[4];
	int good = 0;

	begin();
	lock(LOCK);
	start(x, 4, 0);
	is_int(move_all(1, 0), 1, "the lock is taken: one is moved");
	is_int(move_all(3, INT_MAX), 3, "then the others");
	is_int((long)(atomic_load(&w[LOCK]) & TIDS), self(), "it is ours still");
	ok((atomic_load(&w[LOCK]) & WAITERS) != 0, "and others wait for it");
	is_int(move(1, INT_MAX), 0, "nobody is left");
	is_int(atomic_load(&back), 0, "nobody came back");
	unlock(LOCK);
	join(x, 4);
	for (int i = 0; i < 4; i++)
		good += x[i].ret == 0 && x[i].inside;
	is_int(good, 4, "each got the lock in turn");
	is_int(atomic_load(&crowd), 0, "and was alone");
	is_int((long)(atomic_load(&w[LOCK]) & TIDS), 0, "it is free");
}

static void
on_usr1(int sig)
{
	(void)sig;
	atomic_fetch_add(&signals, 1);
}

static void
signal_it(struct waiter *x)
{
	int n = atomic_load(&signals);

	pthread_kill(x->t, SIGUSR1);
	while (atomic_load(&signals) == n)
		sleep_ms(1);
}

static void
test_ends(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	struct waiter x[2];
	long long t0;
	long got = 0;

	sigaction(SIGUSR1, &sa, NULL);
	begin();
	t0 = now_ns();
	start(x, 1, 30);
	join(x, 1);
	ok(x[0].ret == -1 && x[0].error == ETIMEDOUT, "not moved: ETIMEDOUT");
	ok(now_ns() - t0 >= 30000000, "not early");
	start(x, 1, 0);
	(void)UNTIL(futex(&w[COND], FUT_WAKE, 1, NULL, NULL, 0));
	signal_it(&x[0]);
	is_int(move_all(1, 0), 1, "not moved: it waits again after a signal");
	join(x, 1);
	is_int(x[0].ret, 0, "and has the lock");

	lock(LOCK);
	/* Moved in time? On a busy machine perhaps not at once. */
	for (long limit_ms = 200; got != 1 && limit_ms < 20000; limit_ms *= 2) {
		start(x, 1, limit_ms);
		while (atomic_load(&back) == 0 && (got = move(1, 0)) == 0)
			sleep_ms(1);
		join(x, 1);
	}
	is_int(got, 1, "moved in time");
	ok(x[0].ret == -1 && x[0].error == ETIMEDOUT, "ETIMEDOUT");
	start(x, 2, 0);
	is_int(move_all(2, 1), 2, "two are moved");
	signal_it(&x[0]);
	pthread_join(x[0].t, NULL);
	ok(x[0].ret == -1 && x[0].error == EAGAIN, "a signal: EAGAIN");
	is_int(atomic_load(&back), 1, "for one");
	unlock(LOCK);
	pthread_join(x[1].t, NULL);
	is_int(x[1].ret, 0, "the other gets the lock");
}

/* ---- the owner dies ---- */

static int
die_with_lock(void *arg)
{
	(void)arg;
	lock(LOCK);
	word_add(gate, 1);
	while (pause() != 0)
		continue;
	return 0;
}

static void
test_owner_dies(void)
{
	struct waiter x[2];
	pid_t owner;

	begin();
	owner = spawn(die_with_lock, NULL);
	word_wait(gate, 1);
	start(x, 2, 0);
	is_int(move_all(2, 1), 2, "two wait for a lock of another process");
	kill(owner, SIGKILL);
	is_killed(reap(owner), SIGKILL, "which dies");
	join(x, 2);
	ok(x[0].ret == 0 && x[0].inside && x[1].ret == 0 && x[1].inside, "both get it");
	start(x, 1, 0);
	atomic_store(&w[LOCK], (uint32_t)owner);
	is_err(UNTIL(move(1, 0)), ESRCH, "a word that names the dead: ESRCH");
	is_int(atomic_load(&back), 0, "who waits does so still");
	atomic_store(&w[LOCK], DIED);
	is_int(move_all(1, 0), 1, "a lock whose owner died is free");
	join(x, 1);
	ok(x[0].ret == 0 && x[0].inside, "it gets that");
}

/* ---- a circle: who waits holds what the lock's owner waits for ---- */

static atomic_int circle_error;

static void *
circle_owner(void *arg)
{
	(void)arg;
	lock(LOCK);
	word_add(gate, 1);
	word_wait(gate, 2);
	if (futex(&w[LOCK_A], LOCK_PI, 0, NULL, NULL, 0) != 0)
		atomic_store(&circle_error, errno);
	else
		unlock(LOCK_A);
	unlock(LOCK);
	return NULL;
}

static void *
circle_waiter(void *arg)
{
	struct waiter *me = arg;

	lock(LOCK_A);
	word_add(gate, 1);
	me->ret = wait_cond(NULL);
	me->error = errno;
	if (me->ret == 0)
		unlock(LOCK);
	unlock(LOCK_A);
	return NULL;
}

static void
test_circle(void)
{
	struct waiter x = { .ret = -2 };
	pthread_t owner;
	long got;
	int error;

	begin();
	atomic_store(&circle_error, 0);
	pthread_create(&owner, NULL, circle_owner, NULL);
	word_wait(gate, 1);
	pthread_create(&x.t, NULL, circle_waiter, &x);
	while ((atomic_load(&w[LOCK_A]) & WAITERS) == 0)
		sleep_ms(1);
	sleep_ms(50);
	got = UNTIL(move(1, 0));
	error = got < 0 ? errno : 0;
	atomic_store(&w[COND], 1); /* what it finds when it begins anew */
	pthread_kill(x.t, SIGUSR1);
	pthread_join(x.t, NULL);
	pthread_join(owner, NULL);
	/* Were the owner not asleep yet, it would be told. */
	ok(error == EDEADLK || atomic_load(&circle_error) == EDEADLK, "a circle: EDEADLK");
	ok(x.ret == 0 || x.error == EAGAIN, "who waits is not told");
	ok((atomic_load(&w[LOCK]) & TIDS) == 0 && (atomic_load(&w[LOCK_A]) & TIDS) == 0,
	    "all is free again");
}

/* ---- who moves all is interrupted meanwhile ---- */

#define MANY   16
#define CHASES 6

static atomic_int alarms;

static void
on_alarm(int sig)
{
	(void)sig;
	atomic_fetch_add(&alarms, 1);
}

/* Those that come when the word has changed do not wait: so all that do were there before. */
static void
test_interrupted(void)
{
	struct itimerval on = { { 0, 500 }, { 0, 500 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct waiter x[MANY];
	long moved = 0, behind = 0;
	int good = 0;
	sigset_t set;

	sigaction(SIGALRM, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	for (int i = 0; i < CHASES; i++) {
		begin();
		lock(LOCK);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
		start(x, MANY, 0);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		while (atomic_load(&come) < MANY)
			sleep_ms(1);
		sleep_ms(5);
		atomic_store(&w[COND], 1);
		setitimer(ITIMER_REAL, &on, NULL);
		moved += syscall(SYS_futex, &w[COND], CMP_REQUEUE_PI, 1, INT_MAX, &w[LOCK], 1);
		setitimer(ITIMER_REAL, &off, NULL);
		behind += syscall(SYS_futex, &w[COND], CMP_REQUEUE_PI, 1, INT_MAX, &w[LOCK], 1);
		unlock(LOCK);
		join(x, MANY);
		for (int k = 0; k < MANY; k++)
			good += x[k].ret == 0 || x[k].error == EAGAIN;
	}
	diag("%ld moved, %d signals", moved, atomic_load(&alarms));
	ok(moved > 0, "one moves all that wait, and gets signals");
	is_int(behind, 0, "none is left behind");
	is_int(good, CHASES * MANY, "all come back");
}

/* ---- a storm ---- */

#define THREADS 5
#define ROUNDS  60

static atomic_uint left;

static void *
storm(void *arg)
{
	struct rng r;
	long lost = 0;

	rng_seed(&r, (uint64_t)(uintptr_t)arg);
	for (int i = 0; i < ROUNDS; i++) {
		struct timespec ts = in_ms(CLOCK_MONOTONIC, 0);
		uint32_t seen;
		long got;

		ts.tv_nsec += rng_below(&r, 4000000);
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		lock(LOCK);
		lost += atomic_fetch_add(&inside, 1) != 0;
		atomic_fetch_sub(&inside, 1);
		seen = atomic_load(&w[COND]);
		unlock(LOCK);
		got = futex(&w[COND], WAIT_REQUEUE_PI, (int)seen, &ts, &w[LOCK], 0);
		if (got != 0) {
			lost += errno != EAGAIN && errno != ETIMEDOUT;
			continue;
		}
		lost += (atomic_load(&w[LOCK]) & TIDS) != self();
		lost += atomic_fetch_add(&inside, 1) != 0;
		atomic_fetch_sub(&inside, 1);
		unlock(LOCK);
	}
	atomic_fetch_sub(&left, 1);
	return (void *)lost;
}

static void
test_storm(void)
{
	pthread_t t[THREADS];
	long lost = 0;
	int errors = 0;
	void *bad;

	begin();
	atomic_store(&left, THREADS);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, storm, (void *)(i + 1));
	while (atomic_load(&left) != 0) {
		long got;
		uint32_t now;

		lock(LOCK);
		now = atomic_fetch_add(&w[COND], 1) + 1;
		got = syscall(
		    SYS_futex, &w[COND], CMP_REQUEUE_PI, 1, now % 3 ? INT_MAX : 0, &w[LOCK], now);
		errors += got < 0;
		unlock(LOCK);
		if (now % 4 == 0)
			pthread_kill(t[now / 4 % THREADS], SIGUSR1);
		sleep_ms(1);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &bad);
		lost += (long)bad;
	}
	is_int(errors, 0, "a storm: nobody could not be moved");
	is_int(lost, 0, "who came back without an error had the lock, alone");
	is_int((long)(atomic_load(&w[LOCK]) & TIDS), 0, "it is free at the end");
}

int
main(void)
{
	char *mem = shared_mem(PAGE);

	w = (void *)mem;
	gate = (void *)(mem + 256);
	test_errors();
	test_pairs();
	test_taken();
	test_ends();
	test_owner_dies();
	test_circle();
	test_interrupted();
	test_storm();
	return tap_done();
}
