/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of affinity is made under the LWP's lent lock, wherever the LWP is, and completed before the LWP runs
 * user code again: queued it is moved, asleep or at rest it is given another CPU to wake on, running it leaves.
 */
#include <kernel/sched.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/proc.h>
#include <kernel/trace.h>

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
		spin_unlock(m);
		if (!runq_move(l, from, to))
			goto again;
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
