/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User mappings: enter, look up, protect, copy for fork. Removal is in pmap_remove.c.
 *
 * An entry that is not 0 is a mapped page; one without PTE_P is mapped with no access (PROT_NONE). The owner's
 * locks (struct vmspace, letter p) cover all entries of a pmap, and as A and D are set from the start, no CPU
 * writes to them: plain loads and stores do.
 *
 * Giving more rights needs no flush: a CPU with the old translation faults, which drops that translation, and
 * looks again. Taking rights away or changing the page does. Another page is entered only when no CPU has the old one
 * any more: else one could write to the new page, and say so, to another that still reads the old one.
 */
#include <arch/arch_if.h>
#include <arch/pmap_md.h>
#include <kernel/panic.h>

#include <abi/errno.h>

struct pmap kernel_pmap;

#define USER_BITS (PTE_U | PTE_A)

const uint64_t pmap_prot_bits[8] = {
	[0] = USER_BITS | PTE_NX,
	[PROT_R] = USER_BITS | PTE_P | PTE_NX,
	[PROT_W] = USER_BITS | PTE_P | PTE_NX | PTE_W | PTE_D,
	[PROT_R | PROT_W] = USER_BITS | PTE_P | PTE_NX | PTE_W | PTE_D,
	[PROT_X] = USER_BITS | PTE_P,
	[PROT_R | PROT_X] = USER_BITS | PTE_P,
	[PROT_W | PROT_X] = USER_BITS | PTE_P | PTE_W | PTE_D,
	[PROT_R | PROT_W | PROT_X] = USER_BITS | PTE_P | PTE_W | PTE_D,
};

struct pmap *
pmap_kernel(void)
{
	return &kernel_pmap;
}

/* Does a CPU that still uses `old` do what `now` forbids? */
static inline bool
pte_stale(uint64_t old, uint64_t now)
{
	if ((old & PTE_P) == 0)
		return false;
	return (now & PTE_P) == 0 || ((old ^ now) & PTE_ADDR) != 0 || (old & ~now & PTE_W) != 0 ||
	    (now & ~old & PTE_NX) != 0;
}

int
pmap_enter(struct pmap *pm, vaddr_t va, paddr_t pa, int prot)
{
	uint64_t *pt = pmap_pt_get(pm, va);
	unsigned index = PT_INDEX(va, PT_SHIFT);
	uint64_t old, now;

	KASSERT(
	    (va & PAGE_MASK) == 0 && (pa & ~PTE_ADDR) == 0 && (prot & ~7) == 0 && va < USER_END);
	if (unlikely(pt == NULL))
		return -ENOMEM;
	now = pa | pmap_prot_bits[prot];
	old = pt[index];
	if (likely(old == 0)) {
		pmap_pt_mark(virt_to_page(pt), index);
		pm->pm_resident++;
	} else if (pte_stale(old, now)) {
		pt[index] = old & ~PTE_P;
		pmap_tlb_flush(pm, &va, 1);
	}
	pt[index] = now;
	return 0;
}

int
pmap_enter_new(struct pmap *pm, vaddr_t va, paddr_t pa, int prot)
{
	uint64_t *pt = pmap_pt_get(pm, va);
	unsigned index = PT_INDEX(va, PT_SHIFT);

	KASSERT(
	    (va & PAGE_MASK) == 0 && (pa & ~PTE_ADDR) == 0 && (prot & ~7) == 0 && va < USER_END);
	if (unlikely(pt == NULL))
		return -ENOMEM;
	if (unlikely(pt[index] != 0))
		return -EEXIST;
	pt[index] = pa | pmap_prot_bits[prot];
	pmap_pt_mark(virt_to_page(pt), index);
	pm->pm_resident++;
	return 0;
}

bool
pmap_extract(struct pmap *pm, vaddr_t va, paddr_t *pa, int *prot)
{
	uint64_t *pt = pmap_pt_find(pm, va);
	uint64_t pte;

	if (pt == NULL || (pte = pt[PT_INDEX(va, PT_SHIFT)]) == 0)
		return false;
	*pa = pte & PTE_ADDR;
	*prot = pte_prot(pte);
	return true;
}

vaddr_t
pmap_next(struct pmap *pm, vaddr_t va, vaddr_t end)
{
	return pmap_pt_next(pm, &va, end) != NULL ? va : end;
}

struct walk_ctx {
	void (*fn)(void *, vaddr_t, paddr_t, int);
	void *arg;
};

