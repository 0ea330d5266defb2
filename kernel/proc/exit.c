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
#include <kernel/bugs.h>
#include <kernel/ctty.h>
#include <kernel/exitmode.h>
#include <kernel/failpoint.h>
#include <kernel/gdbstub.h>
#include <kernel/lockdebug.h>
#include <kernel/idtable.h>
#include <kernel/inode.h>
#include <kernel/printf.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/timers.h>
#include <kernel/trace.h>
#include <kernel/upcall.h>
#include <kernel/vm.h>

/* The last steps of an LWP, to ZOMB. => p_lock held; on return it is dropped, preemption is off for good */
static void
lwp_become_zombie(struct lwp *l)
{
	struct proc *p = l->l_proc;

	KASSERT(l == curlwp() && l->l_sigpend.sp_set == 0 && l->l_vforkchild == NULL);
	preempt_disable();
	curcpu()->ci_nexit++;
	arch_fpu_discard(l);
	lwp_lock_self(l);
	lwp_setstat(l, LS_ZOMB);
	p->p_nrlwps--;
	p->p_nlive--;
	lwp_unlock(l);
}

static void __noreturn
lwp_exit_locked(struct proc *p)
{
	struct lwp *l = curlwp();
	bool stopping;

	KASSERT(mutex_owned(&p->p_lock) && l->l_proc == p && p->p_single != l);
	KASSERT((l->l_prflag & LPR_EXITING) == 0);
	TRACE(EXIT, TRX_LWP, p->p_pid, 0);
	p->p_nzlwps++;
	l->l_prflag |= LPR_EXITING;
	stopping = (p->p_flag & PK_STOP) != 0 || p->p_singlemode >= SINGLE_NO_EXIT;
	mutex_unlock(&p->p_lock);
	if (unlikely(stopping))
		proc_stop_check(p); /* for us it does not wait (B48) */
	fp(lwp_exit_begun);
	if (unlikely(atomic_load_relaxed(&debug_step_lwp) == l))
		debug_step_gone();
	if ((p->p_flag & PK_SYSTEM) == 0)
		lwp_release_user_state(l);

	mutex_lock(&p->p_lock);
	while (lwp_reap_dead(p)) /* drops p_lock: look again */
		continue;
	sig_lwp_exit(l);
	lwp_become_zombie(l);
	if (exit_deferred() && (l->l_prflag & LPR_DETACHED))
		exitmode_push(l);
	else
		list_insert_tail(
		    l->l_prflag & LPR_DETACHED ? &p->p_deadlwps : &p->p_zlwps, &l->l_free);
	/* Whoever waits for it, or with it for others (a deadlock?), or for it to be suspended. */
	if (proc_single(p) == NULL || p->p_nlive - p->p_nboundary <= 1)
		cv_broadcast(&p->p_lwpcv);
	mutex_unlock(&p->p_lock);
	fp(zombie_before_switch);
	lwp_exit_switch(l);
}

void
lwp_exit(int code)
{
	struct proc *p = curproc();

	lockdebug_none("exit");
	mutex_lock(&p->p_lock);
	if (p->p_nlwps - p->p_nzlwps > 1) {
		if (BUG(last_two)) {
			mutex_unlock(&p->p_lock);
			mutex_lock(&p->p_lock);
		}
		lwp_exit_locked(p);
	}
	mutex_unlock(&p->p_lock);
	/* The last one: the siblings that began to exit cannot turn back, so it stays the last. */
	proc_exit(code, 0);
}

void
kthread_exit(void)
{
	lockdebug_none("exit");
	mutex_lock(&proc0.p_lock);
	lwp_exit_locked(&proc0);
}

/*
 * Tells the parent of a dead process, by the exit signal. Returns true if the parent wants no zombie (SIGCHLD
 * ignored, or SA_NOCLDWAIT; the latter does not keep the signal from it).
 * => proc_lock held, no p_lock; p is DEAD or ZOMB
 */
static bool
notify_parent(struct proc *p, struct proc *parent)
{
	siginfo_t si = { .si_signo = p->p_exitsig };
	const struct k_sigaction *sa;
	bool unwanted = false, ignored = false;
	nsec_t user, sys;

	KASSERT(mutex_owned(&proc_lock) && p->p_stat >= PS_DEAD);
	if (p->p_exitsig == 0 || parent->p_stat >= PS_DYING || (parent->p_flag & PK_SYSTEM))
		return false;
	si.si_code = p->p_xsig != 0 ? CLD_KILLED : CLD_EXITED;
	si.u.chld.pid = p->p_pid;
	si.u.chld.uid = p->p_cred->cr_ids.ruid;
	si.u.chld.status = p->p_xsig != 0 ? p->p_xsig : p->p_xexit & 0xff;
	proc_times(p, &user, &sys);
	si.u.chld.utime = (int64_t)(user / 10000000);
	si.u.chld.stime = (int64_t)(sys / 10000000);
	mutex_lock(&parent->p_lock);
	if (p->p_exitsig == SIGCHLD) {
		sa = &parent->p_sigacts->sa_act[SIGCHLD];
		ignored = sa->sa_handler == SIG_IGN;
		unwanted = ignored || (sa->sa_flags & SA_NOCLDWAIT);
	}
	if (!ignored)
		sig_post_proc(parent, p->p_exitsig, &si);
	mutex_unlock(&parent->p_lock);
	return unwanted;
}

