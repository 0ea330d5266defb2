/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wrong uses of locks, each of which must end in the panic of lockdebug that names it.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/cv.h>
#include <kernel/debug.h>
#include <kernel/kmem.h>
#include <kernel/lockdebug.h>
#include <kernel/mutex.h>
#include <kernel/process.h>
#include <kernel/rwlock.h>
#include <kernel/sched.h>

#define PATIENCE ((nsec_t)20000000000)

/* A try-lock of a low rank hides the higher one from the check of ranks. */
static struct spinlock s_low = SPINLOCK_INIT("s-low", RANK_SLEEPQ),
		       s_mid = SPINLOCK_INIT("s-mid", RANK_RUNQ),
		       s_high = SPINLOCK_INIT("s-high", RANK_SPIN_LEAF);
static struct mutex m_low = MUTEX_INIT("m-low", RANK_FILE), m_mid = MUTEX_INIT("m-mid", RANK_INODE),
		    m_high = MUTEX_INIT("m-high", RANK_PROC);
static struct rwlock r_mid = RWLOCK_INIT("r-mid", RANK_INODE);

static int
order_spin(void)
{
	spin_lock(&s_mid);
	spin_lock(&s_high);
	spin_unlock(&s_high);
	spin_unlock(&s_mid);

	spin_lock(&s_high);
	if (!spin_trylock(&s_low))
		return -EBUSY;
	spin_lock(&s_mid);
	return -EIO;
}
KTEST(order_spin, "lockdebug-order-spin", order_spin);

static int
order_mutex(void)
{
	mutex_lock(&m_mid);
	mutex_lock(&m_high);
	mutex_unlock(&m_high);
	mutex_unlock(&m_mid);

	mutex_lock(&m_high);
	if (!mutex_trylock(&m_low))
		return -EBUSY;
	mutex_lock(&m_mid);
	return -EIO;
}
KTEST(order_mutex, "lockdebug-order-mutex", order_mutex);

static int
order_rw(void)
{
	rw_enter(&r_mid, RW_READ);
	mutex_lock(&m_high);
	mutex_unlock(&m_high);
	rw_exit(&r_mid);

	mutex_lock(&m_high);
	if (!mutex_trylock(&m_low))
		return -EBUSY;
	rw_enter(&r_mid, RW_READ);
	return -EIO;
}
KTEST(order_rw, "lockdebug-order-rw", order_rw);

static uint32_t here; /* (a) */

static int
meet(void)
{
	nsec_t end = arch_time_ns() + PATIENCE;

	(void)atomic_add(&here, 1);
	while (atomic_load_acquire(&here) < 2) {
		if (arch_time_ns() > end)
			return -ETIMEDOUT;
		arch_cpu_relax();
	}
	return 0;
}

static void
spin_mid_high(void *arg __unused)
{
	spin_lock(&s_mid);
	if (meet() == 0)
		spin_lock(&s_high);
	panic("no deadlock");
}

/* Two CPUs that wait for each other. */
static int
circle_spin(void)
{
	int error = kthread_create("circle", PRI_KERNEL_RT, spin_mid_high, NULL, NULL);

	if (error != 0)
		return error;
	lockdebug_learning = false;
	spin_lock(&s_high);
	if (!spin_trylock(&s_low))
		return -EBUSY;
	if (meet() == 0)
		spin_lock(&s_mid);
	panic("no deadlock");
}
KTEST(circle_spin, "lockdebug-circle-spin", circle_spin);

static void
sleep_until(uint32_t n)
{
	while (atomic_load_acquire(&here) < n)
		(void)kpause("circle", false, arch_time_ns() + 1000000);
}

/* meet() for who holds no spin lock. */
static void
meet_asleep(void)
{
	(void)atomic_add(&here, 1);
	sleep_until(2);
}

static void
mutex_mid_high(void *arg __unused)
{
	mutex_lock(&m_mid);
	meet_asleep();
	mutex_lock(&m_high);
	panic("no deadlock");
}

