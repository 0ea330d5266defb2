/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader/writer locks: the contended paths, and the checked versions of the debug build. <kernel/rwlock.h> has the
 * rules of who comes next.
 *
 * Who cannot have the lock spins while a writer has it and runs, for a while; then it takes the turnstile's chain
 * lock, sets RW_WAITERS (a writer RW_WANTED too) and sleeps. The release sees the bit, takes the chain lock, and
 * writes the word for those whom it wakes: they do not look at it again.
 * The bits may stay set with nobody behind them when who set them went back to spinning.
 *
 * The word changes without the chain lock only so: taken when free; a reader comes while RW_WRITER and RW_WANTED
 * are clear; somebody goes while RW_WAITERS is clear.
 *
 * Priority is lent to a writer only. Readers are counted, not known: what waits for them waits for the
 * slowest, so they should be short. After a hand-over to a writer those who are left lend to it.
 */
#include <kernel/rwlock.h>

#include <kernel/explore.h>
#include <kernel/failpoint.h>
#include <kernel/lockdebug.h>
#include <kernel/mutex.h>
#include <kernel/panic.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/trace.h>
#include <kernel/turnstile.h>

static struct lwp *
owner_of(const void *wchan)
{
	return rw_owner(wchan);
}

static const struct syncobj syncobj_rw[] = {
	[RW_READ] = { SOBJ_RWLOCK, owner_of, false },
	[RW_WRITE] = { SOBJ_RWLOCK, owner_of, false },
};

void
rw_init(struct rwlock *rw, const char *name __unused, enum lock_rank rank __unused)
{
	*rw = (struct rwlock)RWLOCK_INIT(name, rank);
}

void
rw_destroy(struct rwlock *rw)
{
	KASSERTMSG(rw->rw_word == 0, "rwlock %p held (%#lx) when destroyed", (void *)rw,
	    (unsigned long)rw->rw_word);
}

struct lwp *
rw_owner(const struct rwlock *rw)
{
	uintptr_t word = atomic_load_relaxed(&rw->rw_word);

	return word & RW_WRITER ? (struct lwp *)(word & ~RW_FLAGS) : NULL;
}

/* As in mutex.c. */
#ifdef DEBUG
#define lock_hint(rw) ((uintptr_t)(rw)->rw_name)
#else
#define lock_hint(rw) ((uintptr_t)__builtin_return_address(0))
#endif

#define SPIN_MAX 400

static bool
writer_running(uintptr_t word)
{
	struct lwp *owner = (struct lwp *)(word & ~RW_FLAGS);

	return (word & RW_WRITER) != 0 && atomic_load_relaxed(&owner->l_running) &&
	    atomic_load_relaxed(&owner->l_wchan) == NULL;
}

void
rw_enter_slow(struct rwlock *rw, enum rw_mode mode)
{
	const uintptr_t self = (uintptr_t)curlwp();
	const uintptr_t closed = mode == RW_WRITE ? ~(uintptr_t)0 : RW_WRITER | RW_WANTED;
	const uintptr_t ask = mode == RW_WRITE ? RW_WAITERS | RW_WANTED : RW_WAITERS;
	unsigned spins = ncpu > 1 ? 0 : SPIN_MAX;
	uintptr_t word, mine;
	struct spinlock *chain;

	TRACE(LOCK_WAIT, TRL_RWLOCK, lock_hint(rw), (uintptr_t)rw);
	for (;;) {
		word = atomic_load_relaxed(&rw->rw_word);
		if ((word & closed) == 0) {
			mine = mode == RW_WRITE ? self | RW_WRITER : word + RW_READER1;
			if (atomic_cas(&rw->rw_word, &word, mine))
				break;
			continue;
		}
		if (unlikely((word & RW_WRITER) && (word & ~RW_FLAGS) == self))
			panic("lid %d: rwlock %p taken twice", curlwp()->l_lid, (void *)rw);
		if (unlikely(panicking))
			return;
		if (spins < SPIN_MAX && writer_running(word)) {
			spins++;
			cpu_relax();
			continue;
		}
		chain = turnstile_lock(rw);
		if (!atomic_cas(&rw->rw_word, &word, word | ask)) {
			spin_unlock(chain);
			continue;
		}
		DEBUG_ONLY(lockdebug_waiting(rw));
		fp(rw_waiters_set);
		if (spins < SPIN_MAX && writer_running(word)) {
			spin_unlock(chain);
			continue;
		}
		TRACE(LOCK_SLEEP, 0, rw_owner(rw) != NULL ? rw_owner(rw)->l_lid : 0, (uintptr_t)rw);
		turnstile_block(turnstile_find(rw), chain, rw, "rwlock", &syncobj_rw[mode]);
		KASSERT(mode == RW_WRITE ? rw_write_held(rw)
					 : atomic_load_relaxed(&rw->rw_word) >= RW_READER1);
		break;
	}
	TRACE(LOCK_GOT, TRL_RWLOCK, 0, (uintptr_t)rw);
}

