/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life cycle of processes and LWPs, id lookups, user-return work.
 * layer: proc
 */
#ifndef KERNEL_PROCESS_H
#define KERNEL_PROCESS_H

#include <kernel/cred.h>
#include <kernel/idtable.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/proc.h>

/* ---- lookups, docs/protocol.md 1.5 ---- */
struct proc *proc_find(pid_t);                     /* => proc_lock held; live processes only */
struct proc *proc_find_any(pid_t);                 /* => proc_lock held; zombies too */
struct proc *proc_find_member(lwpid_t);            /* the same, or by the id of one of its LWPs */
struct pgrp *pgrp_find(pid_t);                     /* => proc_lock held; non-empty groups only */
struct lwp *lwp_find(struct proc *, lwpid_t);      /* => p_lock held; not IDL, not ZOMB */
struct lwp *lwp_find_dead(struct proc *, lwpid_t); /* => p_lock held; not IDL: the dead too */
/* Finds an LWP of process `p` (any process if NULL); returns it locked, or NULL. => no spin lock held */
struct lwp *lwp_find_locked(const struct proc *p, lwpid_t);
/* Finds the process of an LWP id and returns with its p_lock held, or NULL. */
struct proc *lwp_find_acquire_proc(lwpid_t, struct lwp **);
struct proc *lwp_find_acquire_both(lwpid_t, struct lwp **); /* the same, with proc_lock held too */

/* ---- ids ---- */
void procs_init(void); /* tables, caches, proc0 */
/* Takes proc_lock, with room for at least one more id in the table. -EAGAIN: the table is at its limit (lock not held). */
int id_enter(void);
/* => proc_lock held, room made by id_enter() */
pid_t id_alloc_lwp(struct lwp *);
extern struct idtable idtable; /* (x), lookups lock-free */

static inline void
id_free(pid_t id) /* => proc_lock held */
{
	KASSERT(mutex_owned(&proc_lock));
	idt_free(&idtable, id);
}

static inline void
id_usurp(const struct proc *p, struct lwp *l) /* p's PID is l's id. => proc_lock held */
{
	KASSERT(mutex_owned(&proc_lock));
	idt_set_lwp(&idtable, p->p_pid, l);
}

static inline void
id_revert(struct proc *p) /* p's PID is no LWP's id any more. => proc_lock held */
{
	KASSERT(mutex_owned(&proc_lock));
	idt_set_proc(&idtable, p->p_pid, p);
}

/* ---- birth ---- */
void proc_cache_init(void);
void proc_init(struct proc *);         /* of zeroed memory: IDL, with locks and empty lists */
struct proc *proc_alloc(void);         /* the same, allocated; NULL = no memory */
void proc_free(struct proc *);         /* back to the cache; nothing may refer to it */
struct lwp *lwp_alloc(struct proc *);  /* IDL, with a kernel stack, no id; NULL = no memory */
void lwp_unalloc(struct lwp *);        /* one that was never linked */
bool lwp_is_clear(const struct lwp *); /* nothing is left of an earlier life (fsck, assertions) */
void lwp_link(struct proc *,
    struct lwp *);            /* => p_lock held; inherits pending exit or boundary from curlwp */
void lwp_start(struct lwp *); /* => p_lock held; IDL -> RUN */

struct clone_args {
	uint64_t flags;
	uintptr_t stack; /* 0 = the parent's */
	uintptr_t tls;
	uintptr_t parent_tid, child_tid;
	int exit_signal;
};
/* A new LWP gets user registers, signal mask, name of the current one. => it is IDL, not linked; see sched_fork() */
void lwp_prepare(struct lwp *, const struct clone_args *);
/* Process or thread; the child's id or -errno. => no lock held; sleeps */
int64_t do_clone(const struct clone_args *);

/* ---- state and family ---- */
/* The only writer of p_stat: checks the transition. => proc_lock and p_lock held */
void proc_setstat(struct proc *, enum proc_state);
void proc_set_parent(struct proc *, struct proc *parent); /* lists aside. => proc_lock held */

