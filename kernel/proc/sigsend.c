/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Posting signals. The sender decides only where a signal becomes pending and which LWP is armed to look;
 * what happens is decided by that LWP at its user boundary (sigdeliver.c). A process that has begun to exit
 * takes no signals.
 */
#include "signal_internal.h"

#include <kernel/atomic.h>
#include <kernel/panic.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/timers.h>
#include <kernel/trace.h>

static bool
lwp_takes(const struct lwp *l, int sig)
{
	return (l->l_prflag & LPR_EXITING) == 0 && lwp_stat(l) != LS_ZOMB &&
	    (l->l_sigmask & ~l->l_sigwait & SIGBIT(sig)) == 0;
}

/* Does l, which takes sig, take it as the result of a wait? Then the action has no part in it. */
static bool
lwp_awaits(const struct lwp *l, int sig)
{
	return (l->l_sigmask & l->l_sigwait & SIGBIT(sig)) != 0;
}

/* Does l wait for what others do, and perhaps for long: suspended, or for its vfork child? */
static bool
lwp_is_away(const struct lwp *l)
{
	return lwp_stat(l) == LS_SUSPENDED || atomic_load_relaxed(&l->l_vforkchild) != NULL;
}

/* Will l be at its user boundary soon? A guess: its lock is not held. */
static bool
lwp_is_prompt(const struct lwp *l)
{
	if (atomic_load_relaxed(&l->l_vforkchild) != NULL)
		return false;
	switch (atomic_load_relaxed(&l->l_stat)) {
	case LS_RUN:
	case LS_ONPROC:
		return true;
	case LS_SLEEP:
		if (atomic_load_relaxed(&l->l_flag) & LW_SINTR)
			return (atomic_load_relaxed(&l->l_intrmask) & LW_PENDSIG) != 0;
		/* Who waits for a kernel lock soon has it: no need to end another's sleep. */
		return atomic_load_relaxed(&l->l_syncobj) == &syncobj_turnstile;
	default:
		return false;
	}
}

/*
 * The LWP that is to take a signal of the process, or NULL if all block it: the sender itself if it can,
 * then the LWP that the others wait for at the boundary, then the first that can do it soon; last one that is suspended
 * or waits in vfork.
 */
static struct lwp *
sig_choose(struct proc *p, int sig, const struct lwp *except)
{
	struct lwp *self = curlwp(), *single = proc_single(p), *l, *any = NULL;

	if (self != except && self->l_proc == p && lwp_takes(self, sig))
		return self;
	if (single != NULL && single != except && lwp_takes(single, sig))
		return single;
	list_foreach (l, &p->p_lwps, l_sibling) {
		if (l == except || !lwp_takes(l, sig))
			continue;
		if (lwp_is_prompt(l))
			return l;
		if (any == NULL || lwp_is_away(any))
			any = l;
	}
	return any;
}

/* Is the end of the process the action of sig? */
static bool
sig_is_fatal(const struct proc *p, int sig)
{
	return p->p_sigacts->sa_act[sig].sa_handler == SIG_DFL &&
	    (SIGBIT(sig) & (sigs_ignored | sigs_stop)) == 0;
}

/*
 * A fatal signal that some LWP takes is the end of all, so all are told now: whoever would take it may be in a
 * wait that only a kill ends (vfork), or on its way into one, and a sibling may be about to fork (B59). Who comes
 * to its user boundary first begins the exit. While one execs, the others are parked for it or dying: it is
 * the one that will come.
 */
static void
sig_kill(struct proc *p, int sig)
{
	struct lwp *l;

	KASSERT((p->p_flag & (PK_KILLED | PK_EXITING)) == 0);
	p->p_flag |= PK_KILLED;
	p->p_xsig = sig;
	if (proc_single(p) != NULL) {
		lwp_interrupt(p->p_single, LW_PENDSIG);
		return;
	}
	list_foreach (l, &p->p_lwps, l_sibling)
		if (lwp_stat(l) != LS_ZOMB)
			lwp_interrupt(l, LW_WEXIT);
}

/* Arms l for a signal that is pending and that it does not block. */
static void
sig_arm(struct proc *p, struct lwp *l, int sig)
{
	bool stops = (sigs_stop & SIGBIT(sig)) && p->p_sigacts->sa_act[sig].sa_handler == SIG_DFL;

	if (lwp_awaits(l, sig))
		lwp_interrupt(l, LW_PENDSIG);
	else if (stops)
		lwp_interrupt(l, LW_PENDSIG | LW_WSTOP);
	else if (!sig_is_fatal(p, sig) || ((p->p_flag & PK_STOP) && sig != SIGKILL))
		lwp_interrupt(l, LW_PENDSIG); /* who is stopped dies when he is continued */
	else if ((p->p_flag & PK_KILLED) == 0)
		sig_kill(p, sig);
}

void
sig_retarget(struct proc *p, struct lwp *except, sigset_t set)
{
	struct lwp *l;
	int sig;

	KASSERT(mutex_owned(&p->p_lock));
	if (p->p_flag & PK_EXITING)
		return;
	for (; set != 0; set &= set - 1) {
		sig = __builtin_ctzll(set) + 1;
		l = sig_choose(p, sig, except);
		if (l != NULL)
			sig_arm(p, l, sig);
	}
}

