/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times of user programs to nanoseconds and back; deadlines of restarted calls.
 * layer: core
 */
#ifndef KERNEL_TIMESPEC_H
#define KERNEL_TIMESPEC_H

#include <abi/errno.h>
#include <abi/time.h>
#include <kernel/lwp.h>

#define SEC_MAX (INT64_MAX / NSEC_PER_SEC) /* longer times count as for ever */

static inline struct abi_timespec
to_timespec(nsec_t t)
{
	return (struct abi_timespec){ (int64_t)(t / NSEC_PER_SEC), (int64_t)(t % NSEC_PER_SEC) };
}

/* Nanoseconds of a valid timespec, INT64_MAX at most; -EINVAL */
static inline int
from_timespec(const struct abi_timespec *ts, nsec_t *t)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*t = ts->tv_sec >= SEC_MAX ? INT64_MAX
				   : (nsec_t)ts->tv_sec * NSEC_PER_SEC + (nsec_t)ts->tv_nsec;
	return 0;
}

/* The deadline of the call that this one restarts, or 0. => l is curlwp */
static inline nsec_t
restart_deadline(struct lwp *l)
{
	nsec_t deadline = l->l_restart_deadline;

	l->l_restart_deadline = 0;
	return deadline;
}

#endif
