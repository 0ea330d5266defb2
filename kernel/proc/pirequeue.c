/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variables for locks with priority inheritance: FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI.
 * docs/inheritance.md.
 *
 * A waiter sleeps on the plain futex, and says there which lock it is to have afterwards. Who signals does not wake it
 * but moves it, asleep, to the turnstile of that lock, where it lends its priority at once; or gives it the lock
 * if that is free. It awakes as the lock's owner. So a broadcast wakes one, not all, and the order is that of the lock.
 *
 * A waiter's outcome is in its struct pirequeue, which is written while it sleeps, under the lock of the queue that it is
 * on. l_futex_obj tells whether it was taken off the plain futex, pr_pf whether it came to a turnstile. A signal or
 * time limit ends either sleep, and who is off a queue is not moved any more.
 *
 * Locks as in pifutex.c: bucket -> turnstile chain. The lending follows when only the chain lock is left, as for
 * who comes by himself; by then the waiter may be gone, and do anything.
 */
#include "pifutex_impl.h"

#include <kernel/failpoint.h>
#include <kernel/panic.h>
#include <kernel/turnstile.h>

static inline bool
same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->fk_obj == b->fk_obj && a->fk_off == b->fk_off;
}

/* Neither handed over nor given up: once moved, a call that began anew would find the word changed, as on Linux. */
static int
after_move(int error)
{
	return error == -ERESTART || error == -ERESTARTNOINTR || error == -EINTR ? -EAGAIN : error;
}

int
futex_wait_requeue_pi(uintptr_t addr, uintptr_t addr2, bool shared, uint32_t val, nsec_t deadline)
{
	struct lwp *l = curlwp();
	struct pirequeue pr;
	struct futex_bucket *fb;
	struct futex_key k;
	bool back = false; /* it was there already */
	int error;

	if (addr == addr2)
		return -EINVAL;
again:
	pr = (struct pirequeue){ .pr_pf = NULL };
	error = futex_get_key(addr2, shared, &pr.pr_key2);
	if (error == 0)
		error = futex_get_key(addr, shared, &k);
	if (error != 0)
		return error;
	fb = futex_bucket_of(k.fk_obj, k.fk_off);
	error = futex_wait_begin(fb, addr, val, back);
	if (error == FUTEX_AGAIN)
		goto again;
	if (error != 0)
		return error;
	if (same_key(&k, &pr.pr_key2))
		error = -EINVAL;
	else if (deadline != NSEC_FOREVER && deadline <= time_now())
		error = -ETIMEDOUT;
	if (error != 0) {
		futex_wait_cancel(fb);
		return error;
	}
	l->l_futex_pi = &pr;
	futex_wait_enqueue(fb, &k, addr, 0); /* no wake is for us */
	error = sleepq_block(deadline, true);
	l->l_futex_pi = NULL;
	if (l->l_futex_obj != NULL) {
		atomic_sub(&futex_bucket_of(l->l_futex_obj, l->l_futex_off)->fb_waiters, 1);
		if (error == 0)
			goto again; /* what interrupted us was withdrawn */
		if (error == -EWOULDBLOCK)
			return -ETIMEDOUT;
		return error == -ERESTART ? -ERESTARTNOINTR : error;
	}
	if (pr.pr_pf == NULL)
		return 0;
	error = pifutex_waited(pr.pr_pf, addr2, pr.pr_error != 0 ? pr.pr_error : error);
	if (error == -EDEADLK) {
		back = true;
		goto again;
	}
	if (error == PI_AGAIN)
		error = futex_lock_pi(addr2, shared, deadline, false);
	return after_move(error);
}

/* The first that came before `arrivals`, or NULL. => bucket locked */
static struct lwp *
first_waiter(const struct futex_bucket *fb, const struct futex_key *k, uint64_t arrivals)
{
	struct lwp *l;

	list_foreach (l, &fb->fb_queue, l_sleepchain)
		if (futex_key_matches(l, k) && futex_came_before(l, arrivals))
			return l;
	return NULL;
}

/* A call of futex_requeue_pi(). */
struct call {
	struct futex_bucket *c_from, *c_to;
	struct futex_key c_key, c_key2;
	uintptr_t c_addr2;
	uint64_t c_arrivals;
	struct pifutex *c_spare;
	bool c_begun; /* the word was compared */
	struct lwp *c_moved;
};

enum { RQ_NOBODY = PI_NEEDMEM + 1, RQ_MORE };

/*
 * The next waiter: 0 it has the lock; PI_WAIT it is c_moved, and waits for it: then the chain lock is held, too;
 * RQ_NOBODY; another PI_*; or an error.
 * => both buckets locked
 */
