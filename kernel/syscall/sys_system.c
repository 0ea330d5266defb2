/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on the system and the caller's place in it: uname sysinfo reboot getrandom prctl,
 * users and groups, limits and usage; and rseq, which does not exist.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/system.h>
#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/file.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/random.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/trace.h>

/*
 * C libraries refuse to start on a Linux that is too old; this is the one whose calls are modelled.
 */
#define RELEASE "6.1.0-threadbare"

int64_t
sys_uname(const uint64_t *a)
{
	static const struct abi_utsname uts = {
		.sysname = "Threadbare",
		.nodename = "threadbare",
		.release = RELEASE,
		.version = "#1 SMP PREEMPT",
		.machine = "x86_64",
		.domainname = "(none)",
	};

	return arch_copyout(a[0], &uts, sizeof(uts));
}

/* No load averages are kept: they are 0. */
int64_t
sys_sysinfo(const uint64_t *a)
{
	uint32_t procs = min(atomic_load_relaxed(&proc_count), 0xffffu);
	struct abi_sysinfo si = {
		.uptime = (int64_t)(time_now() / NSEC_PER_SEC),
		.totalram = pmem_total() * PAGE_SIZE,
		.freeram = pmem_free_count() * PAGE_SIZE,
		.procs = (uint16_t)procs,
		.mem_unit = 1,
	};

	return arch_copyout(a[0], &si, sizeof(si));
}

int64_t
sys_reboot(const uint64_t *a)
{
	uint32_t magic2 = (uint32_t)a[1];
	int error;

	if ((uint32_t)a[0] != REBOOT_MAGIC1 ||
	    (magic2 != REBOOT_MAGIC2 && magic2 != REBOOT_MAGIC2A && magic2 != REBOOT_MAGIC2B &&
		magic2 != REBOOT_MAGIC2C))
		return -EINVAL;
	switch ((uint32_t)a[2]) {
	case REBOOT_RESTART:
	case REBOOT_HALT:
	case REBOOT_POWER_OFF:
		if ((error = hold_begin(HOLD_ALL)) != 0) /* nobody else runs any more */
			return error;
		break;
	default:
		return -EINVAL;
	}
	switch ((uint32_t)a[2]) {
	case REBOOT_RESTART:
		kprintf("reboot: asked for by pid %d (%s)\n", curproc()->p_pid, curproc()->p_comm);
		arch_reboot();
	default:
		arch_poweroff(0);
	}
}

