/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes.
 *
 * A waiter is found by a key: what the word belongs to (the address space, or the object that is mapped there)
 * and where in it. Keys hash to buckets; a bucket's lock is lent to its waiters like any sleep queue's. The
 * word is compared and the waiter queued under that lock, so a wake that follows a change of the word finds it.
 * The word is read under a spin lock, so a page that is not there fails the read; it is then brought in without
 * the lock, and all starts again.
 *
 * A wake with nobody there takes no lock. fb_waiters counts who waits or is about to:
 *
 *	waiter: fb_waiters++; fence; reads the word		waker: (user) writes the word; fence; reads fb_waiters
 *
 * Both fences are full, so at least one of the two sees the other: either the waiter sees the new word and
 * does not sleep, or the waker sees the count and takes the lock, behind which the waiter is queued.
 *
 * Who takes a waiter off for good (a wake) clears l_futex_obj and counts it off. A waiter that comes back with its
 * key intact was interrupted, counts itself off, and has not used up a wake. A requeued waiter moves with
 * its count; it has no flag changed, so a signal that came before still ends its sleep.
 *
 * A word is a plain futex, or a lock with priority inheritance (pifutex.c), as long as anybody waits: calls for the
 * one kind are errors for the other (EINVAL), as on Linux. fb_waiters counts the locks that are waited for, too.
 */
#include "futex_internal.h"

#include <kernel/atomic.h>
#include <kernel/callout.h>
#include <kernel/explore.h>
#include <kernel/panic.h>
#include <kernel/sleepq.h>

#ifndef WAKE_BATCH
#define WAKE_BATCH 32u /* woken or moved in one hold of a bucket's lock; fewer in the host's test */
#endif

struct futex_bucket futex_buckets[1u << FUTEX_BUCKET_BITS];

void
futex_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(futex_buckets); i++) {
		spin_init(&futex_buckets[i].fb_lock, "futex", RANK_SLEEPQ);
		list_init(&futex_buckets[i].fb_queue);
		list_init(&futex_buckets[i].fb_pi);
	}
}

int
futex_wait(uintptr_t addr, bool shared, uint32_t val, uint32_t bits, nsec_t deadline)
{
	struct lwp *l = curlwp();
	struct futex_bucket *fb;
	struct futex_key k;
	int error;

again:
	error = futex_get_key(addr, shared, &k);
	if (error != 0)
		return error;
	fb = futex_bucket_of(k.fk_obj, k.fk_off);
	error = futex_wait_begin(fb, addr, val, false);
	if (unlikely(error != 0)) {
		if (error == FUTEX_AGAIN)
			goto again;
		return error;
	}
	if (unlikely(deadline != NSEC_FOREVER && deadline <= time_now())) {
		futex_wait_cancel(fb);
		return -ETIMEDOUT;
	}
	futex_wait_enqueue(fb, &k, addr, bits);
	error = sleepq_block(deadline, true);
	if (likely(l->l_futex_obj == NULL))
		return 0;
	/* Nobody finds us any more; the key tells the bucket that counts us now. */
	atomic_sub(&futex_bucket_of(l->l_futex_obj, l->l_futex_off)->fb_waiters, 1);
	if (error == 0)
		goto again; /* what interrupted us was withdrawn */
	return error == -EWOULDBLOCK ? -ETIMEDOUT : error;
}

/*
 * Wakes up to n, if `later` only who came before `arrivals`; those that are stopped come last, as in sleepq_wake().
 * Returns how many, or -EINVAL, perhaps after some: one is there that waits to be moved to a lock.
 * => fb_lock held
 */
static __always_inline int
wake_locked(struct futex_bucket *fb, const struct futex_key *k, unsigned n, uint32_t bits,
    bool later, uint64_t arrivals)
{
	bool all = false, passed_over;
	unsigned woken = 0;

	do {
		struct list *e = fb->fb_queue.next;

		passed_over = false;
		while (e != &fb->fb_queue && woken < n) {
			struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

			e = e->next;
			if (!futex_key_matches(l, k))
				continue;
			if (unlikely((l->l_futex_bits & bits) == 0)) {
				if (l->l_futex_pi != NULL)
					return -EINVAL;
				continue;
			}
			if (later && !futex_came_before(l, arrivals))
				continue;
			if (unlikely(l->l_stat == LS_STOP) && !all) {
				passed_over = true;
				continue;
			}
			l->l_futex_obj = NULL;
			atomic_sub(&fb->fb_waiters, 1);
			sleepq_remove(l, true);
			woken++;
		}
		all = true;
	} while (unlikely(passed_over) && woken < n);
	return (int)woken;
}

