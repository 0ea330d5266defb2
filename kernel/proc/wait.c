/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait4 and waitid: find a child that is dead, or was stopped or continued, and report it; free of a dead one what it
 * could not free itself. docs/protocol.md 4.6.
 *
 * Under proc_lock. Children that die, stop or are continued are put in front of the list, and p_nstopchild says how
 * many are worth a look, so a look costs O(1) where all of them are wanted. The parent cannot see a child before it is ZOMB: the child becomes
 * so under proc_lock. It frees nothing before the child is off its CPU.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/wait.h>
#include <arch/arch_if.h>
#include <kernel/failpoint.h>
#include <kernel/idtable.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/trace.h>

struct wait_result {
	pid_t pid;
	uint32_t uid;
	int code, value; /* CLD_*, and exit code or signal */
	int status;
	struct rusage_acc ru;
};

static struct proc *
child_find(struct proc *parent, pid_t pid)
{
	struct proc *p = proc_find_any(pid);

	return p != NULL && p->p_pptr == parent ? p : NULL;
}

/*
 * Children that announce themselves by another signal than SIGCHLD are asked for by WCLONE or WALL. A zombie can
 * tell of no stop any more: who does not ask for exits does not wait for it. => proc_lock held
 */
static bool
kind_wanted(const struct proc *p, int options)
{
	if ((options & WEXITED) == 0 && p->p_stat == PS_ZOMB)
		return false;
	if (options & WALL)
		return true;
	return (p->p_exitsig != SIGCHLD) == ((options & WCLONE) != 0);
}

static bool
selected(const struct proc *p, int idtype, pid_t id)
{
	switch (idtype) {
	case P_PGID:
		return p->p_pgrp != NULL && p->p_pgrp->pg_id == id;
	default:
		return true;
	}
}

/* Is there something to tell about p, a wanted one, that was asked for? => proc_lock held */
static inline bool
ready(const struct proc *p, int options)
{
	if (p->p_stat == PS_ZOMB)
		return true;
	if (likely(p->p_report == REPORT_NONE))
		return false;
	return (options & (p->p_report == REPORT_STOPPED ? WSTOPPED : WCONTINUED)) != 0;
}

static void
add_usage(struct rusage_acc *to, const struct rusage_acc *from)
{
	to->ru_utime += from->ru_utime;
	to->ru_stime += from->ru_stime;
	to->ru_nvcsw += from->ru_nvcsw;
	to->ru_nivcsw += from->ru_nivcsw;
	to->ru_minflt += from->ru_minflt;
	if (from->ru_maxrss > to->ru_maxrss)
		to->ru_maxrss = from->ru_maxrss;
}

/* Frees a zombie. => proc_lock held; dropped on return */
static void
collect(struct proc *parent, struct proc *p, const struct rusage_acc *usage)
{
	struct lwp *l = list_first(&p->p_lwps, struct lwp, l_sibling);

	KASSERT(mutex_owned(&proc_lock) && parent->p_nstopchild > 0);
	KASSERTMSG(p->p_stat == PS_ZOMB && p->p_nlwps == 1 && p->p_nlive == 0 &&
		p->p_pptr == parent && p->p_vforklwp == NULL && list_empty(&p->p_children),
	    "pid %d", p->p_pid);
	add_usage(&parent->p_cru, usage);
	list_remove(&p->p_sibling);
	list_remove(&p->p_list);
	parent->p_nstopchild--;
	pgrp_leave(p);
	id_free(p->p_pid);
	proc_uncharge(p, 1);
	mutex_unlock(&proc_lock);

	lwp_wait_offcpu(l);
	mutex_lock(&p->p_lock);
	lwp_lock(l);
	lwp_setstat(l, LS_IDL);
	lwp_unlock(l);
	list_remove(&l->l_sibling);
	p->p_nlwps = p->p_nzlwps = 0;
	mutex_unlock(&p->p_lock);
	lwp_free(l);
	sigacts_free(p->p_sigacts);
	proc_free(p);
}

