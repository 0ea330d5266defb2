/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own page tables.
 *
 *	0xffff800000000000  direct map, by GiB that holds RAM; RW, never executable
 *	0xffffc00000000000  kernel stacks        } tables made on demand, but the top-level entries exist
 *	0xffffd00000000000  device registers     } from the start: every pmap copies them once
 *	0xffffffff80000000  the image: text RX, constants R, data RW
 *
 * Nothing is both writable and executable, and nothing is mapped at low addresses.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/md.h>
#include <arch/pmap_md.h>
#include <kernel/bootinfo.h>
#include <kernel/cpu.h>
#include <kernel/panic.h>

#define CPUID_EXT            0x80000001u
#define CPUID_EXT_EDX_NX     (1u << 20)
#define CPUID_EXT_EDX_PAGE1G (1u << 26)

#define GIB   ((paddr_t)1 << PDPT_SHIFT)
#define LARGE ((paddr_t)1 << PD_SHIFT)

/* By linker.ld. */
extern char __text_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[],
    __bss_end[];

static uint64_t kernel_pml4[PT_ENTRIES] __aligned(4096);
static bool have_1g;
static uint64_t gib_mapped[64]; /* bit per GiB of physical memory: up to 4 TiB */

static uint64_t *
early_table(void)
{
	uint64_t *table = arch_phys_to_virt(pmem_early_alloc());

	for (unsigned i = 0; i < PT_ENTRIES; i++)
		table[i] = 0;
	return table;
}

static uint64_t *
early_next(uint64_t *table, unsigned index)
{
	if (table[index] == 0)
		table[index] = arch_virt_to_phys(early_table()) | PTE_TABLE;
	return pte_table(table[index]);
}

static void
map_image(const char *start, const char *end, uint64_t bits)
{
	for (vaddr_t va = (vaddr_t)start; va < (vaddr_t)end; va += PAGE_SIZE) {
		uint64_t *table = kernel_pml4;

		for (unsigned shift = PML4_SHIFT; shift > PT_SHIFT;
		     shift -= PML4_SHIFT - PDPT_SHIFT)
			table = early_next(table, PT_INDEX(va, shift));
		table[PT_INDEX(va, PT_SHIFT)] = (va - KIMAGE_BASE) | PTE_KERNEL | bits;
	}
}

static void
map_gib(paddr_t pa)
{
	vaddr_t va = PHYSMAP_BASE + pa;
	unsigned gib = (unsigned)(pa >> PDPT_SHIFT);
	uint64_t *pdpt, *pd;

	if (gib >= 64 * ARRAY_SIZE(gib_mapped) || (gib_mapped[gib / 64] >> (gib % 64) & 1) != 0)
		return;
	gib_mapped[gib / 64] |= (uint64_t)1 << (gib % 64);
	pdpt = early_next(kernel_pml4, PT_INDEX(va, PML4_SHIFT));
	if (have_1g) {
		pdpt[PT_INDEX(va, PDPT_SHIFT)] = pa | PTE_KERNEL | PTE_W | PTE_NX | PTE_PS;
		return;
	}
	pd = early_next(pdpt, PT_INDEX(va, PDPT_SHIFT));
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		pd[i] = (pa + i * LARGE) | PTE_KERNEL | PTE_W | PTE_NX | PTE_PS;
}

static void
map_range(paddr_t start, paddr_t end)
{
	for (paddr_t pa = start & ~(GIB - 1); pa < end; pa += GIB)
		map_gib(pa);
}

static void
paging_features(void)
{
	uint64_t cr0;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	__asm volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm volatile("movq %0, %%cr0" ::"r"(cr0 | CR0_WP));
}

void
pmap_bootstrap(const struct bootinfo *bi)
{
	uint32_t features = cpuid(CPUID_EXT, 0).edx; /* 0 if the processor has no such leaf */

	if ((features & CPUID_EXT_EDX_NX) == 0)
		panic("CPU without no-execute pages");
	have_1g = (features & CPUID_EXT_EDX_PAGE1G) != 0;

	pmem_early_init(bi, PMAP_BOOT_LIMIT);
	map_image(__text_start, __text_end, 0);
	map_image(__rodata_start, __rodata_end, PTE_NX);
	map_image(__data_start, boot_stack_guard, PTE_W | PTE_NX);
	map_image(boot_stack_guard + PAGE_SIZE, __bss_end, PTE_W | PTE_NX);
	map_range(0, GIB); /* image, firmware tables, AP start page */
	for (unsigned i = 0; i < bi->bi_nram; i++)
		map_range(bi->bi_ram[i].start, bi->bi_ram[i].end);
	map_range(bi->bi_ramdisk, bi->bi_ramdisk_end);
	(void)early_next(kernel_pml4, PT_INDEX(KSTACK_BASE, PML4_SHIFT));
	(void)early_next(kernel_pml4, PT_INDEX(DEVICE_BASE, PML4_SHIFT));
	arch_kasan_bootstrap(kernel_pml4, bi, pmap_physmap_covers);

	kernel_pmap.pm_pml4 = kernel_pml4;
	kernel_pmap.pm_cr3 = arch_virt_to_phys(kernel_pml4);
	kernel_pmap.pm_hint = PMAP_NOHINT;
	paging_features();
	pmap_load_cr3(kernel_pmap.pm_cr3);
	pmap_write_cr4(pmap_read_cr4() | CR4_PGE);
}

void
pmap_cpu_init(void)
{
	paging_features();
	pmap_load_cr3(kernel_pmap.pm_cr3);
	pmap_write_cr4(pmap_read_cr4() | CR4_PGE);
}

paddr_t
pmap_kernel_cr3(void)
{
	return kernel_pmap.pm_cr3;
}

bool
pmap_physmap_covers(paddr_t start, paddr_t end)
{
	for (paddr_t pa = start & ~(GIB - 1); pa < end; pa += GIB) {
		unsigned gib = (unsigned)(pa >> PDPT_SHIFT);

		if (gib >= 64 * ARRAY_SIZE(gib_mapped) ||
		    (gib_mapped[gib / 64] >> (gib % 64) & 1) == 0)
			return false;
	}
	return true;
}
