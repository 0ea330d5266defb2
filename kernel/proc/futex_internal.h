/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the futex code share with each other only.
 * layer: proc
 */
#ifndef PROC_FUTEX_INTERNAL_H
#define PROC_FUTEX_INTERNAL_H

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/explore.h>
#include <kernel/futex.h>
#include <kernel/list.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/spinlock.h>
#include <kernel/vm.h>

/* struct futex_bucket, field locks: (b) fb_lock (a) atomic */
struct futex_bucket {
	struct spinlock fb_lock;
	uint32_t fb_waiters;  /* (a) those on both lists, and who is about to wait */
	uint64_t fb_arrivals; /* (b) counts those that were queued */
	struct list
	    fb_queue; /* (b) l_sleepchain: real time by priority, then the others, oldest first */
	struct list fb_pi; /* (b) struct pifutex: locks of user programs that somebody waits for */
} __cacheline_aligned;

struct futex_key {
	const void *fk_obj;
	uint64_t fk_off;
};

/* What FUTEX_WAIT_REQUEUE_PI needs, on the waiter's stack, field locks: (b) the bucket's lock (l) the waiter's */
struct pirequeue {
	struct futex_key pr_key2; /* (b) the lock to which it may be moved */
	struct pifutex
	    *pr_pf;   /* (b) it was, with a reference; NULL: not, or it was given the lock */
	int pr_error; /* (l) -EDEADLK: it must come back */
};

/*
 * What one call wakes or moves in more than one hold of the lock was there when it began: who comes back in between,
 * perhaps in front of the others by its priority, is not another. => fb_lock held
 */
static inline bool
futex_came_before(const struct lwp *l, uint64_t arrivals)
{
	return l->l_futex_seq < arrivals;
}

#define FUTEX_BUCKET_BITS 9
extern struct futex_bucket futex_buckets[1u << FUTEX_BUCKET_BITS];

static inline struct futex_bucket *
futex_bucket_of(const void *obj, uint64_t off)
{
	uintptr_t h = ((uintptr_t)obj + off) * 0x9e3779b97f4a7c15ul;

	return &futex_buckets[h >> (64 - FUTEX_BUCKET_BITS)];
}

static inline bool
futex_key_matches(const struct lwp *l, const struct futex_key *k)
{
	return l->l_futex_obj == k->fk_obj && l->l_futex_off == k->fk_off;
}

/* 0; -EINVAL misaligned; -EFAULT. => no lock held; may sleep */
static inline int
futex_get_key(uintptr_t addr, bool shared, struct futex_key *k)
{
	struct vmspace *vm = curproc()->p_vmspace;

	if (addr % sizeof(uint32_t) != 0)
		return -EINVAL;
	if (addr >= USER_END)
		return -EFAULT;
	if (shared)
		return vm_futex_key(vm, addr, true, &k->fk_obj, &k->fk_off);
	k->fk_obj = vm;
	k->fk_off = addr;
	return 0;
}

/* Does anybody sleep on the plain futex? => fb_lock held */
static inline bool
futex_has_sleeper(const struct futex_bucket *fb, const struct futex_key *k)
{
	const struct lwp *l;

	list_foreach (l, &fb->fb_queue, l_sleepchain)
		if (futex_key_matches(l, k))
			return true;
	return false;
}

/* => spin lock held; -EFAULT also for a page that is merely absent */
static inline int
futex_fetch_locked(uintptr_t addr, uint32_t *v)
{
	struct lwp *l = curlwp();
	int error;

	l->l_pflag |= LP_NOFAULT;
	error = arch_ufetch_32(addr, v);
	l->l_pflag &= ~(uint32_t)LP_NOFAULT;
	return error;
}

/* The same for a write: -EFAULT also for a page that is merely read-only now. */
static inline int
futex_cas_locked(uintptr_t addr, uint32_t expected, uint32_t v, uint32_t *seen)
{
	struct lwp *l = curlwp();
	int error;

	l->l_pflag |= LP_NOFAULT;
	error = arch_ucas_32(addr, expected, v, seen);
	l->l_pflag &= ~(uint32_t)LP_NOFAULT;
	return error;
}

/* ---- what every wait on a plain futex does ---- */

#define FUTEX_AGAIN 1

/*
 * Counts curlwp in and compares the word. 0: the bucket is locked; FUTEX_AGAIN: the page was brought in, look for the
 * key again; -EAGAIN: another value, unless `any` is true; -EFAULT. => no lock held
 */
static __always_inline int
futex_wait_begin(struct futex_bucket *fb, uintptr_t addr, uint32_t val, bool any)
{
	uint32_t now = val;
	int error;

	spin_lock(&fb->fb_lock);
	atomic_add(&fb->fb_waiters, 1);
	atomic_fence_full();
	EXPLORE_POINT(ATOMIC, &fb->fb_waiters);
	error = any ? 0 : futex_fetch_locked(addr, &now);
	if (likely(error == 0 && now == val))
		return 0;
	atomic_sub(&fb->fb_waiters, 1);
	spin_unlock(&fb->fb_lock);
	if (error == 0)
		return -EAGAIN;
	error = arch_ufetch_32(addr, &now);
	return error != 0 ? error : FUTEX_AGAIN;
}

/* => as futex_wait_begin() left it; not locked on return */
static inline void
futex_wait_cancel(struct futex_bucket *fb)
{
	atomic_sub(&fb->fb_waiters, 1);
	spin_unlock(&fb->fb_lock);
}

/* Queues curlwp; `bits`: the wakes that are for it. => as futex_wait_begin() left it; sleepq_block() follows */
static __always_inline void
futex_wait_enqueue(
    struct futex_bucket *fb, const struct futex_key *k, uintptr_t addr, uint32_t bits)
{
	struct lwp *l = curlwp();

	l->l_futex_obj = k->fk_obj;
	l->l_futex_off = k->fk_off;
	l->l_futex_bits = bits;
	l->l_futex_seq = fb->fb_arrivals++;
	sleepq_enter(&fb->fb_lock);
	sleepq_enqueue(&fb->fb_queue, (const void *)addr, "futex", &syncobj_futex, true);
}

/* Does anybody wait for the lock with priority inheritance that the word is? pifutex.c. => fb_lock held */
bool pifutex_wanted(const struct futex_bucket *, const struct futex_key *);

static inline bool
futex_is_pi(const struct futex_bucket *fb, const struct futex_key *k)
{
	return unlikely(!list_empty(&fb->fb_pi)) && pifutex_wanted(fb, k);
}

#endif
