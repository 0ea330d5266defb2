/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User address spaces.
 * layer: mem
 */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H

#include <kernel/cpu.h>
#include <kernel/mutex.h>
#include <kernel/rwlock.h>
#include <kernel/types.h>
#include <kernel/vmobj.h>
#include <kernel/vmregion.h>

struct lwpctl_page;
struct pmap;

#define VM_MIN_ADDRESS ((vaddr_t)0x10000)
#define VM_MAXREGIONS  65530 /* per address space; Linux's default of max_map_count */

/* Arguments of vm_map() beside the region flags VR_*; not kept. */
#define VM_NORESERVE 0x100 /* no refusal for sizes beyond the machine's memory */
#define VM_BELOW_2G  0x200 /* automatic placement below 2 GiB */
#define VM_FIXED     0x400 /* at *addr exactly, in place of what is there */
#define VM_NOREPLACE 0x800 /* with VM_FIXED: -EEXIST if something is there */

/*
 * struct vmspace, field locks: (v) vm_lock, for writing to change (a) atomic (c) constant
 *   (p) vm_lock for writing, or for reading and vm_ptlock
 */
struct vmspace {
	struct rwlock vm_lock;
	struct mutex vm_ptlock;         /* see vmspace.c */
	uint32_t vm_refs;               /* (a) processes that share it (vfork) */
	struct pmap *vm_pmap;           /* (c) page tables; contents (p) */
	struct vm_regionset vm_regions; /* (v) */
	size_t vm_maxpages;             /* (p) its peak of resident pages; read by all */
	vaddr_t vm_brk_start;           /* (v) set by exec; 0 = no heap */
	vaddr_t vm_brk;                 /* (v) */
	vaddr_t vm_mmap_top;            /* (v) automatic placement ends here */
	bool vm_lockfuture;             /* (a) what is mapped is touched at once: mlockall */
	struct lwpctl_page *vm_lwpctl;  /* (v) newest first; NULL = no LWP has asked */
};

extern struct vmspace vmspace_kernel;

void vm_init(void);
struct vmspace *vmspace_create(void); /* empty; NULL when out of memory */
void vmspace_ref(struct vmspace *);
void vmspace_unref(struct vmspace *); /* last: frees all; may sleep; active on no CPU */
/* Copy-on-write; 0, or -ENOMEM with the parent intact. */
int vmspace_fork(struct vmspace *parent, struct vmspace **child);
/* Pages mapped now; a hint unless vm_lock is held. */
size_t vm_resident(const struct vmspace *);
/* vmspace_activate() when another one is loaded. */
void vmspace_load(struct vmspace *);

/* Loads the address space on this CPU (switch, exec, exit). => preemption off */
static inline void
vmspace_activate(struct vmspace *vm)
{
	if (arch_curcpu()->ci_vmspace != vm)
		vmspace_load(vm);
}

/*
 * All below: => no lock of rank RANK_VMSPACE or above held; take vm_lock and may sleep for it.
 *
 * vm_map: errors as Linux: -EINVAL -ENOMEM -EEXIST -EPERM. prot = PROT_R|W|X; maxprot bounds
 * mprotect. flags VR_*, VM_*. Without VM_FIXED *addr is a wish or 0; it receives the result.
 * The region takes a reference of its own to the object.
 */
int vm_map(struct vmspace *, vaddr_t *addr, size_t, int prot, int maxprot, unsigned flags,
    struct vmobj *, uint64_t off);
int vm_unmap(struct vmspace *, vaddr_t, size_t);
int vm_protect(struct vmspace *, vaddr_t, size_t, int prot);
/* flags MREMAP_*; *newaddr is the place asked for by MREMAP_FIXED and receives the result. */
int vm_remap(
    struct vmspace *, vaddr_t old, size_t oldsize, size_t newsize, int flags, vaddr_t *newaddr);
/* MADV_*. */
int vm_advise(struct vmspace *, vaddr_t, size_t, int advice);
/*
 * Touches the pages; stops at the first that fails, and when the caller is killed.
 * 0; -EFAULT: nothing is mapped there, or it may not be touched; -EIO; -ENOMEM
 */
int vm_populate(struct vmspace *, vaddr_t, size_t);
/* 0, or -ENOMEM when there is a hole in the range, which ends inside the user's half or at its end. */
int vm_mapped(struct vmspace *, vaddr_t, size_t);
/* The first mapped range at or after *start, to [*start, *end); false: none. */
bool vm_next_mapped(struct vmspace *, vaddr_t *start, vaddr_t *end);
/* Is the page in memory, 1 or 0? -ENOMEM: nothing is mapped there. */
int vm_incore(struct vmspace *, vaddr_t);
/* Returns the break in force. */
vaddr_t vm_brk(struct vmspace *, vaddr_t newbrk);
/*
 * Resolves a fault: 0; -EFAULT nothing mapped there; -EACCES protection; -EIO beyond the object's end;
 * -ENOMEM.
 */
int vm_fault(struct vmspace *, vaddr_t, int access); /* may have FAULT_PRESENT */
/*
 * For futexes: identity of the word: shared mapping -> object and offset, else vmspace and address.
 * 0 or -EFAULT.
 */
int vm_futex_key(struct vmspace *, vaddr_t, bool shared, const void **obj, uint64_t *off);
/*
 * Writes into writable memory of an address space that need not be active (exec); NULL writes zeros.
 * 0, -EFAULT, -ENOMEM.
 */
int vm_write(struct vmspace *, vaddr_t, const void *, size_t);
/*
 * fsck: regions sorted and disjoint, page counts, copy-on-write. NULL or a text; does nothing while
 * vm_lock is taken.
 */
const char *vm_check(struct vmspace *);

#endif
