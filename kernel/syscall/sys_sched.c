/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on CPUs and scheduling classes: sched_yield sched_getaffinity sched_setaffinity getcpu,
 * sched_{set,get}scheduler, sched_{set,get}param, sched_get_priority_{max,min}, sched_rr_get_interval.
 * As on Linux an id is that of an LWP, and 0 is the caller.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/sched.h>
#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>

int64_t
sys_sched_yield(const uint64_t *a __unused)
{
	yield();
	return 0;
}

/* The LWP with an id, 0 being the caller's; its process's p_lock is held on return. NULL: none. */
static struct lwp *
find_lwp(lwpid_t id)
{
	struct lwp *l;

	if (id == 0) {
		l = curlwp();
		mutex_lock(&l->l_proc->p_lock);
		return l;
	}
	return lwp_find_acquire_proc(id, &l) != NULL ? l : NULL;
}

/* Returns the size of the kernel's mask, in bytes, as Linux does. */
int64_t
sys_sched_getaffinity(const uint64_t *a)
{
	uint32_t size = (uint32_t)a[1];
	cpuset_t online = atomic_load_relaxed(&cpu_online_set), set;
	struct lwp *l;

	if (size % sizeof(set) != 0 || size * 8ull < ncpu)
		return -EINVAL;
	l = find_lwp((lwpid_t)a[0]);
	if (l == NULL)
		return -ESRCH;
	set = l->l_affinity != 0 ? l->l_affinity & online : online;
	mutex_unlock(&l->l_proc->p_lock);
	return arch_copyout(a[2], &set, sizeof(set)) != 0 ? -EFAULT : (int64_t)sizeof(set);
}

int64_t
sys_sched_setaffinity(const uint64_t *a)
{
	size_t size = min((size_t)(uint32_t)a[1], sizeof(cpuset_t));
	cpuset_t set = 0;
	struct lwp *l;
	int error;

	if (arch_copyin(&set, a[2], size) != 0)
		return -EFAULT;
	l = find_lwp((lwpid_t)a[0]);
	if (l == NULL)
		return -ESRCH;
	if ((l->l_proc->p_flag & PK_SYSTEM) || !cred_may_control(l->l_proc))
		error = -EPERM;
	else
		error = set == 0 ? -EINVAL : sched_setaffinity(l, set); /* there, 0 means all */
	mutex_unlock(&l->l_proc->p_lock);
	return error;
}

int64_t
sys_getcpu(const uint64_t *a)
{
	uint32_t cpu =
	    atomic_load_relaxed(&curlwp()->l_cpu)->ci_index; /* true when it was looked at */

	if (a[0] != 0 && arch_ustore_32(a[0], cpu) != 0)
		return -EFAULT;
	if (a[1] != 0 && arch_ustore_32(a[1], 0) != 0)
		return -EFAULT;
	return 0;
}

/* ---- classes ---- */

static bool
realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* May the caller give `new` to an LWP of process p that has `old`? 0 or -EPERM. => p_lock held */
static int
may_setclass(const struct proc *p, const struct sched_class *old, const struct sched_class *new)
{
	uint64_t limit = p->p_rlimit[RLIMIT_RTPRIO].cur;

	if (cred_is_root())
		return 0;
	if (!cred_may_control(p))
		return -EPERM;
	if (realtime(new->sc_policy) &&
	    ((new->sc_policy != old->sc_policy &&limit == 0) ||
		(new->sc_rtprio > old->sc_rtprio &&new->sc_rtprio > limit)))
		return -EPERM;
	/* To leave SCHED_IDLE is to become more urgent, and so is not to lose it. */
	if (old->sc_policy == SCHED_IDLE && new->sc_policy != SCHED_IDLE &&
	    (uint64_t)(NICE_MAX + 1 - old->sc_nice) > p->p_rlimit[RLIMIT_NICE].cur)
		return -EPERM;
	return old->sc_reset && !new->sc_reset ? -EPERM : 0;
}

#define POLICY_KEEP (-1) /* sched_setparam() */

