/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of an LWP is lent: l_mutex points at the lock of whatever structure the LWP is on (run queue,
 * sleep queue, or its CPU's spc_lwplock). The pointer changes only under the lock it points at, so to lock
 * an LWP is to take the lock and look again. All such locks are immortal and LWP memory is type-stable,
 * so this is safe even for an LWP that is freed and reused meanwhile. docs/protocol.md 2.1, 2.2.
 */
#include <kernel/sched.h>

#include <kernel/explore.h>
#include <kernel/proc.h>

const char *const lwp_state_name[] = {
#define X(name, letter) #name,
	LWP_STATES(X)
#undef X
};

/* m, which was the lock of l, is ours but for a wait, or it is ours and no more the lock of l. */
void
lwp_lock_slow(struct lwp *l, struct spinlock *m, bool wait)
{
	if (wait)
		spin_lock_slow(m);
	while (atomic_load_relaxed(&l->l_mutex) != m) {
		spin_unlock(m);
		m = atomic_load_acquire(&l->l_mutex);
		spin_lock(m);
	}
}

/*
 * => l may be any LWP, even a free one; no lock of its rank held; on return interrupts are off.
 */
void
lwp_lock(struct lwp *l)
{
	struct spinlock *m = atomic_load_acquire(&l->l_mutex);

	if (unlikely(!spin_lock_begin(m)))
		lwp_lock_slow(l, m, true);
	else if (unlikely(atomic_load_relaxed(&l->l_mutex) != m))
		lwp_lock_slow(l, m, false);
}

bool
lwp_trylock(struct lwp *l)
{
	for (;;) {
		struct spinlock *m = atomic_load_acquire(&l->l_mutex);

		if (!spin_trylock(m))
			return false;
		if (likely(atomic_load_relaxed(&l->l_mutex) == m))
			return true;
		spin_unlock(m);
	}
}

bool
lwp_locked(const struct lwp *l, const struct spinlock *m)
{
	struct spinlock *cur = atomic_load_relaxed(&l->l_mutex);

	return spin_held(cur) && (m == NULL || m == cur);
}

#ifdef DEBUG
/* The contracts of what follows: <kernel/sched.h>. */
void
lwp_lock_self(struct lwp *l)
{
	bool on = arch_intr_disable();
	struct spinlock *m = l->l_mutex;

	KASSERT(l == curlwp() && l->l_stat == LS_ONPROC);
	(void)spin_lock_begin_off(m, on);
	KASSERT(l->l_mutex == m);
}

void
lwp_unlock(struct lwp *l)
{
	spin_unlock(l->l_mutex);
}

void
lwp_setlock(struct lwp *l, struct spinlock *new)
{
	KASSERT(spin_held(l->l_mutex));
	atomic_store_release(&l->l_mutex, new);
	EXPLORE_POINT(LEND, l->l_lid);
}

/* By states from, to: 0 = illegal, L = under the LWP's lock, P = under p_lock too. */
enum { L = 1, P };
static const uint8_t lwp_legal[LS_COUNT][LS_COUNT] = {
#define X(from, to, lock, by) [LS_##from][LS_##to] = lock,
	LWP_TRANSITIONS(X)
#undef X
};

uint32_t lwp_changes[LS_COUNT][LS_COUNT];

void
lwp_setstat(struct lwp *l, enum lwp_state new)
{
	KASSERTMSG(new < LS_COUNT && (lwp_legal[l->l_stat][new] != 0), "lid %d: %s -> %s", l->l_lid,
	    lwp_state_name[l->l_stat], lwp_state_name[new]);
	KASSERTMSG(lwp_locked(l, NULL), "lid %d: %s -> %s", l->l_lid, lwp_state_name[l->l_stat],
	    lwp_state_name[new]);
	KASSERTMSG(lwp_legal[l->l_stat][new] != P || mutex_owned(&l->l_proc->p_lock),
	    "lid %d: %s -> %s", l->l_lid, lwp_state_name[l->l_stat], lwp_state_name[new]);
	TRACE(STATE, new, l->l_lid, l->l_stat);
	atomic_add(&lwp_changes[l->l_stat][new], 1);
	l->l_stat = (uint8_t) new;
	EXPLORE_POINT(STATE, (uintptr_t)l->l_lid << 8 | new);
}
#endif
