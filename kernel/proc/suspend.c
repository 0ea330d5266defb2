/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Suspension of LWPs. docs/protocol.md 3.4, docs/suspension.md.
 *
 * To suspend an LWP is to set LW_WSUSPEND and to get it moving towards the user boundary; there it suspends
 * itself, so a suspended LWP holds no lock and is in no call. LWP states: ONPROC to SUSPENDED under p_lock and
 * its own lock, while it still runs; from there setrunnable() by whoever continues it, or kills its process.
 *
 * Nothing waits before it has looked: the target may be suspended already, or oneself (B32). Who suspends waits
 * on p_lwpcv, which is broadcast when the target suspends itself, is continued, or dies. For the exec of a
 * sibling a suspended LWP counts as parked: it rests at the very place.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <kernel/failpoint.h>
#include <kernel/sched.h>

#include "signal_internal.h"

/* Would nobody be left that could continue us? Those who are about to rest, or to die, do not count. */
static bool
last_to_run(const struct proc *p, const struct lwp *self)
{
	const struct lwp *l;

	list_foreach (l, &p->p_lwps, l_sibling)
		if (l != self && lwp_stat(l) != LS_ZOMB && lwp_stat(l) != LS_SUSPENDED &&
		    (l->l_prflag & LPR_EXITING) == 0 &&
		    (atomic_load_relaxed(&l->l_flag) & LW_WSUSPEND) == 0)
			return false;
	return true;
}

/* 0: suspended, or not to be suspended any more; -EAGAIN: not yet; -ESRCH: gone. => p_lock held */
static int
suspended(struct proc *p, lwpid_t lid)
{
	struct lwp *t = lwp_find(p, lid);
	bool done;

	if (t == NULL || (t->l_prflag & LPR_EXITING))
		return -ESRCH;
	lwp_lock(t);
	done = lwp_stat(t) == LS_SUSPENDED || (t->l_flag & LW_WSUSPEND) == 0;
	lwp_unlock(t);
	return done ? 0 : -EAGAIN;
}

static int
suspend_locked(struct proc *p, struct lwp *l, lwpid_t lid)
{
	uint32_t flags = atomic_load_relaxed(&l->l_flag);
	struct lwp *t = lwp_find(p, lid);
	int error;

	if (t == NULL || (t->l_prflag & LPR_EXITING))
		return -ESRCH;
	if (flags & LW_WEXIT)
		return -EDEADLK;
	if (t == l) {
		if (last_to_run(p, l))
			return -EDEADLK;
		lwp_interrupt(l, LW_WSUSPEND); /* in force before the call returns to user mode */
		return 0;
	}
	/* Suspended oneself first: else two that suspend each other would both rest, and nobody continue them. */
	if (flags & LW_WSUSPEND)
		return -ERESTARTNOINTR;
	if (suspended(p, lid) == 0 && lwp_stat(t) != LS_SUSPENDED)
		lwp_interrupt(t, LW_WSUSPEND);
	while ((error = suspended(p, lid)) == -EAGAIN)
		if ((error = cv_wait_sig(&p->p_lwpcv, &p->p_lock)) != 0)
			break;
	return error;
}

int
lwp_suspend(lwpid_t lid)
{
	struct proc *p = curproc();
	int error;

	mutex_lock(&p->p_lock);
	error = suspend_locked(p, curlwp(), lid);
	mutex_unlock(&p->p_lock);
	return error;
}

void
lwp_resume(struct lwp *l)
{
	KASSERT(mutex_owned(&l->l_proc->p_lock) && lwp_locked(l, NULL));
	KASSERT(l->l_stat == LS_STOP || (l->l_stat == LS_SUSPENDED && l->l_wchan == NULL));
	l->l_proc->p_nrlwps++;
	if (l->l_wchan != NULL) {
		KASSERT(l->l_flag & LW_SINTR);
		if ((l->l_flag & l->l_intrmask) == 0) {
			lwp_setstat(l, LS_SLEEP); /* it was stopped where it slept */
			lwp_unlock(l);
			return;
		}
		setrunnable(l); /* off its queue first, still stopped (B41) */
		lwp_lock(l);
	}
	setrunnable(l);
}

int
lwp_continue(lwpid_t lid)
{
	struct proc *p = curproc();
	struct lwp *t;

	mutex_lock(&p->p_lock);
	t = lwp_find(p, lid);
	if (t == NULL) {
		mutex_unlock(&p->p_lock);
		return -ESRCH;
	}
	lwp_lock(t);
	t->l_flag &= ~(uint32_t)LW_WSUSPEND;
	if (lwp_stat(t) == LS_SUSPENDED) {
		/* The stop, or the hold, took it for one that rests. */
		if ((p->p_flag & PK_STOP) || proc_holds(p, t)) {
			t->l_flag |= LW_WSTOP;
			lwp_need_userret(t);
		}
		lwp_resume(t);
	} else {
		lwp_unlock(t);
		cv_broadcast(&p->p_lwpcv); /* who waits for it to be suspended waits in vain */
	}
	mutex_unlock(&p->p_lock);
	return 0;
}

void
lwp_suspend_self(void)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	bool rest;

	mutex_lock(&p->p_lock);
	KASSERT(p->p_single != l && (l->l_prflag & LPR_EXITING) == 0);
	/* What it was to take of the process's others can take now. */
	if (unlikely(p->p_sigpend.sp_set & ~l->l_sigmask))
		sig_retarget(p, l, p->p_sigpend.sp_set & ~l->l_sigmask);
	/* p_lock may not be released under our lock, so we are SUSPENDED for a while before we leave the CPU. */
	preempt_disable();
	lwp_lock(l);
	rest =
	    (l->l_flag & (LW_WSUSPEND | LW_KILL | LW_WSTOP)) == LW_WSUSPEND; /* others come first */
	if (rest) {
		lwp_setstat(l, LS_SUSPENDED);
		p->p_nrlwps--;
	}
	lwp_unlock(l);
	if (!rest) {
		mutex_unlock(&p->p_lock);
		preempt_enable();
		return;
	}
	single_rest_begin(p);
	cv_broadcast(&p->p_lwpcv);
	mutex_unlock(&p->p_lock);
	fp(rest_not_switched);
	lwp_lock(l);
	if (l->l_stat == LS_SUSPENDED)
		sched_enter_switch(l);
	else
		lwp_unlock(l); /* continued meanwhile */
	preempt_enable();
	mutex_lock(&p->p_lock);
	single_rest_end(p);
	mutex_unlock(&p->p_lock);
}
