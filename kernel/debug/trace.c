/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control of the trace: options, switching, and the names of LWPs.
 *
 * The rings are made when the trace is switched on for the first time and stay. A class is switched by
 * changing the text at its trace points while the other CPUs are parked. What the tools need besides the
 * events (names, the clock's rate, tables of words) hangs off trace_root, which they find by its symbol.
 * switch_lock is held by whoever switches.
 */
#include <kernel/trace.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/syscall.h>

#include "trace_tables.h"

#define LEGAL_CLASSES (((uint64_t)1 << TRC_COUNT) - 1)
/* Every change of state is told by an event of another class, too: so it is on only if it is named. */
#define ALL_CLASSES   (LEGAL_CLASSES & ~((uint64_t)1 << TRC_STATE))
#define EVENTS_MIN    64
#define EVENTS_MAX    (TRACE_CHUNKS * TRACE_CHUNK_PAGES * PAGE_SIZE / sizeof(struct trace_event))
#define NAMES_MIN     1024
#define EVENTS_A_NAME 16

static const char *const class_name[TRC_COUNT] = {
#define X(id, name) name,
	TRACE_CLASSES(X)
#undef X
};

static uint64_t wanted;         /* by the option */
static uint64_t events = 65536; /* a CPU, by the option */
static uint32_t switch_busy;    /* (a) */

_Static_assert(TRC_COUNT <= 64, "a key of arch_branches_set() each");

int
trace_parse(const char *names, uint64_t *classes)
{
	uint64_t set = 0;

	if (strcmp(names, "off") == 0 || strcmp(names, "none") == 0) {
		*classes = 0;
		return 0;
	}
	while (*names != '\0') {
		const char *end = strchr(names, ',');
		size_t len = end != NULL ? (size_t)(end - names) : strlen(names);
		unsigned c;

		for (c = 0; c < TRC_COUNT; c++)
			if (strncmp(names, class_name[c], len) == 0 && class_name[c][len] == '\0')
				break;
		if (c < TRC_COUNT)
			set |= (uint64_t)1 << c;
		else if (len == 3 && strncmp(names, "all", 3) == 0)
			set |= ALL_CLASSES;
		else
			return -EINVAL;
		names += len + (end != NULL);
	}
	if (set == 0)
		return -EINVAL;
	*classes = set;
	return 0;
}

static int
set_trace(const char *value)
{
	return trace_parse(value, &wanted);
}
#define X(id, name) name " "
OPTION(trace, "all off, or with commas: " TRACE_CLASSES(X), set_trace);
#undef X

static int
set_trace_size(const char *value)
{
	uint64_t n;
	int error = option_u64(value, EVENTS_MIN, EVENTS_MAX, &n);

	if (error != 0)
		return error;
	for (events = EVENTS_MIN; events < n;)
		events *= 2;
	return 0;
}
OPTION(trace_size, "64..1048576: events that each CPU keeps", set_trace_size);

/* ---- rings ---- */

/* Maps a chunk. -ENOMEM */
static int
chunk_map(vaddr_t va, const struct page *pg, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		if (pmap_kenter(
			va + i * PAGE_SIZE, page_to_phys(pg) + i * PAGE_SIZE, PROT_R | PROT_W) != 0)
			return -ENOMEM;
	return 0;
}

/* The slots are mapped in one piece, for the chunks are not: so a slot's place is one addition away. */
static int
ring_create(struct trace_ring *r, uint64_t slots, uint32_t size)
{
	size_t perchunk = TRACE_CHUNK_PAGES * PAGE_SIZE / size, chunks, pages;
	vaddr_t va;

	if (perchunk > slots)
		perchunk = slots;
	chunks = slots / perchunk;
	pages = round_page(perchunk * size) / PAGE_SIZE;
	KASSERT(IS_POW2(slots) && IS_POW2(perchunk) && chunks <= TRACE_CHUNKS);
	KASSERT(chunks == 1 || perchunk * size == pages * PAGE_SIZE);
	if ((va = pmap_kreserve(chunks * pages * PAGE_SIZE)) == 0)
		return -ENOMEM;
	for (size_t i = 0; i < chunks; i++) {
		struct page *pg = page_alloc_run(pages, PG_MISC);

		if (pg != NULL && chunk_map(va + i * pages * PAGE_SIZE, pg, pages) != 0) {
			page_free_run(pg, pages);
			pg = NULL;
		}
		if (pg == NULL) {
			pmap_kclear(va, chunks * pages * PAGE_SIZE); /* nobody has used it */
			while (i-- > 0)
				page_free_run(virt_to_page(r->tr_chunk[i]), pages);
			return -ENOMEM;
		}
		r->tr_chunk[i] = page_to_virt(pg);
		memset(r->tr_chunk[i], 0, pages * PAGE_SIZE);
	}
	r->tr_slots = (void *)va;
	r->tr_mask = slots - 1;
	r->tr_perchunk = (uint32_t)perchunk;
	atomic_store_release(&r->tr_size, size);
	return 0;
}

/* A smaller ring is better than none. */
static int
ring_create_most(struct trace_ring *r, uint64_t slots, uint32_t size)
{
	int error;

	while ((error = ring_create(r, slots, size)) != 0 && slots > EVENTS_MIN)
		slots /= 2;
	return error;
}

/* => switch_busy is ours. What is there already stays. -ENOMEM */
static int
rings_create(void)
{
	uint64_t names = max((uint64_t)NAMES_MIN, events / EVENTS_A_NAME);
	struct trace_root *root = &trace_root;
	int error = 0;

	if (root->tr_magic[0] != '\0')
		return 0;
	while (names >
	    (uint64_t)TRACE_CHUNKS * TRACE_CHUNK_PAGES * PAGE_SIZE / sizeof(struct trace_called))
		names /= 2;
	if (trace_names.tr_size == 0)
		error = ring_create_most(&trace_names, names, sizeof(struct trace_called));
	for (unsigned i = 0; i < ncpu && error == 0; i++)
		if (trace_rings[i].tr_size == 0)
			error =
			    ring_create_most(&trace_rings[i], events, sizeof(struct trace_event));
	if (error != 0)
		return error;
	arch_cycles_scale(&root->tr_hz, &root->tr_base);
	root->tr_version = TRACE_VERSION;
	root->tr_ncpu = ncpu;
	root->tr_physmap = (uintptr_t)arch_phys_to_virt(0);
	root->tr_tables = trace_tables;
	root->tr_ntables = trace_ntables;
	root->tr_rings = trace_rings;
	root->tr_names = &trace_names;
	memcpy(root->tr_magic, TRACE_MAGIC, sizeof(TRACE_MAGIC));
	trace_freeze(false);
	return 0;
}

/* ---- names ---- */

void
trace_name(const struct lwp *l, bool new)
{
	bool on = arch_intr_disable();
	const struct proc *p = l->l_proc, *parent = p->p_pptr;
	struct trace_called *t;
	uint64_t n;

	if (atomic_load_relaxed(&arch_curcpu()->ci_trace) == &trace_sink) {
		arch_intr_restore(on);
		return;
	}
	n = atomic_add(&trace_names.tr_head, 1);
	t = trace_name_slot(&trace_names, n);
	atomic_store_relaxed(&t->tn_seq, 0);
	compiler_barrier();
	t->tn_cycles = arch_cycles();
	t->tn_lid = l->l_lid;
	t->tn_pid = p->p_pid;
	t->tn_ppid = parent != NULL ? parent->p_pid : 0;
	t->tn_proc = (uintptr_t)p;
	__builtin_memcpy(t->tn_lname, l->l_name, sizeof(t->tn_lname));
	__builtin_memcpy(t->tn_comm, p->p_comm, sizeof(t->tn_comm));
	atomic_store_release(&t->tn_seq, (uint32_t)n + 1);
	if (new)
		trace_write(TR_CREATE | (p->p_vforklwp != NULL) << 8, (uint32_t)l->l_lid,
		    (uint32_t)p->p_pid | (p->p_nlwps == 1 ? (uint64_t)t->tn_ppid << 32 : 0));
	arch_intr_restore(on);
}

/* => the other CPUs are parked: nobody is born or renamed meanwhile */
static void
name_everybody(void)
{
	for (const struct lwp *l = atomic_load_acquire(&lwp_all); l != NULL; l = l->l_allnext)
		if (l->l_stat != LS_IDL || (l->l_flag & LW_IDLE))
			trace_name(l, false);
}

/* ---- switching ---- */

int
trace_set(uint64_t classes)
{
	uint64_t was;
	int error = 0;

	classes &= LEGAL_CLASSES;
	while (atomic_swap(&switch_busy, 1) != 0)
		yield();
	was = trace_root.tr_classes;
	if (classes != 0)
		error = rings_create();
	if (error == 0 && classes != was) {
		preempt_disable();
		cpu_stop_others(false);
		if (was == 0) {
			trace_root.tr_started = arch_cycles();
			name_everybody();
		}
		arch_branches_set(classes);
		atomic_store_relaxed(&trace_root.tr_classes, classes);
		cpu_resume_others();
		preempt_enable();
	}
	atomic_store_release(&switch_busy, 0);
	return error;
}

uint64_t
trace_classes(void)
{
	return atomic_load_relaxed(&trace_root.tr_classes);
}

void
trace_freeze(bool frozen)
{
	struct cpu *ci;

	if (trace_root.tr_magic[0] == '\0')
		return;
	for_each_cpu(ci)
	    atomic_store_release(&ci->ci_trace, frozen ? &trace_sink : &trace_rings[ci->ci_index]);
}

void
trace_init(void)
{
	int error;

	if (wanted == 0)
		return;
	if ((error = trace_set(wanted)) != 0)
		kprintf("trace: no memory for its rings: it stays off\n");
	else
		kprintf("trace: on, %lu events a CPU\n", trace_rings[0].tr_mask + 1);
}