/* The next waiter of a kind, from `e` on, or NULL. => chain lock held */
static struct lwp *
next_waiter(const struct turnstile *ts, const struct list *e, enum rw_mode mode)
{
	for (; e != &ts->ts_sleepq; e = e->next) {
		struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

		if (l->l_syncobj == &syncobj_rw[mode])
			return l;
	}
	return NULL;
}

static unsigned
count_waiters(const struct turnstile *ts, enum rw_mode mode)
{
	struct lwp *l;
	unsigned n = 0;

	for (const struct list *e = ts->ts_sleepq.next; (l = next_waiter(ts, e, mode)) != NULL;
	     e = l->l_sleepchain.next)
		n++;
	return n;
}

/* => chain lock held; the word says already that they have it */
static void
wake_readers(struct turnstile *ts, unsigned n)
{
	struct list *e = ts->ts_sleepq.next;

	/* The last one may take the turnstile along. */
	while (n-- > 0) {
		struct lwp *l = next_waiter(ts, e, RW_READ);

		e = l->l_sleepchain.next;
		turnstile_wakeup(ts, l);
	}
}

void
rw_exit_slow(struct rwlock *rw)
{
	struct spinlock *chain = turnstile_lock(rw);
	struct turnstile *ts = turnstile_find(rw);
	unsigned readers = ts != NULL ? count_waiters(ts, RW_READ) : 0;
	unsigned writers = ts != NULL ? count_waiters(ts, RW_WRITE) : 0;
	uintptr_t word = atomic_load_relaxed(&rw->rw_word), after;
	struct lwp *heir;

	do {
		heir = NULL;
		if ((word & RW_WRITER) == 0 && word >= 2 * RW_READER1)
			after = word - RW_READER1;
		else if (writers != 0 && (readers == 0 || (word & RW_WRITER) == 0)) {
			heir = next_waiter(ts, ts->ts_sleepq.next, RW_WRITE);
			after = (uintptr_t)heir | RW_WRITER;
			after |= readers + writers > 1 ? RW_WAITERS : 0;
			after |= writers > 1 ? RW_WANTED : 0;
		} else
			after = readers * RW_READER1 | (writers != 0 ? RW_WAITERS | RW_WANTED : 0);
	} while (!atomic_cas(&rw->rw_word, &word, after));
	if ((word & RW_WRITER) || word < 2 * RW_READER1) {
		TRACE(LOCK_HAND, TRL_RWLOCK, readers + writers, (uintptr_t)rw);
		if (ts != NULL)
			turnstile_release(ts);
		if (heir != NULL)
			turnstile_handover(ts, heir);
		else if (readers != 0)
			wake_readers(ts, readers);
	}
	spin_unlock(chain);
}

void
rw_downgrade(struct rwlock *rw)
{
	uintptr_t word = (uintptr_t)curlwp() | RW_WRITER, flags = 0;
	struct spinlock *chain;
	struct turnstile *ts;
	unsigned readers = 0;

	KASSERT(rw_write_held(rw));
	if (atomic_cas(&rw->rw_word, &word, RW_READER1))
		return;
	chain = turnstile_lock(rw);
	ts = turnstile_find(rw);
	if (ts != NULL) {
		turnstile_release(ts);
		if (count_waiters(ts, RW_WRITE) != 0)
			flags = RW_WAITERS | RW_WANTED;
		else
			readers = count_waiters(ts, RW_READ);
	}
	/* Readers behind a writer that waits go on waiting, so that their flag must stay, too. */
	atomic_store_release(&rw->rw_word, (1 + readers) * RW_READER1 | flags);
	if (readers != 0)
		wake_readers(ts, readers);
	spin_unlock(chain);
}

