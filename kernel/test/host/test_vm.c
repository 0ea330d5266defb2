/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces against a model: several of them map, write, read, fork, protect, move and unmap
 * private, shared and file memory at random, with allocations that fail now and then. Each page that
 * can be read must hold what the model says, the fsck must be content, and at the end no page, region
 * or object is left over.
 *
 * sources: kernel/mem/vmspace.c kernel/mem/vmregion.c kernel/mem/vmmap.c kernel/mem/vmremap.c
 * sources: kernel/mem/vmfault.c kernel/mem/vmobj.c kernel/mem/vmfork.c kernel/mem/vmcheck.c kernel/lib/rb.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h -include kernel/test/host/vm/physmap.h
 */
#include <hosttest.h>
#include <kernel/vm.h>

#include <abi/errno.h>
#include <abi/mman.h>

#include "vm/machine.h"

#define NPAGES    96
#define NSPACES   4
#define NOBJS     3 /* a file and two shared anonymous objects */
#define OBJ_PAGES 40
#define BASE      ((vaddr_t)0x200000)
#define VA(page)  (BASE + (vaddr_t)(page)*PAGE_SIZE)
#define RW        (PROT_R | PROT_W)
#define RWX       (PROT_R | PROT_W | PROT_X)

static struct vmobj *objs[NOBJS];
static uint64_t content[NOBJS][OBJ_PAGES];

/* What an address space should look like. */
struct slot {
	bool mapped, shared,
	    own; /* own: private memory, `value` counts; else the object's content does */
	int prot, obj, objpage; /* obj -1: anonymous */
	uint64_t value;
};
struct space {
	struct vmspace *vm;
	struct slot slot[NPAGES];
};
static struct space space[NSPACES];

static uint64_t seed = 88172645463325252u;

static int
rnd(int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int)((seed >> 8) % (uint64_t)n);
}

int fault_signal, fault_code, ooms;

void
oom_fault(void)
{
	ooms++;
}

void
user_fault(int sig, int code, uintptr_t addr)
{
	(void)addr;
	fault_signal = sig;
	fault_code = code;
}

static uint64_t *
word(struct vmspace *vm, vaddr_t va)
{
	paddr_t pa;
	int prot;

	return pmap_extract(vm->vm_pmap, va, &pa, &prot) ? arch_phys_to_virt(pa) : NULL;
}

static bool
beyond_end(const struct slot *s)
{
	return s->obj >= 0 && s->objpage >= OBJ_PAGES;
}

static void
touch(struct space *sp, int page, int access)
{
	struct slot *s = &sp->slot[page];
	/* Who loses a race for a page finds it present, too, but does not know it. */
	bool told = word(sp->vm, VA(page)) != NULL && rnd(2);
	int error = vm_fault(sp->vm, VA(page), told ? access | FAULT_PRESENT : access), want = 0;
	uint64_t *w;

	if (!s->mapped)
		want = -EFAULT;
	else if (access == PROT_R ? s->prot == 0 : (s->prot & access) == 0)
		want = -EACCES;
	else if (beyond_end(s) && !s->own)
		want = -EIO;
	if (error == -ENOMEM && host_fail == 0)
		return;
	QUIET_CHECK(error == want);
	if (error != 0)
		return;
	w = word(sp->vm, VA(page));
	if (w == NULL) {
		QUIET_CHECK(w != NULL);
		return;
	}
	QUIET_CHECK(*w == (s->own ? s->value : content[s->obj][s->objpage]));
	if (access != PROT_W)
		return;
	*w = ((uint64_t)(unsigned)rnd(1 << 30) << 30) + (unsigned)rnd(1 << 30);
	if (s->obj >= 0 && s->shared)
		content[s->obj][s->objpage] = *w;
	else {
		s->own = true;
		s->value = *w;
	}
}

