/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variables, used with an adaptive mutex. Waiters queue by effective priority, oldest first
 * among equals; the queue is guarded by an immortal hashed lock. signal and broadcast are allowed with
 * the mutex held or just after it was dropped.
 * layer: core
 */
#ifndef KERNEL_CV_H
#define KERNEL_CV_H

#include <kernel/list.h>
#include <kernel/types.h>

struct mutex;

struct condvar {
	struct list cv_waiters; /* guarded by sleepq_lock_of(cv) */
	const char *cv_wmesg;   /* reason shown by ps, at most 8 characters */
};

#define CV_INIT(name, wmesg) \
	{ \
		LIST_INIT((name).cv_waiters), wmesg \
	}
#define NSEC_FOREVER ((nsec_t)-1)

void cv_init(struct condvar *, const char *wmesg);
void cv_destroy(struct condvar *); /* asserts that nobody waits */

/*
 * Each wait drops the mutex, sleeps, and takes the mutex again in all cases.
 * `deadline` is absolute on the monotonic clock; NSEC_FOREVER = none; a deadline in the past returns
 * -EWOULDBLOCK without sleeping.
 * Results: 0 woken; -EWOULDBLOCK deadline passed; _sig forms also -ERESTART (a signal, an exit or a
 * suspension is pending; the caller turns it into -EINTR if the call does not restart) and -EINTR (cancelled).
 * A waiter that cv_signal() chose returns 0, whatever else happened meanwhile.
 * => mutex held; sleeps.
 */
void cv_wait(struct condvar *, struct mutex *);
int cv_wait_sig(struct condvar *, struct mutex *) __must_check;
/* Ended early by the end or a stop of the process only: then LW_KILL or LW_WSTOP is set. */
int cv_wait_kill(struct condvar *, struct mutex *) __must_check;
int cv_timedwait(struct condvar *, struct mutex *, nsec_t deadline);
int cv_timedwait_sig(struct condvar *, struct mutex *, nsec_t deadline) __must_check;
void cv_signal(struct condvar *); /* wakes the first waiter */
void cv_broadcast(
    struct condvar *); /* wakes all, in batches: the caller keeps the variable alive */
bool cv_has_waiters(const struct condvar *); /* a hint unless the mutex is held */

/* kpause: sleep until `deadline`; interruptible if `intr`. Results as cv_timedwait_sig. => no lock held. */
int kpause(const char *wmesg, bool intr, nsec_t deadline);

#endif
