/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes with priority inheritance. docs/inheritance.md.
 *
 * The word holds the owner's id: user code takes a free lock, and frees one without FUTEX_WAITERS, by itself. Who
 * finds it taken sets FUTEX_WAITERS and waits on the turnstile of a struct pifutex, which exists as long as
 * somebody refers to it; so the owner must come to the kernel to free it, and hands it to the first waiter.
 *
 * The kernel believes the word only when a pifutex gets its owner, and then whatever LWP it names: the worst
 * that a wrong word does is that this one is lent priority, and that the lock is not handed on before it ends or
 * unlocks. From then on pf_owner counts, and a word that contradicts it is an error of the call (EINVAL).
 *
 * Locks. A bucket's lock covers the list of pifutexes and, with the word, the protocol: all calls on one lock
 * are in a row. pf_owner changes under the bucket's lock and the chain lock of the turnstile, so both the
 * calls and the walks of inherit.c may read it. The list l_pifutexes of an owner has a lock of its own, a
 * leaf: an exit finds there what it holds, takes a reference, and then the locks in their order.
 *
 *	bucket -> turnstile chain -> owner lock
 *
 * An owner ends. First its robust list is walked, which may clear its id from words; then it says l_pigone,
 * after which nobody makes it an owner; then it hands over what it has. Who meets l_pigone looks at the word
 * again: if it is still the same, nobody will ever free the lock (ESRCH). The heir writes the word itself,
 * because the memory need not be mapped where the owner was (pf_died until then).
 *
 * Waits end by a signal or time limit, too. Who was handed the lock before that has it.
 */
#include "pifutex_impl.h"

#include <kernel/explore.h>
#include <kernel/failpoint.h>
#include <kernel/kmem.h>
#include <kernel/panic.h>
#include <kernel/process.h>
#include <kernel/trace.h>
#include <kernel/turnstile.h>

#define OWNER_LOCKS 32

static struct {
	struct spinlock lock;
} __cacheline_aligned owner_locks[OWNER_LOCKS];

static struct kmem_cache *pifutex_cache;

static struct lwp *
owner_of(const void *wchan)
{
	return ((const struct pifutex *)wchan)->pf_owner;
}

const struct syncobj syncobj_pifutex = { SOBJ_PIFUTEX, owner_of, true };

void
pifutex_init(void)
{
	for (size_t i = 0; i < OWNER_LOCKS; i++)
		spin_init(&owner_locks[i].lock, "pi-owner", RANK_SPIN_LEAF);
	pifutex_cache =
	    kmem_cache_create("pifutex", sizeof(struct pifutex), CACHE_LINE, KC_USER, NULL);
}

static struct spinlock *
owner_lock(const struct lwp *l)
{
	struct spinlock *m = &owner_locks[((uintptr_t)l / sizeof(*l)) % OWNER_LOCKS].lock;

	spin_lock(m);
	return m;
}

static struct pifutex *
find(const struct futex_bucket *fb, const struct futex_key *k)
{
	struct pifutex *pf;

	list_foreach (pf, &fb->fb_pi, pf_link)
		if (pf->pf_key.fk_obj == k->fk_obj && pf->pf_key.fk_off == k->fk_off)
			return pf;
	return NULL;
}

bool
pifutex_wanted(const struct futex_bucket *fb, const struct futex_key *k)
{
	return find(fb, k) != NULL;
}

/* => bucket and chain locked */
static void
disown(struct pifutex *pf)
{
	struct spinlock *m = owner_lock(pf->pf_owner);

	list_remove(&pf->pf_owned);
	pf->pf_owner = NULL;
	spin_unlock(m);
}

/* False: l is about to end. => bucket and chain locked; l is alive, or is one that l_pigone speaks for */
static bool
own(struct pifutex *pf, struct lwp *l)
{
	struct spinlock *m = owner_lock(l);
	bool gone;

	KASSERT(pf->pf_owner == NULL);
	list_insert_tail(&l->l_pifutexes, &pf->pf_owned);
	atomic_fence_full(); /* pifutex_exit() sees the list, or we see the flag */
	gone = atomic_load_relaxed(&l->l_pigone);
	if (likely(!gone))
		pf->pf_owner = l;
	else
		list_remove(&pf->pf_owned);
	spin_unlock(m);
	return !gone;
}

/*
 * Makes the LWP with id `lid` the owner, or only looks if pf is NULL. -ESRCH -EPERM
 * => bucket locked
 */
