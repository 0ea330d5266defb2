/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on time: clock_gettime clock_settime clock_getres gettimeofday settimeofday time times nanosleep
 * clock_nanosleep restart_syscall.
 *
 * A sleep of a relative time that is restarted must not begin anew: when it is interrupted it
 * leaves its deadline in l_restart_deadline. The restarted call takes it from there, before it can fail; if a
 * handler runs instead, signal delivery clears it.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/cred.h>
#include <kernel/cv.h>
#include <kernel/exec.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/timespec.h>

/* ---- clocks ---- */

static nsec_t
process_cputime(struct proc *p)
{
	nsec_t user, sys;

	proc_times(p, &user, &sys);
	return user + sys;
}

/* CPU time of any process or of an LWP of the caller's. -EINVAL: no such one. */
static int
cpu_clock(int32_t clock, nsec_t *t)
{
	pid_t id = CPUCLOCK_ID(clock);
	struct proc *self = curproc(), *p;
	struct lwp *l;
	int error = 0;

	if (CPUCLOCK_TYPE(clock) != CPUCLOCK_SCHED)
		return -EINVAL;
	if ((clock & CPUCLOCK_PERTHREAD) != 0) {
		if (id == 0)
			id = curlwp()->l_lid;
		l = lwp_find_locked(self, id);
		if (l == NULL)
			return -EINVAL;
		if (lwp_stat(l) == LS_ZOMB)
			error = -EINVAL;
		else
			*t = lwp_cputime_locked(l);
		lwp_unlock(l);
		return error;
	}
	mutex_lock(&proc_lock);
	p = id == 0 ? self : proc_find_any(id);
	if (p != NULL) {
		mutex_lock(&p->p_lock);
		*t = process_cputime(p);
		mutex_unlock(&p->p_lock);
	} else
		error = -EINVAL;
	mutex_unlock(&proc_lock);
	return error;
}

static int
read_clock(int32_t clock, nsec_t *t)
{
	struct proc *p = curproc();

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		*t = time_wall();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*t = time_now();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		mutex_lock(&p->p_lock);
		*t = process_cputime(p);
		mutex_unlock(&p->p_lock);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*t = lwp_cputime(curlwp());
		return 0;
	default:
		return clock < 0 ? cpu_clock(clock, t) : -EINVAL;
	}
}

int64_t
sys_clock_gettime(const uint64_t *a)
{
	struct abi_timespec ts;
	nsec_t t;
	int error = read_clock((int32_t)a[0], &t);

	if (error != 0)
		return error;
	ts = to_timespec(t);
	return arch_copyout(a[1], &ts, sizeof(ts));
}

int64_t
sys_clock_getres(const uint64_t *a)
{
	const struct abi_timespec ts = { 0, 1 };
	nsec_t t;
	int error = read_clock((int32_t)a[0], &t);

	if (error != 0)
		return error;
	return a[1] != 0 ? arch_copyout(a[1], &ts, sizeof(ts)) : 0;
}

int64_t
sys_gettimeofday(const uint64_t *a)
{
	const uint32_t zone[2] = { 0, 0 };
	nsec_t t = time_wall();
	const struct abi_timeval tv = { (int64_t)(t / NSEC_PER_SEC),
		(int64_t)(t % NSEC_PER_SEC / NSEC_PER_USEC) };

	if (a[0] != 0 && arch_copyout(a[0], &tv, sizeof(tv)) != 0)
		return -EFAULT;
	if (a[1] != 0 && arch_copyout(a[1], zone, sizeof(zone)) != 0)
		return -EFAULT;
	return 0;
}

int64_t
sys_time(const uint64_t *a)
{
	int64_t t = (int64_t)(time_wall() / NSEC_PER_SEC);

	if (a[0] != 0 && arch_ustore_64(a[0], (uint64_t)t) != 0)
		return -EFAULT;
	return t;
}

static int64_t
to_ticks(nsec_t t)
{
	return (int64_t)(t / (NSEC_PER_SEC / USER_HZ));
}

int64_t
sys_times(const uint64_t *a)
{
	struct proc *p = curproc();
	struct abi_tms tms;
	nsec_t user, sys;

	if (a[0] != 0) {
		mutex_lock(&proc_lock);
		tms.tms_cutime = to_ticks(p->p_cru.ru_utime);
		tms.tms_cstime = to_ticks(p->p_cru.ru_stime);
		mutex_unlock(&proc_lock);
		mutex_lock(&p->p_lock);
		proc_times(p, &user, &sys);
		mutex_unlock(&p->p_lock);
		tms.tms_utime = to_ticks(user);
		tms.tms_stime = to_ticks(sys);
		if (arch_copyout(a[0], &tms, sizeof(tms)) != 0)
			return -EFAULT;
	}
	return to_ticks(time_now());
}

/* ---- setting the clock ---- */

