/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on signals.
 */
#include "signal_internal.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/idtable.h>
#include <kernel/panic.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timers.h>

/* ---- actions and masks ---- */

#define SA_FLAGS \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART | \
	    SA_NODEFER | SA_RESETHAND)

/* (sig, const struct k_sigaction *new, struct k_sigaction *old, size_t sigsetsize) */
int64_t
sys_rt_sigaction(const uint64_t *a)
{
	struct proc *p = curproc();
	struct k_sigaction new, old;
	int sig = (int)a[0];
	uintptr_t unew = a[1], uold = a[2];

	if (a[3] != sizeof(sigset_t))
		return -EINVAL;
	if (unew != 0 && arch_copyin(&new, unew, sizeof(new)) != 0)
		return -EFAULT;
	if (sig < 1 || sig > NSIG || (unew != 0 && (SIGBIT(sig) & SIGS_NEVER)))
		return -EINVAL;
	mutex_lock(&p->p_lock);
	old = p->p_sigacts->sa_act[sig];
	if (unew != 0) {
		new.sa_flags &= SA_FLAGS;
		new.sa_mask &= ~SIGS_NEVER;
		sigacts_set(p, sig, &new);
		if (p->p_sigacts->sa_ignored & SIGBIT(sig))
			sig_discard(p, SIGBIT(sig));
		else if (unlikely(p->p_timers != NULL))
			timers_wake(p, SIGBIT(sig));
	}
	mutex_unlock(&p->p_lock);
	return uold != 0 ? arch_copyout(uold, &old, sizeof(old)) : 0;
}

static void
set_own_mask(struct lwp *l, sigset_t mask)
{
	struct proc *p = l->l_proc;

	if ((mask & ~SIGS_NEVER) == l->l_sigmask)
		return;
	mutex_lock(&p->p_lock);
	sig_setmask(l, mask);
	mutex_unlock(&p->p_lock);
}

/* (how, const sigset_t *new, sigset_t *old, size_t sigsetsize) */
int64_t
sys_rt_sigprocmask(const uint64_t *a)
{
	struct lwp *l = curlwp();
	sigset_t old = l->l_sigmask, set;
	uintptr_t unew = a[1], uold = a[2];

	if (a[3] != sizeof(sigset_t))
		return -EINVAL;
	if (unew != 0) {
		if (arch_ufetch_64(unew, &set) != 0)
			return -EFAULT;
		switch ((int)a[0]) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		set_own_mask(l, set);
	}
	return uold != 0 ? arch_ustore_64(uold, old) : 0;
}

/* (sigset_t *set, size_t sigsetsize) */
int64_t
sys_rt_sigpending(const uint64_t *a)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	sigset_t set;

	if (a[1] > sizeof(sigset_t))
		return -EINVAL;
	mutex_lock(&p->p_lock);
	set = (l->l_sigpend.sp_set | p->p_sigpend.sp_set) & l->l_sigmask;
	mutex_unlock(&p->p_lock);
	return arch_copyout(a[0], &set, a[1]);
}

static bool
on_sigstack(const stack_t *ss, uintptr_t sp)
{
	return sp > ss->ss_sp && sp - ss->ss_sp <= ss->ss_size;
}

static int
set_sigstack(struct lwp *l, const stack_t *ss, uintptr_t sp)
{
	if (on_sigstack(&l->l_sigstk, sp))
		return -EPERM;
	if (ss->ss_flags != 0 && ss->ss_flags != SS_ONSTACK && ss->ss_flags != SS_DISABLE)
		return -EINVAL;
	if (ss->ss_flags == SS_DISABLE)
		l->l_sigstk = (stack_t){ .ss_flags = SS_DISABLE };
	else if (ss->ss_size < MINSIGSTKSZ)
		return -ENOMEM;
	else
		l->l_sigstk = (stack_t){ .ss_sp = ss->ss_sp, .ss_size = ss->ss_size };
	return 0;
}

/* (const stack_t *new, stack_t *old) */
int64_t
sys_sigaltstack(const uint64_t *a)
{
	struct lwp *l = curlwp();
	uintptr_t sp = arch_frame_sp(arch_user_frame(l));
	uintptr_t unew = a[0], uold = a[1];
	stack_t new, old;
	int error;

	memset(&old, 0, sizeof(old)); /* the hole too */
	old.ss_sp = l->l_sigstk.ss_sp;
	old.ss_size = l->l_sigstk.ss_size;
	if (old.ss_size == 0)
		old.ss_flags = SS_DISABLE;
	else if (on_sigstack(&old, sp))
		old.ss_flags = SS_ONSTACK;
	if (unew != 0) {
		if (arch_copyin(&new, unew, sizeof(new)) != 0)
			return -EFAULT;
		error = set_sigstack(l, &new, sp);
		if (error != 0)
			return error;
	}
	return uold != 0 ? arch_copyout(uold, &old, sizeof(old)) : 0;
}

