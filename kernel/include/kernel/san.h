/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel tells the sanitizers (docs/sanitizers.md). Each hook is nothing in a kernel without the one that
 * asks for it.
 * layer: lib
 */
#ifndef KERNEL_SAN_H
#define KERNEL_SAN_H

#include <kernel/types.h>

/*
 * A function that looks at memory which is not its own, on purpose and knowing so: NO_KASAN at freed objects, NO_KCSAN
 * at what others may be changing.
 */
#define NO_KASAN __attribute__((no_sanitize("kernel-address"), no_sanitize("address")))
#define NO_KCSAN __attribute__((no_sanitize("thread")))

/*
 * Copies that the compiler does not see: those of string.c and of assembly. The bytes are about to be read or written.
 */
#if (defined(KASAN) || defined(KCSAN)) && !__STDC_HOSTED__
#define SAN_MEMORY 1
void san_read(const void *, size_t);
void san_write(const void *, size_t);
#else
static inline void
san_read(const void *p, size_t n)
{
	(void)p;
	(void)n;
}

static inline void
san_write(const void *p, size_t n)
{
	(void)p;
	(void)n;
}
#endif

/* The world is stopped, or goes on: in between nothing is checked, for who stops it looks at everything. */
#ifdef SAN_MEMORY
extern uint32_t san_paused; /* (a) */
#define san_pause(on) ((void)__atomic_add_fetch(&san_paused, (on) ? 1u : -1u, __ATOMIC_SEQ_CST))
#else
#define san_pause(on) ((void)(on))
#endif

/* Ready: all CPUs are up. => boot */
#ifdef KCSAN
void kcsan_init(void);
#else
#define kcsan_init() ((void)0)
#endif

#endif
