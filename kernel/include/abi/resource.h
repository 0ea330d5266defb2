/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resource limits and usage: Linux's values.
 * layer: lib
 */
#ifndef ABI_RESOURCE_H
#define ABI_RESOURCE_H

#include <kernel/types.h>

#define RLIMIT_CPU        0
#define RLIMIT_FSIZE      1
#define RLIMIT_DATA       2
#define RLIMIT_STACK      3
#define RLIMIT_CORE       4
#define RLIMIT_RSS        5
#define RLIMIT_NPROC      6
#define RLIMIT_NOFILE     7
#define RLIMIT_MEMLOCK    8
#define RLIMIT_AS         9
#define RLIMIT_SIGPENDING 11
#define RLIMIT_NICE       13
#define RLIMIT_RTPRIO     14
#define RLIM_NLIMITS      16
#define RLIM_INFINITY     (~(uint64_t)0)

struct abi_rusage {
	struct {
		int64_t sec, usec;
	} ru_utime, ru_stime;
	int64_t ru_maxrss; /* KiB */
	int64_t ru_ixrss, ru_idrss, ru_isrss;
	int64_t ru_minflt, ru_majflt;
	int64_t ru_nswap, ru_inblock, ru_oublock, ru_msgsnd, ru_msgrcv, ru_nsignals;
	int64_t ru_nvcsw, ru_nivcsw;
};

#endif
