/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader/writer locks that are handed over: who is woken holds the lock already. Held only by LWPs, like a mutex,
 * and with the same rules and ranks; taken for reading once only, for a writer may wait in between.
 *
 * A writer that waits keeps new readers out; one that releases lets in all readers that wait; the last of them
 * lets in the first writer. So neither starves.
 *
 * Word: (owner | RW_WRITER) or readers * RW_READER1, with RW_WAITERS and RW_WANTED; 0 = free.
 * layer: core
 */
#ifndef KERNEL_RWLOCK_H
#define KERNEL_RWLOCK_H

#include <arch/cpu_md.h>
#include <kernel/atomic.h>
#include <kernel/lockrank.h>
#include <kernel/types.h>

struct lwp;

struct rwlock {
	uintptr_t rw_word;
#ifdef DEBUG
	uint8_t rw_rank;
	uint8_t rw_class; /* of lockdebug, 0 = not asked for yet */
	const char *rw_name;
#endif
};

/* What an LWP holds (DEBUG), for as many as it may hold at once. */
#define RWHOLDS 4
struct rwhold {
	struct rwlock *rwh_lock; /* NULL = unused */
	uintptr_t rwh_pc;        /* where it was taken */
};

#define RW_WAITERS ((uintptr_t)1) /* a release looks for a turnstile */
#define RW_WANTED  ((uintptr_t)2) /* by a writer: no new readers */
#define RW_WRITER  ((uintptr_t)4)
#define RW_READER1 ((uintptr_t)8)
#define RW_FLAGS   (RW_READER1 - 1)

#ifdef DEBUG
#define RWLOCK_INIT(name, rank) \
	{ \
		.rw_rank = (rank), .rw_name = (name) \
	}
#else
#define RWLOCK_INIT(name, rank) \
	{ \
		0 \
	}
#endif

enum rw_mode { RW_READ, RW_WRITE };

void rw_init(struct rwlock *, const char *name, enum lock_rank);
void rw_destroy(struct rwlock *); /* asserts that it is free */
void rw_enter_slow(struct rwlock *, enum rw_mode);
void rw_exit_slow(struct rwlock *);
struct lwp *rw_owner(const struct rwlock *); /* the writer that holds it, or NULL */

/*
 * rw_enter
 * => may sleep, as mutex_lock(); not held by the current LWP in any mode
 * rw_tryenter: true when taken; never sleeps.
 * rw_downgrade: from writing to reading, without a moment in which it is free; lets in the readers that wait, unless a
 * writer waits, too.
 * rw_tryupgrade: from reading to writing; true if there was no other reader, and nobody waits.
 * rw_write_held: by the current LWP. rw_held: in either mode; the release build knows only that somebody reads.
 */
static inline bool
rw_enter_fast(struct rwlock *rw, enum rw_mode mode)
{
	uintptr_t word = 0;

	if (mode == RW_WRITE)
		return atomic_cas(&rw->rw_word, &word, (uintptr_t)arch_curlwp() | RW_WRITER);
	word = atomic_load_relaxed(&rw->rw_word);
	return (word & (RW_WRITER | RW_WANTED)) == 0 &&
	    atomic_cas(&rw->rw_word, &word, word + RW_READER1);
}

static inline bool
rw_exit_fast(struct rwlock *rw)
{
	uintptr_t word = atomic_load_relaxed(&rw->rw_word);
	uintptr_t after = word & RW_WRITER ? 0 : word - RW_READER1;

	return (word & RW_WAITERS) == 0 && atomic_cas(&rw->rw_word, &word, after);
}

#ifdef DEBUG
void rw_enter(struct rwlock *, enum rw_mode);
bool rw_tryenter(struct rwlock *, enum rw_mode);
void rw_exit(struct rwlock *);
bool rw_held(const struct rwlock *);
/* Panics if the current LWP holds a rwlock of this rank or a higher one: for who takes another lock. */
void rw_order_check(enum lock_rank, const char *name);
#else
static inline bool
rw_tryenter(struct rwlock *rw, enum rw_mode mode)
{
	return rw_enter_fast(rw, mode);
}

static inline void
rw_enter(struct rwlock *rw, enum rw_mode mode)
{
	if (unlikely(!rw_enter_fast(rw, mode)))
		rw_enter_slow(rw, mode);
}

static inline void
rw_exit(struct rwlock *rw)
{
	if (unlikely(!rw_exit_fast(rw)))
		rw_exit_slow(rw);
}

static inline bool
rw_held(const struct rwlock *rw)
{
	uintptr_t word = atomic_load_relaxed(&rw->rw_word);

	return word & RW_WRITER ? (word & ~RW_FLAGS) == (uintptr_t)arch_curlwp() : word != 0;
}
#endif
void rw_downgrade(struct rwlock *);
bool rw_tryupgrade(struct rwlock *);

static inline bool
rw_write_held(const struct rwlock *rw)
{
	uintptr_t word = atomic_load_relaxed(&rw->rw_word);

	return (word & ~(RW_WAITERS | RW_WANTED)) == ((uintptr_t)arch_curlwp() | RW_WRITER);
}

#endif
