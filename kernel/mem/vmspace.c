/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces.
 *
 * An address space is a set of regions (what may be there), page tables (what is there) and a heap
 * border. There is no swap, so the page tables themselves hold private anonymous pages: a page's
 * reference count is the number of page-table entries and objects that point to it, whole system.
 *
 *  - private anonymous page: referenced by page tables only. One reference: its owner may write.
 *    More: every entry is read-only, and who writes gets a copy (vmfault.c).
 *  - page of an object: the object or its inode holds one reference more, so a private mapping of it
 *    can never look like the only owner. A shared mapping may write whatever the count.
 *
 * Locking: vm_lock covers regions, counters and the page tables; who writes it changes them as he likes. A first
 * touch of anonymous memory, which only adds an entry, reads it: threads find their region and clear their page at
 * the same time, and vm_ptlock is held for the entry alone. The object's lock nests inside. Reference counts are
 * atomic. Never held over a user copy.
 *
 * Exit: the dying LWP first loads the kernel's address space, then drops its reference; the last
 * reference frees everything in one walk. No CPU can have it loaded then, because a CPU that runs no
 * LWP of the process loads the kernel's; pmap_remove_all() asserts it, and so no TLB needs a flush.
 */
#include <kernel/vm.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/explore.h>
#include <kernel/gdbstub.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/lwpctl.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/proc.h>

#include "vm_internal.h"

/* Room between the highest automatic mapping and the end of the user's half: stack and its growth. */
#define STACK_AREA ((size_t)128 << 20)

static struct kmem_cache *vmspace_cache, *region_cache;

struct vmspace vmspace_kernel = {
	.vm_lock = RWLOCK_INIT("vmspace_kernel", RANK_VMSPACE),
	.vm_ptlock = MUTEX_INIT("kernel pages", RANK_VMOBJ),
	.vm_refs = 1,
};

void
vm_init(void)
{
	vmspace_kernel.vm_pmap = pmap_kernel();
	vmspace_cache =
	    kmem_cache_create("vmspace", sizeof(struct vmspace), CACHE_LINE, KC_USER, NULL);
	region_cache = kmem_cache_create("vm_region", sizeof(struct vm_region), 8, KC_USER, NULL);
	vmobj_init();
}

struct vm_region *
vm_region_alloc(void)
{
	return kmem_cache_alloc(region_cache);
}

void
vm_region_free(struct vm_region *r)
{
	kmem_cache_free(region_cache, r);
}

struct vmspace *
vmspace_create(void)
{
	struct vmspace *vm = kmem_cache_alloc(vmspace_cache);

	if (vm == NULL)
		return NULL;
	*vm = (struct vmspace){ .vm_refs = 1, .vm_mmap_top = USER_END - STACK_AREA };
	vm->vm_pmap = pmap_create();
	if (vm->vm_pmap == NULL) {
		kmem_cache_free(vmspace_cache, vm);
		return NULL;
	}
	rw_init(&vm->vm_lock, "vmspace", RANK_VMSPACE);
	mutex_init(&vm->vm_ptlock, "page tables", RANK_VMOBJ);
	return vm;
}

void
vmspace_ref(struct vmspace *vm)
{
	if (vm != &vmspace_kernel)
		atomic_add(&vm->vm_refs, 1);
}

void
vmspace_unref(struct vmspace *vm)
{
	KASSERT(atomic_load_relaxed(&vm->vm_refs) > 0);
	EXPLORE_POINT(ATOMIC, &vm->vm_refs);
	if (vm == &vmspace_kernel || atomic_sub(&vm->vm_refs, 1) > 1)
		return;
	if (unlikely(atomic_load_relaxed(&debug_nubreaks) != 0))
		debug_vmspace_gone(vm);
	pmap_remove_all(vm->vm_pmap, NULL, NULL);
	pmap_destroy(vm->vm_pmap);
	vm_region_clear(&vm->vm_regions);
	if (unlikely(vm->vm_lwpctl != NULL))
		lwpctl_destroy(vm);
	mutex_destroy(&vm->vm_ptlock);
	rw_destroy(&vm->vm_lock);
	kmem_cache_free(vmspace_cache, vm);
}

void
vmspace_load(struct vmspace *vm)
{
	struct cpu *ci = arch_curcpu();

	ci->ci_vmspace = vm;
	pmap_activate(vm->vm_pmap);
}

size_t
vm_resident(const struct vmspace *vm)
{
	return pmap_resident(vm->vm_pmap);
}

void
vm_drop_pages(struct vmspace *vm, vaddr_t start, vaddr_t end)
{
	KASSERT(rw_write_held(&vm->vm_lock));
	if (vm_resident(vm) != 0)
		pmap_remove(vm->vm_pmap, start, end, NULL, NULL);
}

struct page *
vm_page_alloc_slow(bool zeroed, enum page_kind kind)
{
	if (!user_alloc_ok(PAGE_SIZE))
		return NULL;
	return zeroed ? page_alloc_zeroed(kind) : page_alloc(kind);
}

uint64_t
vm_rlimit(int which)
{
	return atomic_load_relaxed(&arch_curlwp()->l_proc->p_rlimit[which].cur);
}

bool
vm_may_grow(const struct vmspace *vm, size_t size)
{
	uint64_t limit = vm_rlimit(VM_RLIMIT_AS);

	return size <= limit && vm->vm_regions.rs_bytes <= limit - size;
}

size_t
vm_data_bytes(const struct vm_regionset *rs, vaddr_t start, vaddr_t end)
{
	size_t bytes = 0;

	for (const struct vm_region *r = vm_region_first(rs, start); r != NULL && r->vr_start < end;
	     r = vm_region_next(r))
		if (vm_region_isdata(r->vr_flags, r->vr_prot))
			bytes += min(r->vr_end, end) - max(r->vr_start, start);
	return bytes;
}

/* Few have this limit: the sum is not kept, but made for them. */
bool
vm_may_grow_data(const struct vmspace *vm, size_t size)
{
	uint64_t limit = vm_rlimit(VM_RLIMIT_DATA);

	return likely(limit == UINT64_MAX) ||
	    (size <= limit && vm_data_bytes(&vm->vm_regions, 0, USER_END) <= limit - size);
}

int
vm_futex_key(struct vmspace *vm, vaddr_t va, bool shared, const void **obj, uint64_t *off)
{
	struct vm_region *r;
	int error = 0;

	*obj = vm;
	*off = va;
	if (!shared)
		return 0;
	rw_enter(&vm->vm_lock, RW_READ);
	r = vm_region_lookup(&vm->vm_regions, va);
	if (r == NULL || r->vr_prot == 0)
		error = -EFAULT;
	else if ((r->vr_flags & VR_SHARED) != 0 && r->vr_obj != NULL) {
		*obj = vmobj_key(r->vr_obj);
		*off = r->vr_off + (va - r->vr_start);
	}
	rw_exit(&vm->vm_lock);
	return error;
}
