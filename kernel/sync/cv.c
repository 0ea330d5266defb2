/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variables on sleep queues. The queue is in the variable, its lock is one of the immortal
 * hashed ones, so a variable may be freed as soon as nobody waits.
 */
#include <kernel/cv.h>

#include <abi/errno.h>
#include <kernel/bugs.h>
#include <kernel/callout.h>
#include <kernel/explore.h>
#include <kernel/mutex.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>

void
cv_init(struct condvar *cv, const char *wmesg)
{
	list_init(&cv->cv_waiters);
	cv->cv_wmesg = wmesg;
}

void
cv_destroy(struct condvar *cv)
{
	KASSERTMSG(list_empty(&cv->cv_waiters), "cv %s (%p)", cv->cv_wmesg, (void *)cv);
}

static int
cv_block(struct condvar *cv, struct mutex *mtx, uint32_t intr, nsec_t deadline)
{
	struct spinlock *lock = sleepq_lock_of(cv);
	int error;

	KASSERT(mutex_owned(mtx));
	assert_may_sleep();
	if (deadline != NSEC_FOREVER && deadline <= time_now())
		return -EWOULDBLOCK;
	if (BUG(lost_wakeup))
		mutex_unlock(mtx);
	spin_lock(lock);
	sleepq_enter(lock);
	sleepq_enqueue(&cv->cv_waiters, cv, cv->cv_wmesg, &syncobj_cv, intr != 0);
	curlwp()->l_intrmask = intr;
	if (!BUG(lost_wakeup))
		mutex_unlock(mtx);
	error = sleepq_block(deadline, intr != 0);
	mutex_lock(mtx);
	return error;
}

void
cv_wait(struct condvar *cv, struct mutex *mtx)
{
	(void)cv_block(cv, mtx, 0, NSEC_FOREVER);
}

int
cv_wait_sig(struct condvar *cv, struct mutex *mtx)
{
	return cv_block(cv, mtx, LW_INTERRUPT, NSEC_FOREVER);
}

int
cv_wait_kill(struct condvar *cv, struct mutex *mtx)
{
	return cv_block(cv, mtx, LW_KILL | LW_WSTOP, NSEC_FOREVER);
}

int
cv_timedwait(struct condvar *cv, struct mutex *mtx, nsec_t deadline)
{
	return cv_block(cv, mtx, 0, deadline);
}

int
cv_timedwait_sig(struct condvar *cv, struct mutex *mtx, nsec_t deadline)
{
	return cv_block(cv, mtx, LW_INTERRUPT, deadline);
}

/* Wakes up to n; returns how many. */
static inline int
cv_wake(struct condvar *cv, unsigned n)
{
	struct spinlock *lock;
	int woken;

	EXPLORE_POINT(WAKE, cv);
	/* A waiter queued itself before it dropped the mutex, so who held the mutex sees it here. */
	if (!cv_has_waiters(cv))
		return 0;
	lock = sleepq_lock_of(cv);
	spin_lock(lock);
	woken = sleepq_wake(&cv->cv_waiters, cv, n);
	spin_unlock(lock);
	return woken;
}

void
cv_signal(struct condvar *cv)
{
	cv_wake(cv, 1);
}

#define WAKE_BATCH 32 /* woken in one hold of the queue's lock, which keeps interrupts off */

void
cv_broadcast(struct condvar *cv)
{
	while (cv_wake(cv, WAKE_BATCH) == WAKE_BATCH)
		continue;
}

bool
cv_has_waiters(const struct condvar *cv)
{
	return atomic_load_relaxed(&cv->cv_waiters.next) != &cv->cv_waiters;
}

int
kpause(const char *wmesg, bool intr, nsec_t deadline)
{
	struct lwp *l = curlwp();

	assert_may_sleep();
	if (deadline <= time_now())
		return -EWOULDBLOCK;
	lwp_lock(l); /* no queue: its CPU's spc_lwplock */
	sleepq_enqueue(NULL, l, wmesg, &syncobj_pause, intr);
	return sleepq_block(deadline, intr);
}
