/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine gives to the vDSO: its image, and how to read the clock.
 */
#include <arch/arch_if.h>
#include <arch/cpu_types.h>
#include <arch/machine.h>
#include <arch/vdso_data.h>
#include <kernel/atomic.h>

#include "timescale.h"

extern const char vdso_image[], vdso_image_end[]; /* vdsoimage.asm */

const void *
arch_vdso_image(size_t *size)
{
	*size = (size_t)(vdso_image_end - vdso_image);
	return vdso_image;
}

void
arch_vdso_data(void *page, nsec_t wall, bool calls)
{
	struct vdso_data *vd = page;
	uint32_t seq = vd->vd_seq;

	atomic_store_relaxed(&vd->vd_seq, seq + 1);
	atomic_fence_full();
	vd->vd_shift = TSC_SHIFT;
	vd->vd_base = vd->vd_to_ns = 0; /* that of one boot is not that of the next */
	if (!calls)
		time_scale(&vd->vd_base, &vd->vd_to_ns);
	vd->vd_cpu_sel = SEL_CPU;
	vd->vd_wall = wall;
	vd->vd_clock = calls ? VDSO_CALLS : VDSO_TSC;
	atomic_store_release(&vd->vd_seq, seq + 2);
}
