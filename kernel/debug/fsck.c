/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsck: the run-time invariants of docs/protocol.md 6, docs/invariants.md.
 * It holds proc_lock and parks all other CPUs outside of spin-lock sections, so what spin locks and
 * proc_lock cover is at rest. What a p_lock or a vm_lock covers is looked at only if nobody holds that lock.
 *
 * A violation panics with the predicate's letter, the object and what was expected.
 *
 * The monitor's fsck finds the others stopped anywhere. A CPU that was stopped with interrupts on is where fsck()
 * might have parked it; what one with interrupts off may be changing (LWPs whose lent lock is held or who belong
 * to that CPU, its run queue), and what proc_lock covers while somebody holds it, is left out and said so. A
 * violation is a line then, and a fault or an endless list one more.
 */
#include "fsck.h"

#include <abi/sched.h>
#include <arch/arch_if.h>
#include <kernel/debug.h>
#include <kernel/kmem.h>
#include <kernel/lwpctl.h>
#include <kernel/monitor.h>
#include <kernel/options.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/turnstile.h>
#include <kernel/vm.h>

static struct monitor_out *report; /* of the monitor's fsck, else NULL */
static unsigned violations;        /* reported by it */
static cpuset_t busy_cpus;         /* that it found with interrupts off */

void
fsck_violation(const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (report == NULL)
		panic("fsck: %s", text);
	violations++;
	mo_printf(report, "%s\n", text);
}

bool
fsck_endless(unsigned *n, const struct list *head)
{
	if ((*n)++ < MONITOR_MAXWALK)
		return false;
	fsck_violation("list %p does not end", (const void *)head);
	return true;
}

static const char *
st(const struct lwp *l)
{
	return l->l_stat < LS_COUNT ? lwp_state_name[l->l_stat] : "?";
}

/* ---- LWPs: all but the last group need only that spin locks are at rest ---- */

static bool
is_lwplock(const struct spinlock *m)
{
	struct cpu *ci;

	for_each_cpu(ci) if (ci->ci_spc != NULL && m == &ci->ci_spc->spc_lwplock) return true;
	return false;
}

static bool
is_runqlock(const struct spinlock *m)
{
	struct cpu *ci;

	for_each_cpu(ci) if (ci->ci_spc != NULL && m == &ci->ci_spc->spc_mutex) return true;
	return false;
}

static bool
on_list(const struct list *head, const struct list *e)
{
	unsigned n = 0;

	for (const struct list *i = head->next; i != head && !fsck_endless(&n, head); i = i->next)
		if (i == e)
			return true;
	return false;
}

static bool
is_current(const struct lwp *l)
{
	struct cpu *ci;

	for_each_cpu(ci) if (ci->ci_curlwp == l) return true;
	return false;
}

/* On its queue: who comes next is not more urgent. */
static void
check_sorted(const struct lwp *l)
{
	const struct list *e = l->l_sleepchain.next;
	const struct lwp *next = list_entry(e, struct lwp, l_sleepchain);

	if (e != l->l_sleepq)
		CHECK(lwp_sleeppri(l) >= lwp_sleeppri(next),
		    "S1: lid %d sleeps at priority %d before lid %d at %d", l->l_lid,
		    lwp_sleeppri(l), next->l_lid, lwp_sleeppri(next));
}

/* Its own priority is one of its class. Kernel threads have any. */
static void
check_class(const struct lwp *l)
{
	const struct sched_class *sc = &l->l_class;

	if (l->l_proc->p_flag & PK_SYSTEM)
		return;
	if (sc->sc_policy == SCHED_FIFO || sc->sc_policy == SCHED_RR)
		CHECK(l->l_priority == PRI_USER_RT + sc->sc_rtprio - SCHED_RTPRIO_MIN &&
			l->l_pridue == NSEC_FOREVER,
		    "L15: lid %d has priority %d, is real time %u", l->l_lid, l->l_priority,
		    sc->sc_rtprio);
	else
		CHECK(l->l_priority >= PRI_USER && l->l_priority <= PRI_USER_MAX &&
			l->l_pridue != NSEC_FOREVER && sc->sc_rtprio == 0,
		    "L15: lid %d has priority %d in time sharing", l->l_lid, l->l_priority);
}

