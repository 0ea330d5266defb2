/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turnstiles.
 *
 * Every LWP owns one. The first to block on an object puts its own into a hash chain under the object's
 * address; those who come later leave theirs as spares with the active one. A waiter that leaves takes a
 * spare, the last one the active turnstile itself. So there is always one per LWP and blocking allocates
 * nothing.
 *
 * Lending. A blocker walks from itself along "waits for object, object's owner" and lifts every owner of
 * lower priority; the active turnstile is linked on the owner's list of lenders, and when the owner
 * releases the object its inherited priority becomes the maximum of the lenders that remain.
 * While we hold the chain lock of an object with waiters, its owner cannot release it (the release path
 * needs the chain lock), so the owner is stable; its LWP lock is of the same or a lower rank than what
 * we hold, so it is only tried, and on failure all is let go and the walk begins again.
 */
#include <kernel/turnstile.h>

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

const struct syncobj syncobj_turnstile = { SOBJ_TURNSTILE, true, mutex_owner_of };

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

/*
 * The turnstile of each link is listed with the owner even if that owner is urgent enough already: when it
 * releases another object, it must still count what waits here.
 * => curlwp is on a turnstile's queue and locked by its chain lock; so it is on return, unless it was woken
 */
static void
lend_priority(struct lwp *self)
{
	struct lwp *l, *owner;
	int pri;

again:
	l = self;
	pri = lwp_eprio(self);
	while (l->l_wchan != NULL && l->l_syncobj->so_owner != NULL &&
	    (owner = l->l_syncobj->so_owner(l->l_wchan)) != NULL) {
		struct turnstile *ts = l->l_ts;
		struct spinlock *m;
		bool same;

		if (owner == self)
			panic("lid %d: deadlock: waits for lock %p, whose owners wait for it",
			    self->l_lid, l->l_wchan);
		/* A lock that we hold cannot stop being the owner's. It is taken once: chains hash to few locks. */
		m = atomic_load_relaxed(&owner->l_mutex);
		same = m == l->l_mutex || m == self->l_mutex;
		if (!same && !lwp_trylock(owner)) {
			if (l != self && l->l_mutex != self->l_mutex)
				lwp_unlock(l);
			lwp_unlock(self);
			fp(lend_restart);
			cpu_relax();
			lwp_lock(self);
			if (self->l_wchan == NULL)
				return;
			goto again;
		}
		KASSERT(ts->ts_inheritor == NULL || ts->ts_inheritor == owner);
		if (ts->ts_inheritor == NULL) {
			ts->ts_inheritor = owner;
			list_insert_tail(&owner->l_pi_lenders, &ts->ts_lender);
		}
		if (lwp_eprio(owner) >= pri) {
			if (!same)
				lwp_unlock(owner);
			break;
		}
		sched_lendpri(owner, pri);
		if (l != self && l->l_mutex != self->l_mutex && l->l_mutex != owner->l_mutex)
			lwp_unlock(l);
		l = owner;
	}
	if (l != self && l->l_mutex != self->l_mutex)
		lwp_unlock(l);
}

void
turnstile_block(struct turnstile *ts, struct spinlock *chain, const void *obj, const char *wmesg)
{
	struct lwp *l = curlwp();
	struct turnstile *own = l->l_ts;

	KASSERT(spin_held(chain) && own->ts_obj == NULL && own->ts_waiters == 0);
	if (ts == NULL) {
		ts = own;
		ts->ts_obj = obj;
		list_insert_head(&chain_of(obj)->active, &ts->ts_chain);
	} else {
		list_insert_head(&ts->ts_spares, &own->ts_spares);
		l->l_ts = ts;
	}
	ts->ts_waiters++;
	sleepq_enter(chain);
	sleepq_enqueue(&ts->ts_sleepq, obj, wmesg, &syncobj_turnstile, false);
	lend_priority(l);
	(void)sleepq_block(NSEC_FOREVER, false);
}

/* Takes back what `ts` lent to curlwp. => chain lock held; curlwp may be on a sleep queue whose lock it holds */
static void
unlend_priority(struct turnstile *ts)
{
	struct lwp *self = ts->ts_inheritor, *first;
	struct turnstile *other;
	bool held;
	int pri = -1;

	KASSERT(self == curlwp());
	held = self->l_stat == LS_SLEEP; /* releases its mutex inside cv_wait() */
	if (!held)
		lwp_lock(self);
	ts->ts_inheritor = NULL;
	list_remove(&ts->ts_lender);
	/* The first waiter of another turnstile may be leaving or coming: a hint that its own walk corrects. */
	list_foreach (other, &self->l_pi_lenders, ts_lender) {
		first = list_first(&other->ts_sleepq, struct lwp, l_sleepchain);
		if (first != NULL && lwp_eprio(first) > pri)
			pri = lwp_eprio(first);
	}
	sched_lendpri(self, pri);
	if (!held)
		lwp_unlock(self);
}

void
turnstile_wakeup_all(struct turnstile *ts)
{
	struct lwp *l;

	if (ts->ts_inheritor != NULL)
		unlend_priority(ts);
	while ((l = list_first(&ts->ts_sleepq, struct lwp, l_sleepchain)) != NULL) {
		struct turnstile *mine = ts;

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
		sleepq_remove(l, true);
		if (mine == ts)
			break;
	}
}
