/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process, process group and session structures.
 * layer: core
 */
#ifndef KERNEL_PROC_H
#define KERNEL_PROC_H

#include <abi/signal.h>
#include <kernel/cv.h>
#include <kernel/list.h>
#include <kernel/lwp.h>
#include <kernel/mutex.h>
#include <kernel/types.h>

struct lwp;
struct vmspace;
struct filedesc;
struct inode;
struct ptimers;
struct cred;

#define PROC_STATES(X) \
	X(IDL) /* being made */ \
	X(ACTIVE) \
	X(STOP)  /* all its LWPs rest, for job control */ \
	X(DYING) /* exit has begun: not found by proc_find() */ \
	X(DEAD)  /* announced to the parent, not yet collectable */ \
	X(ZOMB)

enum proc_state {
#define X(name) PS_##name,
	PROC_STATES(X)
#undef X
	    PS_COUNT
};

/* X(mode): single-threading, docs/protocol.md 4.3. From NO_EXIT on it is a hold (hold.c). */
#define SINGLE_MODES(X) \
	X(NONE) \
	X(BOUNDARY) \
	X(EXIT) \
	X(NO_EXIT) \
	X(ALLPROC)

enum single_mode {
#define X(name) SINGLE_##name,
	SINGLE_MODES(X)
#undef X
};

/* p_flag: p_lock. */
#define PK_SYSTEM  0x0001 /* kernel process */
#define PK_EXEC    0x0002 /* has exec'ed */
#define PK_EXITING 0x0008 /* process exit has begun */
#define PK_KILLED \
	0x0020 /* must die of signal p_xsig: who comes to the user boundary first sees to it */
#define PK_STOP 0x0040 /* stopped or stopping, until it is continued or ends */
#define PK_TELLCONT \
	0x0080 /* was continued: the first LWP that leaves its stop point tells the parent */

/* What wait can report of a live child, once. */
enum proc_report { REPORT_NONE, REPORT_STOPPED, REPORT_CONTINUED };

#define PK_NPROC 0x1000 /* by setuid the user may have too many LWPs: exec looks */

#define PROC_NAMELEN 16

struct rusage_acc {                /* accumulated usage */
	nsec_t ru_utime, ru_stime; /* of one process: as they were told last; see proc_times() */
	nsec_t ru_rtime;
	uint64_t ru_uticks, ru_sticks;
	uint64_t ru_nvcsw, ru_nivcsw, ru_minflt;
	uint64_t ru_maxrss; /* pages */
};

struct session {
	uint32_t s_refs; /* (x) groups in it that have members */
	pid_t s_sid;     /* (c) */
	uint32_t s_seen; /* (x) of fsck: s_refs counted again */
};

struct pgrp {
	struct list pg_members;     /* (x) p_pglist */
	struct session *pg_session; /* (c) */
	pid_t pg_id;                /* (c) */
	uint32_t pg_jobc;           /* (x) members with p_jobc; 0: the group is orphaned */
};

/*
 * struct proc, field locks:
 *   (x) proc_lock      (p) p_lock       (c) constant while not IDL
 *   (a) atomic         (o) one LWP (single-threaded moment: birth, exit, exec)
 *   (g) the gdb stub, with the world stopped
 */
struct proc {
	struct mutex p_lock;
	struct list p_list;     /* (x) live or zombie list */
	struct list p_sibling;  /* (x) parent's p_children */
	struct list p_children; /* (x) dead ones, and those with a report, come to stand in front */
	struct list p_pglist;   /* (x) */
	struct proc *p_pptr;    /* (x) parent: proc_set_parent() */
	pid_t p_ppid;           /* (x) its PID; read without by getppid */
	struct pgrp *p_pgrp;    /* (x) */
	bool p_jobc;            /* (x) its parent is in another group of its session: in pg_jobc */
	bool p_ctty;            /* (x) its session's terminal, if it has one, is its own too */
	uint8_t p_report;       /* (x) enum proc_report: proc_report() */
	pid_t p_pid;            /* (c) */
	uint8_t p_stat;         /* (x) and (p) to change, by proc_setstat(); either to read */
	uint32_t p_flag;        /* (p) PK_* */
	uint32_t p_nstopchild;  /* (x) children that are dead or have a p_report */
	struct condvar p_waitcv; /* with proc_lock: wait4 sleeps here */
	int p_exitsig;           /* (x) signal to the parent at exit; SIGCHLD or 0 */
	uint8_t p_pdeathsig;     /* (x) signal to itself when its parent exits; 0 = none */
	bool p_subreaper;        /* (x) its descendants' orphans are its: proc_set_subreaper() */

