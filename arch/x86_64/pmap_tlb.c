/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which address space a CPU has loaded, and flushing of stale translations.
 *
 * pm_active holds the CPUs that may have translations of the pmap. A CPU sets its bit before it loads CR3 and
 * clears it after it has loaded another CR3. A flusher changes entries first and reads pm_active then, with a
 * full barrier between:
 *
 *	CPU A (flusher)            CPU B (pmap_activate)
 *	1 write entry              1 set own bit (locked, a full barrier)
 *	2 full barrier             2 load CR3, walk the tables
 *	3 read pm_active
 *
 * If A does not see B's bit, then B's step 1 comes after A's step 3, so B's walks see the new entry. If it
 * does, B gets an interrupt; at worst it flushes needlessly. A bit that is still set although the CPU has left
 * costs an interrupt only.
 *
 * Kernel LWPs always run on the kernel's tables, so an address space that is being torn down is loaded
 * nowhere: pmap_remove_all() and pmap_destroy() assert that pm_active is empty.
 */
#include <arch/arch_if.h>
#include <arch/md.h>
#include <arch/pmap_md.h>
#include <kernel/cpu.h>
#include <kernel/failpoint.h>
#include <kernel/panic.h>
#include <kernel/sched.h>
#include <kernel/trace.h>

#define KERNEL_FLUSH_MAX 32u /* pages; more: flush all, global ones too */

/* The pmap that each CPU has loaded, NULL = the kernel's, since boot. */
static struct {
	struct pmap *cur; /* this CPU only, preemption off */
} __cacheline_aligned loaded[MAXCPUS];

struct tlb_request {
	const vaddr_t *va;
	unsigned n;
};

void
pmap_activate(struct pmap *pm)
{
	struct cpu *ci = arch_curcpu();
	struct pmap **cur = &loaded[ci->ci_index].cur;
	struct pmap *old = *cur;

	if (old == pm)
		return;
	if (pm != &kernel_pmap)
		(void)atomic_or(&pm->pm_active, CPU_BIT(ci));
	*cur = pm;
	pmap_load_cr3(pm->pm_cr3);
	if (old != NULL && old != &kernel_pmap)
		(void)atomic_and(&old->pm_active, ~CPU_BIT(ci));
}

cpuset_t
pmap_active_cpus(const struct pmap *pm)
{
	return atomic_load_relaxed(&pm->pm_active);
}

static void
flush_here(void *arg)
{
	const struct tlb_request *req = arg;

	/* Whatever is loaded here by now: reloading it forgets all but global translations. */
	if (req->n > TLB_BATCH) {
		paddr_t cr3;

		__asm volatile("movq %%cr3, %0" : "=r"(cr3));
		pmap_load_cr3(cr3);
		return;
	}
	for (unsigned i = 0; i < req->n; i++)
		pmap_invlpg(req->va[i]);
}

void
pmap_tlb_flush(struct pmap *pm, const vaddr_t *va, unsigned n)
{
	struct tlb_request req = { va, n };
	cpuset_t active, self;

	atomic_fence_full();
	fp(shootdown_not_sent);
	preempt_disable();
	active = atomic_load_relaxed(&pm->pm_active);
	self = CPU_BIT(arch_curcpu());
	if ((active & self) != 0)
		flush_here(&req);
	if (unlikely((active & ~self) != 0)) {
		TRACE(SHOOT, n > TLB_BATCH ? 255 : n, 0, active & ~self);
		cpu_call(active & ~self, flush_here, &req);
		TRACE(SHOT, 0, 0, 0);
	}
	preempt_enable();
}

void
pmap_flush(struct pmap *pm)
{
	pmap_tlb_flush(pm, NULL, TLB_BATCH + 1);
}

struct kernel_range {
	vaddr_t start, end;
};

static void
flush_kernel_here(void *arg)
{
	const struct kernel_range *r = arg;

	if ((r->end - r->start) >> PAGE_SHIFT > KERNEL_FLUSH_MAX) {
		uint64_t cr4 = pmap_read_cr4();

		pmap_write_cr4(cr4 & ~CR4_PGE);
		pmap_write_cr4(cr4);
		return;
	}
	for (vaddr_t va = r->start; va < r->end; va += PAGE_SIZE)
		pmap_invlpg(va);
}

void
pmap_tlb_flush_kernel(vaddr_t va, size_t size)
{
	struct kernel_range r = { va, va + size };
	cpuset_t others;

	atomic_fence_full();
	preempt_disable();
	flush_kernel_here(&r);
	others = atomic_load_relaxed(&cpu_online_set) & ~CPU_BIT(arch_curcpu());
	if (others != 0) {
		TRACE(SHOOT, min(size >> PAGE_SHIFT, (size_t)255), 0, others);
		cpu_call(others, flush_kernel_here, &r);
		TRACE(SHOT, 0, 0, 0);
	}
	preempt_enable();
}
