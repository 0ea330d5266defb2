/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticks and nanoseconds: at every rate and age of the machine, the clock has reached a deadline when
 * the counter has reached its ticks, and not long before.
 *
 * sources:
 * cflags: -Iarch/x86_64
 */
#include <hosttest.h>

#include "timescale.h"

#define SEC 1000000000ul
#define DAY (86400 * SEC)

static const uint64_t rates[] = { 62500001, 999999999, 1000000000, 2596135123, 3000000001,
	5123456789 };
static const nsec_t ages[] = { 0, 1, SEC, DAY, 10 * DAY, 100 * DAY, 2000 * DAY };
static const nsec_t distances[] = { 1, 7, 999, 1000, 50000, 1000003, 10 * SEC / 1000, SEC };

static struct timescale
scale_of(uint64_t hz)
{
	return (struct timescale){ .ts_base = 123456789,
		.ts_to_ns = ratio(SEC, 64 - TSC_SHIFT, hz),
		.ts_to_ticks = ratio(hz, 32, SEC) + 1 };
}

int
main(void)
{
	unsigned early = 0, late = 0, past = 0;

	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		struct timescale ts = scale_of(rates[r]);
		nsec_t tick = SEC / rates[r] + 1;

		for (size_t a = 0; a < ARRAY_SIZE(ages); a++) {
			uint64_t now =
			    ts.ts_base + (uint64_t)((unsigned __int128)ages[a] * rates[r] / SEC);
			nsec_t ns = ticks_to_ns(&ts, now);

			for (size_t d = 0; d < ARRAY_SIZE(distances); d++) {
				nsec_t when = ns + distances[d];
				nsec_t then = ticks_to_ns(&ts, ns_to_ticks(&ts, when, now));

				early += then < when;
				late += then > when + 2 * tick;
			}
			past += ns_to_ticks(&ts, ns / 2, now) != now + 1;
			/* As far as there is: no overflow into the past. */
			past += ns_to_ticks(&ts, (nsec_t)-2, now) < now + (LONGEST_NS >> 5);
		}
	}
	CHECK(early == 0);
	CHECK(late == 0);
	CHECK(past == 0);
	return host_done();
}
