/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug aids of the object caches: a bit per object that says whether a user has it (double free, free of a
 * pointer that is no object), a red zone behind each object, and a pattern in freed objects of caches that are
 * neither type-stable nor constructed.
 *
 * KASAN: behind the red zone stand the backtraces of the last allocation and free, and a freed object waits in the
 * cache's quarantine, a ring, until KMEM_QUARANTINE others have been freed after it.
 * layer: mem
 */
#include "kmem_impl.h"

#include <kernel/atomic.h>
#include <kernel/lockdebug.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#ifdef DEBUG

#define POISON_FREE 0x5a
#define POISON_NEW  0xa5
#define REDZONE     0x5afe0b1ec75afe0bul

typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned;

static bool
poisoned(const struct kmem_cache *kc)
{
	return (kc->kc_flags & KC_TYPESTABLE) == 0 && kc->kc_ctor == NULL;
}

/* The red zone starts right behind the object, aligned or not. */
static void
redzone_set(const struct kmem_cache *kc, void *obj)
{
	*(unaligned *)((char *)obj + kc->kc_size) = REDZONE;
}

static void
redzone_check(const struct kmem_cache *kc, const void *obj)
{
	uint64_t z = *(const unaligned *)((const char *)obj + kc->kc_size);

	if (z != REDZONE)
		panic("cache %s: object %p was written beyond its %u bytes: %#lx", kc->kc_name, obj,
		    kc->kc_size, (unsigned long)z);
}

/* The word and bit of the object in its slab's map. */
static uint64_t *
used_bit(const struct kmem_cache *kc, const void *obj, uint64_t *bit)
{
	struct page *pg = virt_to_page(obj);
	struct kmem_slab *s = pg->pg_owner;
	size_t off;

	if (pg->pg_kind != PG_KMEM || s == NULL || s->s_cache != kc)
		panic("%p is no object of cache %s: page kind %s, cache %s", obj, kc->kc_name,
		    page_kind_name[pg->pg_kind],
		    pg->pg_kind == PG_KMEM && s != NULL ? s->s_cache->kc_name : "none");
	off = (size_t)((const char *)obj - s->s_base);
	if (off % kc->kc_stride != 0 || off / kc->kc_stride >= s->s_nobjs)
		panic("%p is not the start of an object of cache %s", obj, kc->kc_name);
	off /= kc->kc_stride;
	*bit = (uint64_t)1 << (off % 64);
	return &s->s_used[off / 64];
}

#ifdef KASAN
static struct kasan_track *
tracks(const struct kmem_cache *kc, const void *obj)
{
	return (struct kasan_track *)((uintptr_t)obj + roundup(kc->kc_size + 8, 8u));
}

/* A free object: what may be touched of it. */
static void
hide(const struct kmem_cache *kc, void *obj)
{
	if ((kc->kc_flags & KC_TYPESTABLE) != 0 && kc->kc_nstable == 0)
		return;
	kasan_poison(obj, kc->kc_size, KASAN_FREE);
	for (unsigned i = 0; i < kc->kc_nstable; i++) {
		unsigned from = kc->kc_stable[i][0], to = kc->kc_stable[i][1];

		kasan_unpoison((char *)obj + from, to - from);
	}
}

static void
show(const struct kmem_cache *kc, void *obj)
{
	kasan_unpoison(obj, kc->kc_size);
}

void
kmem_cache_stable(struct kmem_cache *kc, size_t from, size_t to)
{
	from &= ~(size_t)(KASAN_GRANULE - 1);
	to = min(roundup(to, KASAN_GRANULE), (size_t)kc->kc_size);
	KASSERT(kc->kc_nstable < KC_NSTABLE && from < to);
	kc->kc_stable[kc->kc_nstable][0] = (uint16_t)from;
	kc->kc_stable[kc->kc_nstable][1] = (uint16_t)to;
	kc->kc_nstable++;
}