int64_t
sys_rt_sigreturn(const uint64_t *a __unused)
{
	struct lwp *l = curlwp();
	struct trapframe *tf = arch_user_frame(l);
	sigset_t mask;
	stack_t ss;

	if (arch_sigreturn(tf, &mask, &ss) != 0) {
		sig_fault(SIGSEGV, NULL);
		return -EJUSTRETURN;
	}
	set_own_mask(l, mask);
	if (unlikely(ss.ss_size != l->l_sigstk.ss_size || ss.ss_sp != l->l_sigstk.ss_sp ||
		(ss.ss_size != 0 && ss.ss_flags == SS_DISABLE)))
		(void)set_sigstack(
		    l, &ss, arch_frame_sp(tf)); /* as in Linux, a bad one is ignored */
	return -EJUSTRETURN;
}

void
sig_mask_enter(sigset_t mask)
{
	struct lwp *l = curlwp();

	KASSERT((l->l_pflag & LP_SIGRESTORE) == 0);
	l->l_sigoldmask = l->l_sigmask;
	l->l_pflag |= LP_SIGRESTORE;
	set_own_mask(l, mask);
}

void
sig_mask_leave(bool interrupted)
{
	struct lwp *l = curlwp();

	if (interrupted)
		return;
	l->l_pflag &= ~(uint32_t)LP_SIGRESTORE;
	set_own_mask(l, l->l_sigoldmask);
}

/* Sleeps until a signal is there to be taken. */
static int64_t
wait_for_signal(void)
{
	while (kpause("sigwait", true, NSEC_FOREVER) == 0)
		continue;
	return -ERESTARTNOHAND;
}

int64_t
sys_pause(const uint64_t *a __unused)
{
	return wait_for_signal();
}

/* (const sigset_t *mask, size_t sigsetsize) */
int64_t
sys_rt_sigsuspend(const uint64_t *a)
{
	sigset_t mask;

	if (a[1] != sizeof(sigset_t))
		return -EINVAL;
	if (arch_ufetch_64(a[0], &mask) != 0)
		return -EFAULT;
	sig_mask_enter(mask);
	return wait_for_signal();
}

/* ---- sending ---- */

static void
sender_info(siginfo_t *info, int sig, int code)
{
	struct proc *p = curproc();

	siginfo_clear(info);
	info->si_signo = sig;
	info->si_code = code;
	info->u.rt.pid = p->p_pid;
	info->u.rt.uid = cred_ruid();
}

static inline bool
is_signal(int sig) /* 0 is the probe */
{
	return sig >= 0 && sig <= NSIG;
}

/* => proc_lock held if sig is SIGCONT, else that or p_lock */
static bool
may_signal(const struct proc *p, int sig)
{
	const struct proc *self = curproc();

	if (p == self || cred_may_signal(p))
		return true;
	return sig == SIGCONT && p->p_pgrp != NULL && self->p_pgrp != NULL &&
	    p->p_pgrp->pg_session == self->p_pgrp->pg_session;
}

/* `one`: to no other at once */
static int
kill_proc(struct proc *p, int sig, const siginfo_t *info, bool one)
{
	int error = 0;

	if (!is_signal(sig))
		return -EINVAL;
	if (!may_signal(p, sig))
		return -EPERM;
	mutex_lock(&p->p_lock);
	if (!one)
		p->p_groupsigs++;
	if (sig != 0)
		error = sig_post_proc(p, sig, info);
	mutex_unlock(&p->p_lock);
	return error;
}

/* All of a group; succeeds if one of them could be reached. */
static int
kill_group(struct pgrp *pg, int sig, const siginfo_t *info)
{
	int error, result = -ESRCH;
	struct proc *p;

	list_foreach (p, &pg->pg_members, p_pglist) {
		error = kill_proc(p, sig, info, false);
		if (result != 0)
			result = error;
	}
	return result;
}

/* Everybody but init, the caller and the kernel. */
static int
kill_all(int sig, const siginfo_t *info)
{
	int error, result = -ESRCH;
	struct proc *p;

	list_foreach (p, &allproc, p_list) {
		if (p->p_pid <= 1 || p == curproc() || p->p_stat == PS_IDL)
			continue;
		error = kill_proc(p, sig, info, false);
		if (result != 0)
			result = error;
	}
	return result;
}

/* (pid, sig) */
int64_t
sys_kill(const uint64_t *a)
{
	pid_t pid = (pid_t)a[0];
	int sig = (int)a[1], error;
	struct proc *p;
	struct pgrp *pg;
	siginfo_t info;

	if (pid == INT32_MIN) /* has no negative */
		return -ESRCH;
	sender_info(&info, sig, SI_USER);
	mutex_lock(&proc_lock);
	if (pid > 0) {
		p = proc_find_member(pid);
		error = p != NULL ? kill_proc(p, sig, &info, true) : -ESRCH;
	} else if (pid == -1)
		error = kill_all(sig, &info);
	else {
		pg = pid == 0 ? curproc()->p_pgrp : pgrp_find(-pid);
		error = pg != NULL ? kill_group(pg, sig, &info) : -ESRCH;
	}
	mutex_unlock(&proc_lock);
	return error;
}

