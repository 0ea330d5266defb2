/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The LWP (light-weight process, thread). Memory is type-stable: a freed struct lwp is only ever
 * reused as one, and l_mutex, l_cpu, l_stat stay valid, so that lock-free lookups may lock it.
 * layer: core
 */
#ifndef KERNEL_LWP_H
#define KERNEL_LWP_H

#include <abi/signal.h>
#include <arch/lwp_types.h> /* struct arch_lwp */
#include <kernel/atomic.h>
#include <kernel/callout.h>
#include <kernel/list.h>
#include <kernel/rwlock.h> /* struct rwhold */
#include <kernel/types.h>

struct cpu;
struct lwpctl;
struct lwpctl_page;
struct proc;
struct spinlock;
struct turnstile;
struct syncobj;

/* X(state, letter shown by ps and /proc) */
#define LWP_STATES(X) \
	X(IDL, 'I') \
	X(RUN, 'R') \
	X(ONPROC, 'O') \
	X(SLEEP, 'S') \
	X(STOP, 'T') \
	X(SUSPENDED, 'U') \
	X(ZOMB, 'Z')

enum lwp_state {
#define X(name, letter) LS_##name,
	LWP_STATES(X)
#undef X
	    LS_COUNT
};

/*
 * X(from, to, lock, who does it): the legal changes of state. Under the LWP's lock; `lock` P: under p_lock too.
 * lwp_setstat() checks; the picture in docs/lwp.md is made from it (`make docs`).
 */
#define LWP_TRANSITIONS(X) \
	X(IDL, RUN, P, "lwp_start()") \
	X(IDL, STOP, P, "lwp_start()") \
	X(RUN, ONPROC, L, "mi_switch() picks it") \
	X(ONPROC, RUN, L, "mi_switch(): it yields") \
	X(ONPROC, SLEEP, L, "sleepq_enqueue()") \
	X(ONPROC, STOP, P, "lwp_stop_point()") \
	X(ONPROC, SUSPENDED, P, "lwp_suspend_self()") \
	X(ONPROC, ZOMB, P, "lwp_exit()") \
	X(SLEEP, RUN, L, "sleepq_remove()") \
	X(SLEEP, ONPROC, L, "sleepq_remove():\nstill on its CPU") \
	X(SLEEP, STOP, P, "lwps_stop()") \
	X(STOP, RUN, P, "lwp_resume()") \
	X(STOP, ONPROC, P, "lwp_resume()") \
	X(STOP, SLEEP, P, "lwp_resume()") \
	X(SUSPENDED, RUN, P, "lwp_resume()") \
	X(SUSPENDED, ONPROC, P, "lwp_resume()") \
	X(ZOMB, IDL, P, "lwp_reap_dead()")

/* l_flag: guarded by the LWP's lock. */
#define LW_IDLE      0x00000001 /* idle LWP of a CPU */
#define LW_SYSTEM    0x00000002 /* kernel thread */
#define LW_SINTR     0x00000004 /* sleep can be interrupted */
#define LW_CATCHINTR 0x00000008 /* asked for an interruptible sleep; cleared by a wakeup */
#define LW_STIMO     0x00000010 /* timeout fired */
#define LW_CANCELLED 0x00000020 /* _lwp_wakeup: next or present interruptible sleep fails */
#define LW_UNPARKED  0x00000040 /* one unpark token is pending */
#define LW_PENDSIG   0x00000080 /* look at the signals before return to user mode */
#define LW_WEXIT     0x00000100 /* must die at the user boundary */
#define LW_WSUSPEND  0x00000200 /* must suspend itself at the user boundary */
#define LW_WBOUNDARY 0x00000400 /* must wait at the user boundary (single-threading) */
#define LW_BOUND     0x00000800 /* never leaves its CPU */
#define LW_WSTOP     0x00001000 /* must look at its stop point whether its process is to stop */
/* Any of these ends or prevents an interruptible sleep; LW_KILL and LW_WSTOP a killable one. */
#define LW_INTERRUPT (LW_CANCELLED | LW_PENDSIG | LW_WEXIT | LW_WSUSPEND | LW_WBOUNDARY | LW_WSTOP)
#define LW_KILL      LW_WEXIT
/* What an LWP has to do at its user boundary, besides its signals. */
#define LW_BOUNDARY (LW_WEXIT | LW_WSUSPEND | LW_WBOUNDARY | LW_WSTOP)

