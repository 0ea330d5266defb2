/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RLIMIT_CPU: a timer by the process's CPU time, beside its interval timers. A process that has the limit has p_timers.
 * Of an unlimited one nothing is looked at.
 */
#include "timers_internal.h"

#include <abi/errno.h>
#include <abi/resource.h>
#include <kernel/kmem.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/signal.h>

/*
 * p has used all that RLIMIT_CPU allows: SIGXCPU, and once more with each further second, by which the soft limit
 * grows, until the hard one kills.
 */
void
ptimer_limit_reached(struct proc *p, struct ptimer *pt)
{
	struct ptimers *none = NULL;
	uint64_t seconds = ptimer_now(pt) / NSEC_PER_SEC;

	if (seconds >= p->p_rlimit[RLIMIT_CPU].max) {
		(void)sig_post_proc(p, SIGKILL, NULL);
		return;
	}
	if (seconds >= p->p_rlimit[RLIMIT_CPU].cur) {
		(void)sig_post_proc(p, SIGXCPU, NULL);
		atomic_store_relaxed(&p->p_rlimit[RLIMIT_CPU].cur, seconds + 1);
	}
	timers_cpu_limit(p, &none);
}

void
timers_cpu_limit(struct proc *p, struct ptimers **spare)
{
	uint64_t limit = min(p->p_rlimit[RLIMIT_CPU].cur, p->p_rlimit[RLIMIT_CPU].max);
	struct ptimer *pt;

	KASSERT(mutex_owned(&p->p_lock));
	if (p->p_flag & PK_EXITING)
		return;
	if (p->p_timers == NULL && *spare != NULL) {
		(*spare)->pts_proc = p;
		p->p_timers = *spare;
		*spare = NULL;
	}
	if (p->p_timers == NULL)
		return;
	pt = &p->p_timers->pts_limit;
	ptimer_stop(pt);
	if (limit >= INT64_MAX / NSEC_PER_SEC)
		return;
	pt->pt_when = max(limit, (uint64_t)1) * NSEC_PER_SEC; /* Linux takes 0 for 1 */
	ptimer_arm(pt);
}

struct ptimers *
timers_spare(void)
{
	return ptimers_create(NULL);
}

void
timers_spare_free(struct ptimers *pts)
{
	if (pts != NULL)
		kmem_free(pts, sizeof(*pts));
}

int
timers_fork(struct proc *p)
{
	struct ptimers *spare = timers_spare();

	if (spare == NULL)
		return -ENOMEM;
	mutex_lock(&p->p_lock);
	timers_cpu_limit(p, &spare);
	mutex_unlock(&p->p_lock);
	return 0;
}

void
timers_unfork(struct proc *p)
{
	struct ptimers *pts = p->p_timers;

	if (pts == NULL)
		return;
	mutex_lock(&p->p_lock);
	ptimer_stop(&pts->pts_limit);
	p->p_timers = NULL;
	mutex_unlock(&p->p_lock);
	timers_spare_free(pts);
}