static void
check_lwp(const struct lwp *l)
{
	const struct spinlock *m = l->l_mutex;
	bool idle = (l->l_flag & LW_IDLE) != 0;
	const char *text;

	CHECK(l->l_magic == LWP_MAGIC, "L8: lwp %p: magic %#x", (const void *)l, l->l_magic);
	CHECK(l->l_stat < LS_COUNT, "L1: lid %d: state %u", l->l_lid, l->l_stat);
	switch (l->l_stat) {
	case LS_RUN:
		CHECK(m == &l->l_cpu->ci_spc->spc_mutex,
		    "L1: lid %d RUN: lock %p is not cpu%u's spc_mutex", l->l_lid, (const void *)m,
		    l->l_cpu->ci_index);
		CHECK(!l->l_running, "L3: lid %d RUN is RUNNING", l->l_lid);
		CHECK(on_list(&l->l_cpu->ci_spc->spc_queue[l->l_qpri], &l->l_runq),
		    "L3: lid %d RUN is not on queue %d of cpu%u", l->l_lid, l->l_qpri,
		    l->l_cpu->ci_index);
		CHECK(l->l_qpri == lwp_eprio(l), "L3: lid %d on queue %d, effective priority %d",
		    l->l_lid, l->l_qpri, lwp_eprio(l));
		break;
	case LS_SLEEP:
		if (l->l_sleepq != NULL) {
			CHECK(!is_lwplock(m) && !is_runqlock(m),
			    "L1: lid %d SLEEP on a queue: lock %p is a CPU's", l->l_lid,
			    (const void *)m);
			CHECK(on_list(l->l_sleepq, &l->l_sleepchain),
			    "L4: lid %d (%s) is not on its sleep queue", l->l_lid, l->l_wmesg);
			check_sorted(l);
		} else
			CHECK(is_lwplock(m), "L1: lid %d SLEEP without a queue: no lwplock",
			    l->l_lid);
		CHECK(l->l_wchan != NULL, "L4: lid %d SLEEP without wchan", l->l_lid);
		break;
	case LS_ONPROC:
		CHECK(m == &l->l_cpu->ci_spc->spc_lwplock, "L1: lid %d ONPROC: not cpu%u's lwplock",
		    l->l_lid, l->l_cpu->ci_index);
		CHECK(is_current(l), "L7: lid %d ONPROC runs nowhere", l->l_lid);
		break;
	default:
		CHECK(is_lwplock(m) || l->l_wchan != NULL, "L1: lid %d %s: lock is no lwplock",
		    l->l_lid, st(l));
		break;
	}
	CHECK(l->l_running == is_current(l), "L2: lid %d %s: RUNNING %u, current %d", l->l_lid,
	    st(l), l->l_running, is_current(l));
	text = lwpctl_check(l, l->l_running ? l->l_cpu : NULL);
	CHECK(text == NULL, "L16: lid %d %s: %s", l->l_lid, st(l), text);
	CHECK(l->l_stat == LS_IDL || l->l_target_cpu != NULL || l->l_affinity == 0 ||
		(l->l_affinity & CPU_BIT(l->l_cpu)),
	    "L12: lid %d %s is of cpu%u, allowed are %#lx", l->l_lid, st(l), l->l_cpu->ci_index,
	    l->l_affinity);
	if (l->l_stat != LS_IDL && l->l_stat != LS_ZOMB)
		check_class(l);
	if (l->l_stat == LS_SUSPENDED)
		CHECK((l->l_flag & LW_WSUSPEND) && l->l_wchan == NULL,
		    "P6: lid %d is SUSPENDED, its flags are %#x, it waits for %p", l->l_lid,
		    l->l_flag, l->l_wchan);
	if (l->l_stat == LS_SLEEP && l->l_syncobj == &syncobj_park)
		CHECK((l->l_flag & (LW_UNPARKED | LW_CANCELLED)) == 0,
		    "L14: lid %d is parked with a token, its flags are %#x", l->l_lid, l->l_flag);
	if (l->l_wchan == NULL) {
		CHECK(l->l_sleepq == NULL, "L4: lid %d %s has a sleep queue but no wchan", l->l_lid,
		    st(l));
		CHECK((l->l_flag & LW_SINTR) == 0, "L5: lid %d %s: SINTR without wchan", l->l_lid,
		    st(l));
	}
	if ((l->l_stat == LS_ZOMB || l->l_stat == LS_IDL) && !idle && !l->l_running) {
		CHECK(!list_linked(&l->l_runq), "L6: lid %d %s is on a run queue", l->l_lid, st(l));
		CHECK(l->l_ts == NULL || l->l_ts->ts_obj == NULL,
		    "L6: lid %d %s: its turnstile is active", l->l_lid, st(l));
		CHECK(list_empty(&l->l_pi_lenders), "L6: lid %d %s has lenders", l->l_lid, st(l));
		CHECK(list_empty(&l->l_pifutexes), "L6: lid %d %s holds locks that others wait for",
		    l->l_lid, st(l));
	}
	if (l->l_stat == LS_IDL && !idle && l->l_lid == 0 && l->l_kstack == NULL)
		CHECK(lwp_is_clear(l), "L13: lwp %p is free, and something is left of its life",
		    (const void *)l);
	if (waits_on_turnstile(l))
		CHECK(l->l_ts->ts_obj == l->l_wchan,
		    "L10: lid %d waits for %p with a turnstile of %p", l->l_lid, l->l_wchan,
		    l->l_ts->ts_obj);
	if (list_empty(&l->l_pi_lenders))
		CHECK(l->l_inheritedprio == -1,
		    "L9: lid %d: inherited priority %d without a lender", l->l_lid,
		    l->l_inheritedprio);
}

