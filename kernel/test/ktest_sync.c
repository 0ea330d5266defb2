/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In-kernel tests of condition variables, timeouts, mutexes and turnstiles, with kernel threads. Run by
 * writing "ktest NAME" to /dev/debug; each returns 0 or -EIO and logs what was wrong.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/cv.h>
#include <kernel/debug.h>
#include <kernel/mutex.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/random.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/turnstile.h>

#include "ktest_team.h"

/* ---- B10: a wakeup is never swallowed by a timeout or an interruption ---- */

static struct mutex sem_lock = MUTEX_INIT("semaphore", RANK_INODE);
static struct condvar sem_cv;
static unsigned sem_tokens, sem_taken;
static bool sem_stop;

static void
sem_consumer(void *arg __unused)
{
	mutex_lock(&sem_lock);
	while (!sem_stop || sem_tokens != 0) {
		int error = 0;

		if (sem_tokens == 0)
			error = cv_timedwait_sig(
			    &sem_cv, &sem_lock, time_now() + krandom() % (MSEC / 2));
		/* As a naive user would: an error means that no token was handed over. */
		if (error == 0 && sem_tokens != 0) {
			sem_tokens--;
			sem_taken++;
		}
	}
	mutex_unlock(&sem_lock);
	team_leave();
}

static int
ktest_cv_tokens(void)
{
	unsigned made = 0, stuck = 0;

	team_begin();
	cv_init(&sem_cv, "sem");
	sem_tokens = sem_taken = 0;
	sem_stop = false;
	for (int i = 0; i < 6; i++)
		team_add(PRI_DEFAULT, sem_consumer, NULL);
	for (int round = 0; round < 3000; round++) {
		struct lwp *victim = team[krandom() % 6];

		mutex_lock(&sem_lock);
		sem_tokens++;
		made++;
		cv_signal(&sem_cv);
		mutex_unlock(&sem_lock);
		mutex_lock(&proc0.p_lock);
		lwp_interrupt(victim, LW_CANCELLED);
		mutex_unlock(&proc0.p_lock);
		if (round % 16 == 0)
			kpause("ktest", false, time_now() + krandom() % MSEC);
		mutex_lock(&sem_lock);
		if (sem_tokens > 100)
			stuck++;
		mutex_unlock(&sem_lock);
	}
	mutex_lock(&sem_lock);
	sem_stop = true;
	cv_broadcast(&sem_cv);
	mutex_unlock(&sem_lock);
	team_wait();
	EXPECT(sem_taken == made);
	return ktest_failed ? -EIO : 0;
}
KTEST(cv_tokens, "cv-tokens", ktest_cv_tokens);

/* ---- B12: equals are served first come, first served ---- */

static struct mutex fifo_lock = MUTEX_INIT("fifo", RANK_INODE);
static struct condvar fifo_cv;
static unsigned fifo_queued, fifo_next;
static bool fifo_wrong;

static void
fifo_waiter(void *arg __unused)
{
	unsigned mine;

	mutex_lock(&fifo_lock);
	mine = fifo_queued++;
	cv_wait(&fifo_cv, &fifo_lock);
	if (mine != fifo_next++)
		fifo_wrong = true;
	mutex_unlock(&fifo_lock);
	team_leave();
}

static int
ktest_cv_fifo(void)
{
	team_begin();
	cv_init(&fifo_cv, "fifo");
	fifo_queued = fifo_next = 0;
	fifo_wrong = false;
	for (unsigned i = 0; i < 12; i++) {
		team_add(PRI_DEFAULT, fifo_waiter, NULL);
		for (bool in = false; !in;) {
			mutex_lock(&fifo_lock);
			in = fifo_queued == i + 1;
			mutex_unlock(&fifo_lock);
			if (!in)
				kpause("ktest", false, time_now() + MSEC / 10);
		}
	}
	for (unsigned i = 0; i < 12; i++) {
		bool served = false;

		mutex_lock(&fifo_lock);
		cv_signal(&fifo_cv);
		mutex_unlock(&fifo_lock);
		while (!served) {
			mutex_lock(&fifo_lock);
			served = fifo_next == i + 1;
			mutex_unlock(&fifo_lock);
			if (!served)
				kpause("ktest", false, time_now() + MSEC / 10);
		}
	}
	team_wait();
	EXPECT(!fifo_wrong);
	return ktest_failed ? -EIO : 0;
}
KTEST(cv_fifo, "cv-fifo", ktest_cv_fifo);

