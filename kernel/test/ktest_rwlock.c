/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In-kernel tests of reader/writer locks: exclusion under a storm, who is let in by a release, that neither side
 * starves, priority lent to writers, downgrade and upgrade.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/debug.h>
#include <kernel/random.h>
#include <kernel/rwlock.h>
#include <kernel/sched.h>
#include <kernel/turnstile.h>

#include "ktest_team.h"

static struct rwlock lock = RWLOCK_INIT("ktest-rw", RANK_FILE);
static unsigned readers, writers, most, nreads, nwrites;

static void
pause_a_bit(void)
{
	kpause("ktest", false, time_now() + MSEC / 4);
}

/* How many sleep for the lock. */
static unsigned
sleepers(void)
{
	struct spinlock *chain = turnstile_lock(&lock);
	struct turnstile *ts = turnstile_find(&lock);
	unsigned n = ts != NULL ? ts->ts_waiters : 0;

	spin_unlock(chain);
	return n;
}

static void
sleepers_wait(unsigned n)
{
	while (sleepers() != n)
		pause_a_bit();
}

/* ---- a storm ---- */

static void
read_once(void)
{
	unsigned n = atomic_add(&readers, 1) + 1;

	EXPECT(atomic_load_relaxed(&writers) == 0 && rw_held(&lock));
	if (n > atomic_load_relaxed(&most))
		atomic_store_relaxed(&most, n);
	if (krandom() % 32 == 0)
		pause_a_bit();
	else if (krandom() % 8 == 0)
		yield();
	atomic_sub(&readers, 1);
	atomic_add(&nreads, 1);
}

static void
write_once(void)
{
	EXPECT(atomic_add(&writers, 1) == 0 && atomic_load_relaxed(&readers) == 0);
	EXPECT(rw_write_held(&lock));
	if (krandom() % 8 == 0)
		yield();
	EXPECT(atomic_sub(&writers, 1) == 1);
	nwrites++;
}

static void
storm_worker(void *arg __unused)
{
	for (unsigned i = 0; i < 400; i++) {
		unsigned what = (unsigned)krandom() % 16;

		if (what == 0) {
			if (!rw_tryenter(&lock, RW_WRITE))
				continue;
			write_once();
		} else if (what == 1) {
			if (!rw_tryenter(&lock, RW_READ))
				continue;
			read_once();
		} else if (what < 6) {
			rw_enter(&lock, RW_WRITE);
			write_once();
			if (what == 5) {
				rw_downgrade(&lock);
				read_once();
			}
		} else {
			rw_enter(&lock, RW_READ);
			read_once();
			if (what == 15 && rw_tryupgrade(&lock))
				write_once();
		}
		rw_exit(&lock);
	}
	team_leave();
}

static int
ktest_rw_storm(void)
{
	team_begin();
	readers = writers = most = nreads = nwrites = 0;
	for (int i = 0; i < 8; i++)
		team_add(PRI_DEFAULT + i % 3, storm_worker, NULL);
	team_wait();
	kprintf("ktest: %u reads, up to %u at once, %u writes\n", nreads, most, nwrites);
	EXPECT(most >= 2 && nwrites > 100 && lock.rw_word == 0 && sleepers() == 0);
	return ktest_failed ? -EIO : 0;
}
KTEST(rw_storm, "rw-storm", ktest_rw_storm);

/* ---- who is let in ---- */

static unsigned order[8], norder;
static bool go;

static void
one_reader(void *arg)
{
	rw_enter(&lock, RW_READ);
	order[atomic_add(&norder, 1)] = (unsigned)(uintptr_t)arg;
	while (!atomic_load_relaxed(&go))
		pause_a_bit();
	rw_exit(&lock);
	team_leave();
}

static void
one_writer(void *arg)
{
	rw_enter(&lock, RW_WRITE);
	order[atomic_add(&norder, 1)] = (unsigned)(uintptr_t)arg;
	rw_exit(&lock);
	team_leave();
}

/*
 * A writer holds it; behind it wait reader, writer, reader, writer, reader. Its release lets all three readers in
 * at once; a fourth that comes then waits for the writers, of which the more urgent is first.
 */
static int
ktest_rw_order(void)
{
	team_begin();
	norder = 0;
	go = false;
	rw_enter(&lock, RW_WRITE);
	for (unsigned i = 0; i < 5; i++) {
		team_add(PRI_KERNEL_RT + (int)i, i % 2 == 0 ? one_reader : one_writer,
		    (void *)(uintptr_t)i);
		sleepers_wait(i + 1);
	}
	fsck();
	EXPECT(!rw_tryenter(&lock, RW_READ) && norder == 0);
	rw_exit(&lock);
	while (atomic_load_relaxed(&norder) != 3)
		pause_a_bit();
	EXPECT(sleepers() == 2 && lock.rw_word / RW_READER1 == 3);
	EXPECT(!rw_tryenter(&lock, RW_READ));
	team_add(PRI_KERNEL_RT + 10, one_reader, (void *)7);
	sleepers_wait(3);
	atomic_store_relaxed(&go, true);
	team_wait();
	for (unsigned i = 0; i < 3; i++)
		EXPECT(order[i] % 2 == 0);
	/* Each writer that releases lets in the reader that came late, then the next writer. */
	EXPECT(norder == 6 && order[3] == 3 && order[4] == 7 && order[5] == 1);
	EXPECT(lock.rw_word == 0);
	return ktest_failed ? -EIO : 0;
}
KTEST(rw_order, "rw-order", ktest_rw_order);

