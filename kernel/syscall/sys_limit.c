/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on resource limits: getrlimit setrlimit prlimit64. Held to are RLIMIT_AS, DATA, STACK, NPROC, NOFILE,
 * SIGPENDING and CPU; the others are only kept.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/file.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/timers.h>

struct rlimit64 {
	uint64_t cur, max;
};

/* => p_lock held */
static int
set_limit(struct proc *p, uint32_t resource, const struct rlimit64 *new, struct ptimers **spare)
{
	if (new->max > p->p_rlimit[resource].max && !cred_is_root())
		return -EPERM;
	atomic_store_relaxed(&p->p_rlimit[resource].cur, new->cur);
	atomic_store_relaxed(&p->p_rlimit[resource].max, new->max);
	if (resource == RLIMIT_CPU)
		timers_cpu_limit(p, spare);
	return 0;
}

/* Reads and, if `new` is not NULL, sets a limit. */
static int
exchange_limit(pid_t pid, uint32_t resource, const struct rlimit64 *new, struct rlimit64 *old)
{
	struct proc *self = curproc(), *p;
	struct ptimers *spare = NULL;
	int error = 0;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new != NULL &&new->cur > new->max)
		return -EINVAL;
	if (new != NULL && resource == RLIMIT_NOFILE &&new->max > FD_MAX)
		return -EPERM;
	if (new != NULL && resource == RLIMIT_CPU && (spare = timers_spare()) == NULL)
		return -ENOMEM;
	mutex_lock(&proc_lock);
	p = pid == 0 ? self : proc_find_member(pid);
	if (p == NULL)
		error = -ESRCH;
	else if (!cred_may_inspect(p))
		error = -EPERM;
	else {
		mutex_lock(&p->p_lock);
		old->cur = p->p_rlimit[resource].cur;
		old->max = p->p_rlimit[resource].max;
		if (new != NULL)
			error = set_limit(p, resource, new, &spare);
		mutex_unlock(&p->p_lock);
	}
	mutex_unlock(&proc_lock);
	timers_spare_free(spare);
	return error;
}

/* (pid, resource, const struct rlimit64 *new, struct rlimit64 *old) */
int64_t
sys_prlimit64(const uint64_t *a)
{
	struct rlimit64 new, old;
	int error;

	if (a[2] != 0 && arch_copyin(&new, a[2], sizeof(new)) != 0)
		return -EFAULT;
	error = exchange_limit((pid_t)a[0], (uint32_t)a[1], a[2] != 0 ? &new : NULL, &old);
	if (error == 0 && a[3] != 0)
		error = arch_copyout(a[3], &old, sizeof(old));
	return error;
}

/* (resource, struct rlimit64 *old) */
int64_t
sys_getrlimit(const uint64_t *a)
{
	struct rlimit64 old;
	int error = exchange_limit(0, (uint32_t)a[0], NULL, &old);

	return error != 0 ? error : arch_copyout(a[1], &old, sizeof(old));
}

/* (resource, const struct rlimit64 *new) */
int64_t
sys_setrlimit(const uint64_t *a)
{
	struct rlimit64 new, old;

	if (arch_copyin(&new, a[1], sizeof(new)) != 0)
		return -EFAULT;
	return exchange_limit(0, (uint32_t)a[0], &new, &old);
}
