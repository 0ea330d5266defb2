/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of the page allocator.
 *
 * pmem_early_alloc() serves the first page tables: it moves up through one range of RAM that the boot page
 * tables reach. pmem_init() then puts the array of struct page into the largest range and frees the rest.
 * Pages below 1 MiB are left to the machine layer.
 * layer: mem
 */
#include <kernel/bootinfo.h>
#include <kernel/kasan.h>
#include <kernel/panic.h>
#include <kernel/printf.h>

#include "pmem_impl.h"

#define LOW_END     ((paddr_t)0x100000)
#define RESERVE_MIN 32
#define RESERVE_MAX 1024

static size_t total_pages;
static unsigned early_range; /* index of the range that early pages come from */
static paddr_t early_next, early_end;

static paddr_t
range_start(const struct bootinfo *bi, unsigned i)
{
	paddr_t start = max(bi->bi_ram[i].start, LOW_END);

	return early_next != 0 && i == early_range ? max(start, early_next) : start;
}

static size_t
range_bytes(const struct bootinfo *bi, unsigned i)
{
	paddr_t start = range_start(bi, i);

	return start < bi->bi_ram[i].end ? bi->bi_ram[i].end - start : 0;
}

void
pmem_early_init(const struct bootinfo *bi, paddr_t limit)
{
	size_t best = 0;

	for (unsigned i = 0; i < bi->bi_nram; i++) {
		paddr_t end = min(bi->bi_ram[i].end, limit);
		paddr_t start = max(bi->bi_ram[i].start, LOW_END);

		if (start < end && end - start > best) {
			best = end - start;
			early_range = i;
			early_next = start;
			early_end = end;
		}
	}
}

paddr_t
pmem_early_alloc(void)
{
	paddr_t pa = early_next;

	if (pa + PAGE_SIZE > early_end)
		panic("no memory for the first page tables");
	early_next += PAGE_SIZE;
	return pa;
}

void
pmem_init(const struct bootinfo *bi)
{
	paddr_t end = max(bi->bi_ramdisk_end, LOW_END);
	size_t bytes, best = 0;
	unsigned where = 0;
	paddr_t array;

	for (unsigned i = 0; i < bi->bi_nram; i++) {
		end = max(end, bi->bi_ram[i].end);
		if (range_bytes(bi, i) > best) {
			best = range_bytes(bi, i);
			where = i;
		}
	}
	end = round_page(end);
	bytes = round_page((end >> PAGE_SHIFT) * sizeof(struct page));
	if (best <= bytes || end >> PAGE_SHIFT > UINT32_MAX)
		panic("cannot manage memory up to %#lx: largest range has %zu bytes",
		    (unsigned long)end, best);
	array = range_start(bi, where);

	pmem_pages = arch_phys_to_virt(array);
	for (size_t i = 0; i < end >> PAGE_SHIFT; i++)
		pmem_pages[i] = (struct page){ .pg_refs = 1, .pg_kind = PG_RESERVED };
	pmem_buddy.b_pages = pmem_pages;
	pmem_buddy.b_end = (uint32_t)(end >> PAGE_SHIFT);

	for (unsigned i = 0; i < bi->bi_nram; i++) {
		paddr_t start = range_start(bi, i) + (i == where ? bytes : 0);
		paddr_t stop = bi->bi_ram[i].end;

		if (start >= stop)
			continue;
		for (paddr_t pa = start; pa < stop; pa += PAGE_SIZE)
			*phys_to_page(pa) = (struct page){ .pg_refs = 0, .pg_kind = PG_FREE };
		kasan_poison(arch_phys_to_virt(start), stop - start, KASAN_PAGE);
		buddy_free_run(
		    &pmem_buddy, (uint32_t)(start >> PAGE_SHIFT), (stop - start) >> PAGE_SHIFT);
		total_pages += (stop - start) >> PAGE_SHIFT;
	}
	early_end = 0;
	pmem_nfree = total_pages;
	pmem_reserve = max(total_pages / 128, (size_t)RESERVE_MIN);
	pmem_reserve = min(pmem_reserve, (size_t)RESERVE_MAX);
	kprintf(
	    "memory: %zu MiB free, %zu KiB for page structures\n", total_pages >> 8, bytes >> 10);
}

size_t
pmem_total(void)
{
	return total_pages;
}