void
sig_rearm(struct proc *p)
{
	struct lwp *l;

	sig_retarget(p, NULL, p->p_sigpend.sp_set);
	list_foreach (l, &p->p_lwps, l_sibling) {
		if (l->l_stat == LS_ZOMB || (l->l_prflag & LPR_EXITING))
			continue;
		for (sigset_t set = l->l_sigpend.sp_set & ~l->l_sigmask; set != 0; set &= set - 1)
			sig_arm(p, l, __builtin_ctzll(set) + 1);
	}
}

void
sig_discard(struct proc *p, sigset_t set)
{
	struct lwp *l;

	KASSERT(mutex_owned(&p->p_lock));
	sigpend_discard(&p->p_sigpend, set);
	list_foreach (l, &p->p_lwps, l_sibling)
		sigpend_discard(&l->l_sigpend, set);
	if (unlikely(p->p_timers != NULL))
		timers_discarded(p, set);
}

void
sig_discard_timer(struct proc *p, int32_t id)
{
	struct lwp *l;

	KASSERT(mutex_owned(&p->p_lock));
	if (sigpend_discard_timer(&p->p_sigpend, id))
		return;
	list_foreach (l, &p->p_lwps, l_sibling)
		if (sigpend_discard_timer(&l->l_sigpend, id))
			return;
}

/* A signal that stops or continues takes pending ones of the other kind away. Returns if it is to be dropped. */
static bool __noinline
stop_or_continue(struct proc *p, int sig)
{
	if (sig == SIGCONT) {
		KASSERT(mutex_owned(&proc_lock));
		sig_discard(p, sigs_stop);
		if (p->p_flag & PK_STOP) {
			proc_continue(p);
			sig_rearm(p);
		}
		if (unlikely(p->p_timers != NULL))
			timers_wake(p, sigs_stop);
		return false;
	}
	sig_discard(p, SIGBIT(SIGCONT));
	/* What continues it would discard the signal; and nobody could continue init. */
	return (p->p_flag & PK_STOP) ||
	    (p == initproc && p->p_sigacts->sa_act[sig].sa_handler == SIG_DFL);
}

/*
 * To one LWP, or with l == NULL to the process. What is ignored is dropped unless it is blocked by who would take
 * it: then it waits, for its action may change meanwhile.
 * 0, 1 = dropped, -EAGAIN
 */
static int
sig_post(struct proc *p, struct lwp *l, int sig, const siginfo_t *info)
{
	struct lwp *taker;
	int error;

	KASSERT(mutex_owned(&p->p_lock) && sig >= 1 && sig <= NSIG);
	if (p->p_sigacts == NULL || p->p_stat >= PS_DYING || (p->p_flag & PK_EXITING))
		return 1;
	if (l != NULL && (l->l_prflag & LPR_EXITING))
		return 1;
	if (unlikely(SIGBIT(sig) & (sigs_stop | SIGBIT(SIGCONT))) && stop_or_continue(p, sig))
		return 1;
	taker = l == NULL ? sig_choose(p, sig, NULL) : lwp_takes(l, sig) ? l : NULL;
	if (taker != NULL && (p->p_sigacts->sa_ignored & SIGBIT(sig)) && !lwp_awaits(taker, sig))
		return 1;
	TRACE(POST, sig, p->p_pid, l != NULL ? l->l_lid : 0);
	error = sigpend_put(p, l != NULL ? &l->l_sigpend : &p->p_sigpend, sig, info);
	if (error != 0)
		return error;
	if (taker != NULL)
		sig_arm(p, taker, sig);
	return 0;
}

int
sig_post_proc(struct proc *p, int sig, const siginfo_t *info)
{
	return min(sig_post(p, NULL, sig, info), 0);
}

int
sig_post_lwp(struct lwp *l, int sig, const siginfo_t *info)
{
	return min(sig_post(l->l_proc, sig == SIGKILL ? NULL : l, sig, info), 0);
}

int
sig_post_itimer(struct proc *p, int sig)
{
	return sig_post(p, NULL, sig, NULL);
}

int
sig_post_timer(struct proc *p, struct lwp *l, int sig, const siginfo_t *info)
{
	KASSERT(info->si_code == SI_TIMER && info->u.timer.seq != 0);
	return sig_post(p, sig == SIGKILL ? NULL : l, sig, info);
}

void
sig_post_pgrp(struct pgrp *pg, int sig, const siginfo_t *info)
{
	struct proc *p;

	KASSERT(mutex_owned(&proc_lock));
	list_foreach (p, &pg->pg_members, p_pglist) {
		mutex_lock(&p->p_lock);
		p->p_groupsigs++;
		sig_post_proc(p, sig, info);
		mutex_unlock(&p->p_lock);
	}
}

void
sig_fault(int sig, const siginfo_t *info)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	sigset_t bit = SIGBIT(sig);

	mutex_lock(&p->p_lock);
	if (p->p_sigacts != NULL && (p->p_flag & PK_EXITING) == 0) {
		if ((l->l_sigmask & bit) || p->p_sigacts->sa_act[sig].sa_handler == SIG_IGN) {
			sigacts_default(p, sig);
			l->l_sigmask &= ~bit;
		}
		sig_post_lwp(l, sig, info);
	}
	mutex_unlock(&p->p_lock);
}
