/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Basic types and small helpers.
 * layer: lib
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ssize_t;
typedef int64_t off_t;
typedef uint64_t paddr_t;  /* physical address */
typedef uintptr_t vaddr_t; /* kernel or user virtual address */
typedef int32_t pid_t;     /* process, group and session ids; LWP ids share the name space */
typedef pid_t lwpid_t;
typedef uint64_t nsec_t;   /* time in nanoseconds; on the monotonic clock unless said otherwise */
typedef uint64_t cpuset_t; /* bit n = CPU with index n */

#define MAXCPUS 64

#define PAGE_SHIFT    12
#define PAGE_SIZE     ((size_t)1 << PAGE_SHIFT)
#define PAGE_MASK     (PAGE_SIZE - 1)
#define trunc_page(x) ((x) & ~(uintptr_t)PAGE_MASK)
#define round_page(x) (((x) + PAGE_MASK) & ~(uintptr_t)PAGE_MASK)

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))
#define likely(x)                     __builtin_expect(!!(x), 1)
#define unlikely(x)                   __builtin_expect(!!(x), 0)
/* Names of their own at each use, so that calls can be nested. */
#define CONCAT_(a, b) a##b
#define CONCAT(a, b)  CONCAT_(a, b)
#define pick_(a, op, b, x, y) \
	({ \
		__typeof__(a) x = (a); \
		__typeof__(b) y = (b); \
		x op y ? x : y; \
	})
#define min(a, b)     pick_(a, <, b, CONCAT(min_a, __COUNTER__), CONCAT(min_b, __COUNTER__))
#define max(a, b)     pick_(a, >, b, CONCAT(max_a, __COUNTER__), CONCAT(max_b, __COUNTER__))
#define roundup(x, n) ((((x) + (n)-1) / (n)) * (n))
#define IS_POW2(x)    ((x) != 0 && ((x) & ((x)-1)) == 0)

#define __noreturn         __attribute__((noreturn))
#define __printflike(f, a) __attribute__((format(printf, f, a)))
#define __aligned(n)       __attribute__((aligned(n)))
#define __unused           __attribute__((unused))
#define __noinline         __attribute__((noinline))
#ifndef __always_inline /* glibc has it, too: unit tests */
#define __always_inline inline __attribute__((always_inline))
#endif
#define __must_check __attribute__((warn_unused_result))
#define __cold       __attribute__((cold))
/* Code where no breakpoint may be: see linker.ld. */
#define __nobreak __attribute__((noinline, section(".text.nobreak")))

#define CACHE_LINE          64
#define __cacheline_aligned __aligned(CACHE_LINE)

#endif
