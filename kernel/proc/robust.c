/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread owes to others when it leaves its address space: robust locks and the word of set_tid_address.
 *
 * The list of robust locks lies in user memory and may hold anything: each access may fail, which ends the walk,
 * and the number of entries is bounded. A lock that names the leaving LWP as its owner is marked; who waits for
 * it is woken and finds the mark. A lock with priority inheritance is only marked here; pifutex_exit() gives it to
 * a waiter, whether it was on the list or not. Works by the LWP's id, so exec calls it before the id changes.
 */
#include <kernel/futex.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/lwpctl.h>
#include <kernel/panic.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/vm.h>

/*
 * Marks the lock at `addr` if `lid` owns it. `pending`: the owner was just locking or unlocking; a free
 * word then may be an unlock whose wake is still owed.
 * => false: bad address
 */
static bool
owner_died(uintptr_t addr, lwpid_t lid, bool pi, bool pending)
{
	uint32_t word, seen, new;

	if (addr % sizeof(uint32_t) != 0 || arch_ufetch_32(addr, &word) != 0)
		return false;
	for (;;) {
		if (pending && !pi && (word & FUTEX_TID_MASK) == 0) {
			futex_wake_addr(addr, 1);
			return true;
		}
		if ((word & FUTEX_TID_MASK) != (uint32_t)lid)
			return true;
		new = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
		if (arch_ucas_32(addr, word, new, &seen) != 0)
			return false;
		if (seen == word)
			break;
		word = seen;
	}
	if (!pi && (word & FUTEX_WAITERS))
		futex_wake_addr(addr, 1);
	return true;
}

static void
release_robust(uintptr_t head, lwpid_t lid)
{
	struct robust_list_head h;
	uint64_t entry, next, pending;
	bool ok;

	if (arch_copyin(&h, head, sizeof(h)) != 0)
		return;
	pending = h.rl_pending & ~(uint64_t)ROBUST_PI;
	entry = h.rl_next;
	for (int left = ROBUST_LIST_LIMIT; left > 0 && (entry & ~(uint64_t)ROBUST_PI) != head;
	     left--) {
		uint64_t e = entry & ~(uint64_t)ROBUST_PI;

		/* The next one first: once the lock is marked, the entry's memory is its next owner's. */
		ok = arch_ufetch_64(e, &next) == 0;
		if (e != pending &&
		    !owner_died(e + (uint64_t)h.rl_offset, lid, entry & ROBUST_PI, false))
			return;
		if (!ok)
			break;
		entry = next;
	}
	if (pending != 0)
		owner_died(pending + (uint64_t)h.rl_offset, lid, h.rl_pending & ROBUST_PI, true);
}

void
lwp_release_user_state(struct lwp *l)
{
	struct proc *p = l->l_proc;
	uintptr_t head = l->l_robust_head, tidptr = l->l_clear_tid;

	KASSERT(l == curlwp());
	l->l_robust_head = 0;
	l->l_clear_tid = 0;
	if (head != 0)
		release_robust(head, l->l_lid);
	pifutex_exit();
	/* As in Linux, only if somebody is left to look. The counts can only be too high, when others leave too. */
	if (tidptr != 0 &&
	    (atomic_load_relaxed(&p->p_nlwps) > 1 ||
		atomic_load_relaxed(&p->p_vmspace->vm_refs) > 1) &&
	    arch_ustore_32(tidptr, 0) == 0)
		futex_wake_addr(tidptr, 1);
	lwpctl_release(p->p_vmspace);
}
