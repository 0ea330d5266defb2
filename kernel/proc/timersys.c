/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on timers: alarm getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun
 * timer_delete. The engine is timers.c.
 */
#include "timers_internal.h"

#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/cred.h>
#include <kernel/kmem.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>

/* The timers of the current process, made if there are none, with p_lock held; NULL = no memory. */
static struct ptimers *
lock_timers(struct proc *p)
{
	struct ptimers *new;

	mutex_lock(&p->p_lock);
	if (p->p_timers != NULL)
		return p->p_timers;
	mutex_unlock(&p->p_lock);
	if ((new = ptimers_create(p)) == NULL)
		return NULL;
	mutex_lock(&p->p_lock);
	if (p->p_timers == NULL)
		p->p_timers = new;
	else
		kmem_free(new, sizeof(*new)); /* a sibling was first */
	return p->p_timers;
}

/* ---- interval timers ---- */

struct abi_itimerval {
	struct abi_timeval it_interval, it_value;
};

static int
from_timeval(const struct abi_timeval *tv, nsec_t *t)
{
	struct abi_timespec ts = { .tv_sec = tv->tv_sec };

	if (tv->tv_usec < 0 || tv->tv_usec >= (int64_t)(NSEC_PER_SEC / NSEC_PER_USEC))
		return -EINVAL;
	ts.tv_nsec = tv->tv_usec * (int64_t)NSEC_PER_USEC;
	return from_timespec(&ts, t);
}

static struct abi_timeval
to_timeval(nsec_t t)
{
	return (struct abi_timeval){ (int64_t)(t / NSEC_PER_SEC),
		(int64_t)(t % NSEC_PER_SEC / NSEC_PER_USEC) };
}

/* What is left of an interval timer; one that runs has at least a microsecond. */
static void
itimer_get(const struct ptimer *pt, nsec_t *value, nsec_t *interval)
{
	*value = ptimer_left(pt);
	if (*value != 0 && *value < NSEC_PER_USEC)
		*value = NSEC_PER_USEC;
	*interval = pt->pt_interval;
}

/* -ENOMEM */
static int
itimer_exchange(int which, nsec_t value, nsec_t interval, nsec_t *oldvalue, nsec_t *oldinterval)
{
	struct proc *p = curproc();
	struct ptimers *pts;
	struct ptimer *pt;

	if (value == 0 && p->p_timers == NULL) { /* nothing to be stopped */
		*oldvalue = *oldinterval = 0;
		return 0;
	}
	if ((pts = lock_timers(p)) == NULL)
		return -ENOMEM;
	pt = &pts->pts_itimer[which];
	itimer_get(pt, oldvalue, oldinterval);
	ptimer_stop(pt);
	pt->pt_interval = value != 0 ? interval : 0;
	if (value != 0 && (p->p_flag & PK_EXITING) == 0) {
		pt->pt_when = ptimer_now(pt) + value;
		ptimer_arm(pt);
	}
	mutex_unlock(&p->p_lock);
	return 0;
}

/* (seconds) */
int64_t
sys_alarm(const uint64_t *a)
{
	nsec_t value = (uint32_t)a[0] < INT32_MAX ? (uint32_t)a[0] : INT32_MAX, old, interval;
	int64_t seconds;

	if (itimer_exchange(ITIMER_REAL, value * NSEC_PER_SEC, 0, &old, &interval) != 0)
		return 0; /* it has no errors */
	seconds = (int64_t)(old / NSEC_PER_SEC);
	if (old % NSEC_PER_SEC >= NSEC_PER_SEC / 2 || (old != 0 && seconds == 0))
		seconds++;
	return seconds;
}

static int
copyout_itimer(uintptr_t uold, nsec_t value, nsec_t interval)
{
	const struct abi_itimerval it = { to_timeval(interval), to_timeval(value) };

	return arch_copyout(uold, &it, sizeof(it));
}

/* (which, struct itimerval *value) */
int64_t
sys_getitimer(const uint64_t *a)
{
	struct proc *p = curproc();
	nsec_t value = 0, interval = 0;

	if ((uint32_t)a[0] > ITIMER_PROF)
		return -EINVAL;
	mutex_lock(&p->p_lock);
	if (p->p_timers != NULL)
		itimer_get(&p->p_timers->pts_itimer[a[0] & 3], &value, &interval);
	mutex_unlock(&p->p_lock);
	return copyout_itimer(a[1], value, interval);
}