/* l_prflag: guarded by p_lock. */
#define LPR_DETACHED 0x00000001 /* no one waits for it */
#define LPR_EXITING  0x00000004 /* counted in p_nzlwps or about to be */

#define LWP_ANY ((lwpid_t)-1) /* l_waitingfor: any */

/* l_pflag: owner only, or anyone once the LWP is provably off CPU. */
#define LP_INTR       0x00000001 /* switch is involuntary */
#define LP_NOFAULT    0x00000002 /* page faults on user addresses fail at once (no sleep) */
#define LP_SIGRESTORE 0x00000004 /* l_sigoldmask holds the mask to restore */

/* l_ast: set by a store of AST_WORK, which may take the place of the other; that one only takes that of 0. */
#define AST_WORK 1 /* look at everything: user_return() */
#define AST_FULL 2 /* the registers were replaced: load them all */

/* Priorities: higher value runs first. */
#define PRI_IDLE      (-1)
#define PRI_USER      0   /* 0..63 time sharing */
#define PRI_KERNEL    64  /* 64..127 time sharing, boosted while it sleeps in the kernel */
#define PRI_USER_RT   128 /* 128..226 real time: 1..99 of SCHED_FIFO and SCHED_RR */
#define PRI_KERNEL_RT 228 /* 228..255 kernel threads */
#define PRI_COUNT     256
#define PRI_USER_MAX  (PRI_KERNEL - 1) /* of who has not used the CPU lately */
#define PRI_DEFAULT   32               /* of a kernel thread that has time */

/* How POSIX says an LWP is scheduled. All zero is SCHED_OTHER. */
struct sched_class {
	uint8_t sc_policy; /* SCHED_*; of a kernel thread SCHED_FIFO, at any priority */
	int8_t sc_nice;    /* NICE_MIN..NICE_MAX; counts in SCHED_OTHER and SCHED_BATCH */
	uint8_t sc_rtprio; /* SCHED_RTPRIO_MIN..MAX in SCHED_FIFO and SCHED_RR, else 0 */
	bool sc_reset;     /* SCHED_RESET_ON_FORK: children do not inherit a privilege */
};

#define LWP_NAMELEN 16
#define LWP_MAGIC   0x4c575021u

/*
 * struct lwp, field locks:
 *   (l) the LWP's lock, l_mutex            (p) l_proc->p_lock
 *   (c) constant while the LWP is not IDL  (o) the LWP itself, or anyone once it is off CPU; counts are read by anyone
 *   (a) atomic                             (s) stable for ever (type-stable memory)
 *   (x) proc_lock                          (b) the futex bucket's lock
 *   (w) the owner lock of kernel/proc/pifutex.c
 */
struct lwp {
	/* Switch and scheduler: one cache line that other CPUs read. */
	struct spinlock
	    *l_mutex;      /* (a) the lent lock: lwp_lock(); changed only under the old lock */
	struct cpu *l_cpu; /* (l) CPU that it runs on or last ran on */
	uint8_t l_stat;    /* (l) enum lwp_state; (l)+(p) into and out of IDL STOP SUSPENDED ZOMB */
	uint8_t
	    l_running;   /* (a) RUNNING: on a CPU or in its switch tail; cleared by the successor */
	bool l_kpribase; /* (l) kernel boost in force */
	uint32_t l_flag; /* (l) LW_* */
	uint32_t l_dopreempt;     /* (a) kernel preemption wanted */
	uint32_t l_ast;           /* (a) AST_*: what is to do before return to user mode */
	int16_t l_priority;       /* (l) base priority */
	int16_t l_inheritedprio;  /* (l) maximum lent through turnstiles, or -1 */
	int16_t l_qpri;           /* (l) run queue that it is on */
	struct list l_runq;       /* (l) run queue */
	struct cpu *l_target_cpu; /* (l) migration target, or NULL */
	cpuset_t l_affinity;      /* (l) allowed CPUs; 0 = all */
	struct arch_lwp l_md;     /* (o) saved stack pointer, TLS base ... */

