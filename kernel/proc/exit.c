/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exit of LWPs and processes, without a reaper. docs/protocol.md 4.1, 4.2; docs/exit.md.
 *
 * A dying process's last LWP tears down everything but itself: its siblings, files, and its address space,
 * from which it moves to the kernel's. What it cannot free is what it stands on. Of that the successor on its CPU
 * takes the stack; the structures and the PID are freed by the parent in wait. Once the process is DEAD
 * nothing here may sleep for an event; from ZOMB on nothing at all.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/failpoint.h>
#include <kernel/idtable.h>
#include <kernel/inode.h>
#include <kernel/printf.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/trace.h>
#include <kernel/upcall.h>
#include <kernel/vm.h>

/* The last steps of an LWP, to ZOMB. => p_lock held; on return it is dropped, preemption is off for good */
static void
lwp_become_zombie(struct lwp *l)
{
	struct proc *p = l->l_proc;

	preempt_disable();
	arch_fpu_discard(l);
	lwp_lock(l);
	lwp_setstat(l, LS_ZOMB);
	p->p_nrlwps--;
	p->p_nlive--;
	lwp_unlock(l);
}

static void __noreturn
lwp_exit_locked(struct proc *p)
{
	struct lwp *l = curlwp();

	TRACE(EXIT, TRX_LWP, p->p_pid, 0);
	p->p_nzlwps++;
	l->l_prflag |= LPR_EXITING;
	mutex_unlock(&p->p_lock);
	if ((p->p_flag & PK_SYSTEM) == 0)
		lwp_release_user_state(l);

	mutex_lock(&p->p_lock);
	while (lwp_reap_dead(p)) /* drops p_lock: look again */
		continue;
	sig_lwp_exit(l);
	lwp_become_zombie(l);
	list_insert_tail(&p->p_deadlwps, &l->l_free);
	if (p->p_single != NULL && p->p_nlive - p->p_nboundary <= 1)
		cv_broadcast(&p->p_lwpcv);
	mutex_unlock(&p->p_lock);
	fp(zombie_before_switch);
	lwp_exit_switch(l);
}

void
lwp_exit(int code)
{
	struct proc *p = curproc();

	mutex_lock(&p->p_lock);
	if (p->p_nlwps - p->p_nzlwps > 1)
		lwp_exit_locked(p);
	mutex_unlock(&p->p_lock);
	/* The last one: the siblings that began to exit cannot turn back, so it stays the last. */
	proc_exit(code, 0);
}

void
kthread_exit(void)
{
	mutex_lock(&proc0.p_lock);
	lwp_exit_locked(&proc0);
}

/* Moves p's children to init. => proc_lock held. Returns true if one of them is dead already */
static bool
reparent_children(struct proc *p)
{
	struct proc *child;
	bool dead = false;

	if (list_empty(&p->p_children))
		return false;
	list_foreach (child, &p->p_children, p_sibling) {
		child->p_pptr = initproc;
		child->p_exitsig = SIGCHLD;
		if (child->p_stat == PS_ZOMB || child->p_stat == PS_DEAD) {
			dead = true;
			initproc->p_nstopchild++;
		}
	}
	/* Dead ones are in front; keep that order in init's list by putting all of ours there. */
	while (!list_empty(&p->p_children)) {
		child = list_last(&p->p_children, struct proc, p_sibling);
		list_remove(&child->p_sibling);
		if (child->p_stat == PS_ZOMB || child->p_stat == PS_DEAD)
			list_insert_head(&initproc->p_children, &child->p_sibling);
		else
			list_insert_tail(&initproc->p_children, &child->p_sibling);
	}
	p->p_nstopchild = 0;
	return dead;
}

/* Does the parent want no zombies? => proc_lock held */
static bool
parent_ignores(struct proc *parent)
{
	const struct k_sigaction *sa;
	bool yes;

	if (parent->p_stat != PS_ACTIVE)
		return false;
	mutex_lock(&parent->p_lock);
	sa = parent->p_sigacts != NULL ? &parent->p_sigacts->sa_act[SIGCHLD] : NULL;
	yes = sa != NULL && (sa->sa_handler == SIG_IGN || (sa->sa_flags & SA_NOCLDWAIT));
	mutex_unlock(&parent->p_lock);
	return yes;
}

static void
notify_parent(struct proc *p, struct proc *parent)
{
	siginfo_t si = { .si_signo = p->p_exitsig };
	nsec_t user, sys;

	if (p->p_exitsig == 0 || parent->p_stat != PS_ACTIVE || (parent->p_flag & PK_SYSTEM))
		return;
	si.si_code = p->p_xsig != 0 ? CLD_KILLED : CLD_EXITED;
	si.u.chld.pid = p->p_pid;
	si.u.chld.uid = p->p_uid;
	si.u.chld.status = p->p_xsig != 0 ? p->p_xsig : p->p_xexit;
	proc_times(p, &user, &sys);
	si.u.chld.utime = (int64_t)(user / 10000000);
	si.u.chld.stime = (int64_t)(sys / 10000000);
	mutex_lock(&parent->p_lock);
	sig_post_proc(parent, p->p_exitsig, &si);
	mutex_unlock(&parent->p_lock);
}

