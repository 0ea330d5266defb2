/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversion between ticks of a counter and nanoseconds. Pure; the factors are computed at boot.
 *
 * The two directions are rounded each for itself, and their errors grow with what is converted. So
 * a moment is converted in one direction only, from ticks; a time to come is converted as its
 * distance from now.
 * layer: arch
 */
#ifndef ARCH_TIMESCALE_H
#define ARCH_TIMESCALE_H

#include <arch/insn.h>
#include <kernel/types.h>

#define TSC_SHIFT  4 /* for rates above 62.5 MHz; 12 years at 3 GHz */
#define LONGEST_NS ((nsec_t)1 << 60)

/* struct timescale, field locks: (c) constant after time_init() */
struct timescale {
	uint64_t ts_base;     /* (c) ticks when the clock was 0 */
	uint64_t ts_to_ns;    /* (c) ns = ticks << TSC_SHIFT * this >> 64 */
	uint64_t ts_to_ticks; /* (c) ticks = ns * this >> 32; rounded up */
};

/* n << shift / d, for results below 2^64. */
static inline uint64_t
ratio(uint64_t n, unsigned shift, uint64_t d)
{
	uint64_t high = shift == 0 ? 0 : n >> (64 - shift), low = n << shift, quotient, rest;

	__asm("divq %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(high), "r"(d) : "cc");
	return quotient;
}

static inline uint64_t
scale32(uint64_t v, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)v * factor >> 32);
}

static inline nsec_t
ticks_to_ns(const struct timescale *ts, uint64_t ticks)
{
	return mul_high((ticks - ts->ts_base) << TSC_SHIFT, ts->ts_to_ns);
}

/*
 * Ticks at which the clock has reached `when`; `now` are the present ticks. Never early; late by less than two
 * ticks and the 2^-32nd part of the distance.
 */
static inline uint64_t
ns_to_ticks(const struct timescale *ts, nsec_t when, uint64_t now)
{
	nsec_t ns = ticks_to_ns(ts, now);

	return now + (when > ns ? scale32(min(when - ns, LONGEST_NS), ts->ts_to_ticks) : 0) + 1;
}

#endif
