/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turnstiles.
 *
 * Every LWP owns one. The first to block on an object puts its own into a hash chain under the object's
 * address; those who come later leave theirs as spares with the active one. A waiter that leaves takes a
 * spare, the last one the active turnstile itself. So there is always one per LWP and blocking allocates
 * nothing.
 *
 * Lending: inherit.c. What a turnstile lends is the maximum of its queue, ts_pri. It is brought up to date by whoever
 * comes, leaves, changes, or hands over, under the chain lock; the queue has the real-time waiters in front, the
 * others in order of arrival, so only where there are none of the former is it looked through. An active turnstile is
 * linked on the list of lenders of the object's owner from the first blocker's walk until the owner releases the
 * object; after a hand-over to one waiter, those who are left lend to that one.
 *
 * A wait in a user program's name (turnstile_block_user) can end by a signal or its time limit. That takes the
 * waiter off the queue only; it counts in ts_waiters until it calls turnstile_leave() itself, so an active
 * turnstile may have an empty queue.
 */
#include "turnstile_impl.h"

#include <arch/cpu_md.h>
#include <kernel/explore.h>
#include <kernel/failpoint.h>
#include <kernel/kmem.h>
#include <kernel/mutex.h>
#include <kernel/sched.h>

#define CHAINS 128

/* struct chain, field locks: (t) lock */
static struct chain {
	struct spinlock lock;
	struct list active; /* (t) */
} __cacheline_aligned chains[CHAINS];

static struct kmem_cache *turnstile_cache;

static struct lwp *
mutex_owner_of(const void *obj)
{
	return mutex_owner(obj);
}

const struct syncobj syncobj_turnstile = { SOBJ_TURNSTILE, mutex_owner_of, false };

static struct chain *
chain_of(const void *obj)
{
	uintptr_t h = (uintptr_t)obj >> 4;

	h ^= h >> 8;
	return &chains[h % CHAINS];
}

void
turnstile_init(void)
{
	for (int i = 0; i < CHAINS; i++) {
		spin_init(&chains[i].lock, "turnstile", RANK_TURNSTILE);
		list_init(&chains[i].active);
	}
	/* One per struct lwp that was ever made; both are for ever. */
	turnstile_cache = kmem_cache_create(
	    "turnstile", sizeof(struct turnstile), 16, KC_TYPESTABLE | KC_UNCOUNTED, NULL);
}

bool
turnstile_lwp_ctor(struct lwp *l)
{
	struct turnstile *ts = kmem_cache_alloc(turnstile_cache);

	if (ts == NULL)
		return false;
	*ts = (struct turnstile){ 0 };
	list_init(&ts->ts_spares);
	list_init(&ts->ts_sleepq);
	l->l_ts = ts;
	return true;
}

struct spinlock *
turnstile_lock(const void *obj)
{
	struct chain *c = chain_of(obj);

	spin_lock(&c->lock);
	return &c->lock;
}

struct turnstile *
turnstile_find(const void *obj)
{
	struct chain *c = chain_of(obj);
	struct turnstile *ts;

	KASSERT(spin_held(&c->lock));
	list_foreach (ts, &c->active, ts_chain)
		if (ts->ts_obj == obj)
			return ts;
	return NULL;
}

/* l is one of those that wait at `obj`: the turnstile, of which ts is the active one or NULL. => chain lock held */
static struct turnstile *
join(struct turnstile *ts, const void *obj, struct lwp *l)
{
	struct turnstile *own = l->l_ts;

	KASSERT(own->ts_obj == NULL && own->ts_waiters == 0);
	if (ts == NULL) {
		ts = own;
		ts->ts_obj = obj;
		ts->ts_pri = -1;
		list_insert_head(&chain_of(obj)->active, &ts->ts_chain);
	} else {
		list_insert_head(&ts->ts_spares, &own->ts_spares);
		l->l_ts = ts;
	}
	ts->ts_waiters++;
	return ts;
}

/* Puts curlwp on the queue. => chain lock held; on return it is curlwp's lock */
static void
enqueue(struct turnstile *ts, struct spinlock *chain, const void *obj, const char *wmesg,
    const struct syncobj *so, bool intr)
{
	KASSERT(spin_held(chain));
	ts = join(ts, obj, curlwp());
	sleepq_enter(chain);
	sleepq_enqueue(&ts->ts_sleepq, obj, wmesg, so, intr);
}

/* l, which counts on `ts`, gets a turnstile of its own back. => chain lock held */
static void
take_back(struct turnstile *ts, struct lwp *l)
{
	struct turnstile *mine = ts;

	KASSERT(ts->ts_waiters > 0 && l->l_ts == ts);
	ts->ts_waiters--;
	if (!list_empty(&ts->ts_spares)) {
		mine = list_entry(ts->ts_spares.next, struct turnstile, ts_spares);
		list_remove(&mine->ts_spares);
		list_init(&mine->ts_spares);
	} else {
		KASSERT(ts->ts_waiters == 0);
		ts->ts_obj = NULL;
		list_remove(&ts->ts_chain);
	}
	l->l_ts = mine;
}

