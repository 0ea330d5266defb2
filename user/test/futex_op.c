/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex WAKE_OP, WAIT_BITSET and WAKE_BITSET: every operation and comparison,
 * who is woken, errors, private and shared; and what each call says where
 * others wait in another way.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define WAKE_OP     5
#define WAKE_BITSET 10
#define REALTIME    256

#define CODE(op, arg, cmp, cmparg) \
	((int)((unsigned)(op) << 28 | (unsigned)(cmp) << 24 | ((unsigned)(arg)&0xfff) << 12 | \
	    ((unsigned)(cmparg)&0xfff)))

static atomic_int a, b, entered, woken;

static long
wake_op(void *w1, long n1, long n2, void *w2, int flags, int code)
{
	return futex(w1, WAKE_OP | flags, (int)n1, hide((uintptr_t)n2), w2, code);
}

static void
test_ops(void)
{
	static const struct {
		int op, arg, old, new;
		const char *what;
	} ops[] = {
		{ 0, 7, 5, 7, "SET" },
		{ 0, -1, 5, -1, "SET to a negative argument" },
		{ 1, 7, 5, 12, "ADD" },
		{ 1, -6, 5, -1, "ADD of a negative argument" },
		{ 2, 6, 5, 7, "OR" },
		{ 3, 4, 5, 1, "ANDN" },
		{ 4, 6, 5, 3, "XOR" },
		{ 8, 31, 5, INT_MIN, "SET to 1 << 31" },
		{ 9, 4, 5, 21, "ADD of 1 << 4" },
		{ 8 + 4, 0, 5, 4, "XOR of 1 << 0" },
	};
	size_t i;

	for (i = 0; i < NELEM(ops); i++) {
		atomic_store(&b, ops[i].old);
		is_int(wake_op(&a, 1, 1, &b, 0, CODE(ops[i].op, ops[i].arg, 0, 0)), 0,
		    "%s: nobody to wake", ops[i].what);
		is_int(atomic_load(&b), ops[i].new, "%s: the word", ops[i].what);
	}
}

static void
test_errors(void)
{
	char *ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	atomic_store(&b, 5);
	is_err(wake_op(&a, 1, 1, &b, 0, CODE(5, 1, 0, 0)), ENOSYS, "operation 5: ENOSYS");
	is_int(atomic_load(&b), 5, "and the word stays");
	is_err(wake_op(&a, 1, 1, &b, 0, CODE(0, 1, 6, 0)), ENOSYS, "comparison 6: ENOSYS");
	is_err(wake_op((char *)&a + 1, 1, 1, &b, 0, 0), EINVAL, "first word misaligned: EINVAL");
	is_err(wake_op(&a, 1, 1, (char *)&b + 2, 0, 0), EINVAL, "second word misaligned: EINVAL");
	is_err(wake_op(&a, 1, 1, hide(0), FUT_PRIVATE, 0), EFAULT, "second word at 0: EFAULT");
	is_err(wake_op(&a, 1, 1, hide(0xffff800000000000), FUT_PRIVATE, 0), EFAULT,
	    "in the kernel: EFAULT");
	is_err(wake_op(&a, 1, 1, ro, FUT_PRIVATE, 0), EFAULT, "read-only: EFAULT");
	is_err(wake_op(&a, 1, 1, &b, REALTIME, 0), ENOSYS, "CLOCK_REALTIME: ENOSYS");
	is_err(futex(&a, WAKE_BITSET, 1, NULL, NULL, 0), EINVAL, "WAKE_BITSET of none: EINVAL");
}

struct waiter {
	atomic_int *word;
	int flags, bits;
	pthread_t thread;
	atomic_int tid;
};

static void *
waiter(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->tid, gettid());
	word_add(&entered, 1);
	if (futex(w->word, FUT_WAIT_BITSET | w->flags, 1, NULL, NULL, w->bits) == 0)
		word_add(&woken, 1);
	return NULL;
}

static void
start(struct waiter *w, int n)
{
	atomic_store(&entered, 0);
	atomic_store(&woken, 0);
	for (int i = 0; i < n; i++)
		pthread_create(&w[i].thread, NULL, waiter, &w[i]);
	word_wait(&entered, n);
	for (int i = 0; i < n; i++)
		until_asleep(atomic_load(&w[i].tid));
}