/* Readers that overlap for ever do not keep a writer out, nor writers a reader. */

static bool stop;

static void
endless(void *arg)
{
	enum rw_mode mode = arg != NULL ? RW_WRITE : RW_READ;

	while (!atomic_load_relaxed(&stop)) {
		rw_enter(&lock, mode);
		kpause("ktest", false, time_now() + MSEC / 8);
		rw_exit(&lock);
	}
	team_leave();
}

static int
ktest_rw_starve(void)
{
	for (int w = 0; w < 2; w++) {
		team_begin();
		stop = false;
		for (int i = 0; i < 4; i++)
			team_add(PRI_KERNEL_RT + 1, endless, (void *)(uintptr_t)w);
		for (int i = 0; i < 50; i++) {
			rw_enter(&lock, w != 0 ? RW_READ : RW_WRITE);
			rw_exit(&lock);
			if (i % 8 == 0)
				pause_a_bit();
		}
		atomic_store_relaxed(&stop, true);
		if (team_wait() != 0)
			return -EIO;
	}
	return 0;
}
KTEST(rw_starve, "rw-starve", ktest_rw_starve);

/* ---- priority ---- */

static int lent[2]; /* to the heirs, in order */
static unsigned nlent;

static void
low_writer(void *arg __unused)
{
	rw_enter(&lock, RW_WRITE);
	go = true;
	while (atomic_load_relaxed(&norder) == 0)
		pause_a_bit();
	rw_exit(&lock);
	EXPECT(curlwp()->l_inheritedprio == -1);
	team_leave();
}

static void
mid_writer(void *arg __unused)
{
	rw_enter(&lock, RW_WRITE);
	lent[nlent++] = curlwp()->l_inheritedprio;
	rw_exit(&lock);
	team_leave();
}

/* The owner is lent the priority of the first waiter; so is its heir, that of who is left. */
static int
ktest_rw_pi(void)
{
	struct lwp *owner;
	int pri = 0;

	team_begin();
	norder = 0;
	go = false;
	nlent = 0;
	team_add(PRI_USER + 10, low_writer, NULL);
	while (!atomic_load_relaxed(&go))
		pause_a_bit();
	owner = rw_owner(&lock);
	team_add(PRI_KERNEL_RT + 8, mid_writer, NULL);
	sleepers_wait(1);
	team_add(PRI_KERNEL_RT + 6, mid_writer, NULL);
	sleepers_wait(2);
	/* They are queued, and lend in a moment. */
	for (int tries = 0; pri != PRI_KERNEL_RT + 8 && tries < 2000; tries++) {
		pause_a_bit();
		lwp_lock(owner);
		pri = lwp_eprio(owner);
		lwp_unlock(owner);
	}
	EXPECT(pri == PRI_KERNEL_RT + 8);
	fsck();
	atomic_store_relaxed(&norder, 1);
	team_wait();
	EXPECT(nlent == 2 && lent[0] == PRI_KERNEL_RT + 6 && lent[1] == -1);
	return ktest_failed ? -EIO : 0;
}
KTEST(rw_pi, "rw-pi", ktest_rw_pi);

static int
ktest_rw_modes(void)
{
	team_begin();
	go = true;
	norder = 0;
	rw_enter(&lock, RW_READ);
	EXPECT(!rw_tryenter(&lock, RW_WRITE) && rw_tryupgrade(&lock) && rw_write_held(&lock));
	for (unsigned i = 0; i < 3; i++)
		team_add(PRI_KERNEL_RT, one_reader, (void *)(uintptr_t)i);
	sleepers_wait(3);
	rw_downgrade(&lock); /* lets them in beside us */
	while (atomic_load_relaxed(&norder) != 3)
		pause_a_bit();
	EXPECT(rw_held(&lock) && !rw_write_held(&lock));
	team_wait();
	EXPECT(lock.rw_word == RW_READER1);
	team_add(PRI_KERNEL_RT, one_writer, (void *)3);
	sleepers_wait(1);
	EXPECT(!rw_tryupgrade(&lock));
	rw_exit(&lock);
	team_wait();
	EXPECT(norder == 4 && lock.rw_word == 0);
	return ktest_failed ? -EIO : 0;
}
KTEST(rw_modes, "rw-modes", ktest_rw_modes);
