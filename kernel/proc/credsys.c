/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on users and groups. The superuser is who has the effective user id 0; everybody else can only
 * exchange the ids that he has.
 *
 * A change is made on a copy. Under the locks under which it comes into force, what it was made from must still be
 * in force, all of it: a sibling may have changed what this call leaves alone. Else all begins anew.
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

/* The credential in force, with a reference: what a new one is made from. */
static struct cred *
cred_base(struct proc *p)
{
	struct cred *base;

	mutex_lock(&p->p_lock);
	base = cred_ref(p->p_cred);
	mutex_unlock(&p->p_lock);
	return base;
}

/*
 * Puts `cr`, which was made from `base`, into force; consumes both. `cr` may be NULL.
 * 0, -ENOMEM, or -EAGAIN: `base` is not in force any more
 */
static int
replace(struct proc *p, struct cred *base, struct cred *cr)
{
	struct cred *old = cr;
	int error = -EAGAIN;

	if (cr == NULL) {
		cred_unref(base);
		return -ENOMEM;
	}
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	if (p->p_cred == base) { /* our reference: it is not another one in the same place */
		old = cred_publish(p, cr);
		if (base->cr_ids.ruid != cr->cr_ids.ruid)
			note_limit(p);
		if (base->cr_ids.euid != cr->cr_ids.euid || base->cr_ids.egid != cr->cr_ids.egid)
			p->p_pdeathsig = 0; /* who was allowed to ask for it is another now */
		error = 0;
	}
	mutex_unlock(&p->p_lock);
	mutex_unlock(&proc_lock);
	cred_unref(old);
	cred_unref(base);
	return error;
}

/* setresuid, setresgid, and with them all the others. 0, -EPERM, -ENOMEM */
static int
change_ids(const struct change *to)
{
	struct proc *p = curproc();
	struct cred_ids was, ids;
	struct cred *base;
	int error;

	do {
		base = cred_base(p);
		was = ids = base->cr_ids;
		ids.ruid = changed(was.ruid, to->ruid);
		ids.euid = changed(was.euid, to->euid);
		ids.suid = changed(was.suid, to->suid);
		ids.rgid = changed(was.rgid, to->rgid);
		ids.egid = changed(was.egid, to->egid);
		ids.sgid = changed(was.sgid, to->sgid);
		error = 0;
		if (was.euid != 0 &&
		    (!among(to->ruid, was.ruid, was.euid, was.suid) ||
			!among(to->euid, was.ruid, was.euid, was.suid) ||
			!among(to->suid, was.ruid, was.euid, was.suid) ||
			!among(to->rgid, was.rgid, was.egid, was.sgid) ||
			!among(to->egid, was.rgid, was.egid, was.sgid) ||
			!among(to->sgid, was.rgid, was.egid, was.sgid)))
			error = -EPERM;
		if (error != 0 || memcmp(&was, &ids, sizeof(ids)) == 0) {
			cred_unref(base);
			return error;
		}
		error = replace(p, base, cred_copy(base, &ids));
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
	struct cred *base, *cr;
	int error;

	if (!cred_is_root())
		return -EPERM;
	if (n > NGROUPS) /* Linux has room for more */
		return -EINVAL;
	if (arch_copyin(group, a[1], n * sizeof(group[0])) != 0)
		return -EFAULT;
	do {
		base = cred_base(p);
		if (base->cr_ids.euid != 0) { /* not any more */
			cred_unref(base);
			return -EPERM;
		}
		cr = cred_copy(base, &base->cr_ids);
		if (cr != NULL) {
			cr->cr_ngroups = (uint32_t)n;
			memcpy(cr->cr_group, group, n * sizeof(group[0]));
		}
		error = replace(p, base, cr);
	} while (error == -EAGAIN);
	return error;
}
