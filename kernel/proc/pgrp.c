/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process groups and sessions: objects in the id table's slots. All under proc_lock. A session holds the
 * group whose id it has, so that the id stays taken; a group that is empty is not found by pgrp_find().
 *
 * A group is orphaned when no member's parent is in another group of its session: pg_jobc, the members for whom that
 * is so, is 0. A member's part in it changes when it or its parent changes its group, its parent dies, or itself.
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <kernel/ctty.h>
#include <kernel/idtable.h>
#include <kernel/kmem.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>

static struct pgrp *
pgrp_make(void)
{
	struct pgrp *pg = kmem_zalloc(sizeof(*pg));

	if (pg != NULL)
		list_init(&pg->pg_members);
	return pg;
}

static void
pgrp_publish(struct pgrp *pg, pid_t id, struct session *s)
{
	KASSERT(mutex_owned(&proc_lock));
	pg->pg_id = id;
	pg->pg_session = s;
	s->s_refs++;
	idt_set_pgrp(&idtable, id, pg);
}

static void
pgrp_remove(struct pgrp *pg)
{
	KASSERT(mutex_owned(&proc_lock) && list_empty(&pg->pg_members) && pg->pg_jobc == 0);
	ctty_pgrp_gone(pg);
	idt_clear_pgrp(&idtable, pg->pg_id);
	kmem_free(pg, sizeof(*pg));
}

void
pgrp_enter(struct proc *p, struct pgrp *pg)
{
	KASSERT(mutex_owned(&proc_lock));
	p->p_pgrp = pg;
	list_insert_tail(&pg->pg_members, &p->p_pglist);
}

void
pgrp_leave(struct proc *p)
{
	struct pgrp *pg = p->p_pgrp;
	struct session *s;

	KASSERT(mutex_owned(&proc_lock));
	if (pg == NULL)
		return;
	list_remove(&p->p_pglist);
	if (p->p_jobc) {
		p->p_jobc = false;
		pg->pg_jobc--;
	}
	p->p_pgrp = NULL;
	s = pg->pg_session;
	if (!list_empty(&pg->pg_members))
		return;
	/* The group whose id is the session's stays, empty, until the session's last group goes. */
	if (pg->pg_id != s->s_sid)
		pgrp_remove(pg);
	if (--s->s_refs == 0) {
		pg = idt_pgrp(&idtable, s->s_sid);
		KASSERT(pg != NULL);
		pgrp_remove(pg);
		kmem_free(s, sizeof(*s));
	}
}

/* ---- job control: who is there to continue a stopped member ---- */

static bool
is_orphaned(const struct pgrp *pg)
{
	const struct proc *p;

	if (pg->pg_jobc != 0)
		return false;
	list_foreach (p, &pg->pg_members, p_pglist)
		if (p->p_stat == PS_STOP)
			return true;
	return false;
}

static bool
hang_up_orphans(struct pgrp *pg)
{
	if (!is_orphaned(pg))
		return false;
	sig_post_pgrp(pg, SIGHUP, NULL);
	sig_post_pgrp(pg, SIGCONT, NULL);
	return true;
}

bool
pgrp_jobc_update(struct proc *p)
{
	const struct proc *parent = p->p_pptr;
	struct pgrp *pg = p->p_pgrp;
	bool counts;

	KASSERT(mutex_owned(&proc_lock) && pg != NULL);
	counts = p->p_stat < PS_DEAD && parent->p_pgrp != NULL && parent->p_pgrp != pg &&
	    parent->p_pgrp->pg_session == pg->pg_session;
	if (counts == p->p_jobc)
		return false;
	p->p_jobc = counts;
	if (counts) {
		pg->pg_jobc++;
		return false;
	}
	pg->pg_jobc--;
	return hang_up_orphans(pg);
}

/* p has moved to another group: the counts of its own and of its children. */
static void
jobc_moved(struct proc *p)
{
	struct proc *child;

	(void)pgrp_jobc_update(p);
again:
	list_foreach (child, &p->p_children, p_sibling)
		if (child->p_stat < PS_DEAD && pgrp_jobc_update(child))
			goto again; /* who is continued changes its place on the list */
}

