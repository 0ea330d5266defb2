/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resource usage of processes.
 */
#include <kernel/process.h>

#include <abi/resource.h>
#include <kernel/panic.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/vm.h>

/* User and system time of all LWPs that p had and has. => p_lock held or p is dead */
void
proc_times(struct proc *p, nsec_t *user, nsec_t *sys)
{
	struct lwp *l;
	nsec_t rtime = p->p_ru.ru_rtime;
	uint64_t ut = p->p_ru.ru_uticks, st = p->p_ru.ru_sticks;

	if (p->p_stat < PS_DEAD) /* from then on p_ru has all */
		list_foreach (l, &p->p_lwps, l_sibling) {
			rtime += lwp_cputime(l);
			ut += atomic_load_relaxed(&l->l_uticks);
			st += atomic_load_relaxed(&l->l_sticks);
		}
	ticks_split(rtime, ut, st, user, sys);
}

void
proc_account(struct proc *p, const struct lwp *l, nsec_t rtime)
{
	KASSERT(mutex_owned(&p->p_lock) && l->l_proc == p);
	p->p_ru.ru_rtime += rtime;
	p->p_ru.ru_uticks += l->l_uticks;
	p->p_ru.ru_sticks += l->l_sticks;
	p->p_ru.ru_nvcsw += l->l_nvcsw;
	p->p_ru.ru_nivcsw += l->l_nivcsw;
	p->p_ru.ru_minflt += l->l_minflt;
}

/* What p has used so far. => p_lock held */
void
proc_usage(struct proc *p, struct rusage_acc *ru)
{
	struct lwp *l;

	*ru = p->p_ru;
	proc_times(p, &ru->ru_utime, &ru->ru_stime);
	list_foreach (l, &p->p_lwps, l_sibling) {
		ru->ru_nvcsw += atomic_load_relaxed(&l->l_nvcsw);
		ru->ru_nivcsw += atomic_load_relaxed(&l->l_nivcsw);
		ru->ru_minflt += atomic_load_relaxed(&l->l_minflt);
	}
	ru->ru_maxrss =
	    max(ru->ru_maxrss, (uint64_t)atomic_load_relaxed(&p->p_vmspace->vm_maxpages));
}

/* What one LWP has used. => l is curlwp */
void
lwp_usage(struct lwp *l, struct rusage_acc *ru)
{
	memset(ru, 0, sizeof(*ru));
	lwp_times(l, &ru->ru_utime, &ru->ru_stime);
	ru->ru_nvcsw = l->l_nvcsw;
	ru->ru_nivcsw = l->l_nivcsw;
	ru->ru_minflt = l->l_minflt;
	ru->ru_maxrss = max(l->l_proc->p_ru.ru_maxrss,
	    (uint64_t)atomic_load_relaxed(&l->l_proc->p_vmspace->vm_maxpages));
}

void
rusage_to_abi(const struct rusage_acc *ru, struct abi_rusage *out)
{
	memset(out, 0, sizeof(*out));
	out->ru_utime.sec = (int64_t)(ru->ru_utime / 1000000000);
	out->ru_utime.usec = (int64_t)(ru->ru_utime % 1000000000 / 1000);
	out->ru_stime.sec = (int64_t)(ru->ru_stime / 1000000000);
	out->ru_stime.usec = (int64_t)(ru->ru_stime % 1000000000 / 1000);
	out->ru_maxrss = (int64_t)(ru->ru_maxrss << (PAGE_SHIFT - 10));
	out->ru_minflt = (int64_t)ru->ru_minflt;
	out->ru_nvcsw = (int64_t)ru->ru_nvcsw;
	out->ru_nivcsw = (int64_t)ru->ru_nivcsw;
}
