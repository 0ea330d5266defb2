/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Priority inheritance: the walks along "waits for an object, whose owner waits for an object ...".
 *
 * Who blocks walks from itself and lifts every owner of lower priority; the active turnstile of each link is
 * listed with its owner. Who gives up (only a wait in a user program's name can) takes its turnstile off the
 * owner's list if it was the last, and walks the same way to lower what it had lifted.
 *
 * While we hold the chain lock of an object with waiters, its owner cannot release it (the release path
 * needs the chain lock), so the owner is stable; its LWP lock is of the same or a lower rank than what
 * we hold, so it is only tried, and on failure all is let go and the walk begins again. A walk ends at an owner
 * for whom nothing changes where he waits; but not where the walk before had come by and changed it.
 *
 * What an owner inherits is the maximum over ts_pri of its lenders, whatever its own priority is: that may sink, and the
 * boost of the kernel end. ts_pri is read without its chain lock: who changes it comes for the owner's lock afterwards.
 *
 * Kernel locks never form a cycle (lock order); the locks of user programs can, if only for the moment
 * before those who closed it notice. So such a walk goes on to the end of the chain, or a limit.
 */
#include "turnstile_impl.h"

#include <abi/errno.h>
#include <arch/cpu_md.h>
#include <kernel/explore.h>
#include <kernel/failpoint.h>
#include <kernel/lockdebug.h>
#include <kernel/panic.h>
#include <kernel/sched.h>

#ifdef DEBUG
#define deadlock(self, obj) lockdebug_circle(self, obj)
#else
#define deadlock(self, obj) \
	panic("lid %d: deadlock: waits for lock %p, whose owners wait for it", (self)->l_lid, (obj))
#endif

#define MAX_LINKS 1024 /* of a chain in which a user's lock is; Linux has the same */

static inline struct lwp *
owner_of(const struct lwp *l)
{
	return l->l_wchan != NULL && l->l_syncobj->so_owner != NULL
	    ? l->l_syncobj->so_owner(l->l_wchan)
	    : NULL;
}

/* What l lends in turn, if it waits. => l locked */
static inline int
lends(const struct lwp *l)
{
	return waits_on_turnstile(l) ? sleepq_pri(l) : -1;
}

/* l lends to the owner of what it waits for. False: that one has nothing to pass on. => both locked */
static bool
lend(struct lwp *l, struct lwp *owner)
{
	struct turnstile *ts = l->l_ts;
	int before = lends(owner), pri;

	KASSERT(ts->ts_inheritor == NULL || ts->ts_inheritor == owner);
	/* Even if the owner is urgent enough: when it releases another object, it must count what waits here. */
	if (ts->ts_inheritor == NULL) {
		ts->ts_inheritor = owner;
		list_insert_tail(&owner->l_pi_lenders, &ts->ts_lender);
		pri = turnstile_maxpri(ts, NULL, PRI_COUNT);
	} else
		pri = max(ts->ts_pri, sleepq_pri(l));
	atomic_store_relaxed(&ts->ts_pri, pri);
	if (owner->l_inheritedprio < pri)
		sched_lendpri(owner, pri);
	return lends(owner) != before;
}

int
inherit_lend(struct lwp *self)
{
	const void *obj = self->l_wchan;
	const bool user = self->l_syncobj->so_user;
	struct lwp *l, *owner;
	unsigned links = 0,
		 passed = 0; /* passed: by a walk before; what is urgent there may be so by us */
	int error;

again:
	l = self;
	passed = max(passed, links);
	links = 0;
	error = 0;
	while ((owner = owner_of(l)) != NULL) {
		struct spinlock *m;
		bool same;

		if (owner == self || links++ == MAX_LINKS) {
			if (!user)
				deadlock(self, self->l_wchan);
			error = -EDEADLK;
			break;
		}
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
			if (self->l_wchan != obj)
				return 0;
			goto again;
		}
		if (!lend(l, owner) && !user && links > passed) {
			if (!same)
				lwp_unlock(owner);
			break;
		}
		if (l != self && l->l_mutex != self->l_mutex && l->l_mutex != owner->l_mutex)
			lwp_unlock(l);
		l = owner;
	}
	if (l != self && l->l_mutex != self->l_mutex)
		lwp_unlock(l);
	return error;
}

bool
inherit_recompute(struct lwp *l)
{
	struct turnstile *ts;
	int old = l->l_inheritedprio, pri = -1;

	KASSERT(lwp_locked(l, NULL));
	list_foreach (ts, &l->l_pi_lenders, ts_lender)
		pri = max(pri, atomic_load_relaxed(&ts->ts_pri));
	if (pri != old)
		sched_lendpri(l, pri);
	return pri != old;
}

void
inherit_follow(struct lwp *l)
{
	bool follow = true; /* past the first, and past one at which the walk began again */

	lwp_lock(l);
	for (unsigned links = 0; links < MAX_LINKS; links++) {
		struct turnstile *ts = l->l_ts;
		struct lwp *next;

		if (!inherit_recompute(l) && !follow)
			break;
		if (!waits_on_turnstile(l) || (next = ts->ts_inheritor) == NULL)
			break;
		atomic_store_relaxed(&ts->ts_pri, turnstile_maxpri(ts, NULL, PRI_COUNT));
		follow = false;
		if (atomic_load_relaxed(&next->l_mutex) == l->l_mutex) {
			l = next;
			continue;
		}
		if (!lwp_trylock(next)) {
			lwp_unlock(l);
			fp(lend_restart);
			cpu_relax();
			lwp_lock(l);
			follow = true;
			links--;
			continue;
		}
		lwp_unlock(l);
		l = next;
	}
	lwp_unlock(l);
}
