/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the owner of a lock inherits: the maximum of all who wait, though those of time sharing stand in order of
 * arrival; also when one gives up, changes his class, or the lock is handed over.
 */
#include <abi/errno.h>
#include <abi/sched.h>
#include <kernel/debug.h>
#include <kernel/mutex.h>
#include <kernel/sched.h>
#include <kernel/turnstile.h>

#include "ktest_team.h"

/* A lock like those of user programs: its waiters' boost in the kernel does not count, and they can give up. */
static struct lwp *lock_owner;

static struct lwp *
owner_of(const void *obj __unused)
{
	return lock_owner;
}

static const struct syncobj so = { SOBJ_PIFUTEX, owner_of, true };

struct one {
	int o_pri;
	nsec_t o_limit; /* 0: none */
	bool o_gone;    /* (a) it has given up */
};

static int heir_inherits; /* (a) of the first new owner, when it came */
static bool heirs_go;     /* (a) */

static void
one(void *arg)
{
	struct one *o = arg;
	struct spinlock *chain = turnstile_lock(&lock_owner);
	int error = turnstile_block_user(turnstile_find(&lock_owner), chain, &lock_owner, "max",
	    &so, o->o_limit != 0 ? time_now() + o->o_limit : NSEC_FOREVER);

	if (error != 0) {
		turnstile_leave(&lock_owner);
		atomic_store_release(&o->o_gone, true);
		team_leave();
	}
	EXPECT(lock_owner == curlwp());
	if (heir_inherits == -1)
		atomic_store_release(&heir_inherits, curlwp()->l_inheritedprio);
	while (!atomic_load_acquire(&heirs_go))
		(void)kpause("max", false, time_now() + MSEC);
	chain = turnstile_lock(&lock_owner);
	if (turnstile_find(&lock_owner) != NULL)
		turnstile_release(turnstile_find(&lock_owner));
	EXPECT(curlwp()->l_inheritedprio == -1);
	lock_owner = NULL;
	spin_unlock(chain);
	team_leave();
}

/* What the owner, we, inherits, when it has become so. */
static bool
becomes(int pri)
{
	int now = -2;

	for (unsigned tries = 0; tries < 1000 && now != pri; tries++) {
		if (tries != 0)
			(void)kpause("max", false, time_now() + MSEC);
		lwp_lock(curlwp());
		now = curlwp()->l_inheritedprio;
		lwp_unlock(curlwp());
	}
	if (now != pri)
		kprintf("ktest: inherited %d, not %d\n", now, pri);
	return now == pri;
}

static void
set_class(struct lwp *l, const struct sched_class *sc)
{
	mutex_lock(&l->l_proc->p_lock);
	sched_setclass(l, sc);
	mutex_unlock(&l->l_proc->p_lock);
}

static int
ktest_inherit_max(void)
{
	static struct one who[4];
	const struct sched_class fifo = { .sc_policy = SCHED_FIFO, .sc_rtprio = 5 }, other = { 0 };
	const int own = curlwp()->l_inheritedprio;
	struct spinlock *chain;
	struct turnstile *ts;

	if (own != -1)
		return -EBUSY;
	team_begin();
	lock_owner = curlwp();
	heir_inherits = -1;
	heirs_go = false;
	who[0] = (struct one){ .o_pri = PRI_USER + 10 };
	who[1] = (struct one){ .o_pri = PRI_USER + 50, .o_limit = 100 * MSEC };
	who[2] = (struct one){ .o_pri = PRI_USER + 30 };
	who[3] = (struct one){ .o_pri = PRI_USER_MAX - 1 };
	team_add(who[0].o_pri, one, &who[0]);
	EXPECT(becomes(PRI_USER + 10));
	team_add(who[2].o_pri, one, &who[2]);
	EXPECT(becomes(PRI_USER + 30));
	team_add(who[1].o_pri, one, &who[1]);
	while (!atomic_load_acquire(&who[1].o_gone))
		(void)kpause("max", false, time_now() + MSEC);
	EXPECT(becomes(PRI_USER + 30)); /* not that of the first */
	team_add(who[3].o_pri, one, &who[3]);
	EXPECT(becomes(PRI_USER_MAX - 1));
	set_class(team[2],
	    &other); /* a step that the boost in the kernel hides; team[2]: another has left */
	EXPECT(becomes(PRI_USER_MAX));
	set_class(team[0], &fifo);
	EXPECT(becomes(PRI_USER_RT + 4));
	set_class(team[0], &other);
	EXPECT(becomes(PRI_USER_MAX));
	fsck();

	/* Handed to one: the maximum of the others is his, and no more ours. */
	chain = turnstile_lock(&lock_owner);
	ts = turnstile_find(&lock_owner);
	EXPECT(turnstile_first(ts) == team[1]); /* team[0] came behind its new equals */
	turnstile_release(ts);
	lock_owner = team[2];
	turnstile_handover(ts, team[2]);
	spin_unlock(chain);
	EXPECT(becomes(-1));
	while (atomic_load_acquire(&heir_inherits) == -1)
		(void)kpause("max", false, time_now() + MSEC);
	EXPECT(heir_inherits == PRI_USER_MAX);

	atomic_store_release(&heirs_go, true);
	while (atomic_load_relaxed(&lock_owner) != NULL)
		(void)kpause("max", false, time_now() + MSEC);
	for (int i = 0; i < 2; i++) {
		chain = turnstile_lock(&lock_owner);
		ts = turnstile_find(&lock_owner);
		lock_owner = turnstile_first(ts);
		turnstile_handover(ts, lock_owner);
		spin_unlock(chain);
		while (atomic_load_relaxed(&lock_owner) != NULL)
			(void)kpause("max", false, time_now() + MSEC);
	}
	return team_wait();
}
KTEST(inherit_max, "inherit-max", ktest_inherit_max);
