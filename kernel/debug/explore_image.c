/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedule exploration: the image of the machine, to which each run but the first returns.
 *
 * It is all memory that the kernel can write, but for what the driver keeps, and the context of each CPU: that of
 * the token's holder, where it took the image, and those of the others, which wait for the token. To come back,
 * all leave their stacks and page tables for the driver's and the kernel's own, the holder writes the pages that differ
 * (so code that did not change keeps its translation in an emulator), and each resumes its context. Devices are
 * left alone: nothing is pending in them while the driver makes all interrupts.
 */
#include "explore_impl.h"

#ifdef DEBUG

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

static bool
differs(const uint64_t *a, const uint64_t *b)
{
	for (unsigned i = 0; i < WORDS; i += 8)
		if (((a[i] ^ b[i]) | (a[i + 1] ^ b[i + 1]) | (a[i + 2] ^ b[i + 2]) |
			(a[i + 3] ^ b[i + 3]) | (a[i + 4] ^ b[i + 4]) | (a[i + 5] ^ b[i + 5]) |
			(a[i + 6] ^ b[i + 6]) | (a[i + 7] ^ b[i + 7])) != 0)
			return true;
	return false;
}

static void
copy(uint64_t *dst, const uint64_t *src)
{
	for (unsigned i = 0; i < WORDS; i++)
		dst[i] = src[i];
}

static void
each_page(void (*fn)(uint64_t *page, uint64_t *saved))
{
	char *saved = xp->x_image;

	for (unsigned i = 0; i < xp->x_nrange; i++)
		for (paddr_t pa = xp->x_range[i].start; pa < xp->x_range[i].end;
		     pa += PAGE_SIZE, saved += PAGE_SIZE)
			fn(arch_phys_to_virt(pa), (uint64_t *)(void *)saved);
}

static void
save_page(uint64_t *page, uint64_t *saved)
{
	copy(saved, page);
}

static void
restore_page(uint64_t *page, uint64_t *saved)
{
	if (differs(page, saved))
		copy(page, saved);
}

/* Lets the others do what `phase` says, each once. */
static void
phase(enum xphase p)
{
	atomic_store_relaxed(&xp->x_ready, 0);
	atomic_store_release(&xp->x_phase, p);
	while (atomic_load_acquire(&xp->x_ready) != ncpu - 1)
		arch_cpu_relax();
}

bool
explore_save(void)
{
	phase(XP_SAVE);
	xp->x_runimage = xp->x_run;
	if (arch_context_save(&xp->x_context[arch_curcpu()->ci_index]))
		return true;
	each_page(save_page);
	xp->x_haveimage = true;
	atomic_store_release(&xp->x_phase, XP_RUN);
	return false;
}

static void
join(void)
{
	for (enum xphase p = XP_RESTORE; p <= XP_RESUME; p++) {
		atomic_add(&xp->x_ready, 1);
		while (atomic_load_acquire(&xp->x_phase) == p)
			arch_cpu_relax();
	}
	arch_context_resume(&xp->x_context[arch_curcpu()->ci_index]);
}

static void
lead(void)
{
	phase(XP_RESTORE);
	each_page(restore_page);
	xp->x_run = xp->x_runimage;
	phase(XP_RESUME); /* nobody is in the phase before */
	atomic_store_release(&xp->x_phase, XP_RUN);
	arch_context_resume(&xp->x_context[arch_curcpu()->ci_index]);
}

void
explore_restore(void)
{
	unsigned me = arch_curcpu()->ci_index;

	KASSERT(xp->x_haveimage);
	arch_intr_disable();
	arch_call_on_stack(xp->x_stack[me] + XSTACK, lead);
}

/* => waits for the token */
void
explore_take_part(unsigned me)
{
	switch (atomic_load_acquire(&xp->x_phase)) {
	case XP_SAVE:
		if (!arch_context_save(&xp->x_context[me])) {
			atomic_add(&xp->x_ready, 1);
			while (atomic_load_acquire(&xp->x_phase) == XP_SAVE)
				arch_cpu_relax();
		}
		return; /* for the first time, or put back: then the phase is XP_RUN */
	case XP_RESTORE:
		arch_call_on_stack(xp->x_stack[me] + XSTACK, join);
	}
}

#endif
