/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers at kernel entry, as the entry code pushes them. A frame from user mode is the first
 * thing on the kernel stack.
 * layer: arch
 */
#ifndef ARCH_TRAPFRAME_H
#define ARCH_TRAPFRAME_H

#include <kernel/types.h>

struct trapframe {
	/* The six argument registers of a system call, in their order. */
	uint64_t tf_rdi, tf_rsi, tf_rdx, tf_r10, tf_r8, tf_r9;
	uint64_t tf_rax, tf_rcx, tf_r11;
	uint64_t tf_rbx, tf_r12, tf_r13, tf_r14, tf_r15, tf_rbp;
	uint64_t tf_trapno;                               /* vector, or the system call number */
	uint64_t tf_err;                                  /* error code, or 0 */
	uint64_t tf_rip, tf_cs, tf_rflags, tf_rsp, tf_ss; /* pushed by the processor */
};
_Static_assert(sizeof(struct trapframe) % 16 == 0, "the stack must stay aligned");

/* Vectors of the processor. */
enum trap {
	T_DE,
	T_DB,
	T_NMI,
	T_BP,
	T_OF,
	T_BR,
	T_UD,
	T_NM,
	T_DF,
	T_FPU_SEG,
	T_TS,
	T_NP,
	T_SS,
	T_GP,
	T_PF,
	T_RESERVED,
	T_MF,
	T_AC,
	T_MC,
	T_XM,
	T_VE,
	T_CP,
	T_IRQ = 32 /* and up: interrupts */
};

static inline bool
tf_user(const struct trapframe *tf)
{
	return (tf->tf_cs & 3) != 0;
}

#endif