/* ---- groups and sessions ---- */
void pgrp_enter(struct proc *, struct pgrp *); /* => proc_lock held */
void pgrp_leave(struct proc *);                /* => proc_lock held */
/*
 * p's parent, or p's or its parent's group, has changed, or p is dead: counts p in its group's pg_jobc or not.
 * If that orphans a group of which some member is stopped, all get SIGHUP and SIGCONT; true then.
 * => proc_lock held, no p_lock
 */
bool pgrp_jobc_update(struct proc *);

/* ---- stop and continue, docs/protocol.md 4.7 ---- */
/*
 * LW_WSTOP is set: takes a stop signal, or joins a stop that has begun, and rests until the process is continued or
 * must die. => no lock held
 */
void lwp_stop_point(void);
void proc_stop_check(
    struct proc *); /* an LWP of p has left: is p stopped now? => no lock held; sleeps */
void proc_continue(struct proc *); /* PK_STOP is set. => proc_lock and p_lock held */
/* Is p to have its descendants' orphans? => proc_lock held */
void proc_set_subreaper(struct proc *, bool);
void proc_report(struct proc *, enum proc_report); /* => proc_lock held */

/* LWPs of p that a stop or hold waits for: those in exit rest soon enough. => p_lock held */
uint32_t lwps_awake(const struct proc *p);
/* All LWPs of p but `self` rest where they are or at their stop point: stop.c. => p_lock held */
void lwps_stop(struct proc *p, const struct lwp *self);

/* ---- holds, docs/protocol.md 4.3 ---- */
/*
 * Makes all LWPs of a process rest (ALLPROC), of one's own all others (NO_EXIT), or (HOLD_ALL) those of all processes;
 * until hold_end(), by the same LWP before it returns to user mode. Who sleeps rests in its sleep. There is one
 * hold at a time. -ESRCH there is no such process or it is exiting; -EPERM kernel process; -ERESTART interrupted.
 * => no lock held; sleeps
 */
#define HOLD_ALL 0
int hold_begin(pid_t);
void hold_end(void);
bool hold_is_owner(const struct lwp *); /* between the two. => p_lock of its process held */
/* p has changed so that it can be held now, or need not. => no lock held; sleeps */
void hold_poke(void);
/* An LWP of p is about to rest (1) or has left (0). => proc_lock and p_lock held */
void hold_rested(struct proc *, uint32_t resting);

/* ---- single-threading, docs/protocol.md 4.3 ---- */
/*
 * Makes curlwp the only LWP of its process that can run user code (BOUNDARY), or the only one (EXIT).
 * 0; -ERESTARTNOINTR: another LWP was first, unwind to the user boundary and be parked or die there.
 * => no lock held; sleeps
 */
int single_begin(enum single_mode);
void single_end(void);      /* ends BOUNDARY: the others go on */
void single_boundary(void); /* park here while another LWP holds BOUNDARY. => no lock held */
/* A live LWP rests (vfork wait) where single-threading may count it as parked. => p_lock held */
void single_rest_begin(struct proc *);
void single_rest_end(struct proc *);
/* Frees the dead LWPs of p. => p_lock held, dropped and taken again; returns true if it was dropped */
bool lwp_reap_dead(struct proc *);
void lwp_free(struct lwp *);
/* The steps of that, see exitmode.c. => p_lock held; proc_lock held; no lock held */
void lwp_unlink_dead(struct proc *, struct lwp *);
void lwp_free_id(struct proc *, const struct lwp *);
void lwp_free_stack(struct lwp *);
size_t lwps_inuse(void), procs_inuse(void);
void procs_init_early(void);
int session_create(struct proc *);

