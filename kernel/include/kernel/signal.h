/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: posting, delivery at the user boundary, dispositions.
 * layer: proc
 */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H

#include <abi/signal.h>
#include <kernel/futex.h> /* lwp_release_user_state() */
#include <kernel/lwp.h>
#include <kernel/proc.h>

struct trapframe;

/*
 * Actions, one set per process, never shared between processes. Written by sigacts_set() only.
 * struct sigacts, field locks: (p) p_lock
 */
struct sigacts {
	sigset_t sa_set; /* (p) entries that may differ from all zeros */
	sigset_t
	    sa_ignored; /* (p) the action is to do nothing: SIG_IGN, or SIG_DFL where that means it */
	struct k_sigaction sa_act[NSIG + 1]; /* (p) by signal number */
};

void signal_init(void);
struct sigacts *sigacts_create(void); /* all SIG_DFL; NULL = no memory */
struct sigacts *sigacts_copy(
    const struct sigacts *); /* => p_lock of the source held, or source stable */
void sigacts_free(struct sigacts *);
void sigacts_default(struct proc *, int sig); /* SIG_DFL, no flags. => p_lock held */
/* Caught -> default, flags and masks forgotten. => p_lock held */
void sigacts_exec(struct proc *);

void sigpend_init(struct sigpend *);
void sigpend_drop(
    struct sigpend *); /* discards all that is queued. => its lock held or owner unreachable */
/*
 * A dying LWP drops its own signals and hands pending process signals to its siblings.
 * => p_lock held, not dropped before l is a zombie
 */
void sig_lwp_exit(struct lwp *);

/*
 * Post to a process / to one LWP. Ignored signals are dropped; a fatal one that is not blocked ends the process
 * whatever its LWPs wait for (SIGKILL goes to the process whichever is called). `info` may be NULL (SI_KERNEL).
 * 0, also when dropped; -EAGAIN: a real-time signal with information that no queue space is left for.
 * => p_lock held, and for SIGCONT, which continues whoever is stopped, proc_lock; never sleeps
 */
int sig_post_proc(struct proc *, int sig, const siginfo_t *info);
int sig_post_lwp(struct lwp *, int sig, const siginfo_t *info);
/* A fault's signal for curlwp: if it is blocked or ignored, the default action is taken. => no lock held */
void sig_fault(int sig, const siginfo_t *info);
/* Post to all members of a group. => proc_lock held, no p_lock */
void sig_post_pgrp(struct pgrp *, int sig, const siginfo_t *info);

/* Is a signal pending for l that is not blocked and would do something? => p_lock held */
bool sig_deliverable(const struct lwp *);
/* User boundary: LW_PENDSIG is set or a call wants a restart. May not return (fatal signal). => no lock held, interrupts on */
void sig_deliver(struct trapframe *);

/*
 * curlwp's mask for the time of one call, which ends with sig_mask_leave(). A call that was interrupted returns
 * -ERESTARTNOHAND: then sig_deliver() puts the old mask back, or into the handler's frame. => no lock held
 */
void sig_mask_enter(sigset_t mask);
void sig_mask_leave(bool interrupted);

/* Fork: child's LWP starts with the parent's mask, no pending signals; altstack kept unless it shares memory. */
void sig_lwp_fork(struct lwp *parent, struct lwp *child, bool keep_altstack);

#endif
