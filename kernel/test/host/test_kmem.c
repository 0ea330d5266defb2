/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Object caches and kmem_alloc() against a model: random sizes on any of four CPUs; blocks must not overlap,
 * keep their contents, be aligned; freed memory goes back; type-stable objects stay readable; each kind of
 * misuse is caught.
 *
 * sources: kernel/mem/kmem.c kernel/mem/kmem_slab.c kernel/mem/kmem_debug.c
 * sources: kernel/mem/pmem.c kernel/mem/pmem_init.c kernel/mem/pmem_debug.c kernel/mem/buddy.c
 * cflags: -include kernel/test/host/vm/cpu_md.h -include kernel/test/host/vm/physmap.h -Iarch/x86_64/include
 */
#include <hosttest.h>
#include <kernel/kmem.h>

#include "mem/machine.h"

#define NITEMS 1500
#define ROUNDS 60000

static struct item {
	unsigned char *p;
	size_t size;
	struct kmem_cache *kc;
	unsigned char tag;
} items[NITEMS];

struct thing {
	uint32_t magic;
	uint32_t generation;
	char pad[190];
};

static unsigned nctor;

static void
thing_ctor(void *p)
{
	struct thing *t = p;

	t->magic = 0x7416;
	t->generation = 0;
	nctor++;
}

static size_t
random_size(void)
{
	switch (rnd(10)) {
	case 0:
		return 1 + rnd(9 * PAGE_SIZE);
	case 1:
		return PAGE_SIZE * (1 + rnd(12));
	case 2:
	case 3:
		return 1 + rnd(2500);
	default:
		return 1 + rnd(300);
	}
}

static void
fill(struct item *it)
{
	it->tag = (unsigned char)rnd(256);
	memset(it->p, it->tag, it->size);
}

static void
verify(const struct item *it)
{
	for (size_t i = 0; i < it->size; i++)
		if (it->p[i] != it->tag) {
			QUIET_CHECK(it->p[i] == it->tag);
			return;
		}
}

static void
test_random(struct kmem_cache **caches, const size_t *sizes, const size_t *aligns, unsigned ncaches)
{
	unsigned failed = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		struct item *it = &items[rnd(NITEMS)];

		on_any_cpu();
		if (it->p != NULL) {
			verify(it);
			if (it->kc != NULL)
				kmem_cache_free(it->kc, it->p);
			else
				kmem_free(it->p, it->size);
			it->p = NULL;
		} else {
			unsigned c = rnd(2 * ncaches);

			it->kc = c < ncaches ? caches[c] : NULL;
			it->size = it->kc != NULL ? sizes[c] : random_size();
			it->p = it->kc != NULL ? kmem_cache_alloc(it->kc) : kmem_alloc(it->size);
			if (it->p == NULL) {
				failed++;
				continue;
			}
			QUIET_CHECK(((uintptr_t)it->p & 15) == 0);
			if (it->kc != NULL)
				QUIET_CHECK(((uintptr_t)it->p & (aligns[c] - 1)) == 0);
			else if (it->size % PAGE_SIZE == 0)
				QUIET_CHECK(((uintptr_t)it->p & PAGE_MASK) == 0);
			fill(it);
		}
		if (r % 2000 == 0)
			QUIET_CHECK(kmem_check() == NULL && pmem_check() == NULL);
	}
	printf("# %u allocations failed\n", failed);
}

static void
free_all(void)
{
	for (unsigned i = 0; i < NITEMS; i++) {
		struct item *it = &items[i];

		if (it->p == NULL)
			continue;
		on_any_cpu();
		verify(it);
		if (it->kc != NULL)
			kmem_cache_free(it->kc, it->p);
		else
			kmem_free(it->p, it->size);
		it->p = NULL;
	}
}

