/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault=alloc:N: the Nth allocation that user LWPs cause fails, though there is memory (debug build). For sweeps over
 * every N of a workload, docs/sanitizers.md.
 * layer: core
 */
#ifndef KERNEL_FAULT_H
#define KERNEL_FAULT_H

#include <kernel/types.h>

#if defined(DEBUG) && !__STDC_HOSTED__
extern uint32_t fault_left; /* (a) allocations until the one that fails; 0 = none shall */
bool fault_count(uintptr_t pc);
/*
 * Every allocator asks this first, and returns NULL if it is true. In an interrupt, for a kernel thread, or with
 * preemption off it is not: these are not errors of a system call.
 */
static inline __attribute__((always_inline)) bool
fault_alloc(void)
{
	return unlikely(__atomic_load_n(&fault_left, __ATOMIC_RELAXED) != 0) &&
	    fault_count((uintptr_t)__builtin_return_address(0));
}
/* "alloc:N" or "off", to which the answer is -ENOENT if no allocation has failed since. 0 or -EINVAL. */
int fault_set(const char *what);
void fault_boot(void); /* the option's count begins: init runs */
#else
#define fault_boot() ((void)0)
static inline bool
fault_alloc(void)
{
	return false;
}
#endif

#endif
