/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Priorities, affinity, wakeup from rest states and user-return kicks.
 *
 * A change of priority or affinity is made under the LWP's lent lock, and followed by what it calls for
 * where the LWP is now: re-sorting on its queue, a look by its CPU (want_resched) or by an idle one.
 */
#include <kernel/sched.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/options.h>
#include <kernel/proc.h>
#include <kernel/trace.h>
#include <kernel/upcall.h>

static int
set_kpreempt(const char *value)
{
	uint64_t v;
	int error = option_u64(value, 0, PRI_COUNT, &v);

	if (error == 0)
		sched_kpreempt_pri = (int)v;
	return error;
}
OPTION(kpreempt, "0..224: priority that preempts kernel code", set_kpreempt);

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
	atomic_store_relaxed(&l->l_ast, 1);
	atomic_fence_full();
	if (l->l_stat == LS_ONPROC && l->l_cpu != curcpu())
		arch_ipi_resched(l->l_cpu);
}

/* Re-queues or re-sorts l after its effective priority changed from `old`. => l locked */
static void
pri_changed(struct lwp *l, int old)
{
	int pri = lwp_eprio(l);

	if (pri == old)
		return;
	if (l->l_stat == LS_RUN && list_linked(&l->l_runq)) {
		sched_dequeue(l);
		sched_enqueue(l);
		sched_resched_cpu(l->l_cpu, pri);
	} else if (l->l_wchan != NULL)
		sleepq_changepri(l);
	else if (l->l_stat == LS_ONPROC ||
	    ((l->l_stat == LS_SUSPENDED || l->l_stat == LS_STOP) && l->l_running)) {
		struct schedstate *spc = l->l_cpu->ci_spc;

		spin_lock(&spc->spc_mutex);
		atomic_store_relaxed(&spc->spc_curpriority, pri);
		/* Who was queued while it was lent more may come first now. */
		sched_resched_cpu(l->l_cpu, spc->spc_maxpri);
		spin_unlock(&spc->spc_mutex);
	}
}

void
sched_lendpri(struct lwp *l, int pri)
{
	int old = lwp_eprio(l);

	KASSERT(lwp_locked(l, NULL));
	TRACE(LEND, pri, l->l_lid, (uintptr_t)curlwp()->l_wchan);
	l->l_inheritedprio = (int16_t)pri;
	pri_changed(l, old);
}

/*
 * sched_setaffinity: l may run on the CPUs of `set` only, from its next user instruction on; 0 = all.
 * => p_lock held. -EINVAL: no CPU of the set is online
 */
int
sched_setaffinity(struct lwp *l, cpuset_t set)
{
	struct cpu *to;

	if (set != 0 && (set & atomic_load_relaxed(&cpu_online_set)) == 0)
		return -EINVAL;
	set &= atomic_load_relaxed(&cpu_online_set);
	if (set == atomic_load_relaxed(&cpu_online_set))
		set = 0;
again:
	lwp_lock(l);
	l->l_affinity = set;
	l->l_target_cpu = NULL;
	if (set == 0 || (set & CPU_BIT(l->l_cpu))) {
		struct cpu *on = l->l_cpu;
		cpuset_t allowed = sched_allowed(l);

		lwp_unlock(l);
		/* If it waits there, or others behind it, an idle CPU may serve them that might not before. */
		sched_kick_idle(allowed, on);
		return 0;
	}
	to = cpus[__builtin_ctzll(set)];
	if (l->l_running || l->l_stat == LS_ONPROC) {
		/* It leaves at its next switch, see runq_migrate(); ask for one. */
		l->l_target_cpu = to;
		/* Under spc_mutex: a switch that has just picked l clears the word after it published l. */
		spin_lock(&l->l_cpu->ci_spc->spc_mutex);
		atomic_or(&l->l_cpu->ci_want_resched, RESCHED_UPREEMPT);
		spin_unlock(&l->l_cpu->ci_spc->spc_mutex);
		lwp_need_userret(l);
		lwp_unlock(l);
	} else if (l->l_stat == LS_RUN) {
		struct spinlock *m = l->l_mutex;
		struct cpu *from = l->l_cpu;

		to = sched_takecpu(l, sched_allowed(l));
		/* Both queues' locks, in order; l may have moved meanwhile: then start again. */
		spin_unlock(m);
		spin_lock_pair(&from->ci_spc->spc_mutex, &to->ci_spc->spc_mutex);
		if (l->l_mutex == &from->ci_spc->spc_mutex && l->l_stat == LS_RUN &&
		    list_linked(&l->l_runq) && !l->l_running) {
			sched_dequeue(l);
			TRACE(MIGRATE, from->ci_index, l->l_lid, to->ci_index);
			l->l_cpu = to;
			lwp_setlock(l, &to->ci_spc->spc_mutex);
			sched_enqueue(l);
			sched_resched_cpu(to, l->l_qpri);
			spin_unlock_pair(&from->ci_spc->spc_mutex, &to->ci_spc->spc_mutex);
			sched_kick_idle(set, to);
		} else {
			spin_unlock_pair(&from->ci_spc->spc_mutex, &to->ci_spc->spc_mutex);
			arch_ipi_resched(to); /* we may have claimed it */
			goto again;
		}
	} else if (l->l_sleepq != NULL) {
		l->l_cpu = to; /* asleep: its lock is the queue's */
		lwp_unlock(l);
	} else {
		struct spinlock *old = l->l_mutex;

		/* At rest under its CPU's lwplock: move it to the new CPU's. */
		l->l_cpu = to;
		lwp_setlock(l, &to->ci_spc->spc_lwplock);
		spin_unlock(old);
	}
	return 0;
}

/* ---- clock ---- */

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
 * Clock tick, from the timer interrupt. An LWP that has had the CPU since the tick before lets its equals
 * run. => interrupts off
 */
void
sched_tick(nsec_t now, bool user)
{
	struct cpu *ci = curcpu();
	struct schedstate *spc = ci->ci_spc;
	struct lwp *l = ci->ci_curlwp;

	if (l == ci->ci_idlelwp) {
		spc->spc_tick = false;
		return;
	}
	if (user)
		l->l_uticks++;
	else
		l->l_sticks++;
	if (unlikely(atomic_load_relaxed(&l->l_proc->p_cputick) != 0))
		timers_tick(l->l_proc);
	spc->spc_nexttick = now + SCHED_QUANTUM;
	if (spc->spc_tickpick == ci->ci_nswitch && atomic_load_relaxed(&spc->spc_count) != 0) {
		atomic_or(&ci->ci_want_resched, RESCHED_UPREEMPT);
		atomic_store_relaxed(&l->l_ast, 1);
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
