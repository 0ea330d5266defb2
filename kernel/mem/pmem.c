/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages.
 *
 * Single pages come from the CPU's magazine, a stack that only this CPU touches, with interrupts off. An empty
 * magazine is refilled from, a full one drained to, the buddy allocator, half a magazine at a time under
 * pmem_lock. Larger runs go to the buddy allocator directly.
 *
 * A page is free (pg_refs 0, in a magazine or the buddy allocator) or owned: pg_kind tells by whom. Per-CPU
 * counters by kind go up and down where the page passes, so only their sum means something.
 *
 * Debug: the start of a freed page is filled with POISON, and checked when the page is given out again.
 * layer: mem
 */
#include <kernel/pmem.h>

#include <arch/arch_if.h>
#include <kernel/cpu.h>
#include <kernel/fault.h>
#include <kernel/panic.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>
#include <kernel/trace.h>

#include "pmem_impl.h"

#define MAG_SIZE  128u
#define MAG_BATCH (MAG_SIZE / 2)

/* struct pmem_cpu, field locks: (o) this CPU only, interrupts off; others read it to sum up */
struct pmem_cpu {
	uint32_t pc_count;               /* (o) pages in the magazine */
	int64_t pc_used[PG_NKINDS];      /* (o) pages by kind: given out here minus freed here */
	struct page *pc_pages[MAG_SIZE]; /* (o) */
} __cacheline_aligned;

static struct pmem_cpu pmem_cpus[MAXCPUS];
static struct spinlock pmem_lock = SPINLOCK_INIT("pmem", RANK_SPIN_LEAF);

struct buddy pmem_buddy; /* under pmem_lock, but for pmem_init */
struct page *pmem_pages;
size_t pmem_nfree;
size_t pmem_reserve;

const char *const page_kind_name[PG_NKINDS] = {
#define X(name, text) [PG_##name] = text,
	PAGE_KINDS(X)
#undef X
};

static inline struct pmem_cpu *
this_cpu(void)
{
	struct pmem_cpu *pc = &pmem_cpus[arch_curcpu()->ci_index];

	/* Keeps the compiler from computing the address anew for each field. */
	__asm("" : "+r"(pc));
	return pc;
}

static inline void
page_claim(struct page *pg, enum page_kind kind)
{
	KASSERTMSG(pg->pg_refs == 0 && pg->pg_kind == PG_FREE, "page %#lx refs %u kind %u",
	    (unsigned long)page_to_phys(pg), pg->pg_refs, pg->pg_kind);
	page_unpoison(pg);
	pg->pg_refs = 1;
	pg->pg_tag = kind;
}

/* Returns the kind that it had. */
static inline enum page_kind
page_release(struct page *pg)
{
	enum page_kind kind = pg->pg_kind;

	KASSERTMSG(pg->pg_refs <= 1 && kind > PG_RESERVED && kind < PG_NKINDS,
	    "page %#lx freed with refs %u kind %u", (unsigned long)page_to_phys(pg), pg->pg_refs,
	    kind);
	pg->pg_refs = 0;
	pg->pg_kind = PG_FREE;
	page_poison(pg);
	return kind;
}

/* Gives the oldest n pages back. => interrupts off */
static void __noinline
mag_drain(struct pmem_cpu *pc, uint32_t n)
{
	spin_lock(&pmem_lock);
	for (uint32_t i = 0; i < n; i++)
		buddy_free(&pmem_buddy, (uint32_t)(pc->pc_pages[i] - pmem_pages), 0);
	atomic_store_relaxed(&pmem_nfree, pmem_nfree + n);
	spin_unlock(&pmem_lock);
	pc->pc_count -= n;
	memmove(pc->pc_pages, pc->pc_pages + n, pc->pc_count * sizeof(pc->pc_pages[0]));
}

/*
 * The slow halves of page_alloc() and page_free_last(): functions of their own at the end, so that the fast ones
 * save no registers. => interrupts off; restored to `on`
 */
static struct page *__noinline
alloc_slow(struct pmem_cpu *pc, enum page_kind kind, bool on)
{
	struct page *pg = NULL;

	spin_lock(&pmem_lock);
	pc->pc_count = buddy_take(&pmem_buddy, pc->pc_pages, MAG_BATCH);
	atomic_store_relaxed(&pmem_nfree, pmem_nfree - pc->pc_count);
	spin_unlock(&pmem_lock);
	if (pc->pc_count != 0) {
		pg = pc->pc_pages[--pc->pc_count];
		pc->pc_used[kind]++;
		page_claim(pg, kind);
	} else
		TRACE(NOMEM, kind, 1, 0);
	arch_intr_restore(on);
	return pg;
}

static void __noinline
free_slow(struct pmem_cpu *pc, struct page *pg, bool on)
{
	mag_drain(pc, MAG_BATCH);
	pc->pc_pages[pc->pc_count++] = pg;
	arch_intr_restore(on);
}

struct page *
page_alloc(enum page_kind kind)
{
	bool on = arch_intr_disable();
	struct pmem_cpu *pc = this_cpu();
	struct page *pg;
	uint32_t n = pc->pc_count;

	if (fault_alloc()) {
		arch_intr_restore(on);
		return NULL;
	}
	if (unlikely(n == 0))
		return alloc_slow(pc, kind, on);
	pc->pc_count = --n;
	pg = pc->pc_pages[n];
	pc->pc_used[kind]++;
	page_claim(pg, kind);
	arch_intr_restore(on);
	return pg;
}

struct page *
page_alloc_zeroed(enum page_kind kind)
{
	struct page *pg = page_alloc(kind);

	if (likely(pg != NULL))
		arch_zero_page(page_to_virt(pg));
	return pg;
}

