/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spin locks: the contended path, pairs, and the checked versions of the debug build.
 *
 * The debug build keeps the locks that a CPU holds in a list, newest first, and asserts that each new
 * one has a higher rank than the newest held. A try-lock cannot deadlock and is exempt, as is the
 * second lock of a pair.
 */
#include <kernel/spinlock.h>

#include <kernel/bugs.h>
#include <kernel/explore.h>
#include <kernel/lockdebug.h>
#include <kernel/trace.h>

static const char *const rank_name[] __unused = {
#define X(name, text) text,
	LOCK_RANKS(X)
#undef X
};

void
spin_init(struct spinlock *m, const char *name __unused, enum lock_rank rank __unused)
{
	*m = (struct spinlock)SPINLOCK_INIT(name, rank);
}

/* As in mutex.c. */
#ifdef DEBUG
#define lock_hint(m)      ((uintptr_t)(m)->sl_name)
#define SPINS_BEFORE_LOOK 4096 /* then: is it a deadlock? */
#else
#define lock_hint(m) ((uintptr_t)__builtin_return_address(0))
#endif

/* Waits until `m` is taken for this CPU. => interrupts off, ci_mtx_count already raised */
void
spin_lock_slow(struct spinlock *m)
{
	DEBUG_ONLY(unsigned spins = 0);

	TRACE(LOCK_WAIT, TRL_SPIN, lock_hint(m), (uintptr_t)m);
	do {
		while (atomic_load_relaxed(&m->sl_word) != 0) {
			if (unlikely(panicking))
				return;
			DEBUG_ONLY(if (++spins % SPINS_BEFORE_LOOK == 0) lockdebug_spinning(m));
			if (EXPLORING)
				explore_lockwait(&m->sl_word);
			else
				arch_cpu_relax();
		}
	} while (atomic_swap(&m->sl_word, 1) != 0);
	TRACE(LOCK_GOT, TRL_SPIN, 0, (uintptr_t)m);
}

#ifdef DEBUG
static bool
spin_acquire(struct spinlock *m, uintptr_t pc, bool try, bool check)
{
	struct spinlock *newest;
	struct cpu *ci;
	bool on;

	if (EXPLORING)
		explore_point_at(XK_LOCK, pc, (uintptr_t)m);
	on = arch_intr_disable();
	ci = arch_curcpu();
	newest = ci->ci_spinlocks;

	if (atomic_load_relaxed(&m->sl_cpu) == ci->ci_index + 1)
		panic("spin lock %s (%p): taken twice by this CPU, first at %p", m->sl_name,
		    (void *)m, (void *)m->sl_pc);
	if (check && newest != NULL && newest->sl_rank >= m->sl_rank)
		panic("lock order: %s (%s, %p) taken while %s (%s) is held since %p", m->sl_name,
		    rank_name[m->sl_rank], (void *)m, newest->sl_name, rank_name[newest->sl_rank],
		    (void *)newest->sl_pc);
	if (!try && check)
		lockdebug_spin(m, pc);
	if (ci->ci_mtx_count++ == 0)
		ci->ci_mtx_intr = on;
	if (atomic_swap(&m->sl_word, 1) != 0) {
		if (try) {
			if (--ci->ci_mtx_count == 0 && ci->ci_mtx_intr)
				arch_intr_enable();
			return false;
		}
		atomic_store_release(&ci->ci_spinwait, m);
		spin_lock_slow(m);
		atomic_store_relaxed(&ci->ci_spinwait, NULL);
	}
	atomic_store_relaxed(&m->sl_cpu, (uint16_t)(ci->ci_index + 1));
	m->sl_pc = pc;
	if (unlikely(lockdebug_hold != 0))
		m->sl_since = arch_cycles();
	m->sl_next = ci->ci_spinlocks;
	ci->ci_spinlocks = m;
	return true;
}

void
spin_lock(struct spinlock *m)
{
	spin_acquire(m, (uintptr_t)__builtin_return_address(0), false, true);
}

bool
spin_trylock(struct spinlock *m)
{
	return spin_acquire(m, (uintptr_t)__builtin_return_address(0), true, false);
}

void
spin_unlock(struct spinlock *m)
{
	struct cpu *ci = arch_curcpu();
	struct spinlock **p;

	if (unlikely(panicking)) {
		atomic_store_release(&m->sl_word, 0);
		return;
	}
	KASSERTMSG(m->sl_cpu == ci->ci_index + 1,
	    "spin lock %s (%p) released by cpu%u, held by cpu%d", m->sl_name, (void *)m,
	    ci->ci_index, m->sl_cpu - 1);
	for (p = &ci->ci_spinlocks; *p != m; p = &(*p)->sl_next)
		KASSERT(*p != NULL);
	*p = m->sl_next;
	if (unlikely(lockdebug_hold != 0))
		lockdebug_released(m);
	atomic_store_relaxed(&m->sl_cpu, (uint16_t)0);
	atomic_store_release(&m->sl_word, 0);
	KASSERT(ci->ci_mtx_count > 0);
	if (--ci->ci_mtx_count == 0 && ci->ci_mtx_intr)
		arch_intr_enable();
	if (EXPLORING)
		explore_point_at(XK_UNLOCK, (uintptr_t)__builtin_return_address(0), (uintptr_t)m);
}

bool
spin_held(const struct spinlock *m)
{
	return atomic_load_relaxed(&m->sl_cpu) == arch_curcpu()->ci_index + 1;
}

/* Of the rank of the first: the order is checked there. */
#define spin_lock_second(m) spin_acquire(m, (uintptr_t)__builtin_return_address(0), false, false)
#else
#define spin_lock_second(m) spin_lock(m)
#endif

void
spin_lock_pair(struct spinlock *a, struct spinlock *b)
{
	struct spinlock *first = BUG(lock_order) || a < b ? a : b, *second = first == a ? b : a;

	spin_lock(first);
	if (first == second)
		return;
	spin_lock_second(second);
}

void
spin_unlock_pair(struct spinlock *a, struct spinlock *b)
{
	if (a != b)
		spin_unlock(b);
	spin_unlock(a);
}
