/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Object caches: structures and the debug hooks.
 * layer: mem
 */
#ifndef MEM_KMEM_IMPL_H
#define MEM_KMEM_IMPL_H

#include <kernel/kasan.h>
#include <kernel/kmem.h>
#include <kernel/list.h>
#include <kernel/pmem.h>
#include <kernel/spinlock.h>

#define KC_INTERNAL 0x100 /* of kmem itself: no magazines, not in the ledger */

#define KC_NSTABLE      4
#define KMEM_QUARANTINE 64u

#define MAG_OBJS     30u
#define SLAB_MAXOBJS 256u

/* struct kmem_mag, field locks: (o) its CPU only, interrupts off; others read the count to sum up */
struct kmem_mag {
	uint32_t m_count;       /* (o) objects in it */
	uint32_t m_limit;       /* (o) objects that it may hold */
	void *m_objs[MAG_OBJS]; /* (o) */
} __cacheline_aligned;

/* struct kmem_slab, field locks: (k) kc_lock of its cache (c) constant (a) atomic */
struct kmem_slab {
	struct kmem_cache *s_cache; /* (c) */
	char *s_base;               /* (c) first object */
	struct page *s_page;        /* (c) first page */
	struct list s_link;         /* (k) kc_partial, kc_full or kc_empty */
	uint32_t s_nobjs;           /* (c) */
	uint32_t s_nfree;           /* (k) entries of s_free */
#ifdef DEBUG
	uint64_t s_used[SLAB_MAXOBJS / 64]; /* (a) bit per object: handed out to a user */
#endif
	uint16_t s_free[]; /* (k) indices of the free objects, a stack */
};

/* struct kmem_cache, field locks: (c) constant (k) kc_lock (o) entry n: CPU n only, interrupts off */
struct kmem_cache {
	struct kmem_mag *kc_mag[MAXCPUS]; /* (o) */
	const char *kc_name;              /* (c) */
	uint32_t kc_size;                 /* (c) what the user asked for */
	uint32_t kc_stride;               /* (c) distance of objects */
	uint32_t kc_first;                /* (c) offset of the first object in a slab */
	uint32_t kc_nobjs;                /* (c) objects of a slab */
	uint32_t kc_maglimit;             /* (c) */
	uint16_t kc_flags;                /* (c) KC_* */
	uint8_t kc_order;                 /* (c) pages of a slab */
	bool kc_offslab;                  /* (c) the slab header is not in the slab */
	void (*kc_ctor)(void *);          /* (c) */
	struct spinlock kc_lock;
	struct list kc_partial;     /* (k) slabs with free and used objects */
	struct list kc_full;        /* (k) slabs without free objects */
	struct list kc_empty;       /* (k) slabs without used objects */
	uint32_t kc_nempty;         /* (k) */
	size_t kc_nout;             /* (k) objects outside of slabs: with users or in magazines */
	struct kmem_cache *kc_next; /* (c) all caches */
#ifdef KASAN
	uint32_t kc_nstable;               /* (c) entries of kc_stable */
	uint16_t kc_stable[KC_NSTABLE][2]; /* (c) offsets from, to: see kmem_cache_stable() */
	uint32_t kc_qnext;  /* (k) where the next freed object goes, the oldest leaves */
	uint32_t kc_qcount; /* (k) objects in it */
	void *kc_quarantine[KMEM_QUARANTINE]; /* (k) freed objects that are not used again yet */
#endif
};

extern struct kmem_cache *kmem_caches; /* (a) list; only ever grows at the head */

/* kmem_slab.c */
void kmem_cache_setup(struct kmem_cache *, const char *name, size_t size, size_t align,
    unsigned flags, void (*ctor)(void *));
unsigned kmem_slab_take(struct kmem_cache *, void **objs, unsigned n); /* returns how many */
void kmem_slab_put(struct kmem_cache *, void **objs, unsigned n);
size_t kmem_slab_reap(struct kmem_cache *); /* frees the empty slabs; returns the pages */
const char *kmem_slab_check(struct kmem_cache *);

extern struct kmem_cache kmem_slab_cache; /* headers that are not in the slab */

static inline struct kmem_slab *
kmem_slab_of(const void *obj)
{
	return virt_to_page(obj)->pg_owner;
}

/* KASAN: only the first `size` bytes of an object that has room for more may be touched. Returns it. */
static inline void *
kmem_sized(void *obj, size_t size, size_t room)
{
	if (obj != NULL) {
		kasan_poison((char *)obj + size, room - size, KASAN_REDZONE);
		kasan_unpoison(obj, size);
	}
	return obj;
}

/* kmem_debug.c: an object passes between user and cache. */
#ifdef DEBUG
#ifdef KASAN
#define KMEM_REDZONE (16 + 2 * (uint32_t)sizeof(struct kasan_track))
#else
#define KMEM_REDZONE 8u
#endif
void kmem_debug_made(struct kmem_cache *, void *);
void kmem_debug_alloc(struct kmem_cache *, void *);
void kmem_debug_free(struct kmem_cache *, void *);
#else
#define KMEM_REDZONE 0u

static inline void
kmem_debug_made(struct kmem_cache *kc, void *obj)
{
	(void)kc;
	(void)obj;
}

static inline void
kmem_debug_alloc(struct kmem_cache *kc, void *obj)
{
	(void)kc;
	(void)obj;
}

static inline void
kmem_debug_free(struct kmem_cache *kc, void *obj)
{
	(void)kc;
	(void)obj;
}
#endif

/* KASAN: takes a freed object and returns another that has waited long, or NULL. */
#ifdef KASAN
void *kmem_quarantine(struct kmem_cache *, void *);
void kmem_quarantine_drain(struct kmem_cache *);
size_t kmem_quarantined(const struct kmem_cache *);
#else
static inline void *
kmem_quarantine(struct kmem_cache *kc, void *obj)
{
	(void)kc;
	return obj;
}

static inline void
kmem_quarantine_drain(struct kmem_cache *kc)
{
	(void)kc;
}

static inline size_t
kmem_quarantined(const struct kmem_cache *kc)
{
	(void)kc;
	return 0;
}
#endif

#endif
