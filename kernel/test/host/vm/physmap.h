/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for the machine's header in test_vm.c: physical memory is an array of the test.
 * Included first, so that its guard keeps the real one out.
 * layer: test
 */
#ifndef ARCH_PHYSMAP_H
#define ARCH_PHYSMAP_H

#include <kernel/types.h>

extern char *host_ram;

static inline void *
arch_phys_to_virt(paddr_t pa)
{
	return host_ram + pa;
}

static inline paddr_t
arch_virt_to_phys(const void *va)
{
	return (paddr_t)((const char *)va - host_ram);
}

#endif
