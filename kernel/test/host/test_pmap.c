/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User page tables against a model, with a model of the TLBs: two address spaces are entered, protected,
 * copied, and removed at random, in ranges that cross table borders. Every look-up must agree with the model; a
 * page may be freed, and rights may end, only when no CPU's TLB holds the old translation any more. A removal
 * flushes twice at most, however large it is. At the end all tables are free.
 *
 * sources: arch/x86_64/pmap.c arch/x86_64/pmap_table.c arch/x86_64/pmap_remove.c
 * sources: kernel/mem/kmem.c kernel/mem/kmem_slab.c kernel/mem/kmem_debug.c
 * sources: kernel/mem/pmem.c kernel/mem/pmem_init.c kernel/mem/pmem_debug.c kernel/mem/buddy.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h -include kernel/test/host/vm/physmap.h -Iarch/x86_64/include
 */
#include <hosttest.h>
#include <arch/pmap_md.h>
#include <kernel/kmem.h>

#include <abi/errno.h>

#include "mem/machine.h"

#define NSPACES 3
#define NPAGES  1400
#define ROUNDS  12000

/* Pages 0..699 lie around one border of 2 MiB, the others around one of 512 GiB. */
static vaddr_t
va_of(unsigned page)
{
	return page < 700
	    ? 0x40000000 - (300u << PAGE_SHIFT) + ((vaddr_t)page << PAGE_SHIFT)
	    : 0x8000000000 - (350ul << PAGE_SHIFT) + ((vaddr_t)(page - 700) << PAGE_SHIFT);
}

static unsigned
page_of(vaddr_t va)
{
	for (unsigned base = 0; base < NPAGES; base += 700)
		if (va >= va_of(base) && va < va_of(base) + (700ul << PAGE_SHIFT))
			return base + (unsigned)((va - va_of(base)) >> PAGE_SHIFT);
	return NPAGES;
}

struct map {
	paddr_t pa; /* 0 = nothing */
	int prot;
};

static struct space {
	struct pmap *pm;
	struct map map[NPAGES];
	struct map tlb[NPAGES]; /* what some CPU may still hold */
	bool active;
} spaces[NSPACES];

/* ---- the machine under the page tables ---- */

static unsigned nflush, most_flushes; /* most: of one removal */

/* The tables lead to no other page while some CPU may still use the old one: all see the writes in one order. */
static void
check_order(const struct space *s, unsigned i)
{
	struct map m;

	if (s->tlb[i].pa != 0 && pmap_extract(s->pm, va_of(i), &m.pa, &m.prot) && m.prot != 0)
		QUIET_CHECK(m.pa == s->tlb[i].pa);
}

void
pmap_tlb_flush(struct pmap *pm, const vaddr_t *va, unsigned n)
{
	for (unsigned s = 0; s < NSPACES; s++) {
		if (spaces[s].pm != pm)
			continue;
		nflush++;
		for (unsigned i = 0; i < NPAGES; i++)
			check_order(&spaces[s], i);
		for (unsigned i = 0; i < NPAGES; i++)
			if (n > TLB_BATCH)
				spaces[s].tlb[i].pa = 0;
		for (unsigned i = 0; n <= TLB_BATCH && i < n; i++) {
			QUIET_CHECK(page_of(va[i]) < NPAGES);
			spaces[s].tlb[page_of(va[i])].pa = 0;
		}
	}
}

void
pmap_flush(struct pmap *pm)
{
	pmap_tlb_flush(pm, NULL, TLB_BATCH + 1);
}

/* A CPU touches a page: the translation is loaded. */
static void
touch(struct space *s, unsigned i)
{
	struct map m = { 0, 0 };

	if (!s->active || !pmap_extract(s->pm, va_of(i), &m.pa, &m.prot) || m.prot == 0)
		return;
	if (s->tlb[i].pa == 0 || (m.prot & ~s->tlb[i].prot) != 0)
		s->tlb[i] = m; /* more rights: the fault dropped the old one */
}

/* No TLB allows more than the tables do. */
static void
check_tlb(const struct space *s)
{
	for (unsigned i = 0; i < NPAGES; i++)
		if (s->tlb[i].pa != 0)
			QUIET_CHECK(s->tlb[i].pa == s->map[i].pa &&
			    (s->tlb[i].prot & ~s->map[i].prot) == 0);
}

/* ---- model ---- */

static int
as_entered(int prot)
{
	return prot != 0 ? prot | PROT_R : 0;
}

static void
check_space(struct space *s)
{
	size_t n = 0;

	for (unsigned i = 0; i < NPAGES; i++) {
		paddr_t pa = 0;
		int prot = 0;
		bool is = pmap_extract(s->pm, va_of(i), &pa, &prot);

		QUIET_CHECK(is == (s->map[i].pa != 0));
		if (is)
			QUIET_CHECK(pa == s->map[i].pa && prot == s->map[i].prot);
		n += is;
	}
	QUIET_CHECK(pmap_resident(s->pm) == n);
	check_tlb(s);
}

static unsigned nwalked;

static void
walk_fn(void *arg, vaddr_t va, paddr_t pa, int prot)
{
	struct space *s = arg;
	unsigned i = page_of(va);

	QUIET_CHECK(i < NPAGES && s->map[i].pa == pa && s->map[i].prot == prot);
	nwalked++;
}

static void
range(unsigned *first, unsigned *last)
{
	*first = rnd(NPAGES);
	*last = *first + (rnd(3) == 0 ? rnd(700) : rnd(20));
	if (*last >= (*first < 700 ? 700u : NPAGES))
		*last = *first < 700 ? 699 : NPAGES - 1;
}

static struct space *removing;
static bool removed_page_in_tlb;

