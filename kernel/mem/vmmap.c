/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of an address space on behalf of mmap, munmap, mprotect, mremap, madvise, brk and exec.
 *
 * Order in each: check, allocate, change the regions, then the page tables. A page is given back only
 * after no TLB has it any more (pmap_remove() sees to that). Out of memory leaves everything as it was.
 *
 * Commitment: address space is cheap, so only a private writable or shared anonymous size beyond the
 * machine's memory is refused, as Linux's default does; what really runs out is noticed by a fault.
 *
 * mremap stands in vmremap.c.
 */
#include <kernel/vm.h>

#include <abi/errno.h>
#include <abi/mman.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>

#include "vm_internal.h"

#define LOW_2G       ((vaddr_t)1 << 31)
#define PROT_ALL     (PROT_R | PROT_W | PROT_X)
#define REGION_FLAGS (VR_SHARED | VR_GROWSDOWN | VR_STACK | VR_NOFORK | VR_VDSO)

/* 0; -EINVAL when not page-aligned; `beyond` when it leaves the user's half. */
static int
check_range(vaddr_t start, size_t size, int beyond)
{
	if ((start & PAGE_MASK) != 0)
		return -EINVAL;
	return start >= USER_END || size > USER_END - start ? beyond : 0;
}

/* Is this much memory out of the question? */
static bool
overcommits(size_t size, int prot, unsigned flags, const struct vmobj *obj)
{
	if ((flags & VM_NORESERVE) != 0 || (prot & PROT_W) == 0 ||
	    ((flags & VR_SHARED) != 0 && obj != NULL))
		return false;
	return size >> PAGE_SHIFT > pmem_total();
}

/* Mapped bytes in [start, end). */
static size_t
mapped_bytes(const struct vm_regionset *rs, vaddr_t start, vaddr_t end)
{
	size_t bytes = 0;

	for (const struct vm_region *r = vm_region_first(rs, start); r != NULL && r->vr_start < end;
	     r = vm_region_next(r))
		bytes += min(r->vr_end, end) - max(r->vr_start, start);
	return bytes;
}

vaddr_t
vm_place(struct vmspace *vm, vaddr_t wish, size_t size, unsigned flags)
{
	vaddr_t top = (flags & VM_BELOW_2G) != 0 ? LOW_2G : vm->vm_mmap_top, va;

	if (wish != 0) {
		wish = max(round_page(wish), VM_MIN_ADDRESS);
		if (wish < USER_END && size <= USER_END - wish &&
		    vm_region_isfree(&vm->vm_regions, wish, wish + size, true))
			return wish;
	}
	va = vm_region_findgap(&vm->vm_regions, VM_MIN_ADDRESS, top, size);
	if (va == 0 && (flags & VM_BELOW_2G) == 0)
		va = vm_region_findgap(&vm->vm_regions, VM_MIN_ADDRESS, USER_END, size);
	return va;
}

int
vm_unmap_locked(struct vmspace *vm, vaddr_t start, vaddr_t end)
{
	const struct vm_region *r = vm_region_first(&vm->vm_regions, start);
	int error;

	if (r == NULL || end <= r->vr_start)
		return 0;
	start = max(start, r->vr_start);
	if (unlikely(vm->vm_regions.rs_count >= VM_MAXREGIONS) && start > r->vr_start &&
	    end < r->vr_end)
		return -ENOMEM; /* two of one */
	error = vm_region_delete(&vm->vm_regions, start, end);
	if (error == 0)
		vm_drop_pages(vm, start, end);
	return error;
}

int
vm_map(struct vmspace *vm, vaddr_t *addr, size_t size, int prot, int maxprot, unsigned flags,
    struct vmobj *obj, uint64_t off)
{
	bool fixed = (flags & VM_FIXED) != 0;
	struct vm_region *nr;
	vaddr_t va = *addr;
	int error;