static void
check_cpu(struct cpu *ci)
{
	const struct schedstate *spc = ci->ci_spc;
	unsigned count = 0, mcount = 0;
	int maxpri = PRI_IDLE;
	struct lwp *l;

	KASSERT(!arch_intr_enabled());
	for (int pri = 0; pri < PRI_COUNT; pri++) {
		bool bit = (spc->spc_bitmap[pri >> 6] >> (pri & 63)) & 1;

		CHECK(bit == !list_empty(&spc->spc_queue[pri]), "R1: cpu%u queue %d: bit %d",
		    ci->ci_index, pri, bit);
		if (!bit)
			continue;
		maxpri = pri;
		list_foreach (l, &spc->spc_queue[pri], l_runq) {
			if (fsck_endless(&count, &spc->spc_queue[pri]))
				return;
			mcount += (l->l_flag & LW_BOUND) == 0;
			CHECK(l->l_stat == LS_RUN && l->l_cpu == ci,
			    "R3: cpu%u queue %d: lid %d is %s on cpu%u", ci->ci_index, pri,
			    l->l_lid, st(l), l->l_cpu->ci_index);
		}
	}
	CHECK(spc->spc_maxpri == maxpri, "R2: cpu%u: maxpri %d, is %d", ci->ci_index,
	    spc->spc_maxpri, maxpri);
	CHECK(spc->spc_count == count && spc->spc_mcount == mcount,
	    "R3: cpu%u: count %u/%u, are %u/%u", ci->ci_index, spc->spc_count, spc->spc_mcount,
	    count, mcount);
	l = ci->ci_curlwp;
	CHECK(l->l_running, "L2: cpu%u: current lid %d is not RUNNING", ci->ci_index, l->l_lid);
	if (l == ci->ci_idlelwp)
		CHECK(spc->spc_curpriority == PRI_IDLE, "R4: cpu%u idle at priority %d",
		    ci->ci_index, spc->spc_curpriority);
	else if (l->l_stat == LS_ONPROC)
		CHECK(spc->spc_curpriority == lwp_eprio(l), "R4: cpu%u: priority %d, lid %d has %d",
		    ci->ci_index, spc->spc_curpriority, l->l_lid, lwp_eprio(l));
	if (maxpri > spc->spc_curpriority && l != ci->ci_idlelwp)
		CHECK(ci->ci_want_resched != 0, "R5: cpu%u: queue %d waits behind %d, no resched",
		    ci->ci_index, maxpri, spc->spc_curpriority);
}

/* ---- processes ---- */

/* The dead, on the list that fits; marks and counts of _lwp_wait. */
static void
check_lwp_waits(const struct proc *p, uint32_t dead)
{
	uint32_t n = 0, waits = 0;
	const struct lwp *l, *t;

	list_foreach (l, &p->p_deadlwps, l_free)
		if (!fsck_endless(&n, &p->p_deadlwps))
			CHECK(l->l_stat == LS_ZOMB && (l->l_prflag & LPR_DETACHED),
			    "P3: pid %d: lid %d %s is to be freed", p->p_pid, l->l_lid, st(l));
	list_foreach (l, &p->p_zlwps, l_free)
		if (!fsck_endless(&n, &p->p_zlwps))
			CHECK(l->l_stat == LS_ZOMB && (l->l_prflag & LPR_DETACHED) == 0,
			    "P3: pid %d: lid %d %s is to be waited for", p->p_pid, l->l_lid, st(l));
	CHECK(n == dead || p->p_stat >= PS_DEAD || (n < dead && n + p->p_nreap >= dead),
	    "P3: pid %d: %u dead LWPs, %u on its lists", p->p_pid, dead, n);
	list_foreach (l, &p->p_lwps, l_sibling) {
		waits += l->l_waitingfor != 0;
		if (l->l_waiter == 0)
			continue;
		t = idt_lwp(&idtable, l->l_waiter);
		CHECK(t != NULL && t->l_proc == p && t->l_waitingfor == l->l_lid,
		    "L11: lid %d is marked by lid %d, which does not wait for it", l->l_lid,
		    l->l_waiter);
	}
	CHECK(waits == p->p_nlwpwait, "P1: pid %d: nlwpwait %u, are %u", p->p_pid, p->p_nlwpwait,
	    waits);
}