static inline void
walk_visit(void *ctx, vaddr_t va, uint64_t *pte)
{
	const struct walk_ctx *w = ctx;

	w->fn(w->arg, va, *pte & PTE_ADDR, pte_prot(*pte));
}

void
pmap_walk(struct pmap *pm, vaddr_t start, vaddr_t end, void (*fn)(void *, vaddr_t, paddr_t, int),
    void *arg)
{
	struct walk_ctx w = { fn, arg };
	uint64_t *pt;

	for (vaddr_t va = start, stop; (pt = pmap_pt_next(pm, &va, end)) != NULL; va = stop) {
		stop = pmap_pt_end(va, end);
		pmap_pt_visit(pt, va, stop, pmap_pt_groups(pt, va, stop), walk_visit, &w);
	}
}

struct protect_ctx {
	uint64_t bits;
	unsigned n; /* stale entries */
	vaddr_t va[TLB_BATCH];
};

static inline void
protect_visit(void *ctx, vaddr_t va, uint64_t *pte)
{
	struct protect_ctx *c = ctx;
	uint64_t old = *pte, now = (old & PTE_ADDR) | c->bits;

	*pte = now;
	if (pte_stale(old, now)) {
		if (c->n < TLB_BATCH)
			c->va[c->n] = va;
		c->n++;
	}
}

void
pmap_protect(struct pmap *pm, vaddr_t start, vaddr_t end, int prot)
{
	struct protect_ctx c;
	uint64_t *pt;

	c.bits = pmap_prot_bits[prot];
	c.n = 0;
	for (vaddr_t va = start, stop; (pt = pmap_pt_next(pm, &va, end)) != NULL; va = stop) {
		stop = pmap_pt_end(va, end);
		pmap_pt_visit(pt, va, stop, pmap_pt_groups(pt, va, stop), protect_visit, &c);
	}
	if (c.n != 0)
		pmap_tlb_flush(pm, c.va, c.n);
}

/* ---- fork ---- */

struct copy_ctx {
	uint64_t keep;      /* bits of the entry that stay */
	ptrdiff_t delta;    /* from an entry to the child's, in bytes */
	struct page *pages; /* pmem_pages */
	unsigned n;
	void (*fn)(void *, paddr_t);
	void *arg;
};

static inline uint64_t
copy_entry(struct copy_ctx *c, uint64_t *pte)
{
	uint64_t e = *pte & c->keep;
	uint64_t *to = (uint64_t *)((char *)pte + c->delta);

	KASSERT(*to == 0);
	*pte = e;
	*to = e;
	c->n++;
	return e;
}

static inline void
copy_visit(void *ctx, vaddr_t va __unused, uint64_t *pte)
{
	struct copy_ctx *c = ctx;

	page_ref(c->pages + ((copy_entry(c, pte) & PTE_ADDR) >> PAGE_SHIFT));
}

static inline void
copy_visit_fn(void *ctx, vaddr_t va __unused, uint64_t *pte)
{
	struct copy_ctx *c = ctx;

	c->fn(c->arg, copy_entry(c, pte) & PTE_ADDR);
}

int
pmap_copy(struct pmap *dst, struct pmap *src, vaddr_t start, vaddr_t end, bool cow,
    void (*fn)(void *, paddr_t), void *arg)
{
	struct copy_ctx c = {
		.keep = cow ? ~PTE_W : ~(uint64_t)0, .pages = pmem_pages, .fn = fn, .arg = arg
	};
	uint64_t *pt;

	KASSERT(dst != src);
	for (vaddr_t va = start, stop; (pt = pmap_pt_next(src, &va, end)) != NULL; va = stop) {
		uint64_t *to, groups;
		struct page *pg;

		stop = pmap_pt_end(va, end);
		groups = pmap_pt_groups(pt, va, stop);
		if (groups == 0)
			continue;
		to = pmap_pt_get(dst, va);
		if (to == NULL)
			return -ENOMEM;
		c.delta = (char *)to - (char *)pt;
		c.n = 0;
		if (fn == NULL)
			pmap_pt_visit(pt, va, stop, groups, copy_visit, &c);
		else
			pmap_pt_visit(pt, va, stop, groups, copy_visit_fn, &c);
		pg = virt_to_page(to);
		pg->pg_groups |= groups;
		pg->pg_count += (uint16_t)c.n;
		dst->pm_resident += c.n;
	}
	return 0;
}

size_t
pmap_resident(const struct pmap *pm)
{
	return pm->pm_resident;
}
