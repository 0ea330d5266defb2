/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel mappings outside the image and the direct map: kernel stacks and device registers.
 *
 * The tables of these areas are shared by all pmaps, made when they are first needed and never freed, so they
 * are read and extended without a lock: a new table is put in place by compare-and-swap. The entries of an
 * address range belong to whoever owns the range.
 */
#include <arch/arch_if.h>
#include <arch/pmap_md.h>
#include <kernel/atomic.h>
#include <kernel/panic.h>

#include <abi/errno.h>

static uint64_t *
kernel_pte(vaddr_t va, bool make)
{
	uint64_t *table = kernel_pmap.pm_pml4;

	for (unsigned shift = PML4_SHIFT; shift > PT_SHIFT; shift -= PML4_SHIFT - PDPT_SHIFT) {
		uint64_t *slot = &table[PT_INDEX(va, shift)];
		uint64_t e = atomic_load_acquire(slot);

		if (e == 0) {
			struct page *pg;

			KASSERTMSG(
			    shift != PML4_SHIFT, "no top-level entry for %#lx", (unsigned long)va);
			if (!make || (pg = page_alloc_zeroed(PG_KTABLE)) == NULL)
				return NULL;
			if (atomic_cas(slot, &e, page_to_phys(pg) | PTE_TABLE))
				e = page_to_phys(pg) | PTE_TABLE;
			else
				page_free(pg); /* another CPU was first; e is its entry */
		}
		KASSERT((e & PTE_PS) == 0);
		table = pte_table(e);
	}
	return &table[PT_INDEX(va, PT_SHIFT)];
}

int
pmap_kenter_bits(vaddr_t va, uint64_t pte)
{
	uint64_t *slot = kernel_pte(va, true);

	if (slot == NULL)
		return -ENOMEM;
	KASSERTMSG(
	    *slot == 0, "%#lx is mapped already: %#lx", (unsigned long)va, (unsigned long)*slot);
	atomic_store_release(slot, pte);
	return 0;
}

int
pmap_kenter(vaddr_t va, paddr_t pa, int prot)
{
	uint64_t bits = PTE_KERNEL;

	KASSERT(va >= KSTACK_BASE && ((va | pa) & PAGE_MASK) == 0);
	KASSERT((prot & PROT_W) == 0 || (prot & PROT_X) == 0);
	if ((prot & PROT_W) != 0)
		bits |= PTE_W;
	if ((prot & PROT_X) == 0)
		bits |= PTE_NX;
	return pmap_kenter_bits(va, pa | bits);
}

bool
pmap_kextract(vaddr_t va, paddr_t *pa)
{
	uint64_t *slot = kernel_pte(va, false);

	if (slot == NULL || *slot == 0)
		return false;
	*pa = *slot & PTE_ADDR;
	return true;
}

void
pmap_kclear(vaddr_t start, size_t size)
{
	for (vaddr_t va = start; va < start + size; va += PAGE_SIZE) {
		uint64_t *slot = kernel_pte(va, false);

		if (slot != NULL)
			atomic_store_relaxed(slot, 0);
	}
}

void
pmap_kremove(vaddr_t start, size_t size)
{
	pmap_kclear(start, size);
	pmap_tlb_flush_kernel(start, size);
}

void
pmap_kflush(void)
{
	pmap_tlb_flush_kernel(KSTACK_BASE, KSTACK_AREA);
}

void
pmap_kshow(vaddr_t start, size_t size, bool show)
{
	for (vaddr_t va = start; va < start + size; va += PAGE_SIZE) {
		uint64_t *slot = kernel_pte(va, false);

		KASSERT(slot != NULL && (*slot & PTE_ADDR) != 0);
		atomic_store_relaxed(slot, show ? *slot | PTE_P : *slot & ~PTE_P);
		pmap_invlpg(va);
	}
}

vaddr_t
pmap_kreserve(size_t size)
{
	static vaddr_t next = DEVICE_BASE; /* (a) only ever grows */
	vaddr_t va = atomic_add(&next, size);

	return va + size <= DEVICE_BASE + DEVICE_AREA ? va : 0;
}

void *
pmap_map_phys(paddr_t pa, size_t size, bool device)
{
	paddr_t first = trunc_page(pa), end = round_page(pa + size);
	uint64_t bits = PTE_KERNEL | PTE_NX | (device ? PTE_W | PTE_PCD | PTE_PWT : 0);
	vaddr_t va;

	if (!device && pmap_physmap_covers(first, end))
		return arch_phys_to_virt(pa);
	if ((va = pmap_kreserve(end - first)) == 0)
		return NULL;
	for (paddr_t p = first; p < end; p += PAGE_SIZE)
		if (pmap_kenter_bits(va + (p - first), p | bits) != 0)
			return NULL;
	return (void *)(va + (pa - first));
}
