/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of fsck share with each other only.
 * layer: proc
 */
#ifndef DEBUG_FSCK_H
#define DEBUG_FSCK_H

#include <kernel/list.h>
#include <kernel/types.h>

/* Panics or, in the monitor's fsck, prints a line and returns. */
void fsck_violation(const char *fmt, ...) __printflike(1, 2) __cold;
/* Is this the last step of a walk that has no end? *n counts its steps. */
bool fsck_endless(unsigned *n, const struct list *head);

#define CHECK(e, fmt, ...) \
	do { \
		if (unlikely(!(e))) \
			fsck_violation(fmt, ##__VA_ARGS__); \
	} while (0)

/* The id table, groups and sessions. => proc_lock held, other CPUs parked */
void fsck_ids(void);
/* What is counted for users. => proc_lock held, other CPUs parked */
void fsck_users(void);

#endif
