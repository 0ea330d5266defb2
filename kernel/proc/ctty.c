/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The controlling terminal's part in job control. docs/signals.md.
 *
 * The console is the controlling terminal of at most one session; one group of that is in the foreground, or, when
 * that has gone, none. A process has it if its session does and p_ctty is set: that is inherited, and lost by
 * setsid and by giving the terminal up. All under proc_lock. A session's leader gives it up when it exits, so the
 * session is not freed while it has the terminal.
 */
#include <kernel/ctty.h>

#include <abi/errno.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/signal.h>

static struct session *ctty_session; /* (x) */
static struct pgrp *ctty_fg;         /* (x) */

static bool
has_ctty(const struct proc *p)
{
	KASSERT(mutex_owned(&proc_lock));
	return p->p_ctty && p->p_pgrp->pg_session == ctty_session;
}

static bool
is_leader(const struct proc *p)
{
	return p->p_pgrp->pg_session->s_sid == p->p_pid;
}

/* No process has it after this. => proc_lock held */
static void
take_away(void)
{
	struct proc *p;

	list_foreach (p, &allproc, p_list)
		if (p->p_pgrp != NULL && p->p_pgrp->pg_session == ctty_session)
			p->p_ctty = false;
	ctty_session = NULL;
	ctty_fg = NULL;
}

/* The leader gives it up; its jobs hear of that. => proc_lock held, no p_lock */
static void
hang_up(void)
{
	struct pgrp *fg = ctty_fg;

	take_away();
	if (fg == NULL)
		return;
	sig_post_pgrp(fg, SIGHUP, NULL);
	sig_post_pgrp(fg, SIGCONT, NULL);
}

void
ctty_give(struct proc *p)
{
	KASSERT(mutex_owned(&proc_lock) && is_leader(p));
	p->p_ctty = true;
	ctty_session = p->p_pgrp->pg_session;
	ctty_fg = p->p_pgrp;
}

void
ctty_pgrp_gone(const struct pgrp *pg)
{
	KASSERT(mutex_owned(&proc_lock));
	if (ctty_fg == pg)
		ctty_fg = NULL;
}

void
ctty_exit(struct proc *p)
{
	if (is_leader(p) && has_ctty(p))
		hang_up();
}

bool
ctty_is_own(void)
{
	bool own;

	mutex_lock(&proc_lock);
	own = has_ctty(curproc());
	mutex_unlock(&proc_lock);
	return own;
}

void
ctty_signal(int sig)
{
	mutex_lock(&proc_lock);
	if (ctty_fg != NULL)
		sig_post_pgrp(ctty_fg, sig, NULL);
	mutex_unlock(&proc_lock);
}

static bool
takes(struct proc *p, const struct lwp *l, int sig)
{
	bool yes;

	mutex_lock(&p->p_lock);
	yes = ((l->l_sigmask | p->p_sigacts->sa_ignored) & SIGBIT(sig)) == 0;
	mutex_unlock(&p->p_lock);
	return yes;
}

int
ctty_check(int sig)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	int error = 0;

	mutex_lock(&proc_lock);
	if (!has_ctty(p) || ctty_fg == NULL || ctty_fg == p->p_pgrp)
		goto out;
	if (!takes(p, l, sig))
		error = sig == SIGTTIN ? -EIO : 0;
	else if (p->p_pgrp->pg_jobc == 0 || p == initproc) /* init is never stopped */
		error = -EIO;
	else {
		sig_post_pgrp(p->p_pgrp, sig, NULL);
		error = -ERESTART;
	}
out:
	mutex_unlock(&proc_lock);
	return error;
}

int
ctty_acquire(bool steal)
{
	struct proc *p = curproc();
	int error = 0;

	mutex_lock(&proc_lock);
	if (is_leader(p) && has_ctty(p))
		goto out;
	if (!is_leader(p) || (ctty_session != NULL && !(steal && cred_is_root()))) {
		error = -EPERM;
		goto out;
	}
	if (ctty_session != NULL)
		take_away();
	ctty_give(p);
out:
	mutex_unlock(&proc_lock);
	return error;
}

int
ctty_release(void)
{
	struct proc *p = curproc();
	int error = 0;

	mutex_lock(&proc_lock);
	if (!has_ctty(p))
		error = -ENOTTY;
	else if (is_leader(p))
		hang_up();
	else
		p->p_ctty = false;
	mutex_unlock(&proc_lock);
	return error;
}

int
ctty_get_pgrp(void)
{
	int id = -ENOTTY;

	mutex_lock(&proc_lock);
	if (has_ctty(curproc()))
		id = ctty_fg != NULL ? ctty_fg->pg_id : 0;
	mutex_unlock(&proc_lock);
	return id;
}

int
ctty_set_pgrp(pid_t id)
{
	struct pgrp *pg;
	int error = 0;

	mutex_lock(&proc_lock);
	if (!has_ctty(curproc()))
		error = -ENOTTY;
	else if (id < 0)
		error = -EINVAL;
	else if ((pg = pgrp_find(id)) == NULL)
		error = -ESRCH;
	else if (pg->pg_session != ctty_session)
		error = -EPERM;
	else
		ctty_fg = pg;
	mutex_unlock(&proc_lock);
	return error;
}

int
ctty_get_sid(void)
{
	int id = -ENOTTY;

	mutex_lock(&proc_lock);
	if (has_ctty(curproc()))
		id = ctty_session->s_sid;
	mutex_unlock(&proc_lock);
	return id;
}
