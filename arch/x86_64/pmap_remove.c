/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Removal of user mappings.
 *
 * While the address space may be loaded somewhere, a page and an emptied page table may be freed only after
 * every CPU that had it loaded has forgotten it. pmap_remove() needs at most two rounds of interrupts for that,
 * however many pages there are: it notes the first TLB_BATCH of them and clears their entries; the entries of
 * the rest only lose PTE_P and keep the page's address. Then it flushes, and frees: the noted pages, and by a
 * second walk the rest. Tables that the second walk empties want a second flush. No fault sees the state
 * between, for the vmspace lock is held.
 * At exit no CPU has it loaded, and pmap_remove_all() frees in one walk without any flush.
 */
#include <arch/arch_if.h>
#include <arch/pmap_md.h>
#include <kernel/panic.h>

struct remove_ctx {
	struct pmap *pm;
	void (*fn)(void *, paddr_t);
	void *arg;
	unsigned n;          /* entries to be flushed; those up to TLB_BATCH are noted below */
	unsigned count;      /* entries cleared in the present table */
	vaddr_t rest;        /* the first that was not noted */
	struct page *tables; /* emptied tables */
	vaddr_t va[TLB_BATCH];
	paddr_t pa[TLB_BATCH];
	struct page_batch pages; /* those to free, when fn is NULL */
};

static inline void
release(struct remove_ctx *c, paddr_t pa)
{
	if (c->fn != NULL)
		c->fn(c->arg, pa);
	else
		page_batch_unref(&c->pages, phys_to_page(pa));
}

static inline void
note_visit(void *ctx, vaddr_t va, uint64_t *pte)
{
	struct remove_ctx *c = ctx;
	unsigned n = c->n++;

	if (unlikely(n >= TLB_BATCH)) {
		if (n == TLB_BATCH)
			c->rest = va;
		*pte &= ~PTE_P;
		return;
	}
	c->va[n] = va;
	c->pa[n] = *pte & PTE_ADDR;
	c->count++;
	*pte = 0;
}

/* => no TLB has the page */
static inline void
release_visit(void *ctx, vaddr_t va __unused, uint64_t *pte)
{
	struct remove_ctx *c = ctx;
	paddr_t pa = *pte & PTE_ADDR;

	c->count++;
	*pte = 0;
	release(c, pa);
}

/* Forgets the groups of 8 entries that lie entirely in [va, stop): they are empty now. */
static void
forget_groups(struct page *pg, vaddr_t va, vaddr_t stop)
{
	unsigned first = (PT_INDEX(va, PT_SHIFT) + 7) >> 3;
	unsigned beyond = (PT_INDEX(stop - 1, PT_SHIFT) + 1) >> 3;

	if (first < beyond)
		pg->pg_groups &= ~((~(uint64_t)0 << first) & (~(uint64_t)0 >> (64 - beyond)));
}

/* Visits the entries of [start, end); tables that become empty go to c->tables. */
static inline __attribute__((always_inline)) void
remove_walk(struct remove_ctx *c, vaddr_t start, vaddr_t end, pmap_visit_t *visit)
{
	struct pmap *pm = c->pm;
	uint64_t *pt;

	for (vaddr_t va = start, stop; (pt = pmap_pt_next(pm, &va, end)) != NULL; va = stop) {
		struct page *pg = virt_to_page(pt);

		stop = pmap_pt_end(va, end);
		c->count = 0;
		pmap_pt_visit(pt, va, stop, pmap_pt_groups(pt, va, stop), visit, c);
		KASSERT(c->count <= pg->pg_count);
		if (likely(c->n <= TLB_BATCH)) /* else some are still to be released */
			forget_groups(pg, va, stop);
		pg->pg_count -= (uint16_t)c->count;
		pm->pm_resident -= c->count;
		if (pg->pg_count == 0)
			pmap_pt_unlink(pm, va, &c->tables);
	}
}

