/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adaptive mutexes: the contended paths, and the checked versions of the debug build.
 *
 * A contender spins while the owner runs on another CPU, for a while. Otherwise it takes the turnstile chain lock, sets
 * MTX_WAITERS, looks again whether the owner runs (it may be about to release), and sleeps. With the bit
 * set the owner's release goes through the chain lock, so no wakeup is lost. The bit may stay set with no
 * turnstile behind it when the contender went back to spinning.
 * The owner's struct lwp may be looked at without its lock because LWP memory is type-stable.
 */
#include <kernel/mutex.h>

#include <kernel/explore.h>
#include <kernel/failpoint.h>
#include <kernel/lockdebug.h>
#include <kernel/panic.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/trace.h>
#include <kernel/turnstile.h>

void
mutex_init(struct mutex *m, const char *name __unused, enum lock_rank rank __unused)
{
	*m = (struct mutex)MUTEX_INIT(name, rank);
}

void
mutex_destroy(struct mutex *m)
{
	KASSERTMSG(m->mtx_word == 0, "mutex %p held by lid %d when destroyed", (void *)m,
	    mutex_owner(m)->l_lid);
}

struct lwp *
mutex_owner(const struct mutex *m)
{
	return (struct lwp *)(atomic_load_relaxed(&m->mtx_word) & ~MTX_WAITERS);
}

static bool
owner_running(uintptr_t word)
{
	struct lwp *owner = (struct lwp *)(word & ~MTX_WAITERS);

	return atomic_load_relaxed(&owner->l_running) &&
	    atomic_load_relaxed(&owner->l_wchan) == NULL;
}

/* What tells which lock it is: its name, or in the release build who wants it; an address in the image. */
#ifdef DEBUG
#define lock_hint(m) ((uintptr_t)(m)->mtx_name)
#else
#define lock_hint(m) ((uintptr_t)__builtin_return_address(0))
#endif

/* Longer than the sections that are worth a spin; an owner that waits for other CPUs takes far longer. */
#define SPIN_MAX 400

void
mutex_lock_slow(struct mutex *m)
{
	uintptr_t self = (uintptr_t)curlwp(), word;
	unsigned spins = ncpu > 1 ? 0 : SPIN_MAX;
	struct spinlock *chain;

	TRACE(LOCK_WAIT, TRL_MUTEX, lock_hint(m), (uintptr_t)m);
	for (;;) {
		word = atomic_load_relaxed(&m->mtx_word);
		if (word == 0) {
			if (atomic_cas(&m->mtx_word, &word, self)) {
				TRACE(LOCK_GOT, TRL_MUTEX, 0, (uintptr_t)m);
				return;
			}
			continue;
		}
		if (unlikely((word & ~MTX_WAITERS) == self))
			panic("lid %d: mutex %p taken twice", curlwp()->l_lid, (void *)m);
		if (unlikely(panicking))
			return;
		if (spins < SPIN_MAX && owner_running(word)) {
			spins += EXPLORING ? SPIN_MAX / 4 : 1;
			cpu_relax();
			continue;
		}
		chain = turnstile_lock(m);
		if (!atomic_cas(&m->mtx_word, &word, word | MTX_WAITERS)) {
			spin_unlock(chain);
			continue;
		}
		DEBUG_ONLY(lockdebug_waiting(m));
		fp(mutex_waiters_set);
		if (spins < SPIN_MAX && owner_running(word)) {
			spin_unlock(chain);
			continue;
		}
		TRACE(LOCK_SLEEP, 0, ((struct lwp *)(word & ~MTX_WAITERS))->l_lid, (uintptr_t)m);
		/* The bit is ours or another contender's, and its release needs the chain lock that we hold. */
		turnstile_block(turnstile_find(m), chain, m, "mutex", &syncobj_turnstile);
	}
}

void
mutex_unlock_slow(struct mutex *m)
{
	struct spinlock *chain = turnstile_lock(m);
	struct turnstile *ts = turnstile_find(m);

	TRACE(LOCK_HAND, 0, ts != NULL ? ts->ts_waiters : 0, (uintptr_t)m);
	atomic_store_release(&m->mtx_word, 0);
	if (ts != NULL)
		turnstile_wakeup_all(ts);
	spin_unlock(chain);
}

#ifdef DEBUG
static void
took(struct mutex *m, uintptr_t pc)
{
	struct lwp *l = curlwp();

	m->mtx_pc = pc;
	m->mtx_next = l->l_locks;
	l->l_locks = m;
	l->l_nlocks++;
}

static void
mutex_acquire(struct mutex *m, uintptr_t pc, bool check)
{
	uintptr_t free = 0;
	struct mutex *newest = curlwp()->l_locks;

	assert_may_sleep();
	if (EXPLORING)
		explore_point_at(XK_MUTEX, pc, (uintptr_t)m);
	if (check && newest != NULL && newest->mtx_rank >= m->mtx_rank && !panicking)
		panic("lid %d: lock order: mutex %s (%p) taken while %s (%p) is held since %p",
		    curlwp()->l_lid, m->mtx_name, (void *)m, newest->mtx_name, (void *)newest,
		    (void *)newest->mtx_pc);
	if (check) {
		rw_order_check(m->mtx_rank, m->mtx_name);
		lockdebug_mutex(m, pc);
	}
	if (!atomic_cas(&m->mtx_word, &free, (uintptr_t)curlwp())) {
		atomic_store_relaxed(&curlwp()->l_lockwait, m);
		mutex_lock_slow(m);
		atomic_store_relaxed(&curlwp()->l_lockwait, NULL);
	}
	took(m, pc);
}

void
mutex_lock(struct mutex *m)
{
	mutex_acquire(m, (uintptr_t)__builtin_return_address(0), true);
}

bool
mutex_trylock(struct mutex *m)
{
	uintptr_t free = 0;

	EXPLORE_POINT(MUTEX, m);
	if (!atomic_cas(&m->mtx_word, &free, (uintptr_t)curlwp()))
		return false;
	took(m, (uintptr_t)__builtin_return_address(0));
	return true;
}

void
mutex_unlock(struct mutex *m)
{
	struct lwp *l = curlwp();
	uintptr_t mine = (uintptr_t)l;
	struct mutex **p;

	if (panicking)
		return;
	KASSERTMSG(
	    mutex_owned(m), "mutex %s (%p) released by lid %d", m->mtx_name, (void *)m, l->l_lid);
	for (p = &l->l_locks; *p != m; p = &(*p)->mtx_next)
		KASSERT(*p != NULL);
	*p = m->mtx_next;
	l->l_nlocks--;
	if (!atomic_cas(&m->mtx_word, &mine, 0))
		mutex_unlock_slow(m);
	if (EXPLORING)
		explore_point_at(XK_RELEASE, (uintptr_t)__builtin_return_address(0), (uintptr_t)m);
}

/* Of the rank of the first: the order is checked there. */
#define mutex_lock_second(m) mutex_acquire(m, (uintptr_t)__builtin_return_address(0), false)
#else
#define mutex_lock_second(m) mutex_lock(m)
#endif

void
mutex_lock_pair(struct mutex *a, struct mutex *b)
{
	struct mutex *first = a < b ? a : b, *second = a < b ? b : a;

	KASSERT(a != b);
	mutex_lock(first);
	mutex_lock_second(second);
}
