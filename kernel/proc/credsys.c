/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on users and groups. The superuser is who has the effective user id 0; everybody else can only
 * exchange the ids that he has.
 *
 * A change is made on a copy: the ids that it is made from are looked at again under the locks under which it
 * comes into force, and if a sibling was faster all begins anew.
 */
#include <kernel/cred.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/syscall.h>

#include "cred_internal.h"

#define KEEP UINT32_MAX

/* What a call asks for; KEEP = leave it. */
struct change {
	uint32_t ruid, euid, suid;
	uint32_t rgid, egid, sgid;
};

static bool
among(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
	return id == KEEP || id == a || id == b || id == c;
}

static uint32_t
changed(uint32_t id, uint32_t to)
{
	return to == KEEP ? id : to;
}

/* A process that has become another user's may be one too many: its exec will look (as on Linux). */
static void
note_limit(struct proc *p)
{
	if (p->p_cred->cr_ui->ui_lwps > p->p_rlimit[RLIMIT_NPROC].cur &&
	    p->p_cred->cr_ids.ruid != 0)
		p->p_flag |= PK_NPROC;
	else
		p->p_flag &= ~(uint32_t)PK_NPROC;
}

/* 0, -ENOMEM, or -EAGAIN: the ids are not `was` any more. */
static int
replace(struct proc *p, const struct cred_ids *was, const struct cred_ids *ids)
{
	struct cred *cr, *old;
	int error = 0;

	mutex_lock(&p->p_lock);
	old = cred_ref(p->p_cred);
	mutex_unlock(&p->p_lock);
	cr = cred_copy(old, ids);
	cred_unref(old);
	if (cr == NULL)
		return -ENOMEM;
	old = cr;
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	if (memcmp(&p->p_cred->cr_ids, was, sizeof(*was)) == 0) {
		old = cred_publish(p, cr);
		if (was->ruid != ids->ruid)
			note_limit(p);
	} else
		error = -EAGAIN;
	mutex_unlock(&p->p_lock);
	mutex_unlock(&proc_lock);
	cred_unref(old);
	return error;
}

/* setresuid, setresgid, and with them all the others. 0, -EPERM, -ENOMEM */
static int
change_ids(const struct change *to)
{
	struct proc *p = curproc();
	struct cred_ids was, ids;
	int error;

	do {
		was = ids = cred_self();
		if (was.euid != 0 &&
		    (!among(to->ruid, was.ruid, was.euid, was.suid) ||
			!among(to->euid, was.ruid, was.euid, was.suid) ||
			!among(to->suid, was.ruid, was.euid, was.suid) ||
			!among(to->rgid, was.rgid, was.egid, was.sgid) ||
			!among(to->egid, was.rgid, was.egid, was.sgid) ||
			!among(to->sgid, was.rgid, was.egid, was.sgid)))
			return -EPERM;
		ids.ruid = changed(was.ruid, to->ruid);
		ids.euid = changed(was.euid, to->euid);
		ids.suid = changed(was.suid, to->suid);
		ids.rgid = changed(was.rgid, to->rgid);
		ids.egid = changed(was.egid, to->egid);
		ids.sgid = changed(was.sgid, to->sgid);
		if (memcmp(&was, &ids, sizeof(ids)) == 0)
			return 0;
		error = replace(p, &was, &ids);
	} while (error == -EAGAIN);
	return error;
}

static const struct change nothing = { KEEP, KEEP, KEEP, KEEP, KEEP, KEEP };

/* (real, effective, saved) */
int64_t
sys_setresuid(const uint64_t *a)
{
	struct change to = nothing;

	to.ruid = (uint32_t)a[0];
	to.euid = (uint32_t)a[1];
	to.suid = (uint32_t)a[2];
	return change_ids(&to);
}

int64_t
sys_setresgid(const uint64_t *a)
{
	struct change to = nothing;

	to.rgid = (uint32_t)a[0];
	to.egid = (uint32_t)a[1];
	to.sgid = (uint32_t)a[2];
	return change_ids(&to);
}

/* The superuser gives up all three; others get an effective id that they have as real or saved one. */
int64_t
sys_setuid(const uint64_t *a)
{
	struct change to = nothing;
	struct cred_ids me = cred_self();

	if ((uint32_t)a[0] == KEEP)
		return -EINVAL;
	to.euid = (uint32_t)a[0];
	if (me.euid == 0)
		to.ruid = to.suid = to.euid;
	else if (to.euid != me.ruid && to.euid != me.suid)
		return -EPERM;
	return change_ids(&to);
}

