/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves of many words in the fewest instructions. No dependence on anything else, so unit tests can use it.
 * layer: lib
 */
#ifndef ARCH_STRING_MD_H
#define ARCH_STRING_MD_H

#include <stddef.h>
#include <stdint.h>

/* Copies n 8-byte words upwards. */
static inline void
arch_copy_words(void *dst, const void *src, size_t n)
{
	__asm volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
}

static inline void
arch_set_words(void *dst, uint64_t v, size_t n)
{
	__asm volatile("rep stosq" : "+D"(dst), "+c"(n) : "a"(v) : "memory");
}

#endif
