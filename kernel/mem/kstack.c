/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel stacks.
 *
 * The stack area is cut into slots of twice a stack's size: the lower half is never mapped and catches
 * overflows, the upper half is the stack. A stack that is freed keeps its mapping and goes to the CPU's cache,
 * then to the global list, linked through its own memory.
 * The caller of kstack_free() must have left the stack.
 *
 * Memory goes back when more than KEEP_MAX stacks are on the global list, or on mem_reclaim(). That needs a TLB
 * flush on all CPUs and is done from kstack_alloc() where the context allows it, never from kstack_free(). A
 * slot without memory waits on the list of empty slots.
 *
 * Debug: a word at the low end is checked, freed stacks are filled with a pattern at both ends, and the option
 * kstack=unmap makes freed stacks inaccessible, so that use after free faults.
 * layer: mem
 */
#include <kernel/kmem.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/fault.h>
#include <kernel/kasan.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#include <abi/errno.h>

#define SLOT_SIZE  (2 * KSTACK_SIZE)
#define SLOTS      (KSTACK_AREA / SLOT_SIZE)
#define CPU_STACKS 16u
#define CPU_BATCH  (CPU_STACKS / 2)
#define KEEP_MAX   256u
#define TRIM_BATCH 32u

/* The low end of a stack. */
struct stack_end {
	uint64_t se_magic;         /* STACK_MAGIC, while in use as well (debug) */
	struct stack_end *se_next; /* on the global list */
};

/* A slot that has no memory. */
struct empty_slot {
	struct empty_slot *es_next;
	vaddr_t es_base;
};

/* struct stack_cache, field locks: (o) this CPU only, interrupts off; others read it to sum up */
struct stack_cache {
	uint32_t sc_count;           /* (o) */
	int64_t sc_inuse;            /* (o) given out here minus freed here */
	void *sc_stacks[CPU_STACKS]; /* (o) */
} __cacheline_aligned;

static struct kmem_cache *slot_cache;
static struct stack_cache stack_caches[MAXCPUS];
static struct spinlock kstack_lock = SPINLOCK_INIT("kstack", RANK_SPIN_LEAF);

/* All under kstack_lock; nfree is read without. */
static struct stack_end *free_stacks;
static size_t nfree;
static struct empty_slot *empty_slots;
static size_t slots_used; /* slots below this index were given memory at some time */

static uint32_t limit = CPU_STACKS; /* of a CPU's cache; 0 with the option kstack=unmap */
#define unmap_freed (limit == 0)

static int
set_kstack(const char *value)
{
	if (strcmp(value, "unmap") == 0)
		limit = 0; /* nothing stays in the CPUs' caches */
	else if (strcmp(value, "keep") == 0)
		limit = CPU_STACKS;
	else
		return -EINVAL;
	return 0;
}

OPTION(kstack, "keep or unmap", set_kstack);

static inline struct stack_cache *
this_cache(void)
{
	struct stack_cache *sc = &stack_caches[arch_curcpu()->ci_index];

	/* Keeps the compiler from computing the address anew for each field. */
	__asm("" : "+r"(sc));
	return sc;
}

/* ---- debug ---- */

#ifdef DEBUG
#define STACK_MAGIC  0x6b737461636b2121ul
#define STACK_POISON 0x5a5a5a5a5a5a5a5aul
#define POISON_WORDS 8u

static uint64_t *
stack_top_words(void *base)
{
	return (uint64_t *)((char *)base + KSTACK_SIZE) - POISON_WORDS;
}

static void
stack_set_magic(void *base)
{
	((struct stack_end *)base)->se_magic = STACK_MAGIC;
}

static void
stack_poison(void *base)
{
	uint64_t *low = (uint64_t *)base + sizeof(struct stack_end) / sizeof(uint64_t);

	for (unsigned i = 0; i < POISON_WORDS; i++)
		low[i] = stack_top_words(base)[i] = STACK_POISON;
}

static void
stack_check_poison(void *base)
{
	uint64_t *low = (uint64_t *)base + sizeof(struct stack_end) / sizeof(uint64_t);

	for (unsigned i = 0; i < POISON_WORDS; i++)
		if (low[i] != STACK_POISON || stack_top_words(base)[i] != STACK_POISON)
			panic("kernel stack %p was used after it was freed", base);
}