int64_t
sys_setgid(const uint64_t *a)
{
	struct change to = nothing;
	struct cred_ids me = cred_self();

	if ((uint32_t)a[0] == KEEP)
		return -EINVAL;
	to.egid = (uint32_t)a[0];
	if (me.euid == 0)
		to.rgid = to.sgid = to.egid;
	else if (to.egid != me.rgid && to.egid != me.sgid)
		return -EPERM;
	return change_ids(&to);
}

/* The saved id follows where the real one changes, or the effective one becomes what is not the real one. */
int64_t
sys_setreuid(const uint64_t *a)
{
	struct change to = nothing;
	struct cred_ids me = cred_self();

	to.ruid = (uint32_t)a[0];
	to.euid = (uint32_t)a[1];
	if (me.euid != 0 && !among(to.ruid, me.ruid, me.euid, me.euid))
		return -EPERM; /* not the saved one */
	if (to.ruid != KEEP || (to.euid != KEEP && to.euid != me.ruid))
		to.suid = changed(me.euid, to.euid);
	return change_ids(&to);
}

int64_t
sys_setregid(const uint64_t *a)
{
	struct change to = nothing;
	struct cred_ids me = cred_self();

	to.rgid = (uint32_t)a[0];
	to.egid = (uint32_t)a[1];
	if (me.euid != 0 && !among(to.rgid, me.rgid, me.egid, me.egid))
		return -EPERM;
	if (to.rgid != KEEP || (to.egid != KEEP && to.egid != me.rgid))
		to.sgid = changed(me.egid, to.egid);
	return change_ids(&to);
}

int64_t
sys_getuid(const uint64_t *a __unused)
{
	return cred_self().ruid;
}

int64_t
sys_geteuid(const uint64_t *a __unused)
{
	return cred_self().euid;
}

int64_t
sys_getgid(const uint64_t *a __unused)
{
	return cred_self().rgid;
}

int64_t
sys_getegid(const uint64_t *a __unused)
{
	return cred_self().egid;
}

static int
store_three(const uint64_t *a, uint32_t real, uint32_t effective, uint32_t saved)
{
	if (arch_ustore_32(a[0], real) != 0 || arch_ustore_32(a[1], effective) != 0 ||
	    arch_ustore_32(a[2], saved) != 0)
		return -EFAULT;
	return 0;
}

int64_t
sys_getresuid(const uint64_t *a)
{
	struct cred_ids me = cred_self();

	return store_three(a, me.ruid, me.euid, me.suid);
}

int64_t
sys_getresgid(const uint64_t *a)
{
	struct cred_ids me = cred_self();

	return store_three(a, me.rgid, me.egid, me.sgid);
}

/* (size, gid_t *list) */
int64_t
sys_getgroups(const uint64_t *a)
{
	struct proc *p = curproc();
	int32_t size = (int32_t)a[0];
	uint32_t group[NGROUPS], n;

	if (size < 0)
		return -EINVAL;
	mutex_lock(&p->p_lock);
	n = p->p_cred->cr_ngroups;
	memcpy(group, p->p_cred->cr_group, n * sizeof(group[0]));
	mutex_unlock(&p->p_lock);
	if (size == 0)
		return n;
	if ((uint32_t)size < n)
		return -EINVAL;
	return arch_copyout(a[1], group, n * sizeof(group[0])) != 0 ? -EFAULT : (int64_t)n;
}

/* (size, const gid_t *list) */
int64_t
sys_setgroups(const uint64_t *a)
{
	struct proc *p = curproc();
	uint64_t n = (uint32_t)a[0];
	uint32_t group[NGROUPS];
	struct cred *cr, *old;

	if (!cred_is_root())
		return -EPERM;
	if (n > NGROUPS) /* Linux has room for more */
		return -EINVAL;
	if (arch_copyin(group, a[1], n * sizeof(group[0])) != 0)
		return -EFAULT;
	for (;;) {
		struct cred_ids me = cred_self();
		bool same;

		mutex_lock(&p->p_lock);
		old = cred_ref(p->p_cred);
		mutex_unlock(&p->p_lock);
		cr = cred_copy(old, &me);
		cred_unref(old);
		if (cr == NULL)
			return -ENOMEM;
		cr->cr_ngroups = (uint32_t)n;
		memcpy(cr->cr_group, group, n * sizeof(group[0]));
		old = cr;
		mutex_lock(&proc_lock);
		mutex_lock(&p->p_lock);
		same = memcmp(&p->p_cred->cr_ids, &me, sizeof(me)) == 0;
		if (same)
			old = cred_publish(p, cr);
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
		cred_unref(old);
		if (same)
			return 0;
	}
}
