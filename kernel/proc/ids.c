/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getpid and its kin.
 */
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

int64_t
sys_getpid(const uint64_t *a __unused)
{
	return curproc()->p_pid;
}

int64_t
sys_gettid(const uint64_t *a __unused)
{
	return curlwp()->l_lid;
}

int64_t
sys_getppid(const uint64_t *a __unused)
{
	return atomic_load_relaxed(&curproc()->p_ppid);
}
