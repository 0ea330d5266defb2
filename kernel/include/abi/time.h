/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times and clocks: Linux's values and layouts.
 * layer: lib
 */
#ifndef ABI_TIME_H
#define ABI_TIME_H

#include <kernel/types.h>

#define NSEC_PER_SEC  1000000000u
#define NSEC_PER_USEC 1000u
#define USER_HZ       100 /* unit of clock_t */

#define CLOCK_REALTIME           0
#define CLOCK_MONOTONIC          1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID  3
#define CLOCK_MONOTONIC_RAW      4
#define CLOCK_REALTIME_COARSE    5
#define CLOCK_MONOTONIC_COARSE   6
#define CLOCK_BOOTTIME           7
#define CLOCK_TAI                11

/* A CPU clock of another process or LWP: ~id << 3 | type, a negative number. */
#define CPUCLOCK_ID(clock)   (~(clock) >> 3)
#define CPUCLOCK_TYPE(clock) ((clock)&3)
#define CPUCLOCK_SCHED       2 /* types 0 and 1, profiling and user time, are not supported */
#define CPUCLOCK_PERTHREAD   4

#define TIMER_ABSTIME 1

#define ITIMER_REAL    0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF    2

struct abi_timespec {
	int64_t tv_sec;
	int64_t tv_nsec;
};

struct abi_timeval {
	int64_t tv_sec;
	int64_t tv_usec;
};

struct abi_tms {
	int64_t tms_utime, tms_stime, tms_cutime, tms_cstime;
};

#endif
