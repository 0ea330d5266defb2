/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of processes. timersys.c has the system calls.
 *
 * A timer by time is a callout; one by CPU time is looked at on each clock tick that finds its process on a CPU.
 * Both run in the timer interrupt, where p_lock may not be taken. So the interrupt only puts the timer on its
 * process's list of fired ones, and the process on fired_procs, and wakes a kernel thread, which takes p_lock and
 * posts. A process without timers has p_timers == NULL and p_cputick == 0, and pays a test of these.
 *
 * Locking: p_lock covers timers; the fired lock, a sleep queue's since the thread sleeps with it, covers both
 * lists. Nothing that is freed can be in use: the thread looks at a timer in the hold of p_lock in which it took
 * it off the list, and ptimer_stop(), under p_lock, waits for the callout's function and takes it off the list.
 * The thread finds the process under proc_lock, before whose next hold an exiting process deletes its timers,
 * and drops it when it has p_lock: so the process is there and not DYING, but p_timers may be NULL by then.
 *
 * A POSIX timer and ITIMER_REAL have at most one signal pending. The next period starts when that is taken, and
 * counts what it has missed as overruns. A timer whose signal is dropped rests (pt_rests) until sigaction() gives the
 * signal another action, or SIGCONT lets a stopped process take it. So a short period costs nothing while nobody
 * looks, however many timers a user has. Those by CPU time go on at once; a tick is the fastest they are.
 */
#include "timers_internal.h"

#include <abi/errno.h>
#include <kernel/cred.h>
#include <kernel/failpoint.h>
#include <kernel/kmem.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/upcall.h>

#include "signal_internal.h"

#define REARM_MIN ((nsec_t)100000)   /* of one whose signal nobody took */
#define RETRY     ((nsec_t)10000000) /* no memory for a signal: again then */

static struct list fired_procs = LIST_INIT(fired_procs);     /* (f) pts_link */
static struct list fired_waiters = LIST_INIT(fired_waiters); /* the thread sleeps here */

static inline struct spinlock *
fired_lock(void)
{
	return sleepq_lock_of(&fired_procs);
}

/* ---- in the interrupt ---- */

/* => fired lock held */
static void
wake_for(struct ptimers *pts)
{
	if (list_linked(&pts->pts_link))
		return;
	list_insert_tail(&fired_procs, &pts->pts_link);
	sleepq_wake(&fired_waiters, &fired_procs, 1);
}

static void
ptimer_fired(void *arg)
{
	struct ptimer *pt = arg;
	struct spinlock *lock = fired_lock();

	spin_lock(lock);
	KASSERT(!list_linked(&pt->pt_fired));
	list_insert_tail(&pt->pt_owner->pts_fired, &pt->pt_fired);
	wake_for(pt->pt_owner);
	spin_unlock(lock); /* from here on it may be freed */
}

/* The clock tick found an LWP of p on this CPU; until that leaves, the timers are not freed. */
void
timers_tick(struct proc *p)
{
	struct spinlock *lock = fired_lock();
	struct ptimers *pts;

	spin_lock(lock);
	pts = p->p_cputick ? p->p_timers : NULL;
	if (pts != NULL) {
		pts->pts_tick = true;
		wake_for(pts);
	}
	spin_unlock(lock);
}

/* ---- time ---- */

static bool
by_callout(const struct ptimer *pt)
{
	return pt->pt_base == PTB_TIME || pt->pt_base == PTB_WALL;
}

nsec_t
ptimer_now(const struct ptimer *pt)
{
	struct proc *p = pt->pt_owner->pts_proc;
	nsec_t user, sys;
	struct lwp *l;

	KASSERT(mutex_owned(&p->p_lock));
	switch (pt->pt_base) {
	case PTB_TIME:
		return time_now();
	case PTB_WALL:
		return time_wall();
	case PTB_LWP:
		l = lwp_find(p, pt->pt_clocklid);
		return l != NULL ? lwp_cputime(l) : 0;
	default:
		proc_times(p, &user, &sys);
		return pt->pt_base == PTB_PROC_USER ? user : user + sys;
	}
}

