/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turnstiles: sleep queues for locks that have an owner, with transitive priority inheritance.
 * docs/protocol.md 2.7.
 * layer: sync
 */
#ifndef KERNEL_TURNSTILE_H
#define KERNEL_TURNSTILE_H

#include <kernel/lwp.h>
#include <kernel/sleepq.h>
#include <kernel/spinlock.h>

/*
 * struct turnstile, field locks: (t) chain lock of ts_obj; (i) the lock of the LWP ts_inheritor, and (t)
 *   (a) atomic
 */
struct turnstile {
	struct list ts_chain; /* (t) hash chain */
	struct list
	    ts_spares; /* (t) inactive turnstiles of the later waiters; link when spare itself */
	const void *ts_obj;    /* (t) NULL = inactive */
	struct list ts_sleepq; /* (t) waiters, as sleepq_insert() puts them */
	uint32_t ts_waiters;   /* (t) */
	int ts_pri; /* (a) written under (t): what is lent, the maximum of the queue, or -1; while lent */
	struct lwp *ts_inheritor; /* (i) who is lent priority, or NULL */
	struct list ts_lender;    /* (i) link on ts_inheritor->l_pi_lenders */
};

void turnstile_init(void);
/* Gives a new struct lwp its turnstile; NULL-safe free is not needed: LWPs are for ever. false = no memory */
bool turnstile_lwp_ctor(struct lwp *);
struct spinlock *turnstile_lock(const void *obj);  /* takes and returns the chain lock */
struct turnstile *turnstile_find(const void *obj); /* => chain lock held */
/*
 * Queues and sleeping. `so` tells how the owner is found, and with so_user whose wait it is.
 *
 * turnstile_block: sleeps until woken; not interruptible.
 * turnstile_block_user: 0 woken; -EDEADLK the owners along the chain wait for us; -EWOULDBLOCK, -ERESTART, -EINTR as
 * sleepq_block(). Who was not woken by turnstile_wakeup() or a hand-over must turnstile_leave() then.
 * => chain lock held, released on return
 *
 * turnstile_move: the same for l, which sleeps interruptibly on another queue whose lock is held besides; the chain lock
 * is l's on return. It is not done before
 * turnstile_lend: 0, or -EDEADLK. => l waits here, its lock is the only one held; so on return, unless it was woken
 *
 * turnstile_leave: curlwp waits no longer; what it lent along the chain is taken back. => no spin lock held
 */
void turnstile_block(struct turnstile *, struct spinlock *chain, const void *obj, const char *wmesg,
    const struct syncobj *so);
int turnstile_block_user(struct turnstile *, struct spinlock *chain, const void *obj,
    const char *wmesg, const struct syncobj *so, nsec_t deadline);
void turnstile_move(struct turnstile *, struct spinlock *chain, const void *obj, const char *wmesg,
    const struct syncobj *so, struct lwp *l);
int turnstile_lend(struct lwp *l);
void turnstile_leave(const void *obj);

/*
 * Waking. => chain lock held, stays held
 *
 * turnstile_first: of the queue, the most urgent; NULL = everybody is leaving.
 * turnstile_release: curlwp, the owner, is it no longer: it gives back what it was lent here.
 * turnstile_wakeup: one waiter, for which the turnstile is not valid afterwards if it was the last.
 * turnstile_handover: the same; it is the owner now, the others lend to it. => turnstile_release() first
 * turnstile_wakeup_all: release, and wake all.
 */
struct lwp *turnstile_first(const struct turnstile *);
void turnstile_release(struct turnstile *);
void turnstile_wakeup(struct turnstile *, struct lwp *);
void turnstile_handover(struct turnstile *, struct lwp *to);
void turnstile_wakeup_all(struct turnstile *);

#endif