static void
clear(struct space *sp, int from, int n)
{
	for (int i = from; i < from + n; i++)
		sp->slot[i] = (struct slot){ 0 };
}

static void
do_map(struct space *sp, int from, int n)
{
	struct slot s = {
		.mapped = true, .obj = rnd(2) ? rnd(NOBJS) : -1, .prot = rnd(3) ? RW : rnd(8)
	};
	vaddr_t va = VA(from);
	int error, objpage = rnd(OBJ_PAGES);

	s.shared = s.obj >= 0 && rnd(2);
	s.own = s.obj < 0;
	error = vm_map(sp->vm, &va, (size_t)n * PAGE_SIZE, s.prot, RWX,
	    VM_FIXED | (s.shared ? VR_SHARED : 0), s.obj >= 0 ? objs[s.obj] : NULL,
	    (uint64_t)objpage * PAGE_SIZE);
	if (error != 0) {
		QUIET_CHECK(error == -ENOMEM && host_fail == 0);
		return;
	}
	for (int i = from; i < from + n; i++) {
		sp->slot[i] = s;
		sp->slot[i].objpage = objpage++;
	}
}

static void
do_unmap(struct space *sp, int from, int n)
{
	int error = vm_unmap(sp->vm, VA(from), (size_t)n * PAGE_SIZE);

	QUIET_CHECK(error == 0 || (error == -ENOMEM && host_fail == 0));
	if (error == 0)
		clear(sp, from, n);
}

static void
do_protect(struct space *sp, int from, int n)
{
	int prot = rnd(2) ? RW : rnd(8),
	    error = vm_protect(sp->vm, VA(from), (size_t)n * PAGE_SIZE, prot);
	bool hole = false;

	for (int i = from; i < from + n; i++)
		hole |= !sp->slot[i].mapped;
	QUIET_CHECK(error == (hole ? -ENOMEM : 0) || (error == -ENOMEM && host_fail == 0));
	for (int i = from; i < from + n && error == 0; i++)
		sp->slot[i].prot = prot;
}

static void
do_advise(struct space *sp, int from, int n)
{
	int error = vm_advise(sp->vm, VA(from), (size_t)n * PAGE_SIZE, MADV_DONTNEED);
	bool hole = false;

	for (int i = from; i < from + n; i++) {
		hole |= !sp->slot[i].mapped;
		sp->slot[i].value = 0;
		sp->slot[i].own = sp->slot[i].mapped && sp->slot[i].obj < 0;
	}
	QUIET_CHECK(error == (hole ? -ENOMEM : 0));
}

static void
do_move(struct space *sp, int from, int n)
{
	struct slot moved[NPAGES];
	int newsize = 1 + rnd(16), to = rnd(NPAGES - newsize);
	vaddr_t new = VA(to);
	int error;

	memcpy(moved, &sp->slot[from], (size_t)n * sizeof(moved[0]));
	error = vm_remap(sp->vm, VA(from), (size_t)n * PAGE_SIZE, (size_t)newsize * PAGE_SIZE,
	    MREMAP_MAYMOVE | MREMAP_FIXED, &new);
	if (to < from + n && from < to + newsize) {
		QUIET_CHECK(error == -EINVAL);
		return;
	}
	if (error == -ENOMEM && host_fail == 0) {
		/* The place may have been emptied, the tail cut off: ask. */
		for (int i = 0; i < NPAGES; i++) {
			if (vm_region_lookup(&sp->vm->vm_regions, VA(i)) == NULL)
				clear(sp, i, 1);
			else
				QUIET_CHECK(sp->slot[i].mapped);
		}
		return;
	}
	QUIET_CHECK(new == VA(to));
	clear(sp, to, newsize);
	if (newsize < n)
		clear(sp, from + newsize, n - newsize);
	if (error != 0) {
		QUIET_CHECK(error == -EFAULT);
		return;
	}
	clear(sp, from, n);
	for (int i = 0; i < newsize; i++) {
		if (i >= n) {
			moved[i] = moved[n - 1];
			moved[i].objpage += i - n + 1;
			moved[i].own = moved[i].obj < 0;
			moved[i].value = 0;
		}
		sp->slot[to + i] = moved[i];
	}
}