/* ---- B13: deadlines that are over, or nearly ---- */

static int
ktest_cv_deadline(void)
{
	static const int64_t offset[] = { -1000000000, -1, 0, 1, 1000, 1000000, 20000000 };
	struct condvar cv;

	ktest_failed = false;
	cv_init(&cv, "deadline");
	mutex_lock(&sem_lock);
	EXPECT(cv_timedwait(&cv, &sem_lock, 0) == -EWOULDBLOCK);
	for (unsigned i = 0; i < ARRAY_SIZE(offset); i++) {
		nsec_t now = time_now();
		nsec_t deadline =
		    offset[i] < 0 && now < (nsec_t)-offset[i] ? 1 : now + (nsec_t)offset[i];

		EXPECT(cv_timedwait(&cv, &sem_lock, deadline) == -EWOULDBLOCK);
		EXPECT(time_now() >= deadline);
		EXPECT(mutex_owned(&sem_lock));
	}
	mutex_unlock(&sem_lock);
	cv_destroy(&cv);
	return ktest_failed ? -EIO : 0;
}
KTEST(cv_deadline, "cv-deadline", ktest_cv_deadline);

/* ---- B14: a wakeup that comes when the timer does ---- */

static unsigned race_state; /* 1 sleeper is about to wait, 2 woken by the waker */

static void
race_waker(void *arg)
{
	unsigned rounds = *(unsigned *)arg;

	for (unsigned i = 0; i < rounds; i++) {
		mutex_lock(&fifo_lock);
		while (race_state != 1)
			cv_wait(&sem_cv, &fifo_lock);
		race_state = 2;
		mutex_unlock(&fifo_lock);
		for (nsec_t until = time_now() + krandom() % 60000; time_now() < until;)
			arch_cpu_relax();
		mutex_lock(&fifo_lock);
		race_state = 3;
		cv_signal(&fifo_cv);
		mutex_unlock(&fifo_lock);
	}
	team_leave();
}

static int
ktest_cv_timeout_race(void)
{
	unsigned rounds = 3000, late = 0, woken = 0;

	team_begin();
	cv_init(&fifo_cv, "race");
	cv_init(&sem_cv, "race2");
	race_state = 0;
	team_add(PRI_DEFAULT, race_waker, &rounds);
	mutex_lock(&fifo_lock);
	for (unsigned i = 0; i < rounds; i++) {
		int error;

		race_state = 1;
		cv_broadcast(&sem_cv);
		error = cv_timedwait(&fifo_cv, &fifo_lock, time_now() + 60000);
		late += error == -EWOULDBLOCK;
		woken += error == 0;
		EXPECT(error == 0 ? race_state == 3 : error == -EWOULDBLOCK);
		while (race_state !=
		    3) /* timed out first: the signal must still come, and no timer ends this */
			cv_wait(&fifo_cv, &fifo_lock);
	}
	mutex_unlock(&fifo_lock);
	kprintf("ktest: %u woken, %u timed out\n", woken, late);
	return team_wait();
}
KTEST(cv_timeout_race, "cv-timeout-race", ktest_cv_timeout_race);

/* ---- B15: owners exit right after they let go; the mutex excludes ---- */

static struct mutex storm_lock = MUTEX_INIT("storm", RANK_INODE);
static unsigned storm_count, storm_inside;

static void
storm_worker(void *arg)
{
	unsigned rounds = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < rounds; i++) {
		mutex_lock(&storm_lock);
		EXPECT(storm_inside++ == 0);
		storm_count++;
		if (krandom() % 8 == 0)
			yield(); /* owner off CPU: contenders must sleep */
		EXPECT(--storm_inside == 0);
		mutex_unlock(&storm_lock);
	}
	team_leave();
}

