/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * _lwp_park, _lwp_unpark, _lwp_wakeup. docs/protocol.md 3.5.
 *
 * A parked LWP sleeps without a queue. Token (LW_UNPARKED) and cancel (LW_CANCELLED) are looked at and the sleep
 * begun under one hold of the LWP's lock, which is the lock that unpark takes: no wakeup is lost. There is one
 * token, not a count. A park clears both on each way out, so neither reaches a later sleep (B35); a token that
 * came just as the time ran out makes that park a success, so it is not lost either.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <kernel/callout.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>

#define TOKENS ((uint32_t)(LW_CANCELLED | LW_UNPARKED))

/* Stopped meanwhile or not. => l locked */
static bool
is_parked(const struct lwp *l)
{
	return l->l_wchan != NULL && l->l_syncobj == &syncobj_park;
}

int
lwp_park(nsec_t deadline)
{
	struct lwp *l = curlwp();
	uint32_t left;
	int error;

	assert_may_sleep();
	lwp_lock_self(l);
	if (l->l_flag & TOKENS) {
		l->l_flag &= ~TOKENS;
		lwp_unlock(l);
		return -EALREADY;
	}
	if (deadline != NSEC_FOREVER && deadline <= time_now()) {
		lwp_unlock(l);
		return -ETIMEDOUT;
	}
	sleepq_enqueue(NULL, l, "parked", &syncobj_park, true);
	error = sleepq_block(deadline, true);
	if (unlikely(atomic_load_relaxed(&l->l_flag) & TOKENS)) {
		lwp_lock(l);
		left = l->l_flag & TOKENS;
		l->l_flag &= ~TOKENS;
		lwp_unlock(l);
		if (left == LW_UNPARKED)
			return 0;
		if (left != 0)
			return -EINTR;
	}
	return error == 0 ? 0 : error == -EWOULDBLOCK ? -ETIMEDOUT : -EINTR;
}

int
lwp_unpark(lwpid_t lid)
{
	struct lwp *t = lwp_find_locked(curproc(), lid);
	struct spinlock *m;

	if (t == NULL)
		return -ESRCH;
	m = t->l_mutex;
	if (t->l_stat == LS_ZOMB) {
		spin_unlock(m);
		return -ESRCH;
	}
	if (is_parked(t))
		sleepq_remove(t, true);
	else
		t->l_flag |= LW_UNPARKED;
	spin_unlock(m);
	return 0;
}

int
lwp_wakeup(lwpid_t lid)
{
	struct lwp *t = lwp_find_locked(curproc(), lid);

	if (t == NULL)
		return -ESRCH;
	if (t->l_stat == LS_ZOMB) {
		lwp_unlock(t);
		return -ESRCH;
	}
	t->l_flag |= TOKENS;
	if (t->l_wchan == NULL) {
		lwp_unlock(t);
		return -ENODEV;
	}
	if ((t->l_flag & LW_SINTR) == 0 || (t->l_intrmask & LW_CANCELLED) == 0) {
		lwp_unlock(t);
		return -EBUSY;
	}
	setrunnable(t);
	return 0;
}
