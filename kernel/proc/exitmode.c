/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exit with a reaper thread, and with batches: what other kernels do, to be compared with the direct exit.
 *
 * In both modes a dead LWP that nobody waits for goes, with its stack, on one list, oldest first (B44). From there
 *
 *	exit=reaper	one thread takes each as it comes, waits until it is off its CPU, and frees it. For the last LWP of
 *			a process it frees the address space, too, and only then shows the process to its parent.
 *	exit=batch	they stay, until somebody makes an LWP, a process waits for its own ones to be gone, there are
 *			STASH_WAKE, or the oldest has been there for STASH_NS. Who comes takes BATCH, and gives back their
 *			ids in one hold of proc_lock. The last LWP of a process stays with it, stack and all, for wait.
 *
 * A process cannot go away under the hands of who frees its LWPs: p_nreap counts those on the list and in hand, and its
 * last LWP, or the one that execs, waits until it is 0 (exitmode_settle()).
 *
 * Locking: the dead lock, a sleep queue's since threads sleep with it, covers the list and the counts. p_lock may be
 * held when it is taken.
 */
#include <kernel/exitmode.h>

#include <abi/errno.h>
#include <kernel/callout.h>
#include <kernel/failpoint.h>
#include <kernel/options.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define BATCH      16
#define STASH_WAKE 64
#define STASH_NS   ((nsec_t)100000000)

static const char *const mode_name[] = { "direct", "reaper", "batch" };

uint8_t exit_mode;

static struct list dead = LIST_INIT(dead); /* (d) l_free */
static uint32_t ndead;                     /* (d) on the list */
static uint32_t nreaping;                  /* (d) in hand */
static bool late;        /* (d) the oldest has waited for STASH_NS, or there are too many */
static bool timer_armed; /* (d) */
static struct callout stash_timer; /* armed under the dead lock */
static struct list idle_worker =
    LIST_INIT(idle_worker);                        /* (d) the thread sleeps here, for `dead` */
static struct list drainers = LIST_INIT(drainers); /* (d) who waits for `nreaping` to be 0 */

static int
set_mode(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_name); i++)
		if (strcmp(value, mode_name[i]) == 0) {
			exit_mode = (uint8_t)i;
			return 0;
		}
	return -EINVAL;
}
OPTION(exit, "direct, reaper, batch", set_mode);

static struct spinlock *
dead_lock(void)
{
	return sleepq_lock_of(&dead);
}

/* => dead lock held */
static void
wake_worker(void)
{
	late = true;
	sleepq_wake(&idle_worker, &dead, 1);
}

static void
stash_is_old(void *arg __unused)
{
	struct spinlock *lock = dead_lock();

	spin_lock(lock);
	timer_armed = false;
	if (ndead != 0)
		wake_worker();
	spin_unlock(lock);
}

void
exitmode_push(struct lwp *l)
{
	struct spinlock *lock = dead_lock();

	KASSERT(mutex_owned(&l->l_proc->p_lock) && l->l_stat == LS_ZOMB && exit_deferred());
	if (l->l_proc->p_stat < PS_DEAD)
		l->l_proc->p_nreap++;
	spin_lock(lock);
	list_insert_tail(&dead, &l->l_free);
	ndead++;
	if (exit_mode == EXIT_REAPER || ndead >= STASH_WAKE)
		wake_worker();
	else if (!timer_armed) {
		timer_armed = true;
		callout_arm(&stash_timer, time_now() + STASH_NS);
	}
	spin_unlock(lock);
}

/* ---- freeing ---- */

/* The last LWP of a process, and what the process still has. => no lock held */
static void
reap_process(struct lwp *l)
{
	struct proc *p = l->l_proc;
	struct vmspace *vm = p->p_vmspace;

	KASSERT(p->p_stat == PS_DEAD && exit_mode == EXIT_REAPER);
	lwp_wait_offcpu(l);
	lwp_free_stack(l);
	p->p_vmspace = &vmspace_kernel;
	if (l->l_cpu != curcpu())
		curcpu()->ci_xpages += vm_resident(vm);
	vmspace_unref(vm);
	fp(exit_after_dead);
	proc_announce(p);
}

/*
 * Frees what stands in batch[]: LWPs of one process one after the other are unlinked in one hold of its p_lock, and all
 * ids are given back in one hold of proc_lock.
 */
