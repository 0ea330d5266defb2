/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rates of two counters, by a clock of known rate. Pure: what is read is given.
 * layer: arch
 */
#ifndef ARCH_X86_64_CALIBRATE_H
#define ARCH_X86_64_CALIBRATE_H

#include "refclock.h"

struct counters {
	const struct refclock *cs_reference;
	uint64_t (*cs_tsc)(void); /* counts up */
	void (*cs_restart)(
	    void); /* the other, which counts down from UINT32_MAX to 0, and stays there */
	uint32_t (*cs_count)(void);
};

struct rates {
	uint64_t r_tsc_hz, r_count_hz;
	unsigned r_tries; /* measurements that it took */
	bool r_sure;      /* two agreed */
};

struct rates calibrate(const struct counters *);

#endif
