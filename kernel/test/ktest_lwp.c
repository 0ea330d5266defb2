/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In-kernel tests of LWPs: which changes of state were made since the start, and what the death of an LWP (B20)
 * costs other CPUs.
 */
#include <abi/errno.h>
#include <kernel/cpu.h>
#include <kernel/cv.h>
#include <kernel/debug.h>
#include <kernel/sched.h>

#include "ktest_team.h"

/* ---- every row of LWP_TRANSITIONS ---- */

static int
ktest_lwp_changes(void)
{
	static const struct {
		uint8_t from, to;
	} legal[] = {
#define X(from, to, lock, by) { LS_##from, LS_##to },
		LWP_TRANSITIONS(X)
#undef X
	};
	int error = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(legal); i++)
		if (atomic_load_relaxed(&lwp_changes[legal[i].from][legal[i].to]) == 0) {
			kprintf("ktest: not yet: %s -> %s\n", lwp_state_name[legal[i].from],
			    lwp_state_name[legal[i].to]);
			error = -EAGAIN;
		}
	return error;
}
KTEST(lwp_changes, "lwp-changes", ktest_lwp_changes);

/* ---- B20: no other CPU is asked to do anything when an LWP is freed ---- */

static void
brief(void *arg __unused)
{
	team_leave();
}

static int
ktest_lwp_quiet(void)
{
	uint32_t before = 0;

	for (unsigned round = 0; round < 60; round++) {
		if (round == 10) /* stacks and structures are there now */
			before = atomic_load_relaxed(&cpu_calls);
		team_begin();
		for (unsigned i = 0; i < TEAM_MAX; i++)
			team_add(PRI_DEFAULT, brief, NULL);
		if (team_wait() != 0)
			return -EIO;
	}
	EXPECT(atomic_load_relaxed(&cpu_calls) - before == 0);
	return ktest_failed ? -EIO : 0;
}
KTEST(lwp_quiet, "lwp-quiet", ktest_lwp_quiet);
