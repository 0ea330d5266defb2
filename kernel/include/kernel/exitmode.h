/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who frees what is left of the dead: the kernel option `exit=`. docs/exitmodes.md.
 * layer: core
 */
#ifndef KERNEL_EXITMODE_H
#define KERNEL_EXITMODE_H

#include <kernel/types.h>

struct lwp;
struct proc;

enum exit_mode {
	EXIT_DIRECT, /* the dying LWP, its successor on the CPU, and whoever waits */
	EXIT_REAPER, /* one thread, as OpenBSD's */
	EXIT_BATCH   /* dead LWPs are stashed and freed many at a time, as FreeBSD's */
};

extern uint8_t exit_mode; /* enum exit_mode; constant after boot */

/* Does a dead LWP keep its stack, and wait on the list of the dead? */
static inline bool
exit_deferred(void)
{
	return unlikely(exit_mode != EXIT_DIRECT);
}

/* Says which mode it is, and starts the thread that it has. */
void exitmode_init(void);
/* l is ZOMB and for others to free. => exit_deferred(); its process's p_lock held, preemption off */
void exitmode_push(struct lwp *l);
/* Frees a batch of the dead, if that is the mode; before an LWP is made. => no lock held */
void exitmode_reap(void);
static inline void
exitmode_create(void)
{
	if (unlikely(exit_mode == EXIT_BATCH))
		exitmode_reap();
}
/* Waits until none of p's dead LWPs is on its way to be freed. => p_lock held, may be dropped and taken again; sleeps */
void exitmode_settle(struct proc *p);
/* Waits until nothing is left to be freed. => no lock held; sleeps */
void exitmode_drain(void);

#endif