	struct lwpctl *l_lwpctl; /* (o) its place in memory that its process can read, or NULL */
	void *l_kstack;          /* (o) base of the kernel stack; taken by the successor at exit */

	/* Sleep queues and turnstiles. */
	const void *l_wchan;             /* (l) what it waits for, or NULL */
	const char *l_wmesg;             /* (l) reason of the sleep */
	struct list *l_sleepq;           /* (l) queue that it is on, or NULL */
	struct list l_sleepchain;        /* (l) link on that queue */
	const struct syncobj *l_syncobj; /* (l) */
	uint32_t l_intrmask;             /* (l) LW_* that end this sleep, if LW_SINTR */
	struct callout l_timeout;        /* (o) time limit of the sleep */
	struct turnstile *l_ts;          /* (l) its own or a borrowed turnstile */
	struct list l_pi_lenders; /* (l) turnstiles that lend it priority; guarded by its lock */
	struct list l_pifutexes;  /* (w) locks of user programs that it holds and others wait for */

	/* Process. */
	struct proc *l_proc;   /* (c) */
	lwpid_t l_lid;         /* (c) changes only in exec, under proc_lock, p_lock and (l) */
	struct list l_sibling; /* (p) p_lwps */
	struct list l_free;    /* (p) on p_deadlwps or p_zlwps; then of the LWP that reaps them */
	struct sigpend l_sigpend; /* (p) empty outside of a life */

	/*
	 * From l_life_begin to l_life_end: of one life. All zero in a free LWP and a new one (lwp_clear());
	 * who finds an LWP without knowing that it lives reads nothing here.
	 */
#define l_life_begin l_pflag
	uint32_t l_pflag;         /* (o) LP_* */
	uint32_t l_nopreempt;     /* (o) preemption disabled, nested */
	uint32_t l_prflag;        /* (p) LPR_* */
	lwpid_t l_waitingfor;     /* (p) _lwp_wait: for this LWP, or LWP_ANY; 0 = does not wait */
	lwpid_t l_waiter;         /* (p) the first LWP that waits for just this one, or 0 */
	uint32_t l_nlocks;        /* (o) adaptive locks held (DEBUG) */
	struct mutex *l_locks;    /* (o) the adaptive mutexes held, newest first (DEBUG) */
	struct mutex *l_lockwait; /* (o) the one that it spins or sleeps for, or NULL (DEBUG) */
#ifdef DEBUG
	struct rwhold l_rwholds[RWHOLDS]; /* (o) the rwlocks held */
	struct rwlock *l_rwwait;          /* (o) the one that it spins or sleeps for, or NULL */
#endif
	struct proc *l_vforkchild; /* (x) the vfork child that it waits for */
	const void *l_futex_obj;   /* (b) key: address space or object; NULL once woken */
	uint64_t l_futex_off;      /* (b) key: address or offset */
	uint32_t l_futex_bits;     /* (b) FUTEX_WAIT_BITSET's set */
	uint64_t l_futex_seq;      /* (b) fb_arrivals when it came */
	struct pirequeue
	    *l_futex_pi; /* (b) FUTEX_WAIT_REQUEUE_PI: what only that needs; else NULL */
	bool l_pigone;   /* (a) owner only: gets no more of l_pifutexes */

	/* Signals. */
	sigset_t l_sigmask;    /* (p) written by the owner only; the owner may read it without */
	sigset_t l_sigwait;    /* (p) rt_sigtimedwait: what it takes though it blocks it, or 0 */
	sigset_t l_sigoldmask; /* (o) */
	stack_t l_sigstk;      /* (o) disabled if its size is 0 */

