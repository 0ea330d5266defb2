/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process structure: memory, state, parent.
 *
 * Memory is type-stable, as that of LWPs; a new process is zeroed.
 * The state changes under proc_lock and p_lock, so each of the two is enough to read it.
 */
#include <kernel/process.h>

#include <kernel/kmem.h>
#include <kernel/panic.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/string.h>

const char *const proc_state_name[] = {
#define X(name) #name,
	PROC_STATES(X)
#undef X
};

static struct kmem_cache *proc_cache;

void
proc_cache_init(void)
{
	proc_cache =
	    kmem_cache_create("proc", sizeof(struct proc), CACHE_LINE, KC_TYPESTABLE, NULL);
	/* Nobody looks at a process without knowing that it lives, but for its state. */
	kmem_cache_stable(
	    proc_cache, offsetof(struct proc, p_stat), offsetof(struct proc, p_stat) + 1);
}

void
proc_init(struct proc *p)
{
	_Static_assert(PS_IDL == 0, "a zeroed process is IDL");
	KASSERT(p->p_stat == PS_IDL);
	mutex_init(&p->p_lock, "p_lock", RANK_PROC);
	list_init(&p->p_children);
	list_init(&p->p_lwps);
	list_init(&p->p_deadlwps);
	list_init(&p->p_zlwps);
	cv_init(&p->p_waitcv, "wait");
	cv_init(&p->p_lwpcv, "lwpwait");
	cv_init(&p->p_vforkcv, "vfork");
	cv_init(&p->p_boundarycv, "boundary");
	sigpend_init(&p->p_sigpend);
}

struct proc *
proc_alloc(void)
{
	struct proc *p = kmem_cache_alloc(proc_cache);

	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	proc_init(p);
	return p;
}

void
proc_free(struct proc *p)
{
	KASSERT(p->p_stat == PS_IDL || p->p_stat == PS_ZOMB);
	KASSERT(list_empty(&p->p_lwps) && list_empty(&p->p_children) && p->p_pgrp == NULL);
	KASSERT(p->p_timers == NULL && p->p_cputick == 0 && p->p_ncharged == 0 && p->p_nreap == 0);
	if (p->p_cred != NULL)
		cred_unref(p->p_cred);
	mutex_destroy(&p->p_lock);
	cv_destroy(&p->p_waitcv);
	cv_destroy(&p->p_lwpcv);
	cv_destroy(&p->p_vforkcv);
	cv_destroy(&p->p_boundarycv);
	DEBUG_ONLY(p->p_pptr = (struct proc *)(uintptr_t)0xdead4ead;)
	kmem_cache_free(proc_cache, p);
}

size_t
procs_inuse(void)
{
	return kmem_cache_inuse(proc_cache);
}

#define TO(s) (1u << PS_##s)
static const uint8_t proc_legal[PS_COUNT] __unused = {
	[PS_IDL] = TO(ACTIVE),
	[PS_ACTIVE] = TO(STOP) | TO(DYING),
	[PS_STOP] = TO(ACTIVE) | TO(DYING),
	[PS_DYING] = TO(DEAD),
	[PS_DEAD] = TO(ZOMB),
};

void
proc_setstat(struct proc *p, enum proc_state new)
{
	KASSERT(mutex_owned(&proc_lock) && mutex_owned(&p->p_lock));
	KASSERTMSG(new < PS_COUNT && (proc_legal[p->p_stat] & (1u << new)), "pid %d: %s -> %s",
	    p->p_pid, proc_state_name[p->p_stat], proc_state_name[new]);
	p->p_stat = (uint8_t) new;
}

/* The PID is copied, so that getppid needs no look at a parent that may be gone. */
void
proc_set_parent(struct proc *p, struct proc *parent)
{
	KASSERT(mutex_owned(&proc_lock));
	p->p_pptr = parent;
	atomic_store_relaxed(&p->p_ppid, parent->p_pid);
}