static int
own_by_id(struct pifutex *pf, lwpid_t lid)
{
	struct lwp *l = idt_lwp(&idtable, lid);
	struct spinlock *chain;
	bool ok;

	if (l == NULL)
		return -ESRCH;
	if (atomic_load_relaxed(&l->l_flag) & LW_SYSTEM)
		return -EPERM;
	if (pf == NULL)
		return atomic_load_relaxed(&l->l_pigone) ? -ESRCH : 0;
	chain = turnstile_lock(pf);
	ok = own(pf, l);
	/*
	 * Its memory may be of another life by now, or of none: the flag is cleared after the state became IDL and before
	 * the id changes. If none of these is seen, l was alive, and cannot end before it finds pf on its list.
	 */
	if (ok &&
	    (atomic_load_relaxed(&l->l_stat) == LS_IDL || atomic_load_relaxed(&l->l_lid) != lid)) {
		disown(pf);
		ok = false;
	}
	spin_unlock(chain);
	return ok ? 0 : -ESRCH;
}

/* The reference of one who waits no more. Returns what is to be freed when no lock is held, or NULL. => bucket locked */
static struct pifutex *
unref(struct pifutex *pf)
{
	struct spinlock *chain;

	EXPLORE_POINT(ATOMIC, &pf->pf_refs);
	if (atomic_sub(&pf->pf_refs, 1) != 1)
		return NULL;
	if (pf->pf_owner != NULL) {
		chain = turnstile_lock(pf);
		disown(pf);
		spin_unlock(chain);
	}
	list_remove(&pf->pf_link);
	atomic_sub(&futex_bucket_of(pf->pf_key.fk_obj, pf->pf_key.fk_off)->fb_waiters, 1);
	return pf;
}

static void
destroy(struct pifutex *pf)
{
	if (pf != NULL)
		kmem_cache_free(pifutex_cache, pf);
}

int
pifutex_spare(struct pifutex **spare)
{
	*spare = kmem_cache_alloc(pifutex_cache);
	if (*spare == NULL)
		return -ENOMEM;
	**spare = (struct pifutex){ 0 };
	return 0;
}

void
pifutex_spare_free(struct pifutex *spare)
{
	destroy(spare);
}

/* The owner's end of it: hands over to `to`, a waiter, or to nobody. => bucket and chain locked; curlwp owns it */
static void
pass_on(struct pifutex *pf, struct turnstile *ts, struct lwp *to)
{
	TRACE(LOCK_HAND, TRL_PIFUTEX, ts != NULL ? ts->ts_waiters : 0, (uintptr_t)pf);
	disown(pf);
	if (ts != NULL)
		turnstile_release(ts);
	if (to == NULL) {
		pf->pf_died = false;
		return;
	}
	if (!own(pf, to))
		panic("lid %d waits for a lock and is gone", to->l_lid);
	turnstile_handover(ts, to);
}

static inline struct lwp *
first_of(const struct turnstile *ts)
{
	return ts != NULL ? turnstile_first(ts) : NULL;
}

/* One compare-and-set: 0 done, PI_AGAIN, PI_ABSENT. */
static inline int
set_word(uintptr_t addr, uint32_t old, uint32_t new)
{
	uint32_t seen;

	if (futex_cas_locked(addr, old, new, &seen) != 0)
		return PI_ABSENT;
	return seen == old ? 0 : PI_AGAIN;
}

int
pifutex_attempt(struct lwp *self, struct futex_bucket *fb, const struct futex_key *k,
    uintptr_t addr, bool try, struct pifutex **spare, struct pifutex **pfp)
{
	struct pifutex *pf = find(fb, k);
	bool owned = pf != NULL && pf->pf_owner != NULL;
	uint32_t word, tid, now;
	int error;

	if (futex_fetch_locked(addr, &word) != 0)
		return PI_ABSENT;
	tid = word & FUTEX_TID_MASK;
	if (tid == (uint32_t)self->l_lid || (owned && pf->pf_owner == self))
		return -EDEADLK;
	if (pf == NULL && futex_has_sleeper(fb, k))
		return -EINVAL;
	if (tid == 0 && !owned)
		return set_word(addr, word, (word & FUTEX_OWNER_DIED) | (uint32_t)self->l_lid);
	if (owned && !pf->pf_died && tid != (uint32_t)pf->pf_owner->l_lid &&
	    (tid != 0 || (word & FUTEX_OWNER_DIED) == 0))
		return -EINVAL;
	if (pf == NULL && *spare == NULL && !try)
		return PI_NEEDMEM;
	if ((word & FUTEX_WAITERS) == 0) {
		error = set_word(addr, word, word | FUTEX_WAITERS);
		if (error != 0)
			return error;
		word |= FUTEX_WAITERS;
	}
	fp(pi_waiters_set);
	if (!owned) {
		error = own_by_id(try ? NULL : pf != NULL ? pf : *spare, (lwpid_t)tid);
		if (error == -ESRCH) { /* it ended: did it leave the word so? */
			if (futex_fetch_locked(addr, &now) != 0)
				return PI_ABSENT;
			return now != word ? PI_AGAIN : -ESRCH;
		}
		if (error != 0)
			return error;
	}
	if (try)
		return -EAGAIN;
	if (pf == NULL) {
		pf = *spare;
		*spare = NULL;
		pf->pf_key = *k;
		list_insert_head(&fb->fb_pi, &pf->pf_link);
		atomic_add(&fb->fb_waiters, 1); /* a wake looks here */
	}
	atomic_add(&pf->pf_refs, 1);
	*pfp = pf;
	return PI_WAIT;
}