/* ---- the native calls, docs/protocol.md 3 ---- */
/*
 * lwp_wait: collects a dead LWP that is not detached, `lid` or (0) any; *departed is its id. -ESRCH nothing to wait
 * for; -EINVAL detached; -EDEADLK it would never end; -ERESTART, -EINTR interrupted.
 * lwp_detach: -ESRCH; -EINVAL already detached.
 * lwp_suspend: returns when it is suspended, or continued meanwhile. -ESRCH; -EDEADLK nobody would be left to
 * continue it; -ERESTART, -EINTR, -ERESTARTNOINTR. lwp_continue: -ESRCH.
 * => no lock held; all act on LWPs of the current process; wait and suspend sleep
 */
int lwp_wait(lwpid_t lid, lwpid_t *departed);
int lwp_detach(lwpid_t lid);
int lwp_suspend(lwpid_t lid);
int lwp_continue(lwpid_t lid);
/* At the user boundary: rests there while LW_WSUSPEND is set. => no lock held */
void lwp_suspend_self(void);
/* A suspended or stopped LWP goes on, if only to die. => p_lock held, l locked; unlocked on return */
void lwp_resume(struct lwp *);
/*
 * lwp_park: sleeps until lwp_unpark() or `deadline` (NSEC_FOREVER = none). 0; -EALREADY a token or a cancel was
 * there; -ETIMEDOUT; -EINTR. lwp_unpark: -ESRCH. lwp_wakeup: -ESRCH -ENODEV -EBUSY.
 * => no lock held
 */
int lwp_park(nsec_t deadline);
int lwp_unpark(lwpid_t lid);
int lwp_wakeup(lwpid_t lid);
/* A signal to the LWP `lid`, of process `pid` unless that is 0. -ESRCH -EINVAL -ENOSYS -EAGAIN. => no lock held */
int kill_lwp(pid_t pid, lwpid_t lid, int sig);

/* ---- life and death ---- */
/* Process exit of the current process. `sig` != 0: killed by it. */
void proc_exit(int code, int sig) __noreturn;
void lwp_exit(
    int code) __noreturn; /* the current LWP; the last one ends its process with this code */

/* init has exited with status and signal as in p: ends the run (init/main.c). */
void init_exited(struct proc *) __noreturn;
void vfork_release(struct proc *); /* => proc_lock held */
void proc_announce(
    struct proc *); /* one that is DEAD becomes ZOMB, and its parent's. => no lock held */
/* Neither goes back. => p_lock held; or p is dead, and proc_lock held */
void proc_times(struct proc *, nsec_t *user, nsec_t *sys);
void proc_adopter(void) __noreturn;
/* Waits until the adopter has freed all that is dead and its to collect. => no lock held; sleeps */
void proc_adopter_drain(void);
void proc_collect_all(struct proc *);
/* Adds to p_ru what an LWP that leaves has used; `rtime` is its CPU time. => p_lock held */
void proc_account(struct proc *, const struct lwp *, nsec_t rtime);
void proc_usage(struct proc *, struct rusage_acc *); /* => p_lock held */
void lwp_usage(struct lwp *, struct rusage_acc *);   /* => curlwp */
struct abi_rusage;
void rusage_to_abi(const struct rusage_acc *, struct abi_rusage *);

/* Wait-status word as wait4 returns it. => p is dead or p_lock held */
static inline uint32_t
proc_wait_status(const struct proc *p)
{
	return (uint32_t)(p->p_xsig != 0 ? p->p_xsig & 0x7f : (p->p_xexit & 0xff) << 8);
}

/* Kernel threads. Priority e.g. PRI_KERNEL_RT. 0 or -ENOMEM, -EAGAIN. => may sleep */
int kthread_create(const char *name, int pri, void (*fn)(void *), void *arg, struct lwp **);
void kthread_exit(void) __noreturn;

/* ---- user return ---- */
/* Sets a flag that the user boundary looks at on l, arms it, and ends an interruptible sleep. => p_lock held */
void lwp_interrupt(struct lwp *, uint32_t lwflag);

#endif
