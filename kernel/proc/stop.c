/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stop and continue of whole processes. docs/protocol.md 4.7, docs/signals.md.
 *
 * Who sends a stop signal only makes it pending and arms its taker with LW_WSTOP. The taker comes to its stop
 * point, the user boundary or a vfork wait, where it holds nothing, takes the signal and stops the process:
 * PK_STOP, and for each LWP
 *
 *	IDL			starts as STOP (lwp_start())
 *	RUN, ONPROC		LW_WSTOP: stops at its stop point
 *	SLEEP, interruptible	STOP where it sleeps, still queued; a wakeup takes it off its queue, and it stays
 *	SLEEP, for a PI futex	LW_WSTOP ends the sleep, as on Linux: it would be given a lock that others wait for
 *	SLEEP, otherwise	LW_WSTOP: it holds something, or will be woken soon
 *	SUSPENDED, dead		rests already
 *
 * The last one to rest makes the process PS_STOP and tells the parent. An LWP in exit is not waited for (B48). Each
 * LWP's change is made under p_lock and its own lock, that of the process under proc_lock and p_lock. SIGCONT is
 * posted with both, so between the last LWP's decision and its rest there is no continue; a kill may come, and is
 * seen before the rest. Continue undoes all of it in one hold: a sleeper sleeps on, unless what ends its sleep
 * has come meanwhile.
 *
 * A hold (hold.c) rests LWPs in the same way and at the same places, but is no stop: nobody is told. An LWP goes on
 * when neither keeps it.
 *
 * What wait may report is p_report of the child, counted in the parent's p_nstopchild, under proc_lock.
 */
#include <kernel/process.h>

#include <kernel/failpoint.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/trace.h>

#include "signal_internal.h"

uint32_t
lwps_awake(const struct proc *p)
{
	uint32_t zombies = p->p_nlwps - p->p_nlive;

	return p->p_nrlwps - (p->p_nzlwps - zombies);
}

static bool
must_die(const struct proc *p, const struct lwp *l)
{
	return (p->p_flag & (PK_KILLED | PK_EXITING)) != 0 ||
	    (atomic_load_relaxed(&l->l_flag) & LW_WEXIT) != 0;
}

/* What wait finds about a live child. => proc_lock held */
void
proc_report(struct proc *p, enum proc_report what)
{
	struct proc *parent = p->p_pptr;

	KASSERT(mutex_owned(&proc_lock) && parent != NULL);
	parent->p_nstopchild += (what != REPORT_NONE) - (p->p_report != REPORT_NONE);
	p->p_report = (uint8_t)what;
	if (what == REPORT_NONE)
		return;
	list_remove(&p->p_sibling);
	list_insert_head(&parent->p_children, &p->p_sibling);
	cv_broadcast(&parent->p_waitcv);
}

/* SIGCHLD for a stop or a continue, unless the parent wants none. => proc_lock held, no p_lock */
static void
tell_parent(struct proc *p, int code)
{
	struct proc *parent = p->p_pptr;
	siginfo_t si = { .si_signo = SIGCHLD, .si_code = code };
	const struct k_sigaction *sa;
	nsec_t user, sys;

	KASSERT(mutex_owned(&proc_lock));
	if (parent->p_stat >= PS_DYING || (parent->p_flag & PK_SYSTEM))
		return;
	mutex_lock(&p->p_lock);
	proc_times(p, &user, &sys);
	si.u.chld.status = code == CLD_STOPPED ? p->p_stopsig : SIGCONT;
	mutex_unlock(&p->p_lock);
	si.u.chld.pid = p->p_pid;
	si.u.chld.uid = p->p_cred->cr_ids.ruid;
	si.u.chld.utime = (int64_t)(user / 10000000);
	si.u.chld.stime = (int64_t)(sys / 10000000);
	mutex_lock(&parent->p_lock);
	if (parent->p_sigacts != NULL) {
		sa = &parent->p_sigacts->sa_act[SIGCHLD];
		if (sa->sa_handler != SIG_IGN && (sa->sa_flags & SA_NOCLDSTOP) == 0)
			sig_post_proc(parent, SIGCHLD, &si);
	}
	mutex_unlock(&parent->p_lock);
}

/* ---- stop ---- */

/* Does l, asleep, wait for a lock of user programs that is handed over, or to be moved to one? => l locked */
static inline bool
awaits_lock(const struct lwp *l)
{
	return unlikely(l->l_syncobj->so_user || l->l_futex_pi != NULL);
}

void
lwps_stop(struct proc *p, const struct lwp *self)
{
	struct lwp *l;

	list_foreach (l, &p->p_lwps, l_sibling) {
		if (l == self || (l->l_prflag & LPR_EXITING))
			continue;
		if (unlikely(hold_is_owner(l))) {
			lwp_interrupt(l, LW_WSTOP); /* lets others go before it rests */
			continue;
		}
		lwp_lock(l);
		switch (l->l_stat) {
		case LS_SLEEP:
			if (awaits_lock(l) && (p->p_flag & PK_STOP)) {
				lwp_unlock(l);
				lwp_interrupt(l, LW_WSTOP);
				continue;
			}
			/* One that has not left its CPU finds the flag instead; who waits for a lock soon has it. */
			if ((l->l_flag & LW_SINTR) && !l->l_running &&
			    l->l_syncobj != &syncobj_turnstile) {
				lwp_setstat(l, LS_STOP);
				p->p_nrlwps--;
				break;
			}
			/* FALLTHROUGH */
		case LS_RUN:
		case LS_ONPROC:
			l->l_flag |= LW_WSTOP;
			lwp_need_userret(l);
			break;
		default:
			break;
		}
		lwp_unlock(l);
	}
}

