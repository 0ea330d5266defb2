/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calibration. Whoever runs below us, a hypervisor or the firmware, may take the processor away for any time between
 * any two instructions, so no single measurement is believed:
 *
 *	A reading of all three clocks is the closest together of several.
 *	A reference that wraps may have done so unseen while we were away. Then that one gap is nearly the whole
 *	measurement: one that has so large a gap does not count. Nor does one in which the other counter ran out.
 *	Measurements are made until two in a row agree. What spoils both does so by different amounts.
 *
 * If none agree within reason, those count that differ least: the clock may be wrong, but the machine runs.
 */
#include "calibrate.h"

#define PER_SEC   200u /* a measurement is 1/200 s long, if nobody comes between */
#define SAMPLES   8
#define TRIES     40u
#define AGREEMENT 1000u /* to one part in */

struct sample {
	uint64_t s_reference, s_tsc;
	uint32_t s_count;
};

/* a * b / c, for results below 2^64. */
static uint64_t
scaled(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high, low, rest;

	__asm("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "r"(b) : "cc");
	__asm("divq %4" : "=a"(low), "=d"(rest) : "a"(low), "d"(high), "r"(c) : "cc");
	return low;
}

/* One reading of all three clocks. */
static struct sample
take_sample(const struct counters *cs)
{
	struct sample best = { 0, 0, 0 };
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t before = cs->cs_tsc(), reference = cs->cs_reference->read(), after;
		uint32_t count = cs->cs_count();

		after = cs->cs_tsc();
		if (after - before < shortest) {
			shortest = after - before;
			best = (struct sample){ reference, before + shortest / 2, count };
		}
	}
	return best;
}

/* False: something came between that may have spoilt it. */
static bool
measure(const struct counters *cs, struct rates *r)
{
	const struct refclock *ref = cs->cs_reference;
	uint64_t ticks = 0, gap = 0, elapsed, last_tsc, now_tsc, last, now;
	struct sample a, b;

	cs->cs_restart();
	a = take_sample(cs);
	last = a.s_reference;
	last_tsc = a.s_tsc;
	do {
		now = ref->read();
		now_tsc = cs->cs_tsc();
		ticks += (now - last) & ref->mask;
		gap = max(gap, now_tsc - last_tsc);
		last = now;
		last_tsc = now_tsc;
	} while (ticks < ref->hz / PER_SEC);
	b = take_sample(cs);
	ticks += (b.s_reference - last) & ref->mask;
	elapsed = b.s_tsc - a.s_tsc;
	gap = max(gap, b.s_tsc - last_tsc);
	if ((gap > elapsed / 4 && ref->mask != UINT64_MAX) || b.s_count == 0)
		return false;
	r->r_tsc_hz = scaled(elapsed, ref->hz, ticks);
	r->r_count_hz = scaled(a.s_count - b.s_count, ref->hz, ticks);
	return true;
}

/* By how much two values differ, in parts of AGREEMENT squared. */
static uint64_t
apart(uint64_t a, uint64_t b)
{
	uint64_t more = max(a, b);

	return more == 0 ? UINT64_MAX : scaled(more - min(a, b), AGREEMENT * AGREEMENT, more);
}

struct rates
calibrate(const struct counters *cs)
{
	struct rates best = { 0, 0, 0, false }, last = best, r = best;
	uint64_t least = UINT64_MAX;
	unsigned tries;

	for (tries = 1; tries <= TRIES && !best.r_sure; tries++) {
		uint64_t differ;

		if (!measure(cs, &r))
			continue;
		if (best.r_tsc_hz == 0)
			best = r; /* better than nothing */
		differ =
		    max(apart(r.r_tsc_hz, last.r_tsc_hz), apart(r.r_count_hz, last.r_count_hz));
		if (last.r_tsc_hz != 0 && differ < least) {
			least = differ;
			best.r_tsc_hz = (r.r_tsc_hz + last.r_tsc_hz) / 2;
			best.r_count_hz = (r.r_count_hz + last.r_count_hz) / 2;
			best.r_sure = differ <= AGREEMENT;
		}
		last = r;
	}
	best.r_tries = tries - 1;
	return best;
}