int
pifutex_bring_in(uintptr_t addr)
{
	uint32_t word, seen;

	if (arch_ufetch_32(addr, &word) != 0 || arch_ucas_32(addr, word, word, &seen) != 0)
		return -EFAULT;
	return 0;
}

/*
 * Writes the word of a lock that was inherited from one who ended. If that cannot be, the lock goes on to the next.
 * => bucket locked, may be let go; locked on return
 */
static int
settle(struct futex_bucket *fb, struct pifutex *pf, uintptr_t addr)
{
	uint32_t word, new;
	struct spinlock *chain;
	struct turnstile *ts;
	int error;

	for (;;) {
		new = (uint32_t)curlwp()->l_lid | FUTEX_OWNER_DIED;
		if (atomic_load_relaxed(&pf->pf_refs) > 1)
			new |= FUTEX_WAITERS;
		error =
		    futex_fetch_locked(addr, &word) != 0 ? PI_ABSENT : set_word(addr, word, new);
		if (error == 0) {
			pf->pf_died = false;
			return 0;
		}
		if (error == PI_AGAIN)
			continue;
		spin_unlock(&fb->fb_lock);
		error = pifutex_bring_in(addr);
		spin_lock(&fb->fb_lock);
		if (error != 0)
			break;
	}
	chain = turnstile_lock(pf);
	ts = turnstile_find(pf);
	pass_on(pf, ts, first_of(ts));
	spin_unlock(chain);
	return error;
}

/* => bucket locked, with a reference to pf; not locked on return, and without. 0 it is ours, PI_AGAIN, or an error */
static int
wait_for(struct futex_bucket *fb, struct pifutex *pf, uintptr_t addr, nsec_t deadline)
{
	struct spinlock *chain = turnstile_lock(pf);
	int error;

	spin_unlock(&fb->fb_lock); /* who wants to hand over must have the chain lock, too */
	TRACE(LOCK_WAIT, TRL_PIFUTEX, 0, (uintptr_t)pf);
	TRACE(LOCK_SLEEP, 0, pf->pf_owner->l_lid, (uintptr_t)pf);
	error = turnstile_block_user(
	    turnstile_find(pf), chain, pf, "pi-futex", &syncobj_pifutex, deadline);
	error = pifutex_waited(pf, addr, error);
	return error == -ERESTART ? -ERESTARTNOINTR : error;
}

int
pifutex_waited(struct pifutex *pf, uintptr_t addr, int error)
{
	struct futex_bucket *fb = futex_bucket_of(pf->pf_key.fk_obj, pf->pf_key.fk_off);

	fp(pi_woken);
	/* Nobody can make us the owner any more: we are off the queue. */
	if (pf->pf_owner == curlwp())
		error = 0;
	else {
		turnstile_leave(pf);
		if (error == 0)
			error = PI_AGAIN; /* what interrupted us was withdrawn */
	}
	TRACE(LOCK_GOT, TRL_PIFUTEX, 0, (uintptr_t)pf);
	spin_lock(&fb->fb_lock);
	if (error == 0 && unlikely(pf->pf_died))
		error = settle(fb, pf, addr);
	pf = unref(pf);
	spin_unlock(&fb->fb_lock);
	destroy(pf);
	return error == -EWOULDBLOCK ? -ETIMEDOUT : error;
}

