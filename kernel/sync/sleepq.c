/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleep queues. docs/protocol.md 2.6.
 *
 * A sleeper lends itself the lock of the queue that it joins, so whoever holds that lock holds all
 * sleepers on the queue. It is held from the check of the condition to the stack switch, and released by
 * the successor: a wakeup finds the sleeper either not yet queued or completely off its CPU. The one
 * exception is priority lending (turnstile.c), which must let go for a moment; a sleeper that is woken
 * then is RUNNING still, becomes ONPROC again, and does not switch.
 *
 * A genuine wakeup clears interruptibility and the timeout mark: it cannot turn into an error any more,
 * so what the waker handed over is not lost (B10).
 */
#include <kernel/sleepq.h>

#include <abi/errno.h>
#include <kernel/callout.h>
#include <kernel/failpoint.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/trace.h>

#define SLEEPQ_LOCKS 128

static struct {
	struct spinlock lock;
} __cacheline_aligned sleepq_locks[SLEEPQ_LOCKS];

const struct syncobj syncobj_cv = { SOBJ_CV, NULL, false };
const struct syncobj syncobj_futex = { SOBJ_FUTEX, NULL, false };
const struct syncobj syncobj_pause = { SOBJ_PAUSE, NULL, false };
const struct syncobj syncobj_park = { SOBJ_PARK, NULL, false };

void
sleepq_init(void)
{
	for (int i = 0; i < SLEEPQ_LOCKS; i++)
		spin_init(&sleepq_locks[i].lock, "sleepq", RANK_SLEEPQ);
}

struct spinlock *
sleepq_lock_of(const void *wchan)
{
	uintptr_t h = (uintptr_t)wchan >> 4;

	h ^= h >> 9;
	return &sleepq_locks[h % SLEEPQ_LOCKS].lock;
}

void
sleepq_enter(struct spinlock *lock)
{
	struct lwp *l = curlwp();
	struct spinlock *own = l->l_mutex;

	KASSERT(spin_held(lock));
	KASSERTMSG(l->l_stat == LS_ONPROC, "lid %d %s", l->l_lid, lwp_state_name[l->l_stat]);
	/* While we are ONPROC and cannot be preempted (we hold a spin lock) nobody changes l_mutex. */
	spin_lock_inner(own);
	lwp_setlock(l, lock);
	spin_unlock_inner(own);
}

static void __noinline
insert_realtime(struct list *queue, struct lwp *l)
{
	int pri = lwp_sleeppri(l);
	struct list *e;

	for (e = queue->prev; e != queue; e = e->prev)
		if (lwp_sleeppri(list_entry(e, struct lwp, l_sleepchain)) >= pri)
			break;
	list_insert_after(e, &l->l_sleepchain);
}

/* Who is of time sharing belongs at the end: see lwp_sleeppri(). */
static inline void
queue_insert(struct list *queue, struct lwp *l)
{
	if (unlikely(lwp_uprio(l) >= PRI_USER_RT))
		insert_realtime(queue, l);
	else
		list_insert_tail(queue, &l->l_sleepchain);
}

void
sleepq_insert(struct list *queue, struct lwp *l)
{
	KASSERT(lwp_locked(l, NULL));
	queue_insert(queue, l);
}

/* => curlwp locked by the queue's lock; `queue` NULL: an object without a queue */
void
sleepq_enqueue(
    struct list *queue, const void *wchan, const char *wmesg, const struct syncobj *so, bool intr)
{
	struct lwp *l = curlwp();

	KASSERT(lwp_locked(l, NULL) && l->l_wchan == NULL && wchan != NULL);
	l->l_wchan = wchan;
	l->l_wmesg = wmesg;
	l->l_syncobj = so;
	l->l_sleepq = queue;
	if (intr) {
		l->l_flag |= LW_SINTR | LW_CATCHINTR;
		l->l_intrmask = LW_INTERRUPT;
	}
	lwp_setstat(l, LS_SLEEP);
	if (queue != NULL)
		queue_insert(queue, l);
}

/* What ends its sleep, a time limit included, still does. */
void
sleepq_move(struct lwp *l, struct list *queue, struct spinlock *lock, const void *wchan,
    const char *wmesg, const struct syncobj *so)
{
	KASSERT(lwp_locked(l, NULL) && spin_held(lock) && l->l_sleepq != NULL);
	list_remove(&l->l_sleepchain);
	l->l_wchan = wchan;
	l->l_wmesg = wmesg;
	l->l_syncobj = so;
	l->l_sleepq = queue;
	lwp_setlock(l, lock);
	queue_insert(queue, l);
}

static void
sleepq_timeout(void *arg)
{
	struct lwp *l = arg;

	lwp_lock(l);
	if (l->l_wchan == NULL) {
		lwp_unlock(l);
		return;
	}
	l->l_flag |= LW_STIMO;
	sleepq_unsleep(l);
}

