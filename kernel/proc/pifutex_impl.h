/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks with priority inheritance: what pifutex.c and pirequeue.c share.
 * layer: proc
 */
#ifndef PROC_PIFUTEX_IMPL_H
#define PROC_PIFUTEX_IMPL_H

#include "futex_internal.h"

#include <kernel/sleepq.h>

/*
 * struct pifutex, field locks: (b) the bucket's lock (t) the turnstile's chain lock
 *   (w) the owner lock of pf_owner (a) atomic (c) constant
 */
struct pifutex {
	struct list pf_link;     /* (b) fb_pi */
	struct futex_key pf_key; /* (c) */
	struct lwp *pf_owner;    /* (b)+(t); NULL: only those are left that have given up */
	struct list pf_owned;    /* (w) its l_pifutexes */
	uint32_t pf_refs;        /* (a) from 1 to 0 under (b) only */
	bool pf_died;            /* (b) the owner before ended, the word is not yet this one's */
};

/* How an attempt to lock ends that does not succeed or fail. */
enum { PI_WAIT = 1, PI_AGAIN, PI_ABSENT, PI_NEEDMEM };

extern const struct syncobj syncobj_pifutex;

/*
 * pifutex_attempt: one attempt to lock for l, curlwp or one that sleeps: 0 taken, the word says so; PI_WAIT, with a
 * reference in *pfp; another PI_*; or an error of futex_lock_pi(). `try`: -EAGAIN for PI_WAIT.
 * => the bucket of the key locked; *spare is memory for a pifutex or NULL
 *
 * pifutex_waited: curlwp has slept on the lock's turnstile; gives its reference back. `error`, of the sleep, says
 * why if it has not got the lock. 0 it has; PI_AGAIN; -ETIMEDOUT; another error. => no lock held; may sleep
 *
 * pifutex_bring_in: makes the page of the word present and writable. 0, -EFAULT. => no lock held; may sleep
 *
 * pifutex_spare: memory. 0, -ENOMEM. => no lock held
 */
int pifutex_attempt(struct lwp *l, struct futex_bucket *, const struct futex_key *, uintptr_t addr,
    bool try, struct pifutex **spare, struct pifutex **pfp);
int pifutex_waited(struct pifutex *, uintptr_t addr, int error);
int pifutex_bring_in(uintptr_t addr);
int pifutex_spare(struct pifutex **spare);
void pifutex_spare_free(struct pifutex *spare); /* NULL is nothing */

#endif
