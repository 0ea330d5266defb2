/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buddy allocator on page numbers. Page number 0 is never in it and means "none".
 * layer: mem
 */
#ifndef MEM_BUDDY_H
#define MEM_BUDDY_H

#include <kernel/pmem.h>

/* struct buddy, field locks: (g) the lock of the owner of the allocator (c) constant */
struct buddy {
	struct page *b_pages;               /* (c) by page number */
	uint32_t b_end;                     /* (c) first page number beyond the array */
	uint32_t b_avail;                   /* (g) bit n = the list of order n is not empty */
	uint32_t b_head[PMEM_MAXORDER + 1]; /* (g) first free block of each order */
};

/* All of them: => the owner's lock held. */
uint32_t buddy_alloc(struct buddy *, unsigned order); /* page number, or 0 */
void buddy_free(struct buddy *, uint32_t pfn, unsigned order);
void buddy_free_run(struct buddy *, uint32_t pfn, size_t n);
/* Takes up to n single pages; returns how many. */
unsigned buddy_take(struct buddy *, struct page **, unsigned n);
/* fsck: number of free pages, or SIZE_MAX and *why when the lists are broken. */
size_t buddy_check(const struct buddy *, const char **why);

#endif