void
sleepq_lwp_ctor(struct lwp *l)
{
	callout_init(&l->l_timeout, sleepq_timeout, l);
}

#ifdef DEBUG
/* The window of the fail point, which a sleeper whose lock is never let go does not have. */
static void
linger_queued(struct lwp *l)
{
	if (likely(fp_usec[FP_sleep_queued_not_switched] == 0))
		return;
	lwp_unlock(l);
	fp_hit(FP_sleep_queued_not_switched);
	lwp_lock(l);
}
#endif

int
sleepq_block(nsec_t deadline, bool intr)
{
	struct lwp *l = curlwp();
	struct spinlock *m;
	bool timed = deadline != NSEC_FOREVER;
	uint32_t flags;

	DEBUG_ONLY(linger_queued(l);)
	m = l->l_mutex;
	if (l->l_wchan == NULL) {
		/* Woken while the lock was let go: no switch, but perhaps we are to be preempted since. */
		spin_unlock(m);
		kpreempt();
	} else if (intr && (l->l_flag & l->l_intrmask)) {
		sleepq_remove(l, false);
		spin_unlock(m);
	} else {
		if (timed)
			callout_arm(&l->l_timeout, deadline);
		l->l_kpribase = true;
		sched_enter_switch(l);
		if (timed)
			callout_stop(&l->l_timeout);
	}
	/* Written under our lock by whoever woke us, before we ran; only we clear the two below. */
	if (likely((atomic_load_relaxed(&l->l_flag) & (LW_STIMO | LW_CATCHINTR)) == 0))
		return 0;
	lwp_lock(l);
	flags = l->l_flag;
	l->l_flag &= ~(uint32_t)(LW_STIMO | LW_CATCHINTR);
	if ((flags & LW_STIMO) == 0 && (flags & l->l_intrmask & LW_CANCELLED))
		l->l_flag &= ~(uint32_t)(LW_CANCELLED | LW_UNPARKED);
	lwp_unlock(l);
	if (flags & LW_STIMO)
		return -EWOULDBLOCK;
	/* What ended the sleep may be over by now (a suspension that was cancelled): the call starts again then. */
	return flags & l->l_intrmask & LW_CANCELLED ? -EINTR : -ERESTART;
}

void
sleepq_remove(struct lwp *l, bool wakeup)
{
	KASSERT(lwp_locked(l, NULL) && l->l_wchan != NULL);
	if (l->l_sleepq != NULL)
		list_remove(&l->l_sleepchain);
	l->l_wchan = NULL;
	l->l_sleepq = NULL;
	l->l_flag &= ~(uint32_t)(wakeup ? LW_SINTR | LW_CATCHINTR | LW_STIMO : LW_SINTR);
	if (l->l_stat != LS_SLEEP) {
		/* Stopped while it was queued: it stays so. */
		KASSERT(l->l_stat == LS_STOP || l->l_stat == LS_SUSPENDED);
		lwp_setlock(l, &l->l_cpu->ci_spc->spc_lwplock);
	} else if (l->l_running) {
		fp(woken_while_running);
		TRACE(WAKE, l->l_cpu->ci_index, l->l_lid, 1);
		lwp_setstat(l, LS_ONPROC);
		lwp_setlock(l, &l->l_cpu->ci_spc->spc_lwplock);
	} else
		runq_make_runnable(l);
}

void
sleepq_unsleep(struct lwp *l)
{
	struct spinlock *m = l->l_mutex;

	sleepq_remove(l, false);
	spin_unlock(m);
}

/* One that is stopped would not use its wakeup soon: those come last. */
int
sleepq_wake(struct list *queue, const void *wchan, unsigned n)
{
	bool all = false, passed_over;
	int woken = 0;

	do {
		struct list *e = queue->next;

		passed_over = false;
		while (e != queue && n > 0) {
			struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

			e = e->next;
			if (l->l_wchan != wchan)
				continue;
			if (unlikely(l->l_stat == LS_STOP) && !all) {
				passed_over = true;
				continue;
			}
			sleepq_remove(l, true);
			woken++;
			n--;
		}
		all = true;
	} while (unlikely(passed_over) && n > 0);
	return woken;
}

/* Among those of time sharing a change of priority is none: they keep their places. */
void
sleepq_changepri(struct lwp *l, int old)
{
	const struct list *q = l->l_sleepq;

	KASSERT(lwp_locked(l, NULL));
	if (q == NULL || lwp_sleeppri(l) == sleepq_place(old))
		return;
	if (q->next == q->prev)
		return; /* alone: the queue must not be seen empty */
	list_remove(&l->l_sleepchain);
	queue_insert(l->l_sleepq, l);
}