void
turnstile_block(struct turnstile *ts, struct spinlock *chain, const void *obj, const char *wmesg,
    const struct syncobj *so)
{
	enqueue(ts, chain, obj, wmesg, so, false);
	(void)inherit_lend(curlwp());
	(void)sleepq_block(NSEC_FOREVER, false);
}

int
turnstile_block_user(struct turnstile *ts, struct spinlock *chain, const void *obj,
    const char *wmesg, const struct syncobj *so, nsec_t deadline)
{
	struct lwp *l = curlwp();
	int error;

	KASSERT(so->so_user);
	enqueue(ts, chain, obj, wmesg, so, true);
	error = inherit_lend(l);
	if (unlikely(error != 0)) {
		sleepq_remove(l, true);
		spin_unlock(chain);
		return error;
	}
	return sleepq_block(deadline, true);
}

void
turnstile_move(struct turnstile *ts, struct spinlock *chain, const void *obj, const char *wmesg,
    const struct syncobj *so, struct lwp *l)
{
	KASSERT(spin_held(chain) && so->so_user && (l->l_flag & LW_SINTR));
	ts = join(ts, obj, l);
	sleepq_move(l, &ts->ts_sleepq, chain, obj, wmesg, so);
}

int
turnstile_lend(struct lwp *l)
{
	return inherit_lend(l);
}

/* Takes back what `ts` lent to curlwp. => chain lock held; curlwp may be on a sleep queue whose lock it holds */
static void
unlend_priority(struct turnstile *ts)
{
	struct lwp *self = ts->ts_inheritor;
	bool held;

	KASSERT(self == curlwp());
	held = self->l_stat == LS_SLEEP; /* releases its mutex inside cv_wait() */
	if (!held)
		lwp_lock(self);
	ts->ts_inheritor = NULL;
	list_remove(&ts->ts_lender);
	(void)inherit_recompute(self);
	if (!held)
		lwp_unlock(self);
}

void
turnstile_leave(const void *obj)
{
	struct lwp *self = curlwp(), *owner;
	struct spinlock *chain;
	struct turnstile *ts;
	bool same = false, changed = false;

	for (;;) {
		chain = turnstile_lock(obj);
		ts = self->l_ts;
		KASSERT(ts->ts_obj == obj && self->l_wchan == NULL);
		owner = ts->ts_inheritor;
		if (owner == NULL)
			break;
		same = atomic_load_relaxed(&owner->l_mutex) == chain;
		if (same || lwp_trylock(owner))
			break;
		spin_unlock(chain);
		fp(lend_restart);
		cpu_relax();
	}
	take_back(ts, self);
	if (owner != NULL) {
		if (ts->ts_obj == NULL) {
			ts->ts_inheritor = NULL;
			list_remove(&ts->ts_lender);
		} else
			atomic_store_relaxed(&ts->ts_pri, turnstile_maxpri(ts, NULL, ts->ts_pri));
		changed = inherit_recompute(owner);
		if (!same)
			lwp_unlock(owner);
	}
	spin_unlock(chain);
	if (changed)
		inherit_follow(owner);
}

int
turnstile_maxpri(const struct turnstile *ts, const struct lwp *but, int bound)
{
	const struct list *q = &ts->ts_sleepq;
	int pri = -1;

	for (const struct list *e = q->next; e != q; e = e->next) {
		const struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

		if (l != but)
			pri = max(pri, sleepq_pri(l));
		if (pri >= min(bound, PRI_USER_RT))
			break;
	}
	return pri;
}

struct lwp *
turnstile_first(const struct turnstile *ts)
{
	return list_first(&ts->ts_sleepq, struct lwp, l_sleepchain);
}

void
turnstile_release(struct turnstile *ts)
{
	if (ts->ts_inheritor != NULL)
		unlend_priority(ts);
}

void
turnstile_wakeup(struct turnstile *ts, struct lwp *l)
{
	take_back(ts, l);
	sleepq_remove(l, true);
}

void
turnstile_handover(struct turnstile *ts, struct lwp *to)
{
	int pri = turnstile_maxpri(ts, to, PRI_COUNT);

	KASSERT(ts->ts_inheritor == NULL && to->l_ts == ts);
	atomic_store_relaxed(&ts->ts_pri, pri);
	if (pri >= 0) {
		ts->ts_inheritor = to;
		list_insert_tail(&to->l_pi_lenders, &ts->ts_lender);
		sched_lendpri(to, max(pri, (int)to->l_inheritedprio));
	}
	turnstile_wakeup(ts, to);
}

/*
 * In one hold, unlike the wakes that user programs can ask for: only LWPs that wait for one kernel lock are here. Between
 * two holds the lock would be free, and its next owner lent to by way of `ts`, which the last of the old waiters takes
 * along; and readers who have a rwlock already would be mixed with those who come for it.
 */
void
turnstile_wakeup_all(struct turnstile *ts)
{
	struct list *e = ts->ts_sleepq.next;

	turnstile_release(ts);
	/* With the last one `ts` goes: it may wait elsewhere, with it, before we look again. */
	while (e != &ts->ts_sleepq) {
		struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

		e = e->next;
		turnstile_wakeup(ts, l);
	}
}

void
turnstile_changepri(struct lwp *l)
{
	if (!waits_on_turnstile(l))
		return;
	lwp_unlock(l);
	inherit_follow(l);
	lwp_lock(l);
}