static int
circle_mutex(void)
{
	int error = kthread_create("circle", PRI_KERNEL_RT, mutex_mid_high, NULL, NULL);

	if (error != 0)
		return error;
	lockdebug_learning = false;
	mutex_lock(&m_high);
	if (!mutex_trylock(&m_low))
		return -EBUSY;
	meet_asleep();
	mutex_lock(&m_mid);
	panic("no deadlock");
}
KTEST(circle_mutex, "lockdebug-circle-mutex", circle_mutex);

static void
rw_mid_high(void *arg __unused)
{
	rw_enter(&r_mid, RW_WRITE);
	meet_asleep();
	mutex_lock(&m_high);
	panic("no deadlock");
}

/* Through the writer of a rwlock. */
static int
circle_rw(void)
{
	int error = kthread_create("circle", PRI_KERNEL_RT, rw_mid_high, NULL, NULL);

	if (error != 0)
		return error;
	lockdebug_learning = false;
	mutex_lock(&m_high);
	if (!mutex_trylock(&m_low))
		return -EBUSY;
	sleep_until(1);
	(void)atomic_add(&here, 1);
	rw_enter(&r_mid, RW_READ);
	panic("no deadlock");
}
KTEST(circle_rw, "lockdebug-circle-rw", circle_rw);

static void
stuck_holder(void *arg __unused)
{
	mutex_lock(&m_low);
	atomic_store_release(&here, 1);
	for (;;)
		(void)kpause("stuck", false, NSEC_FOREVER);
}

/* No circle, and yet it never ends: what tools/explore tells of it. */
static int
stuck(void)
{
	int error = kthread_create("stuck", PRI_KERNEL_RT, stuck_holder, NULL, NULL);

	if (error != 0)
		return error;
	sleep_until(1);
	mutex_lock(&m_low);
	return -EIO;
}
KTEST(stuck, "lockdebug-stuck", stuck);

static int
hold(void)
{
	nsec_t end;
	uint64_t hz, base;

	arch_cycles_scale(&hz, &base);
	spin_lock(&s_high);
	lockdebug_hold = hz / 200;
	s_high.sl_since = arch_cycles();
	end = arch_time_ns() + 20000000;
	while (arch_time_ns() < end)
		arch_cpu_relax();
	spin_unlock(&s_high);
	return -EIO;
}
KTEST(hold, "lockdebug-hold", hold);

static int
leak_mutex(void)
{
	mutex_lock(&m_low);
	return 0;
}
KTEST(leak_mutex, "lockdebug-leak-mutex", leak_mutex);

static int
leak_rw(void)
{
	rw_enter(&r_mid, RW_READ);
	return 0;
}
KTEST(leak_rw, "lockdebug-leak-rw", leak_rw);

static int
leak_spin(void)
{
	spin_lock(&s_high);
	return 0;
}
KTEST(leak_spin, "lockdebug-leak-spin", leak_spin);

static int
leak_exit(void)
{
	mutex_lock(&m_low);
	lwp_exit(0);
}
KTEST(leak_exit, "lockdebug-leak-exit", leak_exit);

struct thing {
	char t_other[40];
	struct mutex t_lock;
	struct spinlock t_spin;
	struct rwlock t_rw;
};

static int
free_mutex(void)
{
	struct thing *t = kmem_alloc(sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	mutex_init(&t->t_lock, "thing", RANK_FILE);
	mutex_lock(&t->t_lock);
	kmem_free(t, sizeof(*t));
	return -EIO;
}
KTEST(free_mutex, "lockdebug-free-mutex", free_mutex);

static int
free_rw(void)
{
	struct thing *t = kmem_alloc(sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	rw_init(&t->t_rw, "thing", RANK_FILE);
	rw_enter(&t->t_rw, RW_WRITE);
	kmem_free(t, sizeof(*t));
	return -EIO;
}
KTEST(free_rw, "lockdebug-free-rw", free_rw);

static int
free_spin(void)
{
	struct thing *t = kmem_alloc(sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	spin_init(&t->t_spin, "thing", RANK_SLEEPQ);
	spin_lock(&t->t_spin);
	kmem_free(t, sizeof(*t));
	return -EIO;
}
KTEST(free_spin, "lockdebug-free-spin", free_spin);