/* Stopped: at rest, all but those in exit, unless it is being killed. */
static void
check_stop(const struct proc *p)
{
	bool ending = (p->p_flag & (PK_KILLED | PK_EXITING)) != 0;
	const struct lwp *l;

	CHECK(p->p_stat != PS_STOP || (p->p_flag & PK_STOP), "P6: pid %d is STOP, not PK_STOP",
	    p->p_pid);
	list_foreach (l, &p->p_lwps, l_sibling) {
		CHECK(p->p_stat != PS_STOP || ending || l->l_stat == LS_STOP ||
			l->l_stat == LS_SUSPENDED || l->l_stat == LS_ZOMB ||
			(l->l_prflag & LPR_EXITING),
		    "P6: pid %d is STOP, lid %d %s", p->p_pid, l->l_lid, st(l));
		CHECK(l->l_stat != LS_STOP || (p->p_flag & PK_STOP) || proc_holds(p, l),
		    "P6: lid %d is STOP, pid %d is not", l->l_lid, p->p_pid);
	}
}

static void
check_proc_lwps(const struct proc *p)
{
	uint32_t n = 0, dead = 0, exiting = 0, run = 0;
	const struct lwp *l;

	list_foreach (l, &p->p_lwps, l_sibling) {
		if (fsck_endless(&n, &p->p_lwps))
			return;
		CHECK(l->l_proc == p, "P2: lid %d is linked to pid %d", l->l_lid, p->p_pid);
		/* A newborn's id is published before it is linked; a dead one's is freed after it is unlinked. */
		CHECK(idt_lwp(&idtable, l->l_lid) == l || p->p_stat >= PS_DEAD || l == &lwp0,
		    "P2: lid %d of pid %d is not in the table", l->l_lid, p->p_pid);
		dead += l->l_stat == LS_ZOMB;
		exiting += l->l_stat == LS_ZOMB || (l->l_prflag & LPR_EXITING) != 0;
		run += l->l_stat == LS_RUN || l->l_stat == LS_ONPROC || l->l_stat == LS_SLEEP ||
		    l->l_stat == LS_IDL;
	}
	CHECK(n == p->p_nlwps, "P1: pid %d: nlwps %u, are %u", p->p_pid, p->p_nlwps, n);
	CHECK(exiting == p->p_nzlwps, "P1: pid %d: nzlwps %u, are %u", p->p_pid, p->p_nzlwps,
	    exiting);
	CHECK(
	    n - dead == p->p_nlive, "P1: pid %d: nlive %u, are %u", p->p_pid, p->p_nlive, n - dead);
	CHECK(run == p->p_nrlwps, "P1: pid %d: nrlwps %u, are %u", p->p_pid, p->p_nrlwps, run);
	check_lwp_waits(p, dead);
	CHECK(n >= 1 || p->p_stat == PS_IDL, "P4: pid %d has no LWP", p->p_pid);
	if (p->p_single != NULL && p->p_stat < PS_DEAD)
		CHECK((on_list(&p->p_lwps, &p->p_single->l_sibling) !=
			  (p->p_singlemode == SINGLE_ALLPROC)) &&
			p->p_single->l_stat != LS_ZOMB && p->p_single->l_stat != LS_IDL &&
			p->p_singlemode != SINGLE_NONE,
		    "P12: pid %d: lwp %p owns its single-threading and is not of it, or dead",
		    p->p_pid, (const void *)p->p_single);
	check_stop(p);
	if (p->p_singlemode == SINGLE_EXIT && p->p_single != NULL && n == p->p_nlwps)
		list_foreach (l, &p->p_lwps, l_sibling)
			CHECK(l == p->p_single || l->l_stat == LS_ZOMB || (l->l_flag & LW_WEXIT) ||
				(l->l_prflag & LPR_EXITING),
			    "P5: pid %d exits, lid %d need not", p->p_pid, l->l_lid);
}

