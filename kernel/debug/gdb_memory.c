/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for gdb. Addresses are translated by walking the page tables in software, so nothing here can fault,
 * and the memory of any process can be reached, whichever is loaded. Writes go through the direct map, where
 * kernel text is writable data: its own mapping stays read-only.
 *
 * A write to user memory must reach this one address space only. A page that has other owners (another process
 * after fork, the RAM disk's file) is replaced by a private copy first, as a write fault would do it, from a pool of
 * pages put aside. Afterwards it is an ordinary private page, freed with the address space. The pool is
 * filled again by an interrupt that the stub sends itself, once the kernel lives again.
 */
#include "gdb_impl.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/pmem.h>
#include <kernel/proc.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define POOL_SIZE 32

extern const char __text_start[], __text_end[], __nobreak_start[], __nobreak_end[];

static struct page *pool[POOL_SIZE]; /* world_lock, or the owner of the stopped world */
static unsigned pool_count;

bool
gdb_memory_wants(void)
{
	return pool_count < POOL_SIZE;
}

bool
gdb_memory_give(struct page *pg)
{
	if (pool_count == POOL_SIZE)
		return false;
	pool[pool_count++] = pg;
	return true;
}

bool
gdb_kernel_text(vaddr_t va)
{
	return va >= (uintptr_t)__text_start && va < (uintptr_t)__text_end &&
	    (va < (uintptr_t)__nobreak_start || va >= (uintptr_t)__nobreak_end);
}

static struct vmspace *
user_space(const struct proc *p)
{
	struct vmspace *vm = p != NULL ? p->p_vmspace : NULL;

	return vm == &vmspace_kernel ? NULL : vm;
}

/* Is somebody, stopped now, in the middle of a change? */
static bool
being_changed(const struct vmspace *vm)
{
	return atomic_load_relaxed(&vm->vm_lock.rw_word) != 0;
}

static const struct vm_region *
region_of(const struct vmspace *vm, vaddr_t va)
{
	const struct vm_region *r = vm_region_first(&vm->vm_regions, va);

	return r != NULL && va >= r->vr_start ? r : NULL;
}

/* A page of a file that no fault has entered yet. */
static const void *
absent_page(const struct vmspace *vm, vaddr_t va)
{
	const struct vm_region *r;
	const struct page *pg;

	if (being_changed(vm) || (r = region_of(vm, va)) == NULL || r->vr_obj == NULL)
		return NULL;
	pg = vmobj_peek(r->vr_obj, (r->vr_off + (trunc_page(va) - r->vr_start)) >> PAGE_SHIFT);
	return pg != NULL ? page_to_virt(pg) : NULL;
}

size_t
gdb_read(const struct proc *p, uintptr_t addr, void *dst, size_t n)
{
	const struct vmspace *vm = user_space(p);
	size_t done = 0;

	while (done < n) {
		uintptr_t va = addr + done;
		size_t part = min(n - done, PAGE_SIZE - (va & PAGE_MASK));
		const char *from;
		paddr_t pa;
		int prot;

		if (va >= USER_END) {
			part = arch_debug_kread(va, (char *)dst + done, part);
			if (part == 0)
				break;
			done += part;
			continue;
		}
		if (vm == NULL)
			break;
		if (arch_debug_upage(vm->vm_pmap, va, &pa, &prot))
			from = arch_phys_to_virt(pa);
		else if ((from = absent_page(vm, va)) == NULL)
			break;
		memcpy((char *)dst + done, from + (va & PAGE_MASK), part);
		done += part;
	}
	return done;
}

int
gdb_own_page(struct vmspace *vm, vaddr_t va, paddr_t *pap)
{
	const struct vm_region *r;
	struct page *old, *pg;
	paddr_t pa;
	int prot;

	if (!arch_debug_upage(vm->vm_pmap, va, &pa, &prot))
		return -EFAULT;
	*pap = pa + (va & PAGE_MASK);
	old = phys_to_page(pa);
	if ((prot & PROT_W) != 0 || (old->pg_kind == PG_ANON && page_refs(old) == 1))
		return 0;
	if (being_changed(vm))
		return -EBUSY;
	if ((r = region_of(vm, va)) == NULL || page_refs(old) < 2)
		return -EFAULT;
	if ((r->vr_flags & VR_SHARED) != 0)
		return -EACCES;
	if (pool_count == 0)
		return -ENOMEM;
	pg = pool[--pool_count];
	memcpy(page_to_virt(pg), page_to_virt(old), PAGE_SIZE);
	arch_debug_remap(vm->vm_pmap, va, page_to_phys(pg));
	atomic_sub(&old->pg_refs, 1); /* not the last one */
	*pap = page_to_phys(pg) + (va & PAGE_MASK);
	return 0;
}

size_t
gdb_write(const struct proc *p, uintptr_t addr, const void *src, size_t n)
{
	struct vmspace *vm = user_space(p);
	size_t done = 0;

	while (done < n) {
		uintptr_t va = addr + done;
		size_t part = min(n - done, PAGE_SIZE - (va & PAGE_MASK));
		paddr_t pa;

		if (va >= USER_END) {
			if (!arch_debug_kpage(va, &pa))
				break;
		} else if (vm == NULL || gdb_own_page(vm, va, &pa) != 0)
			break;
		memcpy(arch_phys_to_virt(pa), (const char *)src + done, part);
		done += part;
	}
	return done;
}
