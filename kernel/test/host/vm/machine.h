/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine under test_vm.c: page allocator, kernel memory, mutexes and page tables, as plain as can
 * be, each able to run out of memory on request. A page table is an array sorted by nothing.
 * layer: test
 */
#ifndef HOST_VM_MACHINE_H
#define HOST_VM_MACHINE_H

#include <arch/arch_if.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/failpoint.h>
#include <kernel/mutex.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/proc.h>
#include <kernel/string.h>

#define RAM_PAGES 4096
#define PMAP_MAX  2048

static char ram[RAM_PAGES * PAGE_SIZE] __aligned(4096);
static struct page pages[RAM_PAGES];
static struct cpu the_cpu;
static struct lwp the_lwp;
static struct proc the_proc;

char *host_ram = ram;
struct cpu *host_cpu = &the_cpu;
struct lwp *host_lwp = &the_lwp;
struct page *pmem_pages = pages;
size_t pmem_nfree = RAM_PAGES, pmem_reserve = 64;
static int host_pages, host_objects; /* in use */
static int host_fail = -1;           /* allocations until they fail; -1 = never */

static bool
out_of_memory(void)
{
	if (host_fail > 0)
		host_fail--;
	return host_fail == 0;
}

/* ---- pages ---- */

struct page *
page_alloc(enum page_kind kind)
{
	static size_t rotor;

	if (out_of_memory())
		return NULL;
	for (size_t i = 0; i < RAM_PAGES; i++) {
		struct page *pg = &pages[rotor++ % RAM_PAGES];

		if (pg->pg_refs == 0) {
			pg->pg_refs = 1;
			pg->pg_kind = (uint8_t)kind;
			host_pages++;
			memset(page_to_virt(pg), 0xa5, PAGE_SIZE);
			return pg;
		}
	}
	return NULL;
}

struct page *
page_alloc_zeroed(enum page_kind kind)
{
	struct page *pg = page_alloc(kind);

	if (pg != NULL)
		memset(page_to_virt(pg), 0, PAGE_SIZE);
	return pg;
}

void
page_free_last(struct page *pg)
{
	KASSERT(pg->pg_refs <= 1);
	pg->pg_refs = 0;
	host_pages--;
	memset(page_to_virt(pg), 0x5a, PAGE_SIZE);
}

void
page_batch_free(struct page_batch *pb)
{
	for (uint32_t i = 0; i < pb->pb_count; i++)
		page_free_last(pb->pb_pages[i]);
	pb->pb_count = 0;
}

size_t
pmem_total(void)
{
	return RAM_PAGES;
}

size_t
mem_reclaim(void)
{
	return 0;
}

void
arch_copy_page(void *restrict dst, const void *restrict src)
{
	memcpy(dst, src, PAGE_SIZE);
}

/* ---- kernel memory ---- */

struct kmem_cache {
	size_t size;
};

struct kmem_cache *
kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags, void (*ctor)(void *))
{
	struct kmem_cache *kc = calloc(1, sizeof(*kc));

	(void)name;
	(void)align;
	(void)flags;
	(void)ctor;
	kc->size = size;
	return kc;
}

void *
kmem_cache_alloc(struct kmem_cache *kc)
{
	if (out_of_memory())
		return NULL;
	host_objects++;
	return aligned_alloc(64, roundup(kc->size, (size_t)64));
}

void
kmem_cache_free(struct kmem_cache *kc, void *p)
{
	(void)kc;
	host_objects--;
	free(p);
}

void *
kmem_zalloc(size_t size)
{
	if (out_of_memory())
		return NULL;
	host_objects++;
	return calloc(1, size);
}

void
kmem_free(void *p, size_t size)
{
	(void)size;
	host_objects--;
	free(p);
}

/* ---- mutexes ---- */

void
mutex_init(struct mutex *m, const char *name, enum lock_rank rank)
{
	(void)name;
	(void)rank;
	m->mtx_word = 0;
}

void
mutex_destroy(struct mutex *m)
{
	KASSERT(m->mtx_word == 0);
}

bool
mutex_trylock(struct mutex *m)
{
	if (m->mtx_word != 0)
		return false;
	m->mtx_word = (uintptr_t)host_lwp;
	return true;
}

void
mutex_lock(struct mutex *m)
{
	bool taken = mutex_trylock(m);

	KASSERT(taken);
}

void
mutex_unlock(struct mutex *m)
{
	KASSERT(mutex_owned(m));
	m->mtx_word = 0;
}

void
rw_init(struct rwlock *rw, const char *name, enum lock_rank rank)
{
	(void)name;
	(void)rank;
	rw->rw_word = 0;
}

void
rw_destroy(struct rwlock *rw)
{
	KASSERT(rw->rw_word == 0);
}

bool
rw_tryenter(struct rwlock *rw, enum rw_mode mode)
{
	return rw_enter_fast(rw, mode);
}

void
rw_enter(struct rwlock *rw, enum rw_mode mode)
{
	bool taken = rw_tryenter(rw, mode);

	KASSERT(taken);
}

