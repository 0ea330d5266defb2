/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables: what the pmap files share, and what other files of the machine layer may call.
 * layer: arch
 */
#ifndef ARCH_PMAP_MD_H
#define ARCH_PMAP_MD_H

#include <arch/arch_if.h>
#include <kernel/pmem.h>
#include <kernel/types.h>

struct bootinfo;

/* ---- for the machine layer ---- */

/* The boot tables must map the direct map up to here, and the kernel image: pmap_bootstrap() needs both. */
#define PMAP_BOOT_LIMIT ((paddr_t)1 << 30)
/* Paging features of this CPU and the kernel's tables. => CPU other than the boot CPU, before anything else */
void pmap_cpu_init(void);
paddr_t pmap_kernel_cr3(void);
/*
 * Firmware tables and device registers: a pointer to them, through the direct map where it reaches, else by a
 * mapping that stays for ever. `device` = not cached. NULL when out of memory.
 * => after pmem_init
 */
void *pmap_map_phys(paddr_t, size_t, bool device);
/* Finds the instructions that arch_zero_page() may use. => this CPU's XCR0 and CR4 have their final values */
void arch_page_init(void);

/* ---- entries ---- */

#define PTE_P    0x001ul
#define PTE_W    0x002ul
#define PTE_U    0x004ul /* set in every user entry, so that no mapped entry is 0 */
#define PTE_PWT  0x008ul
#define PTE_PCD  0x010ul
#define PTE_A    0x020ul
#define PTE_D    0x040ul
#define PTE_PS   0x080ul /* large page */
#define PTE_G    0x100ul
#define PTE_NX   0x8000000000000000ul
#define PTE_ADDR 0x000ffffffffff000ul

/* A and D are set from the start: the CPU then never writes to an entry of ours. */
#define PTE_TABLE  (PTE_P | PTE_W | PTE_A)
#define PTE_UTABLE (PTE_TABLE | PTE_U)
#define PTE_KERNEL (PTE_P | PTE_A | PTE_D | PTE_G)

#define PT_ENTRIES          512u
#define PT_SHIFT            12
#define PD_SHIFT            21
#define PDPT_SHIFT          30
#define PML4_SHIFT          39
#define PT_INDEX(va, shift) ((unsigned)((va) >> (shift)) & (PT_ENTRIES - 1))
#define PML4_USER           256u /* entries of the user's half */

/*
 * struct pmap, field locks: (v) the locks of the owner, see struct vmspace (c) constant (a) atomic
 *
 * Each page-table page of a user pmap has in its struct page the number of entries in use (pg_count) and a
 * bitmap of the groups of 8 entries that may hold some (pg_groups), so that a walk skips what is empty.
 */
struct pmap {
	cpuset_t pm_active;   /* (a) CPUs that have it loaded, or are about to */
	paddr_t pm_cr3;       /* (c) */
	uint64_t *pm_pml4;    /* (c) */
	vaddr_t pm_hint;      /* (v) address >> PD_SHIFT of the table used last, or PMAP_NOHINT */
	uint64_t *pm_hint_pt; /* (v) that table */
	size_t pm_resident;   /* (v) user pages entered */
	size_t pm_tables;     /* (v) page-table pages below the PML4 */
	struct pmap *pm_next; /* (v) free list of a CPU */
};

#define PMAP_NOHINT (~(vaddr_t)0)

extern struct pmap kernel_pmap;
extern const uint64_t pmap_prot_bits[8]; /* by PROT_* */

static inline int
pte_prot(uint64_t pte)
{
	if ((pte & PTE_P) == 0)
		return 0;
	return PROT_R | ((pte & PTE_W) != 0 ? PROT_W : 0) | ((pte & PTE_NX) == 0 ? PROT_X : 0);
}

static inline uint64_t *
pte_table(uint64_t pte)
{
	return arch_phys_to_virt(pte & PTE_ADDR);
}

/* ---- pmap_table.c ---- */

/* Page tables full of zeros, kept per CPU: a table is given back when its last entry was cleared. */
uint64_t *pmap_table_alloc(void);
void pmap_table_free(uint64_t *);
/* The last-level table of va, or NULL; with `make`, missing tables are made (NULL: out of memory). */
uint64_t *pmap_pt_walk(struct pmap *, vaddr_t va, bool make);
uint64_t *pmap_pt_search(struct pmap *, vaddr_t *va, vaddr_t end);
/* Takes the empty last-level table of va out of the tree, and the tables above that become empty. */
void pmap_pt_unlink(struct pmap *, vaddr_t va, struct page **list);

static inline uint64_t *
pmap_pt_find(struct pmap *pm, vaddr_t va)
{
	return likely(va >> PD_SHIFT == pm->pm_hint) ? pm->pm_hint_pt : pmap_pt_walk(pm, va, false);
}

