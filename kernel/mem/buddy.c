/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buddy allocator.
 *
 * A free block of order n is 2^n pages, aligned to its size. Its first page has kind PG_BUDDY, the order, and
 * the links of the free list; the others are PG_FREE. Two free blocks that are halves of one larger block
 * never stay apart: buddy_free() joins them.
 * layer: mem
 */
#include "buddy.h"

#include <kernel/panic.h>

static void
block_insert(struct buddy *b, uint32_t pfn, unsigned order)
{
	struct page *pg = &b->b_pages[pfn];
	uint32_t head = b->b_head[order];

	pg->pg_kind = PG_BUDDY;
	pg->pg_order = (uint8_t)order;
	pg->pg_bprev = 0;
	pg->pg_bnext = head;
	if (head != 0)
		b->b_pages[head].pg_bprev = pfn;
	b->b_head[order] = pfn;
	b->b_avail |= 1u << order;
}

static void
block_remove(struct buddy *b, uint32_t pfn, unsigned order)
{
	struct page *pg = &b->b_pages[pfn];

	KASSERTMSG(pg->pg_kind == PG_BUDDY && pg->pg_order == order, "page %#x kind %u order %u",
	    pfn, pg->pg_kind, pg->pg_order);
	if (pg->pg_bnext != 0)
		b->b_pages[pg->pg_bnext].pg_bprev = pg->pg_bprev;
	if (pg->pg_bprev != 0)
		b->b_pages[pg->pg_bprev].pg_bnext = pg->pg_bnext;
	else if ((b->b_head[order] = pg->pg_bnext) == 0)
		b->b_avail &= ~(1u << order);
	pg->pg_kind = PG_FREE;
}

uint32_t
buddy_alloc(struct buddy *b, unsigned order)
{
	uint32_t fits = b->b_avail >> order << order;
	uint32_t pfn;
	unsigned have;

	KASSERT(order <= PMEM_MAXORDER);
	if (fits == 0)
		return 0;
	have = (unsigned)__builtin_ctz(fits);
	pfn = b->b_head[have];
	block_remove(b, pfn, have);
	while (have > order) {
		have--;
		block_insert(b, pfn + (1u << have), have);
	}
	return pfn;
}

void
buddy_free(struct buddy *b, uint32_t pfn, unsigned order)
{
	KASSERT(pfn != 0 && pfn + (1u << order) <= b->b_end && (pfn & ((1u << order) - 1)) == 0);
	KASSERTMSG(b->b_pages[pfn].pg_kind == PG_FREE, "page %#x is freed twice", pfn);
	while (order < PMEM_MAXORDER) {
		uint32_t other = pfn ^ (1u << order);

		if (other >= b->b_end || b->b_pages[other].pg_kind != PG_BUDDY ||
		    b->b_pages[other].pg_order != order)
			break;
		block_remove(b, other, order);
		pfn &= other;
		order++;
	}
	block_insert(b, pfn, order);
}

void
buddy_free_run(struct buddy *b, uint32_t pfn, size_t n)
{
	while (n > 0) {
		unsigned order =
		    min((unsigned)__builtin_ctz(pfn), 63 - (unsigned)__builtin_clzl(n));

		order = min(order, (unsigned)PMEM_MAXORDER);
		buddy_free(b, pfn, order);
		pfn += 1u << order;
		n -= (size_t)1 << order;
	}
}

unsigned
buddy_take(struct buddy *b, struct page **v, unsigned n)
{
	unsigned got = 0;

	while (got < n && b->b_avail != 0) {
		/* The smallest block there is, cut to what is wanted: large blocks stay whole. */
		unsigned order = (unsigned)__builtin_ctz(b->b_avail);
		uint32_t pfn;

		order = min(order, 31 - (unsigned)__builtin_clz(n - got));
		pfn = buddy_alloc(b, order);
		/* Backwards: magazines are stacks, and pages then come out in ascending order. */
		for (uint32_t i = 1u << order; i-- > 0;)
			v[got++] = &b->b_pages[pfn + i];
	}
	return got;
}

size_t
buddy_check(const struct buddy *b, const char **why)
{
	size_t total = 0;

	for (unsigned order = 0; order <= PMEM_MAXORDER; order++) {
		uint32_t prev = 0;

		*why = "list and bitmap disagree";
		if ((b->b_head[order] != 0) != ((b->b_avail >> order & 1) != 0))
			return SIZE_MAX;
		for (uint32_t p = b->b_head[order]; p != 0; prev = p, p = b->b_pages[p].pg_bnext) {
			const struct page *pg = &b->b_pages[p];

			*why = "free block is damaged";
			if (p >= b->b_end || (p & ((1u << order) - 1)) != 0 ||
			    pg->pg_kind != PG_BUDDY || pg->pg_order != order ||
			    pg->pg_bprev != prev || pg->pg_refs != 0)
				return SIZE_MAX;
			*why = "two halves were not joined";
			uint32_t other = p ^ (1u << order);
			if (order < PMEM_MAXORDER && other < b->b_end &&
			    b->b_pages[other].pg_kind == PG_BUDDY &&
			    b->b_pages[other].pg_order == order)
				return SIZE_MAX;
			*why = "page inside a free block is in use";
			for (uint32_t i = 1; i < 1u << order; i++)
				if (pg[i].pg_kind != PG_FREE || pg[i].pg_refs != 0)
					return SIZE_MAX;
			total += (size_t)1 << order;
		}
	}
	*why = NULL;
	return total;
}
