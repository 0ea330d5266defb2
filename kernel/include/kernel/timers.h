/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of processes: interval timers and POSIX timers, which send signals. p_timers is NULL until one is used.
 * layer: proc
 */
#ifndef KERNEL_TIMERS_H
#define KERNEL_TIMERS_H

#include <abi/signal.h>
#include <kernel/lwp.h>
#include <kernel/proc.h>

void timers_init(void); /* the thread that posts; once, before init starts */

/* Exec deletes POSIX timers and keeps interval timers. => p_lock held, one LWP */
void timers_exec(struct proc *);
/* Deletes all. => one LWP, exit has begun, not yet DYING; no lock held */
void timers_exit(struct proc *);
/*
 * RLIMIT_CPU. timers_cpu_limit: it has changed; a process that has no p_timers takes `spare`, which is NULL then. => p_lock
 * held. timers_fork: for a child that has this limit, 0 or -ENOMEM; timers_unfork undoes it, and is for any child.
 * => the child cannot be seen yet
 */
struct ptimers *timers_spare(void); /* NULL = no memory. => no lock held */
void timers_spare_free(struct ptimers *);
void timers_cpu_limit(struct proc *, struct ptimers **spare);
int timers_fork(struct proc *);
void timers_unfork(struct proc *);
/* An LWP leaves: timers that signal it or measure it go silent. => p_lock held */
void timers_lwp_exit(struct proc *, lwpid_t);

/*
 * A timer's signal has been taken: fills in the overruns and starts the next period; for SIGALRM, whoever sent it,
 * ITIMER_REAL's. timers_discarded: those pending of `set` were discarded; the timers of ignored signals rest then.
 * timers_wake: signals of `set` may be taken now that were dropped. => p_lock held
 */
void timers_taken(struct proc *, siginfo_t *);
void timers_alarm_taken(struct proc *);
void timers_discarded(struct proc *, sigset_t set);
void timers_wake(struct proc *, sigset_t set);

#endif
