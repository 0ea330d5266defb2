/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for the machine's header in test_vm.c: one CPU, one LWP, no interrupts.
 * Included first, so that its guard keeps the real one out.
 * layer: test
 */
#ifndef ARCH_CPU_MD_H
#define ARCH_CPU_MD_H

#include <kernel/types.h>

struct cpu;
struct lwp;

extern struct cpu *host_cpu;
extern struct lwp *host_lwp;

static inline struct cpu *
arch_curcpu(void)
{
	return host_cpu;
}

static inline struct lwp *
arch_curlwp(void)
{
	return host_lwp;
}

static inline bool
arch_intr_enabled(void)
{
	return true;
}

static inline void
arch_intr_enable(void)
{
}

static inline bool
arch_intr_disable(void)
{
	return true;
}

static inline void
arch_intr_restore(bool enabled)
{
	(void)enabled;
}

static inline void
arch_cpu_relax(void)
{
}

#endif
