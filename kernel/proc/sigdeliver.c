/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery: what an LWP does about its signals before it returns to user mode. One signal after the other
 * is taken until none is left, so several handlers may be stacked; the last one runs first.
 *
 * A system call that was interrupted has stored how it wants to go on in l_sysrestart, with EINTR as its result
 * for the time being. Only the first handler matters for it: it runs between the call and its end.
 */
#include "signal_internal.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/failpoint.h>
#include <kernel/panic.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/timers.h>
#include <kernel/trace.h>

static int
sig_first(sigset_t set)
{
	if (set & SIGS_SYNC)
		set &= SIGS_SYNC;
	return __builtin_ctzll(set) + 1;
}

static inline int
take(struct lwp *l, sigset_t wanted, siginfo_t *info)
{
	struct sigpend *sp = &l->l_proc->p_sigpend;
	sigset_t set = sp->sp_set & wanted, own = l->l_sigpend.sp_set & wanted;
	int sig;

	KASSERT(l == curlwp() && mutex_owned(&l->l_proc->p_lock));
	if (set & SIGBIT(SIGKILL))
		set = SIGBIT(SIGKILL);
	else if (own != 0) {
		sp = &l->l_sigpend;
		set = own;
	}
	if (set == 0)
		return 0;
	sig = sig_first(set);
	sigpend_take(sp, sig, info);
	if (unlikely(info->si_code == SI_TIMER))
		timers_taken(l->l_proc, info);
	if (unlikely(sig == SIGALRM))
		timers_alarm_taken(l->l_proc);
	return sig;
}

int
sig_take(struct lwp *l, sigset_t wanted, siginfo_t *info)
{
	return take(l, wanted, info);
}

/* Nothing is left that l takes but `stops`, which it does not take here. => p_lock held */
static inline void
disarm(struct lwp *l, sigset_t stops)
{
	if (unlikely(stops != 0)) {
		/* For the stop point. Armed still: a sibling may give them another action before, and then they are ours. */
		lwp_interrupt(l, LW_WSTOP);
		return;
	}
	lwp_lock_self(l);
	l->l_flag &= ~(uint32_t)LW_PENDSIG;
	lwp_unlock(l);
}

/*
 * Makes l, whose mask is the handler's already and was `mask` before, enter the handler when it returns to user
 * mode. A stack that takes no frame is a SIGSEGV, and if that was the signal, a fatal one: false.
 * => no lock held; may fault
 */
static bool
call_handler(struct trapframe *tf, struct lwp *l, int sig, const struct k_sigaction *act,
    const siginfo_t *info, sigset_t mask)
{
	static const stack_t none = { .ss_flags = SS_DISABLE };
	struct proc *p = l->l_proc;

	if (likely(arch_sendsig(tf, act, info, l->l_pflag & LP_SIGRESTORE ? l->l_sigoldmask : mask,
		       l->l_sigstk.ss_size != 0 ? &l->l_sigstk : &none) == 0)) {
		l->l_pflag &= ~(uint32_t)LP_SIGRESTORE;
		return true;
	}
	mutex_lock(&p->p_lock);
	sig_setmask(l, mask);
	if (sig == SIGSEGV)
		sigacts_default(p, SIGSEGV);
	mutex_unlock(&p->p_lock);
	sig_fault(SIGSEGV, NULL);
	return false;
}

void
sig_deliver(struct trapframe *tf)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	uint32_t restart = l->l_sysrestart;
	sigset_t wanted, mask, stops = 0;
	bool last;
	int sig;

	KASSERT(l->l_nlocks == 0 && (p->p_flag & PK_SYSTEM) == 0);
	l->l_sysrestart = 0;
	fp(signal_not_taken);
	mutex_lock(&p->p_lock);
	for (;;) {
		struct k_sigaction act;
		siginfo_t info;

		wanted = ~l->l_sigmask;
		if (unlikely((l->l_sigpend.sp_set | p->p_sigpend.sp_set) & sigs_stop & wanted)) {
			stops |= (l->l_sigpend.sp_set | p->p_sigpend.sp_set) & wanted &
			    sigacts_stops(p->p_sigacts);
			wanted &= ~stops;
		}
		if ((p->p_flag & PK_EXITING) || (sig = take(l, wanted, &info)) == 0)
			break;
		act = p->p_sigacts->sa_act[sig];
		TRACE(DELIVER, sig, 0, act.sa_handler);
		if (p->p_sigacts->sa_ignored & SIGBIT(sig))
			continue;
		if (act.sa_handler == SIG_DFL) {
			KASSERT((sigs_stop & SIGBIT(sig)) == 0);
			/*
			 * It was blocked, or had another action, when it was sent. In the same hold: no sibling may fork
			 * a survivor before the exit has begun (B59).
			 */
			if ((p->p_flag & PK_KILLED) == 0) {
				p->p_flag |= PK_KILLED;
				p->p_xsig = sig;
			}
			mutex_unlock(&p->p_lock);
			proc_exit(0, sig);
		}
		if (act.sa_flags & SA_RESETHAND) {
			struct k_sigaction once = act;

			once.sa_handler = SIG_DFL;
			sigacts_set(p, sig, &once);
		}
		mask = l->l_sigmask;
		sig_setmask(l, mask | act.sa_mask | (act.sa_flags & SA_NODEFER ? 0 : SIGBIT(sig)));
		last = ((l->l_sigpend.sp_set | p->p_sigpend.sp_set) & ~l->l_sigmask) == 0;
		if (likely(last))
			disarm(l, stops);
		mutex_unlock(&p->p_lock);
		if (restart == ERESTARTNOINTR ||
		    (restart == ERESTART && (act.sa_flags & SA_RESTART)))
			arch_frame_restart_syscall(tf);
		restart = 0;
		l->l_restart_deadline = 0;
		if (likely(call_handler(tf, l, sig, &act, &info, mask) && last))
			return;
		mutex_lock(&p->p_lock);
	}
	disarm(l, stops);
	if (l->l_pflag & LP_SIGRESTORE) { /* rt_sigsuspend, and no handler ran */
		l->l_pflag &= ~(uint32_t)LP_SIGRESTORE;
		sig_setmask(
		    l, l->l_sigoldmask); /* may arm us again: the user boundary looks once more */
	}
	mutex_unlock(&p->p_lock);
	if (restart != 0)
		arch_frame_restart_syscall(tf);
}

void
user_fault(int sig, int code, uintptr_t addr)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.u.fault.addr = addr;
	sig_fault(sig, &info);
}
