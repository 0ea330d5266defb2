/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pager objects: the pages of a ramdisk file or of shared anonymous memory.
 * layer: mem
 */
#ifndef KERNEL_VMOBJ_H
#define KERNEL_VMOBJ_H

#include <kernel/types.h>

struct page;
struct vmobj;

/* Both: reference 1 for the caller; NULL when out of memory. */
struct vmobj *vmobj_create_anon(size_t size);
/* Array of `size` bytes' pages, each referenced by the inode, which keeps array and pages for ever. */
struct vmobj *vmobj_create_file(struct page **pages, size_t size);
void vmobj_ref(struct vmobj *);
void vmobj_unref(
    struct vmobj *); /* the last reference frees an anonymous object's pages; may sleep */

/* Page `index` of a file, which needs neither memory nor a lock; NULL when it is not such a page. No reference. */
struct page *vmobj_peek(const struct vmobj *, size_t index);

/* Is page `index` in memory? */
bool vmobj_incore(struct vmobj *, size_t index);

/* Names the object in futex keys; unlike its address it is never used again. */
const void *vmobj_key(const struct vmobj *);

#endif
