/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wakeup from rest states, user-return kicks, the check of who may sleep.
 */
#include <kernel/sched.h>

#include <arch/arch_if.h>
#include <kernel/proc.h>
#include <kernel/upcall.h>

/*
 * setrunnable: from IDL, STOP, SUSPENDED or an interruptible SLEEP.
 * => l locked; unlocked on return
 */
void
setrunnable(struct lwp *l)
{
	struct spinlock *m = l->l_mutex;

	KASSERT(lwp_locked(l, NULL));
	if (l->l_wchan != NULL) {
		sleepq_unsleep(l);
		return;
	}
	if (l->l_running) {
		/* It decided to rest but has not left its CPU: it goes on. */
		lwp_setstat(l, LS_ONPROC);
		spin_unlock(m);
		return;
	}
	runq_make_runnable(l);
	spin_unlock(m);
}

/* An interrupt to the CPU that runs l makes it look at l_ast soon. => l locked */
void
lwp_need_userret(struct lwp *l)
{
	KASSERT(lwp_locked(l, NULL));
	atomic_store_relaxed(&l->l_ast, AST_WORK);
	atomic_fence_full();
	if (l->l_stat == LS_ONPROC && l->l_cpu != curcpu())
		arch_ipi_resched(l->l_cpu);
}

#ifdef DEBUG
void
assert_may_sleep(void)
{
	struct cpu *ci;
	struct lwp *l = curlwp();
	bool intr;

	if (cold || panicking)
		return;
	intr = arch_intr_disable();
	ci = curcpu();
	if (ci->ci_mtx_count != 0 || ci->ci_intr_depth != 0 || !intr || l->l_stat != LS_ONPROC ||
	    l->l_nopreempt != 0 || l->l_proc->p_stat == PS_ZOMB)
		panic(
		    "lid %d %s cpu%u: may not sleep here: %u spin locks, interrupt depth %u, interrupts %s, "
		    "preemption off %u, proc %s",
		    l->l_lid, lwp_state_name[l->l_stat], ci->ci_index, ci->ci_mtx_count,
		    ci->ci_intr_depth, intr ? "on" : "off", l->l_nopreempt,
		    proc_state_name[l->l_proc->p_stat]);
	arch_intr_restore(intr);
}
#endif