void
rw_exit(struct rwlock *rw)
{
	bool done = rw->rw_word != 0 && rw_exit_fast(rw);

	KASSERT(done);
}

uint32_t fp_usec[FP_COUNT];

void
fp_hit(enum failpoint f)
{
	(void)f;
}

/* ---- page tables ---- */

struct pmap {
	size_t count;
	struct pte {
		vaddr_t va;
		paddr_t pa;
		int prot;
	} pte[PMAP_MAX];
};
static struct pmap kernel_pmap;

struct pmap *
pmap_kernel(void)
{
	return &kernel_pmap;
}

struct pmap *
pmap_create(void)
{
	return out_of_memory() ? NULL : calloc(1, sizeof(struct pmap));
}

void
pmap_destroy(struct pmap *pm)
{
	KASSERT(pm->count == 0);
	free(pm);
}

void
pmap_activate(struct pmap *pm)
{
	(void)pm;
}

static struct pte *
find(struct pmap *pm, vaddr_t va)
{
	for (size_t i = 0; i < pm->count; i++) {
		if (pm->pte[i].va == va)
			return &pm->pte[i];
	}
	return NULL;
}

int
pmap_enter(struct pmap *pm, vaddr_t va, paddr_t pa, int prot)
{
	struct pte *pte = find(pm, va);

	KASSERT((va & PAGE_MASK) == 0 && va < USER_END);
	if (pte == NULL) {
		if (out_of_memory())
			return -12;
		KASSERT(pm->count < PMAP_MAX);
		pte = &pm->pte[pm->count++];
	}
	*pte = (struct pte){ va, pa, prot };
	return 0;
}

int
pmap_enter_new(struct pmap *pm, vaddr_t va, paddr_t pa, int prot)
{
	return find(pm, va) != NULL ? -17 : pmap_enter(pm, va, pa, prot);
}

bool
pmap_extract(struct pmap *pm, vaddr_t va, paddr_t *pa, int *prot)
{
	struct pte *pte = find(pm, va);

	if (pte == NULL)
		return false;
	*pa = pte->pa;
	*prot = pte->prot;
	return true;
}

vaddr_t
pmap_next(struct pmap *pm, vaddr_t va, vaddr_t end)
{
	vaddr_t first = end;

	for (size_t i = 0; i < pm->count; i++)
		if (pm->pte[i].va >= va && pm->pte[i].va < first)
			first = pm->pte[i].va;
	return first;
}

void
pmap_walk(struct pmap *pm, vaddr_t start, vaddr_t end, void (*fn)(void *, vaddr_t, paddr_t, int),
    void *arg)
{
	size_t count = pm->count;

	for (size_t i = 0; i < count; i++) {
		if (pm->pte[i].va >= start && pm->pte[i].va < end)
			fn(arg, pm->pte[i].va, pm->pte[i].pa, pm->pte[i].prot);
	}
	KASSERT(pm->count == count);
}

size_t
pmap_resident(const struct pmap *pm)
{
	return pm->count;
}

static unsigned host_flushes; /* calls that interrupt other CPUs */

void
pmap_remove(struct pmap *pm, vaddr_t start, vaddr_t end, void (*fn)(void *, paddr_t), void *arg)
{
	KASSERT(fn == NULL && arg == NULL);
	host_flushes++;
	for (size_t i = pm->count; i-- > 0;) {
		paddr_t pa = pm->pte[i].pa;

		if (pm->pte[i].va < start || pm->pte[i].va >= end)
			continue;
		pm->pte[i] = pm->pte[--pm->count];
		page_unref(phys_to_page(pa));
	}
}

void
pmap_remove_all(struct pmap *pm, void (*fn)(void *, paddr_t), void *arg)
{
	pmap_remove(pm, 0, USER_END, fn, arg);
}

void
pmap_protect(struct pmap *pm, vaddr_t start, vaddr_t end, int prot)
{
	host_flushes++;
	for (size_t i = 0; i < pm->count; i++) {
		if (pm->pte[i].va >= start && pm->pte[i].va < end)
			pm->pte[i].prot = prot;
	}
}

int
pmap_copy(struct pmap *dst, struct pmap *src, vaddr_t start, vaddr_t end, bool cow,
    void (*fn)(void *, paddr_t), void *arg)
{
	KASSERT(fn == NULL && arg == NULL);
	for (size_t i = 0; i < src->count; i++) {
		struct pte *pte = &src->pte[i];
		int error;

		if (pte->va < start || pte->va >= end)
			continue;
		if (cow)
			pte->prot &= ~PROT_W;
		error = pmap_enter(dst, pte->va, pte->pa, pte->prot);
		if (error != 0)
			return error;
		page_ref(phys_to_page(pte->pa));
	}
	return 0;
}

void
pmap_flush(struct pmap *pm)
{
	(void)pm;
}

/* No gdb here. */
uint32_t debug_nubreaks;

int
debug_fork(struct vmspace *child __unused, const struct vmspace *parent __unused)
{
	return 0;
}

void
debug_vmspace_gone(const struct vmspace *vm __unused)
{
}

#endif
