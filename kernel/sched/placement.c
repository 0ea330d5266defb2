/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU an LWP runs on: placement at a wakeup, stealing, pulling, migration.
 *
 * Idle CPUs. A CPU that finds nothing sets its bit in sched_idle_set, then looks at all queues, then halts.
 * Who queues an LWP that cannot run at once looks at the set afterwards (sched_kick_idle). There is a full
 * fence between store and look on both sides, so one of the two sees the other: no LWP waits while a CPU
 * on which it may run sleeps. To clear a CPU's bit is to claim it: the claimer must send it work or an
 * interrupt, for nobody else will.
 *
 * Busy CPUs look at each tick whether somebody more urgent than all that they have waits elsewhere (runq_pull). As
 * an LWP that shares its CPU uses less than one that has it alone, it rises above that one and is pulled: so the
 * CPU time of all CPUs is shared. Only who waits behind a real-time LWP is sent away (runq_push).
 */
#include <kernel/sched.h>

#include <arch/arch_if.h>

#include <kernel/bugs.h>
#include <kernel/explore.h>
#include <kernel/proc.h>
#include <kernel/trace.h>

#define PULL_MARGIN 2 /* levels by which it must come first, besides the one that counts */

cpuset_t sched_idle_set; /* (a) CPUs whose idle LWP runs and that no waker has claimed yet */

/* Online CPUs on which l may run. => l locked */
cpuset_t
sched_allowed(const struct lwp *l)
{
	cpuset_t set = atomic_load_relaxed(&cpu_online_set);

	if (l->l_flag & LW_BOUND)
		return CPU_BIT(l->l_cpu);
	if (l->l_affinity != 0)
		set &= l->l_affinity;
	return set;
}

/* Claims an idle CPU of `set`, `first` if possible; NULL if there is none. */
static struct cpu *
claim_idle(cpuset_t set, struct cpu *first)
{
	cpuset_t idle;

	while ((idle = atomic_load_relaxed(&sched_idle_set) & set) != 0) {
		cpuset_t bit = idle & CPU_BIT(first) ? CPU_BIT(first) : idle & -idle;

		if (atomic_and(&sched_idle_set, ~bit) & bit)
			return cpus[__builtin_ctzll(bit)];
	}
	return NULL;
}

/*
 * sched_takecpu: CPU of `set` on which to queue an LWP that becomes runnable: its last one or another if
 * idle; else the last one if it would run there at once; else the one with the least urgent work. An idle
 * one is claimed, so the caller must queue there or send it an interrupt. => l locked
 */
struct cpu *
sched_takecpu(struct lwp *l, cpuset_t set)
{
	struct cpu *best = l->l_cpu, *ci;
	int pri, least;

	KASSERT(lwp_locked(l, NULL) && set != 0);
	if ((ci = claim_idle(set, best)) != NULL)
		return ci;
	pri = lwp_eprio(l);
	least = PRI_COUNT;
	if (set & CPU_BIT(best)) {
		least = max(atomic_load_relaxed(&best->ci_spc->spc_curpriority),
		    atomic_load_relaxed(&best->ci_spc->spc_maxpri));
		if (pri > least)
			return best;
	}
	for (; set != 0; set &= set - 1) {
		int p;

		ci = cpus[__builtin_ctzll(set)];
		p = max(atomic_load_relaxed(&ci->ci_spc->spc_curpriority),
		    atomic_load_relaxed(&ci->ci_spc->spc_maxpri));
		if (p < least) {
			least = p;
			best = ci;
		}
	}
	return best;
}

/*
 * sched_kick_idle: an LWP that may run on `set` was queued on `from`, where it may have to wait: a CPU
 * that has gone idle since we looked must come and steal it. => any locks below leaf rank, or none
 */
void
sched_kick_idle(cpuset_t set, struct cpu *from)
{
	struct schedstate *spc = from->ci_spc;
	struct cpu *ci;

	/* An idle CPU takes one itself. */
	if (atomic_load_relaxed(&spc->spc_count) <=
	    (atomic_load_relaxed(&spc->spc_curpriority) == PRI_IDLE))
		return;
	atomic_fence_full();
	EXPLORE_POINT(ATOMIC, &sched_idle_set);
	if ((ci = claim_idle(set & ~CPU_BIT(from), from)) != NULL)
		arch_ipi_resched(ci);
}