static void
do_fork(struct space *sp)
{
	struct space *child = &space[rnd(NSPACES)];
	struct vmspace *vm;
	int error, before_pages = host_pages, before_objects = host_objects;

	if (child == sp)
		return;
	error = vmspace_fork(sp->vm, &vm);
	if (error != 0) {
		QUIET_CHECK(error == -ENOMEM && host_fail == 0);
		QUIET_CHECK(host_pages == before_pages && host_objects == before_objects);
		return;
	}
	vmspace_unref(child->vm);
	*child = *sp;
	child->vm = vm;
}

static void
random_changes(void)
{
	for (int round = 0; round < 60000 && host_failures == 0; round++) {
		struct space *sp = &space[rnd(NSPACES)];
		int from = rnd(NPAGES - 1), n = 1 + rnd(min(NPAGES - from, rnd(4) == 0 ? 40 : 6));

		host_fail = rnd(12) == 0 ? 1 + rnd(8) : -1;
		switch (rnd(16)) {
		case 0:
		case 1:
			do_map(sp, from, n);
			break;
		case 2:
			do_unmap(sp, from, n);
			break;
		case 3:
			do_protect(sp, from, n);
			break;
		case 4:
			if (rnd(2))
				do_advise(sp, from, n);
			break;
		case 5:
			do_move(sp, from, n);
			break;
		case 6:
			do_fork(sp);
			break;
		default:
			for (int i = 0; i < 4; i++)
				touch(sp, rnd(NPAGES), rnd(2) ? PROT_W : rnd(4) ? PROT_R : PROT_X);
			break;
		}
		host_fail = -1;
		for (int i = 0; i < NSPACES; i++) {
			const char *text = vm_check(space[i].vm);

			if (text != NULL)
				printf("# round %d: %s\n", round, text);
			QUIET_CHECK(text == NULL);
		}
	}
	for (int i = 0; i < NSPACES; i++) {
		for (int page = 0; page < NPAGES; page++)
			touch(&space[i], page, PROT_R);
	}
	CHECK_NAMED(host_failures == 0, "60,000 random changes agree with the model");
}

