/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page faults.
 *
 * The first touch of anonymous memory, where the CPU found no page, goes first and fast: with vm_lock for reading, see
 * vmspace.c. If another thread was faster, its page stays, and the long way looks whether that is enough.
 *
 * All else happens with vm_lock for writing, so a fault that finds its page present has lost a race (or the CPU
 * had a stale TLB entry) and is done. What it finds else:
 *
 *	present, write to a read-only entry   shared: allow. Sole owner: allow. Else copy.
 *	absent, no object                     a zeroed page
 *	absent, object, shared or read        the object's page; read-only when private
 *	absent, object, private write         a copy of the object's page
 *
 * A file's pages are always resident: a read fault enters those around it too, a fraction of the cost
 * of a fault each.
 *
 * A fault below a region that grows down extends it, within RLIMIT_STACK and away from what is below.
 *
 * Out of memory: a user's pages, page tables and regions are refused while the reserve of the page
 * allocator is still there. A fault from user mode then ends the largest process and is tried again
 * (kernel/proc/oom.c); a user copy in the kernel, which may hold locks, fails with -EFAULT.
 */
#include <kernel/vm.h>

#include <abi/errno.h>
#include <abi/signal.h>
#include <kernel/explore.h>
#include <kernel/failpoint.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/proc.h>
#include <kernel/string.h>
#include <kernel/upcall.h>

#include "vm_internal.h"

#define AROUND_PAGES 16 /* a power of two */

static inline bool
allows(int prot, int access)
{
	return access == PROT_R ? prot != 0 : (prot & access) == access;
}

static struct vm_region *
grow_stack(struct vmspace *vm, vaddr_t va)
{
	struct vm_region *r = vm_region_first(&vm->vm_regions, va), *prev;

	va = trunc_page(va);
	if (r == NULL || (r->vr_flags & VR_GROWSDOWN) == 0 || va < VM_MIN_ADDRESS)
		return NULL;
	KASSERT(va < r->vr_start);
	if (r->vr_end - va > vm_rlimit(VM_RLIMIT_STACK) || !vm_may_grow(vm, r->vr_start - va))
		return NULL;
	prev = vm_region_prev(r);
	if (prev != NULL && prev->vr_prot != 0 && (prev->vr_flags & VR_GROWSDOWN) == 0 &&
	    va - prev->vr_end < VM_STACK_GAP)
		return NULL;
	vm_region_grow_down(&vm->vm_regions, r, va);
	vm_region_coalesce(&vm->vm_regions, va, va);
	return vm_region_lookup(&vm->vm_regions, va);
}

static void
note_resident(struct vmspace *vm)
{
	size_t now = vm_resident(vm);

	if (now > vm->vm_maxpages)
		atomic_store_relaxed(&vm->vm_maxpages, now);
}

/*
 * Enters a page that the caller holds a reference to; it passes to the entry, or is dropped on failure.
 * `prot` is vm_hwprot()'s.
 */
static int
enter(struct vmspace *vm, vaddr_t va, struct page *pg, int prot)
{
	int error = pmap_enter(vm->vm_pmap, va, page_to_phys(pg), prot);

	if (unlikely(error != 0))
		page_unref(pg);
	else
		note_resident(vm);
	return error;
}

/* Write to a present read-only page. */
static int
fault_write(struct vmspace *vm, const struct vm_region *r, vaddr_t va, paddr_t pa)
{
	struct page *old = phys_to_page(pa), *pg;
	int error;

	if ((r->vr_flags & VR_SHARED) != 0 || page_refs(old) == 1)
		return pmap_enter(vm->vm_pmap, va, pa, vm_hwprot(r->vr_prot));
	pg = vm_page_alloc(false, PG_ANON);
	if (pg == NULL)
		return -ENOMEM;
	arch_copy_page(page_to_virt(pg), page_to_virt(old));
	error = enter(vm, va, pg, vm_hwprot(r->vr_prot));
	if (error == 0)
		page_unref(old); /* no TLB has it any more */
	return error;
}