void
kstack_check(const void *base)
{
	if (((const struct stack_end *)base)->se_magic != STACK_MAGIC)
		panic("kernel stack %p: the low end was overwritten", base);
}
#else
#define stack_set_magic(base)    ((void)(base))
#define stack_poison(base)       ((void)(base))
#define stack_check_poison(base) ((void)(base))
#endif

/* KASAN: a free stack may not be touched, but for what this file keeps at its two ends. */
#define ENDS 128u

static void
stack_hide(void *base)
{
	kasan_poison((char *)base + ENDS, KSTACK_SIZE - 2 * ENDS, KASAN_STACK);
}

static void
stack_show(void *base)
{
	kasan_unpoison(base, KSTACK_SIZE);
}

/* ---- the global list ---- */

/* => kstack_lock held */
static void
list_push(void *base)
{
	struct stack_end *se = base;

	se->se_next = free_stacks;
	free_stacks = se;
	atomic_store_relaxed(&nfree, nfree + 1);
	if (unlikely(unmap_freed))
		pmap_kshow((vaddr_t)base, KSTACK_SIZE, false);
}

/* => kstack_lock held */
static void *
list_pop(void)
{
	struct stack_end *se = free_stacks;

	if (se != NULL) {
		if (unlikely(unmap_freed))
			pmap_kshow((vaddr_t)se, KSTACK_SIZE, true);
		free_stacks = se->se_next;
		atomic_store_relaxed(&nfree, nfree - 1);
	}
	return se;
}

/* ---- making and unmaking ---- */

static vaddr_t
slot_get(void)
{
	struct empty_slot *es;
	vaddr_t base = 0;

	spin_lock(&kstack_lock);
	es = empty_slots;
	if (es != NULL) {
		empty_slots = es->es_next;
		base = es->es_base;
	} else if (slots_used < SLOTS) {
		base = KSTACK_BASE + slots_used++ * SLOT_SIZE + KSTACK_SIZE;
	}
	spin_unlock(&kstack_lock);
	if (es != NULL)
		kmem_cache_free(slot_cache, es);
	return base;
}

/* Without memory for the note the slot is lost: address space is plenty. */
static void
slot_put(vaddr_t base)
{
	struct empty_slot *es = kmem_cache_alloc(slot_cache);

	if (es == NULL)
		return;
	es->es_base = base;
	spin_lock(&kstack_lock);
	es->es_next = empty_slots;
	empty_slots = es;
	spin_unlock(&kstack_lock);
}

static void *
stack_make(void)
{
	struct page *pg[KSTACK_PAGES];
	unsigned have, mapped = 0;
	vaddr_t base = 0;

	for (have = 0; have < KSTACK_PAGES; have++)
		if ((pg[have] = page_alloc(PG_KSTACK)) == NULL)
			goto fail;
	base = slot_get();
	if (base == 0 || arch_kasan_map(base - KSTACK_SIZE, SLOT_SIZE) != 0)
		goto fail;
	for (; mapped < KSTACK_PAGES; mapped++) {
		/* A slot lies in one page table: only the first page can find it missing. */
		if (pmap_kenter(base + mapped * PAGE_SIZE, page_to_phys(pg[mapped]),
			PROT_R | PROT_W) != 0) {
			KASSERT(mapped == 0);
			goto fail;
		}
	}
	stack_set_magic((void *)base);
	return (void *)base;
fail:
	if (base != 0)
		slot_put(base);
	while (have > 0)
		page_free(pg[--have]);
	return NULL;
}

size_t
kstack_trim(size_t keep)
{
	struct page *pages, *pg;
	vaddr_t base[TRIM_BATCH];
	size_t freed = 0;
	unsigned n;
	paddr_t pa;

	KASSERT(arch_intr_enabled());
	do {
		n = 0;
		spin_lock(&kstack_lock);
		while (n < TRIM_BATCH && nfree > keep)
			base[n++] = (vaddr_t)list_pop();
		spin_unlock(&kstack_lock);
		if (n == 0)
			break;
		pages = NULL;
		for (unsigned i = 0; i < n; i++) {
			for (vaddr_t va = base[i]; va < base[i] + KSTACK_SIZE; va += PAGE_SIZE) {
				if (!pmap_kextract(va, &pa))
					panic("kernel stack page %#lx is not mapped",
					    (unsigned long)va);
				pg = phys_to_page(pa);
				pg->pg_next = pages;
				pages = pg;
			}
			pmap_kclear(base[i], KSTACK_SIZE);
		}
		pmap_kflush();
		while ((pg = pages) != NULL) {
			pages = pg->pg_next;
			page_free(pg);
			freed++;
		}
		for (unsigned i = 0; i < n; i++)
			slot_put(base[i]);
	} while (n == TRIM_BATCH);
	return freed;
}

