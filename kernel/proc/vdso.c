/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO: two pages that every program gets, the data that the kernel keeps there and an image with code that
 * reads them. Made once; exec maps them, as one shared region that nobody can write or make writable. A
 * program may unmap or move it like any other: the kernel itself never looks there.
 */
#include <kernel/exec.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/string.h>
#include <kernel/vm.h>

static enum { VDSO_YES, VDSO_NO, VDSO_ONLY_CALLS } wanted;

static struct page *pages[VDSO_SIZE / PAGE_SIZE]; /* data, image; constant once booted */
static struct vmobj *object;                      /* of both; NULL = no vDSO */

static int
set_vdso(const char *value)
{
	if (strcmp(value, "yes") == 0)
		wanted = VDSO_YES;
	else if (strcmp(value, "no") == 0)
		wanted = VDSO_NO;
	else if (strcmp(value, "calls") == 0)
		wanted = VDSO_ONLY_CALLS;
	else
		return -EINVAL;
	return 0;
}
OPTION(vdso, "yes no calls (it asks the kernel for the time)", set_vdso);

void
vdso_init(void)
{
	size_t size;
	const void *image = arch_vdso_image(&size);

	if (wanted == VDSO_NO)
		return;
	KASSERT(size <= PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if ((pages[i] = page_alloc_zeroed(PG_OBJ)) == NULL)
			panic("vdso: no memory");
	memcpy(page_to_virt(pages[1]), image, size);
	arch_vdso_data(page_to_virt(pages[0]), arch_time_wall_at_boot(), wanted == VDSO_ONLY_CALLS);
	if ((object = vmobj_create_file(pages, VDSO_SIZE)) == NULL)
		panic("vdso: no memory");
}

void
vdso_set_wall(nsec_t wall)
{
	if (object != NULL)
		arch_vdso_data(page_to_virt(pages[0]), wall, wanted == VDSO_ONLY_CALLS);
}

#ifdef DEBUG
void
vdso_only_calls(void)
{
	wanted = VDSO_ONLY_CALLS;
	vdso_set_wall(arch_time_wall_at_boot());
}
#endif

int
vdso_map(struct vmspace *vm, uintptr_t base, uintptr_t *image)
{
	vaddr_t va = base;
	int error;

	*image = 0;
	if (object == NULL)
		return 0;
	error = vm_map(vm, &va, VDSO_SIZE, PROT_R | PROT_X, PROT_R | PROT_X,
	    VR_SHARED | VR_VDSO | VM_FIXED | VM_NOREPLACE, object, 0);
	if (error == 0)
		*image = va + PAGE_SIZE;
	return error;
}
