/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Id lookups and allocation over the one table. docs/protocol.md 1.4, 1.5.
 *
 * Readers look at the array with interrupts off and take no lock; a replaced array is freed after a
 * cpu_call() to all CPUs, which no such reader can outlast. What they find may be freed and reused at
 * once, but only as an LWP: they lock it and then ask again who it is. An LWP that is IDL is hidden.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/failpoint.h>
#include <kernel/idtable.h>
#include <kernel/kmem.h>
#include <kernel/sched.h>

struct mutex proc_lock __cacheline_aligned = MUTEX_INIT("proc_lock", RANK_PROC_LIST);
struct idtable idtable;

static void
nothing(void *arg __unused)
{
}

int
id_enter(void)
{
	mutex_lock(&proc_lock);
	while (unlikely(idt_full(&idtable))) {
		struct id_array *new, *old;
		uint32_t size = idtable.array->mask + 1;

		mutex_unlock(&proc_lock);
		if (size >= IDT_MAX)
			return -EAGAIN;
		new = kmem_zalloc(id_array_size(size * 2));
		if (new == NULL)
			return -EAGAIN;
		fp(id_grow_unlocked);
		mutex_lock(&proc_lock);
		if (idtable.array->mask + 1 != size) { /* another LWP grew it */
			mutex_unlock(&proc_lock);
			kmem_free(new, id_array_size(size * 2));
			mutex_lock(&proc_lock);
			continue;
		}
		old = idt_grow(&idtable, new);
		mutex_unlock(&proc_lock);
		cpu_call(cpu_online_set, nothing, NULL);
		kmem_free(old, id_array_size(size));
		mutex_lock(&proc_lock);
	}
	return 0;
}

/* A thread of a process whose PID entry lies fallow takes the PID; any other gets a fresh id. */
pid_t
id_alloc_lwp(struct lwp *l)
{
	struct proc *p = l->l_proc;

	KASSERT(mutex_owned(&proc_lock) && l->l_stat == LS_IDL);
	if (p->p_pid != 0 && idt_proc(&idtable, p->p_pid) == p) {
		id_usurp(p, l);
		l->l_lid = p->p_pid;
	} else
		l->l_lid = idt_alloc(&idtable, NULL, l);
	return l->l_lid;
}

/* Zombies included. */
struct proc *
proc_find_any(pid_t pid)
{
	struct proc *p;
	struct lwp *l;

	KASSERT(mutex_owned(&proc_lock));
	if (pid <= 0)
		return NULL;
	if ((p = idt_proc(&idtable, pid)) == NULL) {
		if ((l = idt_lwp(&idtable, pid)) == NULL)
			return NULL;
		p = l->l_proc;
	}
	return p->p_pid == pid && p->p_stat != PS_IDL ? p
						      : NULL; /* another LWP's id is not a PID */
}

struct proc *
proc_find(pid_t pid)
{
	struct proc *p = proc_find_any(pid);

	return p != NULL && (p->p_stat == PS_ACTIVE || p->p_stat == PS_STOP) ? p : NULL;
}

struct proc *
proc_find_member(lwpid_t id)
{
	struct proc *p = proc_find_any(id);
	struct lwp *l;

	if (p != NULL || id <= 0 || (l = idt_lwp(&idtable, id)) == NULL)
		return p;
	/* proc_lock keeps the id, and so what it names. */
	p = l->l_proc;
	if ((p->p_flag & PK_SYSTEM) != 0)
		return NULL;
	return lwp_stat(l) != LS_IDL && lwp_stat(l) != LS_ZOMB && p->p_stat != PS_IDL ? p : NULL;
}

struct pgrp *
pgrp_find(pid_t id)
{
	struct pgrp *pg;

	KASSERT(mutex_owned(&proc_lock));
	if (id <= 0 || (pg = idt_pgrp(&idtable, id)) == NULL || list_empty(&pg->pg_members))
		return NULL;
	return pg;
}

/* As lwp_find(), and those that are ZOMB. */
struct lwp *
lwp_find_dead(struct proc *p, lwpid_t lid)
{
	bool intr;
	struct lwp *l;

	KASSERT(mutex_owned(&p->p_lock));
	if (lid <= 0)
		return NULL;
	intr = arch_intr_disable();
	l = idt_lwp(&idtable, lid);
	/* That l is of p implies that all table updates before p's birth are visible; p_lock holds l's state. */
	if (l != NULL &&
	    (atomic_load_relaxed(&l->l_proc) != p || lwp_stat(l) == LS_IDL ||
		atomic_load_relaxed(&l->l_lid) != lid))
		l = NULL;
	arch_intr_restore(intr);
	return l;
}

struct lwp *
lwp_find(struct proc *p, lwpid_t lid)
{
	struct lwp *l = lwp_find_dead(p, lid);

	return l != NULL && lwp_stat(l) != LS_ZOMB ? l : NULL;
}

struct lwp *
lwp_find_locked(const struct proc *p, lwpid_t lid)
{
	bool intr;
	struct lwp *l;

	if (lid <= 0)
		return NULL;
	intr = arch_intr_disable();
	l = idt_lwp(&idtable, lid);
	if (l == NULL) {
		arch_intr_restore(intr);
		return NULL;
	}
	lwp_lock_off(l, intr);
	if (l->l_stat == LS_IDL || l->l_lid != lid || (p != NULL && l->l_proc != p)) {
		lwp_unlock(l);
		return NULL;
	}
	return l;
}

struct proc *
lwp_find_acquire_both(lwpid_t lid, struct lwp **lp)
{
	struct proc *p;
	struct lwp *l;

	mutex_lock(&proc_lock);
	if (lid <= 0 || (l = idt_lwp(&idtable, lid)) == NULL) {
		mutex_unlock(&proc_lock);
		return NULL;
	}
	/* proc_lock keeps the id, so the LWP and its process, in being until p_lock is ours. */
	p = l->l_proc;
	mutex_lock(&p->p_lock);
	if (lwp_stat(l) == LS_IDL || lwp_stat(l) == LS_ZOMB || l->l_lid != lid || l->l_proc != p) {
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
		return NULL;
	}
	*lp = l;
	return p;
}

struct proc *
lwp_find_acquire_proc(lwpid_t lid, struct lwp **lp)
{
	struct proc *p = lwp_find_acquire_both(lid, lp);

	if (p != NULL)
		mutex_unlock(&proc_lock);
	return p;
}
