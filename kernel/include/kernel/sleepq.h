/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleep queues, docs/protocol.md 2.6. A queue is a list head under an immortal spin lock of RANK_SLEEPQ; the
 * lock is lent to every LWP on the queue. Use condition variables where they fit.
 *
 *	spin_lock(lock); check the condition under lock;
 *	sleepq_enter(lock);			the LWP's lock is now `lock`
 *	sleepq_enqueue(queue, wchan, wmesg, intr);
 *	error = sleepq_block(deadline, intr);	lock released, slept
 * layer: sync
 */
#ifndef KERNEL_SLEEPQ_H
#define KERNEL_SLEEPQ_H

#include <kernel/cv.h>
#include <kernel/lwp.h>
#include <kernel/spinlock.h>
#include <kernel/upcall.h> /* sleepq_unsleep(), sleepq_changepri() */

enum sobj_kind {
	SOBJ_CV,
	SOBJ_FUTEX,
	SOBJ_TURNSTILE,
	SOBJ_PAUSE,
	SOBJ_PARK,
	SOBJ_RWLOCK,
	SOBJ_PIFUTEX
};

struct syncobj {
	enum sobj_kind so_kind;
	struct lwp *(*so_owner)(const void *wchan); /* turnstiles: who holds it, or NULL */
	bool
	    so_user; /* waits in the name of user code: the boost of a sleep in the kernel does not count */
};

extern const struct syncobj syncobj_cv, syncobj_futex, syncobj_turnstile, syncobj_pause,
    syncobj_park;

/* What l lends where it waits. => l locked, on a queue */
static inline int
sleepq_pri(const struct lwp *l)
{
	return l->l_syncobj->so_user ? lwp_uprio(l) : lwp_kprio(l);
}

/* Does l wait on a turnstile? => l locked, or at rest */
static inline bool
waits_on_turnstile(const struct lwp *l)
{
	return l->l_wchan != NULL && l->l_syncobj->so_owner != NULL;
}

void sleepq_init(void);
void sleepq_lwp_ctor(struct lwp *);
struct spinlock *sleepq_lock_of(const void *wchan); /* hashed, immortal */
/* => `lock` held; curlwp's lent lock becomes `lock`. */
void sleepq_enter(struct spinlock *lock);
void sleepq_enqueue(
    struct list *queue, const void *wchan, const char *wmesg, const struct syncobj *, bool intr);
/* => after enqueue; releases the lock. 0, -EWOULDBLOCK, -ERESTART, -EINTR as cv_timedwait_sig(). */
int sleepq_block(nsec_t deadline, bool intr);
/* Puts l in its place: after its equals, docs/scheduling.md. => l and the queue locked; l is on no queue */
void sleepq_insert(struct list *queue, struct lwp *l);
/* l, which sleeps on another queue, goes on sleeping on this one. => l locked, and the queue by `lock`, then l's */
void sleepq_move(struct lwp *l, struct list *queue, struct spinlock *lock, const void *wchan,
    const char *wmesg, const struct syncobj *);
/*
 * sleepq_remove: take l off its queue and make it run. => l locked by the queue's lock, which is NOT
 * released; l's lent lock changes. `wakeup`: a genuine wakeup, which clears interruptibility and timeout.
 */
void sleepq_remove(struct lwp *l, bool wakeup);
int sleepq_wake(
    struct list *queue, const void *wchan, unsigned n); /* lock held; returns how many */

#endif
