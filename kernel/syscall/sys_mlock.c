/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on what of the address space is in memory: msync mlock mlock2 munlock mlockall munlockall mincore.
 *
 * Nothing is paged out and no file can be written to. So a lock lasts by itself once the pages were touched,
 * nothing is left to do for an unlock, and msync only looks whether all of the range is mapped.
 */
#include "mlock.h"

#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/mman.h>
#include <arch/arch_if.h>
#include <kernel/proc.h>
#include <kernel/sched.h>

#define PIECE ((size_t)1 << 20)
#define BATCH 256 /* pages told of in one copy */

int
mlock_range(struct vmspace *vm, vaddr_t va, size_t size)
{
	int error = 0;

	for (size_t done = 0; done < size && error == 0 && !lwp_killed(curlwp()); done += PIECE) {
		error = vm_populate(vm, va + done, min(size - done, PIECE));
		preempt_point();
	}
	return error;
}

/* Whole pages of a range, as the calls take them; `beyond` when it leaves the user's half. */
static int
whole_pages(vaddr_t *start, size_t *size, int beyond)
{
	vaddr_t first = trunc_page(*start);

	if (first >= USER_END)
		return *size == 0 && *start - first == 0 ? 0 : beyond;
	if (*size > USER_END - *start)
		return beyond;
	*size = round_page(*start + *size) - first;
	*start = first;
	return 0;
}

/* (void *start, size_t size, int flags) */
int64_t
sys_msync(const uint64_t *a)
{
	int flags = (int)a[2], error;
	vaddr_t start = a[0];
	size_t size = a[1];

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 || (start & PAGE_MASK) != 0 ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	error = whole_pages(&start, &size, -ENOMEM);
	return error != 0 ? error : vm_mapped(curproc()->p_vmspace, start, size);
}

static int
lock_pages(vaddr_t start, size_t size, bool touch)
{
	struct vmspace *vm = curproc()->p_vmspace;
	int error = whole_pages(&start, &size, -ENOMEM);

	if (error == 0)
		error = vm_mapped(vm, start, size);
	if (error == 0 && touch)
		error = mlock_range(vm, start, size);
	if (error == -ENOMEM && touch && vm_mapped(vm, start, size) == 0)
		return -EAGAIN; /* memory ran out */
	return error == 0 || error == -EAGAIN ? error : -ENOMEM;
}

int64_t
sys_mlock(const uint64_t *a)
{
	return lock_pages(a[0], a[1], true);
}

/* (const void *start, size_t size, int flags) */
int64_t
sys_mlock2(const uint64_t *a)
{
	if (((int)a[2] & ~MLOCK_ONFAULT) != 0)
		return -EINVAL;
	return lock_pages(a[0], a[1], (int)a[2] == 0);
}

int64_t
sys_munlock(const uint64_t *a)
{
	return lock_pages(a[0], a[1], false);
}

int64_t
sys_mlockall(const uint64_t *a)
{
	struct vmspace *vm = curproc()->p_vmspace;
	int flags = (int)a[0];
	vaddr_t start = 0, end;

	if ((flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) != 0 ||
	    (flags & (MCL_CURRENT | MCL_FUTURE)) == 0)
		return -EINVAL;
	atomic_store_relaxed(&vm->vm_lockfuture, (flags & MCL_FUTURE) && !(flags & MCL_ONFAULT));
	if ((flags & MCL_CURRENT) == 0 || (flags & MCL_ONFAULT) != 0)
		return 0;
	for (; !lwp_killed(curlwp()) && vm_next_mapped(vm, &start, &end); start = end)
		(void)mlock_range(vm, start, end - start); /* what cannot be touched is left out */
	return 0;
}

int64_t
sys_munlockall(const uint64_t *a __unused)
{
	atomic_store_relaxed(&curproc()->p_vmspace->vm_lockfuture, false);
	return 0;
}

/* (void *start, size_t size, unsigned char *vec) */
int64_t
sys_mincore(const uint64_t *a)
{
	struct vmspace *vm = curproc()->p_vmspace;
	vaddr_t start = a[0];
	size_t size = a[1], pages;
	uint8_t there[BATCH];
	int error;

	if ((start & PAGE_MASK) != 0)
		return -EINVAL;
	if ((error = whole_pages(&start, &size, -ENOMEM)) != 0)
		return error;
	pages = size >> PAGE_SHIFT;
	for (size_t done = 0, n; done < pages; done += n) {
		n = min(pages - done, (size_t)BATCH);
		for (size_t i = 0; i < n; i++) {
			int r = vm_incore(vm, start + ((done + i) << PAGE_SHIFT));

			if (r < 0)
				return r;
			there[i] = (uint8_t)r;
		}
		if (arch_copyout(a[2] + done, there, n) != 0)
			return -EFAULT;
		preempt_point();
		if (lwp_killed(curlwp()))
			break;
	}
	return 0;
}
