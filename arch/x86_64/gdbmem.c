/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page tables as the gdb stub walks them: in software, through the direct map, without lock or fault. A table that
 * is being torn down may lead anywhere in RAM, but never outside.
 */
#include <arch/arch_if.h>
#include <arch/pmap_md.h>
#include <kernel/string.h>

/* The entry that maps va, of whatever size (*shift); 0 if there is none. Large pages are the kernel's only. */
static uint64_t *
walk(uint64_t *table, uintptr_t va, unsigned *shift)
{
	for (*shift = PML4_SHIFT;; *shift -= PML4_SHIFT - PDPT_SHIFT) {
		uint64_t *slot = &table[PT_INDEX(va, *shift)];
		paddr_t pa = *slot & PTE_ADDR;

		if (*slot == 0)
			return NULL;
		if (*shift == PT_SHIFT || (*slot & (PTE_P | PTE_PS)) == (PTE_P | PTE_PS))
			return slot;
		if ((*slot & PTE_P) == 0 || !pmap_physmap_covers(pa, pa + PAGE_SIZE))
			return NULL;
		table = arch_phys_to_virt(pa);
	}
}

/* Where a kernel address is. *ram: the direct map has it, too. */
static bool
kernel_page(uintptr_t va, paddr_t *pa, bool *ram)
{
	unsigned shift;
	const uint64_t *slot;
	paddr_t low;

	if ((intptr_t)va >> (PML4_SHIFT + 8) != -1)
		return false;
	slot = walk(kernel_pmap.pm_pml4, va, &shift);
	if (slot == NULL || (*slot & PTE_P) == 0)
		return false;
	low = ((paddr_t)1 << shift) - 1;
	*pa = (*slot & PTE_ADDR & ~low) | (va & low);
	*ram = (*slot & PTE_PCD) == 0 &&
	    pmap_physmap_covers(trunc_page(*pa), trunc_page(*pa) + PAGE_SIZE);
	return true;
}

size_t
arch_debug_kread(uintptr_t va, void *dst, size_t n)
{
	paddr_t pa;
	bool ram;

	n = min(n, PAGE_SIZE - (va & PAGE_MASK));
	if (!kernel_page(va, &pa, &ram))
		return 0;
	if (ram) {
		memcpy(dst, arch_phys_to_virt(pa), n);
		return n;
	}
	/* Device registers: 32 bits at a time where the address allows. */
	for (size_t i = 0; i < n;) {
		if (((va + i) & 3) == 0 && n - i >= 4) {
			uint32_t v = *(volatile uint32_t *)(va + i);

			memcpy((char *)dst + i, &v, sizeof(v));
			i += sizeof(v);
		} else {
			((uint8_t *)dst)[i] = *(volatile uint8_t *)(va + i);
			i++;
		}
	}
	return n;
}

bool
arch_debug_kpage(uintptr_t va, paddr_t *pa)
{
	bool ram;

	return kernel_page(va, pa, &ram) && ram;
}

/* An entry that is not 0 maps a page, even one without access. */
bool
arch_debug_upage(const struct pmap *pm, uintptr_t va, paddr_t *pa, int *prot)
{
	unsigned shift;
	const uint64_t *slot;

	if (va >= USER_END || (slot = walk(pm->pm_pml4, va, &shift)) == NULL || shift != PT_SHIFT)
		return false;
	*pa = *slot & PTE_ADDR;
	*prot = pte_prot(*slot);
	return pmap_physmap_covers(*pa, *pa + PAGE_SIZE);
}

void
arch_debug_remap(struct pmap *pm, uintptr_t va, paddr_t pa)
{
	unsigned shift;
	uint64_t *slot = walk(pm->pm_pml4, va, &shift);

	*slot = (*slot & ~PTE_ADDR) | pa;
	pmap_invlpg(va); /* the other CPUs flush in arch_debug_load() */
}