static int
requeue_one(struct call *c)
{
	struct lwp *l = first_waiter(c->c_from, &c->c_key, c->c_arrivals);
	struct spinlock *chain;
	struct pifutex *pf;
	uint32_t word;
	int error;

	if (futex_is_pi(c->c_from, &c->c_key))
		return -EINVAL;
	if (l == NULL)
		return futex_fetch_locked(c->c_addr2, &word) != 0 ? PI_ABSENT : RQ_NOBODY;
	if (l->l_futex_pi == NULL || !same_key(&l->l_futex_pi->pr_key2, &c->c_key2))
		return -EINVAL;
	error = pifutex_attempt(l, c->c_to, &c->c_key2, c->c_addr2, false, &c->c_spare, &pf);
	if (error != 0 && error != PI_WAIT)
		return error;
	l->l_futex_obj = NULL;
	atomic_sub(&c->c_from->fb_waiters, 1);
	if (error == 0) {
		sleepq_remove(l, true);
		return 0;
	}
	l->l_futex_pi->pr_pf = pf;
	c->c_moved = l;
	chain = turnstile_lock(pf);
	turnstile_move(turnstile_find(pf), chain, pf, "pi-futex", &syncobj_pifutex, l);
	return PI_WAIT;
}

/* What a waiter that was moved lends; if that closes a circle, it goes back. => its lock held; unlocked on return */
static int
lend_for(struct lwp *l)
{
	int error = turnstile_lend(l);
	struct spinlock *m = l->l_mutex;

	/* Else it has come anew, by itself, and finds the circle, too. */
	if (error != 0 && l->l_futex_pi != NULL) {
		l->l_futex_pi->pr_error = error;
		sleepq_remove(l, true);
	} else
		error = 0;
	spin_unlock(m);
	return error;
}

/* In the first hold: 0, -EAGAIN another value, PI_AGAIN after its page was brought in, -EFAULT. => as requeue_one() */
static int
begin(struct call *c, uintptr_t addr, uint32_t cmp)
{
	uint32_t now;

	if (futex_fetch_locked(addr, &now) != 0)
		return -EFAULT;
	if (now != cmp)
		return -EAGAIN;
	c->c_arrivals = c->c_from->fb_arrivals;
	c->c_begun = true;
	return 0;
}

int
futex_requeue_pi(uintptr_t addr, uintptr_t addr2, bool shared, unsigned nmove, uint32_t cmp)
{
	struct call c = { .c_addr2 = addr2 };
	unsigned total = 0;
	uint32_t now;
	int error;

	if (addr == addr2)
		return -EINVAL;
	do {
		error = futex_get_key(addr, shared, &c.c_key);
		if (error == 0)
			error = futex_get_key(addr2, shared, &c.c_key2);
		if (error == 0 && same_key(&c.c_key, &c.c_key2))
			error = -EINVAL;
		if (error != 0)
			break;
		c.c_from = futex_bucket_of(c.c_key.fk_obj, c.c_key.fk_off);
		c.c_to = futex_bucket_of(c.c_key2.fk_obj, c.c_key2.fk_off);
		spin_lock_pair(&c.c_from->fb_lock, &c.c_to->fb_lock);
		error = c.c_begun ? 0 : begin(&c, addr, cmp);
		if (error == 0)
			error = requeue_one(&c);
		spin_unlock_pair(&c.c_from->fb_lock, &c.c_to->fb_lock);
		switch (error) {
		case PI_WAIT:
			error = lend_for(c.c_moved);
			fp(pi_moved);
			if (error != 0)
				break;
			/* FALLTHROUGH */
		case 0:
			/* No signal ends it now: the caller would not know that some are left. */
			total++;
			error = total <= nmove ? RQ_MORE : 0;
			preempt_point();
			break;
		case PI_NEEDMEM:
			error = pifutex_spare(&c.c_spare);
			error = error == 0 ? PI_AGAIN : error;
			break;
		case PI_ABSENT:
			error = pifutex_bring_in(addr2);
			error = error == 0 ? PI_AGAIN : error;
			break;
		case -EFAULT:
			error = c.c_begun ? -EFAULT : arch_ufetch_32(addr, &now);
			error = error == 0 ? PI_AGAIN : error;
			break;
		default:
			break;
		}
		/* The word can be changed under us as often as somebody likes. */
		if (error == PI_AGAIN &&
		    (total != 0 ? lwp_killed(curlwp()) : lwp_interrupted(curlwp())))
			error = -ERESTARTNOINTR;
	} while (error == PI_AGAIN || error == RQ_MORE);
	pifutex_spare_free(c.c_spare);
	return error < 0 ? error : (int)total;
}
