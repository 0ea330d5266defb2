/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduler: run queues, the switch, preemption, LWP locks and states. docs/protocol.md 2.
 * layer: sched
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include <kernel/cpu.h>
#include <kernel/failpoint.h>
#include <kernel/lwp.h>
#include <kernel/spinlock.h>
#include <kernel/trace.h>

#define RUNQ_WORDS     ((PRI_COUNT + 63) / 64)
#define SCHED_QUANTUM  ((nsec_t)10000000) /* 10 ms: a tick, and the turn of a time-sharing LWP */
#define SCHED_RR_TICKS 10                 /* turn of a SCHED_RR one */

/* struct schedstate, field locks: (r) spc_mutex (o) this CPU only, interrupts off */
struct schedstate {
	struct spinlock spc_mutex; /* run-queue lock, lent to RUN LWPs */
	struct spinlock
	    spc_lwplock; /* lent to IDL, ONPROC, STOP, SUSPENDED, ZOMB and queue-less sleepers */
	uint64_t spc_bitmap[RUNQ_WORDS]; /* (r) bit p = queue p not empty */
	int spc_maxpri;                  /* (r) highest, or PRI_IDLE; read as a hint by others */
	int spc_curpriority;    /* (r) of the running LWP, PRI_IDLE when idle; a hint for others */
	uint32_t spc_count;     /* (r) queued LWPs */
	uint32_t spc_mcount;    /* (r) of those, migratable; hint */
	struct lwp *spc_curlwp; /* (r) the LWP picked last */
	bool spc_tick;          /* (o) the clock tick is armed */
	uint64_t spc_tickpick;  /* (o) value of ci_nswitch at the last tick */
	nsec_t spc_nexttick;    /* (o) */
	uint8_t spc_agepri;     /* (r) level at which sched_age() goes on */
	uint32_t spc_rtticks;   /* (o) ticks for which real-time LWPs have let no other run */
	uint64_t spc_nsteal;    /* (r) statistics: LWPs taken from other CPUs */
	struct list spc_queue[PRI_COUNT]; /* (r) */
} __cacheline_aligned;

#define RESCHED_IDLE     1
#define RESCHED_UPREEMPT 2
#define RESCHED_KPREEMPT 4

void sched_cpu_init(struct cpu *); /* run queue and lock objects */

/* ---- LWP lock, docs/protocol.md 2.2 ---- */
void lwp_lock(struct lwp *);
void lwp_lock_slow(struct lwp *, struct spinlock *m, bool wait); /* see lwp_lock() */
bool lwp_trylock(struct lwp *);
bool lwp_locked(
    const struct lwp *, const struct spinlock *m); /* held here, and equal to m unless NULL */
extern const char *const lwp_state_name[];
#ifdef DEBUG
extern uint32_t lwp_changes[LS_COUNT][LS_COUNT]; /* (a) how often each change was made */
#endif

#ifdef DEBUG
void lwp_lock_self(struct lwp *);
void lwp_unlock(struct lwp *);
void lwp_setlock(struct lwp *, struct spinlock *);
void lwp_setstat(struct lwp *, enum lwp_state);
#else
/*
 * lwp_lock() of curlwp. While it is ONPROC and cannot be preempted nobody lends it another lock.
 * => no spin lock held
 */
static inline void
lwp_lock_self(struct lwp *l)
{
	bool on = arch_intr_disable();
	struct spinlock *m = l->l_mutex;

	if (unlikely(!spin_lock_begin_off(m, on)))
		spin_lock_slow(m);
}

static inline void
lwp_unlock(struct lwp *l)
{
	spin_unlock(l->l_mutex);
}

/*
 * Lends `new` to l: the last store of whatever was changed under the old lock, because the owner of `new`
 * may use l from here on. The caller holds `new` too, unless that is a spc_lwplock: it guards no queue on
 * which l would have to be found, so its holder cannot mind an LWP more.
 * => l locked; the old lock stays held
 */
static inline void
lwp_setlock(struct lwp *l, struct spinlock *new)
{
	atomic_store_release(&l->l_mutex, new);
}

/*
 * The only writer of l_stat. The debug build checks the transition, the lock lent before, and p_lock where it
 * must be held.
 * => l locked by the lock of its old state; the caller lends the lock of the new state next.
 *    Into and out of IDL, STOP, SUSPENDED, ZOMB: p_lock held too.
 */
static inline void
lwp_setstat(struct lwp *l, enum lwp_state new)
{
	TRACE(STATE, new, l->l_lid, l->l_stat);
	l->l_stat = (uint8_t) new; /* who holds p_lock alone reads it by lwp_stat() */
}
#endif

/* lwp_lock() for who has turned interrupts off: the unlock turns them on if `on`. => no spin lock held */
static inline void
lwp_lock_off(struct lwp *l, bool on)
{
	struct spinlock *m = atomic_load_acquire(&l->l_mutex);

	if (unlikely(!spin_lock_begin_off(m, on)))
		lwp_lock_slow(l, m, true);
	else if (unlikely(atomic_load_relaxed(&l->l_mutex) != m))
		lwp_lock_slow(l, m, false);
}

/* ---- switch ---- */
void mi_switch(
    struct lwp *); /* l == curlwp, its lock and this CPU's spc_mutex held; all released on return */
