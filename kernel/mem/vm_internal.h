/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the address-space code share with each other only.
 * layer: mem
 */
#ifndef MEM_VM_INTERNAL_H
#define MEM_VM_INTERNAL_H

#include <arch/arch_if.h>
#include <kernel/pmem.h>
#include <kernel/vm.h>

/* Indices of p_rlimit (Linux's). */
#define VM_RLIMIT_DATA  2
#define VM_RLIMIT_STACK 3
#define VM_RLIMIT_AS    9

/* Soft limit of the current process, bytes. A single word: read without p_lock. */
uint64_t vm_rlimit(int which);
/* May the address space grow by `size` bytes? => vm_lock held */
bool vm_may_grow(const struct vmspace *, size_t size);
/* ... by `size` bytes more of data? => vm_lock held; walks all regions where RLIMIT_DATA is set */
bool vm_may_grow_data(const struct vmspace *, size_t size);
/* Private and writable, and no stack: what RLIMIT_DATA is about. */
static inline bool
vm_region_isdata(unsigned flags, int prot)
{
	return (flags & (VR_SHARED | VR_GROWSDOWN)) == 0 && (prot & PROT_W) != 0;
}
/* Bytes of data in [start, end). => vm_lock held */
size_t vm_data_bytes(const struct vm_regionset *, vaddr_t start, vaddr_t end);

/* Address for an automatic mapping, or 0; flags VM_BELOW_2G. => vm_lock held */
vaddr_t vm_place(struct vmspace *, vaddr_t wish, size_t size, unsigned flags);
/* => vm_lock held, range page-aligned and inside the user's half. 0 or -ENOMEM, nothing changed */
int vm_unmap_locked(struct vmspace *, vaddr_t start, vaddr_t end);
/* Drops the pages of a range and keeps its regions. => vm_lock held */
void vm_drop_pages(struct vmspace *, vaddr_t start, vaddr_t end);
/* => vm_lock held */
int vm_fault_locked(struct vmspace *, vaddr_t, int access);

void vmobj_init(void);
/* Page `index` of an object with a reference for the caller. 0, -EIO beyond the end, -ENOMEM. May sleep. */
int vmobj_getpage(struct vmobj *, size_t index, struct page **);

struct page *vm_page_alloc_slow(bool zeroed, enum page_kind);

/* A page for a user; NULL when only the reserve is left, even after what is cached was given back. */
static inline struct page *
vm_page_alloc(bool zeroed, enum page_kind kind)
{
	struct page *pg = NULL;

	if (likely(!pmem_low()))
		pg = zeroed ? page_alloc_zeroed(kind) : page_alloc(kind);
	return likely(pg != NULL) ? pg : vm_page_alloc_slow(zeroed, kind);
}

/* Protection of page-table entries for a region's: whatever is mapped can be read. */
static inline int
vm_hwprot(int prot)
{
	return prot != 0 ? prot | PROT_R : 0;
}

#endif
