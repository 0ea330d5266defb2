/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few string functions that the kernel uses; meanings are those of C.
 * layer: lib
 */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include <kernel/types.h>

void *memcpy(void *restrict, const void *restrict, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);
size_t strnlen(const char *, size_t);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
char *strchr(const char *, int);
char *strrchr(const char *, int);
/* Copies with truncation, always terminates; returns strlen(src). `size` must be > 0. */
size_t strlcpy(char *restrict dst, const char *restrict src, size_t size);

#endif