static void
single_cases(void)
{
	struct vmspace *vm = vmspace_create();
	vaddr_t va = 0, top = USER_END - PAGE_SIZE, new, addr;
	const void *obj;
	uint64_t off;
	char text[8] = "1234567";
	size_t pages_before;

	CHECK(vm_map(vm, &va, 3 * PAGE_SIZE, RW, RWX, 0, NULL, 0) == 0 &&
	    va == vm->vm_mmap_top - 3 * PAGE_SIZE);
	CHECK(vm_map(vm, &va, 0, RW, RWX, VM_FIXED, NULL, 0) == -EINVAL);
	addr = va + PAGE_SIZE;
	CHECK(vm_map(vm, &addr, PAGE_SIZE, RW, RWX, VM_FIXED | VM_NOREPLACE, NULL, 0) == -EEXIST);
	addr = va + 1;
	CHECK(vm_map(vm, &addr, PAGE_SIZE, RW, RWX, VM_FIXED, NULL, 0) == -EINVAL);
	addr = PAGE_SIZE;
	CHECK(vm_map(vm, &addr, PAGE_SIZE, RW, RWX, VM_FIXED, NULL, 0) == -EPERM);
	addr = top;
	CHECK(vm_map(vm, &addr, 2 * PAGE_SIZE, RW, RWX, VM_FIXED, NULL, 0) == -ENOMEM);
	addr = 0;
	CHECK(vm_map(vm, &addr, (RAM_PAGES + 1) * PAGE_SIZE, RW, RWX, 0, NULL, 0) == -ENOMEM);
	CHECK(vm_map(vm, &addr, (RAM_PAGES + 1) * PAGE_SIZE, 0, RWX, 0, NULL, 0) == 0);
	CHECK(vm_map(vm, &addr, USER_END, 0, RWX, 0, NULL, 0) == -ENOMEM);
	addr = 0;
	CHECK(vm_map(vm, &addr, PAGE_SIZE, PROT_R, PROT_R, VR_SHARED | VM_BELOW_2G, objs[0], 0) ==
		0 &&
	    addr < 0x80000000 && vm_protect(vm, addr, PAGE_SIZE, RW) == -EACCES);
	CHECK(vm_futex_key(vm, addr + 8, true, &obj, &off) == 0 && obj == vmobj_key(objs[0]) &&
	    off == 8);
	CHECK(vm_futex_key(vm, va + 8, true, &obj, &off) == 0 && obj == vm && off == va + 8);
	CHECK(vm_futex_key(vm, 0x8000, true, &obj, &off) == -EFAULT);
	CHECK(vm_unmap(vm, va, 0) == -EINVAL && vm_unmap(vm, va + 1, PAGE_SIZE) == -EINVAL);
	CHECK(vm_write(vm, va + PAGE_SIZE - 4, text, 8) == 0);
	CHECK(memcmp((char *)word(vm, va) + PAGE_SIZE - 4, "1234", 4) == 0 &&
	    memcmp(word(vm, va + PAGE_SIZE), "567", 4) == 0);
	CHECK(vm_write(vm, va + 3 * PAGE_SIZE - 4, text, 8) == -EFAULT);

	/* Heap. */
	vm->vm_brk_start = vm->vm_brk = 0x400000 + 100;
	CHECK(vm_brk(vm, 0) == 0x400064 &&
	    vm_brk(vm, 0x400000 + 5 * PAGE_SIZE) == 0x400000 + 5 * PAGE_SIZE);
	CHECK(vm_fault(vm, 0x400000 + 4 * PAGE_SIZE, PROT_W) == 0 &&
	    vm_fault(vm, 0x400000 + 5 * PAGE_SIZE, PROT_W) == -EFAULT);
	CHECK(vm_brk(vm, 0x400000 + 2 * PAGE_SIZE) == 0x402000 &&
	    vm_fault(vm, 0x400000 + 4 * PAGE_SIZE, PROT_W) == -EFAULT);
	CHECK(vm_brk(vm, 0x300000) == 0x402000 && vm_brk(vm, vm->vm_mmap_top) == 0x402000);

	/* Stack. */
	CHECK(vm_map(vm, &top, PAGE_SIZE, RW, RWX, VR_GROWSDOWN | VM_FIXED, NULL, 0) == 0);
	the_proc.p_rlimit[3].cur = 64 * PAGE_SIZE;
	CHECK(vm_fault(vm, USER_END - 10 * PAGE_SIZE + 5, PROT_W) == 0 &&
	    vm_fault(vm, USER_END - 5 * PAGE_SIZE, PROT_W) == 0);
	CHECK(vm_fault(vm, USER_END - 65 * PAGE_SIZE, PROT_W) == -EFAULT &&
	    vm_fault(vm, USER_END - 64 * PAGE_SIZE, PROT_W) == 0);
	addr = USER_END - 66 * PAGE_SIZE;
	CHECK(vm_map(vm, &addr, PAGE_SIZE, RW, RWX, 0, NULL, 0) == 0 && addr < vm->vm_mmap_top);

	/* mremap in place, then moved. */
	addr = 0x10000000;
	CHECK(vm_map(vm, &addr, 2 * PAGE_SIZE, RW, RWX, 0, NULL, 0) == 0 && addr == 0x10000000);
	CHECK(vm_write(vm, addr, text, 8) == 0);
	CHECK(vm_remap(vm, addr, 2 * PAGE_SIZE, 4 * PAGE_SIZE, 0, &new) == 0 && new == addr);
	new = addr + 4 * PAGE_SIZE;
	CHECK(vm_map(vm, &new, PAGE_SIZE, PROT_R, RWX, VM_FIXED, NULL, 0) == 0);
	CHECK(vm_remap(vm, addr, 4 * PAGE_SIZE, 5 * PAGE_SIZE, 0, &new) == -ENOMEM);
	CHECK(vm_remap(vm, addr, 4 * PAGE_SIZE, 5 * PAGE_SIZE, MREMAP_MAYMOVE, &new) == 0 &&
	    new != addr);
	CHECK(memcmp(word(vm, new), text, 8) == 0 && vm_fault(vm, addr, PROT_R) == -EFAULT);
	CHECK(vm_remap(vm, addr, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, &new) == -EFAULT);

	/* Limits and traps. */
	the_proc.p_rlimit[9].cur = vm->vm_regions.rs_bytes;
	addr = 0;
	CHECK(vm_map(vm, &addr, PAGE_SIZE, RW, RWX, 0, NULL, 0) == -ENOMEM);
	CHECK(vm_map(vm, &va, PAGE_SIZE, RW, RWX, VM_FIXED, NULL, 0) == 0); /* replaces */
	the_proc.p_vmspace = vm;
	CHECK(vm_fault_trap(va, PROT_W, true) == 0);
	CHECK(vm_fault_trap(0, PROT_R, true) == -EFAULT && fault_signal == SIGSEGV &&
	    fault_code == SEGV_MAPERR);
	CHECK(vm_fault_trap(va + PAGE_SIZE, PROT_W, true) == 0);
	CHECK(vm_protect(vm, va, PAGE_SIZE, PROT_R) == 0);
	CHECK(vm_fault_trap(va, PROT_W, true) == -EFAULT && fault_signal == SIGSEGV &&
	    fault_code == SEGV_ACCERR);
	CHECK(vm_advise(vm, va + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED) == 0);
	host_fail = 0;
	CHECK(
	    vm_fault_trap(va + PAGE_SIZE, PROT_W, true) == 0 && ooms == 0); /* another was faster */
	CHECK(vm_fault_trap(va + PAGE_SIZE * 2, PROT_W, false) == -EFAULT && ooms == 0);
	CHECK(vm_fault_trap(va + PAGE_SIZE * 2, PROT_W, true) == -EFAULT && ooms == 1);
	host_fail = -1;
	the_lwp.l_pflag = LP_NOFAULT;
	CHECK(vm_fault_trap(va + PAGE_SIZE * 2, PROT_W, false) == -EFAULT);
	the_lwp.l_pflag = 0;
	CHECK(vm_fault_trap(USER_END, PROT_R, true) == -EFAULT && fault_code == SEGV_MAPERR);

	/* Who is killed populates nothing more; a signal with a handler does not matter. */
	pages_before = vm_resident(vm);
	the_lwp.l_proc = &the_proc;
	the_lwp.l_flag = LW_PENDSIG;
	the_proc.p_sigpend.sp_set = SIGBIT(SIGKILL);
	vm_populate(vm, va + 2 * PAGE_SIZE, PAGE_SIZE);
	CHECK(vm_resident(vm) == pages_before);
	the_proc.p_sigpend.sp_set = SIGBIT(SIGUSR1);
	vm_populate(vm, va + 2 * PAGE_SIZE, PAGE_SIZE);
	CHECK(vm_resident(vm) == pages_before + 1);
	the_lwp.l_flag = LW_KILL;
	CHECK(vm_advise(vm, va + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED) == 0);
	vm_populate(vm, va + 2 * PAGE_SIZE, PAGE_SIZE);
	CHECK(vm_resident(vm) == pages_before);
	the_lwp.l_flag = 0;
	CHECK(vm_check(vm) == NULL);
	vmspace_unref(vm);
	the_proc.p_rlimit[9].cur = UINT64_MAX;
}

