/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of the page allocator.
 * layer: mem
 */
#ifndef MEM_PMEM_IMPL_H
#define MEM_PMEM_IMPL_H

#include "buddy.h"

extern struct buddy pmem_buddy;

/* Debug: fill and check free pages. */
#ifdef DEBUG
void page_poison(struct page *);
void page_unpoison(struct page *);
#else
static inline void
page_poison(struct page *pg)
{
	(void)pg;
}

static inline void
page_unpoison(struct page *pg)
{
	(void)pg;
}
#endif

#endif