static void
reap_batch(struct lwp **batch, uint32_t n)
{
	struct {
		struct proc *p;
		uint32_t n;
	} group[BATCH];
	uint32_t ngroups = 0, i;

	for (i = 0; i < n; i++) {
		struct proc *p = batch[i]->l_proc;

		if (ngroups == 0 || group[ngroups - 1].p != p) {
			if (ngroups != 0)
				mutex_unlock(&group[ngroups - 1].p->p_lock);
			mutex_lock(&p->p_lock);
			group[ngroups].p = p;
			group[ngroups++].n = 0;
		}
		group[ngroups - 1].n++;
		lwp_unlink_dead(p, batch[i]);
	}
	mutex_unlock(&group[ngroups - 1].p->p_lock);
	fp(free_after_idl_before_id);
	mutex_lock(&proc_lock);
	for (i = 0; i < n; i++)
		lwp_free_id(batch[i]->l_proc, batch[i]);
	for (i = 0; i < ngroups; i++)
		if (group[i].p != &proc0)
			proc_uncharge(group[i].p, group[i].n);
	mutex_unlock(&proc_lock);
	for (i = 0; i < n; i++)
		lwp_free(batch[i]);
	for (i = 0; i < ngroups; i++) {
		struct proc *p = group[i].p;

		mutex_lock(&p->p_lock);
		KASSERTMSG(p->p_nreap >= group[i].n, "pid %d: %u", p->p_pid, p->p_nreap);
		p->p_nreap -= group[i].n;
		cv_broadcast(&p->p_lwpcv);
		mutex_unlock(&p->p_lock); /* from here on it may be gone */
	}
}

/* Takes the oldest off the list and frees them. False: there was none. */
static bool
reap(uint32_t most)
{
	struct spinlock *lock = dead_lock();
	struct lwp *batch[BATCH];
	uint32_t n = 0;

	KASSERT(most <= BATCH);
	spin_lock(lock);
	for (; n < most && !list_empty(&dead); n++) {
		batch[n] = list_first(&dead, struct lwp, l_free);
		list_remove(&batch[n]->l_free);
	}
	ndead -= n;
	nreaping += n;
	if (ndead == 0)
		late = false;
	spin_unlock(lock);
	if (n == 0)
		return false;
	if (batch[0]->l_proc->p_stat == PS_DEAD) {
		KASSERT(n == 1);
		reap_process(batch[0]);
	} else
		reap_batch(batch, n);
	spin_lock(lock);
	nreaping -= n;
	if (nreaping == 0 && ndead == 0)
		sleepq_wake(&drainers, &nreaping, ~0u);
	spin_unlock(lock);
	return true;
}

void
exitmode_reap(void)
{
	KASSERT(exit_mode == EXIT_BATCH);
	if (atomic_load_relaxed(&ndead) != 0)
		(void)reap(BATCH);
}

/* The reaper, or the one who looks after the stash. */
static void __noreturn
worker(void *arg __unused)
{
	struct spinlock *lock = dead_lock();

	for (;;) {
		spin_lock(lock);
		if (ndead == 0 || !late) {
			sleepq_enter(lock);
			sleepq_enqueue(&idle_worker, &dead, "dead", &syncobj_cv, false);
			(void)sleepq_block(NSEC_FOREVER, false);
			continue;
		}
		spin_unlock(lock);
		(void)reap(exit_mode == EXIT_REAPER ? 1 : BATCH);
	}
}

/* ---- waiting ---- */

/*
 * All of p's dead were on the list before its last live LWP could see that it is that: what is not there after our look is in
 * somebody's hand, who will broadcast.
 */
void
exitmode_settle(struct proc *p)
{
	KASSERT(mutex_owned(&p->p_lock));
	if (exit_mode == EXIT_BATCH && p->p_nreap != 0) {
		mutex_unlock(&p->p_lock);
		while (reap(BATCH))
			continue;
		mutex_lock(&p->p_lock);
	}
	while (p->p_nreap != 0)
		cv_wait(&p->p_lwpcv, &p->p_lock);
}

void
exitmode_drain(void)
{
	struct spinlock *lock = dead_lock();

	if (!exit_deferred())
		return;
	if (exit_mode == EXIT_BATCH)
		while (reap(BATCH))
			continue;
	for (;;) {
		spin_lock(lock);
		if (ndead == 0 && nreaping == 0)
			break;
		sleepq_enter(lock);
		sleepq_enqueue(&drainers, &nreaping, "drain", &syncobj_cv, false);
		(void)sleepq_block(NSEC_FOREVER, false);
	}
	spin_unlock(lock);
}

void
exitmode_init(void)
{
	int error = 0;

	kprintf("exit: %s\n", mode_name[exit_mode]);
	if (!exit_deferred())
		return;
	callout_init(&stash_timer, stash_is_old, NULL);
	error = kthread_create(
	    exit_mode == EXIT_REAPER ? "reaper" : "stash", PRI_KERNEL_RT, worker, NULL, NULL);
	if (error != 0)
		panic("exit=%s: no thread: error %d", mode_name[exit_mode], error);
}