/* Moves pt_when by whole periods to after `now`; returns how many periods lie between. */
static nsec_t
ptimer_forward(struct ptimer *pt, nsec_t now)
{
	nsec_t missed = now > pt->pt_when ? (now - pt->pt_when) / pt->pt_interval : 0;

	pt->pt_when += (missed + 1) * pt->pt_interval;
	return missed;
}

nsec_t
ptimer_left(const struct ptimer *pt)
{
	nsec_t now;

	if (!pt->pt_armed && !((pt->pt_pending || pt->pt_rests) && pt->pt_interval != 0))
		return 0;
	now = ptimer_now(pt);
	if (now < pt->pt_when)
		return pt->pt_when - now;
	if (pt->pt_interval != 0 && (!pt->pt_armed || pt->pt_notify == SIGEV_NONE))
		return pt->pt_interval - (now - pt->pt_when) % pt->pt_interval;
	return pt->pt_notify == SIGEV_NONE ? 0 : 1; /* over, but not yet posted */
}

/* ---- arming ---- */

void
ptimer_init(struct ptimer *pt, struct ptimers *pts)
{
	memset(pt, 0, sizeof(*pt));
	callout_init(&pt->pt_callout, ptimer_fired, pt);
	pt->pt_owner = pts;
	pt->pt_id = -1;
}

void
ptimer_arm(struct ptimer *pt)
{
	struct ptimers *pts = pt->pt_owner;
	struct proc *p = pts->pts_proc;

	KASSERT(mutex_owned(&p->p_lock) && !pt->pt_armed && !pt->pt_pending && !pt->pt_rests);
	KASSERT((p->p_flag & PK_EXITING) == 0);
	pt->pt_armed = true;
	if (pt->pt_notify == SIGEV_NONE)
		return; /* only looked at */
	if (by_callout(pt)) {
		pt->pt_callout.co_wall = pt->pt_base == PTB_WALL;
		callout_arm(&pt->pt_callout, pt->pt_when);
	} else {
		list_insert_tail(&pts->pts_cpu, &pt->pt_cpulink);
		atomic_store_relaxed(&p->p_cputick, 1);
	}
}

/* Armed no more, by expiry or by force. => not on the list of fired ones, callout not running */
static void
disarm(struct ptimer *pt)
{
	struct ptimers *pts = pt->pt_owner;

	pt->pt_armed = false;
	if (list_linked(&pt->pt_cpulink)) {
		list_remove(&pt->pt_cpulink);
		if (list_empty(&pts->pts_cpu))
			atomic_store_relaxed(&pts->pts_proc->p_cputick, 0);
	}
}

void
ptimer_stop(struct ptimer *pt)
{
	struct proc *p = pt->pt_owner->pts_proc;
	struct spinlock *lock = fired_lock();

	KASSERT(mutex_owned(&p->p_lock));
	callout_stop(&pt->pt_callout); /* its function takes spin locks only */
	spin_lock(lock);
	if (list_linked(&pt->pt_fired))
		list_remove(&pt->pt_fired);
	spin_unlock(lock);
	disarm(pt);
	if (pt->pt_pending && pt->pt_id >= 0) /* SIGALRM stays */
		sig_discard_timer(p, pt->pt_id);
	pt->pt_pending = pt->pt_rests = false;
}

struct ptimer *
ptimer_find(struct ptimers *pts, int32_t id)
{
	struct rb_node *n = pts != NULL ? pts->pts_tree.root : NULL;

	while (n != NULL) {
		struct ptimer *pt = container_of(n, struct ptimer, pt_node);

		if (pt->pt_id == id)
			return pt;
		n = id < pt->pt_id ? n->left : n->right;
	}
	return NULL;
}

