/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The direct map: all physical memory, always mapped, never executable. Part of <arch/arch_if.h>; a
 * header of its own because <kernel/pmem.h> needs it inline.
 * layer: arch_if
 */
#ifndef ARCH_PHYSMAP_H
#define ARCH_PHYSMAP_H

#include <kernel/types.h>

#define PHYSMAP_BASE 0xffff800000000000ul
#define KSTACK_BASE  0xffffc00000000000ul /* kernel stacks, <kernel/kmem.h> */
#define KSTACK_AREA  0x8000000000ul       /* bytes: one top-level entry */
#define KIMAGE_BASE  0xffffffff80000000ul /* the kernel image, at this plus its physical address */

static inline void *
arch_phys_to_virt(paddr_t pa)
{
	return (void *)(PHYSMAP_BASE + pa);
}

/* => va is in the direct map or in the kernel image. */
static inline paddr_t
arch_virt_to_phys(const void *va)
{
	uintptr_t a = (uintptr_t)va;

	return a >= KIMAGE_BASE ? a - KIMAGE_BASE : a - PHYSMAP_BASE;
}

#endif