	/* Linux thread state. */
	uintptr_t l_set_tid;       /* (o) user address that receives the id at first return, or 0 */
	uintptr_t l_clear_tid;     /* (o) user address, or 0 */
	uintptr_t l_robust_head;   /* (o) user address, or 0 */
	uint32_t l_sysrestart;     /* (o) ERESTART or ERESTARTNOHAND of the call just ended, or 0 */
	nsec_t l_restart_deadline; /* (o) for restarted clock_nanosleep, futex */

	struct lwpctl_page *l_lwpctlpage; /* (o) where l_lwpctl is; NULL = of the vfork parent */

	char l_name[LWP_NAMELEN]; /* (p) */

	/* Scheduling: docs/scheduling.md. */
	struct sched_class l_class; /* (l)+(p) to change, either to read */
	uint8_t l_slice;            /* (l) SCHED_RR: ticks of its slice that are over */
	nsec_t l_sliceend; /* (l) SCHED_RR: start of the run in which its last slice ended */
	nsec_t l_estcpu;   /* (l) time sharing: weighed CPU time, decaying */
	nsec_t l_esttime;  /* (l) ... decayed up to this time */
	nsec_t l_estrtime; /* (l) ... charged up to this CPU time */
	nsec_t l_pridue;   /* (l) when to compute l_priority anew; NSEC_FOREVER: fixed */

	/* Accounting. */
	nsec_t l_rstart;   /* (l) when the present run began */
	nsec_t l_rtime;    /* (l) time on a CPU, the present run excluded */
	uint64_t l_uticks; /* (o) clock ticks that found it in user mode */
	uint64_t l_sticks; /* (o) ... in the kernel; together they split l_rtime */
	uint64_t l_nvcsw;  /* (o) voluntary switches */
	uint64_t l_nivcsw; /* (o) involuntary switches */
	uint64_t l_minflt; /* (o) page faults without I/O */
#define l_life_end l_magic

	uint32_t l_magic;      /* (s) LWP_MAGIC */
	struct lwp *l_allnext; /* (s) every struct lwp ever made, for fsck and gdb */
} __cacheline_aligned;

extern struct lwp *lwp_all; /* (a) every struct lwp ever made, by l_allnext */
extern struct lwp lwp0;     /* boot LWP, becomes the idle LWP of CPU 0 */

/* The state, for who holds p_lock alone: it is, and stays, one of IDL STOP SUSPENDED ZOMB, or it is none of them. */
static inline enum lwp_state
lwp_stat(const struct lwp *l)
{
	return atomic_load_relaxed(&l->l_stat);
}

static inline int
lwp_eprio(const struct lwp *l) /* effective priority => l locked */
{
	int pri = l->l_priority;

	if (l->l_kpribase && pri < PRI_KERNEL)
		pri = PRI_KERNEL + (pri >> 1);
	return pri > l->l_inheritedprio ? pri : l->l_inheritedprio;
}

/* The same in user mode: without the boost of the kernel. => l locked */
static inline int
lwp_uprio(const struct lwp *l)
{
	return l->l_priority > l->l_inheritedprio ? l->l_priority : l->l_inheritedprio;
}

/* The same of one that sleeps in the kernel, from before its switch on. => l locked */
static inline int
lwp_kprio(const struct lwp *l)
{
	int pri = l->l_priority < PRI_KERNEL ? PRI_KERNEL + (l->l_priority >> 1) : l->l_priority;

	return pri > l->l_inheritedprio ? pri : l->l_inheritedprio;
}

/* What an effective priority is worth in a queue of sleepers. */
static inline int
sleepq_place(int pri)
{
	return pri >= PRI_USER_RT ? pri : PRI_USER;
}

/*
 * Place in a queue of sleepers: the real-time ones by priority, before all others, who are equals: time-sharing
 * LWPs wait in order of arrival, so that none of them waits for ever. => l locked
 */
static inline int
lwp_sleeppri(const struct lwp *l)
{
	return sleepq_place(lwp_eprio(l));
}

/*
 * Would an interruptible sleep of l fail now? A call that moves much asks after each piece, and then
 * returns what is done. A hint: no lock is held.
 */
static inline bool
lwp_interrupted(const struct lwp *l)
{
	return (atomic_load_relaxed(&l->l_flag) & LW_INTERRUPT) != 0;
}

#endif
