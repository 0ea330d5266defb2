/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spin locks. A CPU that holds one has interrupts off ("raised level") and cannot be preempted; the
 * first acquisition saves the interrupt state in ci_mtx_intr, the last release restores it.
 * ci_mtx_count counts the spin locks held by the CPU.
 *
 * Rules of use:
 *  - hold for a bounded, short time; never sleep, never touch user memory;
 *  - take in order of rank (enum lock_rank); two of one rank only by spin_lock_pair() or spin_trylock().
 * layer: core
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <arch/cpu_md.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/lockrank.h>
#include <kernel/panic.h>
#include <kernel/types.h>

struct spinlock {
	uint32_t sl_word; /* 0 free, 1 held */
#ifdef DEBUG
	uint8_t sl_rank;
	uint8_t sl_class; /* of lockdebug, 0 = not asked for yet */
	uint16_t sl_cpu;  /* holder's index + 1, 0 = none */
	const char *sl_name;
	uintptr_t sl_pc;          /* where it was taken */
	struct spinlock *sl_next; /* the holder's next older lock */
	uint64_t sl_since;        /* cycle counter when it was taken, with lockdebug_hold */
#endif
};

#ifdef DEBUG
#define SPINLOCK_INIT(name, rank) \
	{ \
		.sl_rank = (rank), .sl_name = (name) \
	}
#else
#define SPINLOCK_INIT(name, rank) \
	{ \
		0 \
	}
#endif

void spin_init(struct spinlock *, const char *name, enum lock_rank);
void spin_lock_slow(struct spinlock *);

#ifdef DEBUG
void spin_lock(struct spinlock *);
bool spin_trylock(struct spinlock *);
void spin_unlock(struct spinlock *);
bool spin_held(const struct spinlock *); /* by this CPU */

/* In line for certain: where a lock was taken is where spin_lock() returns to. */
static __always_inline bool
spin_lock_begin(struct spinlock *m)
{
	spin_lock(m);
	return true;
}

static __always_inline bool
spin_lock_begin_off(struct spinlock *m, bool on)
{
	KASSERT(arch_curcpu()->ci_mtx_count == 0);
	spin_lock(m);
	arch_curcpu()->ci_mtx_intr = on;
	return true;
}

static __always_inline void
spin_lock_inner(struct spinlock *m)
{
	KASSERT(arch_curcpu()->ci_mtx_count != 0);
	spin_lock(m);
}

static inline void
spin_unlock_inner(struct spinlock *m)
{
	KASSERT(arch_curcpu()->ci_mtx_count > 1);
	spin_unlock(m);
}
#else
/* Takes m if it is free. False: not yet, and spin_lock_slow(m) must follow. */
static inline bool
spin_lock_begin(struct spinlock *m)
{
	bool on = arch_intr_disable();
	struct cpu *ci = arch_curcpu();

	if (ci->ci_mtx_count++ == 0)
		ci->ci_mtx_intr = on;
	return likely(atomic_swap(&m->sl_word, 1) == 0);
}

/*
 * The same for who has turned interrupts off: the unlock turns them on if `on`.
 * => no spin lock held
 */
static inline bool
spin_lock_begin_off(struct spinlock *m, bool on)
{
	struct cpu *ci = arch_curcpu();

	ci->ci_mtx_count++;
	ci->ci_mtx_intr = on;
	return likely(atomic_swap(&m->sl_word, 1) == 0);
}

/* => a spin lock is held already, and still when this one is released */
static inline void
spin_lock_inner(struct spinlock *m)
{
	arch_curcpu()->ci_mtx_count++;
	if (unlikely(atomic_swap(&m->sl_word, 1) != 0))
		spin_lock_slow(m);
}

static inline void
spin_unlock_inner(struct spinlock *m)
{
	atomic_store_release(&m->sl_word, 0);
	arch_curcpu()->ci_mtx_count--;
}

static inline void
spin_lock(struct spinlock *m)
{
	if (!spin_lock_begin(m))
		spin_lock_slow(m);
}

static inline void
spin_exit(void)
{
	struct cpu *ci = arch_curcpu();

	if (--ci->ci_mtx_count == 0 && ci->ci_mtx_intr)
		arch_intr_enable();
}

static inline bool
spin_trylock(struct spinlock *m)
{
	bool on = arch_intr_disable();
	struct cpu *ci = arch_curcpu();

	if (ci->ci_mtx_count++ == 0)
		ci->ci_mtx_intr = on;
	if (likely(atomic_swap(&m->sl_word, 1) == 0))
		return true;
	spin_exit();
	return false;
}

static inline void
spin_unlock(struct spinlock *m)
{
	atomic_store_release(&m->sl_word, 0);
	spin_exit();
}

static inline bool
spin_held(const struct spinlock *m)
{
	return atomic_load_relaxed(&m->sl_word) != 0;
}
#endif

/* Takes two locks of one rank in ascending address order; they may be the same lock (taken once). */
void spin_lock_pair(struct spinlock *, struct spinlock *);
void spin_unlock_pair(struct spinlock *, struct spinlock *);

#endif