/* A live child was stopped or continued. => proc_lock held; dropped on return */
static void
tell_report(struct proc *p, int options, struct wait_result *r)
{
	bool stop = p->p_report == REPORT_STOPPED;

	r->code = stop ? CLD_STOPPED : CLD_CONTINUED;
	mutex_lock(&p->p_lock);
	r->value = stop ? p->p_stopsig : SIGCONT;
	if (p->p_singlemode != SINGLE_EXIT)
		proc_usage(p, &r->ru);
	else { /* it execs or exits: its address space may be changing */
		r->ru = p->p_ru;
		proc_times(p, &r->ru.ru_utime, &r->ru.ru_stime);
	}
	mutex_unlock(&p->p_lock);
	add_usage(&r->ru, &p->p_cru);
	r->status = stop ? r->value << 8 | 0x7f : 0xffff;
	if ((options & WNOWAIT) == 0)
		proc_report(p, REPORT_NONE);
	mutex_unlock(&proc_lock);
}

/*
 * The common part. 0 and *r filled; r->pid == 0: WNOHANG and nothing ready; -ECHILD; -ERESTART.
 * => no lock held; sleeps
 */
static int
do_wait(struct proc *self, int idtype, pid_t id, int options, struct wait_result *r)
{
	struct proc *p;
	int error;

	KASSERT(self == curproc());
	TRACE(WAIT, 0, id, options);
	memset(r, 0, sizeof(*r));
	mutex_lock(&proc_lock);
	if (idtype == P_PGID && id == 0)
		id = self->p_pgrp->pg_id;
	for (;;) {
		bool any = false;
		uint32_t left = self->p_nstopchild;

		if (idtype == P_PID) { /* no need to walk */
			p = child_find(self, id);
			any = p != NULL && kind_wanted(p, options);
			if (any && ready(p, options))
				goto found;
			goto scanned;
		}

		list_foreach (p, &self->p_children, p_sibling) {
			if (any && left == 0)
				break; /* there is nothing about the rest */
			if (p->p_stat == PS_ZOMB || p->p_report != REPORT_NONE)
				left--;
			if (!selected(p, idtype, id))
				continue;
			if (!kind_wanted(p, options))
				continue;
			any = true;
			if (ready(p, options))
				goto found;
		}
scanned:
		if (!any) {
			mutex_unlock(&proc_lock);
			return -ECHILD;
		}
		if (options & WNOHANG) {
			mutex_unlock(&proc_lock);
			return 0;
		}
		fp(wait_scan_to_sleep);
		error = cv_wait_sig(&self->p_waitcv, &proc_lock);
		if (error != 0) {
			mutex_unlock(&proc_lock);
			return error;
		}
	}
found:
	r->pid = p->p_pid;
	r->uid = p->p_cred->cr_ids.ruid;
	if (p->p_stat != PS_ZOMB) {
		tell_report(p, options, r);
		return 0;
	}
	r->code = p->p_xsig != 0 ? CLD_KILLED : CLD_EXITED;
	r->value = p->p_xsig != 0 ? p->p_xsig : p->p_xexit & 0xff;
	r->status = proc_wait_status(p);
	r->ru = p->p_ru;
	proc_times(p, &r->ru.ru_utime, &r->ru.ru_stime);
	add_usage(&r->ru, &p->p_cru);
	if (options & WNOWAIT)
		mutex_unlock(&proc_lock);
	else
		collect(self, p, &r->ru);
	return 0;
}

/* wait4(pid, int *status, options, struct rusage *) */
int64_t
sys_wait4(const uint64_t *a)
{
	pid_t pid = (pid_t)a[0];
	int options = (int)a[2], idtype, error;
	struct wait_result r;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1)
		idtype = P_ALL;
	else if (pid <= 0) {
		idtype = P_PGID;
		pid = -pid;
	} else
		idtype = P_PID;
	error = do_wait(curproc(), idtype, pid, options | WEXITED, &r);
	if (error != 0 || r.pid == 0)
		return error;
	if (a[1] != 0 && arch_copyout(a[1], &r.status, sizeof(r.status)) != 0)
		return -EFAULT; /* the child is gone all the same */
	if (a[3] != 0) {
		struct abi_rusage ru;

		rusage_to_abi(&r.ru, &ru);
		if (arch_copyout(a[3], &ru, sizeof(ru)) != 0)
			return -EFAULT;
	}
	return r.pid;
}

