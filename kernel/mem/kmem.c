/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Object caches and kmem_alloc().
 *
 * Each CPU has a magazine per cache, a stack of free objects that only this CPU touches, with interrupts off.
 * An empty magazine takes half its size from the slabs, a full one gives half back (kmem_slab.c). Magazines are
 * made when a CPU first uses a cache; until then its entry is no_mag, which is empty and full at the same time
 * and so leads into the slow path without a test of its own.
 *
 * kmem_alloc(): sizes up to SMALL_MAX come from caches by size, larger ones are runs of pages.
 * layer: mem
 */
#include "kmem_impl.h"

#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/fault.h>
#include <kernel/ledger.h>
#include <kernel/lockdebug.h>
#include <kernel/panic.h>
#include <kernel/string.h>
#include <kernel/trace.h>

static struct kmem_mag no_mag;
static struct kmem_cache cache_cache; /* of struct kmem_cache */
static struct kmem_cache mag_cache;   /* of struct kmem_mag */
struct kmem_cache *kmem_caches;

struct kmem_cache *
kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags, void (*ctor)(void *))
{
	struct kmem_cache *kc;

	if (kmem_slab_take(&cache_cache, (void **)&kc, 1) == 0)
		panic("no memory for kmem cache %s", name);
	kmem_cache_setup(kc, name, size, align, flags, ctor);
	for (unsigned i = 0; i < MAXCPUS; i++)
		kc->kc_mag[i] = &no_mag;
	kc->kc_next = atomic_load_relaxed(&kmem_caches);
	while (!atomic_cas(&kmem_caches, &kc->kc_next, kc))
		;
	return kc;
}

/* Gives this CPU a magazine if it has none; NULL when out of memory. => interrupts off */
static struct kmem_mag *
mag_get(struct kmem_cache *kc, unsigned cpu)
{
	struct kmem_mag *m = kc->kc_mag[cpu];

	if (m == &no_mag) {
		if (kmem_slab_take(&mag_cache, (void **)&m, 1) == 0)
			return NULL;
		m->m_count = 0;
		m->m_limit = kc->kc_maglimit;
		kc->kc_mag[cpu] = m;
	}
	return m;
}

/*
 * The slow halves: functions of their own at the end, so that the fast ones save no registers.
 * => interrupts off; restored to `on`
 */
static void *__noinline
alloc_slow(struct kmem_cache *kc, unsigned cpu, bool on)
{
	struct kmem_mag *m = mag_get(kc, cpu);
	void *obj = NULL;

	if (m != NULL) {
		m->m_count = kmem_slab_take(kc, m->m_objs, m->m_limit / 2);
		if (m->m_count != 0)
			obj = m->m_objs[--m->m_count];
	} else if (kmem_slab_take(kc, &obj, 1) == 0) {
		obj = NULL;
	}
	arch_intr_restore(on);
	if (unlikely(obj == NULL) && (kc->kc_flags & KC_USER) != 0) {
		/* Whether it finds something, or another CPU has just done so. */
		(void)mem_reclaim();
		if (kmem_slab_take(kc, &obj, 1) == 0) {
			TRACE(NOMEM, PG_NKINDS, kc->kc_size, 0);
			obj = NULL;
		}
	}
	kmem_debug_alloc(kc, obj);
	return obj;
}

static void __noinline
free_slow(struct kmem_cache *kc, unsigned cpu, void *obj, bool on)
{
	struct kmem_mag *m = mag_get(kc, cpu);
	uint32_t half;

	if (m == NULL) {
		kmem_slab_put(kc, &obj, 1);
		arch_intr_restore(on);
		return;
	}
	if (m->m_count == m->m_limit) {
		half = m->m_limit / 2;
		kmem_slab_put(kc, m->m_objs, half);
		m->m_count -= half;
		memmove(m->m_objs, m->m_objs + half, m->m_count * sizeof(m->m_objs[0]));
	}
	m->m_objs[m->m_count++] = obj;
	arch_intr_restore(on);
}

void *
kmem_cache_alloc(struct kmem_cache *kc)
{
	bool on = arch_intr_disable();
	unsigned cpu = arch_curcpu()->ci_index;
	struct kmem_mag *m = kc->kc_mag[cpu];
	uint32_t n = m->m_count;
	void *obj;

	if (fault_alloc()) {
		arch_intr_restore(on);
		return NULL;
	}
	if (unlikely(n == 0))
		return alloc_slow(kc, cpu, on);
	m->m_count = --n;
	obj = m->m_objs[n];
	arch_intr_restore(on);
	kmem_debug_alloc(kc, obj);
	return obj;
}

void
kmem_cache_free(struct kmem_cache *kc, void *obj)
{
	struct kmem_mag *m;
	unsigned cpu;
	uint32_t n;
	bool on;

	kmem_debug_free(kc, obj);
	obj = kmem_quarantine(kc, obj);
	if (obj == NULL)
		return;
	on = arch_intr_disable();
	cpu = arch_curcpu()->ci_index;
	m = kc->kc_mag[cpu];
	n = m->m_count;
	if (unlikely(n == m->m_limit)) {
		free_slow(kc, cpu, obj, on);
		return;
	}
	m->m_objs[n] = obj;
	m->m_count = n + 1;
	arch_intr_restore(on);
}