static inline uint64_t *
pmap_pt_get(struct pmap *pm, vaddr_t va)
{
	return likely(va >> PD_SHIFT == pm->pm_hint) ? pm->pm_hint_pt : pmap_pt_walk(pm, va, true);
}

/* First existing last-level table for an address in [*va, end); *va moves up to the first address in it. */
static inline uint64_t *
pmap_pt_next(struct pmap *pm, vaddr_t *va, vaddr_t end)
{
	if (*va >= end)
		return NULL;
	return likely(*va >> PD_SHIFT == pm->pm_hint) ? pm->pm_hint_pt
						      : pmap_pt_search(pm, va, end);
}

/* ---- pmap_tlb.c ---- */

#define TLB_BATCH 32u /* more pages than that: flush all */

/* Flushes the pages va[0..n-1], or with n > TLB_BATCH everything, on all CPUs where the pmap is active. */
void pmap_tlb_flush(struct pmap *, const vaddr_t *va, unsigned n);
/* Kernel mappings, on all CPUs. */
void pmap_tlb_flush_kernel(vaddr_t, size_t);

static inline void
pmap_load_cr3(paddr_t pa)
{
	__asm volatile("movq %0, %%cr3" ::"r"(pa) : "memory");
}

static inline void
pmap_invlpg(vaddr_t va)
{
	__asm volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline uint64_t
pmap_read_cr4(void)
{
	uint64_t v;

	__asm volatile("movq %%cr4, %0" : "=r"(v));
	return v;
}

static inline void
pmap_write_cr4(uint64_t v)
{
	__asm volatile("movq %0, %%cr4" ::"r"(v) : "memory");
}

/* ---- pmap_kernel.c, pmap_boot.c ---- */

#define DEVICE_BASE 0xffffd00000000000ul
#define DEVICE_AREA 0x8000000000ul /* bytes: one top-level entry */

bool pmap_physmap_covers(paddr_t start, paddr_t end);
int pmap_kenter_bits(vaddr_t, uint64_t pte);

/* ---- kasan.c: only with KASAN ---- */

/* Enters the shadow into the kernel's tables; `covers`: is it in the direct map? => as pmap_bootstrap() */
void arch_kasan_bootstrap(
    uint64_t *pml4, const struct bootinfo *, bool (*covers)(paddr_t start, paddr_t end));
#ifndef KASAN
#define arch_kasan_bootstrap(pml4, bi, covers) ((void)0)
#endif

/* ---- walking ---- */

typedef void pmap_visit_t(void *ctx, vaddr_t va, uint64_t *pte);

/* The groups that may hold entries in use, of those that [va, stop), all in table `pt`, touches. */
static inline uint64_t
pmap_pt_groups(const uint64_t *pt, vaddr_t va, vaddr_t stop)
{
	return virt_to_page(pt)->pg_groups & (~(uint64_t)0 << (PT_INDEX(va, PT_SHIFT) >> 3)) &
	    (~(uint64_t)0 >> (63 - (PT_INDEX(stop - 1, PT_SHIFT) >> 3)));
}

/*
 * Calls visit for each entry in use of table `pt` for addresses in [va, stop), all in this one table; `groups`
 * by pmap_pt_groups(). Inlined with the visitor, which is a constant.
 */
static inline __attribute__((always_inline)) void
pmap_pt_visit(
    uint64_t *pt, vaddr_t va, vaddr_t stop, uint64_t groups, pmap_visit_t *visit, void *ctx)
{
	uint64_t *first = &pt[PT_INDEX(va, PT_SHIFT)], *last = &pt[PT_INDEX(stop - 1, PT_SHIFT)];
	vaddr_t base = va & ~(((vaddr_t)1 << PD_SHIFT) - 1);

	for (; groups != 0; groups &= groups - 1) {
		uint64_t *p = pt + ((unsigned)__builtin_ctzl(groups) << 3);
		uint64_t *e = p + 7;

		if (p < first)
			p = first;
		if (e > last)
			e = last;
		for (; p <= e; p++)
			if (*p != 0)
				visit(ctx, base + ((vaddr_t)(p - pt) << PT_SHIFT), p);
	}
}

/* End of the last-level table that holds va, or `end` if that comes first. */
static inline vaddr_t
pmap_pt_end(vaddr_t va, vaddr_t end)
{
	vaddr_t stop = ((va >> PD_SHIFT) + 1) << PD_SHIFT;

	return stop < end ? stop : end;
}

static inline void
pmap_pt_mark(struct page *pg, unsigned index)
{
	pg->pg_count++;
	pg->pg_groups |= (uint64_t)1 << (index >> 3);
}

#endif
