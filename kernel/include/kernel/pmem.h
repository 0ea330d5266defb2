/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages: a struct page for each, a buddy allocator, and a magazine of single pages per CPU.
 * layer: mem
 */
#ifndef KERNEL_PMEM_H
#define KERNEL_PMEM_H

#include <arch/physmap.h>
#include <kernel/atomic.h>
#include <kernel/trace.h>
#include <kernel/types.h>

struct bootinfo;

/* What a page is used for: counted, so that a leak is seen by kind. X(name, text) */
#define PAGE_KINDS(X) \
	X(FREE, "free")         /* in a magazine, or inside a free block */ \
	X(BUDDY, "free-block")  /* first page of a free block */ \
	X(RESERVED, "reserved") /* not ours to give: firmware, kernel image, this array */ \
	X(ANON, "anonymous")    /* user memory */ \
	X(OBJ, "object")        /* pages of a vm object or a file */ \
	X(TABLE, "page-table")  /* of user address spaces */ \
	X(KTABLE, "kernel-page-table") \
	X(KMEM, "kmem") \
	X(KSTACK, "kernel-stack") \
	X(MISC, "misc")

enum page_kind {
#define X(name, text) PG_##name,
	PAGE_KINDS(X)
#undef X
	    PG_NKINDS
};

/*
 * struct page, field locks: (a) atomic (o) who owns the page; the free list's lock while it is free
 */
struct page {
	uint32_t pg_refs; /* (a) mappings and owners; 0 = free */
	union {
		struct {
			uint8_t pg_kind;   /* (o) enum page_kind */
			uint8_t pg_order;  /* (o) size of the free block that starts here */
			uint16_t pg_count; /* (o) page table: entries in use */
		};
		uint32_t pg_tag; /* (o) the three at once: a kind, and 0 in the others */
	};
	union {
		struct page *pg_next; /* (o) for lists of the owner */
		void *pg_owner;       /* (o) kmem: the slab */
		uint64_t pg_groups;   /* (o) page table: bit n = entries 8n..8n+7 may be in use */
		struct {
			uint32_t pg_bnext, pg_bprev; /* (o) free blocks, as page numbers */
		};
	};
};
_Static_assert(sizeof(struct page) == 16, "page_to_phys() relies on it");
_Static_assert(
    offsetof(struct page, pg_kind) == offsetof(struct page, pg_tag), "kind is the low byte");

extern struct page *pmem_pages; /* by page number */
extern size_t pmem_nfree;       /* (a) pages in the buddy allocator */
extern size_t pmem_reserve;     /* see pmem_low() */

/*
 * Before pmem_init: single pages for the first page tables, from RAM below `limit`. Contents undefined.
 * => the boot CPU alone; pmem_early_alloc panics when there is none.
 */
void pmem_early_init(const struct bootinfo *, paddr_t limit);
paddr_t pmem_early_alloc(void);
/* => the direct map covers all RAM */
void pmem_init(const struct bootinfo *);

/*
 * page_alloc: one page, reference count 1, contents undefined. NULL when none is left.
 * => any context; never sleeps; any spin lock below RANK_SPIN_LEAF may be held
 */
struct page *page_alloc(enum page_kind) __must_check;
struct page *page_alloc_zeroed(enum page_kind) __must_check;
void page_free(struct page *); /* the reference count must be 1 */
/* 2^order contiguous pages, aligned to their size; each has reference count 1. */
struct page *page_alloc_contig(unsigned order, enum page_kind) __must_check;
void page_free_contig(struct page *, unsigned order);
/* Any number of contiguous pages up to PMEM_MAXRUN. */
#define PMEM_MAXORDER 10
#define PMEM_MAXRUN   ((size_t)1 << PMEM_MAXORDER)
struct page *page_alloc_run(size_t npages, enum page_kind) __must_check;
void page_free_run(struct page *, size_t npages);

/* Frees many pages with little work for each: fill, then page_batch_free(). */
#define PAGE_BATCH 32
struct page_batch {
	uint32_t pb_count;
	struct page *pb_pages[PAGE_BATCH];
};
void page_batch_free(struct page_batch *); /* each with reference count <= 1; leaves it empty */

size_t pmem_total(void);           /* pages that can be allocated at all */
size_t pmem_npages(void);          /* page numbers with a struct page are below it */
size_t pmem_free_count(void);      /* those that are free now, magazines included */
size_t pmem_count(enum page_kind); /* pages of that kind in use; exact when nobody allocates */
extern const char *const page_kind_name[PG_NKINDS];
const char *pmem_check(void); /* fsck: NULL, or what is wrong. => other CPUs parked */

/*
 * Gives cached memory back (kernel stacks, empty slabs); returns the pages that came free. For callers that are
 * about to report -ENOMEM.
 * => interrupts on, no spin lock held; does not sleep
 */
size_t mem_reclaim(void);

static inline paddr_t
page_to_phys(const struct page *pg)
{
	return ((uintptr_t)pg - (uintptr_t)pmem_pages) << (PAGE_SHIFT - 4);
}

static inline struct page *
phys_to_page(paddr_t pa)
{
	return (struct page *)((uintptr_t)pmem_pages +
	    ((pa & ~(paddr_t)PAGE_MASK) >> (PAGE_SHIFT - 4)));
}

static inline void *
page_to_virt(const struct page *pg)
{
	return arch_phys_to_virt(page_to_phys(pg));
}

/* => va is in the direct map */
static inline struct page *
virt_to_page(const void *va)
{
	return phys_to_page((uintptr_t)va - (uintptr_t)arch_phys_to_virt(0));
}

static inline uint32_t
page_refs(const struct page *pg)
{
	return atomic_load_relaxed(&pg->pg_refs);
}

/* => the caller holds a reference already, or the lock of one who does */
static inline void
page_ref(struct page *pg)
{
	(void)__atomic_add_fetch(&pg->pg_refs, 1, __ATOMIC_RELAXED);
}

/* Drops a reference; true = it was the last one, and the caller must free the page (its count is 0 or 1). */
static inline bool
page_unref_last(struct page *pg)
{
	return atomic_load_acquire(&pg->pg_refs) == 1 || atomic_sub(&pg->pg_refs, 1) == 1;
}

void page_free_last(struct page *); /* after page_unref_last() was true */

static inline void
page_unref(struct page *pg)
{
	if (page_unref_last(pg))
		page_free_last(pg);
}

static inline void
page_batch_unref(struct page_batch *pb, struct page *pg)
{
	if (page_unref_last(pg)) {
		pb->pb_pages[pb->pb_count++] = pg;
		if (pb->pb_count == PAGE_BATCH)
			page_batch_free(pb);
	}
}

/* Memory reserve: true while few pages are free; allocations for users then fail, those of the kernel go on. */
static inline bool
pmem_low(void)
{
	return atomic_load_relaxed(&pmem_nfree) < pmem_reserve;
}

/*
 * May `bytes` be taken on behalf of a user? Not out of the reserve; cached memory is given back first. Whatever
 * users can make as much of as they like asks this, or has an object cache with KC_USER.
 * => as mem_reclaim()
 */
static inline bool
user_alloc_ok(size_t bytes)
{
	size_t want = pmem_reserve + (bytes >> PAGE_SHIFT);

	if (likely(atomic_load_relaxed(&pmem_nfree) >= want))
		return true;
	/* It may find nothing because another CPU has just given it all back. */
	(void)mem_reclaim();
	if (atomic_load_relaxed(&pmem_nfree) >= want)
		return true;
	TRACE(NOMEM, PG_NKINDS, bytes, 0);
	return false;
}

#endif
