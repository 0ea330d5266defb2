/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on the address space: mmap munmap mprotect mremap madvise brk. They check and translate
 * arguments; the work is done by <kernel/vm.h>. Those on what is in memory stand in sys_mlock.c.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/mman.h>
#include <kernel/file.h>
#include <kernel/pmem.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/vm.h>

#include <arch/arch_if.h>

#include "mlock.h"

#define PROT_ALL (PROT_R | PROT_W | PROT_X)
#define PROT_SEM 8 /* accepted, no meaning */

#define MAP_KNOWN \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE | \
	    MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | \
	    MAP_STACK | MAP_FIXED_NOREPLACE)

/* Access modes as open(2) has them. */
#define ACC_RDONLY 0
#define ACC_WRONLY 1
#define ACC_RDWR   2

/* Object behind a file mapping, with a reference, or NULL; *maxprot is what the descriptor allows. */
static int
mmap_file(int fd, int prot, bool shared, struct vmobj **obj, int *maxprot)
{
	int accmode, error = fd_get_vmobj(fd, &accmode, obj);

	if (error != 0)
		return error;
	if (shared && accmode != ACC_RDWR)
		*maxprot &= ~PROT_W;
	if (accmode == ACC_WRONLY || (prot & ~*maxprot) != 0) {
		if (*obj != NULL)
			vmobj_unref(*obj);
		return -EACCES;
	}
	return 0;
}

int64_t
sys_mmap(const uint64_t *a)
{
	vaddr_t addr = a[0];
	size_t size = a[1];
	int prot = (int)a[2] & PROT_ALL, maxprot = PROT_ALL, error;
	unsigned flags = (unsigned)a[3], vmflags = 0;
	uint64_t off = a[5];
	struct vmspace *vm = curproc()->p_vmspace;
	struct vmobj *obj = NULL;
	bool shared, fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;

	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if ((flags & ~MAP_KNOWN) != 0)
			return -EOPNOTSUPP;
		shared = true;
		break;
	case MAP_SHARED:
		shared = true;
		break;
	case MAP_PRIVATE:
		shared = false;
		break;
	default:
		return -EINVAL;
	}
	if (size == 0 || (off & PAGE_MASK) != 0 || (flags & MAP_HUGETLB) != 0)
		return -EINVAL;
	if ((flags & MAP_GROWSDOWN) != 0 && (shared || (flags & MAP_ANONYMOUS) == 0))
		return -EINVAL;
	if (size > USER_END)
		return -ENOMEM;
	if (off + round_page(size) < off)
		return -EOVERFLOW;
	if (!fixed)
		addr = trunc_page(addr);

	if ((flags & MAP_ANONYMOUS) != 0) {
		if ((flags & MAP_TYPE) ==
		    MAP_SHARED_VALIDATE) /* there is no file to validate for */
			return -EINVAL;
	} else {
		error = mmap_file((int)a[4], prot, shared, &obj, &maxprot);
		if (error != 0)
			return error;
	}
	if (obj == NULL && shared) {
		if (size >> PAGE_SHIFT > pmem_total())
			return -ENOMEM;
		off = 0;
		obj = vmobj_create_anon(size);
		if (obj == NULL)
			return -ENOMEM;
	}
	vmflags |= shared ? VR_SHARED : 0;
	vmflags |= (flags & MAP_GROWSDOWN) != 0 ? VR_GROWSDOWN : 0;
	vmflags |= (flags & MAP_NORESERVE) != 0 ? VM_NORESERVE : 0;
	vmflags |= (flags & MAP_32BIT) != 0 ? VM_BELOW_2G : 0;
	vmflags |= fixed ? VM_FIXED : 0;
	vmflags |= (flags & MAP_FIXED_NOREPLACE) != 0 ? VM_NOREPLACE : 0;
	error = vm_map(vm, &addr, size, prot, maxprot, vmflags, obj, off);
	if (obj != NULL)
		vmobj_unref(obj);
	if (error != 0)
		return error;
	if ((flags & MAP_LOCKED) != 0 || (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE ||
	    atomic_load_relaxed(&vm->vm_lockfuture))
		(void)mlock_range(vm, addr, size);
	return (int64_t)addr;
}

int64_t
sys_munmap(const uint64_t *a)
{
	return vm_unmap(curproc()->p_vmspace, a[0], a[1]);
}

int64_t
sys_mprotect(const uint64_t *a)
{
	if ((a[2] & ~(uint64_t)(PROT_ALL | PROT_SEM)) != 0)
		return -EINVAL;
	return vm_protect(curproc()->p_vmspace, a[0], a[1], (int)a[2] & PROT_ALL);
}

int64_t
sys_mremap(const uint64_t *a)
{
	struct vmspace *vm = curproc()->p_vmspace;
	vaddr_t newaddr = a[4];
	int error;

	if ((a[3] & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED)) != 0)
		return -EINVAL;
	error = vm_remap(vm, a[0], a[1], a[2], (int)a[3], &newaddr);
	if (error != 0)
		return error;
	if (a[2] > a[1] && atomic_load_relaxed(&vm->vm_lockfuture))
		(void)mlock_range(vm, newaddr, round_page(a[2]));
	return (int64_t)newaddr;
}

int64_t
sys_madvise(const uint64_t *a)
{
	return vm_advise(curproc()->p_vmspace, a[0], a[1], (int)a[2]);
}

int64_t
sys_brk(const uint64_t *a)
{
	struct vmspace *vm = curproc()->p_vmspace;
	bool touch = atomic_load_relaxed(&vm->vm_lockfuture);
	vaddr_t old = touch ? vm_brk(vm, 0) : 0, now = vm_brk(vm, a[0]);

	if (touch && now > old)
		(void)mlock_range(vm, round_page(old), round_page(now) - round_page(old));
	return (int64_t)now;
}
