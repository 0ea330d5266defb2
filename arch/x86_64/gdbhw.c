/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug registers, which are four and the same on all CPUs: each CPU loads them when it leaves the stub, or when
 * it starts. They match addresses, of whichever address space; what is meant for one is passed over in others.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/proc.h>

#include "gdbarch.h"

#define NREGS      4
#define DR7_FIXED  0x400ul
#define DR7_G(n)   (2ul << 2 * (n))
#define DR7_RW(n)  (16 + 4 * (n))
#define DR7_LEN(n) (18 + 4 * (n))

enum { Z_EXEC = 1, Z_WRITE, Z_READ, Z_ACCESS };

/* linker script */
extern const char __nobreak_start[], __nobreak_end[];
extern char __stub_data_start[], __stub_data_end[], __stub_bss_start[], __stub_bss_end[];

/* In place of an address space that has ended: matches none. */
#define VM_GONE ((const struct vmspace *)1)

/* Owner of the stopped world; read by CPUs that run. */
static struct hwbreak {
	unsigned h_type; /* Z packet, 0 = free */
	unsigned h_size; /* of this piece */
	uintptr_t h_addr;
	uintptr_t h_start; /* of the request that it is a piece of */
	uint64_t h_len;
	const struct vmspace *h_vm; /* (a) NULL = any; VM_GONE = the register can be used anew */
} regs[NREGS];
static uint64_t dr7 = DR7_FIXED;

void
arch_debug_arm(void)
{
	gdb_load_debug_registers();
}

void
gdb_load_debug_registers(void)
{
	__asm volatile("movq %0, %%db0" : : "r"(regs[0].h_addr));
	__asm volatile("movq %0, %%db1" : : "r"(regs[1].h_addr));
	__asm volatile("movq %0, %%db2" : : "r"(regs[2].h_addr));
	__asm volatile("movq %0, %%db3" : : "r"(regs[3].h_addr));
	__asm volatile("movq %0, %%db7" : : "r"(dr7));
}

static void
update(void)
{
	static const uint8_t rw[] = { [Z_EXEC] = 0, [Z_WRITE] = 1, [Z_READ] = 3, [Z_ACCESS] = 3 };
	static const uint8_t len[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

	dr7 = DR7_FIXED;
	for (unsigned i = 0; i < NREGS; i++)
		if (regs[i].h_type != 0)
			dr7 |= DR7_G(i) | (uint64_t)rw[regs[i].h_type] << DR7_RW(i) |
			    (uint64_t)len[regs[i].h_size] << DR7_LEN(i);
}

static bool
canonical(uintptr_t va)
{
	return va < USER_END || va >= PHYSMAP_BASE;
}

static bool
overlap(uintptr_t addr, uint64_t len, uintptr_t start, uintptr_t end)
{
	return addr < end && addr + len > start;
}

/*
 * The stub must not run into what makes it enter: neither on its way in, nor on its way out, when the debug registers
 * are in force again. That would be a debug exception on the stack of one that has not returned.
 */
static bool
forbidden(unsigned type, uintptr_t addr, uint64_t len)
{
	struct cpu *ci;
	uintptr_t top;

	if (type == Z_EXEC)
		return addr >= (uintptr_t)__nobreak_start && addr < (uintptr_t)__nobreak_end;
	for_each_cpu(ci)
	{
		top = ci->ci_md.md_tss.tss_ist[IST_DB - 1];
		if (overlap(addr, len, top - KSTACK_SIZE, top + 16))
			return true;
		top = (ci->ci_md.md_nmi_tops + KSTACK_SIZE / 2) / 2; /* of the upper half */
		if (overlap(addr, len, top - KSTACK_SIZE, top + 16))
			return true;
	}
	return overlap(addr, len, (uintptr_t)__stub_data_start, (uintptr_t)__stub_data_end) ||
	    overlap(addr, len, (uintptr_t)__stub_bss_start, (uintptr_t)__stub_bss_end);
}

static bool
same(const struct hwbreak *h, unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *vm)
{
	return h->h_type == type && h->h_start == addr && h->h_len == len && h->h_vm == vm;
}

static void
release(struct hwbreak *h)
{
	if (h->h_vm != NULL)
		atomic_sub(&debug_nubreaks, 1);
	*h = (struct hwbreak){ 0 };
}

static void
release_gone(void)
{
	for (unsigned i = 0; i < NREGS; i++)
		if (regs[i].h_vm == VM_GONE)
			release(&regs[i]);
}

/* Largest piece at the start of a range that one register can watch. */
static unsigned
piece(uintptr_t addr, uint64_t len)
{
	unsigned size = 8;

	while (size > len || (addr & (size - 1)) != 0)
		size /= 2;
	return size;
}

int
arch_debug_hw_insert(unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *vm)
{
	unsigned need = 0, have = 0;

	if (addr >= USER_END)
		vm = NULL;
	if (type == Z_EXEC)
		len = 1;
	if (len == 0 || len > NREGS * 8 || !canonical(addr) || !canonical(addr + len - 1) ||
	    forbidden(type, addr, len))
		return -EINVAL;
	release_gone();
	for (unsigned i = 0; i < NREGS; i++) {
		if (same(&regs[i], type, addr, len, vm))
			return 0; /* gdb says it once for each process that it knows */
		have += regs[i].h_type == 0;
	}
	for (uint64_t at = 0; at < len; at += piece(addr + at, len - at))
		need++;
	if (need > have)
		return -ENOSPC;
	for (uint64_t at = 0, i = 0; at < len; i++) {
		if (regs[i].h_type != 0)
			continue;
		regs[i] =
		    (struct hwbreak){ type, piece(addr + at, len - at), addr + at, addr, len, vm };
		if (vm != NULL)
			atomic_add(&debug_nubreaks, 1);
		at += regs[i].h_size;
	}
	update();
	return 0;
}

int
arch_debug_hw_remove(unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *vm)
{
	if (addr >= USER_END)
		vm = NULL;
	if (type == Z_EXEC)
		len = 1;
	for (unsigned i = 0; i < NREGS; i++)
		if (same(&regs[i], type, addr, len, vm))
			release(&regs[i]);
	release_gone();
	update();
	return 0;
}

void
arch_debug_pass(struct trapframe *tf)
{
	tf->tf_rflags |= RFLAGS_RF;
}

void
arch_debug_clear(void)
{
	for (unsigned i = 0; i < NREGS; i++)
		release(&regs[i]);
	update();
}

void
arch_debug_hw_gone(const struct vmspace *vm)
{
	for (unsigned i = 0; i < NREGS; i++) {
		const struct vmspace *old = vm;

		(void)atomic_cas(&regs[i].h_vm, &old, VM_GONE);
	}
}

bool
arch_debug_watching(uintptr_t addr)
{
	return arch_debug_watch_type(addr) != 0;
}

unsigned
arch_debug_watch_type(uintptr_t addr)
{
	for (unsigned i = 0; i < NREGS; i++)
		if (regs[i].h_type > Z_EXEC && regs[i].h_start == addr)
			return regs[i].h_type;
	return 0;
}

bool
gdb_hw_hit(unsigned n, bool *exec, bool *mine, uintptr_t *addr)
{
	const struct hwbreak *h = &regs[n];

	if (h->h_type == 0)
		return false;
	*exec = h->h_type == Z_EXEC;
	*mine = h->h_vm == NULL || h->h_vm == arch_curlwp()->l_proc->p_vmspace;
	*addr = h->h_start;
	return true;
}