static void
remove_fn(void *arg, paddr_t pa)
{
	QUIET_CHECK(arg == &removing);
	for (unsigned i = 0; removing->active && i < NPAGES; i++)
		removed_page_in_tlb |= removing->tlb[i].pa == pa;
	page_unref(phys_to_page(pa));
}

static void
ref_fn(void *arg, paddr_t pa)
{
	QUIET_CHECK(arg == &nwalked);
	page_ref(phys_to_page(pa));
}

static void
step(void)
{
	struct space *s = &spaces[rnd(NSPACES)], *d;
	unsigned a, b, i, flushed;
	struct page *pg;
	int prot;

	range(&a, &b);
	switch (rnd(9)) {
	case 0:
	case 1:
	case 2: /* enter */
		for (i = a; i <= b && i < a + 30; i++) {
			if ((pg = page_alloc(PG_ANON)) == NULL)
				return;
			prot = (int)rnd(8);
			if (pmap_enter(s->pm, va_of(i), page_to_phys(pg), prot) != 0) {
				page_free(pg);
				return;
			}
			/* The old page is freed at once: the flush is done. */
			if (s->map[i].pa != 0) {
				QUIET_CHECK(s->tlb[i].pa != s->map[i].pa);
				page_unref(phys_to_page(s->map[i].pa));
			}
			s->map[i] = (struct map){ page_to_phys(pg), as_entered(prot) };
		}
		break;
	case 3: /* other rights for the same page */
		if (s->map[a].pa != 0) {
			prot = (int)rnd(8);
			QUIET_CHECK(pmap_enter(s->pm, va_of(a), s->map[a].pa, prot) == 0);
			s->map[a].prot = as_entered(prot);
		}
		break;
	case 4:
		prot = (int)rnd(8);
		pmap_protect(s->pm, va_of(a), va_of(b) + PAGE_SIZE, prot);
		for (i = a; i <= b; i++)
			s->map[i].prot = as_entered(prot);
		break;
	case 5: /* remove */
		removing = s;
		flushed = nflush;
		pmap_remove(s->pm, va_of(a), va_of(b) + PAGE_SIZE, rnd(2) == 0 ? remove_fn : NULL,
		    &removing);
		most_flushes = max(most_flushes, nflush - flushed);
		for (i = a; i <= b; i++)
			s->map[i].pa = 0;
		break;
	case 6: /* fork into an empty range */
		d = &spaces[rnd(NSPACES)];
		if (d == s)
			return;
		pmap_remove(d->pm, va_of(a), va_of(b) + PAGE_SIZE, NULL, NULL);
		i = rnd(2);
		prot = pmap_copy(d->pm, s->pm, va_of(a), va_of(b) + PAGE_SIZE, i != 0,
		    rnd(2) == 0 ? ref_fn : NULL, &nwalked);
		if (i != 0)
			pmap_flush(s->pm);
		for (unsigned k = a; k <= b; k++) {
			if (i != 0)
				s->map[k].prot &= ~PROT_W;
			d->map[k] = s->map[k];
		}
		QUIET_CHECK(prot == 0);
		break;
	case 7:
		for (i = a; i <= b; i++)
			touch(s, i);
		break;
	case 8:
		if (rnd(20) != 0)
			return;
		/* exit */
		memset(s->tlb, 0, sizeof(s->tlb));
		removing = s;
		pmap_remove_all(s->pm, rnd(2) == 0 ? remove_fn : NULL, &removing);
		QUIET_CHECK(pmap_resident(s->pm) == 0);
		pmap_destroy(s->pm);
		s->pm = pmap_create();
		QUIET_CHECK(s->pm != NULL);
		memset(s->map, 0, sizeof(s->map));
		break;
	}
	for (i = a; i <= b; i++)
		if (s->map[i].pa == 0)
			s->map[i].prot = 0;
}

int
main(void)
{
	static uint64_t pml4[PT_ENTRIES] __aligned(4096);
	size_t tables;

	machine_start();
	kmem_init();
	for (unsigned i = PML4_USER; i < PT_ENTRIES; i++)
		pml4[i] = i;
	kernel_pmap.pm_pml4 = pml4;
	CHECK(pmap_table_pages() == 0);
	for (unsigned i = 0; i < NSPACES; i++) {
		spaces[i].pm = pmap_create();
		spaces[i].active = true;
	}
	tables = pmap_table_pages();
	CHECK(tables == NSPACES);
	for (unsigned r = 0; r < ROUNDS; r++) {
		on_any_cpu();
		step();
		if (r % 50 == 0) {
			struct space *s = &spaces[rnd(NSPACES)];

			check_space(s);
			nwalked = 0;
			pmap_walk(s->pm, 0, USER_END, walk_fn, s);
			QUIET_CHECK(nwalked == pmap_resident(s->pm));
		}
	}
	CHECK(!removed_page_in_tlb);
	CHECK(most_flushes == 2);
	printf("# %u flushes\n", nflush);
	/* Removing all pages by ranges frees all tables too. */
	pmap_remove(spaces[0].pm, 0, USER_END - PAGE_SIZE, NULL, NULL);
	CHECK(spaces[0].pm->pm_tables == 0);
	for (unsigned i = 0; i < NSPACES; i++) {
		bool kernel_half = true;

		for (unsigned k = PML4_USER; k < PT_ENTRIES; k++)
			kernel_half = kernel_half && spaces[i].pm->pm_pml4[k] == k;
		CHECK(kernel_half);
		pmap_remove_all(spaces[i].pm, NULL, NULL);
		pmap_destroy(spaces[i].pm);
	}
	CHECK(pmap_table_pages() == 0);
	CHECK(pmem_count(PG_ANON) == 0);
	CHECK(kmem_objects() - pmap_cached() == 0);
	CHECK(pmem_check() == NULL);
	return host_done();
}
