/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slabs: runs of 1 to 8 pages cut into objects of one cache.
 *
 * A slab is on one list of its cache: partial, full (nothing free) or empty (nothing used). Free objects are
 * kept as indices in the slab's header, never as links inside the objects, so that a freed type-stable object
 * stays intact. The header is at the start of the slab, or for large objects in a small object of its own. An
 * empty slab goes back to the page allocator when the cache has EMPTY_KEPT others, unless the cache is
 * type-stable.
 *
 * kc_lock is a leaf: pages are allocated and freed without it.
 * layer: mem
 */
#include "kmem_impl.h"

#include <kernel/panic.h>

#define EMPTY_KEPT    2u
#define OFFSLAB_SIZE  512u
#define OFFSLAB_NOBJS 64u
#define SLAB_MAXORDER 3u

struct kmem_cache kmem_slab_cache;

static size_t
header_size(unsigned nobjs)
{
	return sizeof(struct kmem_slab) + nobjs * sizeof(uint16_t);
}

/* How many objects a slab of that order holds. */
static unsigned
slab_fit(const struct kmem_cache *kc, unsigned order, size_t align)
{
	size_t bytes = PAGE_SIZE << order;
	unsigned n = (unsigned)(bytes / kc->kc_stride);

	if (kc->kc_offslab)
		return min(n, OFFSLAB_NOBJS);
	n = min(n, SLAB_MAXOBJS);
	while (n > 0 && roundup(header_size(n), align) + (size_t)n * kc->kc_stride > bytes)
		n--;
	return n;
}

void
kmem_cache_setup(struct kmem_cache *kc, const char *name, size_t size, size_t align, unsigned flags,
    void (*ctor)(void *))
{
	unsigned order;

	align = max(align, (size_t)16);
	if (size == 0 || size > (PAGE_SIZE << SLAB_MAXORDER) / 2 || !IS_POW2(align) ||
	    align > PAGE_SIZE)
		panic("kmem cache %s: size %zu, alignment %zu", name, size, align);
	*kc = (struct kmem_cache){ .kc_name = name, .kc_ctor = ctor, .kc_flags = (uint16_t)flags };
	kc->kc_size = (uint32_t)size;
	kc->kc_stride =
	    (uint32_t)roundup(size + ((flags & KC_INTERNAL) != 0 ? 0 : KMEM_REDZONE), align);
	kc->kc_offslab = size >= OFFSLAB_SIZE;
	/* The smallest order that wastes no more than an eighth, or else the largest. */
	for (order = 0; order < SLAB_MAXORDER; order++) {
		size_t used = (size_t)slab_fit(kc, order, align) * kc->kc_stride;

		if (used >= (PAGE_SIZE << order) - (PAGE_SIZE << order) / 8)
			break;
	}
	kc->kc_order = (uint8_t)order;
	kc->kc_nobjs = slab_fit(kc, order, align);
	kc->kc_first = kc->kc_offslab ? 0 : (uint32_t)roundup(header_size(kc->kc_nobjs), align);
	kc->kc_maglimit = size <= 1024 ? MAG_OBJS : 8;
	spin_init(&kc->kc_lock, name, RANK_SPIN_LEAF);
	list_init(&kc->kc_partial);
	list_init(&kc->kc_full);
	list_init(&kc->kc_empty);
}

static struct kmem_slab *
slab_make(struct kmem_cache *kc)
{
	struct kmem_slab *s;
	struct page *pg;
	void *header;

	if ((kc->kc_flags & KC_USER) != 0 && pmem_low())
		return NULL;
	pg = page_alloc_contig(kc->kc_order, PG_KMEM);
	if (pg == NULL)
		return NULL;
	header = page_to_virt(pg);
	if (kc->kc_offslab && kmem_slab_take(&kmem_slab_cache, &header, 1) == 0) {
		page_free_contig(pg, kc->kc_order);
		return NULL;
	}
	s = header;
	*s = (struct kmem_slab){
		.s_cache = kc, .s_page = pg, .s_nobjs = kc->kc_nobjs, .s_nfree = kc->kc_nobjs
	};
	kasan_poison(page_to_virt(pg), PAGE_SIZE << kc->kc_order, KASAN_REDZONE);
	if (!kc->kc_offslab)
		kasan_unpoison(s, header_size(kc->kc_nobjs));
	s->s_base = (char *)page_to_virt(pg) + kc->kc_first;
	for (unsigned i = 0; i < 1u << kc->kc_order; i++)
		pg[i].pg_owner = s;
	for (unsigned i = 0; i < s->s_nobjs; i++) {
		void *obj = s->s_base + (size_t)i * kc->kc_stride;

		s->s_free[s->s_nobjs - 1 - i] = (uint16_t)i;
		kasan_unpoison(obj, kc->kc_size);
		if (kc->kc_ctor != NULL)
			kc->kc_ctor(obj);
		if ((kc->kc_flags & KC_INTERNAL) == 0)
			kmem_debug_made(kc, obj);
	}
	return s;
}

