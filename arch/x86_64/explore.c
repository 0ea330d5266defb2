/* SPDX-License-Identifier: BSD-2-Clause */
/* Schedule exploration: interrupts that the driver makes, steps in user mode. <kernel/explore.h> */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <arch/md.h>
#include <arch/trapframe.h>
#include <kernel/cpu.h>
#include <kernel/explore.h>

#ifdef DEBUG

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