/* (which, const struct itimerval *new, struct itimerval *old); no `new` stops the timer */
int64_t
sys_setitimer(const uint64_t *a)
{
	nsec_t value = 0, interval = 0, oldvalue, oldinterval;
	struct abi_itimerval it;
	int error;

	if (a[1] != 0) {
		if (arch_copyin(&it, a[1], sizeof(it)) != 0)
			return -EFAULT;
		if ((error = from_timeval(&it.it_value, &value)) != 0 ||
		    (error = from_timeval(&it.it_interval, &interval)) != 0)
			return error;
	}
	if ((uint32_t)a[0] > ITIMER_PROF)
		return -EINVAL;
	error = itimer_exchange((int)a[0], value, interval, &oldvalue, &oldinterval);
	if (error != 0 || a[2] == 0)
		return error;
	return copyout_itimer(a[2], oldvalue, oldinterval);
}

/* ---- POSIX timers ---- */

struct abi_itimerspec {
	struct abi_timespec it_interval, it_value;
};

/* The CPU clock of an LWP or a process, which must be the caller's own. => p_lock held */
static int
cpu_base(struct proc *p, int32_t clock, struct ptimer *pt)
{
	pid_t id = CPUCLOCK_ID(clock);

	if (CPUCLOCK_TYPE(clock) != CPUCLOCK_SCHED)
		return -EINVAL;
	if ((clock & CPUCLOCK_PERTHREAD) == 0) {
		pt->pt_base = PTB_PROC;
		return id == 0 || id == p->p_pid ? 0 : -EOPNOTSUPP;
	}
	pt->pt_base = PTB_LWP;
	pt->pt_clocklid = id == 0 ? curlwp()->l_lid : id;
	return lwp_find(p, pt->pt_clocklid) != NULL ? 0 : -EINVAL;
}

/* -EINVAL: no such clock; -EOPNOTSUPP: no timers by it. => p_lock held */
static int
set_base(struct proc *p, int32_t clock, struct ptimer *pt)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_TAI:
		pt->pt_wall = true;
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		pt->pt_base = PTB_PROC;
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		pt->pt_base = PTB_LWP;
		pt->pt_clocklid = curlwp()->l_lid;
		return 0;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_REALTIME_COARSE:
		return -EOPNOTSUPP;
	default:
		return clock < 0 ? cpu_base(p, clock, pt) : -EINVAL;
	}
}

/* Whom it tells and how. => p_lock held */
static int
set_event(struct proc *p, const struct abi_sigevent *ev, struct ptimer *pt)
{
	pt->pt_notify = ev->sigev_notify;
	pt->pt_sig = ev->sigev_signo;
	pt->pt_value = ev->sigev_value;
	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_THREAD_ID:
		pt->pt_lid = ev->sigev_tid;
		if (lwp_find(p, pt->pt_lid) == NULL)
			return -EINVAL;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD: /* a C library's affair: a signal to the kernel */
		break;
	default:
		return -EINVAL;
	}
	return pt->pt_sig >= 1 && pt->pt_sig <= NSIG ? 0 : -EINVAL;
}

/* Gives pt the next free id. => p_lock held */
static void
insert_timer(struct ptimers *pts, struct ptimer *pt)
{
	struct rb_node **link = &pts->pts_tree.root, *parent = NULL;

	while (ptimer_find(pts, pts->pts_nextid) != NULL)
		pts->pts_nextid = pts->pts_nextid == INT32_MAX ? 0 : pts->pts_nextid + 1;
	pt->pt_id = pts->pts_nextid;
	pts->pts_nextid = pts->pts_nextid == INT32_MAX ? 0 : pts->pts_nextid + 1;
	while (*link != NULL) {
		parent = *link;
		link = pt->pt_id < container_of(parent, struct ptimer, pt_node)->pt_id
		    ? &parent->left
		    : &parent->right;
	}
	rb_insert(&pts->pts_tree, parent, link, &pt->pt_node);
}