/* waitid(idtype, id, siginfo_t *, options, struct rusage *) */
int64_t
sys_waitid(const uint64_t *a)
{
	int idtype = (int)a[0], options = (int)a[3], error;
	pid_t id = (pid_t)a[1];
	struct wait_result r;
	siginfo_t si = { 0 };

	if ((options &
		~(WNOHANG | WSTOPPED | WEXITED | WCONTINUED | WNOWAIT | WNOTHREAD | WALL |
		    WCLONE)) ||
	    (options & (WEXITED | WSTOPPED | WCONTINUED)) == 0)
		return -EINVAL;
	if (idtype != P_ALL && idtype != P_PID && idtype != P_PGID)
		return -EINVAL;
	if ((idtype == P_PID && id <= 0) || (idtype == P_PGID && id < 0))
		return -EINVAL;
	error = do_wait(curproc(), idtype, id, options, &r);
	if (error != 0)
		return error;
	if (a[2] != 0) {
		if (r.pid != 0) {
			si.si_signo = SIGCHLD;
			si.si_code = r.code;
			si.u.chld.pid = r.pid;
			si.u.chld.uid = r.uid;
			si.u.chld.status = r.value;
		}
		if (arch_copyout(a[2], &si, sizeof(si)) != 0)
			return -EFAULT;
	}
	if (a[4] != 0 && r.pid != 0) {
		struct abi_rusage ru;

		rusage_to_abi(&r.ru, &ru);
		if (arch_copyout(a[4], &ru, sizeof(ru)) != 0)
			return -EFAULT;
	}
	return 0;
}

static bool
has_dead_child(const struct proc *self)
{
	const struct proc *p;

	list_foreach (p, &self->p_children, p_sibling)
		if (p->p_stat == PS_ZOMB)
			return true;
	return false;
}

/* Collects the children of `self` until there are none, uninterruptibly. => no lock held; sleeps */
void
proc_collect_all(struct proc *self)
{
	struct wait_result r;

	mutex_lock(&proc_lock);
	while (!list_empty(&self->p_children)) {
		if (!has_dead_child(self)) {
			cv_wait(&self->p_waitcv, &proc_lock);
			continue;
		}
		mutex_unlock(&proc_lock);
		(void)do_wait(self, P_ALL, 0, WEXITED | WALL | WNOHANG, &r);
		mutex_lock(&proc_lock);
	}
	mutex_unlock(&proc_lock);
}

/* ---- the adopter ---- */

static bool adopter_busy; /* (x) it is freeing what it has taken off proc0's list */
static struct condvar adopter_idle = CV_INIT(adopter_idle, "adopter");

/* Kernel thread, for ever: collects the children that proc0 adopts because their parent wants no zombies. */
void
proc_adopter(void)
{
	struct wait_result r;

	mutex_lock(&proc_lock);
	for (;;) {
		while (proc0.p_nstopchild == 0) {
			adopter_busy = false;
			cv_broadcast(&adopter_idle);
			cv_wait(&proc0.p_waitcv, &proc_lock);
		}
		adopter_busy = true;
		mutex_unlock(&proc_lock);
		(void)do_wait(&proc0, P_ALL, 0, WEXITED | WALL | WNOHANG, &r);
		mutex_lock(&proc_lock);
	}
}

void
proc_adopter_drain(void)
{
	mutex_lock(&proc_lock);
	while (proc0.p_nstopchild != 0 || adopter_busy)
		cv_wait(&adopter_idle, &proc_lock);
	mutex_unlock(&proc_lock);
}
