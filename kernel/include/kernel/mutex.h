/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adaptive mutexes: spin while the owner runs on another CPU, else sleep on a turnstile and lend the
 * owner one's priority. Held only by LWPs, never in interrupt context. May be held over a short sleep
 * for another adaptive mutex or for memory, not over a wait for an event (a condition variable drops it).
 *
 * Word: owner pointer | MTX_WAITERS, 0 = free.
 * layer: core
 */
#ifndef KERNEL_MUTEX_H
#define KERNEL_MUTEX_H

#include <arch/cpu_md.h>
#include <kernel/atomic.h>
#include <kernel/lockrank.h>
#include <kernel/types.h>

struct lwp;

struct mutex {
	uintptr_t mtx_word;
#ifdef DEBUG
	uint8_t mtx_rank;
	uint8_t mtx_class; /* of lockdebug, 0 = not asked for yet */
	const char *mtx_name;
	uintptr_t mtx_pc;       /* where it was taken */
	struct mutex *mtx_next; /* owner's next older lock */
#endif
};

#define MTX_WAITERS ((uintptr_t)1)

#ifdef DEBUG
#define MUTEX_INIT(name, rank) \
	{ \
		.mtx_rank = (rank), .mtx_name = (name) \
	}
#else
#define MUTEX_INIT(name, rank) \
	{ \
		0 \
	}
#endif

void mutex_init(struct mutex *, const char *name, enum lock_rank);
void mutex_destroy(struct mutex *); /* asserts that it is free */
void mutex_lock_slow(struct mutex *);
void mutex_unlock_slow(struct mutex *);
struct lwp *mutex_owner(const struct mutex *);
/* Locks two mutexes of one rank in ascending address order. */
void mutex_lock_pair(struct mutex *, struct mutex *);

/*
 * mutex_lock
 * => may sleep: no spin lock held, not in interrupt context, not past the point of exit where sleeping ends.
 * mutex_trylock returns true when taken; never sleeps.
 * mutex_owned: held by the current LWP.
 */
#ifdef DEBUG
void mutex_lock(struct mutex *);
bool mutex_trylock(struct mutex *);
void mutex_unlock(struct mutex *);
#else
static inline void
mutex_lock(struct mutex *m)
{
	uintptr_t free = 0;

	if (unlikely(!atomic_cas(&m->mtx_word, &free, (uintptr_t)arch_curlwp())))
		mutex_lock_slow(m);
}

static inline bool
mutex_trylock(struct mutex *m)
{
	uintptr_t free = 0;

	return atomic_cas(&m->mtx_word, &free, (uintptr_t)arch_curlwp());
}

static inline void
mutex_unlock(struct mutex *m)
{
	uintptr_t mine = (uintptr_t)arch_curlwp();

	if (unlikely(!atomic_cas(&m->mtx_word, &mine, 0)))
		mutex_unlock_slow(m);
}
#endif

static inline bool
mutex_owned(const struct mutex *m)
{
	return (atomic_load_relaxed(&m->mtx_word) & ~MTX_WAITERS) == (uintptr_t)arch_curlwp();
}

#endif