/*
 * runq_make_runnable: l leaves a queue or a rest state and joins the run queue of the CPU chosen for it.
 * => l locked by a lock below spc_mutex in rank, which stays held by the caller; l's lent lock changes
 */
void
runq_make_runnable(struct lwp *l)
{
	struct cpu *ci = l->l_cpu;
	struct schedstate *spc;
	cpuset_t set = 0;

	if (ncpu > 1) {
		set = sched_allowed(l);
		ci = sched_takecpu(l, set);
		KASSERTMSG(set & CPU_BIT(ci), "lid %d cpu%u", l->l_lid, ci->ci_index);
	}
	spc = ci->ci_spc;
	spin_lock(&spc->spc_mutex);
	l->l_cpu = ci;
	TRACE(WAKE, ci->ci_index, l->l_lid, 0);
	l->l_target_cpu = NULL;
	lwp_setstat(l, LS_RUN);
	lwp_setlock(l, &spc->spc_mutex);
	sched_enqueue(l);
	sched_resched_cpu(ci, l->l_qpri);
	spin_unlock(&spc->spc_mutex);
	if (ncpu > 1)
		sched_kick_idle(set, ci);
}

/* The most urgent of `spc`'s queue, of at least `least`, that may run on `self`; NULL if there is none. */
static struct lwp *
candidate(struct schedstate *spc, const struct cpu *self, int least)
{
	struct lwp *l;

	for (int pri = spc->spc_maxpri; pri >= least; pri--) {
		if ((spc->spc_bitmap[pri >> 6] & ((uint64_t)1 << (pri & 63))) == 0)
			continue;
		list_foreach (l, &spc->spc_queue[pri], l_runq)
			if (lwp_migratable(l) &&
			    (l->l_affinity == 0 || (l->l_affinity & CPU_BIT(self))))
				return l;
	}
	return NULL;
}

static bool
take_from(struct cpu *victim, struct cpu *self, int least)
{
	struct schedstate *mine = self->ci_spc, *spc = victim->ci_spc;
	struct lwp *l = NULL;

	fp(steal_between_count_and_lock);
	if (BUG(steal_unlocked))
		l = candidate(spc, self, least);
	spin_lock_pair(&mine->spc_mutex, &spc->spc_mutex);
	if (!BUG(steal_unlocked))
		l = candidate(spc, self, least);
	if (l != NULL) {
		sched_dequeue(l);
		l->l_cpu = self;
		lwp_setlock(l, &mine->spc_mutex);
		sched_enqueue(l);
		mine->spc_nsteal++;
		TRACE(STEAL, victim->ci_index, l->l_lid, self->ci_index);
		if (mine->spc_curpriority != PRI_IDLE)
			sched_resched_cpu(self, l->l_qpri);
	}
	spin_unlock_pair(&mine->spc_mutex, &spc->spc_mutex);
	return l != NULL;
}

/*
 * runq_steal: an idle CPU takes a waiting LWP from another. => no lock held, preemption impossible (idle).
 * Returns true if this CPU's queue is not empty afterwards.
 */
bool
runq_steal(struct cpu *self)
{
	for (unsigned i = 1; i < ncpu; i++) {
		struct cpu *victim = cpus[(self->ci_index + i) % ncpu];

		if (atomic_load_relaxed(&victim->ci_spc->spc_mcount) != 0 &&
		    take_from(victim, self, 0))
			return true;
	}
	return atomic_load_relaxed(&self->ci_spc->spc_count) != 0;
}

/*
 * runq_pull: a busy CPU takes an LWP that waits on another though it is more urgent than all that is here: a
 * real-time one behind its like, a time-sharing one by a margin, which makes moves rare.
 * => the tick of this CPU
 */
