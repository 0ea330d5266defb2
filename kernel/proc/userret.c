/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user boundary: what an LWP does before it goes back to user mode when l_ast is set. It comes here
 * again until nothing is left to do: exit, then parking for an exec, stop, suspension, signals.
 */
#include <kernel/process.h>

#include <arch/arch_if.h>
#include <kernel/debug.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>

/* => no lock held, interrupts on. May not return. */
void
user_return(struct trapframe *tf)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	uint32_t flags;

	KASSERT(l->l_nlocks == 0 && l->l_nopreempt == 0 && (p->p_flag & PK_SYSTEM) == 0);
	/* Cleared before we look: who sets a flag after this sets it again. */
	atomic_store_relaxed(&l->l_ast, 0);
	atomic_fence_full();
	/* Who has to die gives up the CPU by that. */
	if (unlikely(atomic_load_relaxed(&l->l_flag) & LW_WEXIT) && (p->p_flag & PK_KILLED) == 0)
		lwp_exit(0);
	if (atomic_load_relaxed(&curcpu()->ci_want_resched) != 0)
		preempt();
	fsck_boundary();
	flags = atomic_load_relaxed(&l->l_flag);
	if (likely((flags & LW_BOUNDARY) == 0 && (p->p_flag & PK_KILLED) == 0)) {
		if ((flags & LW_PENDSIG) || l->l_sysrestart != 0)
			sig_deliver(tf);
		return;
	}
	if (unlikely(p->p_flag & PK_KILLED) && (proc_single(p) == NULL || p->p_single == l))
		proc_exit(0, p->p_xsig);
	if (flags & LW_WEXIT)
		lwp_exit(0);
	if (unlikely(flags & LW_WBOUNDARY)) {
		single_boundary();
		mutex_lock(&p->p_lock);
		if (proc_single(p) == NULL || p->p_single == l) {
			lwp_lock(l);
			l->l_flag &= ~(uint32_t)LW_WBOUNDARY;
			lwp_unlock(l);
		}
		mutex_unlock(&p->p_lock);
		atomic_store_relaxed(
		    &l->l_ast, AST_WORK); /* from the top: we may have to die now */
		return;
	}
	if (unlikely(flags & (LW_WSTOP | LW_WSUSPEND))) {
		if (flags & LW_WSTOP)
			lwp_stop_point();
		else
			lwp_suspend_self();
		atomic_store_relaxed(&l->l_ast, AST_WORK);
		return;
	}
	if ((flags & LW_PENDSIG) || l->l_sysrestart != 0)
		sig_deliver(tf);
}

int64_t
sys_exit(const uint64_t *a)
{
	struct lwp *l = curlwp();

	/* As on Linux nobody waits for the id of who leaves by this call, not even for the first LWP's. */
	if ((l->l_prflag & LPR_DETACHED) == 0) {
		mutex_lock(&l->l_proc->p_lock);
		l->l_prflag |= LPR_DETACHED;
		mutex_unlock(&l->l_proc->p_lock);
	}
	lwp_exit((int)a[0]); /* the last one's status is the process's, as on Linux */
}

int64_t
sys_exit_group(const uint64_t *a)
{
	proc_exit((int)a[0], 0);
}