	struct vmspace *p_vmspace; /* (o) */
	struct filedesc *p_fd;     /* (o) */
	struct inode *p_cwd;       /* (p) */
	uint32_t p_umask;          /* (p) */

	/* LWPs. */
	struct list p_lwps;     /* (p) */
	uint32_t p_nlwps;       /* (p) all that are linked */
	uint32_t p_nzlwps;      /* (p) dead or in exit */
	uint32_t p_nrlwps;      /* (p) RUN, ONPROC, SLEEP and linked IDL */
	uint32_t p_nlive;       /* (p) linked and not ZOMB */
	struct condvar p_lwpcv; /* with p_lock: LWP count or state changed */
	struct list p_deadlwps; /* (p) detached dead LWPs to be freed in a batch (l_free) */
	struct list p_zlwps;    /* (p) dead LWPs that _lwp_wait may collect (l_free) */
	uint32_t p_nlwpwait;    /* (p) LWPs in _lwp_wait */
	uint32_t p_nreap;       /* (p) dead LWPs that others are to free: see exitmode.c */
	struct lwp *p_single;   /* (p) single-threading owner; in ALLPROC of another process */
	uint8_t p_singlemode;   /* (p) enum single_mode */
	uint32_t
	    p_nboundary; /* (p) LWPs parked or suspended at the user boundary, or in a vfork wait */
	struct condvar p_boundarycv; /* with p_lock: they sleep here */
	struct lwp *p_vforklwp;      /* (x) parent's LWP that waits for this child */
	struct condvar p_vforkcv; /* with proc_lock: its LWPs wait for their vfork children here */

	/* Signals. */
	struct sigacts *p_sigacts; /* (p) */
	struct sigpend p_sigpend;  /* (p) */
	struct ptimers *p_timers;  /* (p) to set; NULL = none was ever used; see timers.c */
	int p_stopsig;             /* (p) the signal that stopped it last */
	uint32_t p_cputick;        /* (a) there are timers by CPU time: changed under p_lock */
	uint32_t p_groupsigs;      /* (p) signals that were sent to it and others at once */

	/* Exit. */
	int p_xexit; /* (p) exit code */
	int p_xsig;  /* (p) terminating signal, 0 = none */

	/* Accounting and limits. */
	struct rusage_acc p_ru;  /* (p) of LWPs that are gone */
	struct rusage_acc p_cru; /* (x) of collected children */
	struct {
		uint64_t cur, max;
	} p_rlimit[16];            /* (p) */
	nsec_t p_start;            /* (c) */
	char p_comm[PROC_NAMELEN]; /* (p) */
	uintptr_t p_stack_top;     /* (o) */
	struct cred *p_cred;       /* (x)+(p) to change; one of them to read, or see cred_self() */
	uint32_t p_credseq;        /* (a) changes after p_cred */
	uint32_t p_ncharged;       /* (x) LWPs counted for its user, see limit.c */
	bool p_shown;              /* (g) gdb has been told of it */
};

extern const char *const proc_state_name[];
extern const char *const single_mode_name[];
extern struct mutex proc_lock; /* families, groups, id table, live and zombie lists */
extern struct list allproc;    /* (x) live processes */
extern struct list zombproc;   /* (x) zombies */
extern struct proc proc0;      /* kernel process */
extern struct proc *initproc;  /* (c) after boot: PID 1 */

/* The LWP that execs p or ends it, or NULL. A hold, which gives way to an exit, does not count. => p_lock held */
static inline struct lwp *
proc_single(const struct proc *p)
{
	return p->p_singlemode < SINGLE_NO_EXIT ? p->p_single : NULL;
}

/* Is l to rest because its process is held? => p_lock held */
static inline bool
proc_holds(const struct proc *p, const struct lwp *l)
{
	return unlikely(p->p_singlemode >= SINGLE_NO_EXIT) && p->p_single != l;
}

/* Has l, the current LWP, nothing left to do but die? SIGKILL is only pending while it runs. A hint: no lock. */
static inline bool
lwp_killed(const struct lwp *l)
{
	uint32_t flags = atomic_load_relaxed(&l->l_flag) & (LW_KILL | LW_PENDSIG);

	return unlikely(flags != 0) &&
	    ((flags & LW_KILL) != 0 ||
		(atomic_load_relaxed(&l->l_proc->p_sigpend.sp_set) & SIGBIT(SIGKILL)) != 0);
}

#endif
