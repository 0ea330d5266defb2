/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the signal files share with each other only.
 * layer: proc
 */
#ifndef PROC_SIGNAL_INTERNAL_H
#define PROC_SIGNAL_INTERNAL_H

#include <kernel/panic.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/signal.h>

extern const sigset_t sigs_ignored; /* default action: nothing (SIGCONT among them) */
extern const sigset_t sigs_stop;    /* default action: stop */

#define SIGS_NEVER (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP)) /* neither blocked, caught nor ignored */
#define SIGS_SYNC \
	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | \
	    SIGBIT(SIGSYS))

/* What of the information is kept: SIGINFO_USED bytes. */
struct siginfo_used {
	uint64_t words[SIGINFO_USED / sizeof(uint64_t)];
};

static inline void
siginfo_copy(siginfo_t *to, const siginfo_t *from)
{
	*(struct siginfo_used *)(void *)to = *(const struct siginfo_used *)(const void *)from;
}

static inline void
siginfo_clear(siginfo_t *info)
{
	*(struct siginfo_used *)(void *)info = (struct siginfo_used){ { 0 } };
}

/* All of these: => p_lock held */

/* Adds; a standard signal that is pending already is dropped. 0 or -EAGAIN */
int sigpend_put(const struct proc *, struct sigpend *, int sig, const siginfo_t *info);
/* Takes the oldest instance of `sig`, which is pending. Fills SIGINFO_USED bytes of the information; so does sig_take(). */
void sigpend_take(struct sigpend *, int sig, siginfo_t *info);
void sigpend_discard(struct sigpend *, sigset_t); /* all instances of these signals */
/* The one that a timer has sent; true if it was there. */
bool sigpend_discard_timer(struct sigpend *, int32_t id);

/*
 * curlwp takes the next signal of `wanted` that is pending for it or its process; 0 = none. SIGKILL first, then
 * its own, then the process's.
 */
int sig_take(struct lwp *, sigset_t wanted, siginfo_t *info);

void sigacts_set(struct proc *, int sig, const struct k_sigaction *);
sigset_t sigacts_stops(const struct sigacts *); /* signals whose action is to stop */
void sig_mask_changed(struct lwp *, sigset_t old);

/* => l is curlwp */
static inline void
sig_setmask(struct lwp *l, sigset_t mask)
{
	sigset_t old = l->l_sigmask;

	KASSERT(l == curlwp() && mutex_owned(&l->l_proc->p_lock));
	l->l_sigmask = mask & ~SIGS_NEVER;
	if (unlikely((l->l_sigpend.sp_set | l->l_proc->p_sigpend.sp_set) != 0))
		sig_mask_changed(l, old);
}

void sig_discard(struct proc *, sigset_t);         /* pending anywhere in the process */
void sig_discard_timer(struct proc *, int32_t id); /* what this timer has pending */
/*
 * To l, or with NULL to the process: a timer's signal, which counts beside others of its number, and is never
 * without its information. 0; 1 = dropped; -EAGAIN
 */
int sig_post_timer(struct proc *, struct lwp *l, int sig, const siginfo_t *);
int sig_post_itimer(
    struct proc *, int sig); /* that of an interval timer; 0, 1 = dropped, -EAGAIN */
void sig_retarget(
    struct proc *, struct lwp *except, sigset_t); /* finds other takers for process signals */
/* What was left pending while p was stopped or held is looked at now. */
void sig_rearm(struct proc *);

#endif