static void
check_proc(struct proc *p, bool zombie)
{
	const struct proc *c;
	const struct lwp *lead;
	uint32_t dead = 0;
	unsigned depth = 0, n = 0;

	lead = idt_lwp(&idtable, p->p_pid);
	CHECK(p == &proc0 || idt_proc(&idtable, p->p_pid) == p ||
		(!zombie && lead != NULL && lead->l_proc == p && lead->l_lid == p->p_pid),
	    "%s: pid %d is not in the table", zombie ? "T10" : "T9", p->p_pid);
	for (c = p; c != initproc && c != &proc0; c = c->p_pptr) {
		if (c->p_pptr == NULL || depth++ == MONITOR_MAXWALK) {
			fsck_violation("P9: pid %d: no way to init", p->p_pid);
			break;
		}
	}
	list_foreach (c, &p->p_children, p_sibling) {
		if (fsck_endless(&n, &p->p_children))
			return;
		CHECK(c->p_pptr == p && c->p_ppid == p->p_pid,
		    "P8: pid %d is on the list of pid %d, has parent %d", c->p_pid, p->p_pid,
		    c->p_pptr->p_pid);
		/* DEAD: the reaper has not shown it yet */
		dead += c->p_stat == PS_ZOMB || c->p_report != REPORT_NONE;
		CHECK(c->p_report == REPORT_NONE || c->p_stat <= PS_STOP,
		    "P8: pid %d is dying and is to be reported as %s", c->p_pid,
		    c->p_report == REPORT_STOPPED ? "stopped" : "continued");
	}
	CHECK(dead == p->p_nstopchild, "P8: pid %d: nstopchild %u, are %u", p->p_pid,
	    p->p_nstopchild, dead);
	CHECK(p->p_pgrp != NULL || p == &proc0, "P10: pid %d is in no group", p->p_pid);
	if (p->p_pgrp != NULL) {
		const struct pgrp *pg = p->p_pgrp, *ppg = p->p_pptr->p_pgrp;

		CHECK(on_list(&pg->pg_members, &p->p_pglist), "P10: pid %d is not in its group %d",
		    p->p_pid, pg->pg_id);
		CHECK(p->p_jobc ==
			(p->p_stat < PS_DEAD && ppg != NULL && ppg != pg &&
			    ppg->pg_session == pg->pg_session),
		    "P10: pid %d of group %d, parent of group %d: counted %d", p->p_pid, pg->pg_id,
		    ppg != NULL ? ppg->pg_id : 0, p->p_jobc);
	}
	if (p->p_vforklwp != NULL)
		CHECK(p->p_vforklwp->l_vforkchild == p && p->p_vforklwp->l_proc == p->p_pptr,
		    "P11: pid %d: vfork parent lid %d", p->p_pid, p->p_vforklwp->l_lid);
	if (mutex_owner(&p->p_lock) == NULL)
		check_proc_lwps(p);
	if (zombie) {
		CHECK(p->p_nlwps == 1 && p->p_nrlwps == 0 && p->p_vmspace == &vmspace_kernel &&
			p->p_fd == NULL && list_empty(&p->p_children),
		    "P7: zombie pid %d keeps something", p->p_pid);
	} else if (p->p_vmspace != &vmspace_kernel && p->p_vmspace != NULL &&
	    atomic_load_relaxed(&p->p_vmspace->vm_lock.rw_word) == 0) {
		const char *bad = vm_check(p->p_vmspace);

		CHECK(bad == NULL, "pid %d: %s", p->p_pid, bad);
	}
}

void
fsck(void)
{
	struct cpu *ci;
	struct proc *p;
	bool on;

	if (cold || panicking)
		return;
	mutex_lock(&proc_lock);
	preempt_disable();
	cpu_stop_others(false);
	on = arch_intr_disable(); /* a timer's wakeup would queue an LWP between two looks */
	fsck_ids();
	fsck_users();
	for (struct lwp *l = lwp_all; l != NULL; l = l->l_allnext)
		check_lwp(l);
	for_each_cpu(ci) if (cpu_online_set & CPU_BIT(ci)) check_cpu(ci);
	list_foreach (p, &allproc, p_list)
		check_proc(p, false);
	list_foreach (p, &zombproc, p_list)
		check_proc(p, p->p_stat == PS_ZOMB);
	arch_intr_restore(on);
	cpu_resume_others();
	preempt_enable();
	mutex_unlock(&proc_lock);
}

