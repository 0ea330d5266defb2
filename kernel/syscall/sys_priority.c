/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getpriority, setpriority: nice values. As on Linux, PRIO_PROCESS names one LWP, PRIO_PGRP and PRIO_USER all LWPs
 * of all processes of the group or user.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/sched.h>
#include <kernel/process.h>
#include <kernel/sched.h>

/* One call under way. */
struct nice_call {
	bool nc_set;
	int8_t nc_nice; /* the value to set */
	int nc_result;  /* get: 20 - nice of the best, so 1..40; or -errno */
};

/* => p_lock held */
static void
visit_lwp(struct nice_call *nc, struct lwp *l)
{
	const struct proc *p = l->l_proc;
	struct sched_class sc = l->l_class;
	bool root = cred_is_root();

	if (!nc->nc_set) {
		nc->nc_result = max(nc->nc_result, NICE_MAX + 1 - sc.sc_nice);
		return;
	}
	if ((p->p_flag & PK_SYSTEM) || !cred_may_control(p)) {
		nc->nc_result = -EPERM;
		return;
	}
	if (!root && nc->nc_nice < sc.sc_nice &&
	    (uint64_t)(NICE_MAX + 1 - nc->nc_nice) > p->p_rlimit[RLIMIT_NICE].cur) {
		nc->nc_result = -EACCES;
		return;
	}
	if (nc->nc_result == -ESRCH)
		nc->nc_result = 0;
	if (sc.sc_nice != nc->nc_nice) {
		sc.sc_nice = nc->nc_nice;
		sched_setclass(l, &sc);
	}
}

/* => proc_lock held */
static void
visit_proc(struct nice_call *nc, struct proc *p)
{
	struct lwp *l;

	mutex_lock(&p->p_lock);
	list_foreach (l, &p->p_lwps, l_sibling)
		if (l->l_stat != LS_ZOMB)
			visit_lwp(nc, l);
	mutex_unlock(&p->p_lock);
}

static void
visit(struct nice_call *nc, int which, int32_t who)
{
	struct proc *p;
	struct pgrp *pg;
	struct lwp *l;

	if (which == PRIO_PROCESS) {
		if (who == 0)
			who = curlwp()->l_lid;
		if (lwp_find_acquire_proc(who, &l) != NULL) {
			visit_lwp(nc, l);
			mutex_unlock(&l->l_proc->p_lock);
		}
		return;
	}
	mutex_lock(&proc_lock);
	if (which == PRIO_PGRP) {
		pg = who == 0 ? curproc()->p_pgrp : pgrp_find(who);
		if (pg != NULL)
			list_foreach (p, &pg->pg_members, p_pglist)
				visit_proc(nc, p);
	} else {
		uint32_t uid = who == 0 ? cred_ruid() : (uint32_t)who;

		list_foreach (p, &allproc, p_list)
			if (p->p_cred->cr_ids.ruid == uid && (p->p_flag & PK_SYSTEM) == 0)
				visit_proc(nc, p);
	}
	mutex_unlock(&proc_lock);
}

/* Returns 20 - nice, so that no value looks like an error; C libraries turn it back. */
int64_t
sys_getpriority(const uint64_t *a)
{
	struct nice_call nc = { .nc_result = -ESRCH };

	if ((uint32_t)a[0] > PRIO_USER)
		return -EINVAL;
	visit(&nc, (int)a[0], (int32_t)a[1]);
	return nc.nc_result;
}

int64_t
sys_setpriority(const uint64_t *a)
{
	int32_t nice = (int32_t)a[2];
	struct nice_call nc = { .nc_set = true, .nc_result = -ESRCH };

	if ((uint32_t)a[0] > PRIO_USER)
		return -EINVAL;
	nc.nc_nice = (int8_t)max(NICE_MIN, min(nice, NICE_MAX));
	visit(&nc, (int)a[0], (int32_t)a[1]);
	return nc.nc_result;
}
