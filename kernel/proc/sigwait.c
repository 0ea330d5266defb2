/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rt_sigtimedwait: a signal as the result of a call instead of a handler's run.
 *
 * While l_sigwait is set, its LWP counts as one that takes those signals though it blocks them; being sent one
 * arms it and ends its sleep like any other signal. What it takes that way is neither ignored nor fatal, whatever
 * the action is. On its way out it blocks them again, and hands on what it has been chosen for and leaves.
 */
#include "signal_internal.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/cv.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>

/* Returns the signal, or -EAGAIN (time is over) or -ERESTARTNOHAND (something else came). */
static int
await_signal(struct lwp *l, sigset_t set, nsec_t deadline, siginfo_t *info)
{
	struct proc *p = l->l_proc;
	int sig, error = 0;
	sigset_t left;

	mutex_lock(&p->p_lock);
	KASSERT(l->l_sigwait == 0);
	while ((sig = sig_take(l, set, info)) == 0 && error == 0) {
		l->l_sigwait = set;
		mutex_unlock(&p->p_lock);
		error = kpause("sigwait", true, deadline);
		mutex_lock(&p->p_lock);
		l->l_sigwait = 0;
	}
	left = p->p_sigpend.sp_set & set & l->l_sigmask;
	if (left != 0)
		sig_retarget(p, l, left);
	mutex_unlock(&p->p_lock);
	if (sig != 0)
		return sig;
	return error == -EWOULDBLOCK ? -EAGAIN : error == -ERESTART ? -ERESTARTNOHAND : -EINTR;
}

/* (const sigset_t *set, siginfo_t *info, const struct timespec *timeout, size_t sigsetsize) */
int64_t
sys_rt_sigtimedwait(const uint64_t *a)
{
	struct lwp *l = curlwp();
	nsec_t deadline = restart_deadline(l), t;
	struct abi_timespec ts;
	siginfo_t info;
	sigset_t set;
	int result;

	if (a[3] != sizeof(sigset_t))
		return -EINVAL;
	if (arch_ufetch_64(a[0], &set) != 0)
		return -EFAULT;
	if (a[2] == 0)
		deadline = NSEC_FOREVER;
	else {
		if (arch_copyin(&ts, a[2], sizeof(ts)) != 0)
			return -EFAULT;
		if (from_timespec(&ts, &t) != 0)
			return -EINVAL;
		if (deadline == 0)
			deadline = time_now() + t;
	}
	memset(&info, 0, sizeof(info));
	result = await_signal(l, set & ~SIGS_NEVER, deadline, &info);
	if (result == -ERESTARTNOHAND)
		l->l_restart_deadline = deadline;
	if (result > 0 && a[1] != 0 && arch_copyout(a[1], &info, sizeof(info)) != 0)
		return -EFAULT;
	return result;
}
