/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel tells the vDSO: one page, mapped below its image, that only the kernel writes. Seen by both.
 * layer: arch
 */
#ifndef ARCH_VDSO_DATA_H
#define ARCH_VDSO_DATA_H

#include <stdint.h>

enum { VDSO_CALLS, VDSO_TSC }; /* vd_clock: ask the kernel; read the counter */

/* struct vdso_data, field locks: (q) vd_seq, which is odd while they change (c) constant */
struct vdso_data {
	uint32_t vd_seq;     /* (q) */
	uint32_t vd_clock;   /* (q) */
	uint64_t vd_base;    /* (c) as in <arch/timescale.h>: ticks when the clock was 0 */
	uint64_t vd_to_ns;   /* (c) ns = ticks << vd_shift * this >> 64 */
	uint32_t vd_shift;   /* (c) */
	uint32_t vd_cpu_sel; /* (c) selector of the segment whose limit is the CPU's number */
	uint64_t vd_wall;    /* (q) wall clock when the clock was 0 */
};

#endif
