/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of fsck share with each other only.
 * layer: proc
 */
#ifndef DEBUG_FSCK_H
#define DEBUG_FSCK_H

#include <kernel/panic.h>

#define CHECK(e, fmt, ...) \
	do { \
		if (unlikely(!(e))) \
			panic("fsck: " fmt, ##__VA_ARGS__); \
	} while (0)

/* The id table, groups and sessions. => proc_lock held, other CPUs parked */
void fsck_ids(void);

#endif
