/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inline functions on the current CPU. GS points at struct cpu while the kernel runs; the
 * offsets used here are asserted in arch/x86_64/cpu.c.
 * layer: arch
 */
#ifndef ARCH_CPU_MD_H
#define ARCH_CPU_MD_H

#include <kernel/types.h>

struct cpu;
struct lwp;

#define RFLAGS_IF 0x200ul

static inline struct cpu *
arch_curcpu(void)
{
	struct cpu *ci;

	__asm volatile("movq %%gs:0, %0" : "=r"(ci));
	return ci;
}

/* Not volatile: whatever CPU it runs on, code sees one and the same current LWP. */
static inline struct lwp *
arch_curlwp(void)
{
	struct lwp *l;

	__asm("movq %%gs:8, %0" : "=r"(l));
	return l;
}

static inline bool
arch_intr_enabled(void)
{
	uint64_t flags;

	__asm volatile("pushfq; popq %0" : "=r"(flags));
	return (flags & RFLAGS_IF) != 0;
}

static inline void
arch_intr_enable(void)
{
	__asm volatile("sti" ::: "memory");
}

/* Returns whether they were enabled. */
static inline bool
arch_intr_disable(void)
{
	uint64_t flags;

	__asm volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
	return (flags & RFLAGS_IF) != 0;
}

static inline void
arch_intr_restore(bool enabled)
{
	if (enabled)
		arch_intr_enable();
}

/* The counter that arch_time_ns() is made of; not ordered with loads and stores. */
static inline uint64_t
arch_cycles(void)
{
	uint32_t lo, hi;

	__asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void
arch_cpu_relax(void)
{
	__asm volatile("pause" ::: "memory");
}

/*
 * Enables interrupts and waits for one, with no gap between: an interrupt that comes after the
 * caller's last check ends the wait.
 * => interrupts off on entry, on at return
 */
static inline void
arch_cpu_idle(void)
{
	__asm volatile("sti; hlt" ::: "memory");
}

#endif