/* Out of line: few removals are that large. */
static void __noinline
remove_rest(struct remove_ctx *c, vaddr_t end)
{
	c->n = 0;
	remove_walk(c, c->rest, end, release_visit);
	if (c->tables != NULL)
		pmap_flush(c->pm);
}

void
pmap_remove(struct pmap *pm, vaddr_t start, vaddr_t end, void (*fn)(void *, paddr_t), void *arg)
{
	struct remove_ctx c;
	struct page *next;

	KASSERT(pm != &kernel_pmap && ((start | end) & PAGE_MASK) == 0 && end <= USER_END);
	c.pm = pm;
	c.fn = fn;
	c.arg = arg;
	c.n = 0;
	c.tables = NULL;
	c.pages.pb_count = 0;
	remove_walk(&c, start, end, note_visit);
	if (c.n != 0)
		pmap_tlb_flush(pm, c.va, c.n);
	else if (c.tables != NULL)
		pmap_flush(pm);
	for (unsigned i = 0, n = min(c.n, TLB_BATCH); i < n; i++)
		release(&c, c.pa[i]);
	if (unlikely(c.n > TLB_BATCH))
		remove_rest(&c, end);
	if (c.pages.pb_count != 0)
		page_batch_free(&c.pages);
	for (; c.tables != NULL; c.tables = next) {
		next = c.tables->pg_next;
		pmap_table_free(page_to_virt(c.tables));
	}
}

/* ---- exit ---- */

struct exit_ctx {
	void (*fn)(void *, paddr_t);
	void *arg;
	struct page_batch pages;
};

/* Clears all entries of a table; those of upper levels after the tables that they point to. */
static inline __attribute__((always_inline)) void
clear_table(uint64_t *table, struct exit_ctx *c, void (*clear)(uint64_t, struct exit_ctx *))
{
	struct page *pg = virt_to_page(table);
	uint64_t groups = pg->pg_groups;
	unsigned left = pg->pg_count;

	if (left == 0)
		return;
	for (;; groups &= groups - 1) {
		uint64_t *p = table + ((unsigned)__builtin_ctzl(groups) << 3);

		KASSERT(groups != 0);
		for (uint64_t *end = p + 8; p < end; p++) {
			uint64_t e = *p;

			if (e != 0) {
				*p = 0;
				clear(e, c);
				if (--left == 0)
					return;
			}
		}
	}
}

static inline __attribute__((always_inline)) void
clear_page(uint64_t e, struct exit_ctx *c)
{
	if (c->fn != NULL)
		c->fn(c->arg, e & PTE_ADDR);
	else
		page_batch_unref(&c->pages, phys_to_page(e & PTE_ADDR));
}

static void
clear_pt(uint64_t e, struct exit_ctx *c)
{
	uint64_t *table = pte_table(e);

	clear_table(table, c, clear_page);
	pmap_table_free(table);
}

static void
clear_pd(uint64_t e, struct exit_ctx *c)
{
	uint64_t *table = pte_table(e);

	clear_table(table, c, clear_pt);
	pmap_table_free(table);
}

static void
clear_pdpt(uint64_t e, struct exit_ctx *c)
{
	uint64_t *table = pte_table(e);

	clear_table(table, c, clear_pd);
	pmap_table_free(table);
}

void
pmap_remove_all(struct pmap *pm, void (*fn)(void *, paddr_t), void *arg)
{
	struct exit_ctx c;

	KASSERTMSG(atomic_load_relaxed(&pm->pm_active) == 0, "pmap %p is active on CPUs %#lx",
	    (void *)pm, (unsigned long)pm->pm_active);
	KASSERT(pm != &kernel_pmap);
	c.fn = fn;
	c.arg = arg;
	c.pages.pb_count = 0;
	clear_table(pm->pm_pml4, &c, clear_pdpt);
	virt_to_page(pm->pm_pml4)->pg_groups = 0;
	virt_to_page(pm->pm_pml4)->pg_count = 0;
	if (c.pages.pb_count != 0)
		page_batch_free(&c.pages);
	pm->pm_hint = PMAP_NOHINT;
	pm->pm_resident = 0;
	pm->pm_tables = 0;
}