/* Enters resident pages of the file around `va`, which has just been entered; a failure does no harm. */
static void
fault_around(struct vmspace *vm, const struct vm_region *r, vaddr_t va, int prot)
{
	vaddr_t start = va & ~(AROUND_PAGES * PAGE_SIZE - 1),
		end = start + AROUND_PAGES * PAGE_SIZE;

	start = max(start, r->vr_start);
	end = min(end, r->vr_end);
	for (vaddr_t at = start; at < end; at += PAGE_SIZE) {
		struct page *pg =
		    vmobj_peek(r->vr_obj, (r->vr_off + (at - r->vr_start)) >> PAGE_SHIFT);
		paddr_t pa;
		int other;

		if (pg == NULL)
			return; /* not a file, or behind its end */
		if (at == va || pmap_extract(vm->vm_pmap, at, &pa, &other))
			continue;
		page_ref(pg);
		if (enter(vm, at, pg, prot) != 0)
			return;
	}
}

/* First touch of a page of an object. */
static int
fault_object(struct vmspace *vm, const struct vm_region *r, vaddr_t va, int access)
{
	int prot = vm_hwprot(r->vr_prot), error;
	struct page *pg, *copy;

	error = vmobj_getpage(r->vr_obj, (r->vr_off + (va - r->vr_start)) >> PAGE_SHIFT, &pg);
	if (error != 0)
		return error;
	if ((r->vr_flags & VR_SHARED) == 0) {
		if (access == PROT_W) {
			copy = vm_page_alloc(false, PG_ANON);
			if (copy != NULL)
				arch_copy_page(page_to_virt(copy), page_to_virt(pg));
			page_unref(pg);
			if (copy == NULL)
				return -ENOMEM;
			pg = copy;
		} else
			prot &= ~PROT_W;
	}
	error = enter(vm, va, pg, prot);
	if (error != 0)
		return error;
	if (access != PROT_W)
		fault_around(vm, r, va, prot);
	return 0;
}

int
vm_fault_locked(struct vmspace *vm, vaddr_t va, int access)
{
	struct vm_region *r = vm_region_lookup(&vm->vm_regions, va);
	struct page *pg;
	paddr_t pa;
	int prot;

	KASSERT(rw_write_held(&vm->vm_lock));
	KASSERT(access == PROT_R || access == PROT_W || access == PROT_X);
	if (unlikely(r == NULL)) {
		r = grow_stack(vm, va);
		if (r == NULL)
			return -EFAULT;
	}
	if (unlikely(!allows(r->vr_prot, access)))
		return -EACCES;
	va = trunc_page(va);
	if (pmap_extract(vm->vm_pmap, va, &pa, &prot)) {
		if (allows(prot, access))
			return 0;
		KASSERTMSG(access == PROT_W, "vmspace %p va %#lx: entry %d, region %d", (void *)vm,
		    va, prot, r->vr_prot);
		return fault_write(vm, r, va, pa);
	}
	if (r->vr_obj != NULL)
		return fault_object(vm, r, va, access);
	pg = vm_page_alloc(true, PG_ANON);
	if (unlikely(pg == NULL))
		return -ENOMEM;
	return enter(vm, va, pg, vm_hwprot(r->vr_prot));
}

/* A page of zeros where none is; -EAGAIN: not as simple as that. => vm_lock held for reading */
static inline int
first_touch(struct vmspace *vm, vaddr_t va, int access)
{
	struct vm_region *r = vm_region_lookup(&vm->vm_regions, va);
	struct page *pg;
	int error;

	if (unlikely(r == NULL || r->vr_obj != NULL || !allows(r->vr_prot, access)))
		return -EAGAIN;
	pg = vm_page_alloc(true, PG_ANON);
	if (unlikely(pg == NULL))
		return -EAGAIN; /* another thread's page may be there by now */
	fp(fault_page_not_entered);
	mutex_lock(&vm->vm_ptlock);
	error =
	    pmap_enter_new(vm->vm_pmap, trunc_page(va), page_to_phys(pg), vm_hwprot(r->vr_prot));
	if (likely(error == 0))
		note_resident(vm);
	mutex_unlock(&vm->vm_ptlock);
	if (unlikely(error != 0)) {
		page_unref(pg);
		return error == -EEXIST ? -EAGAIN : error;
	}
	return 0;
}

