/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single-threading: one arbiter per process, p_single and p_singlemode under p_lock. docs/protocol.md 4.3.
 *
 * The first LWP that asks becomes the owner. Any other that asks is told to unwind to the user boundary,
 * where it parks (BOUNDARY) or dies (EXIT); it never waits in place, so two LWPs that exec or exit at once
 * cannot wait for each other (B31). The owner sleeps until all others are parked or dead: those who park or
 * die look at the counts and wake it; nothing polls. The other two modes, in which LWPs rest where they are, begin
 * and end in hold.c; to one that begins here they are like another's.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <kernel/bugs.h>
#include <kernel/exitmode.h>
#include <kernel/sched.h>

/* Sets `flag` on every other live LWP and gets it moving towards the boundary. => p_lock held */
static void
interrupt_others(struct proc *p, uint32_t flag)
{
	struct lwp *l;

	list_foreach (l, &p->p_lwps, l_sibling)
		if (l != curlwp() && lwp_stat(l) != LS_ZOMB)
			lwp_interrupt(l, flag);
}

void
lwp_interrupt(struct lwp *l, uint32_t flag)
{
	KASSERT(mutex_owned(&l->l_proc->p_lock));
	if (l == curlwp()) { /* it runs, and comes to its boundary by itself */
		lwp_lock_self(l);
		l->l_flag |= flag;
		atomic_store_relaxed(&l->l_ast, AST_WORK);
		lwp_unlock(l);
		return;
	}
	lwp_lock(l);
	l->l_flag |= flag;
	lwp_need_userret(l);
	if ((l->l_stat == LS_SUSPENDED || l->l_stat == LS_STOP) && (flag & LW_KILL))
		lwp_resume(l);
	else if ((l->l_flag & LW_SINTR) && (l->l_flag & l->l_intrmask))
		setrunnable(l); /* out of its sleep; if it is stopped, it stays so */
	else
		lwp_unlock(l);
}

int
single_begin(enum single_mode mode)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;

	mutex_lock(&p->p_lock);
	while (BUG(exec_exit) && p->p_single != NULL && p->p_single != l)
		cv_wait(&p->p_boundarycv, &p->p_lock);
	if (p->p_single != NULL && p->p_single != l) {
		mutex_unlock(&p->p_lock);
		return -ERESTARTNOINTR;
	}
	/* While it stops nobody begins to exec: who is stopped need not count as parked then. */
	if (mode == SINGLE_BOUNDARY && (p->p_flag & (PK_KILLED | PK_STOP))) {
		mutex_unlock(&p->p_lock);
		return -ERESTARTNOINTR;
	}
	p->p_single = l;
	p->p_singlemode = (uint8_t)mode;
	if (p->p_nlwps > 1) {
		if (mode == SINGLE_EXIT) {
			interrupt_others(p, LW_WEXIT);
			cv_broadcast(&p->p_boundarycv);
			while (p->p_nlive > 1) {
				cv_wait(&p->p_lwpcv, &p->p_lock);
				if (BUG(no_recheck))
					break;
			}
			/* Nobody is left to wait for those that were not detached. */
			list_splice_tail(&p->p_deadlwps, &p->p_zlwps);
			while (lwp_reap_dead(p))
				continue;
			if (p->p_flag & PK_EXITING)
				TRACE(EXIT, TRX_ALONE, p->p_pid, 0);
		} else {
			interrupt_others(p, LW_WBOUNDARY);
			while (p->p_nlive - p->p_nboundary > 1)
				cv_wait(&p->p_lwpcv, &p->p_lock);
		}
	}
	if (mode == SINGLE_EXIT) {
		if (exit_deferred())
			exitmode_settle(p); /* of those that are not linked any more, too */
		KASSERT(p->p_nlwps == 1 && p->p_nreap == 0);
	}
	mutex_unlock(&p->p_lock);
	return 0;
}

void
single_end(void)
{
	struct lwp *l;
	struct proc *p = curproc();

	mutex_lock(&p->p_lock);
	KASSERT(p->p_single == curlwp());
	p->p_single = NULL;
	p->p_singlemode = SINGLE_NONE;
	list_foreach (l, &p->p_lwps, l_sibling) {
		lwp_lock(l);
		l->l_flag &= ~(uint32_t)LW_WBOUNDARY;
		lwp_unlock(l);
	}
	cv_broadcast(&p->p_boundarycv);
	mutex_unlock(&p->p_lock);
	hold_poke();
}

void
single_rest_begin(struct proc *p)
{
	KASSERT(mutex_owned(&p->p_lock));
	p->p_nboundary++;
	if (p->p_single != NULL && p->p_nlive - p->p_nboundary <= 1)
		cv_broadcast(&p->p_lwpcv);
}

void
single_rest_end(struct proc *p)
{
	KASSERT(mutex_owned(&p->p_lock) && p->p_nboundary > 0);
	p->p_nboundary--;
}

void
single_boundary(void)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;

	mutex_lock(&p->p_lock);
	while (p->p_single != NULL && p->p_single != l && p->p_singlemode == SINGLE_BOUNDARY) {
		single_rest_begin(p);
		cv_wait(&p->p_boundarycv, &p->p_lock);
		single_rest_end(p);
	}
	mutex_unlock(&p->p_lock);
}
