/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on CPUs: sched_yield sched_getaffinity sched_setaffinity getcpu.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/process.h>
#include <kernel/sched.h>

int64_t
sys_sched_yield(const uint64_t *a __unused)
{
	yield();
	return 0;
}

/* The LWP with an id, 0 being the caller's; its process's p_lock is held on return. NULL: none. */
static struct lwp *
find_lwp(lwpid_t id)
{
	struct lwp *l;

	if (id == 0) {
		l = curlwp();
		mutex_lock(&l->l_proc->p_lock);
		return l;
	}
	return lwp_find_acquire_proc(id, &l) != NULL ? l : NULL;
}

/* Returns the size of the kernel's mask, in bytes, as Linux does. */
int64_t
sys_sched_getaffinity(const uint64_t *a)
{
	uint32_t size = (uint32_t)a[1];
	cpuset_t online = atomic_load_relaxed(&cpu_online_set), set;
	struct lwp *l;

	if (size % sizeof(set) != 0 || size * 8ull < ncpu)
		return -EINVAL;
	l = find_lwp((lwpid_t)a[0]);
	if (l == NULL)
		return -ESRCH;
	set = l->l_affinity != 0 ? l->l_affinity & online : online;
	mutex_unlock(&l->l_proc->p_lock);
	return arch_copyout(a[2], &set, sizeof(set)) != 0 ? -EFAULT : (int64_t)sizeof(set);
}

int64_t
sys_sched_setaffinity(const uint64_t *a)
{
	size_t size = min((size_t)(uint32_t)a[1], sizeof(cpuset_t));
	cpuset_t set = 0;
	struct lwp *l;
	int error;

	if (arch_copyin(&set, a[2], size) != 0)
		return -EFAULT;
	l = find_lwp((lwpid_t)a[0]);
	if (l == NULL)
		return -ESRCH;
	if ((l->l_proc->p_flag & PK_SYSTEM) || !cred_may_control(l->l_proc))
		error = -EPERM;
	else
		error = set == 0 ? -EINVAL : sched_setaffinity(l, set); /* there, 0 means all */
	mutex_unlock(&l->l_proc->p_lock);
	return error;
}

int64_t
sys_getcpu(const uint64_t *a)
{
	uint32_t cpu =
	    atomic_load_relaxed(&curlwp()->l_cpu)->ci_index; /* true when it was looked at */

	if (a[0] != 0 && arch_ustore_32(a[0], cpu) != 0)
		return -EFAULT;
	if (a[1] != 0 && arch_ustore_32(a[1], 0) != 0)
		return -EFAULT;
	return 0;
}