void preempt(void);                    /* involuntary yield; no spin lock held */
void yield(void);                      /* sched_yield */
void sched_enter_switch(struct lwp *); /* with l locked: takes spc_mutex too, then mi_switch() */
void lwp_exit_switch(struct lwp *) __noreturn; /* ZOMB, locked */
/* Off-CPU barrier: spins until l has left its CPU for good (acquire). => no scheduler lock held; l is ZOMB */
void lwp_wait_offcpu(struct lwp *);
void idle_loop(void) __noreturn;

/* ---- making runnable ---- */
/* l locked on entry, unlocked on return. */
void setrunnable(struct lwp *); /* from IDL, STOP, SUSPENDED, or an interruptible SLEEP */
cpuset_t sched_allowed(const struct lwp *); /* online CPUs that its affinity allows; l locked */
struct cpu *sched_takecpu(struct lwp *, cpuset_t); /* choose a CPU for a wakeup; l locked */
void sched_kick_idle(cpuset_t, struct cpu *); /* queued there: wake an idle CPU that may steal it */
void sched_enqueue(struct lwp *);             /* lent lock is its CPU's spc_mutex and held */
void sched_enqueue_head(struct lwp *);        /* before its equals */
void sched_enqueue_rt(
    struct lwp *); /* a real-time one that leaves its CPU by preemption or yield */
void sched_dequeue(struct lwp *);
void sched_resched_cpu(struct cpu *, int pri); /* spc_mutex held */
void runq_make_runnable(struct lwp *);
bool runq_steal(struct cpu *);
void runq_pull(struct cpu *);
bool runq_move(struct lwp *, struct cpu *from, struct cpu *to);
void runq_push(struct cpu *);
void runq_migrate(struct lwp *);
extern cpuset_t sched_idle_set;
extern int sched_kpreempt_pri;
void sched_lendpri(struct lwp *, int pri); /* l locked; sets l_inheritedprio */
int sched_setaffinity(
    struct lwp *, cpuset_t); /* p_lock held, l unlocked; -EINVAL if no online CPU remains */
/* A valid class for an LWP of a user process. => p_lock held, l unlocked */
void sched_setclass(struct lwp *, const struct sched_class *);
/* What a child or new LWP inherits of curlwp: class, priority, affinity, CPU. => p_lock of curlwp's process; it is IDL */
void sched_fork(const struct lwp *self, struct lwp *);
/* Its priority anew, at `now`, when it has had `run` of CPU time; of who is not fixed. => l locked */
void sched_refresh(struct lwp *, nsec_t run, nsec_t now);
bool sched_charge(struct lwp *, nsec_t now); /* see there */
void sched_age(struct cpu *, nsec_t now);

/* The LWP that should run next, or NULL. => spc_mutex held */
static inline struct lwp *
runq_first(struct schedstate *spc)
{
	int pri = spc->spc_maxpri;

	if (pri < 0)
		return NULL;
	KASSERT(!list_empty(&spc->spc_queue[pri]));
	return list_entry(spc->spc_queue[pri].next, struct lwp, l_runq);
}

/* May l leave its CPU? => l locked */
static inline bool
lwp_migratable(const struct lwp *l)
{
	return (l->l_flag & LW_BOUND) == 0;
}

void sched_tick_start(void);
void sched_tick(nsec_t now, bool user);

/* ---- user return work ---- */
/* Arms user_return() for l and kicks its CPU if it runs elsewhere. => l locked */
void lwp_need_userret(struct lwp *);

/* ---- preemption control ---- */
static inline void
preempt_disable(void)
{
	arch_curlwp()->l_nopreempt++;
	compiler_barrier();
}

void kpreempt(void);

static inline void
preempt_enable(void)
{
	struct lwp *l = arch_curlwp();

	compiler_barrier();
	if (--l->l_nopreempt == 0 && unlikely(atomic_load_relaxed(&l->l_dopreempt)))
		kpreempt();
}

static inline struct cpu *
curcpu(void) /* stable only while preemption is off */
{
	return arch_curcpu();
}

static inline struct lwp *
curlwp(void)
{
	return arch_curlwp();
}

#define curproc() (curlwp()->l_proc)

/*
 * Between the pieces of a long call: lets who is more urgent run, as the way back to user mode would.
 * => no spin lock held
 */
static inline void
preempt_point(void)
{
	if (unlikely(atomic_load_relaxed(&curcpu()->ci_want_resched) != 0))
		preempt();
}

/* Panics unless the current LWP may sleep here (docs/protocol.md 4.1). */
#ifdef DEBUG
void assert_may_sleep(void);
#else
static inline void
assert_may_sleep(void)
{
}
#endif

extern bool cold; /* booting: one CPU, one LWP, nothing can sleep */

/* CPU time of l up to now, nanoseconds, and its split, for l itself. => l is no idle LWP, and not locked */
nsec_t lwp_cputime(struct lwp *);
nsec_t lwp_cputime_locked(const struct lwp *);
void lwp_times(struct lwp *, nsec_t *user, nsec_t *sys);
/* Splits `rtime` in proportion to the ticks; neither part gets less than the caller has in it. */
void ticks_split(nsec_t rtime, uint64_t uticks, uint64_t sticks, nsec_t *user, nsec_t *sys);

#endif