int
futex_lock_pi(uintptr_t addr, bool shared, nsec_t deadline, bool try)
{
	struct pifutex *spare = NULL, *pf;
	struct futex_bucket *fb;
	struct futex_key k;
	int error;

	do {
		error = futex_get_key(addr, shared, &k);
		if (error != 0)
			break;
		fb = futex_bucket_of(k.fk_obj, k.fk_off);
		spin_lock(&fb->fb_lock);
		error = pifutex_attempt(curlwp(), fb, &k, addr, try, &spare, &pf);
		if (error == PI_WAIT)
			error = wait_for(fb, pf, addr, deadline);
		else
			spin_unlock(&fb->fb_lock);
		if (error == PI_ABSENT && (error = pifutex_bring_in(addr)) == 0)
			error = PI_AGAIN;
		if (error == PI_NEEDMEM) {
			error = pifutex_spare(&spare);
			if (error == 0)
				error = PI_AGAIN;
		}
		/* The word can be changed under us as often as somebody likes. */
		if (error > 0 && lwp_interrupted(curlwp()))
			error = -ERESTARTNOINTR;
	} while (error > 0);
	destroy(spare);
	return error;
}

/* 0, PI_*, or an error. => bucket locked */
static int
unlock(struct futex_bucket *fb, const struct futex_key *k, uintptr_t addr)
{
	struct lwp *self = curlwp(), *to;
	struct pifutex *pf = find(fb, k);
	struct spinlock *chain;
	struct turnstile *ts;
	uint32_t word, new = 0;
	int error;

	if (futex_fetch_locked(addr, &word) != 0)
		return PI_ABSENT;
	if ((word & FUTEX_TID_MASK) != (uint32_t)self->l_lid)
		return -EPERM;
	if (pf == NULL && futex_has_sleeper(fb, k))
		return -EINVAL;
	if (pf == NULL || pf->pf_owner == NULL) {
		error = set_word(addr, word, 0);
		return error == PI_AGAIN ? -EAGAIN : error;
	}
	if (pf->pf_owner != self)
		return -EINVAL;
	chain = turnstile_lock(pf);
	ts = turnstile_find(pf);
	to = first_of(ts);
	if (to != NULL) {
		new = (uint32_t)to->l_lid;
		if (atomic_load_relaxed(&pf->pf_refs) > 1)
			new |= FUTEX_WAITERS;
	}
	error = set_word(addr, word, new);
	if (error == 0)
		pass_on(pf, ts, to);
	spin_unlock(chain);
	return error;
}

int
futex_unlock_pi(uintptr_t addr, bool shared)
{
	struct futex_bucket *fb;
	struct futex_key k;
	uint32_t word;
	int error;

	if (arch_ufetch_32(addr, &word) != 0)
		return -EFAULT;
	if ((word & FUTEX_TID_MASK) != (uint32_t)curlwp()->l_lid)
		return -EPERM;
	do {
		error = futex_get_key(addr, shared, &k);
		if (error != 0)
			return error;
		fb = futex_bucket_of(k.fk_obj, k.fk_off);
		spin_lock(&fb->fb_lock);
		error = unlock(fb, &k, addr);
		spin_unlock(&fb->fb_lock);
		if (error == PI_ABSENT && (error = pifutex_bring_in(addr)) == 0)
			error = PI_AGAIN;
		if (error > 0 && lwp_interrupted(curlwp()))
			error = -ERESTARTNOINTR;
	} while (error > 0);
	return error;
}

/* A reference to one of curlwp's, or NULL. It may just be losing its last one: then it is not. */
static struct pifutex *
take_owned(struct lwp *self)
{
	struct spinlock *m = owner_lock(self);
	struct pifutex *pf = list_first(&self->l_pifutexes, struct pifutex, pf_owned);
	uint32_t refs;

	if (pf != NULL) {
		refs = atomic_load_relaxed(&pf->pf_refs);
		while (refs != 0 && !atomic_cas(&pf->pf_refs, &refs, refs + 1))
			continue;
		if (refs == 0)
			pf = NULL;
	}
	spin_unlock(m);
	return pf;
}

void
pifutex_exit(void)
{
	struct lwp *self = curlwp();

	atomic_store_relaxed(&self->l_pigone, true);
	atomic_fence_full();
	while (unlikely(!list_empty(&self->l_pifutexes))) {
		struct pifutex *pf = take_owned(self);
		struct futex_bucket *fb;
		struct spinlock *chain;
		struct turnstile *ts;

		if (pf == NULL) {
			cpu_relax();
			continue;
		}
		fp(pi_died);
		fb = futex_bucket_of(pf->pf_key.fk_obj, pf->pf_key.fk_off);
		spin_lock(&fb->fb_lock);
		chain = turnstile_lock(pf);
		if (pf->pf_owner == self) {
			ts = turnstile_find(pf);
			pf->pf_died = first_of(ts) != NULL;
			pass_on(pf, ts, first_of(ts));
		}
		spin_unlock(chain);
		pf = unref(pf);
		spin_unlock(&fb->fb_lock);
		destroy(pf);
	}
}
