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
#define NREQUESTS  64
#define DR7_FIXED  0x400ul
#define DR7_G(n)   (2ul << 2 * (n))
#define DR7_RW(n)  (16 + 4 * (n))
#define DR7_LEN(n) (18 + 4 * (n))

enum { Z_EXEC = 1, Z_WRITE, Z_READ, Z_ACCESS, Z_AWAIT = ARCH_DEBUG_AWAIT };

/* linker script */
extern const char __nobreak_start[], __nobreak_end[];
extern char __stub_data_start[], __stub_data_end[], __stub_bss_start[], __stub_bss_end[];

/* In place of an address space that has ended: matches none. */
#define VM_GONE ((const struct vmspace *)1)

/*
 * What gdb has asked for: once for each process that it knows, so several may want the same address. Those share
 * debug registers. Owner of the stopped world; read by CPUs that run.
 */
static struct request {
	unsigned q_type; /* Z packet, 0 = free */
	uintptr_t q_addr;
	uint64_t q_len;
	const struct vmspace *q_vm; /* (a) NULL = any; VM_GONE = to be forgotten */
} requests[NREQUESTS];

/* Made from the requests, and used, likewise. */
static struct hwbreak {
	unsigned h_size; /* of this piece */
	uintptr_t h_addr;
	const struct request *h_q; /* (a) one of those that it is a piece of, NULL = free */
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

/* Largest piece at the start of a range that one register can watch. */
static unsigned
piece(uintptr_t addr, uint64_t len)
{
	unsigned size = 8;

	while (size > len || (addr & (size - 1)) != 0)
		size /= 2;
	return size;
}

static bool
alike(const struct request *a, const struct request *b)
{
	return a->q_type == b->q_type && a->q_addr == b->q_addr && a->q_len == b->q_len;
}

/* Is one before it in the table that has registers for both? */
static bool
served(const struct request *q)
{
	for (const struct request *other = requests; other < q; other++)
		if (alike(other, q))
			return true;
	return false;
}

/* Distributes the registers. False: they are too few. */
static bool
assign(void)
{
	static const uint8_t rw[] = {
		[Z_EXEC] = 0, [Z_WRITE] = 1, [Z_READ] = 3, [Z_ACCESS] = 3, [Z_AWAIT] = 1
	};
	static const uint8_t len[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	struct hwbreak new[NREGS] = { { 0 } };
	unsigned n = 0;

	for (const struct request *q = requests; q < requests + NREQUESTS; q++) {
		if (q->q_type == 0 || served(q))
			continue;
		for (uint64_t done = 0; done < q->q_len; done += new[n++].h_size) {
			uintptr_t at = q->q_addr + done;

			if (n == NREGS)
				return false;
			new[n] = (struct hwbreak){ piece(at, q->q_len - done), at, q };
		}
	}
	dr7 = DR7_FIXED;
	for (unsigned i = 0; i < NREGS; i++) {
		regs[i] = new[i];
		if (i < n)
			dr7 |= DR7_G(i) | (uint64_t)rw[new[i].h_q->q_type] << DR7_RW(i) |
			    (uint64_t)len[new[i].h_size] << DR7_LEN(i);
	}
	return true;
}

static void
release(struct request *q)
{
	if (q->q_vm != NULL)
		atomic_sub(&debug_nubreaks, 1);
	*q = (struct request){ 0 };
}

static void
release_gone(void)
{
	for (unsigned i = 0; i < NREQUESTS; i++)
		if (requests[i].q_vm == VM_GONE)
			release(&requests[i]);
	(void)assign(); /* fewer, or the same */
}

int
arch_debug_hw_insert(unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *vm)
{
	struct request *q, *place = NULL;
	struct request new = { type, addr, type == Z_EXEC ? 1 : len, addr < USER_END ? vm : NULL };

	if (new.q_len == 0 || new.q_len > NREGS * 8 || !canonical(addr) ||
	    !canonical(addr + new.q_len - 1) || forbidden(type, addr, new.q_len))
		return -EINVAL;
	release_gone();
	for (q = requests; q < requests + NREQUESTS; q++) {
		if (alike(q, &new) && q->q_vm == new.q_vm)
			return 0; /* kernel memory: gdb says it for each process, too */
		if (q->q_type == 0 && place == NULL)
			place = q;
	}
	if (place == NULL)
		return -ENOSPC;
	*place = new;
	if (assign()) {
		if (new.q_vm != NULL)
			atomic_add(&debug_nubreaks, 1);
		return 0;
	}
	*place = (struct request){ 0 };
	(void)assign(); /* as it was */
	return -ENOSPC;
}

int
arch_debug_hw_remove(unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *vm)
{
	const struct request old = { type, addr, type == Z_EXEC ? 1 : len, NULL };

	if (addr >= USER_END)
		vm = NULL;
	for (struct request *q = requests; q < requests + NREQUESTS; q++)
		if (alike(q, &old) && q->q_vm == vm)
			release(q);
	release_gone();
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
	for (unsigned i = 0; i < NREQUESTS; i++)
		release(&requests[i]);
	(void)assign();
}

void
arch_debug_hw_gone(const struct vmspace *vm)
{
	for (unsigned i = 0; i < NREQUESTS; i++) {
		const struct vmspace *old = vm;

		(void)atomic_cas(&requests[i].q_vm, &old, VM_GONE);
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
	for (unsigned i = 0; i < NREGS; i++) {
		const struct request *q = atomic_load_relaxed(&regs[i].h_q);

		if (q != NULL && q->q_type >= Z_WRITE && q->q_type <= Z_ACCESS && q->q_addr == addr)
			return q->q_type;
	}
	return 0;
}

bool
gdb_hw_hit(unsigned n, enum debug_cause *cause, bool *mine, uintptr_t *addr)
{
	const struct vmspace *vm = arch_curlwp()->l_proc->p_vmspace, *of;
	const struct request *hit = atomic_load_relaxed(&regs[n].h_q);

	/* This CPU may be stopped at any point here, and gdb change it all meanwhile; but a request is never NULL. */
	if (hit == NULL)
		return false;
	*cause = hit->q_type == Z_EXEC ? DEBUG_HWBREAK
	    : hit->q_type == Z_AWAIT   ? DEBUG_AWAIT
				       : DEBUG_WATCH;
	*addr = hit->q_addr;
	*mine = false;
	for (const struct request *q = requests; q < requests + NREQUESTS; q++) {
		of = atomic_load_relaxed(&q->q_vm);
		*mine |= alike(q, hit) && (of == NULL || of == vm);
	}
	return true;
}
