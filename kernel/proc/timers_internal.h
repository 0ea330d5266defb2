/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: what the engine (timers.c) and the system calls (timersys.c) share.
 * layer: proc
 */
#ifndef PROC_TIMERS_INTERNAL_H
#define PROC_TIMERS_INTERNAL_H

#include <abi/time.h>
#include <kernel/callout.h>
#include <kernel/rb.h>
#include <kernel/timers.h>

/* PTB_TIME: monotonic time; PTB_WALL: that of the wall clock */
enum ptimer_base { PTB_TIME, PTB_WALL, PTB_PROC, PTB_PROC_USER, PTB_LWP };

#define LID_GONE (-1)

/* struct ptimer, field locks: (p) p_lock (f) the fired lock (i) set once */
struct ptimer {
	struct callout pt_callout; /* (p) base PTB_TIME: pending while armed */
	struct list pt_fired;      /* (f) pts_fired: over, and the thread has not seen it yet */
	struct list pt_cpulink;    /* (p) pts_cpu: armed, and measured at the tick */
	struct ptimers *pt_owner;  /* (i) */
	struct rb_node pt_node;    /* (p) pts_tree */
	int32_t pt_id;             /* (i) or -1 for an interval timer */
	uint8_t pt_base;           /* (p) enum ptimer_base */
	bool pt_wall;              /* (i) absolute times are wall-clock time */
	int32_t pt_notify;         /* (i) SIGEV_* */
	int32_t pt_sig;            /* (i) */
	uint64_t pt_value;         /* (i) */
	lwpid_t pt_lid;            /* (p) who gets the signal: 0 = the process, or LID_GONE */
	lwpid_t pt_clocklid;       /* (p) PTB_LWP: whose time, or LID_GONE */
	bool pt_armed;             /* (p) pt_when lies ahead, or has not been acted on */
	bool pt_pending;           /* (p) its signal is pending; the next period waits for that */
	bool pt_rests;   /* (p) its signal was dropped; the next period waits for timers_wake() */
	uint32_t pt_seq; /* (p) of the pending signal, never 0 there */
	int32_t pt_overrun;    /* (p) of the signal taken last */
	nsec_t pt_when;        /* (p) in its base */
	nsec_t pt_interval;    /* (p) 0 = once */
	struct uidinfo *pt_ui; /* (i) whom a POSIX timer is counted for */
};

/* struct ptimers, field locks: (p) p_lock (f) the fired lock (i) set once */
struct ptimers {
	struct list pts_link;    /* (f) fired_procs */
	struct list pts_fired;   /* (f) pt_fired */
	bool pts_tick;           /* (f) the CPU timers are to be looked at */
	bool pts_cont;           /* (p) to set; some timer sends SIGCONT: posted with proc_lock */
	struct proc *pts_proc;   /* (i) */
	struct list pts_cpu;     /* (p) pt_cpulink; p_cputick says whether there are any */
	struct rb_tree pts_tree; /* (p) POSIX timers by pt_id */
	int32_t pts_nextid;      /* (p) */
	struct ptimer pts_itimer[3]; /* (p) by ITIMER_* */
	struct ptimer pts_limit;     /* (p) RLIMIT_CPU */
};

#define PTIMERS_MAX 8192 /* of a user, whatever his limit is */

/* All of these: => p_lock held */

struct ptimers *ptimers_create(struct proc *); /* without p_lock; NULL = no memory */
void ptimer_init(struct ptimer *, struct ptimers *);
struct ptimer *ptimer_find(struct ptimers *, int32_t id);
void ptimer_arm(struct ptimer *);          /* for pt_when. => not armed */
void ptimer_stop(struct ptimer *);         /* neither armed, fired nor pending after this */
nsec_t ptimer_now(const struct ptimer *);  /* of its base */
nsec_t ptimer_left(const struct ptimer *); /* to the next expiry, 0 = none to come */
void ptimer_limit_reached(struct proc *, struct ptimer *); /* pts_limit is over; it is not armed */
/* Ends and frees a POSIX timer. */
void ptimer_delete(struct ptimer *);

#endif
