/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug aid of the page allocator: freed pages are filled with a pattern, and must still hold it when they are
 * given out again. The first bytes only, or the whole page with the option pmem_poison=full.
 * layer: mem
 */
#include <kernel/kasan.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#include <abi/errno.h>

#include "pmem_impl.h"

#ifdef DEBUG

#define POISON 0x5a5a5a5a5a5a5a5aul

static size_t poison_bytes = 64;

static int
set_poison(const char *value)
{
	if (strcmp(value, "first") == 0)
		poison_bytes = 64;
	else if (strcmp(value, "full") == 0)
		poison_bytes = PAGE_SIZE;
	else if (strcmp(value, "off") == 0)
		poison_bytes = 0;
	else
		return -EINVAL;
	return 0;
}

OPTION(pmem_poison, "first, full or off", set_poison);

/* pg_count of a free page is the number of poisoned words. */
void
page_poison(struct page *pg)
{
	uint64_t *p = page_to_virt(pg);

	pg->pg_count = (uint16_t)(poison_bytes / sizeof(*p));
	for (unsigned i = 0; i < pg->pg_count; i++)
		p[i] = POISON;
	kasan_poison(p, PAGE_SIZE, KASAN_PAGE);
}

void
page_unpoison(struct page *pg)
{
	const uint64_t *p = page_to_virt(pg);

	kasan_unpoison(p, PAGE_SIZE);
	for (unsigned i = 0; i < pg->pg_count; i++)
		if (p[i] != POISON)
			panic("page %#lx was written after it was freed: word %u is %#lx",
			    (unsigned long)page_to_phys(pg), i, (unsigned long)p[i]);
}

#endif
