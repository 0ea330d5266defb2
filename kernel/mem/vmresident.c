/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of an address space is mapped, and what is in memory: for msync, mlock and mincore. Nothing is ever paged
 * out, so a page that was touched stays until its mapping goes.
 */
#include <kernel/vm.h>

#include <abi/errno.h>

#include "vm_internal.h"

int
vm_mapped(struct vmspace *vm, vaddr_t start, size_t size)
{
	vaddr_t at = start, end = start + size;

	rw_enter(&vm->vm_lock, RW_READ);
	for (const struct vm_region *r = vm_region_first(&vm->vm_regions, start);
	     r != NULL && at < end && r->vr_start <= at; r = vm_region_next(r))
		at = r->vr_end;
	rw_exit(&vm->vm_lock);
	return at < end ? -ENOMEM : 0;
}

bool
vm_next_mapped(struct vmspace *vm, vaddr_t *start, vaddr_t *end)
{
	const struct vm_region *r;

	rw_enter(&vm->vm_lock, RW_READ);
	r = vm_region_first(&vm->vm_regions, *start);
	if (r != NULL) {
		*start = max(*start, r->vr_start);
		*end = r->vr_end;
	}
	rw_exit(&vm->vm_lock);
	return r != NULL;
}

int
vm_incore(struct vmspace *vm, vaddr_t va)
{
	const struct vm_region *r;
	int result, prot;
	paddr_t pa;

	rw_enter(&vm->vm_lock, RW_READ);
	r = vm_region_lookup(&vm->vm_regions, va);
	if (r == NULL)
		result = -ENOMEM;
	else if (pmap_extract(vm->vm_pmap, va, &pa, &prot))
		result = 1;
	else
		result = r->vr_obj != NULL &&
		    vmobj_incore(r->vr_obj, (r->vr_off + (va - r->vr_start)) >> PAGE_SHIFT);
	rw_exit(&vm->vm_lock);
	return result;
}
