/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fail points: named windows in which a debug kernel can be told to linger, docs/protocol.md 7.4.
 * Option `fp=name:usec[,name:usec]`, or "fp name=usec" written to /dev/debug. Release builds: nothing.
 * layer: core
 */
#ifndef KERNEL_FAILPOINT_H
#define KERNEL_FAILPOINT_H

#include <kernel/explore.h>
#include <kernel/types.h>

#define FAILPOINTS(X) \
	X(id_grow_unlocked, "id-grow-unlocked") \
	X(id_published_not_started, "id-published-not-started") \
	X(child_not_started, "child-not-started") \
	X(sleep_queued_not_switched, "sleep-queued-not-switched") \
	X(woken_while_running, "woken-while-RUNNING") \
	X(switch_before_clear_running, "switch-before-clear-RUNNING") \
	X(picked_before_clear_resched, "picked-before-clear-resched") \
	X(zombie_before_switch, "zombie-before-switch") \
	X(free_after_idl_before_id, "free-after-IDL-before-id") \
	X(lwpwait_after_drop, "lwpwait-after-drop") \
	X(exit_after_dead, "exit-after-DEAD") \
	X(exit_after_wake_before_switch, "exit-after-wake-before-switch") \
	X(wait_scan_to_sleep, "wait-scan-to-sleep") \
	X(vfork_release, "vfork-release") \
	X(vfork_child_started, "vfork-child-started") \
	X(signal_not_taken, "signal-not-taken") \
	X(lwp_exit_begun, "lwp-exit-begun") \
	X(stop_not_taken, "stop-not-taken") \
	X(stopped_not_at_rest, "stopped-not-at-rest") \
	X(rest_not_switched, "rest-not-switched") \
	X(stack_not_freed, "stack-not-freed") \
	X(exec_commit, "exec-commit") \
	X(lend_restart, "lend-restart") \
	X(mutex_waiters_set, "mutex-waiters-set") \
	X(fault_page_not_entered, "fault-page-not-entered") \
	X(shootdown_not_sent, "shootdown-not-sent") \
	X(rw_waiters_set, "rw-waiters-set") \
	X(pi_waiters_set, "pi-waiters-set") \
	X(pi_woken, "pi-woken") \
	X(pi_died, "pi-died") \
	X(pi_moved, "pi-moved") \
	X(migrate_between_locks, "migrate-between-locks") \
	X(timer_fired_not_run, "timer-fired-not-run") \
	X(timer_found_not_posted, "timer-found-not-posted") \
	X(steal_between_count_and_lock, "steal-between-count-and-lock")

enum failpoint {
#define X(id, name) FP_##id,
	FAILPOINTS(X)
#undef X
	    FP_COUNT
};

#ifdef DEBUG
extern uint32_t fp_usec[FP_COUNT];
void fp_hit(enum failpoint); /* busy-waits a random time up to the setting; any context */
#define fp(id) \
	do { \
		EXPLORE_POINT(FP, FP_##id); \
		if (__builtin_expect(fp_usec[FP_##id] != 0, 0)) \
			fp_hit(FP_##id); \
	} while (0)
#else
#define fp(id) ((void)0)
#endif
int fp_set(const char *name, uint32_t usec); /* -ENOENT; -ENOSYS in a release build */

#endif
