/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What turnstiles and the walks of priority inheritance share with each other only.
 * layer: sync
 */
#ifndef SYNC_TURNSTILE_IMPL_H
#define SYNC_TURNSTILE_IMPL_H

#include <kernel/turnstile.h>

/*
 * turnstile_maxpri: the most that a waiter, not `but`, would lend, or -1; `bound`: nobody has more. => chain lock held
 *
 * inherit_lend: lifts the owners along the chain of what `self`, just queued, waits for. -EDEADLK: they wait for
 * self (a user's lock; panics if it is a kernel's).
 * => self is on a turnstile's queue and locked by its chain lock; so it is on return, unless it was woken meanwhile
 *
 * inherit_recompute: l inherits the maximum of its lenders. True: that is a change. => l locked
 *
 * inherit_follow: something has changed about l, which may wait itself: brings those up to date who inherit from it.
 * => no spin lock held
 */
int turnstile_maxpri(const struct turnstile *, const struct lwp *but, int bound);
int inherit_lend(struct lwp *self);
bool inherit_recompute(struct lwp *);
void inherit_follow(struct lwp *);

#endif
