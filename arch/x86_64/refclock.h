/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks of known rate, to measure others by; and the battery-backed one. */
#ifndef ARCH_X86_64_REFCLOCK_H
#define ARCH_X86_64_REFCLOCK_H

#include <kernel/types.h>

struct refclock {
	const char *name;
	uint64_t (*read)(void); /* counts up and wraps by `mask` */
	uint64_t mask, hz;
};

const struct refclock *refclock_choose(void);
nsec_t rtc_read(void); /* since 1970 */

#endif