void
page_free_last(struct page *pg)
{
	bool on = arch_intr_disable();
	struct pmem_cpu *pc = this_cpu();
	uint32_t n = pc->pc_count;

	pc->pc_used[page_release(pg)]--;
	if (unlikely(n == MAG_SIZE)) {
		free_slow(pc, pg, on);
		return;
	}
	pc->pc_pages[n] = pg;
	pc->pc_count = n + 1;
	arch_intr_restore(on);
}

void
page_free(struct page *pg)
{
	KASSERTMSG(
	    pg->pg_refs == 1, "page %#lx refs %u", (unsigned long)page_to_phys(pg), pg->pg_refs);
	page_free_last(pg);
}

_Static_assert(PAGE_BATCH <= MAG_BATCH, "one drain makes room for a batch");

void
page_batch_free(struct page_batch *pb)
{
	bool on = arch_intr_disable();
	struct pmem_cpu *pc = this_cpu();
	struct page **to;

	if (unlikely(pc->pc_count + pb->pb_count > MAG_SIZE))
		mag_drain(pc, MAG_BATCH);
	to = &pc->pc_pages[pc->pc_count];
	for (uint32_t i = 0; i < pb->pb_count; i++) {
		struct page *pg = pb->pb_pages[i];

		pc->pc_used[page_release(pg)]--;
		*to++ = pg;
	}
	pc->pc_count += pb->pb_count;
	pb->pb_count = 0;
	arch_intr_restore(on);
}

/* One try at a run of n pages from a block of `order`. */
static struct page *
run_alloc(size_t n, unsigned order)
{
	uint32_t pfn;

	spin_lock(&pmem_lock);
	pfn = buddy_alloc(&pmem_buddy, order);
	if (pfn != 0) {
		buddy_free_run(&pmem_buddy, pfn + (uint32_t)n, ((size_t)1 << order) - n);
		atomic_store_relaxed(&pmem_nfree, pmem_nfree - n);
	}
	spin_unlock(&pmem_lock);
	return pfn != 0 ? &pmem_pages[pfn] : NULL;
}

struct page *
page_alloc_run(size_t n, enum page_kind kind)
{
	unsigned order = n <= 1 ? 0 : 64 - (unsigned)__builtin_clzl(n - 1);
	struct pmem_cpu *pc;
	struct page *pg;
	bool on;

	KASSERT(n > 0);
	if (n > PMEM_MAXRUN)
		return NULL;
	if (n == 1)
		return page_alloc(kind);
	on = arch_intr_disable();
	pc = this_cpu();
	pg = run_alloc(n, order);
	if (pg == NULL && pc->pc_count != 0) {
		/* The missing half may be in our own magazine. */
		mag_drain(pc, pc->pc_count);
		pg = run_alloc(n, order);
	}
	if (pg != NULL) {
		pc->pc_used[kind] += (int64_t)n;
		for (size_t i = 0; i < n; i++)
			page_claim(&pg[i], kind);
	} else
		TRACE(NOMEM, kind, n, 0);
	arch_intr_restore(on);
	return pg;
}

void
page_free_run(struct page *pg, size_t n)
{
	bool on;

	KASSERT(n > 0 && n <= PMEM_MAXRUN);
	if (n == 1) {
		page_free(pg);
		return;
	}
	on = arch_intr_disable();
	for (size_t i = 0; i < n; i++) {
		KASSERT(pg[i].pg_refs == 1);
		this_cpu()->pc_used[page_release(&pg[i])]--;
	}
	spin_lock(&pmem_lock);
	buddy_free_run(&pmem_buddy, (uint32_t)(pg - pmem_pages), n);
	atomic_store_relaxed(&pmem_nfree, pmem_nfree + n);
	spin_unlock(&pmem_lock);
	arch_intr_restore(on);
}

struct page *
page_alloc_contig(unsigned order, enum page_kind kind)
{
	return page_alloc_run((size_t)1 << order, kind);
}

void
page_free_contig(struct page *pg, unsigned order)
{
	page_free_run(pg, (size_t)1 << order);
}

size_t
pmem_free_count(void)
{
	size_t n = atomic_load_relaxed(&pmem_nfree);

	for (unsigned i = 0; i < MAXCPUS; i++)
		n += atomic_load_relaxed(&pmem_cpus[i].pc_count);
	return n;
}

size_t
pmem_npages(void)
{
	return pmem_buddy.b_end;
}

size_t
pmem_count(enum page_kind kind)
{
	int64_t n = 0;

	for (unsigned i = 0; i < MAXCPUS; i++)
		n += atomic_load_relaxed(&pmem_cpus[i].pc_used[kind]);
	return n > 0 ? (size_t)n : 0;
}

const char *
pmem_check(void)
{
	const char *why;
	size_t n, used = 0;

	n = buddy_check(&pmem_buddy, &why);
	if (why != NULL)
		return why;
	if (n != pmem_nfree)
		return "free page count is wrong";
	for (unsigned i = 0; i < MAXCPUS; i++) {
		const struct pmem_cpu *pc = &pmem_cpus[i];

		if (pc->pc_count > MAG_SIZE)
			return "magazine count is wrong";
		for (uint32_t k = 0; k < pc->pc_count; k++)
			if (pc->pc_pages[k]->pg_refs != 0 || pc->pc_pages[k]->pg_kind != PG_FREE)
				return "page in a magazine is not free";
	}
	for (unsigned k = 0; k < PG_NKINDS; k++)
		used += pmem_count(k);
	return used + pmem_free_count() == pmem_total()
	    ? NULL
	    : "pages in use and free pages do not add up";
}
