/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bitmap of used descriptors. Pure: no locks, no allocation.
 * layer: lib
 */
#ifndef KERNEL_FDMAP_H
#define KERNEL_FDMAP_H

#include <kernel/types.h>

#define FDMAP_WORD_BITS 64

/* Lowest clear bit that is not below `from`; `size` (a multiple of 64) if all are set. */
static inline uint32_t
fdmap_find_clear(const uint64_t *map, uint32_t size, uint32_t from)
{
	uint32_t word = from / FDMAP_WORD_BITS;
	uint64_t clear;

	if (from >= size)
		return size;
	clear = ~map[word] & ~(uint64_t)0 << from % FDMAP_WORD_BITS;
	while (clear == 0) {
		if (++word == size / FDMAP_WORD_BITS)
			return size;
		clear = ~map[word];
	}
	return word * FDMAP_WORD_BITS + (uint32_t)__builtin_ctzll(clear);
}

/* One more than the highest set bit; 0 if there is none. */
static inline uint32_t
fdmap_end(const uint64_t *map, uint32_t size)
{
	for (uint32_t word = size / FDMAP_WORD_BITS; word-- > 0;)
		if (map[word] != 0)
			return (word + 1) * FDMAP_WORD_BITS - (uint32_t)__builtin_clzll(map[word]);
	return 0;
}

static inline bool
fdmap_test(const uint64_t *map, uint32_t bit)
{
	return (map[bit / FDMAP_WORD_BITS] >> bit % FDMAP_WORD_BITS & 1) != 0;
}

static inline void
fdmap_set(uint64_t *map, uint32_t bit)
{
	map[bit / FDMAP_WORD_BITS] |= (uint64_t)1 << bit % FDMAP_WORD_BITS;
}

static inline void
fdmap_clear(uint64_t *map, uint32_t bit)
{
	map[bit / FDMAP_WORD_BITS] &= ~((uint64_t)1 << bit % FDMAP_WORD_BITS);
}

#endif