/* As many regions as there may be, and a call on many of them, which interrupts the other CPUs once. */
static void
many_regions(void)
{
	struct vmspace *vm = vmspace_create();
	size_t size = (size_t)VM_MAXREGIONS * 2 * PAGE_SIZE;
	vaddr_t va = VA(0), end = va + 20 * PAGE_SIZE, at;
	int error = 0;

	CHECK(vm_map(vm, &va, size, RW, RWX, VM_FIXED | VM_NORESERVE, NULL, 0) == 0);
	for (at = va; at < va + size && error == 0; at += 2 * PAGE_SIZE)
		error = vm_protect(vm, at, PAGE_SIZE, PROT_R);
	CHECK(error == -ENOMEM && at < va + size);
	for (error = 0; at < va + size && error == 0; at += 2 * PAGE_SIZE)
		error = vm_unmap(vm, at, PAGE_SIZE);
	CHECK_NAMED(error == -ENOMEM && vm->vm_regions.rs_count == VM_MAXREGIONS,
	    "munmap splits no region when there are as many as may be");
	CHECK(vm_unmap(vm, end, size - (end - va)) == 0);
	for (at = va + PAGE_SIZE; at < end; at += 4 * PAGE_SIZE) {
		vaddr_t to = at;

		CHECK(vm_map(vm, &to, PAGE_SIZE, RW, RWX, VM_FIXED | VR_SHARED, objs[0], 0) == 0);
	}
	for (at = va; at < end; at += PAGE_SIZE)
		CHECK(vm_fault(vm, at, PROT_R) == 0);
	host_flushes = 0;
	CHECK(vm_protect(vm, va, end - va, PROT_R) == 0);
	CHECK_NAMED(host_flushes == 1, "mprotect of many regions flushes once");
	CHECK(vm_check(vm) == NULL && vm_protect(vm, va, end - va, RW) == 0);
	CHECK(vm_check(vm) == NULL && vm_fault(vm, va + PAGE_SIZE, PROT_W) == 0 &&
	    vm_fault(vm, va + 2 * PAGE_SIZE, PROT_W) == 0);
	host_flushes = 0;
	CHECK(vm_advise(vm, va, end - va, MADV_DONTNEED) == 0);
	CHECK_NAMED(host_flushes == 1 && vm_resident(vm) == 0, "so does madvise");
	CHECK(vm_check(vm) == NULL);
	vmspace_unref(vm);
}

