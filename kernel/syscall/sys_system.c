/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on the system and the caller's place in it: uname sysinfo reboot getrandom prctl getrusage; and
 * rseq, which does not exist.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/system.h>
#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
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
	if (!cred_is_root())
		return -EPERM;
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

/* Who is told of the parent's end, and whose orphans are whose: of the process, as wait is. */
static int64_t
prctl_family(struct proc *p, int what, uint64_t arg)
{
	uint32_t value;

	if (what == PR_SET_PDEATHSIG && arg > NSIG)
		return -EINVAL;
	mutex_lock(&proc_lock);
	if (what == PR_SET_PDEATHSIG)
		p->p_pdeathsig = (uint8_t)arg;
	else if (what == PR_SET_CHILD_SUBREAPER)
		proc_set_subreaper(p, arg != 0);
	value = what == PR_GET_PDEATHSIG ? p->p_pdeathsig : p->p_subreaper;
	mutex_unlock(&proc_lock);
	if (what != PR_GET_PDEATHSIG && what != PR_GET_CHILD_SUBREAPER)
		return 0;
	return arch_ustore_32(arg, value);
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
	case PR_SET_PDEATHSIG:
	case PR_GET_PDEATHSIG:
	case PR_SET_CHILD_SUBREAPER:
	case PR_GET_CHILD_SUBREAPER:
		return prctl_family(l->l_proc, (int)a[0], a[1]);
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
