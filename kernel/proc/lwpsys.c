/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native LWP calls, NetBSD's: numbers from 1024 up. docs/protocol.md 3.
 */
#include "signal_internal.h"

#include <abi/clone.h>
#include <abi/errno.h>
#include <abi/lwp.h>
#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/exitmode.h>
#include <kernel/lwpctl.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/trace.h>

/* ---- birth and death ---- */

/* A birth that failed after the id was given. => l was never linked: nobody else has seen it */
static void
unborn(struct proc *p, struct lwp *l)
{
	mutex_lock(&proc_lock);
	if (l->l_lid == p->p_pid)
		id_revert(p);
	else
		id_free(l->l_lid);
	proc_uncharge(p, 1);
	l->l_lid = 0;
	mutex_unlock(&proc_lock);
	lwp_unalloc(l);
}

/*
 * (const ucontext_t *context, unsigned long flags, lwpid_t *new)
 * The id is stored before the LWP is linked: a bad address leaves nothing behind (B34).
 */
int64_t
sys__lwp_create(const uint64_t *a)
{
	static const struct clone_args like_us = { .flags = CLONE_VM };
	struct proc *p = curproc();
	struct lwp *l;
	sigset_t mask;
	int error;

	if (a[1] & ~(uint64_t)(LWP_DETACHED | LWP_SUSPENDED))
		return -EINVAL;
	if (!list_empty(&p->p_deadlwps)) {
		mutex_lock(&p->p_lock);
		lwp_reap_dead(p);
		mutex_unlock(&p->p_lock);
	}
	exitmode_create();
	if ((l = lwp_alloc(p)) == NULL)
		return -ENOMEM;
	lwp_prepare(l, &like_us);
	mask = l->l_sigmask;
	error = arch_lwp_context(l, a[0], &mask);
	if (error == 0)
		error = id_enter();
	if (error == 0 && (error = proc_charge(p)) != 0)
		mutex_unlock(&proc_lock);
	if (error != 0) {
		lwp_unalloc(l);
		return error;
	}
	id_alloc_lwp(l);
	mutex_unlock(&proc_lock);
	l->l_sigmask = mask & ~SIGS_NEVER;
	if (a[1] & LWP_DETACHED)
		l->l_prflag |= LPR_DETACHED;
	if (arch_ustore_32(a[2], (uint32_t)l->l_lid) != 0) {
		unborn(p, l);
		return -EFAULT;
	}
	mutex_lock(&p->p_lock);
	if (a[1] & LWP_SUSPENDED) {
		l->l_flag |= LW_WSUSPEND;
		l->l_ast = AST_WORK;
	}
	sched_fork(curlwp(), l);
	lwp_link(p, l);
	lwp_start(l);
	mutex_unlock(&p->p_lock);
	return 0;
}

int64_t
sys__lwp_exit(const uint64_t *a __unused)
{
	lwp_exit(0);
}

int64_t
sys__lwp_self(const uint64_t *a __unused)
{
	return curlwp()->l_lid;
}

/* (lwpid_t lid, lwpid_t *departed) */
int64_t
sys__lwp_wait(const uint64_t *a)
{
	lwpid_t departed;
	int error = lwp_wait((lwpid_t)a[0], &departed);

	if (error == 0 && a[1] != 0)
		error = arch_ustore_32(a[1], (uint32_t)departed);
	return error;
}

int64_t
sys__lwp_detach(const uint64_t *a)
{
	return lwp_detach((lwpid_t)a[0]);
}

/* ---- control ---- */

int64_t
sys__lwp_suspend(const uint64_t *a)
{
	return lwp_suspend((lwpid_t)a[0]);
}

int64_t
sys__lwp_continue(const uint64_t *a)
{
	return lwp_continue((lwpid_t)a[0]);
}

int64_t
sys__lwp_wakeup(const uint64_t *a)
{
	return lwp_wakeup((lwpid_t)a[0]);
}

/* (lwpid_t lid, int sig) */
int64_t
sys__lwp_kill(const uint64_t *a)
{
	int sig = (int)a[1];

	if (sig < 0 || sig > NSIG)
		return -EINVAL;
	return kill_lwp(curproc()->p_pid, (lwpid_t)a[0], sig);
}

/* ---- park ---- */

