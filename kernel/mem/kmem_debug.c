/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug aids of the object caches: a bit per object that says whether a user has it (double free, free of a
 * pointer that is no object), a red zone behind each object, and a pattern in freed objects of caches that are
 * neither type-stable nor constructed.
 * layer: mem
 */
#include "kmem_impl.h"

#include <kernel/atomic.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#ifdef DEBUG

#define POISON_FREE 0x5a
#define POISON_NEW  0xa5
#define REDZONE     0x5afe0b1ec75afe0bul

static bool
poisoned(const struct kmem_cache *kc)
{
	return (kc->kc_flags & KC_TYPESTABLE) == 0 && kc->kc_ctor == NULL;
}

/* The red zone starts right behind the object, aligned or not. */
static void
redzone_set(const struct kmem_cache *kc, void *obj)
{
	uint64_t z = REDZONE;

	memcpy((char *)obj + kc->kc_size, &z, sizeof(z));
}

static void
redzone_check(const struct kmem_cache *kc, const void *obj)
{
	uint64_t z;

	memcpy(&z, (const char *)obj + kc->kc_size, sizeof(z));
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

void
kmem_debug_made(struct kmem_cache *kc, void *obj)
{
	if (poisoned(kc))
		memset(obj, POISON_FREE, kc->kc_size);
	redzone_set(kc, obj);
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

	redzone_check(kc, obj);
	if (poisoned(kc))
		memset(obj, POISON_FREE, kc->kc_size);
	if ((atomic_and(word, ~bit) & bit) == 0)
		panic("cache %s: object %p is freed twice", kc->kc_name, obj);
}

#endif