static void
join(struct waiter *w, int n)
{
	for (int i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	is_int(atomic_load(&woken), n, "each was woken once");
}

static void
test_wakes(int flags)
{
	static const struct {
		int cmp, arg, want;
		const char *what;
	} cmps[] = {
		{ 0, 5, 1, "5 == 5" },
		{ 0, 4, 0, "5 == 4" },
		{ 1, 4, 1, "5 != 4" },
		{ 1, 5, 0, "5 != 5" },
		{ 2, 6, 1, "5 < 6" },
		{ 2, -1, 0, "5 < -1" },
		{ 3, 5, 1, "5 <= 5" },
		{ 3, 4, 0, "5 <= 4" },
		{ 4, -1, 1, "5 > -1" },
		{ 4, 5, 0, "5 > 5" },
		{ 5, 5, 1, "5 >= 5" },
		{ 5, 6, 0, "5 >= 6" },
	};
	const char *kind = flags ? "private" : "shared";
	struct waiter w[8];
	size_t i;

	for (i = 0; i < NELEM(w); i++)
		w[i] = (struct waiter){ i < 2 ? &a : &b, flags, -1, 0, 0 };
	atomic_store(&a, 1);
	atomic_store(&b, 1);
	start(w, NELEM(w));
	atomic_store(&b, 5);
	is_int(wake_op(&a, 2, 1, &b, flags, CODE(0, 5, 0, 4)), 2, "%s: 2 at the first word", kind);
	ok(word_wait_ms(&woken, 2, 60000), "%s: they ran", kind);
	for (i = 0; i < NELEM(cmps); i++)
		is_int(wake_op(&a, 1, 1, &b, flags, CODE(0, 5, cmps[i].cmp, cmps[i].arg)),
		    cmps[i].want, "%s: %s", kind, cmps[i].what);
	join(w, NELEM(w));
}

static void
test_bitset(int flags)
{
	struct waiter w[4] = { { &a, flags, 1, 0, 0 }, { &a, flags, 2, 0, 0 },
		{ &a, flags, 6, 0, 0 }, { &a, flags, -1, 0, 0 } };

	atomic_store(&a, 1);
	start(w, 4);
	is_int(futex(&a, WAKE_BITSET | flags, INT_MAX, NULL, NULL, 8), 1, "bit 3: who takes all");
	is_int(futex(&a, WAKE_BITSET | flags, INT_MAX, NULL, NULL, 8), 0, "now nobody");
	is_int(futex(&a, WAKE_BITSET | flags, INT_MAX, NULL, NULL, 4), 1, "bit 2: the third");
	is_int(futex(&a, FUT_WAKE | flags, INT_MAX, NULL, NULL, 0), 2, "WAKE: who is left");
	join(w, 4);
}

static void
test_clocks(void)
{
	struct timespec now, ts;
	long us;

	atomic_store(&a, 1);
	for (int wall = 0; wall < 2; wall++) {
		clock_gettime(wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += 30000000;
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		is_err(futex(&a, FUT_WAIT_BITSET | (wall ? REALTIME : 0), 1, &ts, NULL, -1),
		    ETIMEDOUT, "WAIT_BITSET until a time of clock %d", !wall);
		clock_gettime(wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
		us = (now.tv_sec - ts.tv_sec) * 1000000 + (now.tv_nsec - ts.tv_nsec) / 1000;
		ok(us >= 0 && us < 3000000, "ends at that time");
	}
}

/* ---- each call on a word where somebody waits, in this way or that ---- */

enum { LOCK_PI = 6, UNLOCK_PI, TRYLOCK_PI, WAIT_REQUEUE_PI = 11, CMP_REQUEUE_PI, LOCK_PI2 };

#define NOBODY 0x3ffffff0 /* no thread's id */

/* W is the word, X another, L the lock that goes with W. */
static atomic_int W, X, L, owner_id;

static void *
plain_waiter(void *arg)
{
	(void)arg;
	futex(&W, FUT_WAIT, atomic_load(&W), NULL, NULL, 0);
	return NULL;
}

static void *
locker(void *arg)
{
	(void)arg;
	futex(&W, LOCK_PI, 0, NULL, NULL, 0);
	pause();
	return NULL;
}

static void *
cond_waiter(void *arg)
{
	(void)arg;
	futex(&W, WAIT_REQUEUE_PI, atomic_load(&W), NULL, &L, 0);
	pause();
	return NULL;
}

static void *
owner(void *arg)
{
	(void)arg;
	atomic_store(&owner_id, gettid());
	pause();
	return NULL;
}

static void
run(void *(*fn)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, NULL) != 0)
		_exit('?');
}

/* A requeue to where they are counts the plain waiters, and fails when there is one of another kind. */
static void
start_waiter(void *(*fn)(void *), int count)
{
	run(fn);
	while (futex(&W, FUT_REQUEUE, 0, hide(INT_MAX), &W, 0) != count)
		sched_yield();
}

static void
plain(int n)
{
	start_waiter(plain_waiter, n);
}

static void
cond(void)
{
	start_waiter(cond_waiter, -1);
}

static void
lock_by(int id)
{
	atomic_store(&W, id);
	start_waiter(locker, -1);
}

static void
set_free(void)
{
}

static void
set_taken(void)
{
	atomic_store(&W, NOBODY);
}

static void
set_plain(void)
{
	set_taken();
	plain(1);
}

static void
set_plain2(void)
{
	set_plain();
	plain(2);
}

static void
set_plain_free(void)
{
	plain(1);
}

static void
set_lock(void)
{
	run(owner);
	while (atomic_load(&owner_id) == 0)
		sched_yield();
	lock_by(atomic_load(&owner_id));
}

static void
set_mine(void)
{
	atomic_store(&W, gettid());
}

static void
set_my_lock(void)
{
	lock_by(gettid());
}

static void
set_mine_plain(void)
{
	set_mine();
	plain(1);
}

static void
set_cond(void)
{
	cond();
}

static void
set_my_cond(void)
{
	atomic_store(&L, gettid());
	cond();
}

static void
set_plain_cond(void)
{
	plain(1);
	cond();
}

static void (*const setups[])(void) = { set_free, set_taken, set_plain, set_plain2, set_plain_free,
	set_lock, set_mine, set_my_lock, set_mine_plain, set_cond, set_my_cond, set_plain_cond };

/* value: W's value is added to argument 2 or 3, or to none; until: the time limit's clock, or -1. */
static const struct call {
	const char *what;
	int op, val, val2;
	atomic_int *w1, *w2;
	int val3, value, until;
	const char *want; /* by setup: a count, or a letter of letters[] */
} calls[] = {
#define ALL(c) c c c c c c c c c c c c
	{ "WAKE 1", FUT_WAKE, 1, 0, &W, NULL, 0, 0, -1, "00111I0I1II1" },
	{ "WAKE all", FUT_WAKE, INT_MAX, 0, &W, NULL, 0, 0, -1, "00121I0I1III" },
	{ "WAKE 0", FUT_WAKE, 0, 0, &W, NULL, 0, 0, -1, "00111I0I1II1" },
	{ "WAKE_BITSET", WAKE_BITSET, 1, 0, &W, NULL, 1, 0, -1, "00111I0I1II1" },
	{ "WAKE_OP, the first word", WAKE_OP, 1, 1, &W, &X, 0, 0, -1, "00111I0I1II1" },
	{ "WAKE_OP, the second word", WAKE_OP, 1, 1, &X, &W, CODE(1, 0, 1, -1), 0, -1,
	    "00111I0I1II1" },
	{ "WAKE_OP, the second word is passed over", WAKE_OP, 1, 1, &X, &W, CODE(1, 0, 0, -1), 0,
	    -1, ALL("0") },
	{ "REQUEUE of one", FUT_REQUEUE, 0, 1, &W, &X, 0, 0, -1, "00111I0I1II1" },
	{ "REQUEUE, wake one", FUT_REQUEUE, 1, 0, &W, &X, 0, 0, -1, "00111I0I1II1" },
	{ "REQUEUE of none", FUT_REQUEUE, 0, 0, &W, &X, 0, 0, -1, ALL("0") },
	{ "REQUEUE of all", FUT_REQUEUE, 1, INT_MAX, &W, &X, 0, 0, -1, "00121I0I1III" },
	{ "REQUEUE of -1", FUT_REQUEUE, 1, -1, &W, &X, 0, 0, -1, ALL("I") },
	{ "REQUEUE to the word", FUT_REQUEUE, 1, 1, &X, &W, 0, 0, -1, ALL("0") },
	{ "CMP_REQUEUE", FUT_CMP_REQUEUE, 1, 1, &W, &X, 0, 3, -1, "00121I0I1III" },
	{ "CMP_REQUEUE, another value", FUT_CMP_REQUEUE, 1, 1, &W, &X, 1, 3, -1, ALL("A") },
	{ "CMP_REQUEUE_PI", CMP_REQUEUE_PI, 1, 0, &W, &L, 0, 3, -1, "00IIII0II11I" },
	{ "CMP_REQUEUE_PI, another value", CMP_REQUEUE_PI, 1, 0, &W, &L, 1, 3, -1, ALL("A") },
	{ "CMP_REQUEUE_PI to another lock", CMP_REQUEUE_PI, 1, 0, &W, &X, 0, 3, -1,
	    "00IIII0IIIII" },
	{ "CMP_REQUEUE_PI to the word", CMP_REQUEUE_PI, 1, 0, &X, &W, 0, 0, -1, ALL("0") },
	{ "CMP_REQUEUE_PI, wake 0", CMP_REQUEUE_PI, 0, 1, &W, &L, 0, 3, -1, ALL("I") },
	{ "TRYLOCK_PI", TRYLOCK_PI, 0, 0, &W, NULL, 0, 0, -1, "0SIIIADDDIII" },
	{ "LOCK_PI", LOCK_PI, 0, 0, &W, NULL, 0, 0, CLOCK_REALTIME, "0SIIITDDDIII" },
	{ "LOCK_PI2", LOCK_PI2, 0, 0, &W, NULL, 0, 0, CLOCK_MONOTONIC, "0SIIITDDDIII" },
	{ "UNLOCK_PI", UNLOCK_PI, 0, 0, &W, NULL, 0, 0, -1, "PPPPPP00IPPP" },
	{ "UNLOCK_PI of the lock", UNLOCK_PI, 0, 0, &L, NULL, 0, 0, -1, "PPPPPPPPPP0P" },
	{ "WAIT, another value", FUT_WAIT, 1, 0, &W, NULL, 0, 2, -1, ALL("A") },
	{ "WAIT_BITSET", FUT_WAIT_BITSET, 0, 0, &W, NULL, 1, 2, CLOCK_MONOTONIC, ALL("T") },
	{ "WAIT_REQUEUE_PI", WAIT_REQUEUE_PI, 0, 0, &W, &L, 0, 2, CLOCK_MONOTONIC, ALL("T") },
	{ "WAIT_REQUEUE_PI, another value", WAIT_REQUEUE_PI, 1, 0, &W, &L, 0, 2, CLOCK_MONOTONIC,
	    ALL("A") },
	{ "WAIT_REQUEUE_PI to itself", WAIT_REQUEUE_PI, 0, 0, &W, &W, 0, 2, CLOCK_MONOTONIC,
	    ALL("I") },
#undef ALL
};

static const struct {
	int error;
	char letter;
} letters[] = { { EINVAL, 'I' }, { EAGAIN, 'A' }, { EDEADLK, 'D' }, { EPERM, 'P' }, { ESRCH, 'S' },
	{ ETIMEDOUT, 'T' } };

static char
letter(long r)
{
	if (r >= 0)
		return r < 10 ? (char)('0' + r) : '+';
	for (size_t i = 0; i < NELEM(letters); i++)
		if (letters[i].error == errno)
			return letters[i].letter;
	return '?';
}

struct cell {
	const struct call *call;
	void (*setup)(void);
};

/* In a process of its own: its end is that of all who wait. */
static int
cell(void *arg)
{
	const struct cell *ce = arg;
	const struct call *c = ce->call;
	struct timespec ts;
	long fourth = c->val2;

	alarm(30);
	ce->setup();
	if (c->until >= 0) {
		clock_gettime(c->until, &ts);
		ts.tv_nsec += 10000000;
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		fourth = (long)&ts;
	}
	return letter(
	    syscall(SYS_futex, c->w1, c->op, c->val + (c->value == 2 ? atomic_load(&W) : 0), fourth,
		c->w2, c->val3 + (c->value == 3 ? atomic_load(&W) : 0)));
}

static void
test_kinds(void)
{
	int cpu;

	/* They take turns: on several CPUs that is slower. */
	if (cpu_list(&cpu, 1) > 0)
		pin_cpu(cpu);
	for (size_t i = 0; i < NELEM(calls); i++) {
		char got[NELEM(setups) + 1] = "";

		for (size_t k = 0; k < NELEM(setups); k++) {
			struct cell ce = { &calls[i], setups[k] };
			int st = run_child(cell, &ce);

			got[k] = WIFEXITED(st) ? (char)WEXITSTATUS(st) : '!';
		}
		if (!ok(strcmp(got, calls[i].want) == 0, "%s beside each kind of waiter: %s",
			calls[i].what, calls[i].want))
			diag("got %s", got);
	}
}

int
main(void)
{
	test_ops();
	test_errors();
	test_wakes(0);
	test_wakes(FUT_PRIVATE);
	test_bitset(0);
	test_bitset(FUT_PRIVATE);
	test_clocks();
	test_kinds();
	return tap_done();
}