/* => single-threaded owner in EXIT mode, no lock held */
static void __noreturn
exit_process(struct proc *p, struct lwp *l)
{
	struct vmspace *vm;
	struct proc *parent;
	bool wakeinit;

	if (p == initproc)
		init_exited(p); /* does not return */

	TRACE(EXIT, TRX_ALONE, p->p_pid, 0);
	/* From here on no signal reaches us. */
	mutex_lock(&p->p_lock);
	p->p_stat = PS_DYING;
	mutex_unlock(&p->p_lock);
	lwp_release_user_state(l);

	fd_unref(p->p_fd);
	p->p_fd = NULL;
	if (p->p_cwd != NULL) {
		inode_unref(p->p_cwd);
		p->p_cwd = NULL;
	}

	TRACE(EXIT, TRX_FILES, p->p_pid, 0);
	/* Address space: move to the kernel's, then drop ours, on our own stack and with no lock held. */
	vm = p->p_vmspace;
	p->p_ru.ru_maxrss = vm->vm_maxpages;
	preempt_disable();
	p->p_vmspace = &vmspace_kernel;
	vmspace_activate(&vmspace_kernel);
	preempt_enable();
	vmspace_unref(vm);
	TRACE(EXIT, TRX_SPACE, p->p_pid, 0);

	mutex_lock(&proc_lock);
	vfork_release(p);
	wakeinit = reparent_children(p);
	list_remove(&p->p_list);
	list_insert_tail(&zombproc, &p->p_list);
	p->p_stat = PS_DEAD;
	fp(exit_after_dead);
	parent = p->p_pptr;
	if (parent_ignores(parent)) {
		/* Nobody will wait for us: the kernel process adopts and collects. */
		list_remove(&p->p_sibling);
		list_insert_head(&proc0.p_children, &p->p_sibling);
		p->p_pptr = &proc0;
		/* The old parent may wait for its last child: it must see that there is none. */
		if (list_empty(&parent->p_children))
			cv_broadcast(&parent->p_waitcv);
		parent = &proc0;
		parent->p_nstopchild++;
	} else {
		parent->p_nstopchild++;
		list_remove(&p->p_sibling);
		list_insert_head(&parent->p_children, &p->p_sibling);
	}

	TRACE(EXIT, TRX_DEAD, p->p_pid, 0);
	mutex_lock(&p->p_lock);
	sigpend_drop(&p->p_sigpend);
	sig_lwp_exit(l);
	mutex_unlock(&p->p_lock);
	notify_parent(p, parent);

	mutex_lock(&p->p_lock);
	if (l->l_lid == p->p_pid)
		idt_set_proc(&idtable, p->p_pid, p);
	else {
		/* Its own id goes now; the PID's entry is the process's since the lead LWP was freed. */
		idt_free(&idtable, l->l_lid);
	}
	p->p_ru.ru_nvcsw += l->l_nvcsw + 1;
	p->p_ru.ru_nivcsw += l->l_nivcsw;
	p->p_ru.ru_minflt += l->l_minflt;
	p->p_ru.ru_rtime += lwp_cputime(l);
	p->p_ru.ru_uticks += l->l_uticks;
	p->p_ru.ru_sticks += l->l_sticks;
	p->p_nzlwps = 1;
	lwp_become_zombie(l);
	p->p_stat = PS_ZOMB;
	mutex_unlock(&p->p_lock);

	TRACE(EXIT, TRX_ZOMB, p->p_pid, 0);
	cv_broadcast(&parent->p_waitcv);
	if (wakeinit && parent != initproc)
		cv_broadcast(&initproc->p_waitcv);
	mutex_unlock(&proc_lock);
	fp(exit_after_wake_before_switch);
	/* `p` may be collected as soon as we are off this CPU; nothing of it is used below. */
	lwp_exit_switch(l);
}

/* p has its own address space now, or none: its vfork parent goes on. => proc_lock held */
void
vfork_release(struct proc *p)
{
	struct lwp *l = p->p_vforklwp;

	if (l == NULL)
		return;
	fp(vfork_release);
	p->p_vforklwp = NULL;
	l->l_vforkchild = NULL;
	cv_broadcast(&l->l_proc->p_vforkcv);
}

/*
 * proc_exit: => no lock held. If another LWP is already taking the process down, this one just dies; if one
 * execs (BOUNDARY), a killing signal is kept in p_xsig for whoever reaches user mode next.
 */
void
proc_exit(int code, int sig)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;

	for (;;) {
		mutex_lock(&p->p_lock);
		if (p->p_single == NULL || p->p_single == l)
			break;
		if (p->p_singlemode == SINGLE_EXIT) {
			if (sig != 0 && (p->p_flag & PK_EXITING) == 0) {
				p->p_flag |=
				    PK_KILLED; /* exec past its commit: the new image dies */
				p->p_xsig = sig;
				lwp_interrupt(p->p_single, 0);
			}
			lwp_exit_locked(p);
		}
		if (sig != 0) {
			p->p_flag |= PK_KILLED;
			p->p_xsig = sig;
		}
		mutex_unlock(&p->p_lock);
		single_boundary();
	}
	p->p_single = l;
	p->p_singlemode = SINGLE_EXIT;
	p->p_flag |= PK_EXITING;
	if (p->p_flag & PK_KILLED) {
		code = 0;
		sig = p->p_xsig;
	}
	p->p_xexit = code;
	p->p_xsig = sig;
	mutex_unlock(&p->p_lock);
	TRACE(EXIT, TRX_BEGIN, p->p_pid, sig != 0 ? 128 + sig : code & 0xff);
	(void)single_begin(SINGLE_EXIT);
	exit_process(p, l);
}

int
proc_wait_status(const struct proc *p)
{
	return p->p_xsig != 0 ? p->p_xsig & 0x7f : (p->p_xexit & 0xff) << 8;
}
