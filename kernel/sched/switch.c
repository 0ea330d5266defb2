/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch. docs/protocol.md 2.3, 2.4; docs/switch.md.
 *
 * mi_switch() is entered with two locks: that of the LWP which leaves, and this CPU's spc_mutex. One of
 * them is released before the stacks change, the other (always the leaving LWP's own lock) by the
 * successor, on the new stack, after it has cleared the RUNNING mark. So nobody can start the leaving LWP
 * elsewhere while its registers are half saved, and nobody frees it while its stack is in use.
 * A dead LWP's stack is taken by the successor too: an unreaped zombie keeps only its structures.
 */
#include <kernel/sched.h>

#include <arch/arch_if.h>
#include <kernel/bugs.h>
#include <kernel/callout.h>
#include <kernel/debug.h>
#include <kernel/exitmode.h>
#include <kernel/explore.h>
#include <kernel/kmem.h>
#include <kernel/lwpctl.h>
#include <kernel/proc.h>
#include <kernel/trace.h>
#include <kernel/vm.h>

bool cold = true;

/* => as switch_finish(); prev is dead, or has to leave this CPU */
static void __noinline
switch_finish_rare(struct lwp *prev, bool intr)
{
	struct spinlock *m = prev->l_mutex;
	bool dead = prev->l_stat == LS_ZOMB;
	void *stack = NULL;

	curcpu()->ci_mtx_intr = false; /* that of prev; ours is `intr` */
	if (dead && !exit_deferred()) {
		stack = prev->l_kstack;
		prev->l_kstack = NULL;
	}
	atomic_store_release(&prev->l_running, 0);
	EXPLORE_POINT(OFFCPU, prev->l_lid);
	/* A dead `prev` is untouchable from here on; any other once its lock is released. */
	if (!dead && prev->l_stat == LS_RUN)
		runq_migrate(prev);
	else
		spin_unlock(m);
	if (stack != NULL) {
		fp(stack_not_freed);
		kstack_free(stack);
	}
	if (intr)
		arch_intr_enable();
}

/*
 * The tail: what the LWP that has just got the CPU does for the one that left; `intr`: its own interrupts were on.
 * => interrupts off
 */
static inline __attribute__((always_inline)) void
switch_finish(struct lwp *prev, bool intr)
{
	if (BUG(running_early) && curcpu()->ci_mtx_count == 0) {
		arch_intr_restore(intr);
		return;
	}
	fp(switch_before_clear_running);
	KASSERT(curcpu()->ci_mtx_count == 1 && prev->l_running);
	if (unlikely(prev->l_stat == LS_ZOMB || prev->l_target_cpu != NULL)) {
		switch_finish_rare(prev, intr);
		return;
	}
	atomic_store_release(&prev->l_running, 0);
	EXPLORE_POINT(OFFCPU, prev->l_lid);
	curcpu()->ci_mtx_intr = intr;
	spin_unlock(prev->l_mutex);
}

/* First code of a new LWP, on its stack; then the machine layer calls its start function. */
void
lwp_startup(struct lwp *prev)
{
	switch_finish(prev, true);
}

/*
 * mi_switch: give up the CPU.
 * => l is curlwp; exactly its lock and this CPU's spc_mutex are held (they may be one); not in a lock-free
 *    read; state ONPROC = yield, SLEEP SUSPENDED STOP ZOMB = leave. On return both are released.
 */
void
mi_switch(struct lwp *l)
{
	struct cpu *ci = curcpu();
	struct schedstate *spc = ci->ci_spc;
	bool intr = ci->ci_mtx_intr;
	struct lwp *new, *prev;
	struct vmspace *vm;
	bool kick = false;
	nsec_t now;

	KASSERT(l == curlwp() && lwp_locked(l, NULL) && spin_held(&spc->spc_mutex));
	KASSERT(ci->ci_mtx_count == (l->l_mutex == &spc->spc_mutex ? 1u : 2u));
	KASSERT(l->l_running);

	now = time_now();
	l->l_rtime += now - l->l_rstart;

	if (l->l_stat == LS_ONPROC) {
		lwp_setstat(l, LS_RUN);
		lwp_setlock(l, &spc->spc_mutex);
		if (likely(l->l_target_cpu == NULL)) {
			if (unlikely(l->l_priority >= PRI_USER_RT))
				sched_enqueue_rt(l);
			else
				sched_enqueue(l);
			kick = ncpu > 1;
		}
	}

	new = runq_first(spc);
	if (new != NULL) {
		sched_dequeue(new);
		lwp_setstat(new, LS_ONPROC);
		new->l_kpribase = false;
		if (unlikely(now >= new->l_pridue))
			sched_refresh(new, new->l_rtime, now);
		atomic_store_relaxed(&spc->spc_curpriority, lwp_eprio(new));
		new->l_running = 1;
		new->l_rstart = now; /* before the lock is lent: see lwp_cputime_locked() */
		lwp_setlock(new, &spc->spc_lwplock);
	} else {
		new = ci->ci_idlelwp;
		atomic_store_relaxed(&spc->spc_curpriority, PRI_IDLE);
		new->l_running = 1;
		new->l_rstart = now;
	}
	spc->spc_curlwp = new;
	fp(picked_before_clear_resched);
	atomic_store_relaxed(&ci->ci_want_resched, 0);
	atomic_store_relaxed(&l->l_dopreempt, 0);
	if (unlikely(spc->spc_maxpri > spc->spc_curpriority)) {
		/* `new` has lost its boost, and who waits has his still: at the user boundary it is his turn. */
		atomic_store_relaxed(&ci->ci_want_resched, RESCHED_UPREEMPT);
		atomic_store_relaxed(&new->l_ast, AST_WORK);
	}

	if (new == l) {
		KASSERT(l->l_mutex == &spc->spc_lwplock);
		l->l_pflag &= ~(uint32_t)LP_INTR;
		spin_unlock(&spc->spc_mutex);
		spin_unlock(&spc->spc_lwplock);
		return;
	}
	TRACE(SWITCH, l->l_stat | (l->l_pflag & LP_INTR ? TRACE_INVOLUNTARY : 0), new->l_lid,
	    l->l_stat == LS_SLEEP ? (uintptr_t)l->l_wmesg : 0);
	if (l->l_pflag & LP_INTR)
		atomic_count(&l->l_nivcsw);
	else
		atomic_count(&l->l_nvcsw);
	l->l_pflag &= ~(uint32_t)LP_INTR;
	ci->ci_nswitch++;

	/* Keep only l's lock. */
	spin_unlock_inner(l->l_mutex == &spc->spc_mutex ? &spc->spc_lwplock : &spc->spc_mutex);
	KASSERT(ci->ci_mtx_count == 1);

	/* Still queued, behind `new` or what follows it; an idle CPU that looked before we came must know. */
	if (kick)
		sched_kick_idle(sched_allowed(l), ci);

	fsck_switch(new);
	/* Both here: it is the kernel's address that is written, whatever address space is loaded. */
	if (unlikely(((uintptr_t)l->l_lwpctl | (uintptr_t) new->l_lwpctl) != 0))
		lwpctl_switch(l, new, ci);
	vm = new->l_proc->p_vmspace;
	if (ci->ci_vmspace != vm)
		vmspace_activate(vm);
	if (BUG(running_early) && l->l_stat != LS_ZOMB && l->l_target_cpu == NULL) {
		ci->ci_mtx_intr = false;
		atomic_store_release(&l->l_running, 0);
		spin_unlock(l->l_mutex);
	}
	prev = arch_switch(l, new);
	/* On our stack again, perhaps on another CPU. */
	switch_finish(prev, intr);
}

/* => l is curlwp and locked, about to leave; all released on return */
void
sched_enter_switch(struct lwp *l)
{
	spin_lock_inner(&curcpu()->ci_spc->spc_mutex);
	mi_switch(l);
}

/* => l is ZOMB, nothing held */
void
lwp_exit_switch(struct lwp *l)
{
	lwp_lock(l);
	KASSERT(l->l_stat == LS_ZOMB && l == curlwp());
	sched_enter_switch(l);
	panic("lid %d: dead LWP runs again", l->l_lid);
}

/* The acquire pairs with the release in switch_finish(): what `l` did is visible, its stack is not in use. */
void
lwp_wait_offcpu(struct lwp *l)
{
	KASSERT(l->l_stat == LS_ZOMB && l != curlwp());
	while (atomic_load_acquire(&l->l_running)) {
		if (panicking)
			arch_halt();
		cpu_relax();
	}
}

/* => no lock held */
void
yield(void)
{
	struct lwp *l = curlwp();

	lwp_lock_self(l);
	sched_enter_switch(l);
}

void
preempt(void)
{
	struct lwp *l = curlwp();

	l->l_pflag |= LP_INTR;
	lwp_lock_self(l);
	sched_enter_switch(l);
}

/*
 * Kernel preemption, wanted by l_dopreempt. Where it is not allowed the flag stays and it is tried again: an LWP that has
 * decided to rest may be continued or woken before it has left its CPU, and then nobody asks anew. Its switch clears it.
 */
void
kpreempt(void)
{
	struct lwp *l = curlwp();

	while (atomic_load_relaxed(&l->l_dopreempt)) {
		bool intr = arch_intr_disable();
		struct cpu *ci = curcpu();

		KASSERT(l->l_nopreempt != 0 || (l->l_stat != LS_STOP && l->l_stat != LS_SUSPENDED));
		if (l->l_stat != LS_ONPROC || l->l_nopreempt != 0 || ci->ci_mtx_count != 0 ||
		    ci->ci_intr_depth != 0) {
			arch_intr_restore(intr);
			return;
		}
		preempt();
		arch_intr_restore(intr);
	}
}

void
kpreempt_intr(void)
{
	kpreempt();
}

/* ---- idle ---- */

/*
 * Each CPU has an idle LWP, IDL for ever and on no queue. It runs what is queued, else steals, else halts.
 */
void
idle_loop(void)
{
	struct lwp *l = curlwp();
	struct cpu *ci = curcpu();
	struct schedstate *spc = ci->ci_spc;

	KASSERT(l == ci->ci_idlelwp);
	for (;;) {
		/* Not when there is work already: who claims us then would queue behind it. */
		if (atomic_load_relaxed(&spc->spc_count) == 0)
			atomic_or(
			    &sched_idle_set, CPU_BIT(ci)); /* a full fence: set before we look */
		EXPLORE_POINT(ATOMIC, &sched_idle_set);
		if (atomic_load_relaxed(&spc->spc_count) == 0 && !runq_steal(ci)) {
			arch_intr_disable();
			/*
			 * What we were woken for may have been stolen: a bit left on would keep the next waker from
			 * sending its interrupt (B29).
			 */
			if (atomic_load_relaxed(&ci->ci_want_resched) != 0) {
				spin_lock(&spc->spc_mutex);
				atomic_store_relaxed(&ci->ci_want_resched, 0);
				spin_unlock(&spc->spc_mutex);
			}
			if (atomic_load_relaxed(&spc->spc_count) == 0 &&
			    (atomic_load_relaxed(&sched_idle_set) & CPU_BIT(ci))) {
				if (EXPLORING)
					explore_idle();
				else
					arch_cpu_idle();
			}
			arch_intr_enable();
			continue;
		}
		if (atomic_load_relaxed(&sched_idle_set) & CPU_BIT(ci))
			atomic_and(&sched_idle_set, ~CPU_BIT(ci));
		lwp_lock(l);
		sched_tick_start(); /* interrupts off: a tick now would find us idle and stop */
		sched_enter_switch(l);
	}
}
