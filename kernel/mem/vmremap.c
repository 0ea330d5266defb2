/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mremap: shrink, grow in place, or move a mapping. A move enters the pages at the new place, takes
 * a reference for each, and then removes the old ones: for a moment a page is mapped twice, but by
 * this address space only and under vm_lock, and both entries lead to the same page.
 */
#include <kernel/vm.h>

#include <abi/errno.h>
#include <abi/mman.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>

#include "vm_internal.h"

/* Pages moved at a time; bounds the stack. */
#define BATCH 32

struct batch {
	unsigned b_count;
	struct {
		vaddr_t va;
		paddr_t pa;
		int prot;
	} b_page[BATCH];
};

static void
collect(void *arg, vaddr_t va, paddr_t pa, int prot)
{
	struct batch *b = arg;

	KASSERT(b->b_count < BATCH);
	b->b_page[b->b_count].va = va;
	b->b_page[b->b_count].pa = pa;
	b->b_page[b->b_count++].prot = prot;
}

/* Enters the pages of [old, old+size) at `new` too. On -ENOMEM some are entered. */
static int
enter_pages(struct vmspace *vm, vaddr_t old, size_t size, vaddr_t new)
{
	vaddr_t end = old + size, stop;
	struct batch b;
	int error;

	/* The work is by what is there: a region may be most of the address space. */
	for (vaddr_t va = old; (va = pmap_next(vm->vm_pmap, va, end)) < end; va = stop) {
		stop = va + min(end - va, BATCH * PAGE_SIZE);
		b.b_count = 0;
		pmap_walk(vm->vm_pmap, va, stop, collect, &b);
		for (unsigned i = 0; i < b.b_count; i++) {
			error = pmap_enter(vm->vm_pmap, new + (b.b_page[i].va - old),
			    b.b_page[i].pa, b.b_page[i].prot);
			if (error != 0)
				return error;
			page_ref(phys_to_page(b.b_page[i].pa));
		}
	}
	return 0;
}

/*
 * Maps [new, new+newsize), which is free, like the region that holds `old`, and moves the pages of
 * [old, old+oldsize) there. oldsize 0: a second mapping of a shared object.
 */
static int
move(struct vmspace *vm, const struct vm_region *r, vaddr_t old, size_t oldsize, vaddr_t new,
    size_t newsize)
{
	struct vm_region *nr = vm_region_alloc();
	size_t npages = vm_resident(vm);
	int error;

	if (nr == NULL)
		return -ENOMEM;
	*nr = *r;
	nr->vr_start = new;
	nr->vr_end = new + newsize;
	if (nr->vr_obj != NULL) {
		nr->vr_off += old - r->vr_start;
		vmobj_ref(nr->vr_obj);
	}
	/* The region comes last: to take it back, joined with its neighbours, might fail for want of memory. */
	error = enter_pages(vm, old, min(oldsize, newsize), new);
	if (error == 0 && oldsize != 0)
		error = vm_unmap_locked(vm, old, old + oldsize);
	if (error != 0) {
		vm_drop_pages(vm, new, new + newsize);
		if (nr->vr_obj != NULL)
			vmobj_unref(nr->vr_obj);
		vm_region_free(nr);
		KASSERT(vm_resident(vm) == npages);
	} else
		vm_region_add(&vm->vm_regions, nr);
	(void)npages;
	return error;
}

static int
remap_locked(
    struct vmspace *vm, vaddr_t old, size_t oldsize, size_t newsize, int flags, vaddr_t *newaddr)
{
	vaddr_t new = *newaddr;
	struct vm_region *r;
	size_t extra;
	int error;

	if ((flags & MREMAP_FIXED) != 0) {
		if ((error = vm_unmap_locked(vm, new, new + newsize)) != 0)
			return error;
	}
	if (newsize <= oldsize) {
		if (newsize < oldsize && oldsize != 0 &&
		    (error = vm_unmap_locked(vm, old + newsize, old + oldsize)) != 0)
			return error;
		oldsize = newsize;
		if ((flags & MREMAP_FIXED) == 0) {
			*newaddr = old;
			return vm_region_lookup(&vm->vm_regions, old) != NULL ? 0 : -EFAULT;
		}
	}
	r = vm_region_lookup(&vm->vm_regions, old);
	if (r == NULL || oldsize > r->vr_end - old)
		return -EFAULT;
	if (oldsize == 0 && (r->vr_flags & VR_SHARED) == 0)
		return -EINVAL;
	extra = newsize - oldsize;
	if (!vm_may_grow(vm, extra) ||
	    (vm_region_isdata(r->vr_flags, r->vr_prot) && !vm_may_grow_data(vm, extra)) ||
	    vm->vm_regions.rs_count >= VM_MAXREGIONS - 2)
		return -ENOMEM;
	if ((r->vr_flags & VR_SHARED) == 0 && (r->vr_prot & PROT_W) != 0 &&
	    extra >> PAGE_SHIFT > pmem_total())
		return -ENOMEM;

	if ((flags & MREMAP_FIXED) == 0) {
		if (oldsize != 0 && old + oldsize == r->vr_end && extra <= USER_END - r->vr_end &&
		    vm_region_isfree(&vm->vm_regions, r->vr_end, r->vr_end + extra, true)) {
			struct vm_region *nr = vm_region_alloc();

			if (nr == NULL)
				return -ENOMEM;
			*nr = *r;
			nr->vr_start = r->vr_end;
			nr->vr_end = r->vr_end + extra;
			if (nr->vr_obj != NULL) {
				nr->vr_off += r->vr_end - r->vr_start;
				vmobj_ref(nr->vr_obj);
			}
			vm_region_add(&vm->vm_regions, nr);
			*newaddr = old;
			return 0;
		}
		if ((flags & MREMAP_MAYMOVE) == 0)
			return -ENOMEM;
		new = vm_place(vm, 0, newsize, 0);
		if (new == 0)
			return -ENOMEM;
	}
	error = move(vm, r, old, oldsize, new, newsize);
	if (error == 0)
		*newaddr = new;
	return error;
}

int
vm_remap(
    struct vmspace *vm, vaddr_t old, size_t oldsize, size_t newsize, int flags, vaddr_t *newaddr)
{
	vaddr_t new = *newaddr;
	int error;

	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) != 0 || (old & PAGE_MASK) != 0 ||
	    newsize == 0 || newsize > USER_END || oldsize > USER_END)
		return -EINVAL;
	oldsize = round_page(oldsize);
	newsize = round_page(newsize);
	if (old >= USER_END || oldsize > USER_END - old)
		return -EFAULT;
	if (oldsize == 0 && (flags & MREMAP_MAYMOVE) == 0)
		return -EINVAL;
	if ((flags & MREMAP_FIXED) != 0) {
		if ((flags & MREMAP_MAYMOVE) == 0 || (new &PAGE_MASK) != 0 || new >= USER_END ||
		    newsize > USER_END - new ||
		    (new < old + max(oldsize, PAGE_SIZE) && old < new + newsize))
			return -EINVAL;
		if (new < VM_MIN_ADDRESS)
			return -EPERM;
	}
	rw_enter(&vm->vm_lock, RW_WRITE);
	error = remap_locked(vm, old, oldsize, newsize, flags, newaddr);
	rw_exit(&vm->vm_lock);
	return error;
}