/* Moves p from its group to pg; the old one may be orphaned by that, or gone. => proc_lock held, no p_lock */
static void
pgrp_move(struct proc *p, struct pgrp *pg)
{
	pid_t old = p->p_pgrp->pg_id;
	bool counted = p->p_jobc;
	struct pgrp *left;

	pgrp_leave(p);
	pgrp_enter(p, pg);
	jobc_moved(p);
	if (counted && (left = pgrp_find(old)) != NULL)
		(void)hang_up_orphans(left);
}

/* ---- calls ---- */

/* A new session and group with p's PID. => no lock held. 0, -EPERM, -ENOMEM */
int
session_create(struct proc *p)
{
	struct session *s = kmem_zalloc(sizeof(*s));
	struct pgrp *pg = pgrp_make();
	int error = 0;

	if (s == NULL || pg == NULL) {
		error = -ENOMEM;
		goto out;
	}
	mutex_lock(&proc_lock);
	if (idt_pgrp(&idtable, p->p_pid) != NULL) {
		error = -EPERM;
		mutex_unlock(&proc_lock);
		goto out;
	}
	s->s_sid = p->p_pid;
	p->p_ctty = false;
	pgrp_publish(pg, p->p_pid, s);
	if (p->p_pgrp != NULL)
		pgrp_move(p, pg);
	else
		pgrp_enter(p, pg); /* the first */
	mutex_unlock(&proc_lock);
	return 0;
out:
	if (s != NULL)
		kmem_free(s, sizeof(*s));
	if (pg != NULL)
		kmem_free(pg, sizeof(*pg));
	return error;
}

int64_t
sys_setsid(const uint64_t *a __unused)
{
	int error = session_create(curproc());

	return error != 0 ? error : curproc()->p_pid;
}

int64_t
sys_setpgid(const uint64_t *a)
{
	pid_t pid = (pid_t)a[0], pgid = (pid_t)a[1];
	struct proc *self = curproc(), *p;
	struct pgrp *pg, *spare;
	int64_t error = 0;

	if (pgid < 0)
		return -EINVAL;
	if ((spare = pgrp_make()) ==
	    NULL) /* always: a group may vanish between a look and the use */
		return -ENOMEM;
	mutex_lock(&proc_lock);
	p = pid == 0 || pid == self->p_pid ? self : proc_find_member(pid);
	if (p != NULL && pid != 0 && pid != p->p_pid) {
		error = -EINVAL;
		goto out;
	}
	if (p == NULL || (p != self && p->p_pptr != self)) {
		error = -ESRCH;
		goto out;
	}
	if (pgid == 0)
		pgid = p->p_pid;
	if (p->p_pgrp->pg_session != self->p_pgrp->pg_session ||
	    p->p_pgrp->pg_session->s_sid == p->p_pid) {
		error = -EPERM;
		goto out;
	}
	if (p != self && (p->p_flag & PK_EXEC)) {
		error = -EACCES;
		goto out;
	}
	pg = pgrp_find(pgid);
	if (pg == NULL ? pgid != p->p_pid : pg->pg_session != p->p_pgrp->pg_session) {
		error = -EPERM;
		goto out;
	}
	if (pg == p->p_pgrp)
		goto out;
	if (pg == NULL) {
		pg = spare;
		spare = NULL;
		pgrp_publish(pg, pgid, p->p_pgrp->pg_session);
	}
	pgrp_move(p, pg);
out:
	mutex_unlock(&proc_lock);
	if (spare != NULL)
		kmem_free(spare, sizeof(*spare));
	return error;
}

static int64_t
group_of(pid_t pid, bool session)
{
	struct proc *p;
	int64_t id;

	mutex_lock(&proc_lock);
	p = pid == 0 ? curproc() : proc_find_member(pid);
	if (p == NULL || p->p_pgrp == NULL) /* the kernel's has none */
		id = -ESRCH;
	else
		id = session ? p->p_pgrp->pg_session->s_sid : p->p_pgrp->pg_id;
	mutex_unlock(&proc_lock);
	return id;
}

int64_t
sys_getpgid(const uint64_t *a)
{
	return group_of((pid_t)a[0], false);
}

int64_t
sys_getpgrp(const uint64_t *a __unused)
{
	return group_of(0, false);
}

int64_t
sys_getsid(const uint64_t *a)
{
	return group_of((pid_t)a[0], true);
}
