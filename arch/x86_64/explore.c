/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedule exploration: interrupts that the driver makes, steps in user mode, and what user mode takes for the
 * time-stamp counter. <kernel/explore.h>
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <arch/md.h>
#include <arch/pmap_md.h>
#include <arch/trapframe.h>
#include <kernel/cpu.h>
#include <kernel/explore.h>
#include <kernel/printf.h>

#ifdef DEBUG

#define MSR_TSC_AUX       0xc0000103
#define CPUID1_ECX_RDRAND (1u << 30)
#define CPUID7_EBX_RDSEED (1u << 18)
#define INSN_MAX          15

/*
 * Through the gate, as if it came from outside: the handlers, what follows them and backtraces find the
 * same frame. Nothing is in service, so the end of interrupt that is signalled has no effect.
 * => interrupts on
 */
void
arch_explore_intr(int which)
{
	switch (which) {
	case XI_TIMER:
		__asm volatile("int %0" : : "i"(VEC_TIMER) : "memory", "cc");
		break;
	case XI_RESCHED:
		__asm volatile("int %0" : : "i"(VEC_RESCHED) : "memory", "cc");
		break;
	case XI_CALL:
		__asm volatile("int %0" : : "i"(VEC_CALL) : "memory", "cc");
		break;
	}
}

/* => interrupts off, the frame is about to return to user mode */
void
arch_explore_intr_user(struct trapframe *tf, int which)
{
	static const uint8_t vector[XI_COUNT] = {
		[XI_TIMER] = VEC_TIMER, [XI_RESCHED] = VEC_RESCHED, [XI_CALL] = VEC_CALL
	};
	uint64_t trapno = tf->tf_trapno;

	tf->tf_trapno = vector[which];
	irq_user(tf);
	tf->tf_trapno = trapno;
}

void
arch_explore_wake(struct cpu *ci)
{
	lapic_send_ipi(ci->ci_hwid, ICR_FIXED | ICR_ASSERT | VEC_RESCHED);
}

/* From here on RDTSC and RDTSCP fault in user mode. Nothing does that to RDRAND: it must not be there. */
void
arch_explore_clock(void)
{
	if (arch_curcpu()->ci_index == 0 &&
	    ((cpuid(1, 0).ecx & CPUID1_ECX_RDRAND) || (cpuid(7, 0).ebx & CPUID7_EBX_RDSEED)))
		kprintf("explore: RDRAND is there: no run of a program that uses it repeats\n");
	pmap_write_cr4(pmap_read_cr4() | CR4_TSD);
}

/* Was it one of the two? Then it has read the driver's clock, at 1 GHz. */
bool
explore_rdtsc(struct trapframe *tf)
{
	uintptr_t pc = tf->tf_rip;
	uint8_t op[3] = { 0 };
	unsigned n = 0; /* bytes of the opcode */

	while (n < 2 || (n == 2 && op[1] == 0x01)) {
		if (pc - tf->tf_rip >= INSN_MAX || arch_copyin(&op[n], pc, 1) != 0)
			return false;
		pc++;
		if (n != 0 || !insn_is_prefix(op[0]))
			n++;
	}
	if (op[0] != 0x0f || (n == 2 ? op[1] != 0x31 : op[2] != 0xf9))
		return false;
	if (n == 3)
		tf->tf_rcx = (uint32_t)rdmsr(MSR_TSC_AUX);
	tf->tf_rax = (uint32_t)explore_time();
	tf->tf_rdx = explore_time() >> 32;
	tf->tf_rip = pc;
	return true;
}

void
arch_frame_step(struct trapframe *tf, bool on)
{
	if (on)
		tf->tf_rflags |= RFLAGS_TF;
	else
		tf->tf_rflags &= ~RFLAGS_TF;
}

bool
arch_frame_stepped(const struct trapframe *tf)
{
	return tf->tf_trapno == T_DB;
}

#endif