static int
ktest_mutex_storm(void)
{
	unsigned done = 0;

	team_begin();
	storm_count = storm_inside = 0;
	for (unsigned i = 0; i < 8; i++)
		if (team_add(PRI_DEFAULT + (int)(i % 3), storm_worker, (void *)(uintptr_t)500) == 0)
			done += 500;
	team_wait();
	EXPECT(storm_count == done);
	for (unsigned round = 0; round < 100; round++) { /* short lives */
		team_begin();
		for (unsigned i = 0; i < 4; i++)
			if (team_add(PRI_DEFAULT, storm_worker, (void *)(uintptr_t)3) == 0)
				done += 3;
		if (team_wait() != 0)
			return -EIO;
	}
	EXPECT(storm_count == done);
	return ktest_failed ? -EIO : 0;
}
KTEST(mutex_storm, "mutex-storm", ktest_mutex_storm);

/* ---- turnstiles: priority goes down a chain of owners and comes back ---- */

static struct mutex chain_lock[3] = { MUTEX_INIT("chain0", RANK_FILE + 0),
	MUTEX_INIT("chain1", RANK_INODE), MUTEX_INIT("chain2", RANK_FDTABLE) };
static unsigned chain_stage;
static bool chain_go;

static void
chain_link(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	/* Holds lock i and waits for lock i + 1, whose owner is the link before it. */
	mutex_lock(&chain_lock[i]);
	atomic_add(&chain_stage, 1);
	if (i == 2) {
		while (!atomic_load_relaxed(&chain_go))
			kpause("chain", false, time_now() + MSEC);
	} else {
		mutex_lock(&chain_lock[i + 1]);
		mutex_unlock(&chain_lock[i + 1]);
	}
	mutex_unlock(&chain_lock[i]);
	EXPECT(curlwp()->l_inheritedprio == -1);
	team_leave();
}

static void
chain_top(void *arg __unused)
{
	mutex_lock(&chain_lock[0]);
	mutex_unlock(&chain_lock[0]);
	team_leave();
}

static void
stage(unsigned n)
{
	while (atomic_load_relaxed(&chain_stage) != n)
		kpause("chain", false, time_now() + MSEC);
}

static int
ktest_turnstile_pi(void)
{
	struct lwp *owner[3];
	bool lent = false;

	team_begin();
	chain_stage = 0;
	chain_go = false;
	for (unsigned i = 3; i-- > 0;) {
		team_add(PRI_USER + 10 * (int)(3 - i), chain_link, (void *)(uintptr_t)i);
		stage(3 - i);
		owner[i] = mutex_owner(&chain_lock[i]);
	}
	team_add(PRI_KERNEL_RT + 20, chain_top, NULL);
	for (int tries = 0; tries < 2000 && !lent; tries++) {
		lent = true;
		for (int i = 0; i < 3; i++) {
			lwp_lock(owner[i]);
			lent &= lwp_eprio(owner[i]) == PRI_KERNEL_RT + 20;
			lwp_unlock(owner[i]);
		}
		if (!lent)
			kpause("chain", false, time_now() + MSEC);
	}
	for (int i = 0; i < 3 && !lent; i++)
		kprintf("ktest: owner %d is lid %d %s at %d, inherits %d, waits in %s\n", i,
		    owner[i]->l_lid, lwp_state_name[owner[i]->l_stat], lwp_eprio(owner[i]),
		    owner[i]->l_inheritedprio, owner[i]->l_wchan != NULL ? owner[i]->l_wmesg : "-");
	EXPECT(lent);
	fsck();
	atomic_store_relaxed(&chain_go, true);
	return team_wait();
}
KTEST(turnstile_pi, "turnstile-pi", ktest_turnstile_pi);

/* Two links of a chain of owners that hash to one turnstile chain: its lock is taken once. */

static struct mutex many_lock[1024];
static struct mutex *link_lock[3];

static unsigned
next_of_chain(unsigned from, const struct spinlock *chain, bool same)
{
	for (unsigned i = from; i < sizeof(many_lock) / sizeof(many_lock[0]); i++) {
		struct spinlock *m = turnstile_lock(&many_lock[i]);

		spin_unlock(m);
		if ((m == chain) == same)
			return i;
	}
	panic("ktest: no lock hashes as wanted");
}