/* ---- expiry, in the thread ---- */

/* 0, 1 = dropped, -EAGAIN */
static int
post(struct proc *p, struct ptimer *pt)
{
	siginfo_t info;
	struct lwp *l = NULL;

	if (pt->pt_lid != 0 && (l = lwp_find(p, pt->pt_lid)) == NULL)
		return 1;
	memset(&info, 0, sizeof(info));
	info.si_signo = pt->pt_sig;
	info.si_code = SI_TIMER;
	info.u.timer.tid = pt->pt_id;
	info.u.timer.value = pt->pt_value;
	if (++pt->pt_seq == 0)
		pt->pt_seq = 1;
	info.u.timer.seq = pt->pt_seq;
	return sig_post_timer(p, l, pt->pt_sig, &info);
}

/* The next period of one whose signal nobody will take. */
static void
next_period(struct ptimer *pt)
{
	nsec_t now = ptimer_now(pt);

	if (pt->pt_interval == 0)
		return;
	ptimer_forward(pt, now);
	if (pt->pt_when < now + REARM_MIN)
		pt->pt_when = now + REARM_MIN;
	ptimer_arm(pt);
}

static void
expire(struct proc *p, struct ptimer *pt)
{
	int error;

	KASSERT(pt->pt_armed && !pt->pt_pending && pt->pt_notify != SIGEV_NONE);
	if (pt == &pt->pt_owner->pts_limit) {
		disarm(pt);
		ptimer_limit_reached(p, pt);
		return;
	}
	if (!by_callout(pt) && pt->pt_id < 0) {
		disarm(pt);
		(void)sig_post_proc(p, pt->pt_sig, NULL);
		next_period(pt);
		return;
	}
	if (pt->pt_lid == LID_GONE) {
		disarm(pt);
		return;
	}
	error = pt->pt_id < 0 ? sig_post_itimer(p, pt->pt_sig) : post(p, pt);
	if (error == -EAGAIN) {
		if (by_callout(pt)) {
			pt->pt_callout.co_wall = false;
			callout_arm(&pt->pt_callout, time_now() + RETRY);
		}
		return; /* or the next tick */
	}
	disarm(pt);
	pt->pt_pending = error == 0;
	pt->pt_rests = error != 0;
}

/* => p_lock held */
static void
expire_fired(struct proc *p)
{
	struct spinlock *lock = fired_lock();
	struct ptimers *pts = p->p_timers;
	struct ptimer *pt, *next;
	bool tick;

	KASSERT(mutex_owned(&p->p_lock));
	if (pts == NULL || (p->p_flag & PK_EXITING))
		return;
	KASSERT(pts->pts_proc == p);
	for (;;) {
		spin_lock(lock);
		pt = list_first(&pts->pts_fired, struct ptimer, pt_fired);
		if (pt != NULL)
			list_remove(&pt->pt_fired);
		tick = pts->pts_tick;
		if (pt == NULL)
			pts->pts_tick = false;
		spin_unlock(lock);
		if (pt == NULL)
			break;
		expire(p, pt);
	}
	if (tick)
		list_foreach_safe (pt, next, &pts->pts_cpu, pt_cpulink)
			if (ptimer_now(pt) >= pt->pt_when)
				expire(p, pt);
}

/*
 * The process that is to be looked at next, with p_lock held, and if *both proc_lock; sleeps until there is one.
 */
static struct proc *
next_proc(bool *both)
{
	struct spinlock *lock = fired_lock();
	struct ptimers *pts;
	struct proc *p;

	for (;;) {
		spin_lock(lock);
		if (list_empty(&fired_procs)) {
			sleepq_enter(lock);
			sleepq_enqueue(&fired_waiters, &fired_procs, "timer", &syncobj_cv, false);
			(void)sleepq_block(NSEC_FOREVER, false);
		} else
			spin_unlock(lock);
		mutex_lock(&proc_lock);
		spin_lock(lock);
		pts = list_first(&fired_procs, struct ptimers, pts_link);
		p = NULL;
		if (pts != NULL) {
			p = pts->pts_proc;
			list_remove(&pts->pts_link);
		}
		spin_unlock(lock);
		fp(timer_found_not_posted);
		if (p != NULL)
			mutex_lock(&p->p_lock);
		*both = p != NULL && p->p_timers != NULL && p->p_timers->pts_cont;
		if (!*both)
			mutex_unlock(&proc_lock);
		if (p != NULL)
			return p;
	}
}