/*
 * Gives a dead process to `parent`, to wait for it, or, if it wants none, to the kernel process, whose thread
 * collects it. Returns who has it now; the caller wakes it.
 * => proc_lock held; p is on a list of children, and not counted as dead there
 */
static struct proc *
bequeath(struct proc *p, struct proc *parent)
{
	struct proc *heir = notify_parent(p, parent) ? &proc0 : parent;

	list_remove(&p->p_sibling);
	list_insert_head(&heir->p_children, &p->p_sibling); /* dead ones are in front */
	if (p->p_pptr != heir)
		proc_set_parent(p, heir);
	heir->p_nstopchild++;
	return heir;
}

static uint32_t nsubreapers; /* (x) live processes with p_subreaper */

void
proc_set_subreaper(struct proc *p, bool on)
{
	KASSERT(mutex_owned(&proc_lock) && p->p_stat <= PS_DYING);
	if (p->p_subreaper == on)
		return;
	p->p_subreaper = on;
	if (on)
		nsubreapers++;
	else
		nsubreapers--;
}

/* Who has p's orphans: the nearest of its ancestors that asked for such and does not exit itself, or init. */
static struct proc *
adoptive_parent(const struct proc *p)
{
	if (likely(nsubreapers == 0))
		return initproc;
	for (struct proc *up = p->p_pptr; up != initproc && up != &proc0; up = up->p_pptr)
		if (up->p_subreaper && up->p_stat < PS_DYING)
			return up;
	return initproc;
}

/* child's parent p exits, and child asked to be told. => proc_lock held */
static void __noinline
tell_orphan(struct proc *child, const struct proc *p)
{
	siginfo_t si = { .si_signo = child->p_pdeathsig, .si_code = SI_USER };

	si.u.rt.pid = p->p_pid;
	si.u.rt.uid = p->p_cred->cr_ids.ruid;
	mutex_lock(&child->p_lock);
	sig_post_proc(child, child->p_pdeathsig, &si);
	mutex_unlock(&child->p_lock);
}

/* Moves p's children to init or a subreaper, which hears of those that are dead already (B62). => proc_lock held */
static void
reparent_children(struct proc *p)
{
	struct proc *child, *heir;

	KASSERT(mutex_owned(&proc_lock) && p->p_stat == PS_DYING);
	if (unlikely(p->p_subreaper))
		proc_set_subreaper(p, false);
	if (list_empty(&p->p_children))
		return;
	heir = adoptive_parent(p);
	/* From the end on, so that the dead ones come to stand in front in the order that they have here. */
	while (!list_empty(&p->p_children)) {
		child = list_last(&p->p_children, struct proc, p_sibling);
		KASSERT(child->p_pptr == p && (child->p_stat != PS_DEAD || exit_deferred()));
		child->p_exitsig = SIGCHLD;
		if (child->p_stat == PS_ZOMB)
			cv_broadcast(&bequeath(child, heir)->p_waitcv);
		else {
			list_remove(&child->p_sibling);
			list_insert_tail(&heir->p_children, &child->p_sibling);
			proc_set_parent(child, heir);
			if (child->p_report != REPORT_NONE) {
				heir->p_nstopchild++;
				cv_broadcast(&heir->p_waitcv);
			}
			(void)pgrp_jobc_update(child);
			if (unlikely(child->p_pdeathsig != 0))
				tell_orphan(child, p);
		}
	}
	p->p_nstopchild = 0;
}

/* Address space: move to the kernel's, then drop ours, on our own stack and with no lock held. */
static void
leave_space(struct proc *p)
{
	struct vmspace *vm = p->p_vmspace;

	preempt_disable();
	p->p_vmspace = &vmspace_kernel;
	vmspace_activate(&vmspace_kernel);
	preempt_enable();
	vmspace_unref(vm);
	TRACE(EXIT, TRX_SPACE, p->p_pid, 0);
}