/* A time of `clock`, or a span from now, as a deadline: of the wall clock if that is asked for, else the monotonic one. */
static int
park_deadline(int clock, int flags, uintptr_t uts, nsec_t *deadline)
{
	struct abi_timespec ts;
	nsec_t t;

	if (arch_copyin(&ts, uts, sizeof(ts)) != 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return -EINVAL;
	t = ts.tv_sec >= INT64_MAX / NSEC_PER_SEC / 2
	    ? INT64_MAX / 2
	    : (nsec_t)ts.tv_sec * NSEC_PER_SEC + (nsec_t)ts.tv_nsec;
	*deadline = (flags & TIMER_ABSTIME) == 0 ? time_now() + t : t;
	return 0;
}

/* With a time limit. A span in *ts becomes what is left of it. */
static int __noinline
park_until(const uint64_t *a)
{
	int flags = (int)a[1], error;
	struct callout *timeout = &curlwp()->l_timeout;
	nsec_t deadline, now;
	struct abi_timespec ts;

	if ((error = park_deadline((int)a[0], flags, a[2], &deadline)) != 0)
		return error;
	if ((lwpid_t)a[3] != 0 && (error = lwp_unpark((lwpid_t)a[3])) != 0)
		return error;
	timeout->co_wall = (flags & TIMER_ABSTIME) && (int)a[0] == CLOCK_REALTIME;
	error = lwp_park(deadline);
	timeout->co_wall = false;
	if ((flags & TIMER_ABSTIME) == 0) {
		now = time_now();
		now = error != -ETIMEDOUT && deadline > now ? deadline - now : 0;
		ts.tv_sec = (int64_t)(now / NSEC_PER_SEC);
		ts.tv_nsec = (int64_t)(now % NSEC_PER_SEC);
		(void)arch_copyout(
		    a[2], &ts, sizeof(ts)); /* the park has been, whatever becomes of this */
	}
	return error;
}

/*
 * (clockid_t clock, int flags, struct timespec *ts, lwpid_t unpark, const void *hint, const void *unparkhint)
 * The hints name what is waited for; nothing here needs them.
 */
int64_t
sys__lwp_park(const uint64_t *a)
{
	lwpid_t other = (lwpid_t)a[3];
	int error;

	if ((int)a[1] & ~TIMER_ABSTIME)
		return -EINVAL;
	if (a[2] != 0)
		return park_until(a);
	if (other != 0 && (error = lwp_unpark(other)) != 0)
		return error;
	return lwp_park(NSEC_FOREVER);
}

/* (lwpid_t lid, const void *hint) */
int64_t
sys__lwp_unpark(const uint64_t *a)
{
	return lwp_unpark((lwpid_t)a[0]);
}

/* (const lwpid_t *targets, size_t n, const void *hint): how many; all are tried even if one is missing */
int64_t
sys__lwp_unpark_all(const uint64_t *a)
{
	uint64_t n = a[1], done, i, part;
	lwpid_t ids[32];
	int error = 0;

	if (a[0] == 0)
		return LWP_UNPARK_MAX;
	if (n == 0 || n > LWP_UNPARK_MAX)
		return -EINVAL;
	for (done = 0; done < n; done += part) {
		part = min(n - done, (uint64_t)ARRAY_SIZE(ids));
		if (arch_copyin(ids, a[0] + done * sizeof(ids[0]), part * sizeof(ids[0])) != 0)
			return -EFAULT;
		for (i = 0; i < part; i++)
			if (lwp_unpark(ids[i]) != 0)
				error = -ESRCH;
	}
	return error != 0 ? error : (int64_t)n;
}

/* ---- private value, name ---- */

int64_t
sys__lwp_setprivate(const uint64_t *a)
{
	return arch_set_tls(a[0]) == 0 ? 0 : -EINVAL;
}

int64_t
sys__lwp_getprivate(const uint64_t *a __unused)
{
	return (int64_t)arch_get_tls();
}

/* (int features, struct lwpctl **address): asking again gives the same address */
int64_t
sys__lwp_ctl(const uint64_t *a)
{
	struct lwp *l = curlwp();
	uintptr_t addr;
	int error;

	if ((int)a[0] & ~(LWPCTL_FEATURE_CURCPU | LWPCTL_FEATURE_PCTR))
		return -ENODEV;
	/* A vfork child uses what its parent has. A kill of the parent ends that at any moment: no lock would tell more. */
	if (l->l_lwpctl == NULL && atomic_load_relaxed(&l->l_proc->p_vforklwp) != NULL)
		return -EBUSY;
	error = lwpctl_get(l->l_proc->p_vmspace, &addr);
	return error != 0 ? error : arch_ustore_64(a[1], addr);
}

/* 0 = the caller. => p_lock held */
static struct lwp *
find_or_self(struct proc *p, lwpid_t lid)
{
	return lid == 0 ? curlwp() : lwp_find(p, lid);
}

/* (lwpid_t lid, const char *name) */
int64_t
sys__lwp_setname(const uint64_t *a)
{
	struct proc *p = curproc();
	char name[LWP_NAMELEN];
	struct lwp *l;
	int error = 0;

	_Static_assert(LWP_NAMELEN == LWP_NAME_MAX, "the name");
	memset(name, 0, sizeof(name));
	if (arch_copyinstr(name, a[1], sizeof(name)) == -EFAULT)
		return -EFAULT;
	name[sizeof(name) - 1] = '\0'; /* a longer one is cut */
	mutex_lock(&p->p_lock);
	l = find_or_self(p, (lwpid_t)a[0]);
	if (l != NULL) {
		strlcpy(l->l_name, name, sizeof(l->l_name));
		TRACE_NAME(l, false);
	} else
		error = -ESRCH;
	mutex_unlock(&p->p_lock);
	return error;
}

/* (lwpid_t lid, char *name, size_t len) */
int64_t
sys__lwp_getname(const uint64_t *a)
{
	struct proc *p = curproc();
	char name[LWP_NAMELEN];
	struct lwp *l;
	size_t len;

	mutex_lock(&p->p_lock);
	l = find_or_self(p, (lwpid_t)a[0]);
	if (l != NULL)
		memcpy(name, l->l_name, sizeof(name));
	mutex_unlock(&p->p_lock);
	if (l == NULL)
		return -ESRCH;
	len = min(strlen(name) + 1, (size_t)a[2]);
	if (len == 0)
		return 0;
	name[len - 1] = '\0';
	return arch_copyout(a[1], name, len);
}