/* ---- allocation ---- */

/* The CPU has none cached, or too many are cached. => interrupts off; restored to `on` */
static void *__noinline
alloc_slow(struct stack_cache *sc, bool on)
{
	void *base = NULL;

	if (nfree != 0) {
		spin_lock(&kstack_lock);
		base = list_pop();
		if (!unmap_freed)
			while (nfree > 0 && sc->sc_count < CPU_BATCH)
				sc->sc_stacks[sc->sc_count++] = list_pop();
		spin_unlock(&kstack_lock);
	}
	if (base != NULL)
		sc->sc_inuse++;
	arch_intr_restore(on);
	if (on && atomic_load_relaxed(&nfree) > KEEP_MAX)
		(void)kstack_trim(KEEP_MAX);
	if (base != NULL) {
		stack_check_poison(base);
		stack_show(base);
		return base;
	}
	/* With interrupts off it is the kernel, at its start. */
	if ((on && !user_alloc_ok(KSTACK_SIZE)) || (base = stack_make()) == NULL)
		return NULL;
	stack_show(base);
	(void)arch_intr_disable();
	this_cache()->sc_inuse++;
	arch_intr_restore(on);
	return base;
}

/* => interrupts off; restored to `on` */
static void __noinline
free_slow(struct stack_cache *sc, void *base, bool on)
{
	spin_lock(&kstack_lock);
	list_push(base);
	while (sc->sc_count > CPU_BATCH)
		list_push(sc->sc_stacks[--sc->sc_count]);
	spin_unlock(&kstack_lock);
	arch_intr_restore(on);
}

void *
kstack_alloc(void)
{
	bool on = arch_intr_disable();
	struct stack_cache *sc = this_cache();
	uint32_t n = sc->sc_count;
	void *base;

	if (fault_alloc()) {
		arch_intr_restore(on);
		return NULL;
	}
	if (unlikely(n == 0))
		return alloc_slow(sc, on);
	sc->sc_count = --n;
	base = sc->sc_stacks[n];
	sc->sc_inuse++;
	arch_intr_restore(on);
	stack_check_poison(base);
	stack_show(base);
	return base;
}

void
kstack_free(void *base)
{
	bool on = arch_intr_disable();
	struct stack_cache *sc = this_cache();
	uint32_t n;

	KASSERT(!kstack_is_guard((uintptr_t)base) && ((uintptr_t)base & (KSTACK_SIZE - 1)) == 0);
	DEBUG_ONLY(kstack_check(base));
	stack_poison(base);
	stack_hide(base);
	sc->sc_inuse--;
	n = sc->sc_count;
	if (unlikely(n == limit)) {
		free_slow(sc, base, on);
		return;
	}
	sc->sc_stacks[n] = base;
	sc->sc_count = n + 1;
	arch_intr_restore(on);
}

void
kstack_init(void)
{
	slot_cache =
	    kmem_cache_create("kstack-slot", sizeof(struct empty_slot), 16, KC_UNCOUNTED, NULL);
	_Static_assert((SLOT_SIZE & (SLOT_SIZE - 1)) == 0, "a slot must lie in one page table");
}

size_t
kstack_inuse(void)
{
	int64_t n = 0;

	for (unsigned i = 0; i < MAXCPUS; i++)
		n += atomic_load_relaxed(&stack_caches[i].sc_inuse);
	return n > 0 ? (size_t)n : 0;
}

bool
kstack_is_guard(uintptr_t addr)
{
	return addr >= KSTACK_BASE && addr < KSTACK_BASE + KSTACK_AREA &&
	    addr % SLOT_SIZE < KSTACK_SIZE;
}
