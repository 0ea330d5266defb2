/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software breakpoints.
 *
 * The table tells which gdb wants. They are put into memory when the world goes on and taken out when it has
 * stopped, so that the stub never runs into one, gdb reads memory as it is, and a process that forks, ends or execs
 * meanwhile needs no more than the two hooks below.
 *
 * One in kernel text is one for all processes: gdb names it once for each, and the last word counts. One in user
 * text belongs to an address space, and is written into a page that this one alone has (gdb_memory.c).
 * fork gives the child that page, breakpoint included: debug_fork() takes it out again, from a copy.
 *
 * While somebody stopped has the address space's lock, that page cannot be made. The breakpoint then waits: a debug
 * register of our own watches the word of the lock, and who writes it comes to put the breakpoint in
 * (DEBUG_AWAIT), of which gdb hears nothing.
 *
 * Locking: the owner of the stopped world. debug_fork() reads the table of a living world; should that
 * stop in the middle, the entries that it has seen are still those that were planted then.
 */
#include "gdb_impl.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define NBREAKS  128
#define NAWAITED 4 /* as many as there are debug registers */

static struct swbreak {
	bool b_used;
	bool b_planted;
	uint8_t b_saved; /* what is in its place */
	vaddr_t b_addr;
	const struct proc *b_proc; /* as gdb names it; NULL = kernel text */
	struct vmspace *b_vm;      /* NULL = kernel text, or gone */
	paddr_t b_pa;              /* where it was planted, 0 = not yet */
} breaks[NBREAKS];

uint32_t debug_nubreaks;
/* Owner of the world: the lock words that are watched, 0 = none. */
static uintptr_t awaited[NAWAITED];

/* Watches the lock of an address space. False: all debug registers are in use. */
static bool
await(const struct vmspace *vm)
{
	uintptr_t word = (uintptr_t)&vm->vm_lock.rw_word;
	unsigned free = NAWAITED;

	for (unsigned i = 0; i < NAWAITED; i++) {
		if (awaited[i] == word)
			return true;
		if (awaited[i] == 0)
			free = i;
	}
	if (free == NAWAITED ||
	    arch_debug_hw_insert(ARCH_DEBUG_AWAIT, word, sizeof(word), NULL) != 0)
		return false;
	awaited[free] = word;
	return true;
}

static void
await_none(void)
{
	for (unsigned i = 0; i < NAWAITED; i++)
		if (awaited[i] != 0) {
			(void)arch_debug_hw_remove(
			    ARCH_DEBUG_AWAIT, awaited[i], sizeof(awaited[i]), NULL);
			awaited[i] = 0;
		}
}

/* Those that were forgotten last: a CPU may have run into one and be stopped before it could tell. */
static struct {
	const struct vmspace *w_vm; /* NULL = kernel text */
	vaddr_t w_addr;
} were[NBREAKS];
static unsigned next_were;

static struct swbreak *
find(const struct proc *p, vaddr_t addr)
{
	for (struct swbreak *b = breaks; b < breaks + NBREAKS; b++)
		if (b->b_used && b->b_addr == addr && b->b_proc == p)
			return b;
	return NULL;
}

static void
forget(struct swbreak *b)
{
	if (!debug_break_was(b->b_vm, b->b_addr)) {
		were[next_were].w_vm = b->b_vm;
		were[next_were].w_addr = b->b_addr;
		next_were = (next_were + 1) % NBREAKS;
	}
	if (b->b_proc != NULL)
		atomic_sub(&debug_nubreaks, 1);
	b->b_used = false;
}

int
gdb_break_insert(const struct proc *p, vaddr_t addr)
{
	struct vmspace *vm = NULL;
	struct swbreak *b;
	paddr_t pa = 0;
	int error;

	if (addr >= USER_END) {
		if (!gdb_kernel_text(addr))
			return -EFAULT;
		p = NULL;
	} else {
		vm = p != NULL ? p->p_vmspace : NULL;
		if (vm == NULL || vm == &vmspace_kernel)
			return -EFAULT;
		error = gdb_own_page(vm, addr, &pa);
		if (error == -EBUSY && await(vm))
			pa = error = 0; /* it will come to that */
		if (error != 0)
			return error;
	}
	b = find(p, addr);
	for (unsigned i = 0; b == NULL && i < NBREAKS; i++) {
		if (breaks[i].b_used && breaks[i].b_proc != NULL && breaks[i].b_vm == NULL)
			forget(&breaks[i]);
		if (!breaks[i].b_used)
			b = &breaks[i];
	}
	if (b == NULL)
		return -ENOMEM;
	if (!b->b_used && p != NULL)
		atomic_add(&debug_nubreaks, 1);
	*b =
	    (struct swbreak){ .b_used = true, .b_addr = addr, .b_proc = p, .b_vm = vm, .b_pa = pa };
	return 0;
}

int
gdb_break_remove(const struct proc *p, vaddr_t addr)
{
	struct swbreak *b = find(addr >= USER_END ? NULL : p, addr);

	if (b != NULL)
		forget(b);
	return 0; /* that of a process which is gone is gone, too */
}

void
gdb_break_clear(void)
{
	for (struct swbreak *b = breaks; b < breaks + NBREAKS; b++)
		if (b->b_used)
			forget(b);
	await_none();
	arch_debug_clear();
}

