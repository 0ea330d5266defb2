/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table pages: making, finding and freeing them; pmap_create() and pmap_destroy().
 *
 * A table is freed when its last entry was cleared, so it is full of zeros: it goes to a cache of the CPU and
 * is used again without clearing. A destroyed pmap keeps its top-level table in the same way, with the kernel's
 * half in place; that half never changes after boot (pmap_boot.c makes all top-level entries it will need).
 */
#include <arch/arch_if.h>
#include <arch/pmap_md.h>
#include <kernel/cpu.h>
#include <kernel/kmem.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#define TABLES_CACHED 32u
#define PMAPS_CACHED  8u

/* struct table_cache, field locks: (o) this CPU only, interrupts off; others read it to sum up */
struct table_cache {
	uint32_t tc_ntables;                /* (o) */
	uint32_t tc_npmaps;                 /* (o) */
	struct pmap *tc_pmaps;              /* (o) list by pm_next */
	uint64_t *tc_tables[TABLES_CACHED]; /* (o) */
} __cacheline_aligned;

static struct table_cache table_caches[MAXCPUS];

static inline struct table_cache *
this_cache(void)
{
	struct table_cache *tc = &table_caches[arch_curcpu()->ci_index];

	/* Keeps the compiler from computing the address anew for each field. */
	__asm("" : "+r"(tc));
	return tc;
}

#ifdef DEBUG
static void
assert_zero(const uint64_t *table, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		KASSERTMSG(
		    table[i] == 0, "table %p entry %u is %#lx", (const void *)table, i, table[i]);
}
#else
#define assert_zero(table, n) ((void)0)
#endif

static uint64_t *__noinline
table_alloc_slow(void)
{
	struct page *pg = user_alloc_ok(PAGE_SIZE) ? page_alloc_zeroed(PG_TABLE) : NULL;

	if (pg == NULL)
		return NULL;
	pg->pg_groups = 0;
	return page_to_virt(pg);
}

uint64_t *
pmap_table_alloc(void)
{
	bool on = arch_intr_disable();
	struct table_cache *tc = this_cache();
	uint32_t n = tc->tc_ntables;
	uint64_t *table;

	if (unlikely(n == 0)) {
		arch_intr_restore(on);
		return table_alloc_slow();
	}
	tc->tc_ntables = --n;
	table = tc->tc_tables[n];
	arch_intr_restore(on);
	assert_zero(table, PT_ENTRIES);
	return table;
}

void
pmap_table_free(uint64_t *table)
{
	struct page *pg = virt_to_page(table);
	struct table_cache *tc;
	uint32_t n;
	bool on;

	assert_zero(table, PT_ENTRIES);
	pg->pg_count = 0;
	pg->pg_groups = 0;
	on = arch_intr_disable();
	tc = this_cache();
	n = tc->tc_ntables;
	if (unlikely(n == TABLES_CACHED)) {
		arch_intr_restore(on);
		page_free(pg);
		return;
	}
	tc->tc_tables[n] = table;
	tc->tc_ntables = n + 1;
	arch_intr_restore(on);
}

size_t
pmap_cached(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < MAXCPUS; i++)
		n += atomic_load_relaxed(&table_caches[i].tc_npmaps);
	return n;
}

size_t
pmap_table_pages(void)
{
	size_t n = pmem_count(PG_TABLE) - pmap_cached();

	for (unsigned i = 0; i < MAXCPUS; i++)
		n -= atomic_load_relaxed(&table_caches[i].tc_ntables);
	return n;
}

/* ---- pmaps ---- */

struct pmap *
pmap_create(void)
{
	bool on = arch_intr_disable();
	struct table_cache *tc = this_cache();
	struct pmap *pm = tc->tc_pmaps;

	if (likely(pm != NULL)) {
		tc->tc_pmaps = pm->pm_next;
		tc->tc_npmaps--;
		arch_intr_restore(on);
		assert_zero(pm->pm_pml4, PML4_USER);
		return pm;
	}
	arch_intr_restore(on);

	pm = kmem_alloc(sizeof(*pm));
	if (pm == NULL)
		return NULL;
	*pm = (struct pmap){ .pm_pml4 = pmap_table_alloc(), .pm_hint = PMAP_NOHINT };
	if (pm->pm_pml4 == NULL) {
		kmem_free(pm, sizeof(*pm));
		return NULL;
	}
	memcpy(pm->pm_pml4 + PML4_USER, kernel_pmap.pm_pml4 + PML4_USER,
	    (PT_ENTRIES - PML4_USER) * sizeof(uint64_t));
	pm->pm_cr3 = arch_virt_to_phys(pm->pm_pml4);
	return pm;
}

