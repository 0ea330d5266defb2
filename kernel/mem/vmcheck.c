/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsck of an address space: regions, page tables and reference counts must tell the same story.
 * Meant for a moment when all other CPUs are parked; an address space whose lock is taken is in the
 * middle of a change and is passed over.
 */
#include <kernel/vm.h>

#include <kernel/pmem.h>

#include "vm_internal.h"

struct check {
	struct vmspace *ck_vm;
	size_t ck_pages;
	const char *ck_error;
};

static void
check_page(void *arg, vaddr_t va, paddr_t pa, int prot)
{
	struct check *ck = arg;
	const struct vm_region *r = vm_region_first(&ck->ck_vm->vm_regions, va);
	uint32_t refs = page_refs(phys_to_page(pa));

	ck->ck_pages++;
	if (r == NULL || va < r->vr_start)
		ck->ck_error = "page mapped outside of every region";
	else if ((prot & ~vm_hwprot(r->vr_prot)) != 0)
		ck->ck_error = "page-table entry allows more than its region";
	else if (refs == 0)
		ck->ck_error = "mapped page is free";
	else if ((prot & PROT_W) != 0 && (r->vr_flags & VR_SHARED) == 0 && refs != 1)
		ck->ck_error = "writable private page has several owners";
}

const char *
vm_check(struct vmspace *vm)
{
	struct check ck = { .ck_vm = vm };

	if (vm == &vmspace_kernel || !rw_tryenter(&vm->vm_lock, RW_WRITE))
		return NULL;
	ck.ck_error = vm_region_check(&vm->vm_regions);
	if (ck.ck_error == NULL)
		pmap_walk(vm->vm_pmap, 0, USER_END, check_page, &ck);
	if (ck.ck_error == NULL && ck.ck_pages != vm_resident(vm))
		ck.ck_error = "count of resident pages is wrong";
	rw_exit(&vm->vm_lock);
	return ck.ck_error;
}
