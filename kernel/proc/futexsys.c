/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on futexes and the other per-thread state that Linux programs keep in user memory.
 */
#include <kernel/futex.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/callout.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

#define NSEC_PER_SEC 1000000000l

/* A struct timespec as nanoseconds; what is too far away becomes the farthest time that is not "never". */
static int
fetch_time(uintptr_t addr, nsec_t *t)
{
	int64_t ts[2];

	if (arch_copyin(ts, addr, sizeof(ts)) != 0)
		return -EFAULT;
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= NSEC_PER_SEC)
		return -EINVAL;
	if (ts[0] >= INT64_MAX / NSEC_PER_SEC)
		*t = INT64_MAX;
	else
		*t = (nsec_t)(ts[0] * NSEC_PER_SEC + ts[1]);
	return 0;
}

/* FUTEX_WAIT takes a span, FUTEX_WAIT_BITSET a time of either clock. Result: a time of that or the monotonic clock. */
static inline __attribute__((always_inline)) int
fetch_deadline(uintptr_t addr, bool span, nsec_t *deadline)
{
	struct lwp *l = curlwp();
	nsec_t restart, t;
	int error;

	if (addr == 0) {
		*deadline = NSEC_FOREVER;
		return 0;
	}
	restart = l->l_restart_deadline;
	l->l_restart_deadline = 0;
	error = fetch_time(addr, &t);
	if (error != 0)
		return error;
	if (span) {
		/* A call that goes on after an interruption keeps the deadline that it had. */
		*deadline = restart != 0 ? restart : time_now() + t;
	} else
		*deadline = t;
	return 0;
}

/* As in Linux, a wait with a time limit is not restarted after a handler, whatever SA_RESTART says. */
static int64_t
do_wait(const uint64_t *a, bool span, bool shared, uint32_t bits)
{
	struct callout *timeout = &curlwp()->l_timeout;
	nsec_t deadline;
	int error = fetch_deadline(a[3], span, &deadline);

	if (error != 0)
		return error;
	if (bits == 0)
		return -EINVAL;
	timeout->co_wall = (a[1] & FUTEX_CLOCK_REALTIME) != 0;
	error = futex_wait(a[0], shared, (uint32_t)a[2], bits, deadline);
	timeout->co_wall = false;
	if (error == -ERESTART && deadline != NSEC_FOREVER) {
		if (span)
			curlwp()->l_restart_deadline = deadline;
		error = -ERESTARTNOHAND;
	}
	return error;
}

static int64_t
do_wake(const uint64_t *a, bool shared, uint32_t bits)
{
	int n = (int)a[2];

	if (bits == 0)
		return -EINVAL;
	return futex_wake(
	    a[0], shared, n > 0 ? (unsigned)n : 1, bits); /* Linux wakes one for 0, too */
}

static int64_t
do_requeue(const uint64_t *a, bool shared, const uint32_t *cmp)
{
	int nwake = (int)a[2], nmove = (int)a[3];

	if (nwake < 0 || nmove < 0)
		return -EINVAL;
	return futex_requeue(a[0], a[4], shared, (unsigned)nwake, (unsigned)nmove, cmp);
}

/* As with a count of 0 in Linux, at least one of each is woken. */
static int64_t
do_wake_op(const uint64_t *a, bool shared)
{
	int n = (int)a[2], n2 = (int)a[3];

	return futex_wake_op(
	    a[0], a[4], shared, n > 0 ? (unsigned)n : 1, n2 > 0 ? (unsigned)n2 : 1, (uint32_t)a[5]);
}

/*
 * FUTEX_LOCK_PI, or the wait to be moved to such a lock. The time limit is always a time; FUTEX_LOCK_PI's of the clock
 * of the day.
 */
static int64_t
do_wait_pi(const uint64_t *a, bool shared, bool wall, bool requeue)
{
	struct callout *timeout = &curlwp()->l_timeout;
	nsec_t deadline;
	int error = fetch_deadline(a[3], false, &deadline);

	if (error != 0)
		return error;
	timeout->co_wall = wall;
	if (requeue)
		error = futex_wait_requeue_pi(a[0], a[4], shared, (uint32_t)a[2], deadline);
	else
		error = futex_lock_pi(a[0], shared, deadline, false);
	timeout->co_wall = false;
	return error;
}