/* To one thread; `pid` = 0: of any process. */
static int
signal_lwp(pid_t pid, lwpid_t lid, int sig, const siginfo_t *info)
{
	struct lwp *self = curlwp(), *l;
	struct proc *p;
	int error;

	if (lid == self->l_lid && sig != SIGCONT) { /* to itself, as abort() and raise() do */
		l = self;
		p = l->l_proc;
		mutex_lock(&p->p_lock);
	} else if ((p = lwp_find_acquire_both(lid, &l)) == NULL)
		return -ESRCH;
	else if (sig != SIGCONT)
		mutex_unlock(&proc_lock);
	if ((pid != 0 && p->p_pid != pid) || (p->p_flag & PK_SYSTEM))
		error = -ESRCH;
	else if (!is_signal(sig))
		error = -EINVAL;
	else
		error = l == self || may_signal(p, sig) ? 0 : -EPERM;
	if (error == 0 && sig != 0)
		error = sig_post_lwp(l, sig, info);
	mutex_unlock(&p->p_lock);
	if (sig == SIGCONT)
		mutex_unlock(&proc_lock);
	return error;
}

int
kill_lwp(pid_t pid, lwpid_t lid, int sig)
{
	siginfo_t info;

	sender_info(&info, sig, SI_TKILL);
	return signal_lwp(pid, lid, sig, &info);
}

/*
 * What Linux's calls answer where signal_lwp() found nobody: they find a process's first thread until it is collected.
 * A signal to one that has ended comes to nobody.
 */
static int
signal_ended(pid_t pid, lwpid_t lid, int sig, int error)
{
	const struct proc *p;
	const struct lwp *l;

	if (likely(error != -ESRCH))
		return error;
	mutex_lock(&proc_lock);
	p = proc_find_any(lid);
	l = idt_lwp(&idtable, lid);
	if (l != NULL && lwp_stat(l) == LS_IDL)
		p = NULL; /* that one has not begun, and would lose it */
	if (p != NULL && (pid == 0 || p->p_pid == pid) && (p->p_flag & PK_SYSTEM) == 0)
		error = !is_signal(sig) ? -EINVAL : may_signal(p, sig) ? 0 : -EPERM;
	mutex_unlock(&proc_lock);
	return error;
}

/* (tgid, tid, sig) */
int64_t
sys_tgkill(const uint64_t *a)
{
	pid_t pid = (pid_t)a[0];
	lwpid_t lid = (lwpid_t)a[1];
	int sig = (int)a[2];

	if (pid <= 0 || lid <= 0)
		return -EINVAL;
	return signal_ended(pid, lid, sig, kill_lwp(pid, lid, sig));
}

/* (tid, sig) */
int64_t
sys_tkill(const uint64_t *a)
{
	lwpid_t lid = (lwpid_t)a[0];
	int sig = (int)a[1];

	return lid > 0 ? signal_ended(0, lid, sig, kill_lwp(0, lid, sig)) : -EINVAL;
}

/* What the sender wrote himself; nobody may pose as the kernel or as kill() towards another. */
static int
copyin_info(siginfo_t *info, uintptr_t uinfo, int sig, lwpid_t to)
{
	if (arch_copyin(info, uinfo, sizeof(*info)) != 0)
		return -EFAULT;
	info->si_signo = sig;
	if (info->si_code == SI_TIMER)
		info->u.timer.seq = 0;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && curlwp()->l_lid != to)
		return -EPERM;
	return 0;
}

/* (pid, sig, const siginfo_t *info) */
int64_t
sys_rt_sigqueueinfo(const uint64_t *a)
{
	pid_t pid = (pid_t)a[0];
	struct proc *p;
	siginfo_t info;
	int error = copyin_info(&info, a[2], (int)a[1], pid);

	if (error != 0)
		return error;
	mutex_lock(&proc_lock);
	p = proc_find_member(pid);
	error = p != NULL ? kill_proc(p, (int)a[1], &info, true) : -ESRCH;
	mutex_unlock(&proc_lock);
	return error;
}

/* (tgid, tid, sig, const siginfo_t *info) */
int64_t
sys_rt_tgsigqueueinfo(const uint64_t *a)
{
	pid_t pid = (pid_t)a[0];
	lwpid_t lid = (lwpid_t)a[1];
	siginfo_t info;
	int error;

	if (arch_copyin(&info, a[3], sizeof(info)) != 0)
		return -EFAULT;
	if (pid <= 0 || lid <= 0)
		return -EINVAL;
	error = copyin_info(&info, a[3], (int)a[2], lid);
	if (error != 0)
		return error;
	return signal_ended(pid, lid, (int)a[2], signal_lwp(pid, lid, (int)a[2], &info));
}