static void
hash_link(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	mutex_lock(link_lock[i]);
	atomic_add(&chain_stage, 1);
	if (i == 2) {
		while (!atomic_load_relaxed(&chain_go))
			kpause("chain", false, time_now() + MSEC);
	} else {
		mutex_lock(link_lock[i + 1]);
		mutex_unlock(link_lock[i + 1]);
	}
	mutex_unlock(link_lock[i]);
	team_leave();
}

static void
hash_top(void *arg __unused)
{
	mutex_lock(link_lock[0]);
	mutex_unlock(link_lock[0]);
	team_leave();
}

/* Who waits lends a moment after it is queued: the walk begins anew while the owner's lock is taken. */
static bool
lock_lends(struct mutex *m)
{
	struct spinlock *chain = turnstile_lock(m);
	const struct turnstile *ts = turnstile_find(m);
	bool yes = ts != NULL && ts->ts_inheritor != NULL;

	spin_unlock(chain);
	return yes;
}

static int
ktest_turnstile_hash(void)
{
	static const enum lock_rank rank[3] = { RANK_FILE, RANK_INODE, RANK_FDTABLE };
	struct spinlock *chain = turnstile_lock(&many_lock[0]);
	unsigned b, c;

	spin_unlock(chain);
	team_begin();
	chain_stage = 0;
	chain_go = false;
	b = next_of_chain(1, chain, false);
	c = next_of_chain(b + 1, chain, true);
	link_lock[0] = &many_lock[0];
	link_lock[1] = &many_lock[b];
	link_lock[2] = &many_lock[c];
	for (int i = 0; i < 3; i++)
		mutex_init(link_lock[i], "link", rank[i]);
	for (unsigned i = 3; i-- > 0;) {
		team_add(PRI_USER + 10 * (int)(3 - i), hash_link, (void *)(uintptr_t)i);
		stage(3 - i);
		while (i < 2 && !lock_lends(link_lock[i + 1]))
			kpause("chain", false, time_now() + MSEC);
	}
	team_add(PRI_KERNEL_RT + 20, hash_top, NULL);
	while (!lock_lends(link_lock[0]))
		kpause("chain", false, time_now() + MSEC);
	atomic_store_relaxed(&chain_go, true);
	return team_wait();
}
KTEST(turnstile_hash, "turnstile-hash", ktest_turnstile_hash);

/* The owner of two locks keeps what the waiter of the second lends when it releases the first. */

static unsigned two_step;
static int two_pri[2];

static void
two_low(void *arg __unused)
{
	mutex_lock(link_lock[0]);
	mutex_lock(link_lock[1]);
	atomic_store_relaxed(&two_step, 1);
	while (atomic_load_relaxed(&two_step) != 2)
		kpause("two", false, time_now() + MSEC);
	mutex_unlock(link_lock[0]);
	two_pri[0] = lwp_eprio(curlwp());
	mutex_unlock(link_lock[1]);
	two_pri[1] = lwp_eprio(curlwp());
	team_leave();
}

static void
two_high(void *arg)
{
	mutex_lock(arg);
	mutex_unlock(arg);
	team_leave();
}

static int
ktest_turnstile_two(void)
{
	team_begin();
	two_step = 0;
	for (int i = 0; i < 2; i++) {
		link_lock[i] = &many_lock[i];
		mutex_init(link_lock[i], "two", i == 0 ? RANK_FILE : RANK_INODE);
	}
	team_add(PRI_USER + 10, two_low, NULL);
	while (atomic_load_relaxed(&two_step) != 1)
		kpause("two", false, time_now() + MSEC);
	for (int i = 0; i < 2; i++) {
		team_add(PRI_KERNEL_RT + 20 - 10 * i, two_high, link_lock[i]);
		while (!lock_lends(link_lock[i]))
			kpause("two", false, time_now() + MSEC);
	}
	atomic_store_relaxed(&two_step, 2);
	team_wait();
	EXPECT(two_pri[0] == PRI_KERNEL_RT + 10);
	EXPECT(two_pri[1] == PRI_USER + 10);
	return ktest_failed ? -EIO : 0;
}
KTEST(turnstile_two, "turnstile-two", ktest_turnstile_two);