/* => off all lists, no lock held */
static void
slab_destroy(struct kmem_slab *s)
{
	struct kmem_cache *kc = s->s_cache;
	struct page *pg = s->s_page;
	void *header = s;

	KASSERT(s->s_nfree == s->s_nobjs && (kc->kc_flags & KC_TYPESTABLE) == 0);
	if (kc->kc_offslab)
		kmem_slab_put(&kmem_slab_cache, &header, 1);
	page_free_contig(pg, kc->kc_order);
}

static void
slab_move(struct kmem_slab *s, struct list *to)
{
	list_remove(&s->s_link);
	list_insert_head(to, &s->s_link);
}

unsigned
kmem_slab_take(struct kmem_cache *kc, void **objs, unsigned n)
{
	struct kmem_slab *s, *new = NULL;
	unsigned got = 0;

	for (;;) {
		spin_lock(&kc->kc_lock);
		if (new != NULL) {
			list_insert_head(&kc->kc_empty, &new->s_link);
			kc->kc_nempty++;
		}
		while (got < n) {
			s = list_first(&kc->kc_partial, struct kmem_slab, s_link);
			if (s == NULL) {
				s = list_first(&kc->kc_empty, struct kmem_slab, s_link);
				if (s == NULL)
					break;
				kc->kc_nempty--;
				slab_move(s, &kc->kc_partial);
			}
			while (got < n && s->s_nfree > 0) {
				uint16_t i = s->s_free[--s->s_nfree];

				objs[got++] = s->s_base + (size_t)i * kc->kc_stride;
				kc->kc_nout++;
			}
			if (s->s_nfree == 0)
				slab_move(s, &kc->kc_full);
		}
		spin_unlock(&kc->kc_lock);
		/* One new slab is enough: the caller takes what there is. */
		if (got > 0 || (new = slab_make(kc)) == NULL)
			return got;
	}
}

void
kmem_slab_put(struct kmem_cache *kc, void **objs, unsigned n)
{
	struct list dead = LIST_INIT(dead);
	struct kmem_slab *s, *next;

	spin_lock(&kc->kc_lock);
	for (unsigned k = 0; k < n; k++) {
		s = kmem_slab_of(objs[k]);
		KASSERTMSG(s->s_cache == kc && s->s_nfree < s->s_nobjs, "%p of cache %s", objs[k],
		    kc->kc_name);
		if (s->s_nfree == 0)
			slab_move(s, &kc->kc_partial);
		s->s_free[s->s_nfree++] =
		    (uint16_t)((uint32_t)((char *)objs[k] - s->s_base) / kc->kc_stride);
		kc->kc_nout--;
		if (s->s_nfree < s->s_nobjs)
			continue;
		if (kc->kc_nempty < EMPTY_KEPT || (kc->kc_flags & KC_TYPESTABLE) != 0) {
			slab_move(s, &kc->kc_empty);
			kc->kc_nempty++;
		} else {
			slab_move(s, &dead);
		}
	}
	spin_unlock(&kc->kc_lock);
	list_foreach_safe (s, next, &dead, s_link)
		slab_destroy(s);
}

size_t
kmem_slab_reap(struct kmem_cache *kc)
{
	struct list dead = LIST_INIT(dead);
	struct kmem_slab *s, *next;
	size_t pages = 0;

	if ((kc->kc_flags & KC_TYPESTABLE) != 0)
		return 0;
	spin_lock(&kc->kc_lock);
	list_splice_tail(&dead, &kc->kc_empty);
	kc->kc_nempty = 0;
	spin_unlock(&kc->kc_lock);
	list_foreach_safe (s, next, &dead, s_link) {
		pages += (size_t)1 << kc->kc_order;
		slab_destroy(s);
	}
	return pages;
}

static const char *
list_check(
    const struct kmem_cache *kc, const struct list *l, uint32_t lo, uint32_t hi, size_t *nout)
{
	const struct kmem_slab *s;

	list_foreach (s, l, s_link) {
		if (s->s_cache != kc || s->s_nobjs != kc->kc_nobjs || s->s_page->pg_owner != s)
			return "slab header is damaged";
		if (s->s_nfree < lo || s->s_nfree > hi)
			return "slab is on the wrong list";
		*nout += s->s_nobjs - s->s_nfree;
	}
	return NULL;
}

const char *
kmem_slab_check(struct kmem_cache *kc)
{
	const char *why;
	size_t nout = 0;

	why = list_check(kc, &kc->kc_partial, 1, kc->kc_nobjs - 1, &nout);
	if (why == NULL)
		why = list_check(kc, &kc->kc_full, 0, 0, &nout);
	if (why == NULL)
		why = list_check(kc, &kc->kc_empty, kc->kc_nobjs, kc->kc_nobjs, &nout);
	if (why == NULL && nout != kc->kc_nout)
		why = "count of objects in use is wrong";
	return why;
}
