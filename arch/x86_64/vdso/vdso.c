/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO: four calls without a system call, for C libraries that look for them (docs/linux.md). A shared object
 * of its own, position-independent, without relocations and without data; it runs in user mode. The clock is
 * the kernel's: the same counter, the same factor, so a time from here and one from a call are in order, whichever CPU
 * they are read on. What it cannot answer it asks the kernel.
 */
#include <abi/errno.h>
#include <abi/time.h>
#include <arch/vdso_data.h>
#include <stddef.h>

#define NR_GETTIMEOFDAY  96
#define NR_TIME          201
#define NR_CLOCK_GETTIME 228

int __vdso_clock_gettime(int clock, struct abi_timespec *ts);
int __vdso_gettimeofday(struct abi_timeval *tv, int32_t *zone);
int64_t __vdso_time(int64_t *t);
long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);

/* The page below the image: vdso.lds. */
extern const struct vdso_data vdso_data __attribute__((visibility("hidden")));

static inline long
call(long nr, long a, long b)
{
	long r;

	__asm volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

/* Not before what stands before it is done: a time read later is later. */
static inline uint64_t
ticks(void)
{
	uint32_t lo, hi;

	__asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

/* Nanoseconds of the monotonic clock, or with `wall` since 1970; 0: the kernel must be asked. */
static inline uint64_t
clock_now(int wall)
{
	const struct vdso_data *vd = &vdso_data;
	uint64_t t, base;
	uint32_t seq;

	for (;;) {
		seq = __atomic_load_n(&vd->vd_seq, __ATOMIC_ACQUIRE);
		if (__builtin_expect(
			__atomic_load_n(&vd->vd_clock, __ATOMIC_RELAXED) != VDSO_TSC, 0))
			return 0;
		base = wall ? __atomic_load_n(&vd->vd_wall, __ATOMIC_RELAXED) : 0;
		t = ticks() - vd->vd_base;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__builtin_expect(
			(seq & 1) == 0 && __atomic_load_n(&vd->vd_seq, __ATOMIC_RELAXED) == seq, 1))
			break;
		__asm volatile("pause");
	}
	return base + (uint64_t)((unsigned __int128)(t << vd->vd_shift) * vd->vd_to_ns >> 64);
}

int
__vdso_clock_gettime(int clock, struct abi_timespec *ts)
{
	uint64_t t;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		t = clock_now(1);
		break;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		t = clock_now(0);
		break;
	default:
		t = 0;
		break;
	}
	if (t == 0)
		return (int)call(NR_CLOCK_GETTIME, clock, (long)ts);
	ts->tv_sec = (int64_t)(t / NSEC_PER_SEC);
	ts->tv_nsec = (int64_t)(t % NSEC_PER_SEC);
	return 0;
}

int
__vdso_gettimeofday(struct abi_timeval *tv, int32_t *zone)
{
	uint64_t t = clock_now(1);

	if (t == 0)
		return (int)call(NR_GETTIMEOFDAY, (long)tv, (long)zone);
	if (tv != NULL) {
		tv->tv_sec = (int64_t)(t / NSEC_PER_SEC);
		tv->tv_usec = (int64_t)(t % NSEC_PER_SEC / NSEC_PER_USEC);
	}
	if (zone != NULL)
		zone[0] = zone[1] = 0;
	return 0;
}

int64_t
__vdso_time(int64_t *tp)
{
	uint64_t t = clock_now(1);

	if (t == 0)
		return call(NR_TIME, (long)tp, 0);
	t /= NSEC_PER_SEC;
	if (tp != NULL)
		*tp = (int64_t)t;
	return (int64_t)t;
}

/* Every CPU's table of segments has one whose limit is its number: LSL reads that, on any processor. */
long
__vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
	uint32_t n;

	(void)unused;
	__asm volatile("lsl %1, %0" : "=r"(n) : "r"(vdso_data.vd_cpu_sel));
	if (cpu != NULL)
		*cpu = n;
	if (node != NULL)
		*node = 0;
	return 0;
}
