/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork, vfork, clone: new processes and new LWPs. docs/protocol.md 3.2, 4.4.
 *
 * All memory is got and all copying done before anything is visible; then one hold of proc_lock gives the
 * id and links the child. Under the same locks a signal to the parent's group or an exit that has come meanwhile
 * stops the fork, so that whoever signals a group does not miss a child born from a member (B59). It counts
 * whichever LWP was told of it, if ours could take it. A signal to the parent alone waits: with a timer that is
 * shorter than the copying takes, the fork would never end.
 */
#include <kernel/process.h>

#include <abi/clone.h>
#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/exitmode.h>
#include <kernel/failpoint.h>
#include <kernel/inode.h>
#include <kernel/lwpctl.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timers.h>
#include <kernel/trace.h>
#include <kernel/upcall.h>
#include <kernel/vm.h>

#include "signal_internal.h"

/* First code of a forked LWP in the kernel, before it returns to user mode. */
static void
child_return(void *arg __unused)
{
	struct lwp *l = curlwp();

	if (l->l_set_tid != 0)
		(void)arch_ustore_32(l->l_set_tid, (uint32_t)l->l_lid);
}

void
lwp_prepare(struct lwp *l, const struct clone_args *ca)
{
	struct lwp *self = curlwp();
	bool keep_altstack = (ca->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM;

	arch_lwp_init(l, child_return, NULL);
	arch_lwp_fork(l, ca->stack, (ca->flags & CLONE_SETTLS) != 0, ca->tls);
	sig_lwp_fork(self, l, keep_altstack);
	if (ca->flags & CLONE_CHILD_SETTID)
		l->l_set_tid = ca->child_tid;
	if (ca->flags & CLONE_CHILD_CLEARTID)
		l->l_clear_tid = ca->child_tid;
	memcpy(l->l_name, self->l_name, sizeof(l->l_name));
}

static int64_t
clone_thread(const struct clone_args *ca)
{
	struct proc *p = curproc();
	struct lwp *l;
	lwpid_t lid;
	int error;

	KASSERT(p->p_stat == PS_ACTIVE && (p->p_flag & PK_SYSTEM) == 0);
	mutex_lock(&p->p_lock);
	lwp_reap_dead(p);
	mutex_unlock(&p->p_lock);
	exitmode_create();
	l = lwp_alloc(p);
	if (l == NULL)
		return -ENOMEM;
	lwp_prepare(l, ca);
	l->l_prflag |= LPR_DETACHED;
	error = id_enter();
	if (error != 0) {
		lwp_unalloc(l);
		return error;
	}
	if ((error = proc_charge(p)) != 0) {
		mutex_unlock(&proc_lock);
		lwp_unalloc(l);
		return error;
	}
	lid = id_alloc_lwp(l);
	mutex_unlock(&proc_lock);
	/* Stored before the new LWP can run, or be seen. */
	if (ca->flags & CLONE_PARENT_SETTID)
		(void)arch_ustore_32(ca->parent_tid, (uint32_t)lid);
	mutex_lock(&p->p_lock);
	sched_fork(curlwp(), l);
	lwp_link(p, l);
	lwp_start(l);
	mutex_unlock(&p->p_lock);
	return lid;
}

/*
 * Waits until the vfork child has let go of our address space. Only a kill ends the wait early. A stop does not:
 * the wait is a stop point (B54).
 */
static void
vfork_wait(struct proc *p, struct lwpctl *lent)
{
	struct lwp *l = curlwp();
	bool killed = false;

	KASSERT(l->l_proc == p);
	fp(vfork_child_started);
	mutex_lock(&p->p_lock);
	single_rest_begin(p);
	/* What it was to take of the process's others can take now; from here on they come first. */
	if (unlikely(p->p_sigpend.sp_set & ~l->l_sigmask))
		sig_retarget(p, l, p->p_sigpend.sp_set & ~l->l_sigmask);
	mutex_unlock(&p->p_lock);
	mutex_lock(&proc_lock);
	while (l->l_vforkchild != NULL) {
		if (cv_wait_kill(&p->p_vforkcv, &proc_lock) == 0 || l->l_vforkchild == NULL)
			continue;
		if ((atomic_load_relaxed(&l->l_flag) & LW_KILL) == 0) {
			mutex_unlock(&proc_lock);
			lwp_stop_point();
			mutex_lock(&proc_lock);
			continue;
		}
		KASSERT(l->l_vforkchild->p_vforklwp == l);
		l->l_vforkchild->p_vforklwp = NULL;
		l->l_vforkchild = NULL;
		killed = true;
	}
	KASSERT(l->l_vforkchild == NULL);
	mutex_unlock(&proc_lock);
	if (lent != NULL) {
		if (killed)
			lwpctl_lose(p->p_vmspace, lent);
		else
			lwpctl_return(p->p_vmspace, lent);
	}
	mutex_lock(&p->p_lock);
	single_rest_end(p);
	mutex_unlock(&p->p_lock);
}

static int64_t
fork_process(const struct clone_args *ca)
{
	struct lwp *self = curlwp(), *l;
	struct proc *parent = self->l_proc, *p;
	struct lwpctl *lent = NULL;
	uint32_t groupsigs;
	int64_t error = -ENOMEM;
	pid_t pid;

	KASSERT(parent->p_stat == PS_ACTIVE && self->l_vforkchild == NULL);
	exitmode_create();
	if ((p = proc_alloc()) == NULL)
		return -ENOMEM;
	if ((l = lwp_alloc(p)) == NULL)
		goto free_proc;
	mutex_lock(&parent->p_lock);
	if (proc_limit_reached(parent)) { /* before the work; what counts is proc_charge() */
		mutex_unlock(&parent->p_lock);
		error = -EAGAIN;
		goto free_lwp;
	}
	if (sig_deliverable(self)) {
		mutex_unlock(&parent->p_lock);
		error = -ERESTARTNOINTR;
		goto free_lwp;
	}
	groupsigs = parent->p_groupsigs;
	p->p_sigacts = sigacts_copy(parent->p_sigacts);
	p->p_cred = cred_ref(parent->p_cred);
	p->p_cwd = parent->p_cwd;
	if (p->p_cwd != NULL)
		inode_ref(p->p_cwd);
	p->p_umask = parent->p_umask;
	memcpy(p->p_rlimit, parent->p_rlimit, sizeof(p->p_rlimit));
	memcpy(p->p_comm, parent->p_comm, sizeof(p->p_comm));
	mutex_unlock(&parent->p_lock);
	if (p->p_sigacts == NULL)
		goto free_cwd;
	if (unlikely(ca->flags & CLONE_CLEAR_SIGHAND)) {
		mutex_lock(&p->p_lock);
		sigacts_exec(p);
		mutex_unlock(&p->p_lock);
	}
	if (ca->flags & CLONE_VM) {
		p->p_vmspace = parent->p_vmspace;
		vmspace_ref(p->p_vmspace);
	} else if ((error = vmspace_fork(parent->p_vmspace, &p->p_vmspace)) != 0)
		goto free_sigacts;
	error = -ENOMEM;
	p->p_fd = ca->flags & CLONE_FILES ? fd_ref(parent->p_fd) : fd_copy(parent->p_fd);
	if (p->p_fd == NULL)
		goto free_vm;
	if (unlikely(p->p_rlimit[RLIMIT_CPU].cur != RLIM_INFINITY) && (error = timers_fork(p)) != 0)
		goto free_fd;
	p->p_stack_top = parent->p_stack_top;
	p->p_exitsig = ca->exit_signal;
	p->p_start = time_now();
	lwp_prepare(l, ca);

	if ((error = id_enter()) != 0)
		goto free_timers;
	/* Signals are posted and exits begun under p_lock; groups are signalled under proc_lock too. */
	mutex_lock(&parent->p_lock);
	if ((atomic_load_relaxed(&self->l_flag) & (LW_WEXIT | LW_WBOUNDARY | LW_WSTOP)) ||
	    (parent->p_flag & (PK_KILLED | PK_EXITING)) ||
	    (parent->p_groupsigs != groupsigs && sig_deliverable(self))) {
		mutex_unlock(&parent->p_lock);
		error = -ERESTARTNOINTR;
		goto unlock;
	}
	sched_fork(self, l);
	mutex_unlock(&parent->p_lock);
	if ((error = proc_charge(p)) != 0)
		goto unlock;
	pid = p->p_pid = id_alloc_lwp(l);
	proc_set_parent(p, parent);
	list_insert_tail(&parent->p_children, &p->p_sibling);
	list_insert_tail(&allproc, &p->p_list);
	pgrp_enter(p, parent->p_pgrp);
	p->p_ctty = parent->p_ctty;
	if (ca->flags & CLONE_VFORK) {
		p->p_vforklwp = self;
		self->l_vforkchild = p;
		if (ca->flags & CLONE_VM)
			lent = lwpctl_lend(l);
	}
	mutex_lock(&p->p_lock);
	proc_setstat(p, PS_ACTIVE);
	lwp_link(p, l);
	if (ca->flags & CLONE_PARENT_SETTID) {
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
		(void)arch_ustore_32(ca->parent_tid, (uint32_t)pid);
		fp(child_not_started);
		mutex_lock(&p->p_lock);
		lwp_start(l);
		mutex_unlock(&p->p_lock);
		hold_poke(); /* who found the child not started, and waits for it */
	} else {
		lwp_start(l);
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
	}
	if (ca->flags & CLONE_VFORK)
		vfork_wait(parent, lent);
	return pid;

unlock:
	mutex_unlock(&proc_lock);
free_timers:
	timers_unfork(p);
free_fd:
	fd_unref(p->p_fd);
free_vm:
	vmspace_unref(p->p_vmspace);
free_sigacts:
	sigacts_free(p->p_sigacts);
free_cwd:
	if (p->p_cwd != NULL)
		inode_unref(p->p_cwd);
free_lwp:
	lwp_unalloc(l);
free_proc:
	proc_free(p);
	return error;
}

/* Flags with a meaning here, with none (accepted), and those that only make sense together with CLONE_THREAD. */
#define CLONE_KNOWN \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_THREAD | \
	    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | \
	    CLONE_CHILD_SETTID | CLONE_DETACHED | CLONE_UNTRACED | CLONE_IO | CLONE_CLEAR_SIGHAND)