/*
 * Takes l's stop signals: the first that counts stops the process. In an orphaned group, where nobody would
 * continue it, only SIGSTOP does; init, whom nobody waits for, is not stopped at all.
 * => proc_lock and p_lock held
 */
static void
stop_begin(struct proc *p, struct lwp *l)
{
	sigset_t set = (l->l_sigpend.sp_set | p->p_sigpend.sp_set) & ~l->l_sigmask;
	siginfo_t info;
	int sig;

	set &= sigacts_stops(p->p_sigacts);
	while ((sig = sig_take(l, set, &info)) != 0) {
		if ((sig != SIGSTOP && p->p_pgrp->pg_jobc == 0) || p == initproc)
			continue;
		TRACE(DELIVER, sig, 0, SIG_DFL);
		p->p_flag |= PK_STOP;
		p->p_stopsig = sig;
		lwps_stop(p, l);
		return;
	}
}

/* => proc_lock and p_lock held; p_lock is let go and taken again */
static void
stopped(struct proc *p)
{
	KASSERT((p->p_flag & PK_STOP) && p->p_stat == PS_ACTIVE);
	proc_setstat(p, PS_STOP);
	mutex_unlock(&p->p_lock);
	proc_report(p, REPORT_STOPPED);
	tell_parent(p, CLD_STOPPED);
	fp(stopped_not_at_rest);
	mutex_lock(&p->p_lock);
}

void
proc_stop_check(struct proc *p)
{
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	if ((p->p_flag & (PK_STOP | PK_KILLED | PK_EXITING)) == PK_STOP && p->p_stat == PS_ACTIVE &&
	    lwps_awake(p) == 0)
		stopped(p);
	hold_rested(p, 0);
	mutex_unlock(&p->p_lock);
	mutex_unlock(&proc_lock);
}

/*
 * Has a sibling begun to exec since l was on its way to its stop point? It waits for l to be parked, which who is
 * stopped is not: l parks first, and LW_WSTOP stays. In a vfork wait it counts as parked already.
 * => proc_lock and p_lock held
 */
static bool
exec_waits(const struct proc *p, const struct lwp *l)
{
	return proc_single(p) != NULL && p->p_single != l && l->l_vforkchild == NULL;
}

void
lwp_stop_point(void)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	bool rest, tell;

	KASSERT(l->l_nlocks == 0 && (l->l_prflag & LPR_EXITING) == 0);
	fp(stop_not_taken);
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	if (exec_waits(p, l)) {
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
		return;
	}
	if ((p->p_flag & PK_STOP) == 0 && !must_die(p, l))
		stop_begin(p, l);
	if ((p->p_flag & PK_STOP) && !must_die(p, l) && lwps_awake(p) == 1)
		stopped(p);
	rest = ((p->p_flag & PK_STOP) || proc_holds(p, l)) && !must_die(p, l);
	if (rest)
		hold_rested(p, 1);
	/* As in lwp_suspend_self(): we are STOP for a while before we leave the CPU. */
	preempt_disable();
	lwp_lock(l);
	l->l_flag &= ~(uint32_t)LW_WSTOP;
	if (rest) {
		lwp_setstat(l, LS_STOP);
		p->p_nrlwps--;
	}
	lwp_unlock(l);
	mutex_unlock(&p->p_lock);
	mutex_unlock(&proc_lock);
	if (rest) {
		fp(rest_not_switched);
		lwp_lock(l);
		if (l->l_stat == LS_STOP)
			sched_enter_switch(l);
		else
			lwp_unlock(l); /* continued meanwhile */
	}
	preempt_enable();
	if (!rest)
		return;
	mutex_lock(&p->p_lock);
	tell = (p->p_flag & PK_TELLCONT) != 0;
	p->p_flag &= ~(uint32_t)PK_TELLCONT;
	mutex_unlock(&p->p_lock);
	if (tell) {
		mutex_lock(&proc_lock);
		tell_parent(p, CLD_CONTINUED);
		mutex_unlock(&proc_lock);
	}
}

/* ---- continue ---- */

void
proc_continue(struct proc *p)
{
	struct lwp *l;

	KASSERT(mutex_owned(&proc_lock) && mutex_owned(&p->p_lock) && (p->p_flag & PK_STOP));
	p->p_flag &= ~(uint32_t)PK_STOP;
	if (p->p_stat == PS_STOP) {
		proc_setstat(p, PS_ACTIVE);
		proc_report(p, REPORT_CONTINUED);
		p->p_flag |= PK_TELLCONT;
	}
	list_foreach (l, &p->p_lwps, l_sibling) {
		lwp_lock(l);
		if (!proc_holds(p, l)) {
			l->l_flag &= ~(uint32_t)LW_WSTOP;
			if (l->l_stat == LS_STOP) {
				lwp_resume(l);
				continue;
			}
		}
		lwp_unlock(l);
	}
}