static void
test_typestable(void)
{
	struct kmem_cache *kc =
	    kmem_cache_create("thing", sizeof(struct thing), 64, KC_TYPESTABLE, thing_ctor);
	static struct thing *v[500];
	size_t pages;
	bool ok = true;
	unsigned made;

	for (unsigned i = 0; i < 500; i++) {
		on_any_cpu();
		v[i] = kmem_cache_alloc(kc);
		ok = ok && v[i]->magic == 0x7416 && v[i]->generation == 0;
		v[i]->generation = i + 1;
	}
	CHECK_NAMED(ok && nctor >= 500, "constructed once");
	CHECK(kmem_cache_inuse(kc) == 500);
	for (unsigned i = 0; i < 500; i++) {
		on_any_cpu();
		kmem_cache_free(kc, v[i]);
	}
	pages = kmem_pages();
	(void)kmem_reap();
	ok = true;
	for (unsigned i = 0; i < 500; i++)
		ok = ok && v[i]->magic == 0x7416 && v[i]->generation == i + 1;
	CHECK_NAMED(ok, "freed type-stable objects stay as they were");
	CHECK(kmem_cache_inuse(kc) == 0 && pages >= 500 * sizeof(struct thing) / PAGE_SIZE);
	made = nctor;
	for (unsigned i = 0; i < 400; i++) {
		on_any_cpu();
		v[i] = kmem_cache_alloc(kc);
		ok = ok && v[i]->magic == 0x7416;
	}
	CHECK_NAMED(ok && nctor <= made + 100, "they are used again, not made again");
	for (unsigned i = 0; i < 400; i++)
		kmem_cache_free(kc, v[i]);
	HOST_EXPECT_PANIC(kmem_cache_free(kc, v[0]));
}

static void
test_exhaustion(void)
{
	static void *v[HOST_RAM / 1024];
	size_t before = kmem_objects(), n = 0;

	host_cpu = &host_cpu_array[0];
	while ((v[n] = kmem_alloc(1500)) != NULL)
		n++;
	CHECK_NAMED(n * 1500 > HOST_RAM / 2, "memory can be used up");
	CHECK(kmem_alloc(3 * PAGE_SIZE) == NULL && kmem_zalloc((size_t)5 << 20) == NULL);
	CHECK(kmem_objects() == before + n);
	while (n > 0)
		kmem_free(v[--n], 1500);
	CHECK(kmem_objects() == before);
	CHECK(kmem_check() == NULL && pmem_check() == NULL);
	CHECK_NAMED(kmem_pages() < 600, "empty slabs went back");
}

static void
test_misuse(void)
{
	unsigned char *p = kmem_alloc(100), *q = kmem_alloc(40);

	HOST_EXPECT_PANIC(kmem_free(p, 500));
	HOST_EXPECT_PANIC(kmem_free(p + 16, 100));
	kmem_free(p, 100);
	HOST_EXPECT_PANIC(kmem_free(p, 100));
	p[10] = 1;
	HOST_EXPECT_PANIC(p = kmem_alloc(100));
	q[48] = 1;
	HOST_EXPECT_PANIC(kmem_free(q, 40));
	p = kmem_alloc(3 * PAGE_SIZE);
	HOST_EXPECT_PANIC(kmem_free(p, 4 * PAGE_SIZE));
	kmem_free(p, 3 * PAGE_SIZE);
	HOST_EXPECT_PANIC(kmem_free(p, 3 * PAGE_SIZE));
	kmem_free(NULL, 10);
}

int
main(void)
{
	static const size_t sizes[] = { 24, 200, 600, 1000, 4096, 9000 };
	static const size_t aligns[] = { 16, 64, 64, 16, 1024, 64 };
	struct kmem_cache *caches[ARRAY_SIZE(sizes)];
	size_t before;

	machine_start();
	kmem_init();
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		caches[i] = kmem_cache_create("test", sizes[i], aligns[i], 0, NULL);
	CHECK(kmem_objects() == 0);
	test_random(caches, sizes, aligns, ARRAY_SIZE(sizes));
	free_all();
	CHECK(kmem_objects() == 0);
	CHECK(kmem_check() == NULL);
	before = kmem_pages();
	CHECK_NAMED(kmem_reap() > 0 && kmem_pages() < before, "reaping gives pages back");
	CHECK(kmem_check() == NULL && pmem_check() == NULL);
	test_typestable();
	test_exhaustion();
	test_random(caches, sizes, aligns, ARRAY_SIZE(sizes));
	free_all();
	CHECK(kmem_objects() == 0);
	test_misuse();
	CHECK(locks_held == 0);
	return host_done();
}
