/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seeded bugs: mistakes that kernels have had, to be found again by tools/explore. `make BUG=name` builds a debug kernel
 * with one of them in build/bug-name; everywhere else BUG(name) is 0 and leaves no code. docs/races.md
 * layer: lib
 */
#ifndef KERNEL_BUGS_H
#define KERNEL_BUGS_H

#define BUG(name) BUG_##name

/* A waiter leaves the mutex before it is on the queue: the signal between is lost. */
#ifndef BUG_lost_wakeup
#define BUG_lost_wakeup 0
#endif
/* Who leaves its CPU is let go before the stacks change: another CPU runs what is not saved yet. */
#ifndef BUG_running_early
#define BUG_running_early 0
#endif
/* A dead LWP's stack is freed by whoever reaps it, on its CPU still or not. */
#ifndef BUG_stack_early
#define BUG_stack_early 0
#endif
/* A dead LWP's id is given away while the LWP can still be found. */
#ifndef BUG_id_early
#define BUG_id_early 0
#endif
/* A thief chooses what to steal before it has the lock. */
#ifndef BUG_steal_unlocked
#define BUG_steal_unlocked 0
#endif
/* Am I the last one? is asked before others can know that one leaves. */
#ifndef BUG_last_two
#define BUG_last_two 0
#endif
/* Woken, one does not look whether it is what one has waited for. */
#ifndef BUG_no_recheck
#define BUG_no_recheck 0
#endif
/* Who wants to exec waits for the LWP that ends the process, which waits for it. */
#ifndef BUG_exec_exit
#define BUG_exec_exit 0
#endif
/* Two locks of a rank in any order. */
#ifndef BUG_lock_order
#define BUG_lock_order 0
#endif
/* With two threads as with one: a file is used without a reference of one's own. */
#ifndef BUG_refcount
#define BUG_refcount 0
#endif

#endif