int64_t
sys_getrandom(const uint64_t *a)
{
	uintptr_t ubuf = a[0];
	size_t size = min(a[1], (uint64_t)INT32_MAX), done = 0;
	uint8_t bytes[256];

	if ((a[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0 ||
	    (a[2] & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < size) {
		size_t chunk = min(size - done, sizeof(bytes));

		random_bytes(bytes, chunk);
		if (arch_copyout(ubuf + done, bytes, chunk) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		done += chunk;
		preempt_point();
		if (lwp_interrupted(curlwp()))
			break; /* as on Linux, any signal ends it */
	}
	return (int64_t)done;
}

int64_t
sys_prctl(const uint64_t *a)
{
	struct lwp *l = curlwp();
	char name[LWP_NAMELEN];
	ssize_t len;

	switch ((int)a[0]) {
	case PR_SET_NAME:
		memset(name, 0, sizeof(name));
		len = arch_copyinstr(name, a[1], sizeof(name));
		if (len == -EFAULT)
			return -EFAULT;
		name[sizeof(name) - 1] = '\0'; /* a long one is cut */
		mutex_lock(&l->l_proc->p_lock);
		memcpy(l->l_name, name, sizeof(name));
		TRACE_NAME(l, false);
		mutex_unlock(&l->l_proc->p_lock);
		return 0;
	case PR_GET_NAME:
		mutex_lock(&l->l_proc->p_lock);
		memcpy(name, l->l_name, sizeof(name));
		mutex_unlock(&l->l_proc->p_lock);
		return arch_copyout(a[1], name, sizeof(name));
	default:
		return -EINVAL;
	}
}

/* Restartable sequences: C libraries do without. */
int64_t
sys_rseq(const uint64_t *a __unused)
{
	return -ENOSYS;
}

/* ---- users and groups: they never change ---- */

int64_t
sys_getuid(const uint64_t *a __unused)
{
	return curproc()->p_uid;
}

int64_t
sys_geteuid(const uint64_t *a __unused)
{
	return curproc()->p_uid;
}

int64_t
sys_getgid(const uint64_t *a __unused)
{
	return curproc()->p_gid;
}

int64_t
sys_getegid(const uint64_t *a __unused)
{
	return curproc()->p_gid;
}

/* There are no supplementary groups. */
int64_t
sys_getgroups(const uint64_t *a)
{
	return (int32_t)a[0] < 0 ? -EINVAL : 0;
}

/* ---- limits ---- */

struct rlimit64 {
	uint64_t cur, max;
};

/* Reads and, if `new` is not NULL, sets a limit. */
static int
exchange_limit(pid_t pid, uint32_t resource, const struct rlimit64 *new, struct rlimit64 *old)
{
	struct proc *self = curproc(), *p;
	int error = 0;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new != NULL &&new->cur > new->max)
		return -EINVAL;
	if (new != NULL && resource == RLIMIT_NOFILE &&new->max > FD_MAX)
		return -EPERM;
	mutex_lock(&proc_lock);
	p = pid == 0 ? self : proc_find(pid);
	if (p == NULL) {
		error = -ESRCH;
		goto out;
	}
	mutex_lock(&p->p_lock);
	old->cur = p->p_rlimit[resource].cur;
	old->max = p->p_rlimit[resource].max;
	if (new != NULL) {
		atomic_store_relaxed(&p->p_rlimit[resource].cur, new->cur);
		atomic_store_relaxed(&p->p_rlimit[resource].max, new->max);
	}
	mutex_unlock(&p->p_lock);
out:
	mutex_unlock(&proc_lock);
	return error;
}

static int64_t
do_prlimit(pid_t pid, uint32_t resource, uintptr_t unew, uintptr_t uold)
{
	struct rlimit64 new, old;
	int error;

	if (unew != 0 && arch_copyin(&new, unew, sizeof(new)) != 0)
		return -EFAULT;
	error = exchange_limit(pid, resource, unew != 0 ? &new : NULL, &old);
	if (error == 0 && uold != 0)
		error = arch_copyout(uold, &old, sizeof(old));
	return error;
}

int64_t
sys_prlimit64(const uint64_t *a)
{
	return do_prlimit((pid_t)a[0], (uint32_t)a[1], a[2], a[3]);
}

int64_t
sys_getrlimit(const uint64_t *a)
{
	struct rlimit64 old;
	int error = exchange_limit(0, (uint32_t)a[0], NULL, &old);

	return error != 0 ? error : arch_copyout(a[1], &old, sizeof(old));
}

int64_t
sys_setrlimit(const uint64_t *a)
{
	struct rlimit64 new, old;

	if (arch_copyin(&new, a[1], sizeof(new)) != 0)
		return -EFAULT;
	return exchange_limit(0, (uint32_t)a[0], &new, &old);
}

/* ---- usage ---- */

int64_t
sys_getrusage(const uint64_t *a)
{
	struct proc *p = curproc();
	struct abi_rusage out;
	struct rusage_acc ru;

	switch ((int)a[0]) {
	case RUSAGE_SELF:
		mutex_lock(&p->p_lock);
		proc_usage(p, &ru);
		mutex_unlock(&p->p_lock);
		break;
	case RUSAGE_CHILDREN:
		mutex_lock(&proc_lock);
		ru = p->p_cru;
		mutex_unlock(&proc_lock);
		break;
	case RUSAGE_THREAD:
		lwp_usage(curlwp(), &ru);
		break;
	default:
		return -EINVAL;
	}
	rusage_to_abi(&ru, &out);
	return arch_copyout(a[1], &out, sizeof(out));
}
