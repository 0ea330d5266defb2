/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SAN=kasan: which bytes of the kernel's memory may be touched (kernel/debug/san/kasan.c, docs/sanitizers.md).
 *
 * A byte of shadow stands for a granule of 8 bytes: 0 = all may be touched, 1 to 7 = the first so many, else none, and
 * the value tells why.
 * layer: lib
 */
#ifndef KERNEL_KASAN_H
#define KERNEL_KASAN_H

#include <kernel/types.h>

#if defined(KASAN) && !__STDC_HOSTED__

#define KASAN_OFFSET     0xdffffc0000000000ul /* as in the Makefile */
#define KASAN_GRANULE    8u
#define kasan_shadow(va) (((uintptr_t)(va) >> 3) + KASAN_OFFSET)

/* Why a granule may not be touched; 0xf1 to 0xf8 are the compiler's, on the stack. */
#define KASAN_GLOBAL  0xf9
#define KASAN_FREE    0xfb /* freed object */
#define KASAN_REDZONE 0xfc /* around objects */
#define KASAN_STACK   0xfd /* freed kernel stack */
#define KASAN_PAGE    0xff /* free page */

/* Whole granules, but for the end of what may be touched. => any context */
void kasan_poison(const void *, size_t, uint8_t why);
void kasan_unpoison(const void *, size_t);
/* The shadow is there: begins to check. => boot, right after pmap_bootstrap() */
void kasan_init(void);
/* Frames below the caller's were left without a return. */
void kasan_left_frames(void);

#define KASAN_FRAMES 7
struct kasan_track {
	uint32_t lid;
	uint32_t n;
	uintptr_t pc[KASAN_FRAMES];
};
void kasan_track(struct kasan_track *);

/* The machine layer's. The second is for a kernel stack and its guard; 0 or -ENOMEM. => any context */
void arch_kasan_boot(void);
int arch_kasan_map(vaddr_t, size_t);

#else

static inline void
kasan_poison(const void *p, size_t n, uint8_t why)
{
	(void)p;
	(void)n;
	(void)why;
}

static inline void
kasan_unpoison(const void *p, size_t n)
{
	(void)p;
	(void)n;
}

#define KASAN_REDZONE           0
#define KASAN_STACK             0
#define KASAN_PAGE              0
#define kasan_init()            ((void)0)
#define kasan_left_frames()     ((void)0)
#define arch_kasan_boot()       ((void)0)
#define arch_kasan_map(va, len) 0

#endif

#endif
