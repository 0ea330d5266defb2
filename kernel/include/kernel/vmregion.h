/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The set of mapped regions of one address space: pure bookkeeping, no page tables and no locks.
 * layer: mem
 */
#ifndef KERNEL_VMREGION_H
#define KERNEL_VMREGION_H

#include <kernel/rb.h>
#include <kernel/types.h>

struct vmobj;

/* Free space kept below a region that grows down. */
#define VM_STACK_GAP ((size_t)1 << 20)

/* Region flags. */
#define VR_SHARED    0x01 /* writes go to the object */
#define VR_GROWSDOWN 0x02 /* a fault below it extends it */
#define VR_STACK     0x04 /* made by exec for the first thread */
#define VR_NOFORK    0x08 /* a child of fork does not get it */
#define VR_VDSO      0x10 /* made by exec: the vDSO, for who lists the regions */

/* struct vm_region, field locks: (v) vm_lock of the address space */
struct vm_region {
	struct rb_node vr_node; /* (v) by address */
	vaddr_t vr_start;       /* (v) first byte; page-aligned */
	vaddr_t vr_end;         /* (v) first byte after it; page-aligned */
	size_t vr_gap;          /* (v) free bytes below it, without its stack gap */
	size_t vr_maxgap;       /* (v) largest vr_gap of the subtree rooted here */
	struct vmobj *vr_obj;   /* (v) pager object (one reference), NULL = private anonymous */
	uint64_t vr_off;        /* (v) offset of vr_start in the object; 0 without one */
	uint8_t vr_prot;        /* (v) PROT_* */
	uint8_t vr_maxprot;     /* (v) bounds mprotect */
	uint16_t vr_flags;      /* (v) VR_* */
};

/* struct vm_regionset, field locks: (v) vm_lock of the address space */
struct vm_regionset {
	struct rb_tree rs_tree;    /* (v) */
	struct vm_region *rs_hint; /* (v) last region found, or NULL */
	size_t rs_count;           /* (v) regions */
	size_t rs_bytes;           /* (v) sum of their sizes */
};

/* Region that holds `va`, or NULL. */
struct vm_region *vm_region_lookup(struct vm_regionset *, vaddr_t va);
/* Lowest region that ends above `va` (it may hold `va`), or NULL. */
struct vm_region *vm_region_first(const struct vm_regionset *, vaddr_t va);
struct vm_region *vm_region_next(const struct vm_region *);
struct vm_region *vm_region_prev(const struct vm_region *);

/*
 * Adds the range described by `r`, whose addresses are free; an equal neighbour takes it over, else `r`
 * itself is linked. Owns `r` and its object reference from now on. Returns the region in force.
 */
struct vm_region *vm_region_add(struct vm_regionset *, struct vm_region *r);
/* Removes [start, end), splitting regions at its borders. 0, or -ENOMEM with the mappings unchanged. */
int vm_region_delete(struct vm_regionset *, vaddr_t start, vaddr_t end);
/* Moves a region's lower border down into free space. */
void vm_region_grow_down(struct vm_regionset *, struct vm_region *, vaddr_t start);
/* 0 when [start, end) has no hole and `prot` is within every maxprot, else -ENOMEM, -EACCES. */
int vm_region_may_protect(const struct vm_regionset *, vaddr_t start, vaddr_t end, int prot);
/* Splits regions so that `start` and `end` are borders. 0 or -ENOMEM. The mappings do not change. */
int vm_region_clip(struct vm_regionset *, vaddr_t start, vaddr_t end);
/* Joins equal neighbours from the border at `start` to that at `end`. */
void vm_region_coalesce(struct vm_regionset *, vaddr_t start, vaddr_t end);

/* Highest a with [a, a+size) free and inside [lo, hi), or 0. O(log n). */
vaddr_t vm_region_findgap(const struct vm_regionset *, vaddr_t lo, vaddr_t hi, size_t size);
/* Is [start, end) unmapped? `guard`: and outside of every stack gap. */
bool vm_region_isfree(const struct vm_regionset *, vaddr_t start, vaddr_t end, bool guard);

/* Copies all regions to an empty set. 0, or -ENOMEM and `dst` is empty. O(n), nothing is rebalanced. */
int vm_region_clone(struct vm_regionset *dst, const struct vm_regionset *src);
void vm_region_clear(struct vm_regionset *);
/* fsck: order, borders, gaps, counts. NULL or what is wrong. */
const char *vm_region_check(const struct vm_regionset *);

/* Memory for regions; contents undefined. NULL when out of memory. Supplied by the address-space code. */
struct vm_region *vm_region_alloc(void);
void vm_region_free(struct vm_region *); /* without the object's reference */

#endif