	KASSERT((prot & ~maxprot) == 0 && (maxprot & ~PROT_ALL) == 0);
	if (size == 0 || (off & PAGE_MASK) != 0)
		return -EINVAL;
	if (size > USER_END)
		return -ENOMEM;
	size = round_page(size);
	if (fixed) {
		if ((error = check_range(va, size, -ENOMEM)) != 0)
			return error;
		if (va < VM_MIN_ADDRESS)
			return -EPERM;
	}
	if (overcommits(size, prot, flags, obj))
		return -ENOMEM;
	nr = vm_region_alloc();
	if (nr == NULL)
		return -ENOMEM;

	rw_enter(&vm->vm_lock, RW_WRITE);
	error = -ENOMEM;
	if (vm->vm_regions.rs_count >= VM_MAXREGIONS)
		goto fail;
	if (!fixed) {
		va = vm_place(vm, va, size, flags);
		if (va == 0 || !vm_may_grow(vm, size) ||
		    (vm_region_isdata(flags, prot) && !vm_may_grow_data(vm, size)))
			goto fail;
	} else {
		if ((flags & VM_NOREPLACE) != 0 &&
		    !vm_region_isfree(&vm->vm_regions, va, va + size, false)) {
			error = -EEXIST;
			goto fail;
		}
		if (!vm_may_grow(vm, size) &&
		    !vm_may_grow(vm, size - mapped_bytes(&vm->vm_regions, va, va + size)))
			goto fail;
		if (vm_region_isdata(flags, prot) && !vm_may_grow_data(vm, size) &&
		    !vm_may_grow_data(vm, size - vm_data_bytes(&vm->vm_regions, va, va + size)))
			goto fail;
		if ((error = vm_unmap_locked(vm, va, va + size)) != 0)
			goto fail;
	}
	*nr = (struct vm_region){
		.vr_start = va,
		.vr_end = va + size,
		.vr_obj = obj,
		.vr_off = obj != NULL ? off : 0,
		.vr_prot = (uint8_t)prot,
		.vr_maxprot = (uint8_t)maxprot,
		.vr_flags = (uint16_t)(flags & REGION_FLAGS),
	};
	if (obj != NULL)
		vmobj_ref(obj);
	vm_region_add(&vm->vm_regions, nr);
	rw_exit(&vm->vm_lock);
	*addr = va;
	return 0;
fail:
	rw_exit(&vm->vm_lock);
	vm_region_free(nr);
	return error;
}

int
vm_unmap(struct vmspace *vm, vaddr_t start, size_t size)
{
	int error = check_range(start, size, -EINVAL);

	if (error == 0 && size == 0)
		error = -EINVAL;
	if (error != 0)
		return error;
	rw_enter(&vm->vm_lock, RW_WRITE);
	error = vm_unmap_locked(vm, start, start + round_page(size));
	rw_exit(&vm->vm_lock);
	return error;
}

/* What is private in [start, end) is to be writable: have RLIMIT_DATA and the machine room for what is not yet? */
static bool
vm_may_protect_data(const struct vmspace *vm, vaddr_t start, vaddr_t end)
{
	const struct vm_regionset *rs = &vm->vm_regions;
	size_t more = 0;

	if (likely(
		(end - start) >> PAGE_SHIFT <= pmem_total() && vm_may_grow_data(vm, end - start)))
		return true;
	for (const struct vm_region *r = vm_region_first(rs, start); r != NULL && r->vr_start < end;
	     r = vm_region_next(r))
		if (!vm_region_isdata(r->vr_flags, r->vr_prot) &&
		    vm_region_isdata(r->vr_flags, PROT_W))
			more += min(r->vr_end, end) - max(r->vr_start, start);
	return more == 0 || (more >> PAGE_SHIFT <= pmem_total() && vm_may_grow_data(vm, more));
}

/*
 * Sets the protection of regions whose borders are `start` and `end`, and that of their pages: all at once, for a flush
 * of all CPUs for each of many regions would take seconds.
 */
