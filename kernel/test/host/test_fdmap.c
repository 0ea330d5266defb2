/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bitmap of used descriptors, against an array of flags.
 * sources:
 */
#include "hosttest.h"

#include <kernel/fdmap.h>

#define SIZE   256u
#define ROUNDS 200000u

static uint64_t map[SIZE / FDMAP_WORD_BITS];
static bool model[SIZE];

static uint32_t
model_find(uint32_t from)
{
	while (from < SIZE && model[from])
		from++;
	return from < SIZE ? from : SIZE;
}

static uint32_t
model_end(void)
{
	uint32_t n = SIZE;

	while (n > 0 && !model[n - 1])
		n--;
	return n;
}

int
main(void)
{
	uint64_t x = 0x9e3779b97f4a7c15;

	CHECK(fdmap_find_clear(map, SIZE, 0) == 0 && fdmap_end(map, SIZE) == 0);
	CHECK(fdmap_find_clear(map, SIZE, SIZE) == SIZE &&
	    fdmap_find_clear(map, SIZE, 0xffffffff) == SIZE);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t bit, from;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* Long stretches of full and of nearly empty maps. */
		bit = (i / 2000) % 2 == 0 ? fdmap_find_clear(map, SIZE, 0) % SIZE
					  : (uint32_t)(x >> 8) % SIZE;
		if ((i / 2000) % 2 == 0 || (x >> 40) % 8 == 0) {
			fdmap_set(map, bit);
			model[bit] = true;
		} else {
			fdmap_clear(map, bit);
			model[bit] = false;
		}
		from = (uint32_t)(x >> 20) % (SIZE + 10);
		QUIET_CHECK(
		    fdmap_find_clear(map, SIZE, from) == (from < SIZE ? model_find(from) : SIZE));
		QUIET_CHECK(fdmap_end(map, SIZE) == model_end());
		QUIET_CHECK(fdmap_test(map, bit) == model[bit]);
	}
	CHECK_NAMED(host_failures == 0, "random changes agree with the model");
	return host_done();
}
