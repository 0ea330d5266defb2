/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In-kernel tests of the assertions and guards that the other tests rely on; most must end in a panic.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/cv.h>
#include <kernel/debug.h>
#include <kernel/idtable.h>
#include <kernel/mutex.h>
#include <kernel/process.h>
#include <kernel/sched.h>

/* Takes the lock of curlwp and asks for ONPROC -> IDL. */
static int
panic_setstat(void)
{
	mutex_lock(&curproc()->p_lock);
	lwp_lock(curlwp());
	lwp_setstat(curlwp(), LS_IDL);
	return -EIO;
}
KTEST(panic_setstat, "panic-setstat", panic_setstat);

static int
panic_procstat(void)
{
	mutex_lock(&proc_lock);
	mutex_lock(&curproc()->p_lock);
	proc_setstat(curproc(), PS_ZOMB);
	return -EIO;
}
KTEST(panic_procstat, "panic-procstat", panic_procstat);

static struct mutex low = MUTEX_INIT("low", RANK_FILE), high = MUTEX_INIT("high", RANK_PROC);

static int
panic_mutex_order(void)
{
	mutex_lock(&high);
	mutex_lock(&low);
	return -EIO;
}
KTEST(panic_mutex_order, "panic-mutex-order", panic_mutex_order);

static int
panic_spin_order(void)
{
	struct spinlock inner = SPINLOCK_INIT("inner", RANK_SPIN_LEAF),
			outer = SPINLOCK_INIT("outer", RANK_SLEEPQ);

	spin_lock(&inner);
	spin_lock(&outer);
	return -EIO;
}
KTEST(panic_spin_order, "panic-spin-order", panic_spin_order);

static int
panic_sleep_under_spin(void)
{
	struct spinlock leaf = SPINLOCK_INIT("leaf", RANK_SPIN_LEAF);

	spin_lock(&leaf);
	mutex_lock(&low); /* free: the check must not depend on contention */
	return -EIO;
}
KTEST(panic_sleep_under_spin, "panic-sleep-under-spin", panic_sleep_under_spin);

static int
panic_mutex_twice(void)
{
	mutex_lock(&low);
	mutex_unlock(&low);
	mutex_unlock(&low);
	return -EIO;
}
KTEST(panic_mutex_twice, "panic-mutex-not-owned", panic_mutex_twice);

static int __noinline
eat_stack(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	return depth > 1000000 ? frame[0] : eat_stack(depth + 1) + frame[0];
}

static int
panic_stack(void)
{
	return eat_stack(0) ? -EIO : -EIO;
}
KTEST(panic_stack, "panic-kernel-stack", panic_stack);

static void
read_byte(void *addr)
{
	(void)*(volatile const char *)addr;
}

/* The page below each kernel stack is not mapped; that of the boot CPU's idle LWP is a case of its own. */
static int
stack_guard(void)
{
	const struct lwp *l;
	int bad = 0;
	bool intr = arch_intr_disable();

	for (l = atomic_load_acquire(&lwp_all); l != NULL; l = l->l_allnext) {
		if (l->l_kstack == NULL)
			continue;
		bad += arch_try_clean(read_byte, (char *)l->l_kstack) != 0;
		bad += arch_try_clean(read_byte, (char *)l->l_kstack - 1) != -EFAULT;
	}
	arch_intr_restore(intr);
	return bad == 0 ? 0 : -EIO;
}
KTEST(stack_guard, "stack-guard", stack_guard);

static int
panic_fsck(void)
{
	mutex_lock(&proc_lock);
	idtable.count++;
	mutex_unlock(&proc_lock);
	fsck();
	return -EIO;
}
KTEST(panic_fsck, "panic-fsck", panic_fsck);

/* The same, found by the option fsck=N. */
static int
fsck_plant(void)
{
	mutex_lock(&proc_lock);
	idtable.count++;
	mutex_unlock(&proc_lock);
	for (int i = 0; i < 100; i++)
		(void)kpause("plant", false, arch_time_ns() + 1000000);
	return 0;
}
KTEST(fsck_plant, "fsck-plant", fsck_plant);

static int
panic_fsck_state(void)
{
	struct lwp *l = lwp_all;

	/* A sleeper with the wrong lock; not ourselves, for the next clock tick would take it. */
	while (l != NULL && l->l_stat != LS_SLEEP)
		l = l->l_allnext;
	if (l == NULL)
		return -ENOENT;
	l->l_mutex = &curcpu()->ci_spc->spc_mutex;
	fsck();
	return -EIO;
}
KTEST(panic_fsck_state, "panic-fsck-state", panic_fsck_state);

static int
panic_fsck_session(void)
{
	mutex_lock(&proc_lock);
	curproc()->p_pgrp->pg_session->s_refs++;
	mutex_unlock(&proc_lock);
	fsck();
	return -EIO;
}
KTEST(panic_fsck_session, "panic-fsck-session", panic_fsck_session);

static int
panic_fsck_single(void)
{
	struct proc *p = curproc();

	mutex_lock(&p->p_lock);
	p->p_single = &lwp0;
	p->p_singlemode = SINGLE_BOUNDARY;
	mutex_unlock(&p->p_lock);
	fsck();
	return -EIO;
}
KTEST(panic_fsck_single, "panic-fsck-single", panic_fsck_single);

/* A free LWP that somebody still writes to. */
static int
panic_fsck_free(void)
{
	struct lwp *l = lwp_alloc(curproc());

	if (l == NULL)
		return -ENOMEM;
	lwp_unalloc(l);
	l->l_restart_deadline = 1;
	fsck();
	return -EIO;
}
KTEST(panic_fsck_free, "panic-fsck-free", panic_fsck_free);