static void
set_protection(struct vmspace *vm, vaddr_t start, vaddr_t end, int prot)
{
	vaddr_t first = end, last = start;
	int hw = vm_hwprot(prot);

	for (struct vm_region *r = vm_region_first(&vm->vm_regions, start);
	     r != NULL && r->vr_start < end; r = vm_region_next(r)) {
		/* Pages may have several owners: a write fault finds out. */
		if ((r->vr_flags & VR_SHARED) == 0)
			hw &= ~PROT_W;
		if (r->vr_prot == prot)
			continue;
		r->vr_prot = (uint8_t)prot;
		first = min(first, r->vr_start);
		last = r->vr_end;
	}
	if (first < last && vm_resident(vm) != 0)
		pmap_protect(vm->vm_pmap, first, last, hw);
}

int
vm_protect(struct vmspace *vm, vaddr_t start, size_t size, int prot)
{
	vaddr_t end;
	int error = (prot & ~PROT_ALL) != 0 ? -EINVAL : check_range(start, size, -ENOMEM);

	if (error != 0 || size == 0)
		return error;
	end = start + round_page(size);
	rw_enter(&vm->vm_lock, RW_WRITE);
	error = vm_region_may_protect(&vm->vm_regions, start, end, prot);
	if (error == 0 && (prot & PROT_W) != 0 && !vm_may_protect_data(vm, start, end))
		error = -ENOMEM;
	if (error == 0 && vm->vm_regions.rs_count >= VM_MAXREGIONS - 1)
		error = -ENOMEM;
	if (error == 0)
		error = vm_region_clip(&vm->vm_regions, start, end);
	if (error == 0) {
		set_protection(vm, start, end, prot);
		vm_region_coalesce(&vm->vm_regions, start, end);
	}
	rw_exit(&vm->vm_lock);
	return error;
}

int
vm_advise(struct vmspace *vm, vaddr_t start, size_t size, int advice)
{
	vaddr_t end, at;
	int error;

	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_COLD:
	case MADV_PAGEOUT:
		break;
	default:
		return -EINVAL;
	}
	error = check_range(start, size, -EINVAL);
	if (error != 0 || size == 0)
		return error;
	at = start;
	end = start + round_page(size);
	rw_enter(&vm->vm_lock, RW_WRITE);
	for (const struct vm_region *r = vm_region_first(&vm->vm_regions, start);
	     r != NULL && r->vr_start < end; r = vm_region_next(r)) {
		if (r->vr_start > at)
			error = -ENOMEM; /* a hole; the rest is done all the same */
		if (advice == MADV_FREE && r->vr_obj != NULL) {
			error = -EINVAL;
			break;
		}
		at = r->vr_end;
	}
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		vm_drop_pages(vm, start, min(at, end)); /* at once: see set_protection() */
	if (error == 0 && at < end)
		error = -ENOMEM;
	rw_exit(&vm->vm_lock);
	return error;
}

vaddr_t
vm_brk(struct vmspace *vm, vaddr_t newbrk)
{
	struct vm_region *nr = vm_region_alloc();
	vaddr_t old, end;

	rw_enter(&vm->vm_lock, RW_WRITE);
	old = round_page(vm->vm_brk);
	end = round_page(newbrk);
	if (vm->vm_brk_start == 0 || newbrk < vm->vm_brk_start || newbrk >= USER_END)
		goto out;
	if (end < old) {
		if (vm_unmap_locked(vm, end, old) != 0)
			goto out;
	} else if (end > old) {
		if (nr == NULL || !vm_may_grow_data(vm, end - old) ||
		    newbrk - vm->vm_brk_start > vm_rlimit(VM_RLIMIT_DATA) ||
		    !vm_may_grow(vm, end - old) || vm->vm_regions.rs_count >= VM_MAXREGIONS ||
		    overcommits(end - old, PROT_W, 0, NULL) ||
		    !vm_region_isfree(&vm->vm_regions, old, end, true))
			goto out;
		*nr = (struct vm_region){
			.vr_start = old,
			.vr_end = end,
			.vr_prot = PROT_R | PROT_W,
			.vr_maxprot = PROT_ALL,
		};
		vm_region_add(&vm->vm_regions, nr);
		nr = NULL;
	}
	vm->vm_brk = newbrk;
out:
	newbrk = vm->vm_brk;
	rw_exit(&vm->vm_lock);
	if (nr != NULL)
		vm_region_free(nr);
	return newbrk;
}