bool
rw_tryupgrade(struct rwlock *rw)
{
	uintptr_t word = RW_READER1;

	KASSERT(rw_held(rw) && !rw_write_held(rw));
	return atomic_cas(&rw->rw_word, &word, (uintptr_t)curlwp() | RW_WRITER);
}

#ifdef DEBUG
static struct rwhold *
hold_of(const struct rwlock *rw)
{
	struct lwp *l = curlwp();

	for (unsigned i = 0; i < RWHOLDS; i++)
		if (l->l_rwholds[i].rwh_lock == rw)
			return &l->l_rwholds[i];
	return NULL;
}

static void
took(struct rwlock *rw, uintptr_t pc)
{
	struct rwhold *h = hold_of(NULL);

	if (h == NULL)
		panic("lid %d: holds more than %d rwlocks", curlwp()->l_lid, RWHOLDS);
	*h = (struct rwhold){ rw, pc };
	curlwp()->l_nlocks++;
}

void
rw_order_check(enum lock_rank rank, const char *name)
{
	struct lwp *l = curlwp();

	for (unsigned i = 0; i < RWHOLDS; i++) {
		const struct rwlock *rw = l->l_rwholds[i].rwh_lock;

		if (rw != NULL && rw->rw_rank >= rank && !panicking)
			panic("lid %d: lock order: %s taken while rwlock %s (%p) is held since %p",
			    l->l_lid, name, rw->rw_name, (const void *)rw,
			    (void *)l->l_rwholds[i].rwh_pc);
	}
}

void
rw_enter(struct rwlock *rw, enum rw_mode mode)
{
	struct lwp *l = curlwp();
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);

	assert_may_sleep();
	if (EXPLORING)
		explore_point_at(XK_RWLOCK, pc, (uintptr_t)rw);
	if (unlikely(hold_of(rw) != NULL) && !panicking)
		panic("lid %d: rwlock %s (%p) taken twice", l->l_lid, rw->rw_name, (void *)rw);
	if (l->l_locks != NULL && l->l_locks->mtx_rank >= rw->rw_rank && !panicking)
		panic("lid %d: lock order: rwlock %s (%p) taken while %s is held", l->l_lid,
		    rw->rw_name, (void *)rw, l->l_locks->mtx_name);
	rw_order_check(rw->rw_rank, rw->rw_name);
	lockdebug_rw(rw, pc);
	if (!rw_enter_fast(rw, mode)) {
		atomic_store_relaxed(&l->l_rwwait, rw);
		rw_enter_slow(rw, mode);
		atomic_store_relaxed(&l->l_rwwait, NULL);
	}
	took(rw, pc);
}

bool
rw_tryenter(struct rwlock *rw, enum rw_mode mode)
{
	EXPLORE_POINT(RWLOCK, rw);
	if (!rw_enter_fast(rw, mode))
		return false;
	took(rw, (uintptr_t)__builtin_return_address(0));
	return true;
}

void
rw_exit(struct rwlock *rw)
{
	struct rwhold *h = hold_of(rw);

	if (panicking)
		return;
	KASSERTMSG(h != NULL, "rwlock %s (%p) released by lid %d", rw->rw_name, (void *)rw,
	    curlwp()->l_lid);
	*h = (struct rwhold){ 0 };
	curlwp()->l_nlocks--;
	if (!rw_exit_fast(rw))
		rw_exit_slow(rw);
	if (EXPLORING)
		explore_point_at(XK_RWEXIT, (uintptr_t)__builtin_return_address(0), (uintptr_t)rw);
}

bool
rw_held(const struct rwlock *rw)
{
	return hold_of(rw) != NULL;
}
#endif
