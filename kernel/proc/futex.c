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
 */
#include "futex_internal.h"

#include <kernel/atomic.h>
#include <kernel/callout.h>
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

static inline bool
key_matches(const struct lwp *l, const struct futex_key *k)
{
	return l->l_futex_obj == k->fk_obj && l->l_futex_off == k->fk_off;
}

int
futex_wait(uintptr_t addr, bool shared, uint32_t val, uint32_t bits, nsec_t deadline)
{
	struct lwp *l = curlwp();
	struct futex_bucket *fb;
	struct futex_key k;
	uint32_t now;
	int error;

again:
	error = futex_get_key(addr, shared, &k);
	if (error != 0)
		return error;
	fb = futex_bucket_of(k.fk_obj, k.fk_off);
	spin_lock(&fb->fb_lock);
	atomic_add(&fb->fb_waiters, 1);
	atomic_fence_full();
	error = futex_fetch_locked(addr, &now);
	if (unlikely(
		error != 0 || now != val || (deadline != NSEC_FOREVER && deadline <= time_now()))) {
		atomic_sub(&fb->fb_waiters, 1);
		spin_unlock(&fb->fb_lock);
		if (error == 0)
			return now != val ? -EAGAIN : -ETIMEDOUT;
		error = arch_ufetch_32(addr, &now); /* brings the page in */
		if (error != 0)
			return error;
		goto again;
	}
	l->l_futex_obj = k.fk_obj;
	l->l_futex_off = k.fk_off;
	l->l_futex_bits = bits;
	sleepq_enter(&fb->fb_lock);
	sleepq_enqueue(&fb->fb_queue, (const void *)addr, "futex", &syncobj_futex, true);
	error = sleepq_block(deadline, true);
	if (likely(l->l_futex_obj == NULL))
		return 0;
	/* Nobody finds us any more; the key tells the bucket that counts us now. */
	atomic_sub(&futex_bucket_of(l->l_futex_obj, l->l_futex_off)->fb_waiters, 1);
	if (error == 0)
		goto again; /* what interrupted us was withdrawn */
	return error == -EWOULDBLOCK ? -ETIMEDOUT : error;
}

/* Those that are stopped come last, as in sleepq_wake(). => fb_lock held */
static unsigned
wake_locked(struct futex_bucket *fb, const struct futex_key *k, unsigned n, uint32_t bits)
{
	bool all = false, passed_over;
	unsigned woken = 0;

	do {
		struct list *e = fb->fb_queue.next;

		passed_over = false;
		while (e != &fb->fb_queue && woken < n) {
			struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

			e = e->next;
			if (!key_matches(l, k) || (l->l_futex_bits & bits) == 0)
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
	return woken;
}

/*
 * In batches, so that interrupts are never off for long. The queue is in order of arrival, and no more are woken than
 * waited at the beginning, so this ends even if those that were woken come back at once.
 */
static int
wake_key(const struct futex_key *k, unsigned n, uint32_t bits)
{
	struct futex_bucket *fb = futex_bucket_of(k->fk_obj, k->fk_off);
	unsigned total = 0, batch, got;

	atomic_fence_full();
	n = min(n, atomic_load_relaxed(&fb->fb_waiters));
	while (total < n) {
		batch = min(n - total, WAKE_BATCH);
		spin_lock(&fb->fb_lock);
		got = wake_locked(fb, k, batch, bits);
		spin_unlock(&fb->fb_lock);
		total += got;
		if (got < batch)
			break;
	}
	return (int)total;
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
	list_insert_tail(&to->fb_queue, &l->l_sleepchain);
	l->l_futex_obj = k->fk_obj;
	l->l_futex_off = k->fk_off;
	if (from != to) {
		atomic_sub(&from->fb_waiters, 1);
		atomic_add(&to->fb_waiters, 1);
		l->l_sleepq = &to->fb_queue;
		lwp_setlock(l, &to->fb_lock);
	}
}

/*
 * One hold's share of a requeue, at most WAKE_BATCH of its *nwake and *nmove waiters: they and *total are
 * brought up to date. Returns true if another hold is needed.
 * => both locks held
 */
static bool
requeue_batch(struct futex_bucket *from, struct futex_bucket *to, const struct futex_key *k,
    const struct futex_key *k2, unsigned *nwake, unsigned *nmove, unsigned *total)
{
	bool same = k->fk_obj == k2->fk_obj && k->fk_off == k2->fk_off;
	unsigned woken = wake_locked(from, k, min(*nwake, WAKE_BATCH), FUTEX_BITSET_ANY), moved = 0;
	unsigned room =
	    same ? *nmove : min(*nmove, WAKE_BATCH - woken); /* to be counted costs little */
	struct list *e = from->fb_queue.next;

	*nwake -= woken;
	*total += woken;
	if (woken == WAKE_BATCH)
		return true;
	/* Inside one bucket, who is moved comes to stand at the end, with another key. */
	while (e != &from->fb_queue && moved < room) {
		struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

		e = e->next;
		if (!key_matches(l, k))
			continue;
		if (!same)
			move_locked(l, from, to, k2);
		moved++;
	}
	*nmove -= moved;
	*total += moved;
	return !same && *nmove != 0 && moved == room;
}

/* In batches like a wake, and like that it ends. The word is compared in the first hold: then the call takes effect. */
int
futex_requeue(uintptr_t addr, uintptr_t addr2, bool shared, unsigned nwake, unsigned nmove,
    const uint32_t *cmp)
{
	struct futex_bucket *from, *to;
	struct futex_key k, k2;
	unsigned total = 0, waiters;
	uint32_t now;
	int error;

again:
	error = futex_get_key(addr, shared, &k);
	if (error == 0)
		error = futex_get_key(addr2, shared, &k2);
	if (error != 0)
		return error;
	from = futex_bucket_of(k.fk_obj, k.fk_off);
	to = futex_bucket_of(k2.fk_obj, k2.fk_off);
	spin_lock_pair(&from->fb_lock, &to->fb_lock);
	if (cmp != NULL) {
		error = futex_fetch_locked(addr, &now);
		if (error != 0 || now != *cmp) {
			spin_unlock_pair(&from->fb_lock, &to->fb_lock);
			if (error == 0)
				return -EAGAIN;
			error = arch_ufetch_32(addr, &now);
			if (error != 0)
				return error;
			goto again;
		}
	}
	waiters = atomic_load_relaxed(&from->fb_waiters);
	nwake = min(nwake, waiters);
	nmove = min(nmove, waiters);
	while (requeue_batch(from, to, &k, &k2, &nwake, &nmove, &total)) {
		spin_unlock_pair(&from->fb_lock, &to->fb_lock);
		spin_lock_pair(&from->fb_lock, &to->fb_lock);
	}
	spin_unlock_pair(&from->fb_lock, &to->fb_lock);
	return (int)total;
}
