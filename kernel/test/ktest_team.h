/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A team of kernel threads for in-kernel tests: start them, let them run, wait for all.
 * layer: init
 */
#ifndef TEST_KTEST_TEAM_H
#define TEST_KTEST_TEAM_H

#include <kernel/printf.h>
#include <kernel/process.h>

#define MSEC     ((nsec_t)1000000)
#define TEAM_MAX 16

extern bool ktest_failed; /* by EXPECT(); team_begin() clears it */
extern struct lwp *team[TEAM_MAX];

#define EXPECT(e) \
	do { \
		if (!(e)) { \
			kprintf("ktest: %s:%d: %s\n", __FILE__, __LINE__, #e); \
			ktest_failed = true; \
		} \
	} while (0)

void team_begin(void);
/* 0, or an error that is a failure of the test already. */
int team_add(int pri, void (*fn)(void *), void *arg);
void team_leave(void) __noreturn;
/* Until all have left, and are dead; 0, or -EIO if an EXPECT() failed. */
int team_wait(void);

#endif