int
vm_fault(struct vmspace *vm, vaddr_t va, int access)
{
	int error;

	if (unlikely(va >= USER_END || vm == &vmspace_kernel))
		return -EFAULT;
	if ((access & FAULT_PRESENT) == 0) {
		rw_enter(&vm->vm_lock, RW_READ);
		error = first_touch(vm, va, access);
		rw_exit(&vm->vm_lock);
		if (likely(error != -EAGAIN))
			return error;
	}
	access &= ~FAULT_PRESENT;
	rw_enter(&vm->vm_lock, RW_WRITE);
	error = vm_fault_locked(vm, va, access);
	rw_exit(&vm->vm_lock);
	return error;
}

int
vm_populate(struct vmspace *vm, vaddr_t va, size_t size)
{
	vaddr_t end = va + size;
	int error = 0;

	for (; va < end && error == 0 && !lwp_killed(arch_curlwp()); va += PAGE_SIZE) {
		struct vm_region *r;

		rw_enter(&vm->vm_lock, RW_WRITE);
		r = vm_region_lookup(&vm->vm_regions, va);
		if (r == NULL || r->vr_prot == 0)
			error = -EFAULT;
		else
			error =
			    vm_fault_locked(vm, va, (r->vr_prot & PROT_W) != 0 ? PROT_W : PROT_R);
		rw_exit(&vm->vm_lock);
	}
	return error;
}

int
vm_write(struct vmspace *vm, vaddr_t va, const void *src, size_t size)
{
	int error = 0, prot;
	paddr_t pa;

	if (va >= USER_END || size > USER_END - va)
		return -EFAULT;
	rw_enter(&vm->vm_lock, RW_WRITE);
	while (size > 0) {
		size_t n = min(size, PAGE_SIZE - (va & PAGE_MASK));
		char *dst;

		error = vm_fault_locked(vm, va, PROT_W);
		if (error != 0)
			break;
		if (!pmap_extract(vm->vm_pmap, trunc_page(va), &pa, &prot))
			panic("vm_write: vmspace %p: page at %#lx vanished after its fault",
			    (void *)vm, va);
		dst = (char *)arch_phys_to_virt(pa) + (va & PAGE_MASK);
		if (src != NULL) {
			memcpy(dst, src, n);
			src = (const char *)src + n;
		} else
			memset(dst, 0, n);
		va += n;
		size -= n;
	}
	rw_exit(&vm->vm_lock);
	return error == 0 || error == -ENOMEM ? error : -EFAULT;
}

/*
 * Upcall of the machine layer: page fault on a user address.
 * => interrupts on, unless LP_NOFAULT is set; may sleep
 */
int
vm_fault_trap(uintptr_t addr, int access, bool user)
{
	struct lwp *l = arch_curlwp();
	int error;

	if (unlikely(!user && (l->l_pflag & LP_NOFAULT) != 0))
		return -EFAULT;
	EXPLORE_POINT(FAULT, addr);
	error = vm_fault(l->l_proc->p_vmspace, addr, access);
	if (likely(error == 0)) {
		atomic_count(&l->l_minflt);
		return 0;
	}
	if (!user)
		return -EFAULT;
	switch (error) {
	case -ENOMEM:
		oom_fault();
		break;
	case -EIO:
		user_fault(SIGBUS, BUS_ADRERR, addr);
		break;
	case -EACCES:
		user_fault(SIGSEGV, SEGV_ACCERR, addr);
		break;
	default:
		user_fault(SIGSEGV, SEGV_MAPERR, addr);
		break;
	}
	return -EFAULT;
}