void *
kmem_quarantine(struct kmem_cache *kc, void *obj)
{
	void **slot, *old;

	spin_lock(&kc->kc_lock);
	slot = &kc->kc_quarantine[kc->kc_qnext];
	kc->kc_qnext = (kc->kc_qnext + 1) % KMEM_QUARANTINE;
	old = *slot;
	*slot = obj;
	kc->kc_qcount += old == NULL;
	spin_unlock(&kc->kc_lock);
	return old;
}

void
kmem_quarantine_drain(struct kmem_cache *kc)
{
	void *objs[KMEM_QUARANTINE];
	unsigned n = 0;

	spin_lock(&kc->kc_lock);
	for (unsigned i = 0; i < KMEM_QUARANTINE; i++) {
		if (kc->kc_quarantine[i] != NULL)
			objs[n++] = kc->kc_quarantine[i];
		kc->kc_quarantine[i] = NULL;
	}
	kc->kc_qcount = 0;
	spin_unlock(&kc->kc_lock);
	kmem_slab_put(kc, objs, n);
}

size_t
kmem_quarantined(const struct kmem_cache *kc)
{
	return atomic_load_relaxed(&kc->kc_qcount);
}

bool
kmem_find_object(const void *addr, struct kmem_object *ko)
{
	const struct page *pg = virt_to_page(addr);
	const struct kmem_slab *s = pg->pg_owner;
	const struct kmem_cache *kc;
	const char *obj;

	if (pg->pg_kind != PG_KMEM || s == NULL || (const char *)addr < s->s_base)
		return false;
	kc = s->s_cache;
	obj = s->s_base + (size_t)((const char *)addr - s->s_base) / kc->kc_stride * kc->kc_stride;
	*ko =
	    (struct kmem_object){ .ko_cache = kc->kc_name, .ko_base = obj, .ko_size = kc->kc_size };
	ko->ko_alloc = &tracks(kc, obj)[0];
	ko->ko_free = &tracks(kc, obj)[1];
	return (kc->kc_flags & KC_INTERNAL) == 0;
}
#define note_made(kc, obj)  (tracks(kc, obj)[0].n = tracks(kc, obj)[1].n = 0)
#define note_alloc(kc, obj) (tracks(kc, obj)[1].n = 0, kasan_track(&tracks(kc, obj)[0]))
#define note_free(kc, obj)  kasan_track(&tracks(kc, obj)[1])
#else
#define hide(kc, obj)       ((void)0)
#define show(kc, obj)       ((void)0)
#define note_made(kc, obj)  ((void)0)
#define note_alloc(kc, obj) ((void)0)
#define note_free(kc, obj)  ((void)0)
#endif

void
kmem_debug_made(struct kmem_cache *kc, void *obj)
{
	if (poisoned(kc))
		memset(obj, POISON_FREE, kc->kc_size);
	redzone_set(kc, obj);
	note_made(kc, obj);
	hide(kc, obj);
}

void
kmem_debug_alloc(struct kmem_cache *kc, void *obj)
{
	const unsigned char *p = obj;
	uint64_t bit, *word;

	if (obj == NULL)
		return;
	word = used_bit(kc, obj, &bit);
	if ((atomic_or(word, bit) & bit) != 0)
		panic("cache %s: object %p is in use and was in the free list", kc->kc_name, obj);
	redzone_check(kc, obj);
	show(kc, obj);
	note_alloc(kc, obj);
	if (poisoned(kc)) {
		for (unsigned i = 0; i < kc->kc_size; i++)
			if (p[i] != POISON_FREE)
				panic(
				    "cache %s: object %p was written after it was freed: byte %u is %#x",
				    kc->kc_name, obj, i, p[i]);
		memset(obj, POISON_NEW, kc->kc_size);
	}
}

void
kmem_debug_free(struct kmem_cache *kc, void *obj)
{
	uint64_t bit, *word = used_bit(kc, obj, &bit);

	lockdebug_freed(obj, kc->kc_size);
	redzone_check(kc, obj);
	show(kc, obj);
	if (poisoned(kc))
		memset(obj, POISON_FREE, kc->kc_size);
	if ((atomic_and(word, ~bit) & bit) == 0)
		panic("cache %s: object %p is freed twice", kc->kc_name, obj);
	note_free(kc, obj);
	hide(kc, obj);
}

#endif