static int64_t
do_requeue_pi(const uint64_t *a, bool shared)
{
	int nwake = (int)a[2], nmove = (int)a[3];

	if (nwake != 1 || nmove < 0)
		return -EINVAL;
	return futex_requeue_pi(a[0], a[4], shared, (unsigned)nmove, (uint32_t)a[5]);
}

/* Out of the way of wait and wake, which are called far more often. */
static int64_t __noinline
other_op(const uint64_t *a, int cmd, bool shared, bool wall)
{
	if (wall && cmd != FUTEX_LOCK_PI2 && cmd != FUTEX_WAIT_REQUEUE_PI)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAKE_OP:
		return do_wake_op(a, shared);
	case FUTEX_LOCK_PI:
		return do_wait_pi(a, shared, true, false);
	case FUTEX_LOCK_PI2:
		return do_wait_pi(a, shared, wall, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(a[0], shared, NSEC_FOREVER, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(a[0], shared);
	case FUTEX_WAIT_REQUEUE_PI:
		return do_wait_pi(a, shared, wall, true);
	case FUTEX_CMP_REQUEUE_PI:
		return do_requeue_pi(a, shared);
	default:
		return -ENOSYS;
	}
}

/* (uint32_t *addr, op, val, timeout or val2, uint32_t *addr2, val3) */
int64_t
sys_futex(const uint64_t *a)
{
	int op = (int)a[1], cmd = op & FUTEX_CMD_MASK;
	bool shared = (op & FUTEX_PRIVATE_FLAG) == 0;
	uint32_t val3 = (uint32_t)a[5];

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
		return other_op(a, cmd, shared, true);
	switch (cmd) {
	case FUTEX_WAIT:
		return do_wait(a, true, shared, FUTEX_BITSET_ANY);
	case FUTEX_WAIT_BITSET:
		return do_wait(a, false, shared, val3);
	case FUTEX_WAKE:
		return do_wake(a, shared, FUTEX_BITSET_ANY);
	case FUTEX_WAKE_BITSET:
		return do_wake(a, shared, val3);
	case FUTEX_REQUEUE:
		return do_requeue(a, shared, NULL);
	case FUTEX_CMP_REQUEUE:
		return do_requeue(a, shared, &val3);
	default:
		return other_op(a, cmd, shared, false);
	}
}

/* (int *addr) */
int64_t
sys_set_tid_address(const uint64_t *a)
{
	curlwp()->l_clear_tid = a[0];
	return curlwp()->l_lid;
}

/* (struct robust_list_head *head, size_t size) */
int64_t
sys_set_robust_list(const uint64_t *a)
{
	if (a[1] != sizeof(struct robust_list_head))
		return -EINVAL;
	curlwp()->l_robust_head = a[0];
	return 0;
}

/* (tid, struct robust_list_head **head, size_t *size) */
int64_t
sys_get_robust_list(const uint64_t *a)
{
	lwpid_t lid = (lwpid_t)a[0];
	uintptr_t head = 0;
	int error = 0;

	if (lid == 0)
		head = curlwp()->l_robust_head;
	else {
		struct lwp *l;
		struct proc *p = lwp_find_acquire_proc(lid, &l);

		if (p == NULL)
			return -ESRCH;
		if (cred_may_inspect(p))
			head = atomic_load_relaxed(&l->l_robust_head);
		else
			error = -EPERM;
		mutex_unlock(&p->p_lock);
	}
	if (error != 0)
		return error;
	if (arch_ustore_64(a[2], sizeof(struct robust_list_head)) != 0)
		return -EFAULT;
	return arch_ustore_64(a[1], head);
}

/* (code, address) */
int64_t
sys_arch_prctl(const uint64_t *a)
{
	return arch_prctl((int)a[0], a[1]);
}
