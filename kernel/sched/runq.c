/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues: per CPU an array of lists by priority and a bitmap. All under spc_mutex, which is lent to
 * the LWPs queued. spc_maxpri, spc_mcount, spc_count and spc_curpriority are also read without it, as hints.
 *
 * Idle CPUs. A CPU that finds nothing sets its bit in sched_idle_set, then looks at all queues, then halts.
 * Who queues an LWP that cannot run at once looks at the set afterwards (sched_kick_idle). There is a full
 * fence between store and look on both sides, so one of the two sees the other: no LWP waits while a CPU
 * on which it may run sleeps. To clear a CPU's bit is to claim it: the claimer must send it work or an
 * interrupt, for nobody else will.
 */
#include <kernel/sched.h>

#include <arch/arch_if.h>

#include <kernel/bugs.h>
#include <kernel/explore.h>
#include <kernel/kmem.h>
#include <kernel/proc.h>
#include <kernel/trace.h>

cpuset_t sched_idle_set; /* (a) CPUs whose idle LWP runs and that no waker has claimed yet */

/* Preempt kernel code for an LWP of at least this priority. */
int sched_kpreempt_pri = PRI_USER_RT;

static bool
migratable(const struct lwp *l)
{
	return (l->l_flag & LW_BOUND) == 0;
}

void
sched_cpu_init(struct cpu *ci)
{
	struct schedstate *spc = ci->ci_spc;

	spin_init(&spc->spc_mutex, "spc_mutex", RANK_RUNQ);
	spin_init(&spc->spc_lwplock, "spc_lwplock", RANK_LWPLOCK);
	spc->spc_maxpri = PRI_IDLE;
	spc->spc_curpriority = PRI_IDLE;
	for (int i = 0; i < PRI_COUNT; i++)
		list_init(&spc->spc_queue[i]);
}

static void
runq_insert(struct schedstate *spc, struct lwp *l, bool head)
{
	int pri = lwp_eprio(l);
	struct list *q = &spc->spc_queue[pri];

	KASSERT(spin_held(&spc->spc_mutex));
	KASSERTMSG(l->l_stat == LS_RUN && l->l_mutex == &spc->spc_mutex, "lid %d %s", l->l_lid,
	    lwp_state_name[l->l_stat]);
	KASSERT(!list_linked(&l->l_runq));
	l->l_qpri = (int16_t)pri;
	spc->spc_bitmap[pri >> 6] |= (uint64_t)1 << (pri & 63);
	if (head)
		list_insert_head(q, &l->l_runq);
	else
		list_insert_tail(q, &l->l_runq);
	if (pri > spc->spc_maxpri)
		atomic_store_relaxed(&spc->spc_maxpri, pri);
	spc->spc_count++;
	if (migratable(l))
		atomic_store_relaxed(&spc->spc_mcount, spc->spc_mcount + 1);
}

void
sched_enqueue(struct lwp *l)
{
	runq_insert(l->l_cpu->ci_spc, l, false);
}

void
sched_dequeue(struct lwp *l)
{
	struct schedstate *spc = l->l_cpu->ci_spc;
	int pri = l->l_qpri;

	KASSERT(spin_held(&spc->spc_mutex));
	KASSERT(list_linked(&l->l_runq));
	list_remove(&l->l_runq);
	spc->spc_count--;
	if (migratable(l))
		atomic_store_relaxed(&spc->spc_mcount, spc->spc_mcount - 1);
	if (list_empty(&spc->spc_queue[pri])) {
		spc->spc_bitmap[pri >> 6] &= ~((uint64_t)1 << (pri & 63));
		if (pri == spc->spc_maxpri) {
			int top = PRI_IDLE;

			for (int w = pri >> 6; w >= 0; w--)
				if (spc->spc_bitmap[w] != 0) {
					top = w * 64 + 63 - __builtin_clzll(spc->spc_bitmap[w]);
					break;
				}
			atomic_store_relaxed(&spc->spc_maxpri, top);
		}
	}
}

