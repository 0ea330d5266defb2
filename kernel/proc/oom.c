/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of memory. When a fault of user mode finds none, the process that holds most is killed, which
 * need not be the one that faults: its resident pages and the memory of its regions count. Init is
 * spared as long as there is another.
 *
 * A victim needs time to die. Until it has, for at most VICTIM_NS, nobody else is chosen; those who fault
 * sleep for a moment and try again. So it takes one victim at a time, and a bounded time until there is
 * memory again or the last process is gone.
 *
 * Locking: proc_lock, and p_lock of the process that is looked at. An address space is not dropped while
 * p_lock is held and p_singlemode is not SINGLE_EXIT: exit and exec pass through that first.
 */
#include <kernel/process.h>

#include <abi/time.h>
#include <kernel/callout.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/upcall.h>
#include <kernel/vm.h>

#define VICTIM_NS ((nsec_t)2 * NSEC_PER_SEC)
#define PAUSE_NS  (NSEC_PER_SEC / 100)

static nsec_t next_victim; /* under proc_lock: not before, if one is still dying */

/* Will it give its memory back soon? => p_lock held */
static bool
is_dying(const struct proc *p)
{
	return p->p_singlemode == SINGLE_EXIT || (p->p_flag & (PK_KILLED | PK_EXITING)) != 0 ||
	    (p->p_sigpend.sp_set & SIGBIT(SIGKILL)) != 0;
}

/* => p_lock held, p not dying */
static size_t
pages_held(const struct proc *p)
{
	const struct vmspace *vm = p->p_vmspace;
	size_t regions = vm->vm_regions.rs_count * sizeof(struct vm_region);

	return vm_resident(vm) + (regions >> PAGE_SHIFT);
}

/* The largest process, or NULL; *dying: one is on its way out. => proc_lock held */
static struct proc *
choose(bool *dying)
{
	struct proc *best = NULL, *p;
	size_t most = 0;

	*dying = false;
	list_foreach (p, &allproc, p_list) {
		size_t pages = 0;

		if ((p->p_flag & PK_SYSTEM) != 0)
			continue;
		mutex_lock(&p->p_lock);
		if (is_dying(p))
			*dying |= p->p_vmspace != &vmspace_kernel;
		else if (p->p_stat == PS_ACTIVE || p->p_stat == PS_STOP)
			pages = pages_held(p) + 1;
		mutex_unlock(&p->p_lock);
		if (pages != 0 &&
		    (best == NULL || best == initproc || (p != initproc && pages > most))) {
			best = p;
			most = pages;
		}
	}
	return best;
}

static void
kill_largest(void)
{
	bool dying;
	struct proc *p = choose(&dying);
	nsec_t now = time_now();

	if (p == NULL || (dying && (now < next_victim || p == initproc)))
		return;
	next_victim = now + VICTIM_NS;
	mutex_lock(&p->p_lock);
	kprintf("out of memory: pid %d (%s) with %zu pages is killed\n", p->p_pid, p->p_comm,
	    is_dying(p) ? (size_t)0 : pages_held(p));
	sig_post_proc(p, SIGKILL, NULL);
	mutex_unlock(&p->p_lock);
}

void
oom_fault(void)
{
	mutex_lock(&proc_lock);
	if (!user_alloc_ok(PAGE_SIZE))
		kill_largest();
	mutex_unlock(&proc_lock);
	/* A signal, the kill among them, ends the pause. */
	(void)kpause("oom", true, time_now() + PAUSE_NS);
}
