/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pager objects: where the pages of a shared or file mapping come from.
 *
 *  - file: the inode's array of pages, all resident and constant for ever. No lock, no memory needed.
 *  - anonymous: made by mmap(MAP_SHARED | MAP_ANONYMOUS). Two levels, a root of leaves of 512 pages;
 *    leaves and pages appear, zeroed, at the first touch and stay until the last mapping is gone.
 *
 * Locking: vo_lock covers leaves and pages of anonymous objects; it nests inside vm_lock.
 */
#include <kernel/vm.h>

#include <abi/errno.h>
#include <kernel/atomic.h>
#include <kernel/explore.h>
#include <kernel/kmem.h>
#include <kernel/panic.h>

#include "vm_internal.h"

#define LEAF_PAGES (PAGE_SIZE / sizeof(struct page *))

/* struct vmobj, field locks: (o) vo_lock (a) atomic (c) constant */
struct vmobj {
	struct mutex vo_lock;
	uint32_t vo_refs;       /* (a) regions, descriptors */
	size_t vo_npages;       /* (c) size */
	struct page **vo_file;  /* (c) pages of a file; NULL = anonymous */
	struct page ***vo_root; /* (c) leaves of an anonymous object; entries (o) */
	uint64_t vo_serial;     /* (c) never used twice: names the object in futex keys */
};

static struct kmem_cache *vmobj_cache;

void
vmobj_init(void)
{
	vmobj_cache = kmem_cache_create("vmobj", sizeof(struct vmobj), 8, KC_USER, NULL);
}

static struct vmobj *
create(size_t size)
{
	static uint64_t serial; /* (a) */
	struct vmobj *obj = kmem_cache_alloc(vmobj_cache);

	if (obj == NULL)
		return NULL;
	*obj = (struct vmobj){ .vo_refs = 1,
		.vo_npages = round_page(size) >> PAGE_SHIFT,
		.vo_serial = atomic_add(&serial, 1) };
	mutex_init(&obj->vo_lock, "vmobj", RANK_VMOBJ);
	return obj;
}

static size_t
root_size(const struct vmobj *obj)
{
	return (obj->vo_npages + LEAF_PAGES - 1) / LEAF_PAGES * sizeof(struct page **);
}

struct vmobj *
vmobj_create_anon(size_t size)
{
	struct vmobj *obj = create(size);

	if (obj == NULL)
		return NULL;
	obj->vo_root = user_alloc_ok(root_size(obj)) ? kmem_zalloc(root_size(obj)) : NULL;
	if (obj->vo_root == NULL) {
		kmem_cache_free(vmobj_cache, obj);
		return NULL;
	}
	return obj;
}

struct vmobj *
vmobj_create_file(struct page **pages, size_t size)
{
	struct vmobj *obj = create(size);

	if (obj != NULL)
		obj->vo_file = pages;
	return obj;
}

void
vmobj_ref(struct vmobj *obj)
{
	atomic_add(&obj->vo_refs, 1);
}

void
vmobj_unref(struct vmobj *obj)
{
	KASSERT(atomic_load_relaxed(&obj->vo_refs) > 0);
	EXPLORE_POINT(ATOMIC, &obj->vo_refs);
	if (atomic_sub(&obj->vo_refs, 1) > 1)
		return;
	if (obj->vo_root != NULL) {
		for (size_t i = 0; i < root_size(obj) / sizeof(struct page **); i++) {
			struct page **leaf = obj->vo_root[i];

			if (leaf == NULL)
				continue;
			for (size_t k = 0; k < LEAF_PAGES; k++) {
				if (leaf[k] != NULL)
					page_unref(leaf[k]);
			}
			kmem_free(leaf, PAGE_SIZE);
		}
		kmem_free(obj->vo_root, root_size(obj));
	}
	mutex_destroy(&obj->vo_lock);
	kmem_cache_free(vmobj_cache, obj);
}

struct page *
vmobj_peek(const struct vmobj *obj, size_t index)
{
	return obj->vo_file != NULL && index < obj->vo_npages ? obj->vo_file[index] : NULL;
}

bool
vmobj_incore(struct vmobj *obj, size_t index)
{
	struct page **leaf;
	bool there;

	if (index >= obj->vo_npages || obj->vo_file != NULL)
		return index < obj->vo_npages;
	mutex_lock(&obj->vo_lock);
	leaf = obj->vo_root[index / LEAF_PAGES];
	there = leaf != NULL && leaf[index % LEAF_PAGES] != NULL;
	mutex_unlock(&obj->vo_lock);
	return there;
}

int
vmobj_getpage(struct vmobj *obj, size_t index, struct page **pgp)
{
	struct page **leaf, *pg;
	int error = -ENOMEM;

	if (index >= obj->vo_npages)
		return -EIO;
	if (obj->vo_file != NULL) {
		*pgp = obj->vo_file[index];
		page_ref(*pgp);
		return 0;
	}
	mutex_lock(&obj->vo_lock);
	leaf = obj->vo_root[index / LEAF_PAGES];
	if (leaf == NULL) {
		leaf = user_alloc_ok(PAGE_SIZE) ? kmem_zalloc(PAGE_SIZE) : NULL;
		if (leaf == NULL)
			goto out;
		obj->vo_root[index / LEAF_PAGES] = leaf;
	}
	pg = leaf[index % LEAF_PAGES];
	if (pg == NULL) {
		pg = vm_page_alloc(true, PG_OBJ);
		if (pg == NULL)
			goto out;
		leaf[index % LEAF_PAGES] = pg;
	}
	page_ref(pg);
	*pgp = pg;
	error = 0;
out:
	mutex_unlock(&obj->vo_lock);
	return error;
}

/* An odd number: no address of an object looks like it. */
const void *
vmobj_key(const struct vmobj *obj)
{
	return (const void *)(uintptr_t)(obj->vo_serial << 1 | 1);
}