/* The LWP that should run next, or NULL. => spc_mutex held */
struct lwp *
runq_first(struct schedstate *spc)
{
	if (spc->spc_maxpri < 0)
		return NULL;
	return list_first(&spc->spc_queue[spc->spc_maxpri], struct lwp, l_runq);
}

/*
 * Tells `ci` that an LWP of priority `pri` was queued there. Only who turns a bit of ci_want_resched on
 * sends the interrupt. => spc_mutex of ci held; stays held
 */
void
sched_resched_cpu(struct cpu *ci, int pri)
{
	struct schedstate *spc = ci->ci_spc;
	struct lwp *running = spc->spc_curlwp;
	uint32_t bit;

	KASSERT(spin_held(&spc->spc_mutex));
	if (pri <= spc->spc_curpriority)
		return;
	if (spc->spc_curpriority == PRI_IDLE)
		bit = RESCHED_IDLE;
	else if (pri >= sched_kpreempt_pri) {
		bit = RESCHED_KPREEMPT;
		atomic_store_relaxed(&running->l_dopreempt, 1);
	} else
		bit = RESCHED_UPREEMPT;
	if (atomic_or(&ci->ci_want_resched, bit) & bit)
		return;
	if (ci == curcpu()) {
		atomic_store_relaxed(&curlwp()->l_ast, 1);
		if (bit != RESCHED_KPREEMPT || ci->ci_intr_depth != 0)
			return; /* looked at on the way out */
	}
	arch_ipi_resched(ci);
}

/* Reschedule interrupt: wakes an idle CPU by its mere arrival; else the trap's way out does the work. */
void
sched_ipi(void)
{
	atomic_store_relaxed(&curlwp()->l_ast, 1);
}

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

/* The most urgent LWP queued there that may run on `ci`, or NULL. => spc_mutex held */
static struct lwp *
stealable(struct schedstate *spc, struct cpu *ci)
{
	struct lwp *l;

	for (int pri = spc->spc_maxpri; pri >= 0; pri--) {
		if ((spc->spc_bitmap[pri >> 6] & ((uint64_t)1 << (pri & 63))) == 0)
			continue;
		list_foreach (l, &spc->spc_queue[pri], l_runq)
			if (migratable(l) &&
			    (l->l_affinity == 0 || (l->l_affinity & CPU_BIT(ci))))
				return l;
	}
	return NULL;
}

/*
 * runq_steal: an idle CPU takes a waiting LWP from another. => no lock held, preemption impossible (idle).
 * Returns true if this CPU's queue is not empty afterwards.
 */
bool
runq_steal(struct cpu *self)
{
	struct schedstate *mine = self->ci_spc;

	for (unsigned i = 1; i < ncpu; i++) {
		struct cpu *victim = cpus[(self->ci_index + i) % ncpu];
		struct schedstate *spc = victim->ci_spc;
		struct lwp *found = NULL;

		if (atomic_load_relaxed(&spc->spc_mcount) == 0)
			continue;
		fp(steal_between_count_and_lock);
		if (BUG(steal_unlocked))
			found = stealable(spc, self);
		spin_lock_pair(&mine->spc_mutex, &spc->spc_mutex);
		if (!BUG(steal_unlocked))
			found = stealable(spc, self);
		if (found != NULL) {
			sched_dequeue(found);
			found->l_cpu = self;
			lwp_setlock(found, &mine->spc_mutex);
			sched_enqueue(found);
			mine->spc_nsteal++;
			TRACE(STEAL, victim->ci_index, found->l_lid, self->ci_index);
		}
		spin_unlock_pair(&mine->spc_mutex, &spc->spc_mutex);
		if (found != NULL)
			return true;
	}
	return atomic_load_relaxed(&mine->spc_count) != 0;
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