/* (clockid, const struct sigevent *, timer_t *id); no event: SIGALRM with the id as its value */
int64_t
sys_timer_create(const uint64_t *a)
{
	struct abi_sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct proc *p = curproc();
	struct ptimers *pts;
	struct ptimer *pt;
	int32_t id;
	int error;

	if (a[1] != 0 && arch_copyin(&ev, a[1], sizeof(ev)) != 0)
		return -EFAULT;
	error = -EAGAIN;
	if ((pt = kmem_alloc(sizeof(*pt))) == NULL)
		return -EAGAIN;
	if ((pts = lock_timers(p)) == NULL)
		goto free;
	ptimer_init(pt, pts);
	pt->pt_ui =
	    uid_sigpend_enter(p, min(p->p_rlimit[RLIMIT_SIGPENDING].cur, (uint64_t)PTIMERS_MAX));
	if (pt->pt_ui == NULL) {
		mutex_unlock(&p->p_lock);
		goto free;
	}
	if ((error = set_base(p, (int32_t)a[0], pt)) != 0 || (error = set_event(p, &ev, pt)) != 0) {
		uid_sigpend_leave(pt->pt_ui);
		mutex_unlock(&p->p_lock);
		goto free;
	}
	insert_timer(pts, pt);
	pts->pts_cont |= pt->pt_sig == SIGCONT;
	id = pt->pt_id;
	if (a[1] == 0)
		pt->pt_value = (uint64_t)id;
	mutex_unlock(&p->p_lock);
	if (arch_ustore_32(a[2], (uint32_t)id) == 0)
		return 0;
	/* Nobody has heard of it, but somebody may have guessed its id. */
	mutex_lock(&p->p_lock);
	pt = ptimer_find(p->p_timers, id);
	if (pt != NULL)
		ptimer_delete(pt);
	mutex_unlock(&p->p_lock);
	return -EFAULT;

free:
	kmem_free(pt, sizeof(*pt));
	return error;
}

/* The timer of the current process with this id, with p_lock held; or NULL. */
static struct ptimer *
lock_timer(int32_t id)
{
	struct proc *p = curproc();
	struct ptimer *pt;

	mutex_lock(&p->p_lock);
	pt = ptimer_find(p->p_timers, id);
	if (pt == NULL)
		mutex_unlock(&p->p_lock);
	return pt;
}

static int
copyout_timer(uintptr_t uold, nsec_t value, nsec_t interval)
{
	const struct abi_itimerspec it = { to_timespec(interval), to_timespec(value) };

	return arch_copyout(uold, &it, sizeof(it));
}

/* (timer_t, flags, const struct itimerspec *new, struct itimerspec *old) */
int64_t
sys_timer_settime(const uint64_t *a)
{
	struct proc *p = curproc();
	nsec_t value, interval, oldvalue, oldinterval;
	struct abi_itimerspec it;
	struct ptimer *pt;

	if (a[2] == 0)
		return -EINVAL;
	if (arch_copyin(&it, a[2], sizeof(it)) != 0)
		return -EFAULT;
	if (from_timespec(&it.it_value, &value) != 0 ||
	    from_timespec(&it.it_interval, &interval) != 0 ||
	    (pt = lock_timer((int32_t)a[0])) == NULL)
		return -EINVAL;
	oldvalue = ptimer_left(pt);
	oldinterval = pt->pt_interval;
	ptimer_stop(pt);
	pt->pt_overrun = 0;
	pt->pt_interval = value != 0 ? interval : 0;
	if (value != 0 && (p->p_flag & PK_EXITING) == 0) {
		if (pt->pt_wall) /* a span is one of the monotonic clock: nobody sets that */
			pt->pt_base = a[1] & TIMER_ABSTIME ? PTB_WALL : PTB_TIME;
		pt->pt_when = a[1] & TIMER_ABSTIME ? value : ptimer_now(pt) + value;
		ptimer_arm(pt);
	}
	mutex_unlock(&p->p_lock);
	return a[3] != 0 ? copyout_timer(a[3], oldvalue, oldinterval) : 0;
}

/* (timer_t, struct itimerspec *value) */
int64_t
sys_timer_gettime(const uint64_t *a)
{
	struct ptimer *pt = lock_timer((int32_t)a[0]);
	nsec_t value, interval;

	if (pt == NULL)
		return -EINVAL;
	value = ptimer_left(pt);
	interval = pt->pt_interval;
	mutex_unlock(&curproc()->p_lock);
	return copyout_timer(a[1], value, interval);
}

/* (timer_t) */
int64_t
sys_timer_getoverrun(const uint64_t *a)
{
	struct ptimer *pt = lock_timer((int32_t)a[0]);
	int32_t overrun;

	if (pt == NULL)
		return -EINVAL;
	overrun = pt->pt_overrun;
	mutex_unlock(&curproc()->p_lock);
	return overrun;
}

/* (timer_t) */
int64_t
sys_timer_delete(const uint64_t *a)
{
	struct ptimer *pt = lock_timer((int32_t)a[0]);

	if (pt == NULL)
		return -EINVAL;
	ptimer_delete(pt);
	mutex_unlock(&curproc()->p_lock);
	return 0;
}
