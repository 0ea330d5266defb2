/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator against a model: pages and runs are allocated and freed on any of four CPUs in random
 * order; each page given out must be RAM that nobody else has, and the fsck must be content.
 *
 * sources: kernel/mem/pmem.c kernel/mem/pmem_init.c kernel/mem/pmem_debug.c kernel/mem/buddy.c
 * cflags: -include kernel/test/host/vm/cpu_md.h -include kernel/test/host/vm/physmap.h -Iarch/x86_64/include
 */
#include <hosttest.h>

#include "mem/machine.h"

#define NITEMS 3000
#define ROUNDS 60000

static struct item {
	struct page *pg;
	size_t n;
	bool batch; /* freed with others by page_batch_unref() */
} items[NITEMS];

static uint8_t taken[HOST_RAM / PAGE_SIZE];

static void
take(struct page *pg, size_t n, enum page_kind kind)
{
	for (size_t i = 0; i < n; i++) {
		size_t pfn = page_to_phys(&pg[i]) >> PAGE_SHIFT;

		QUIET_CHECK(pfn >= MIB >> PAGE_SHIFT && pfn < HOST_RAM >> PAGE_SHIFT);
		QUIET_CHECK(
		    pfn < (15 * MIB >> PAGE_SHIFT) + 7 || pfn >= (16 * MIB >> PAGE_SHIFT) + 3);
		QUIET_CHECK(!taken[pfn]);
		QUIET_CHECK(page_refs(&pg[i]) == 1 && pg[i].pg_kind == kind);
		taken[pfn] = 1;
		memset(page_to_virt(&pg[i]), 0x77, PAGE_SIZE);
	}
}

static void
untake(struct page *pg, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		QUIET_CHECK(taken[page_to_phys(&pg[i]) >> PAGE_SHIFT]);
		taken[page_to_phys(&pg[i]) >> PAGE_SHIFT] = 0;
	}
}

static void
alloc_item(struct item *it, unsigned maxrun)
{
	unsigned how = rnd(8);
	enum page_kind kind = how < 4 ? PG_ANON : PG_KMEM;

	on_any_cpu();
	it->n = 1;
	if (how < 6) {
		it->pg = how == 0 ? page_alloc_zeroed(kind) : page_alloc(kind);
		if (how == 0 && it->pg != NULL)
			for (unsigned i = 0; i < PAGE_SIZE; i += 64)
				QUIET_CHECK(((char *)page_to_virt(it->pg))[i] == 0);
	} else if (how == 6) {
		unsigned order = rnd(7);

		it->n = (size_t)1 << order;
		it->pg = page_alloc_contig(order, kind);
		if (it->pg != NULL)
			QUIET_CHECK((page_to_phys(it->pg) & ((PAGE_SIZE << order) - 1)) == 0);
	} else {
		it->n = 1 + rnd(maxrun);
		it->pg = page_alloc_run(it->n, kind);
	}
	it->batch = it->n == 1 && rnd(2) == 0;
	if (it->pg != NULL) {
		take(it->pg, it->n, kind);
		if (it->n == 1 && rnd(2) == 0)
			page_ref(it->pg);
	}
}

static void
free_item(struct item *it, struct page_batch *pb)
{
	on_any_cpu();
	untake(it->pg, it->n);
	while (it->n == 1 && page_refs(it->pg) > 1)
		page_unref(it->pg);
	if (it->batch)
		page_batch_unref(pb, it->pg);
	else if (it->n == 1)
		page_unref(it->pg);
	else
		page_free_run(it->pg, it->n);
	it->pg = NULL;
}

static void
test_random(void)
{
	struct page_batch pb = { .pb_count = 0 };
	unsigned failed = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		struct item *it = &items[rnd(NITEMS)];

		if (it->pg == NULL) {
			alloc_item(it, 90);
			failed += it->pg == NULL;
		} else {
			free_item(it, &pb);
		}
		if (r % 1000 == 0) {
			page_batch_free(&pb);
			QUIET_CHECK(pmem_check() == NULL);
		}
	}
	for (unsigned i = 0; i < NITEMS; i++)
		if (items[i].pg != NULL)
			free_item(&items[i], &pb);
	page_batch_free(&pb);
	printf("# %u allocations failed\n", failed);
	CHECK(pmem_check() == NULL);
	CHECK(pmem_free_count() == pmem_total());
	CHECK(pmem_count(PG_ANON) == 0 && pmem_count(PG_KMEM) == 0);
}

static void
test_exhaustion(void)
{
	struct page *list = NULL, *pg;
	size_t n = 0;
	unsigned empty = 0;

	for (unsigned cpu = 0; empty < HOST_CPUS; cpu = (cpu + 1) % HOST_CPUS) {
		host_cpu = &host_cpu_array[cpu];
		if ((pg = page_alloc(PG_ANON)) == NULL) {
			empty++;
			continue;
		}
		empty = 0;
		pg->pg_next = list;
		list = pg;
		n++;
	}
	CHECK_NAMED(n == pmem_total(), "every page can be had");
	CHECK(pmem_low() && pmem_free_count() == 0);
	CHECK(page_alloc_contig(0, PG_ANON) == NULL && page_alloc_run(5, PG_ANON) == NULL);
	CHECK(pmem_count(PG_ANON) == n);
	while ((pg = list) != NULL) {
		list = pg->pg_next;
		page_free(pg); /* all on one CPU: the magazines of the others stay empty */
	}
	CHECK(pmem_check() == NULL);
	CHECK(pmem_free_count() == pmem_total() && !pmem_low());
	pg = page_alloc_run(PMEM_MAXRUN, PG_KMEM);
	CHECK_NAMED(pg != NULL, "pages join to the largest block again");
	page_free_run(pg, PMEM_MAXRUN);
	CHECK(page_alloc_run(PMEM_MAXRUN + 1, PG_KMEM) == NULL);
	CHECK(pmem_check() == NULL);
}

static void
test_misuse(void)
{
	struct page *pg = page_alloc(PG_ANON);

	page_ref(pg);
	HOST_EXPECT_PANIC(page_free(pg));
	page_unref(pg);
	page_free(pg);
	HOST_EXPECT_PANIC(page_free(pg));
	((char *)page_to_virt(pg))[8] = 1;
	HOST_EXPECT_PANIC(pg = page_alloc(PG_ANON));
	HOST_EXPECT_PANIC(page_free_last(phys_to_page(0)));
}

int
main(void)
{
	machine_start();
	CHECK(pmem_check() == NULL);
	CHECK(pmem_free_count() == pmem_total());
	CHECK(page_to_phys(phys_to_page(3 * MIB + 5)) == 3 * MIB);
	CHECK(phys_to_page(0)->pg_kind == PG_RESERVED);
	test_random();
	test_exhaustion();
	test_random();
	test_misuse();
	CHECK(locks_held == 0);
	return host_done();
}
