/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex WAKE_OP, WAIT_BITSET and WAKE_BITSET: every operation and comparison,
 * who is woken, errors, private and shared.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
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
	return tap_done();
}