int64_t
do_clone(const struct clone_args *ca)
{
	uint64_t f = ca->flags;

	if (f & ~(uint64_t)CLONE_KNOWN)
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && (!(f & CLONE_VM) || (f & CLONE_CLEAR_SIGHAND)))
		return -EINVAL;
	if ((f & CLONE_SETTLS) && ca->tls >= USER_END)
		return -EPERM;
	if (f & CLONE_THREAD) {
		if ((f & CLONE_VFORK) || !(f & CLONE_FILES) || !(f & CLONE_FS))
			return -EINVAL; /* threads share everything here */
		return clone_thread(ca);
	}
	if (f & (CLONE_SIGHAND | CLONE_FS))
		return -EINVAL; /* processes share neither dispositions nor a directory here */
	return fork_process(ca);
}

int64_t
sys_clone(const uint64_t *a)
{
	struct clone_args ca = {
		.flags = (uint32_t)a[0] & ~(uint32_t)CLONE_SIGNAL_MASK,
		.stack = a[1],
		.parent_tid = a[2],
		.child_tid = a[3],
		.tls = a[4],
		.exit_signal = (int)(a[0] & CLONE_SIGNAL_MASK),
	};

	if (ca.exit_signal > NSIG)
		return -EINVAL;
	return do_clone(&ca);
}