static void __noreturn
timer_thread(void *arg __unused)
{
	for (;;) {
		bool both;
		struct proc *p = next_proc(&both);

		KASSERT(p->p_stat == PS_ACTIVE || p->p_stat == PS_STOP);
		expire_fired(p);
		mutex_unlock(&p->p_lock);
		if (both)
			mutex_unlock(&proc_lock);
	}
}

void
timers_init(void)
{
	int error = kthread_create("timer", PRI_KERNEL_RT, timer_thread, NULL, NULL);

	if (error != 0)
		panic("timer thread: error %d", error);
}

/* ---- a signal is taken or lost ---- */

void
timers_alarm_taken(struct proc *p)
{
	struct ptimer *pt;

	KASSERT(mutex_owned(&p->p_lock));
	if (p->p_timers == NULL || !(pt = &p->p_timers->pts_itimer[ITIMER_REAL])->pt_pending)
		return;
	pt->pt_pending = false;
	if ((p->p_flag & PK_EXITING) == 0)
		next_period(pt);
}

void
timers_taken(struct proc *p, siginfo_t *info)
{
	uint32_t seq = info->u.timer.seq;
	struct ptimer *pt;
	nsec_t missed;

	KASSERT(mutex_owned(&p->p_lock) && info->si_code == SI_TIMER);
	info->u.timer.seq = 0;
	if (seq == 0 || (pt = ptimer_find(p->p_timers, info->u.timer.tid)) == NULL)
		return;
	KASSERT(pt->pt_pending && pt->pt_seq == seq);
	pt->pt_pending = false;
	pt->pt_overrun = 0;
	if (pt->pt_interval != 0) {
		missed = ptimer_forward(pt, ptimer_now(pt));
		pt->pt_overrun = missed < INT32_MAX ? (int32_t)missed : INT32_MAX;
		if ((p->p_flag & PK_EXITING) == 0)
			ptimer_arm(pt);
	}
	info->u.timer.overrun = pt->pt_overrun;
}

#define foreach_posix(pt, n, pts) \
	for ((n) = rb_first(&(pts)->pts_tree); \
	     (n) != NULL && ((pt) = container_of((n), struct ptimer, pt_node), true); \
	     (n) = rb_next(n))

static void
discarded(struct ptimer *pt, sigset_t set)
{
	if (!pt->pt_pending || (SIGBIT(pt->pt_sig) & set) == 0)
		return;
	pt->pt_pending = false;
	if (pt->pt_owner->pts_proc->p_sigacts->sa_ignored & SIGBIT(pt->pt_sig))
		pt->pt_rests = true;
	else
		next_period(pt);
}

static void
wake(struct ptimer *pt, sigset_t set)
{
	if (!pt->pt_rests || (SIGBIT(pt->pt_sig) & set) == 0)
		return;
	pt->pt_rests = false;
	next_period(pt);
}

/* For each timer that sends a signal by itself. => p_lock held */
static void
foreach_sending(struct proc *p, void (*func)(struct ptimer *, sigset_t), sigset_t set)
{
	struct rb_node *n;
	struct ptimer *pt;

	KASSERT(mutex_owned(&p->p_lock));
	if (p->p_timers == NULL || (p->p_flag & PK_EXITING))
		return;
	foreach_posix(pt, n, p->p_timers) func(pt, set);
	func(&p->p_timers->pts_itimer[ITIMER_REAL], set);
}

