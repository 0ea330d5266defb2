/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel memory: object caches with per-CPU magazines, and kmem_alloc() by size on top of them.
 * layer: mem
 */
#ifndef KERNEL_KMEM_H
#define KERNEL_KMEM_H

#include <kernel/types.h>

struct kmem_cache;

#define KC_TYPESTABLE \
	1 /* memory is never given back or poisoned: freed objects stay readable objects of this type */

#define KC_UNCOUNTED 2 /* not in kmem_objects(): what it holds is itself a cache of something */

/*
 * Objects that users ask for: no slab is made out of the reserve, see pmem_low(), and mem_reclaim() is tried
 * before an allocation fails. => kmem_cache_alloc(): no spin lock held
 */
#define KC_USER 4

void kmem_init(void);
/* `ctor` runs once when an object's memory is first made. align is a power of two. Panics at boot only. */
struct kmem_cache *kmem_cache_create(
    const char *name, size_t size, size_t align, unsigned flags, void (*ctor)(void *));
void *kmem_cache_alloc(struct kmem_cache
	*); /* NULL when out of memory; never sleeps; any spin lock below RANK_SPIN_LEAF may be held */
void kmem_cache_free(struct kmem_cache *, void *);
size_t kmem_cache_inuse(const struct kmem_cache *);
/* Any size up to 4 MiB; page-aligned when size is a multiple of the page size. NULL when out of memory. */
void *kmem_alloc(size_t) __must_check;
void *kmem_zalloc(size_t) __must_check;
void kmem_free(void *, size_t);
size_t kmem_pages(void);      /* pages held by the allocator, magazines included */
size_t kmem_objects(void);    /* objects and kmem_alloc() blocks in use */
size_t kmem_reap(void);       /* gives empty slabs back; returns the pages */
const char *kmem_check(void); /* fsck: NULL, or what is wrong. => other CPUs parked */

struct kmem_info {
	const char *name;
	size_t size;   /* of an object */
	size_t inuse;  /* objects */
	size_t cached; /* free objects in magazines */
};

/*
 * KASAN: an address inside or close behind an object of a cache; false = there is none. For its report.
 * kmem_cache_stable: the bytes of a free object of a type-stable cache that may be looked at; without any, all may.
 */
struct kasan_track;
struct kmem_object {
	const char *ko_cache;
	const void *ko_base;
	size_t ko_size;
	const struct kasan_track *ko_alloc, *ko_free;
};
bool kmem_find_object(const void *, struct kmem_object *);
#ifdef KASAN
void kmem_cache_stable(struct kmem_cache *, size_t from, size_t to);
#else
static inline void
kmem_cache_stable(struct kmem_cache *kc, size_t from, size_t to)
{
	(void)kc;
	(void)from;
	(void)to;
}
#endif

void kmem_foreach(void (*fn)(void *, const struct kmem_info *), void *arg);

/* Kernel stacks: mapped, with KSTACK_SIZE bytes of unmapped guard below; cached per CPU with their mapping. */
#ifdef KASAN
#define KSTACK_PAGES 8 /* frames with redzones are larger */
#else
#define KSTACK_PAGES 4
#endif
#define KSTACK_SIZE (KSTACK_PAGES * PAGE_SIZE)
void kstack_init(void);
/*
 * Lowest address, or NULL when out of memory. Does not sleep, but may map, and may trim the cache if interrupts are on.
 * => no spin lock held
 */
void *kstack_alloc(void);
void kstack_free(void *); /* to the CPU's cache; never sleeps, may be called with interrupts off */
size_t kstack_inuse(void);
bool kstack_is_guard(uintptr_t addr); /* for the fault message */
/* Gives cached stacks beyond `keep` back; returns the pages. => interrupts on, no spin lock held */
size_t kstack_trim(size_t keep);
#ifdef DEBUG
void kstack_check(const void *base); /* panics if the stack has overflowed into its low end */
#endif

#endif
