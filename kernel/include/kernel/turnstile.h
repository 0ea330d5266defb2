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
 */
struct turnstile {
	struct list ts_chain; /* (t) hash chain */
	struct list
	    ts_spares; /* (t) inactive turnstiles of the later waiters; link when spare itself */
	const void *ts_obj;       /* (t) NULL = inactive */
	struct list ts_sleepq;    /* (t) waiters by priority */
	uint32_t ts_waiters;      /* (t) */
	struct lwp *ts_inheritor; /* (i) who is lent priority, or NULL */
	struct list ts_lender;    /* (i) link on ts_inheritor->l_pi_lenders */
};

void turnstile_init(void);
/* Gives a new struct lwp its turnstile; NULL-safe free is not needed: LWPs are for ever. false = no memory */
bool turnstile_lwp_ctor(struct lwp *);
struct spinlock *turnstile_lock(const void *obj);  /* takes and returns the chain lock */
struct turnstile *turnstile_find(const void *obj); /* => chain lock held */
/* Sleeps until woken. => chain lock held, released on return; not interruptible */
void turnstile_block(
    struct turnstile *, struct spinlock *chain, const void *obj, const char *wmesg);
/* Wakes all waiters and takes back the priority lent to curlwp. => chain lock held, stays held */
void turnstile_wakeup_all(struct turnstile *);

#endif