size_t
kmem_cache_inuse(const struct kmem_cache *kc)
{
	size_t n = atomic_load_relaxed(&kc->kc_nout);
	size_t cached = kmem_quarantined(kc);

	for (unsigned i = 0; i < MAXCPUS; i++)
		cached += atomic_load_relaxed(&atomic_load_relaxed(&kc->kc_mag[i])->m_count);
	return n > cached ? n - cached : 0;
}

/* ---- by size ---- */

#define SMALL_MAX 2048u

/* X(size) */
#define SIZE_CLASSES(X) \
	X(16) \
	X(32) X(48) X(64) X(96) X(128) X(192) X(256) X(384) X(512) X(768) X(1024) X(1536) X(2048)

static const struct {
	uint16_t size;
	const char *name;
} size_classes[] = {
#define X(n) { n, "kmem-" #n },
	SIZE_CLASSES(X)
#undef X
};

static struct kmem_cache
    *by_size[SMALL_MAX / 16 + 1]; /* by (size + 15) / 16; constant after kmem_init */
static size_t nlarge;             /* runs of pages in use; atomic */

static void *__noinline
alloc_large(size_t size)
{
	size_t n = (size + PAGE_MASK) >> PAGE_SHIFT;
	struct page *pg = n <= PMEM_MAXRUN && !fault_alloc() ? page_alloc_run(n, PG_KMEM) : NULL;

	if (pg == NULL)
		return NULL;
	(void)atomic_add(&nlarge, 1);
	pg->pg_owner = NULL;
	pg->pg_count = (uint16_t)n;
	return kmem_sized(page_to_virt(pg), size, n << PAGE_SHIFT);
}

void *
kmem_alloc(size_t size)
{
	struct kmem_cache *kc;

	if (unlikely(size > SMALL_MAX))
		return alloc_large(size);
	kc = by_size[(size + 15) / 16];
	return kmem_sized(kmem_cache_alloc(kc), size, kc->kc_size);
}

void *
kmem_zalloc(size_t size)
{
	void *p = kmem_alloc(size);

	if (likely(p != NULL))
		memset(p, 0, size);
	return p;
}

void
kmem_free(void *p, size_t size)
{
	struct page *pg;
	size_t n;

	if (p == NULL)
		return;
	if (likely(size <= SMALL_MAX)) {
		kmem_cache_free(by_size[(size + 15) / 16], p);
		return;
	}
	n = (size + PAGE_MASK) >> PAGE_SHIFT;
	pg = virt_to_page(p);
	KASSERTMSG(pg->pg_kind == PG_KMEM && pg->pg_owner == NULL && pg->pg_count == n,
	    "%p of %zu bytes", p, size);
	lockdebug_freed(p, size);
	(void)atomic_sub(&nlarge, 1);
	page_free_run(pg, n);
}

/* ---- the whole ---- */

void
kmem_init(void)
{
	unsigned c = 0;

	kmem_cache_setup(&kmem_slab_cache, "kmem-slab",
	    sizeof(struct kmem_slab) + 64 * sizeof(uint16_t), 16, KC_INTERNAL, NULL);
	kmem_cache_setup(
	    &cache_cache, "kmem-cache", sizeof(struct kmem_cache), 64, KC_INTERNAL, NULL);
	kmem_cache_setup(
	    &mag_cache, "kmem-magazine", sizeof(struct kmem_mag), 64, KC_INTERNAL, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(size_classes); i++) {
		struct kmem_cache *kc =
		    kmem_cache_create(size_classes[i].name, size_classes[i].size, 16, 0, NULL);

		while (c * 16 <= size_classes[i].size)
			by_size[c++] = kc;
	}
}

size_t
kmem_pages(void)
{
	return pmem_count(PG_KMEM);
}

size_t
kmem_objects(void)
{
	size_t n = atomic_load_relaxed(&nlarge);

	for (struct kmem_cache *kc = atomic_load_acquire(&kmem_caches); kc != NULL;
	     kc = kc->kc_next)
		if ((kc->kc_flags & KC_UNCOUNTED) == 0)
			n += kmem_cache_inuse(kc);
	return n;
}

void
kmem_foreach(void (*fn)(void *, const struct kmem_info *), void *arg)
{
	for (struct kmem_cache *kc = atomic_load_acquire(&kmem_caches); kc != NULL;
	     kc = kc->kc_next) {
		struct kmem_info info = {
			.name = kc->kc_name, .size = kc->kc_size, .inuse = kmem_cache_inuse(kc)
		};

		info.cached = atomic_load_relaxed(&kc->kc_nout) - info.inuse;
		fn(arg, &info);
	}
}

size_t
kmem_reap(void)
{
	size_t n = 0;

	for (struct kmem_cache *kc = atomic_load_acquire(&kmem_caches); kc != NULL;
	     kc = kc->kc_next) {
		kmem_quarantine_drain(kc);
		n += kmem_slab_reap(kc);
	}
	return n;
}

const char *
kmem_check(void)
{
	const char *why = kmem_slab_check(&kmem_slab_cache);

	for (struct kmem_cache *kc = kmem_caches; kc != NULL && why == NULL; kc = kc->kc_next)
		why = kmem_slab_check(kc);
	return why;
}
