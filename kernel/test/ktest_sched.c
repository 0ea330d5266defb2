/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of class reaches an LWP that sleeps for a mutex, the owner of that mutex, and whom the owner waits for:
 * up and down again. A preemption that comes for who is about to sleep is not lost if he does not.
 */
#include <kernel/mutex.h>

#include <abi/errno.h>
#include <abi/sched.h>
#include <kernel/callout.h>
#include <kernel/cv.h>
#include <kernel/debug.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>

#define MSEC ((nsec_t)1000000)

static struct mutex lock[2] = { MUTEX_INIT("class outer", RANK_FILE),
	MUTEX_INIT("class inner", RANK_INODE) };
static struct lwp *who[4]; /* owner of both ends, middle, two waiters */
static bool go, failed;

#define EXPECT(e) \
	do { \
		if (!(e)) { \
			kprintf("ktest: %s:%d: %s\n", __FILE__, __LINE__, #e); \
			failed = true; \
		} \
	} while (0)

static void __noreturn
leave(void)
{
	EXPECT(curlwp()->l_inheritedprio == -1);
	kthread_exit();
}

static void
owner(void *arg __unused)
{
	mutex_lock(&lock[1]);
	while (!atomic_load_relaxed(&go))
		kpause("class", false, time_now() + MSEC);
	mutex_unlock(&lock[1]);
	leave();
}

static void
middle(void *arg __unused)
{
	mutex_lock(&lock[0]);
	mutex_lock(&lock[1]);
	mutex_unlock(&lock[1]);
	mutex_unlock(&lock[0]);
	leave();
}

static void
waiter(void *arg __unused)
{
	mutex_lock(&lock[0]);
	mutex_unlock(&lock[0]);
	leave();
}

/* Starts the thread `i`, and waits until it owns or waits for what it is to. */
static bool
start(unsigned i, void (*fn)(void *), const struct mutex *waits)
{
	if (kthread_create("class", PRI_USER + 10 + 10 * (int)i, fn, NULL, &who[i]) != 0)
		return false;
	for (;;) {
		bool there;

		lwp_lock(who[i]);
		there = waits != NULL ? who[i]->l_wchan == waits : mutex_owner(&lock[1]) == who[i];
		lwp_unlock(who[i]);
		if (there)
			return true;
		kpause("class", false, time_now() + MSEC);
	}
}

static void
set(unsigned i, uint8_t policy, uint8_t rtprio)
{
	const struct sched_class sc = { .sc_policy = policy, .sc_rtprio = rtprio };

	mutex_lock(&proc0.p_lock);
	sched_setclass(who[i], &sc);
	mutex_unlock(&proc0.p_lock);
}

/* The first waiter, and what the middle and the owner have. Real-time priority `rtprio` for both. */
static bool
lent(unsigned first, int rtprio)
{
	bool good = true;

	for (unsigned i = 0; i < 2; i++) {
		lwp_lock(who[i]);
		good &= lwp_eprio(who[i]) == PRI_USER_RT + rtprio - 1;
		lwp_unlock(who[i]);
	}
	lwp_lock(who[first]);
	good &= list_first(who[first]->l_sleepq, struct lwp, l_sleepchain) == who[first];
	lwp_unlock(who[first]);
	fsck();
	return good;
}

static int
ktest_class_change(void)
{
	uint32_t alive;

	failed = go = false;
	mutex_lock(&proc0.p_lock);
	alive = proc0.p_nlive;
	mutex_unlock(&proc0.p_lock);
	if (!start(0, owner, NULL) || !start(1, middle, &lock[1]) || !start(2, waiter, &lock[0]) ||
	    !start(3, waiter, &lock[0])) {
		atomic_store_relaxed(&go, true);
		return -ENOMEM;
	}
	set(3, SCHED_FIFO, 50);
	EXPECT(lent(3, 50)); /* it came last */
	set(2, SCHED_RR, 60);
	EXPECT(lent(2, 60));
	set(2, SCHED_FIFO, 40);
	EXPECT(lent(3, 50));
	set(3, SCHED_FIFO, 10);
	EXPECT(lent(2, 40));
	set(1, SCHED_RR, 70);
	EXPECT(lent(2, 70));
	set(1, SCHED_OTHER, 0);
	EXPECT(lent(2, 40));
	set(2, SCHED_OTHER, 0);
	EXPECT(lent(3, 10));
	set(3, SCHED_BATCH, 0);
	for (unsigned i = 0; i < 2; i++) {
		lwp_lock(who[i]);
		EXPECT(lwp_eprio(who[i]) < PRI_USER_RT);
		lwp_unlock(who[i]);
	}
	fsck();
	atomic_store_relaxed(&go, true);
	mutex_lock(&proc0.p_lock);
	while (proc0.p_nlive != alive) {
		mutex_unlock(&proc0.p_lock);
		kpause("class", false, time_now() + MSEC);
		mutex_lock(&proc0.p_lock);
	}
	mutex_unlock(&proc0.p_lock);
	return failed ? -EIO : 0;
}
KTEST(class_change, "class-change", ktest_class_change);

/* ---- preemption of one that is about to sleep ---- */

static struct mutex urgent_lock = MUTEX_INIT("urgent", RANK_FILE);
static struct condvar urgent_cv = CV_INIT(urgent_cv, "urgent");
static bool ran;

static void
urgent(void *arg __unused)
{
	mutex_lock(&urgent_lock);
	cv_wait(&urgent_cv, &urgent_lock);
	atomic_store_relaxed(&ran, true);
	mutex_unlock(&urgent_lock);
	kthread_exit();
}

static int
ktest_preempt_woken(void)
{
	struct lwp *l = curlwp();
	struct spinlock *chain;
	struct list queue;

	if (ncpu > 1)
		return 0; /* another CPU would run it */
	failed = ran = false;
	if (kthread_create("urgent", PRI_KERNEL_RT, urgent, NULL, NULL) != 0)
		return -ENOMEM;
	while (!cv_has_waiters(&urgent_cv))
		kpause("urgent", false, time_now() + MSEC);
	list_init(&queue);
	chain = sleepq_lock_of(&queue);
	spin_lock(chain);
	sleepq_enter(chain);
	sleepq_enqueue(&queue, &queue, "ktest", &syncobj_cv, false);
	spin_unlock(chain); /* as who lends his priority must */
	cv_signal(&urgent_cv);
	EXPECT(!ran);
	spin_lock(chain);
	sleepq_unsleep(l);
	lwp_lock(l);
	EXPECT(sleepq_block(NSEC_FOREVER, false) == 0);
	EXPECT(atomic_load_relaxed(&ran));
	while (!atomic_load_relaxed(&ran))
		kpause("urgent", false, time_now() + MSEC);
	return failed ? -EIO : 0;
}
KTEST(preempt_woken, "preempt-woken", ktest_preempt_woken);
