/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds: the modes NO_EXIT and ALLPROC of single-threading. docs/protocol.md 4.3, docs/suspension.md.
 *
 * A held process rests as a stopped one (stop.c), but nobody is told, its state does not change, and only the holder
 * lets it go: an LWP that sleeps rests in its sleep, and sleeps on afterwards; one that runs comes to its stop
 * point. The holder owns the process's p_single, as who execs does; it stays in the kernel and in one call.
 *
 * There is one holder at a time, hold_owner under proc_lock; the next sleeps, interruptibly, and holds nothing
 * meanwhile, so two that hold each other's process cannot wait for each other. A holder that is to stop, to be
 * suspended, to park or to die ends its hold first: else nobody might be left to continue it. A process in exec is
 * held when that is over. Exits and kills take p_single from the holder, who then finds that it is not its any more.
 *
 * All sleep on hold_cv with proc_lock, and look at processes again by their PIDs; whoever rests last, leaves, or
 * ends an exec broadcasts it under proc_lock.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <kernel/cv.h>
#include <kernel/sched.h>
#include <kernel/signal.h>

#include "signal_internal.h"

static struct condvar hold_cv = CV_INIT(hold_cv, "hold");
static struct lwp *hold_owner; /* (x) to change, (a) to read */
static bool hold_complete;     /* (x) all that it holds rest, until it ends */

const char *const single_mode_name[] = {
#define X(name) #name,
	SINGLE_MODES(X)
#undef X
};

/* 0: p rests; -EAGAIN: not yet; -ESRCH: it is on its way out; -EPERM. => proc_lock held, curlwp is the holder */
static int
hold_proc(struct proc *p)
{
	struct lwp *self = curlwp();
	int error = 0;

	if (p->p_flag & PK_SYSTEM)
		return -EPERM;
	mutex_lock(&p->p_lock);
	if (p->p_stat >= PS_DYING || (p->p_flag & (PK_KILLED | PK_EXITING)))
		error = -ESRCH;
	else if (p->p_single == NULL) {
		p->p_single = self;
		p->p_singlemode = p == curproc() ? SINGLE_NO_EXIT : SINGLE_ALLPROC;
		lwps_stop(p, self);
	} else if (p->p_single != self)
		error = -EAGAIN;
	if (error == 0 && lwps_awake(p) > (p == curproc() ? 1u : 0u))
		error = -EAGAIN;
	mutex_unlock(&p->p_lock);
	return error;
}

/* The same of all processes: each that can be is told to rest before any is waited for. => proc_lock held */
static int
hold_all(void)
{
	struct proc *p;
	int error = 0;

	list_foreach (p, &allproc, p_list)
		if (hold_proc(p) == -EAGAIN)
			error = -EAGAIN;
	return error;
}

/* => p_lock held, curlwp holds p */
static void
release(struct proc *p)
{
	struct lwp *l;

	KASSERT(!hold_complete || (p->p_flag & PK_KILLED) ||
	    lwps_awake(p) <= (p == curproc() ? 1u : 0u));
	p->p_single = NULL;
	p->p_singlemode = SINGLE_NONE;
	if (p->p_flag & PK_STOP)
		return; /* they rest on, or are about to, until it is continued */
	list_foreach (l, &p->p_lwps, l_sibling) {
		lwp_lock(l);
		l->l_flag &= ~(uint32_t)LW_WSTOP;
		if (l->l_stat == LS_STOP)
			lwp_resume(l);
		else
			lwp_unlock(l);
	}
	sig_rearm(p);
}

bool
hold_is_owner(const struct lwp *l)
{
	return atomic_load_relaxed(&hold_owner) == l;
}

int
hold_begin(pid_t pid)
{
	struct proc *p;
	int error = 0;

	mutex_lock(&proc_lock);
	while (hold_owner != NULL && error == 0)
		error = cv_wait_sig(&hold_cv, &proc_lock);
	if (error != 0) {
		mutex_unlock(&proc_lock);
		return error;
	}
	atomic_store_relaxed(&hold_owner, curlwp());
	for (;;) {
		if (pid == HOLD_ALL)
			error = hold_all();
		else
			error = (p = proc_find(pid)) != NULL ? hold_proc(p) : -ESRCH;
		if (error != -EAGAIN || (error = cv_wait_sig(&hold_cv, &proc_lock)) != 0)
			break;
	}
	hold_complete = error == 0;
	mutex_unlock(&proc_lock);
	if (error != 0)
		hold_end();
	return error;
}

void
hold_end(void)
{
	struct proc *p;

	mutex_lock(&proc_lock);
	KASSERT(hold_owner == curlwp());
	list_foreach (p, &allproc, p_list) {
		mutex_lock(&p->p_lock);
		if (p->p_single == curlwp() && p->p_singlemode >= SINGLE_NO_EXIT)
			release(p);
		mutex_unlock(&p->p_lock);
	}
	hold_complete = false;
	atomic_store_relaxed(&hold_owner, NULL);
	cv_broadcast(&hold_cv);
	mutex_unlock(&proc_lock);
}

void
hold_poke(void)
{
	/*
	 * What the caller changed under p_lock the holder either saw, or looked at before: then hold_owner was
	 * set before that p_lock was taken by us.
	 */
	if (likely(atomic_load_relaxed(&hold_owner) == NULL))
		return;
	mutex_lock(&proc_lock);
	cv_broadcast(&hold_cv);
	mutex_unlock(&proc_lock);
}

void
hold_rested(struct proc *p, uint32_t resting)
{
	KASSERT(mutex_owned(&proc_lock) && mutex_owned(&p->p_lock));
	if (unlikely(p->p_singlemode >= SINGLE_NO_EXIT) && lwps_awake(p) - resting <= 1)
		cv_broadcast(&hold_cv);
}