int64_t
sys_clone3(const uint64_t *a)
{
	struct abi_clone3 c = { 0 };
	struct clone_args ca;
	uint64_t byte;

	if (a[1] < CLONE3_SIZE_VER0)
		return -EINVAL;
	if (a[1] > PAGE_SIZE)
		return -E2BIG;
	if (arch_copyin(&c, a[0], min(a[1], sizeof(c))) != 0)
		return -EFAULT;
	for (uint64_t off = sizeof(c); off < a[1]; off += 8) {
		byte = 0;
		if (arch_copyin(&byte, a[0] + off, min(a[1] - off, (uint64_t)8)) != 0)
			return -EFAULT;
		if (byte != 0)
			return -E2BIG; /* asks for something that we have not heard of */
	}
	if ((c.flags & (CLONE_SIGNAL_MASK | CLONE_DETACHED)) != 0 || c.exit_signal > NSIG ||
	    c.set_tid_size != 0)
		return -EINVAL;
	if ((c.stack == 0) != (c.stack_size == 0))
		return -EINVAL;
	ca = (struct clone_args){
		.flags = c.flags,
		.stack = c.stack != 0 ? c.stack + c.stack_size : 0,
		.tls = c.tls,
		.parent_tid = c.parent_tid,
		.child_tid = c.child_tid,
		.exit_signal = (int)c.exit_signal,
	};
	return do_clone(&ca);
}

int64_t
sys_fork(const uint64_t *a __unused)
{
	const struct clone_args ca = { .exit_signal = SIGCHLD };

	return fork_process(&ca);
}

int64_t
sys_vfork(const uint64_t *a __unused)
{
	const struct clone_args ca = { .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD };

	return fork_process(&ca);
}
