/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's clock: ticks, and the CPU time of LWPs.
 */
#include <kernel/sched.h>

#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/upcall.h>

#define RT_TICKS_LONG 1000u /* 10 s */

/* A busy CPU has a tick every SCHED_QUANTUM; an idle one has none. => this CPU, preemption impossible */
void
sched_tick_start(void)
{
	struct schedstate *spc = curcpu()->ci_spc;
	bool intr = arch_intr_disable();

	if (!spc->spc_tick) {
		spc->spc_tick = true;
		spc->spc_nexttick = time_now() + SCHED_QUANTUM;
		callout_program();
	}
	arch_intr_restore(intr);
}

/*
 * Real-time LWPs may keep the CPU from all others for as long as they like. That is what they are for; but when
 * it lasts the log says so, once each time.
 */
static void
watch_realtime(struct schedstate *spc, const struct lwp *l)
{
	if (l->l_priority < PRI_USER_RT || l->l_priority >= PRI_KERNEL_RT ||
	    (atomic_load_relaxed(&spc->spc_bitmap[0]) | atomic_load_relaxed(&spc->spc_bitmap[1])) ==
		0)
		spc->spc_rtticks = 0;
	else if (++spc->spc_rtticks == RT_TICKS_LONG)
		kprintf(
		    "sched: cpu%u: for %u s real-time LWPs (now lid %d \"%s\") let no other run\n",
		    curcpu()->ci_index, (unsigned)(RT_TICKS_LONG * SCHED_QUANTUM / NSEC_PER_SEC),
		    l->l_lid, l->l_name);
}

/*
 * Clock tick, from the timer interrupt. An LWP whose turn is over lets its equals run.
 * => interrupts off
 */
void
sched_tick(nsec_t now, bool user)
{
	struct cpu *ci = curcpu();
	struct schedstate *spc = ci->ci_spc;
	struct lwp *l = ci->ci_curlwp;
	bool over = false;

	if (l == ci->ci_idlelwp) {
		spc->spc_tick = false;
		return;
	}
	if (user)
		atomic_count(&l->l_uticks);
	else
		atomic_count(&l->l_sticks);
	if (unlikely(atomic_load_relaxed(&l->l_proc->p_cputick) != 0))
		timers_tick(l->l_proc);
	spc->spc_nexttick = now + SCHED_QUANTUM;
	lwp_lock(l);
	if (likely(l->l_stat == LS_ONPROC))
		over = sched_charge(l, now);
	lwp_unlock(l);
	watch_realtime(spc, l);
	if (ncpu > 1)
		runq_pull(ci);
	if (atomic_load_relaxed(&spc->spc_count) != 0) {
		sched_age(ci, now);
		if (unlikely(spc->spc_curpriority >= PRI_USER_RT) && ncpu > 1)
			runq_push(ci);
		if (over) {
			atomic_or(&ci->ci_want_resched, RESCHED_UPREEMPT);
			atomic_store_relaxed(&l->l_ast, AST_WORK);
		}
	}
	spc->spc_tickpick = ci->ci_nswitch;
}

void
ticks_split(nsec_t rtime, uint64_t uticks, uint64_t sticks, nsec_t *user, nsec_t *sys)
{
	uint64_t all = uticks + sticks;

	*sys = all == 0 ? rtime : rtime / all * sticks;
	*user = rtime - *sys;
}

/*
 * l's lock is held from before a switch adds the run that ends until RUNNING is clear, and lent to a new run
 * only after its start is noted: under it, RUNNING says that a run is not yet in l_rtime.
 */
nsec_t
lwp_cputime_locked(const struct lwp *l)
{
	KASSERT(lwp_locked(l, NULL));
	return l->l_running ? l->l_rtime + (time_now() - l->l_rstart) : l->l_rtime;
}

nsec_t
lwp_cputime(struct lwp *l)
{
	nsec_t t;

	lwp_lock(l);
	t = lwp_cputime_locked(l);
	lwp_unlock(l);
	return t;
}

void
lwp_times(struct lwp *l, nsec_t *user, nsec_t *sys)
{
	ticks_split(lwp_cputime(l), l->l_uticks, l->l_sticks, user, sys);
}