void
runq_pull(struct cpu *self)
{
	struct schedstate *mine = self->ci_spc, *spc;
	int least = max(mine->spc_curpriority, mine->spc_maxpri) + 1;
	struct cpu *ci, *victim;
	cpuset_t tried = CPU_BIT(self); /* what is most urgent there may not be allowed here */
	int best;

	if (least < PRI_KERNEL)
		least = min(least + PULL_MARGIN, PRI_KERNEL);
	do {
		best = least - 1;
		victim = NULL;
		for_each_cpu(ci)
		{
			int pri;

			spc = ci->ci_spc;
			if ((tried & CPU_BIT(ci)) || spc == NULL ||
			    atomic_load_relaxed(&spc->spc_mcount) == 0)
				continue;
			pri = atomic_load_relaxed(&spc->spc_maxpri);
			if (pri > best) {
				best = pri;
				victim = ci;
			}
		}
		if (victim != NULL)
			tried |= CPU_BIT(victim);
	} while (victim != NULL && !take_from(victim, self, least));
}

/*
 * runq_move: moves l, queued on `from`, to `to`. False: it is not there any more, or may not run on `to`.
 * => no lock of a run queue held
 */
bool
runq_move(struct lwp *l, struct cpu *from, struct cpu *to)
{
	struct spinlock *m = &from->ci_spc->spc_mutex, *new = &to->ci_spc->spc_mutex;
	cpuset_t set = 0;

	KASSERT(from != to);
	fp(migrate_between_locks);
	spin_lock_pair(m, new);
	if (l->l_mutex == m && l->l_stat == LS_RUN && list_linked(&l->l_runq) && !l->l_running)
		set = sched_allowed(l);
	if (set & CPU_BIT(to)) {
		sched_dequeue(l);
		TRACE(MIGRATE, from->ci_index, l->l_lid, to->ci_index);
		l->l_cpu = to;
		lwp_setlock(l, new);
		sched_enqueue(l);
		sched_resched_cpu(to, l->l_qpri);
		spin_unlock_pair(m, new);
		sched_kick_idle(set, to);
		return true;
	}
	spin_unlock_pair(m, new);
	arch_ipi_resched(to); /* we may have claimed it */
	return false;
}

/*
 * runq_push: a CPU that runs a real-time LWP sends away a time-sharing one whose turn it would be, if another CPU has
 * less urgent work. Those that wait there may be as urgent, all of them, so nobody would pull it.
 * => the tick of this CPU
 */
void
runq_push(struct cpu *self)
{
	struct schedstate *mine = self->ci_spc;
	struct cpu *to = self;
	struct lwp *l, *waits = NULL;

	spin_lock(&mine->spc_mutex);
	list_foreach (l, &mine->spc_queue[PRI_USER_MAX], l_runq)
		if (sched_allowed(l) & ~CPU_BIT(self)) {
			waits = l;
			to = sched_takecpu(l, sched_allowed(l));
			break;
		}
	spin_unlock(&mine->spc_mutex);
	if (to != self)
		(void)runq_move(waits, self, to);
}

/*
 * runq_migrate: queues a RUN LWP that left its CPU with a target set, and so was not queued there. The
 * target only says that it must leave: the CPU is chosen now, by the affinity of now.
 * => l locked, by spc_mutex of the CPU that it left; released
 */
void
runq_migrate(struct lwp *l)
{
	struct cpu *from = l->l_cpu, *to;
	struct spinlock *m = &from->ci_spc->spc_mutex;
	cpuset_t set;

	for (;;) {
		KASSERT(l->l_mutex == m && l->l_stat == LS_RUN && !l->l_running &&
		    !list_linked(&l->l_runq));
		to = sched_takecpu(l, sched_allowed(l));
		if (to == from)
			break;
		/* Not queued and not running: l stays as it is, but its affinity may change meanwhile. */
		spin_unlock(m);
		fp(migrate_between_locks);
		spin_lock_pair(m, &to->ci_spc->spc_mutex);
		if (sched_allowed(l) & CPU_BIT(to))
			break;
		spin_unlock(&to->ci_spc->spc_mutex);
		arch_ipi_resched(to); /* we may have claimed it */
	}
	set = sched_allowed(l);
	KASSERTMSG(set & CPU_BIT(to), "lid %d cpu%u", l->l_lid, to->ci_index);
	TRACE(MIGRATE, from->ci_index, l->l_lid, to->ci_index);
	l->l_target_cpu = NULL;
	l->l_cpu = to;
	lwp_setlock(l, &to->ci_spc->spc_mutex);
	sched_enqueue(l);
	sched_resched_cpu(to, l->l_qpri);
	spin_unlock_pair(m, &to->ci_spc->spc_mutex);
	if (ncpu > 1)
		sched_kick_idle(set, to);
}