static int __noinline
wake_first(struct futex_bucket *fb, const struct futex_key *k, unsigned n, uint32_t bits)
{
	return wake_locked(fb, k, n, bits, false, 0);
}

static int __noinline
wake_earlier(struct futex_bucket *fb, const struct futex_key *k, unsigned n, uint32_t bits,
    uint64_t arrivals)
{
	return wake_locked(fb, k, n, bits, true, arrivals);
}

/* The holds after the first one, in which WAKE_BATCH were woken. */
static int __noinline
wake_rest(struct futex_bucket *fb, const struct futex_key *k, unsigned n, uint32_t bits,
    uint64_t arrivals)
{
	unsigned total = WAKE_BATCH, batch;
	int got;

	do {
		batch = min(n - total, WAKE_BATCH);
		spin_lock(&fb->fb_lock);
		got = wake_earlier(fb, k, batch, bits, arrivals);
		spin_unlock(&fb->fb_lock);
		if (got < 0)
			return got;
		total += (unsigned)got;
	} while (total < n && (unsigned)got == batch);
	return (int)total;
}

/*
 * In batches, so that interrupts are never off for long. Only those are woken that waited at the beginning, so this ends
 * even if they come back at once.
 */
static __always_inline int
wake_key(const struct futex_key *k, unsigned n, uint32_t bits)
{
	struct futex_bucket *fb = futex_bucket_of(k->fk_obj, k->fk_off);
	uint64_t arrivals;
	int got;

	atomic_fence_full();
	EXPLORE_POINT(WAKE, &fb->fb_waiters);
	n = min(n, atomic_load_relaxed(&fb->fb_waiters));
	if (n == 0)
		return 0;
	spin_lock(&fb->fb_lock);
	if (likely(!futex_is_pi(fb, k)))
		got = wake_first(fb, k, min(n, WAKE_BATCH), bits);
	else
		got = -EINVAL; /* it is its owner who hands it on */
	arrivals = fb->fb_arrivals;
	spin_unlock(&fb->fb_lock);
	if (likely(got != (int)WAKE_BATCH || n == WAKE_BATCH))
		return got;
	return wake_rest(fb, k, n, bits, arrivals);
}

int
futex_wake(uintptr_t addr, bool shared, unsigned n, uint32_t bits)
{
	struct futex_key k;
	int error = futex_get_key(addr, shared, &k);

	return error != 0 ? error : wake_key(&k, n, bits);
}

int
futex_wake_addr(uintptr_t addr, unsigned n)
{
	int woken = futex_wake(addr, false, n, FUTEX_BITSET_ANY), more;

	/* The keys are the same unless the memory is shared; to find that out is the dear part. */
	if (woken < 0 || (unsigned)woken == n)
		return woken;
	more = futex_wake(addr, true, n - (unsigned)woken, FUTEX_BITSET_ANY);
	return more < 0 ? woken : woken + more;
}

/* => both locks held */
static void
move_locked(
    struct lwp *l, struct futex_bucket *from, struct futex_bucket *to, const struct futex_key *k)
{
	KASSERT(lwp_locked(l, &from->fb_lock) && l->l_sleepq == &from->fb_queue);
	list_remove(&l->l_sleepchain);
	sleepq_insert(&to->fb_queue, l);
	l->l_futex_obj = k->fk_obj;
	l->l_futex_off = k->fk_off;
	l->l_futex_seq = to->fb_arrivals++;
	if (from != to) {
		atomic_sub(&from->fb_waiters, 1);
		atomic_add(&to->fb_waiters, 1);
		l->l_sleepq = &to->fb_queue;
		lwp_setlock(l, &to->fb_lock);
	}
}

