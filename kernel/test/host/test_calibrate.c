/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calibration on a machine that is taken away for any time at any moment: the rates come out right all the same, with
 * each reference clock, also where it wraps and the other counter runs out meanwhile.
 *
 * sources: arch/x86_64/calibrate.c
 * cflags: -Iarch/x86_64
 */
#include <hosttest.h>

#include "calibrate.h"

#define PS_PER_SEC 1000000000000ul
#define MS         1000000000ul /* in ps */

static uint64_t now; /* ps; what is read is a function of it */
static uint64_t tsc_hz, count_hz, restarted, seed;
static unsigned often;         /* of a million reads so many are followed by a stall */
static uint64_t longest, same; /* ps; same: of all, as by a scheduler that gives turns */

static uint64_t
ticks(uint64_t ps, uint64_t hz)
{
	return (uint64_t)((unsigned __int128)ps * hz / PS_PER_SEC);
}

static uint64_t
any(uint64_t below)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return (seed >> 20) % below;
}

/* A read takes half a microsecond or so; and then, sometimes, we are not there for a while. */
static void
pass(void)
{
	now += 300000 + any(400000);
	if (any(1000000) < often)
		now += same != 0 ? same : any(any(8) == 0 ? longest : 20 * MS);
}

static struct refclock reference;

static uint64_t
read_reference(void)
{
	pass();
	return ticks(now, reference.hz) & reference.mask;
}

static uint64_t
read_tsc(void)
{
	pass();
	return ticks(now, tsc_hz);
}

static void
restart(void)
{
	pass();
	restarted = now;
}

static uint32_t
read_count(void)
{
	uint64_t gone;

	pass();
	gone = ticks(now - restarted, count_hz);
	return gone >= UINT32_MAX ? 0 : (uint32_t)(UINT32_MAX - gone);
}

static bool
near(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	return off <= want / 500;
}

static const struct refclock references[] = {
	{ "PIT", read_reference, 0xffff, 1193182 },
	{ "24-bit ACPI timer", read_reference, 0xffffff, 3579545 },
	{ "32-bit ACPI timer", read_reference, UINT32_MAX, 3579545 },
	{ "32-bit HPET", read_reference, UINT32_MAX, 100000000 },
	{ "64-bit HPET", read_reference, UINT64_MAX, 100000000 },
};
static const uint64_t tsc_rates[] = { 800000000, 2596135123, 5123456789 };
/* A measurement is thousands of reads: from none to several in each. */
static const unsigned stalls[] = { 0, 50, 200, 600 };
static const uint64_t count_rates[] = { 25000000, 1000000000 };

int
main(void)
{
	const struct counters counters = { &reference, read_tsc, restart, read_count };
	unsigned wrong = 0, unsure = 0, quiet = 0, runs = 0, doubtful = 0;

	for (unsigned i = 0; i < 2400; i++) {
		struct rates r;

		reference = references[i % ARRAY_SIZE(references)];
		tsc_hz = tsc_rates[i / 5 % 3];
		count_hz = count_rates[i / 15 % 2];
		often = stalls[i / 60 % ARRAY_SIZE(stalls)];
		longest = i % 3 == 0 ? 120 * PS_PER_SEC : 200 * MS;
		same = i % 4 == 0 && often <= 200 ? 56 * MS
						  : 0; /* a little more than the PIT's round */
		seed = i;
		now = any(PS_PER_SEC);
		r = calibrate(&counters);
		runs++;
		doubtful += !r.r_sure;
		unsure += !r.r_sure && often <= 50;
		quiet += often == 0 && r.r_tries != 2;
		if (r.r_sure && (!near(r.r_tsc_hz, tsc_hz) || !near(r.r_count_hz, count_hz))) {
			printf("# %s, TSC %lu Hz, count %lu Hz: %lu %lu\n", reference.name, tsc_hz,
			    count_hz, r.r_tsc_hz, r.r_count_hz);
			wrong++;
		}
	}
	printf("# %u runs, %u of them doubtful\n", runs, doubtful);
	CHECK(wrong == 0);
	CHECK(unsure == 0);
	CHECK(quiet == 0); /* where nothing comes between, it takes no longer than it must */
	return host_done();
}
