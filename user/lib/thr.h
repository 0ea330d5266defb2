/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads without a C library: the bare clone call and bare system calls.
 *
 * Such a thread shares the creator's thread pointer.  It may use only the raw
 * calls below, atomics and its own stack: no errno, no stdio, no malloc.
 */
#ifndef USER_THR_H
#define USER_THR_H

#include <stdatomic.h>
#include <stddef.h>

/* What musl's pthread_create passes, less the thread pointer. */
#define THR_FLAGS \
	(0x00000100 /* VM */ | 0x00000200 /* FS */ | 0x00000400 /* FILES */ | \
	    0x00000800 /* SIGHAND */ | 0x00010000 /* THREAD */ | 0x00040000 /* SYSVSEM */ | \
	    0x00100000 /* PARENT_SETTID */ | 0x00200000 /* CHILD_CLEARTID */)

/*
 * Run fn(arg) on a new thread that ends with its return value.
 * => stack_top is the end of memory that stays mapped until *tid is 0
 * => returns the thread's id or -errno; the id is stored in *tid first, and
 *    the kernel clears *tid and wakes a (shared) futex wait on it at the end
 */
long thr_start(void *stack_top, int (*fn)(void *), void *arg, atomic_int *tid);
/* Wait until the kernel has cleared *tid. */
void thr_join(atomic_int *tid);
/* The clone call alone, for odd flags; the child runs fn(arg) too. */
long thr_clone(unsigned long flags, void *stack_top, int (*fn)(void *), void *arg, atomic_int *ptid,
    atomic_int *ctid, unsigned long tls);

static inline long
raw6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long
raw3(long n, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long
raw0(long n)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n) : "rcx", "r11", "memory");
	return ret;
}

/* Let time pass; about n loads. */
static inline void
thr_spin(unsigned n)
{
	while (n-- > 0)
		__asm__ volatile("pause" : : : "memory");
}

/* Count oneself in *w and go on when n have come; all leave as closely together as they can. */
static inline void
thr_meet(atomic_int *w, int n)
{
	unsigned i;

	atomic_fetch_add(w, 1);
	for (i = 0; atomic_load(w) < n; i++)
		if (i % 256 == 255)
			raw0(24);
		else
			thr_spin(1);
}

/* Raw calls in the names of the kernel; results are -errno. */
#define RAW_FUTEX      202
#define RAW_EXIT       60
#define RAW_EXIT_GROUP 231
#define RAW_GETPID     39
#define RAW_GETPPID    110
#define RAW_GETTID     186
#define RAW_YIELD      24

#endif /* USER_THR_H */