struct requeue {
	struct futex_bucket *rq_from, *rq_to;
	struct futex_key rq_key, rq_key2;
	unsigned rq_nwake, rq_nmove; /* that are left to do */
	unsigned rq_total;           /* done */
	uint64_t rq_arrivals;
};

/*
 * One hold's share of a requeue, at most WAKE_BATCH waiters. 1 if another hold is needed, 0 at the end, -EINVAL.
 * => both locks held
 */
static int
requeue_batch(struct requeue *rq)
{
	struct futex_bucket *from = rq->rq_from, *to = rq->rq_to;
	const struct futex_key *k = &rq->rq_key, *k2 = &rq->rq_key2;
	bool same = k->fk_obj == k2->fk_obj && k->fk_off == k2->fk_off;
	int got =
	    wake_earlier(from, k, min(rq->rq_nwake, WAKE_BATCH), FUTEX_BITSET_ANY, rq->rq_arrivals);
	unsigned woken = (unsigned)got, moved = 0, room;
	struct list *e = from->fb_queue.next;

	if (got < 0)
		return got;
	rq->rq_nwake -= woken;
	rq->rq_total += woken;
	if (woken == WAKE_BATCH)
		return 1;
	/* To be counted costs little. */
	room = same ? rq->rq_nmove : min(rq->rq_nmove, WAKE_BATCH - woken);
	/* Inside one bucket, who is moved gets another key. */
	while (e != &from->fb_queue && moved < room) {
		struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

		e = e->next;
		if (!futex_key_matches(l, k) || !futex_came_before(l, rq->rq_arrivals))
			continue;
		if (l->l_futex_pi != NULL)
			return -EINVAL;
		if (!same)
			move_locked(l, from, to, k2);
		moved++;
	}
	rq->rq_nmove -= moved;
	rq->rq_total += moved;
	return !same && rq->rq_nmove != 0 && moved == room;
}

/* In batches like a wake, and like that it ends. The word is compared in the first hold: then the call takes effect. */
int
futex_requeue(uintptr_t addr, uintptr_t addr2, bool shared, unsigned nwake, unsigned nmove,
    const uint32_t *cmp)
{
	struct requeue rq = { .rq_total = 0 };
	unsigned waiters;
	uint32_t now;
	int error;

again:
	error = futex_get_key(addr, shared, &rq.rq_key);
	if (error == 0)
		error = futex_get_key(addr2, shared, &rq.rq_key2);
	if (error != 0)
		return error;
	rq.rq_from = futex_bucket_of(rq.rq_key.fk_obj, rq.rq_key.fk_off);
	rq.rq_to = futex_bucket_of(rq.rq_key2.fk_obj, rq.rq_key2.fk_off);
	spin_lock_pair(&rq.rq_from->fb_lock, &rq.rq_to->fb_lock);
	if (cmp != NULL) {
		error = futex_fetch_locked(addr, &now);
		if (error != 0 || now != *cmp) {
			spin_unlock_pair(&rq.rq_from->fb_lock, &rq.rq_to->fb_lock);
			if (error == 0)
				return -EAGAIN;
			error = arch_ufetch_32(addr, &now);
			if (error != 0)
				return error;
			goto again;
		}
	}
	if ((nwake != 0 || nmove != 0) && futex_is_pi(rq.rq_from, &rq.rq_key)) {
		spin_unlock_pair(&rq.rq_from->fb_lock, &rq.rq_to->fb_lock);
		return -EINVAL;
	}
	waiters = atomic_load_relaxed(&rq.rq_from->fb_waiters);
	rq.rq_nwake = min(nwake, waiters);
	rq.rq_nmove = min(nmove, waiters);
	rq.rq_arrivals = rq.rq_from->fb_arrivals;
	while ((error = requeue_batch(&rq)) > 0) {
		spin_unlock_pair(&rq.rq_from->fb_lock, &rq.rq_to->fb_lock);
		spin_lock_pair(&rq.rq_from->fb_lock, &rq.rq_to->fb_lock);
	}
	spin_unlock_pair(&rq.rq_from->fb_lock, &rq.rq_to->fb_lock);
	return error < 0 ? error : (int)rq.rq_total;
}
