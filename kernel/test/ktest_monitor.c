/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Situations for the monitor to be asked about, tools/test_monitor.py: a chain of waits, which ends when the
 * monitor is left, and a deadlock, which does not; broken pointers to be followed.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/debug.h>
#include <kernel/monitor.h>
#include <kernel/mutex.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/trace.h>

#define MSEC  ((nsec_t)1000000)
#define LINKS 3

static struct mutex link_lock[LINKS] = { MUTEX_INIT("link0", RANK_FILE),
	MUTEX_INIT("link1", RANK_INODE), MUTEX_INIT("link2", RANK_FDTABLE) };
static unsigned asleep, left; /* (a) */
static bool go;               /* (a) */
static struct lwp *newest;    /* that start() has made */

/* Link i holds lock i and waits for lock i + 1; the last one sleeps until told. */
static void
chain_link(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	mutex_lock(&link_lock[i]);
	atomic_add(&asleep, 1);
	if (i == LINKS - 1) {
		while (!atomic_load_relaxed(&go))
			kpause("lastlink", false, time_now() + 500 * MSEC);
	} else {
		mutex_lock(&link_lock[i + 1]);
		mutex_unlock(&link_lock[i + 1]);
	}
	mutex_unlock(&link_lock[i]);
	atomic_add(&left, 1);
	kthread_exit();
}

static void
wait_for(unsigned *counter, unsigned n)
{
	while (atomic_load_relaxed(counter) != n)
		kpause("ktest", false, time_now() + MSEC);
}

static int
start(const char *name, void (*fn)(void *), void *arg, unsigned n)
{
	struct lwp *l;
	int error = kthread_create(name, PRI_DEFAULT, fn, arg, &l);

	if (error == 0) {
		wait_for(&asleep, n);
		kprintf("ktest: %s is lid %d\n", name, l->l_lid);
		newest = l;
	}
	return error;
}

static int
monitor_chain(void)
{
	static const char *const names[] = { "chain0", "chain1", "chain2" };
	int error;

	asleep = left = 0;
	go = false;
	for (unsigned i = LINKS; i-- > 0;)
		if ((error = start(names[i], chain_link, (void *)(uintptr_t)i, LINKS - i)) != 0)
			return error;
	kpause("ktest", false, time_now() + 20 * MSEC); /* until all sleep for good */
	monitor_enter("chain");
	atomic_store_relaxed(&go, true);
	wait_for(&left, LINKS);
	return 0;
}
KTEST(monitor_chain, "monitor-chain", monitor_chain);

static void
lock_forward(void *arg __unused)
{
	mutex_lock(&link_lock[0]);
	atomic_add(&asleep, 1);
	wait_for(&asleep, 3);
	mutex_lock(&link_lock[1]);
	panic("a deadlock was survived");
}

static void
lock_backward(void *arg __unused)
{
	mutex_lock(&link_lock[1]);
	atomic_add(&asleep, 1);
	mutex_lock_slow(&link_lock[0]); /* without the check of the order */
	panic("a deadlock was survived");
}

static int
monitor_cycle(void)
{
	int error;

	asleep = 0;
	if ((error = start("forward", lock_forward, NULL, 1)) != 0 ||
	    (error = start("backward", lock_backward, NULL, 2)) != 0)
		return error;
	/* Who closes the circle must not find the other one on its way into it: the kernel would see what they do. */
	while (atomic_load_relaxed(&newest->l_wchan) != &link_lock[0])
		kpause("ktest", false, time_now() + MSEC);
	atomic_add(&asleep, 1);
	kpause("ktest", false, time_now() + 20 * MSEC);
	monitor_enter("cycle");
	return 0;
}
KTEST(monitor_cycle, "monitor-cycle", monitor_cycle);

/*
 * An LWP that names a process which is not there, a run queue that leads into nothing, and an event that this
 * CPU has reserved and never writes.
 */
static int
monitor_broken(void)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	bool on = arch_intr_disable();
	/* Our own: fsck leaves out another CPU's when that was stopped with interrupts off. */
	struct list *queue = &arch_curcpu()->ci_spc->spc_queue[1], was = *queue;

	l->l_proc = (struct proc *)0xdeadbeef00000000;
	queue->next = (struct list *)0xffff900000000000;
	if (trace_classes() != 0)
		atomic_add(&trace_rings[arch_curcpu()->ci_index].tr_head, 1);
	monitor_enter("broken");
	*queue = was;
	l->l_proc = p;
	arch_intr_restore(on);
	return 0;
}
KTEST(monitor_broken, "monitor-broken", monitor_broken);
