/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying an address space: the regions in one pass without rebalancing, then the entries of present
 * private pages, read-only in both. Shared memory is not copied, its pages are found again by faults.
 * The work is O(regions + present pages).
 *
 * The parent's TLBs are flushed once, at the end: until then another LWP of the parent may still write
 * to a page through a stale entry, but no one can see the child's copy before this returns, and every
 * fault waits for the parent's vm_lock.
 */
#include <kernel/vm.h>

#include <abi/errno.h>
#include <kernel/gdbstub.h>
#include <kernel/panic.h>

#include "vm_internal.h"

/* Private regions closer together than this are copied by one walk of the page tables. */
#define NEAR ((size_t)2 << 20)

static inline bool
copied(const struct vm_region *r)
{
	return (r->vr_flags & VR_SHARED) == 0;
}

static int
copy_pages(struct vmspace *child, struct vmspace *parent)
{
	const struct vm_region *r = vm_region_first(&parent->vm_regions, 0);

	while (r != NULL) {
		vaddr_t start = r->vr_start, end = r->vr_end;
		bool copy = copied(r);
		int error;

		while ((r = vm_region_next(r)) != NULL && copied(r) == copy &&
		    r->vr_start - end < NEAR)
			end = r->vr_end;
		if (copy &&
		    (error = pmap_copy(
			 child->vm_pmap, parent->vm_pmap, start, end, true, NULL, NULL)) != 0)
			return error;
	}
	return 0;
}

/* Regions that the child does not get. They are shared, so no page of theirs is entered yet. */
static int
drop_nofork(struct vm_regionset *rs)
{
	struct vm_region *r = vm_region_first(rs, 0);
	int error = 0;

	while (r != NULL && error == 0) {
		vaddr_t start = r->vr_start, end = r->vr_end;

		KASSERT((r->vr_flags & VR_NOFORK) == 0 || !copied(r));
		if ((r->vr_flags & VR_NOFORK) != 0)
			error = vm_region_delete(rs, start, end);
		r = vm_region_first(rs, end);
	}
	return error;
}

int
vmspace_fork(struct vmspace *parent, struct vmspace **childp)
{
	struct vmspace *child = vmspace_create();
	int error;

	if (child == NULL)
		return -ENOMEM;
	rw_enter(&parent->vm_lock, RW_WRITE);
	error = vm_region_clone(&child->vm_regions, &parent->vm_regions);
	if (error == 0 && unlikely(parent->vm_lwpctl != NULL))
		error = drop_nofork(&child->vm_regions);
	if (error == 0) {
		error = copy_pages(child, parent);
		pmap_flush(parent->vm_pmap);
		if (unlikely(atomic_load_relaxed(&debug_nubreaks) != 0) && error == 0)
			error = debug_fork(child, parent);
	}
	child->vm_maxpages = vm_resident(child);
	child->vm_brk_start = parent->vm_brk_start;
	child->vm_brk = parent->vm_brk;
	child->vm_mmap_top = parent->vm_mmap_top;
	rw_exit(&parent->vm_lock);
	if (error != 0) {
		vmspace_unref(child);
		return error;
	}
	*childp = child;
	return 0;
}