static struct mutex set_lock = MUTEX_INIT("settime", RANK_KMEM); /* one setter at a time */

/* -EPERM; -EINVAL: the time of the boot would be before 1970 */
static int
set_wall(nsec_t t)
{
	nsec_t base;
	int error = 0;

	if (!cred_is_root())
		return -EPERM;
	mutex_lock(&set_lock);
	base = t - time_now();
	if ((int64_t)base < 0 || t > INT64_MAX / 2)
		error = -EINVAL;
	else {
		vdso_set_wall(base); /* before those wake who look there */
		time_set_wall(base);
	}
	mutex_unlock(&set_lock);
	return error;
}

/* (clockid, const struct timespec *) */
int64_t
sys_clock_settime(const uint64_t *a)
{
	struct abi_timespec ts;
	nsec_t t;
	int error;

	if ((int32_t)a[0] != CLOCK_REALTIME)
		return -EINVAL;
	if (arch_copyin(&ts, a[1], sizeof(ts)) != 0)
		return -EFAULT;
	error = from_timespec(&ts, &t);
	return error != 0 ? error : set_wall(t);
}

/* (const struct timeval *, const struct timezone *); there are no zones */
int64_t
sys_settimeofday(const uint64_t *a)
{
	struct abi_timeval tv;
	struct abi_timespec ts;
	nsec_t t;
	int error;

	if (a[0] == 0)
		return cred_is_root() ? 0 : -EPERM;
	if (arch_copyin(&tv, a[0], sizeof(tv)) != 0)
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_usec >= (int64_t)(NSEC_PER_SEC / NSEC_PER_USEC))
		return -EINVAL;
	ts.tv_sec = tv.tv_sec;
	ts.tv_nsec = tv.tv_usec * (int64_t)NSEC_PER_USEC;
	error = from_timespec(&ts, &t);
	return error != 0 ? error : set_wall(t);
}

/* ---- sleeps ---- */

/*
 * A sleep until `deadline`, restarted from the same call without a look at its arguments. `urem`
 * may be 0.
 */
static int64_t
sleep_relative(nsec_t deadline, uintptr_t urem)
{
	struct abi_timespec ts;
	nsec_t now;
	int error = kpause("nanoslp", true, deadline);

	if (error == -EWOULDBLOCK)
		return 0;
	if (urem != 0) {
		now = time_now();
		ts = to_timespec(deadline > now ? deadline - now : 0);
		if (arch_copyout(urem, &ts, sizeof(ts)) != 0)
			return -EFAULT;
	}
	if (error != -ERESTART)
		return -EINTR;
	curlwp()->l_restart_deadline = deadline;
	return -ERESTARTNOHAND;
}

int64_t
sys_nanosleep(const uint64_t *a)
{
	nsec_t deadline = restart_deadline(curlwp()), t;
	struct abi_timespec ts;
	int error;

	if (arch_copyin(&ts, a[0], sizeof(ts)) != 0)
		return -EFAULT;
	error = from_timespec(&ts, &t);
	if (error != 0)
		return error;
	return sleep_relative(deadline != 0 ? deadline : time_now() + t, a[1]);
}

/*
 * A sleep until the wall clock shows `t`, which does not end early or late when that is set meanwhile.
 */
static int
sleep_until_wall(nsec_t t)
{
	struct callout *co = &curlwp()->l_timeout;
	int error;

	co->co_wall = true;
	error = kpause("nanoslp", true, t);
	co->co_wall = false;
	return error;
}

int64_t
sys_clock_nanosleep(const uint64_t *a)
{
	nsec_t deadline = restart_deadline(curlwp()), t, now;
	int32_t clock = (int32_t)a[0];
	struct abi_timespec ts;
	int error;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		break;
	default: /* there is a clock, but no sleeping by it */
		if (clock == CLOCK_THREAD_CPUTIME_ID || read_clock(clock, &now) != 0)
			return -EINVAL;
		return -EOPNOTSUPP;
	}
	if (arch_copyin(&ts, a[2], sizeof(ts)) != 0)
		return -EFAULT;
	error = from_timespec(&ts, &t);
	if (error != 0)
		return error;
	if ((a[1] & TIMER_ABSTIME) == 0)
		return sleep_relative(deadline != 0 ? deadline : time_now() + t, a[3]);
	if (clock == CLOCK_REALTIME || clock == CLOCK_TAI)
		error = sleep_until_wall(t);
	else
		error = kpause("nanoslp", true, t);
	if (error == -EWOULDBLOCK)
		return 0;
	return error == -ERESTART ? -ERESTARTNOHAND : -EINTR;
}

/*
 * Linux restarts some calls through this one. Here a call that goes on after a stop is made again, with its deadline in
 * l_restart_deadline; so who makes this call made it up.
 */
int64_t
sys_restart_syscall(const uint64_t *a __unused)
{
	return -EINTR;
}