/* => single-threaded owner in EXIT mode, no lock held */
static void __noreturn
exit_process(struct proc *p, struct lwp *l)
{
	struct proc *parent, *heir;
	bool reaper = exit_mode == EXIT_REAPER;

	KASSERT(l == curlwp() && l->l_proc == p && (p->p_flag & PK_EXITING));
	KASSERT(p->p_single == l && p->p_singlemode == SINGLE_EXIT && p->p_nlwps == 1);
	if (unlikely(atomic_load_relaxed(&debug_step_lwp) == l))
		debug_step_gone();
	timers_exit(p); /* before proc_lock is taken: see timers.c */
	if (p == initproc)
		init_exited(p); /* does not return */

	/* From here on nobody finds us. Signals are not taken since the exit has begun. */
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	proc_setstat(p, PS_DYING);
	mutex_unlock(&p->p_lock);
	if (unlikely(p->p_report != REPORT_NONE))
		proc_report(p, REPORT_NONE);
	mutex_unlock(&proc_lock);
	lwp_release_user_state(l);

	fd_unref(p->p_fd);
	p->p_fd = NULL;
	if (p->p_cwd != NULL) {
		inode_unref(p->p_cwd);
		p->p_cwd = NULL;
	}

	TRACE(EXIT, TRX_FILES, p->p_pid, 0);
	p->p_ru.ru_maxrss = max(p->p_ru.ru_maxrss, (uint64_t)p->p_vmspace->vm_maxpages);
	if (likely(!reaper))
		leave_space(p);

	mutex_lock(&proc_lock);
	vfork_release(p);
	ctty_exit(p);
	reparent_children(p);
	list_remove(&p->p_list);
	list_insert_tail(&zombproc, &p->p_list);
	mutex_lock(&p->p_lock);
	sigpend_drop(&p->p_sigpend);
	sig_lwp_exit(l);
	proc_account(p, l, lwp_cputime(l));
	p->p_ru.ru_nvcsw++; /* the last switch */
	proc_setstat(p, PS_DEAD);
	mutex_unlock(&p->p_lock);
	TRACE(EXIT, TRX_DEAD, p->p_pid, 0);
	fp(exit_after_dead);
	if (p->p_jobc) /* not any more */
		(void)pgrp_jobc_update(p);
	parent = p->p_pptr;
	heir = likely(!reaper) ? bequeath(p, parent) : NULL;

	mutex_lock(&p->p_lock);
	KASSERT(p->p_nlwps == 1 && p->p_nlive == 1 && list_empty(&p->p_deadlwps) &&
	    list_empty(&p->p_zlwps) && p->p_nlwpwait == 0);
	if (l->l_lid == p->p_pid)
		id_revert(p);
	else {
		/* Its own id goes now; the PID's entry is the process's since the lead LWP was freed. */
		KASSERT(idt_proc(&idtable, p->p_pid) == p);
		id_free(l->l_lid);
	}
	p->p_nzlwps = 1;
	lwp_become_zombie(l);
	if (unlikely(reaper)) {
		exitmode_push(l); /* the rest is the reaper's */
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
		lwp_exit_switch(l);
	}
	proc_setstat(p, PS_ZOMB);
	mutex_unlock(&p->p_lock);

	TRACE(EXIT, TRX_ZOMB, p->p_pid, 0);
	cv_broadcast(&heir->p_waitcv);
	if (heir != parent) /* who waits for just this child must see that it is not there */
		cv_broadcast(&parent->p_waitcv);
	mutex_unlock(&proc_lock);
	fp(exit_after_wake_before_switch);
	/* `p` may be collected as soon as we are off this CPU; nothing of it is used below. */
	lwp_exit_switch(l);
}

/* The end of that, where a reaper has freed p's address space. */
void
proc_announce(struct proc *p)
{
	struct proc *parent, *heir;

	mutex_lock(&proc_lock);
	parent = p->p_pptr;
	heir = bequeath(p, parent);
	mutex_lock(&p->p_lock);
	proc_setstat(p, PS_ZOMB);
	mutex_unlock(&p->p_lock);
	TRACE(EXIT, TRX_ZOMB, p->p_pid, 0);
	cv_broadcast(&heir->p_waitcv);
	if (heir != parent)
		cv_broadcast(&parent->p_waitcv);
	mutex_unlock(&proc_lock);
}

/* p has its own address space now, or none: its vfork parent goes on. => proc_lock held */
void
vfork_release(struct proc *p)
{
	struct lwp *l = p->p_vforklwp;

	KASSERT(mutex_owned(&proc_lock));
	if (l == NULL)
		return;
	KASSERT(l->l_vforkchild == p && (p->p_vmspace != l->l_proc->p_vmspace || exit_deferred()));
	fp(vfork_release);
	p->p_vforklwp = NULL;
	l->l_vforkchild = NULL;
	cv_broadcast(&l->l_proc->p_vforkcv);
}

/*
 * proc_exit: => no lock held. If another LWP is already taking the process down, this one just dies; if one
 * execs, a killing signal is kept in p_xsig for whoever reaches user mode next.
 */
void
proc_exit(int code, int sig)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;

	for (;;) {
		mutex_lock(&p->p_lock);
		if (proc_single(p) == NULL || p->p_single == l)
			break; /* a hold gives way */
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
	KASSERT((p->p_flag & PK_EXITING) == 0 && (l->l_prflag & LPR_EXITING) == 0);
	p->p_single = l;
	p->p_singlemode = SINGLE_EXIT;
	p->p_flag |= PK_EXITING;
	if (p->p_flag & PK_KILLED) {
		code = 0;
		sig = p->p_xsig;
	}
	p->p_xexit = code;
	p->p_xsig = sig;
	TRACE(EXIT, TRX_BEGIN, p->p_pid,
	    (uint64_t)(p->p_nlwps > 1) << 32 | (uint64_t)(sig != 0 ? 128 + sig : code & 0xff));
	mutex_unlock(&p->p_lock);
	hold_poke();
	(void)single_begin(SINGLE_EXIT);
	exit_process(p, l);
}
