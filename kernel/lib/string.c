/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and string functions. Written for few instructions: short blocks are moved as two overlapping
 * words without a loop, long ones by what the machine has for many words. The compiler may call the mem*
 * functions on its own, so none of them may contain a loop that it would turn into a call of itself.
 */
#include <kernel/string.h>

#include <arch/string_md.h>
#include <kernel/san.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) u64;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32;
typedef uint16_t __attribute__((may_alias, aligned(1))) u16;

/* Moves n < 8 bytes; all loads come before the stores, so the blocks may overlap. */
static inline void
move_short(uint8_t *d, const uint8_t *s, size_t n)
{
	if (n >= 4) {
		uint32_t a = *(const u32 *)s, b = *(const u32 *)(s + n - 4);

		*(u32 *)d = a;
		*(u32 *)(d + n - 4) = b;
	} else if (n >= 2) {
		uint16_t a = *(const u16 *)s, b = *(const u16 *)(s + n - 2);

		*(u16 *)d = a;
		*(u16 *)(d + n - 2) = b;
	} else if (n != 0) {
		*d = *s;
	}
}

/* Moves 8 <= n <= 32 bytes; the blocks may overlap. */
static inline void
move_medium(uint8_t *d, const uint8_t *s, size_t n)
{
	uint64_t a = *(const u64 *)s, z = *(const u64 *)(s + n - 8);

	if (n > 16) {
		uint64_t b = *(const u64 *)(s + 8), y = *(const u64 *)(s + n - 16);

		*(u64 *)(d + 8) = b;
		*(u64 *)(d + n - 16) = y;
	}
	*(u64 *)d = a;
	*(u64 *)(d + n - 8) = z;
}

void *
memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	san_read(src, n);
	san_write(dst, n);
	if (n < 8) {
		move_short(d, s, n);
	} else if (n <= 32) {
		move_medium(d, s, n);
	} else {
		uint64_t z = *(const u64 *)(s + n - 8);

		arch_copy_words(d, s, n / 8);
		*(u64 *)(d + n - 8) = z;
	}
	return dst;
}

void *
memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	san_read(src, n);
	san_write(dst, n);
	if (n < 8) {
		move_short(d, s, n);
	} else if (n <= 32) {
		move_medium(d, s, n);
	} else if ((uintptr_t)d - (uintptr_t)s >= n) { /* d below s, or no overlap */
		uint64_t z = *(const u64 *)(s + n - 8);

		arch_copy_words(d, s, n / 8);
		*(u64 *)(d + n - 8) = z;
	} else if (d != s) {
		uint64_t a = *(const u64 *)s;
		size_t left = n;

		while (left >= 8) {
			left -= 8;
			*(u64 *)(d + left) = *(const u64 *)(s + left);
			__asm volatile("" : "+r"(left)); /* stays a loop */
		}
		*(u64 *)d = a;
	}
	return dst;
}

void *
memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;
	uint64_t v = (uint8_t)c * (uint64_t)0x0101010101010101;

	san_write(dst, n);
	if (n < 8) {
		if (n >= 4) {
			*(u32 *)d = (uint32_t)v;
			*(u32 *)(d + n - 4) = (uint32_t)v;
		} else if (n >= 2) {
			*(u16 *)d = (uint16_t)v;
			*(u16 *)(d + n - 2) = (uint16_t)v;
		} else if (n != 0) {
			*d = (uint8_t)v;
		}
		return dst;
	}
	*(u64 *)(d + n - 8) = v;
	if (n <= 32) {
		*(u64 *)d = v;
		if (n > 16) {
			*(u64 *)(d + 8) = v;
			*(u64 *)(d + n - 16) = v;
		}
	} else {
		arch_set_words(d, v, n / 8);
	}
	return dst;
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	san_read(a, n);
	san_read(b, n);
	for (; n >= 8; n -= 8, p += 8, q += 8) {
		uint64_t x = *(const u64 *)p, y = *(const u64 *)q;

		if (x != y) {
			x = __builtin_bswap64(x);
			y = __builtin_bswap64(y);
			return x < y ? -1 : 1;
		}
	}
	for (; n != 0; n--, p++, q++) {
		if (*p != *q)
			return *p < *q ? -1 : 1;
	}
	return 0;
}

size_t
strlen(const char *s)
{
	const char *p = s;

	while (*p != '\0') {
		p++;
		__asm volatile("" : "+r"(p)); /* stays a loop */
	}
	san_read(s, (size_t)(p - s) + 1);
	return (size_t)(p - s);
}

size_t
strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n] != '\0')
		n++;
	return n;
}

int
strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

int
strncmp(const char *a, const char *b, size_t n)
{
	for (; n != 0; n--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (*a == '\0')
			break;
	}
	return 0;
}

char *
strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (*s == '\0')
			return NULL;
	}
	return (char *)(uintptr_t)s;
}

char *
strrchr(const char *s, int c)
{
	const char *found = NULL;

	do {
		if (*s == (char)c)
			found = s;
	} while (*s++ != '\0');
	return (char *)(uintptr_t)found;
}

size_t
strlcpy(char *restrict dst, const char *restrict src, size_t size)
{
	size_t len = strlen(src);
	size_t n = len < size ? len : size - 1;

	memcpy(dst, src, n);
	dst[n] = '\0';
	return len;
}
