/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * _lwp_wait and _lwp_detach. docs/protocol.md 3.3.
 *
 * A dead LWP that is not detached is on p_zlwps until an LWP of its process collects it, or the process exits or
 * execs. A waiter notes whom it waits for in l_waitingfor; the first that waits for just one LWP marks that
 * one (l_waiter), and who waits for any leaves marked ones alone.
 *
 * All is under p_lock, and every change that could end a wait, or make it hopeless, broadcasts p_lwpcv: the
 * death of an LWP, its collection, a detach, and a waiter that gives up. So each waiter can judge by itself,
 * from the whole state, whether it waits for ever; the last that joins a circle sees it.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <kernel/failpoint.h>
#include <kernel/sched.h>

/* A waiter that a signal, an exit or a suspension moves is about to give up: it closes no circle. */
static bool
waits_on(const struct lwp *l)
{
	return l->l_waitingfor != 0 && !lwp_interrupted(l);
}

/* Does the chain of those who wait for one LWP each, from `t` on, come back to l? */
static bool
wait_cycle(struct proc *p, const struct lwp *l, struct lwp *t)
{
	for (uint32_t hops = p->p_nlwps; t != NULL && hops > 0; hops--) {
		if (t == l)
			return true;
		if (lwp_stat(t) == LS_ZOMB || !waits_on(t) || t->l_waitingfor == LWP_ANY)
			return false;
		t = lwp_find_dead(p, t->l_waitingfor);
	}
	return false;
}

/* Nobody but waiters is alive, and no dead one is left for any of them. */
static bool
all_wait(struct proc *p)
{
	const struct lwp *l;

	if (p->p_nlwpwait < p->p_nlive || !list_empty(&p->p_zlwps))
		return false;
	list_foreach (l, &p->p_lwps, l_sibling)
		if (lwp_stat(l) != LS_ZOMB && !waits_on(l))
			return false;
	return true;
}

/* One named LWP: 0 and *found it is dead; -EAGAIN it lives; else an error. */
static int
scan_one(struct proc *p, struct lwp *l, lwpid_t lid, struct lwp **found)
{
	struct lwp *t = lwp_find_dead(p, lid);

	if (t == NULL)
		return -ESRCH;
	if (wait_cycle(p, l, t))
		return -EDEADLK;
	if (t->l_prflag & LPR_DETACHED)
		return -EINVAL;
	if (t->l_waiter == 0)
		t->l_waiter = l->l_lid;
	if (lwp_stat(t) != LS_ZOMB)
		return -EAGAIN;
	*found = t;
	return 0;
}

static int
scan_any(struct proc *p, const struct lwp *l, struct lwp **found)
{
	struct lwp *t;

	list_foreach (t, &p->p_zlwps, l_free)
		if (t->l_waiter == 0) {
			*found = t;
			return 0;
		}
	list_foreach (t, &p->p_lwps, l_sibling)
		if (t != l && (t->l_prflag & LPR_DETACHED) == 0)
			return -EAGAIN;
	return -ESRCH;
}

#ifdef DEBUG
/* p_lock was let go: the window in which a scan of before would have become stale (B7). */
static void
linger_dropped(struct proc *p)
{
	if (likely(fp_usec[FP_lwpwait_after_drop] == 0))
		return;
	mutex_unlock(&p->p_lock);
	fp_hit(FP_lwpwait_after_drop);
	mutex_lock(&p->p_lock);
}
#endif

/* => p_lock held; of what was seen under it before nothing is used after lwp_reap_dead() */
static int
wait_locked(struct proc *p, struct lwp *l, lwpid_t lid, struct lwp **found)
{
	int error;

	for (;;) {
		if (lwp_reap_dead(p)) {
			DEBUG_ONLY(linger_dropped(p);)
			continue;
		}
		error = lid != 0 ? scan_one(p, l, lid, found) : scan_any(p, l, found);
		if (error != -EAGAIN)
			return error;
		if (all_wait(p))
			return -EDEADLK;
		error = cv_wait_sig(&p->p_lwpcv, &p->p_lock);
		if (error != 0)
			return error;
	}
}

int
lwp_wait(lwpid_t lid, lwpid_t *departed)
{
	struct lwp *l = curlwp(), *t = NULL;
	struct proc *p = l->l_proc;
	int error;

	if (lid < 0)
		return -ESRCH;
	mutex_lock(&p->p_lock);
	KASSERT(l->l_waitingfor == 0);
	p->p_nlwpwait++;
	l->l_waitingfor = lid != 0 ? lid : LWP_ANY;
	error = wait_locked(p, l, lid, &t);
	p->p_nlwpwait--;
	l->l_waitingfor = 0;
	if (error == 0) {
		KASSERT(t->l_stat == LS_ZOMB && (t->l_prflag & LPR_DETACHED) == 0);
		*departed = t->l_lid;
		t->l_waiter = 0;
		list_remove(&t->l_free);
		list_insert_tail(&p->p_deadlwps, &t->l_free);
		(void)lwp_reap_dead(p);
	} else if (lid != 0) {
		t = lwp_find_dead(p, lid);
		if (t != NULL && t->l_waiter == l->l_lid)
			t->l_waiter = 0; /* it may be another's now */
	}
	cv_broadcast(&p->p_lwpcv);
	mutex_unlock(&p->p_lock);
	return error;
}

int
lwp_detach(lwpid_t lid)
{
	struct proc *p = curproc();
	struct lwp *t;
	int error = 0;

	mutex_lock(&p->p_lock);
	t = lwp_find_dead(p, lid);
	if (t == NULL)
		error = -ESRCH;
	else if (t->l_prflag & LPR_DETACHED)
		error = -EINVAL;
	else {
		t->l_prflag |= LPR_DETACHED;
		t->l_waiter = 0;
		if (lwp_stat(t) == LS_ZOMB) {
			list_remove(&t->l_free);
			list_insert_tail(&p->p_deadlwps, &t->l_free);
			(void)lwp_reap_dead(p);
		}
		cv_broadcast(&p->p_lwpcv);
	}
	mutex_unlock(&p->p_lock);
	return error;
}
