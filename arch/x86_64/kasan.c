/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the shadow of SAN=kasan, <kernel/kasan.h>.
 *
 * The compiler writes to the shadow of the stack from the first function on, so the boot page tables get one page for
 * all of the image. pmap_bootstrap() then makes the real one: pages of its own for the image and for RAM, one page of
 * zeros for what the direct map has besides. Kernel stacks get theirs when they are made, for ever.
 */
#include <kernel/kasan.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/md.h>
#include <arch/pmap_md.h>
#include <kernel/bootinfo.h>
#include <kernel/panic.h>

#define BLOCK ((paddr_t)PAGE_SIZE * KASAN_GRANULE) /* what a page of shadow stands for */
#define IMAGE ((size_t)64 << 20)                   /* as in linker.ld */

extern uint64_t boot_pml4[];
extern char __text_start[], __bss_end[];
extern uintptr_t arch_kasan_end;
uintptr_t arch_kasan_end;

static uint64_t boot_pdpt[PT_ENTRIES] __aligned(4096);
static uint64_t boot_pd[PT_ENTRIES] __aligned(4096);
static uint64_t boot_pt[PT_ENTRIES] __aligned(4096);
static char boot_shadow[PAGE_SIZE] __aligned(4096);
static paddr_t zero_page;

void
arch_kasan_boot(void)
{
	vaddr_t va = kasan_shadow(KIMAGE_BASE);

	for (unsigned i = 0; i < PT_ENTRIES; i++)
		boot_pt[i] = arch_virt_to_phys(boot_shadow) | PTE_KERNEL | PTE_W;
	for (size_t n = 0; n < IMAGE / KASAN_GRANULE; n += (size_t)1 << PD_SHIFT)
		boot_pd[PT_INDEX(va + n, PD_SHIFT)] = arch_virt_to_phys(boot_pt) | PTE_TABLE;
	boot_pdpt[PT_INDEX(va, PDPT_SHIFT)] = arch_virt_to_phys(boot_pd) | PTE_TABLE;
	boot_pml4[PT_INDEX(va, PML4_SHIFT)] = arch_virt_to_phys(boot_pdpt) | PTE_TABLE;
}

static paddr_t
zeroed(void)
{
	paddr_t pa = pmem_early_alloc();
	uint64_t *p = arch_phys_to_virt(pa);

	for (unsigned i = 0; i < PT_ENTRIES; i++)
		p[i] = 0;
	return pa;
}

static void
map(uint64_t *table, vaddr_t va, bool ram)
{
	uint64_t *slot;

	for (unsigned shift = PML4_SHIFT; shift > PT_SHIFT; shift -= PML4_SHIFT - PDPT_SHIFT) {
		slot = &table[PT_INDEX(va, shift)];
		if (*slot == 0)
			*slot = zeroed() | PTE_TABLE;
		table = pte_table(*slot);
	}
	slot = &table[PT_INDEX(va, PT_SHIFT)];
	if (*slot == 0 && ram)
		*slot = zeroed() | PTE_KERNEL | PTE_W | PTE_NX;
	else if (*slot == 0)
		*slot = zero_page | PTE_KERNEL | PTE_NX;
}

static bool
has_ram(const struct bootinfo *bi, paddr_t pa)
{
	for (unsigned i = 0; i < bi->bi_nram; i++)
		if (bi->bi_ram[i].start < pa + BLOCK && pa < bi->bi_ram[i].end)
			return true;
	return false;
}

void
arch_kasan_bootstrap(uint64_t *pml4, const struct bootinfo *bi, bool (*covers)(paddr_t, paddr_t))
{
	paddr_t end = (paddr_t)1 << PDPT_SHIFT;

	zero_page = zeroed();
	for (vaddr_t va = trunc_page((vaddr_t)__text_start); va < (vaddr_t)__bss_end; va += BLOCK)
		map(pml4, kasan_shadow(va), true);
	map(pml4, kasan_shadow((vaddr_t)__bss_end - 1), true);
	for (unsigned i = 0; i < bi->bi_nram; i++)
		end = max(end, bi->bi_ram[i].end);
	end = roundup(end, (paddr_t)1 << PDPT_SHIFT);
	for (paddr_t pa = 0; pa < end; pa += BLOCK)
		if (covers(pa, pa + BLOCK))
			map(pml4, kasan_shadow(arch_phys_to_virt(pa)), has_ram(bi, pa));
	arch_kasan_end = (uintptr_t)arch_phys_to_virt(end);
	map(pml4, kasan_shadow(KSTACK_BASE), true); /* brings the top-level entry */
}

int
arch_kasan_map(vaddr_t va, size_t len)
{
	vaddr_t end = kasan_shadow(va + len);
	struct page *pg;
	paddr_t pa;

	for (vaddr_t s = trunc_page(kasan_shadow(va)); s < end; s += PAGE_SIZE) {
		if (pmap_kextract(s, &pa))
			continue;
		if ((pg = page_alloc_zeroed(PG_MISC)) == NULL)
			return -ENOMEM;
		if (pmap_kenter(s, page_to_phys(pg), PROT_R | PROT_W) != 0) {
			page_free(pg);
			return -ENOMEM;
		}
	}
	return 0;
}