/* ---- fsck=N ---- */

#ifdef DEBUG
uint64_t fsck_every;       /* (c) after boot */
static uint32_t fsck_left; /* (a) switches until it is due */
static bool fsck_due;      /* (a) */

static int
set_fsck(const char *value)
{
	int error = option_u64(value, 0, 1000000000, &fsck_every);

	fsck_left = (uint32_t)fsck_every;
	if (error == 0 && fsck_every != 0)
		kprintf("fsck: every %lu switches\n", (unsigned long)fsck_every);
	return error;
}
OPTION(fsck, "N switches between two checks of the invariants; 0 = never", set_fsck);

void
fsck_count(struct lwp *new)
{
	if (atomic_sub(&fsck_left, 1) == 1) {
		atomic_store_relaxed(&fsck_left, (uint32_t)fsck_every);
		atomic_store_relaxed(&fsck_due, true);
	}
	/* Whoever gets there first does it. */
	if (atomic_load_relaxed(&fsck_due) && (new->l_proc->p_flag &PK_SYSTEM) == 0)
		atomic_store_relaxed(&new->l_ast, AST_WORK);
}

void
fsck_boundary(void)
{
	if (likely(!atomic_load_relaxed(&fsck_due)) || !atomic_swap(&fsck_due, false))
		return;
	fsck();
}
#endif

/* ---- the monitor's ---- */

static bool
quiet(const struct cpu *ci)
{
	return (busy_cpus & CPU_BIT(ci)) == 0;
}

static void
find_busy(struct monitor_out *out)
{
	const struct trapframe *tf;
	struct cpu *ci;

	busy_cpus = 0;
	for_each_cpu(ci)
	{
		bool me = ci == arch_curcpu();

		if ((cpu_online_set & CPU_BIT(ci)) == 0)
			continue;
		tf = me ? NULL : cpu_stopped_frame(ci);
		if (me ? ci->ci_mtx_count == 0 && !panicking : tf != NULL && arch_frame_intr(tf))
			continue;
		busy_cpus |= CPU_BIT(ci);
		mo_printf(out, "cpu%u has interrupts off: what it may be changing is left out\n",
		    ci->ci_index);
	}
}

static void
try_lwp(void *arg)
{
	const struct lwp *l = arg;

	if (quiet(l->l_cpu) && atomic_load_relaxed(&l->l_mutex->sl_word) == 0)
		check_lwp(l);
}

static void
try_cpu(void *arg)
{
	check_cpu(arg);
}

static void
try_ids(void *arg __unused)
{
	fsck_ids();
	fsck_users();
}

static void
try_proc(void *arg)
{
	struct proc *p = arg;

	check_proc(p, p->p_stat == PS_ZOMB);
}

static void
try_procs(void *arg)
{
	struct list *head = arg;
	struct proc *p;
	unsigned n = 0;

	list_foreach (p, head, p_list)
		if (fsck_endless(&n, head) || !monitor_try(report, "a process", try_proc, p))
			break;
}

static int
cmd_fsck(struct monitor_out *out, char *args __unused)
{
	const struct lwp *owner = mutex_owner(&proc_lock);
	struct cpu *ci;
	unsigned n = 0, broken = 0;

	report = out;
	violations = 0;
	find_busy(out);
	for (struct lwp *l = lwp_all; l != NULL && n < MONITOR_MAXWALK; l = l->l_allnext, n++)
		broken += !monitor_try(out, "an LWP", try_lwp, l);
	for_each_cpu(ci) if ((cpu_online_set & CPU_BIT(ci)) && quiet(ci) &&
	    ci->ci_spc->spc_mutex.sl_word == 0) broken += !monitor_try(out, "a CPU", try_cpu, ci);
	if (owner != NULL) {
		mo_printf(out, "proc_lock is held by lid %d: ids and processes are left out\n",
		    owner->l_lid);
	} else {
		broken += !monitor_try(out, "ids", try_ids, NULL);
		broken += !monitor_try(out, "processes", try_procs, &allproc);
		broken += !monitor_try(out, "zombies", try_procs, &zombproc);
	}
	report = NULL;
	if (violations + broken == 0)
		mo_printf(out, "no invariant is violated; %u LWPs looked at\n", n);
	else
		mo_printf(out, "%u violations, %u faults\n", violations, broken);
	return MONITOR_STAY;
}
MONITOR_COMMAND(fsck, "fsck", "", "check the invariants of docs/invariants.md", cmd_fsck);