void
pmap_destroy(struct pmap *pm)
{
	bool on;
	struct table_cache *tc;

	KASSERT(pm != &kernel_pmap);
	KASSERTMSG(atomic_load_relaxed(&pm->pm_active) == 0, "pmap %p is active on CPUs %#lx",
	    (void *)pm, (unsigned long)pm->pm_active);
	KASSERTMSG(pm->pm_resident == 0 && pm->pm_tables == 0, "pmap %p has %zu pages, %zu tables",
	    (void *)pm, pm->pm_resident, pm->pm_tables);
	KASSERT(pm->pm_hint == PMAP_NOHINT);

	on = arch_intr_disable();
	tc = this_cache();
	if (likely(tc->tc_npmaps < PMAPS_CACHED)) {
		pm->pm_next = tc->tc_pmaps;
		tc->tc_pmaps = pm;
		tc->tc_npmaps++;
		arch_intr_restore(on);
		return;
	}
	arch_intr_restore(on);
	memset(pm->pm_pml4 + PML4_USER, 0, (PT_ENTRIES - PML4_USER) * sizeof(uint64_t));
	pmap_table_free(pm->pm_pml4);
	kmem_free(pm, sizeof(*pm));
}

/* ---- walking ---- */

/* Entry `index` of `table`, a fresh table put there if it is empty; 0: out of memory. */
static inline uint64_t
entry_get(struct pmap *pm, uint64_t *table, unsigned index, bool make)
{
	uint64_t e = table[index];
	uint64_t *made;

	if (likely(e != 0))
		return e;
	if (!make || (made = pmap_table_alloc()) == NULL)
		return 0;
	table[index] = e = arch_virt_to_phys(made) | PTE_UTABLE;
	pmap_pt_mark(virt_to_page(table), index);
	pm->pm_tables++;
	return e;
}

/* A failure half way leaves empty tables behind; the next removal or the exit frees them. */
uint64_t *
pmap_pt_walk(struct pmap *pm, vaddr_t va, bool make)
{
	uint64_t *table;
	uint64_t e;

	KASSERT(pm != &kernel_pmap && va < USER_END);
	if ((e = entry_get(pm, pm->pm_pml4, PT_INDEX(va, PML4_SHIFT), make)) == 0 ||
	    (e = entry_get(pm, pte_table(e), PT_INDEX(va, PDPT_SHIFT), make)) == 0 ||
	    (e = entry_get(pm, pte_table(e), PT_INDEX(va, PD_SHIFT), make)) == 0)
		return NULL;
	table = pte_table(e);
	pm->pm_hint = va >> PD_SHIFT;
	pm->pm_hint_pt = table;
	return table;
}

uint64_t *
pmap_pt_search(struct pmap *pm, vaddr_t *vap, vaddr_t end)
{
	vaddr_t va = *vap;

	while (va < end) {
		uint64_t *table = pm->pm_pml4;
		unsigned shift = PML4_SHIFT;

		for (; shift > PT_SHIFT; shift -= PML4_SHIFT - PDPT_SHIFT) {
			uint64_t e = table[PT_INDEX(va, shift)];

			if (e == 0)
				break;
			table = pte_table(e);
		}
		if (shift == PT_SHIFT) {
			pm->pm_hint = va >> PD_SHIFT;
			pm->pm_hint_pt = table;
			*vap = va;
			return table;
		}
		va = ((va >> shift) + 1) << shift;
	}
	return NULL;
}

void
pmap_pt_unlink(struct pmap *pm, vaddr_t va, struct page **list)
{
	uint64_t *path[4]; /* the tables from the top down */
	unsigned level, shift = PML4_SHIFT;

	path[0] = pm->pm_pml4;
	for (level = 1; level < 4; level++, shift -= PML4_SHIFT - PDPT_SHIFT)
		path[level] = pte_table(path[level - 1][PT_INDEX(va, shift)]);
	pm->pm_hint = PMAP_NOHINT;
	for (level = 3, shift = PD_SHIFT; level > 0; level--, shift += PDPT_SHIFT - PD_SHIFT) {
		struct page *pg = virt_to_page(path[level]);

		if (pg->pg_count != 0)
			return;
		path[level - 1][PT_INDEX(va, shift)] = 0;
		virt_to_page(path[level - 1])->pg_count--;
		pm->pm_tables--;
		pg->pg_next = *list;
		*list = pg;
	}
}