void
lwpctl_destroy(struct vmspace *vm)
{
	(void)vm;
	abort(); /* no LWP here has asked for it */
}

int
main(void)
{
	static struct page *file[OBJ_PAGES];

	the_lwp.l_proc = &the_proc;
	for (int i = 0; i < 16; i++)
		the_proc.p_rlimit[i].cur = UINT64_MAX;
	vm_init();
	for (int i = 0; i < OBJ_PAGES; i++)
		file[i] = page_alloc_zeroed(PG_OBJ);
	objs[0] = vmobj_create_file(file, OBJ_PAGES * PAGE_SIZE);
	for (int i = 1; i < NOBJS; i++)
		objs[i] = vmobj_create_anon(OBJ_PAGES * PAGE_SIZE);

	single_cases();
	many_regions();
	CHECK(host_pages == OBJ_PAGES);
	for (int i = 0; i < NSPACES; i++)
		space[i].vm = vmspace_create();
	random_changes();
	for (int i = 0; i < NSPACES; i++)
		vmspace_unref(space[i].vm);
	for (int i = 0; i < NOBJS; i++)
		vmobj_unref(objs[i]);
	CHECK_NAMED(host_pages == OBJ_PAGES, "only the file's pages are left");
	CHECK_NAMED(host_objects == 0, "no region or object is left");
	return host_done();
}
