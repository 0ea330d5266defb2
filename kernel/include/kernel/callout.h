/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callouts: functions called once at a time, from the timer interrupt of the CPU that armed them.
 * layer: core
 */
#ifndef KERNEL_CALLOUT_H
#define KERNEL_CALLOUT_H

#include <kernel/rb.h>
#include <kernel/types.h>

struct cpu;

/* struct callout, field locks: (q) cc_lock of co_cpu (i) set once (w) its owner, while it is not pending */
struct callout {
	struct rb_node co_node; /* (q) in the tree of co_cpu */
	nsec_t co_when;         /* (q) monotonic time */
	void (*co_fn)(void *);  /* (i) */
	void *co_arg;           /* (i) */
	struct cpu *co_cpu;     /* (w) where it was last armed */
	uint32_t co_pending;    /* (q) in the tree */
	bool co_wall;           /* (w) its time is wall-clock time, and follows when that is set */
	nsec_t co_walltime;     /* (q) if co_wall: co_when as it was asked for */
};

void callout_init(struct callout *, void (*fn)(void *), void *arg);
/* Arms `co` on this CPU for monotonic time `when`, or wall-clock time if co_wall is set. => not pending; spin locks below RANK_CALLOUT may be held. */
void callout_arm(struct callout *, nsec_t when);
/*
 * callout_stop: take it off; waits (spinning) while its function runs on another CPU.
 * Returns true if it had not fired. => no lock held that the function takes.
 */
bool callout_stop(struct callout *);
/* Timer interrupt: runs what is due on this CPU, a batch at most, and programs the next event. => interrupts off. */
void callout_run(nsec_t now);
/* Programs this CPU's timer for its next callout or tick. => interrupts off */
void callout_program(void);
void callout_cpu_init(struct cpu *);

/* Monotonic time since boot and wall-clock time. => any context */
nsec_t time_now(void);
nsec_t time_wall(void); /* nanoseconds since 1970 */
nsec_t time_wall_to_mono(
    nsec_t wall); /* the monotonic time at which the wall clock shows this, or 0 */
/*
 * From now on the wall clock shows the monotonic time + base; callouts by it move. One caller at a time.
 * => interrupts on, no spin lock held
 */
void time_set_wall(nsec_t base);

#endif