/* Finds the byte's place now. -EBUSY: the address space is being changed. */
static int
place(struct swbreak *b)
{
	paddr_t pa;
	int prot;

	if (b->b_proc == NULL)
		return arch_debug_kpage(b->b_addr, &b->b_pa) ? 0 : -EFAULT;
	if (b->b_vm == NULL)
		return -ESRCH;
	/* The same page as before is right even while a fork that is under way shares it. */
	if (b->b_pa != 0 && arch_debug_upage(b->b_vm->vm_pmap, b->b_addr, &pa, &prot) &&
	    pa == trunc_page(b->b_pa) && phys_to_page(pa)->pg_kind == PG_ANON)
		return 0;
	return gdb_own_page(b->b_vm, b->b_addr, &b->b_pa);
}

void
gdb_break_plant(uintptr_t skip)
{
	char line[64];

	await_none(); /* some may be set or deleted by now */
	for (struct swbreak *b = breaks; b < breaks + NBREAKS; b++) {
		uint8_t *byte;
		int error;

		if (!b->b_used || (b->b_proc == NULL && b->b_addr == skip))
			continue;
		error = place(b);
		if (error == -EBUSY && !await(b->b_vm)) {
			snprintf(line, sizeof(line),
			    "no debug register to wait for a breakpoint at %#lx\n", b->b_addr);
			gdb_console(line, strlen(line)); /* gdb waits for a stop: it may be told */
		}
		if (error != 0)
			continue;
		byte = arch_phys_to_virt(b->b_pa);
		b->b_saved = *byte;
		*byte = ARCH_BREAK_INSN;
		b->b_planted = true;
	}
}

/*
 * Last ones first: two at one address (a shared address space) come off in the right order. gdb has the debug
 * registers meanwhile.
 */
void
gdb_break_lift(void)
{
	await_none();
	for (struct swbreak *b = breaks + NBREAKS; b-- > breaks;) {
		uint8_t *byte;
		paddr_t pa;
		int prot;

		if (!b->b_used || !b->b_planted)
			continue;
		b->b_planted = false;
		if (b->b_proc != NULL &&
		    (b->b_vm == NULL ||
			!arch_debug_upage(b->b_vm->vm_pmap, b->b_addr, &pa, &prot) ||
			pa != trunc_page(b->b_pa)))
			continue;
		byte = arch_phys_to_virt(b->b_pa);
		if (*byte == ARCH_BREAK_INSN)
			*byte = b->b_saved;
	}
}

bool
debug_break_at(const struct vmspace *vm, vaddr_t addr)
{
	for (const struct swbreak *b = breaks; b < breaks + NBREAKS; b++)
		if (b->b_used && b->b_planted && b->b_addr == addr && b->b_vm == vm)
			return true;
	return false;
}

bool
debug_break_was(const struct vmspace *vm, vaddr_t addr)
{
	for (unsigned i = 0; i < NBREAKS; i++)
		if (were[i].w_addr == addr && were[i].w_vm == vm)
			return true;
	return false;
}

void
debug_break_drop(vaddr_t addr)
{
	for (struct swbreak *b = breaks; b < breaks + NBREAKS; b++)
		if (b->b_used && b->b_planted && b->b_addr == addr && b->b_proc == NULL)
			*(uint8_t *)arch_phys_to_virt(b->b_pa) = b->b_saved;
}

void
debug_text_change(bool begin)
{
	for (struct swbreak *b = breaks; b < breaks + NBREAKS; b++) {
		uint8_t *byte;

		if (!b->b_used || !b->b_planted || b->b_proc != NULL)
			continue;
		byte = arch_phys_to_virt(b->b_pa);
		if (begin)
			*byte = b->b_saved;
		else {
			b->b_saved = *byte;
			*byte = ARCH_BREAK_INSN;
		}
	}
}

/* ---- hooks of the memory code ---- */

static int __stub_caller
clean_copy(struct vmspace *child, const struct swbreak *b)
{
	struct page *old, *pg;
	paddr_t pa;
	int prot, error;

	if (!pmap_extract(child->vm_pmap, trunc_page(b->b_addr), &pa, &prot) ||
	    pa != trunc_page(b->b_pa)) {
		/* The copy made for an earlier one of the same page, or no page at all. */
		if (pmap_extract(child->vm_pmap, trunc_page(b->b_addr), &pa, &prot) &&
		    page_refs(phys_to_page(pa)) == 1)
			((uint8_t *)arch_phys_to_virt(pa))[b->b_addr & PAGE_MASK] = b->b_saved;
		return 0;
	}
	old = phys_to_page(pa);
	pg = page_alloc(PG_ANON);
	if (pg == NULL)
		return -ENOMEM;
	memcpy(page_to_virt(pg), page_to_virt(old), PAGE_SIZE);
	((uint8_t *)page_to_virt(pg))[b->b_addr & PAGE_MASK] = b->b_saved;
	error = pmap_enter(child->vm_pmap, trunc_page(b->b_addr), page_to_phys(pg), prot);
	page_unref(error == 0 ? old : pg);
	return error;
}

int __stub_caller
debug_fork(struct vmspace *child, const struct vmspace *parent)
{
	int error = 0;

	for (const struct swbreak *b = breaks; error == 0 && b < breaks + NBREAKS; b++)
		if (b->b_used && b->b_planted && b->b_vm == parent)
			error = clean_copy(child, b);
	return error;
}

void __stub_caller
debug_vmspace_gone(const struct vmspace *vm)
{
	for (struct swbreak *b = breaks; b < breaks + NBREAKS; b++)
		if (b->b_used && b->b_vm == vm)
			b->b_vm = NULL;
	arch_debug_hw_gone(vm);
}