static int
set_scheduler(lwpid_t id, int policy, uintptr_t uparam)
{
	struct sched_class sc;
	struct lwp *l;
	int32_t pri;
	int error;

	if (id < 0 || uparam == 0)
		return -EINVAL;
	if (arch_copyin(&pri, uparam, sizeof(pri)) != 0)
		return -EFAULT;
	if ((l = find_lwp(id)) == NULL)
		return -ESRCH;
	sc = l->l_class;
	if (policy != POLICY_KEEP) {
		sc.sc_reset = (policy & SCHED_RESET_ON_FORK) != 0;
		policy &= ~SCHED_RESET_ON_FORK;
	} else
		policy = sc.sc_policy;
	error = -EINVAL;
	if (policy > SCHED_IDLE || policy == SCHED_BATCH + 1 || pri < 0 || pri > SCHED_RTPRIO_MAX ||
	    realtime(policy) != (pri != 0))
		goto out;
	sc.sc_policy = (uint8_t)policy;
	sc.sc_rtprio = (uint8_t)pri;
	error = -EPERM;
	if (l->l_proc->p_flag & PK_SYSTEM)
		goto out;
	error = may_setclass(l->l_proc, &l->l_class, &sc);
	/* One that stays what it is keeps its place in its queue. */
	if (error == 0 && memcmp(&sc, &l->l_class, sizeof(sc)) != 0)
		sched_setclass(l, &sc);
out:
	mutex_unlock(&l->l_proc->p_lock);
	return error;
}

int64_t
sys_sched_setscheduler(const uint64_t *a)
{
	int policy = (int)a[1];

	return policy < 0 ? -EINVAL : set_scheduler((lwpid_t)a[0], policy, a[2]);
}

int64_t
sys_sched_setparam(const uint64_t *a)
{
	return set_scheduler((lwpid_t)a[0], POLICY_KEEP, a[1]);
}

/* The class of an LWP. 0, -EINVAL, -ESRCH */
static int
get_class(lwpid_t id, struct sched_class *sc)
{
	struct lwp *l;

	if (id < 0)
		return -EINVAL;
	if ((l = find_lwp(id)) == NULL)
		return -ESRCH;
	*sc = l->l_class;
	mutex_unlock(&l->l_proc->p_lock);
	return 0;
}

int64_t
sys_sched_getscheduler(const uint64_t *a)
{
	struct sched_class sc;
	int error = get_class((lwpid_t)a[0], &sc);

	return error != 0 ? error : sc.sc_policy | (sc.sc_reset ? SCHED_RESET_ON_FORK : 0);
}

int64_t
sys_sched_getparam(const uint64_t *a)
{
	struct sched_class sc;
	int32_t pri;
	int error;

	if (a[1] == 0)
		return -EINVAL;
	if ((error = get_class((lwpid_t)a[0], &sc)) != 0)
		return error;
	pri = sc.sc_rtprio;
	return arch_copyout(a[1], &pri, sizeof(pri));
}

/* Of a time-sharing LWP, its turn among its equals; SCHED_FIFO has none. */
int64_t
sys_sched_rr_get_interval(const uint64_t *a)
{
	struct abi_timespec ts = { 0, 0 };
	struct sched_class sc;
	int error;

	if ((error = get_class((lwpid_t)a[0], &sc)) != 0)
		return error;
	if (sc.sc_policy == SCHED_RR)
		ts.tv_nsec = (int64_t)(SCHED_RR_TICKS * SCHED_QUANTUM);
	else if (sc.sc_policy != SCHED_FIFO)
		ts.tv_nsec = (int64_t)SCHED_QUANTUM;
	return arch_copyout(a[1], &ts, sizeof(ts));
}

static int64_t
priority_limit(int policy, int64_t of_realtime)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return of_realtime;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
	case SCHED_DEADLINE:
		return 0;
	default:
		return -EINVAL;
	}
}

int64_t
sys_sched_get_priority_max(const uint64_t *a)
{
	return priority_limit((int)a[0], SCHED_RTPRIO_MAX);
}

int64_t
sys_sched_get_priority_min(const uint64_t *a)
{
	return priority_limit((int)a[0], SCHED_RTPRIO_MIN);
}