void
timers_discarded(struct proc *p, sigset_t set)
{
	foreach_sending(p, discarded, set);
}

void
timers_wake(struct proc *p, sigset_t set)
{
	foreach_sending(p, wake, set);
}

void
timers_lwp_exit(struct proc *p, lwpid_t lid)
{
	struct rb_node *n;
	struct ptimer *pt;

	KASSERT(mutex_owned(&p->p_lock));
	if (p->p_timers == NULL)
		return;
	foreach_posix(pt, n, p->p_timers)
	{
		if (pt->pt_clocklid == lid)
			pt->pt_clocklid = LID_GONE;
		if (pt->pt_lid == lid) {
			pt->pt_lid = LID_GONE;
			pt->pt_pending = pt->pt_rests = false; /* dropped with the LWP's signals */
		}
	}
}

/* ---- birth and death ---- */

struct ptimers *
ptimers_create(struct proc *p)
{
	struct ptimers *pts = kmem_zalloc(sizeof(*pts));

	if (pts == NULL)
		return NULL;
	list_init(&pts->pts_fired);
	list_init(&pts->pts_cpu);
	pts->pts_proc = p;
	for (int i = 0; i < 3; i++)
		ptimer_init(&pts->pts_itimer[i], pts);
	pts->pts_itimer[ITIMER_REAL].pt_sig = SIGALRM;
	pts->pts_itimer[ITIMER_VIRTUAL].pt_sig = SIGVTALRM;
	pts->pts_itimer[ITIMER_VIRTUAL].pt_base = PTB_PROC_USER;
	pts->pts_itimer[ITIMER_PROF].pt_sig = SIGPROF;
	pts->pts_itimer[ITIMER_PROF].pt_base = PTB_PROC;
	ptimer_init(&pts->pts_limit, pts);
	pts->pts_limit.pt_sig = SIGXCPU;
	pts->pts_limit.pt_base = PTB_PROC;
	return pts;
}

void
ptimer_delete(struct ptimer *pt)
{
	ptimer_stop(pt);
	rb_remove(&pt->pt_owner->pts_tree, &pt->pt_node);
	KASSERT(!list_linked(&pt->pt_fired) && !list_linked(&pt->pt_cpulink));
	KASSERT(!pt->pt_callout.co_pending && !pt->pt_armed && !pt->pt_pending && !pt->pt_rests);
	DEBUG_ONLY(pt->pt_owner = NULL;)
	uid_sigpend_leave(pt->pt_ui);
	kmem_free(pt, sizeof(*pt));
}

void
timers_exec(struct proc *p)
{
	struct rb_node *n;

	KASSERT(mutex_owned(&p->p_lock));
	if (p->p_timers == NULL)
		return;
	while ((n = rb_first(&p->p_timers->pts_tree)) != NULL)
		ptimer_delete(container_of(n, struct ptimer, pt_node));
	p->p_timers->pts_nextid = 0;
}

void
timers_exit(struct proc *p)
{
	struct spinlock *lock = fired_lock();
	struct ptimers *pts = p->p_timers;

	if (pts == NULL)
		return;
	mutex_lock(&p->p_lock);
	KASSERT(p->p_nlwps == 1 && (p->p_flag & PK_EXITING) && p->p_stat < PS_DYING);
	timers_exec(p);
	for (int i = 0; i < 3; i++)
		ptimer_stop(&pts->pts_itimer[i]);
	ptimer_stop(&pts->pts_limit);
	spin_lock(lock);
	KASSERT(list_empty(&pts->pts_fired) && list_empty(&pts->pts_cpu) && !p->p_cputick);
	if (list_linked(&pts->pts_link))
		list_remove(&pts->pts_link);
	p->p_timers = NULL; /* a tick looks at it with this lock */
	spin_unlock(lock);
	mutex_unlock(&p->p_lock);
	kmem_free(pts, sizeof(*pts));
}
