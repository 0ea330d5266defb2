/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signal frame's parts, for sigframe.c and the assembly that moves them, sigcopy.asm.
 * layer: arch
 */
#ifndef ARCH_SIGFRAME_H
#define ARCH_SIGFRAME_H

#include <abi/signal.h>
#include <arch/md.h>

#define UC_FP_XSTATE         1u
#define UC_SIGCONTEXT_SS     2u
#define UC_STRICT_RESTORE_SS 4u

#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u

/* Flags that rt_sigreturn restores. */
#define RFLAGS_USER \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_DF | \
	    RFLAGS_OF | RFLAGS_RF | RFLAGS_AC)

struct sigcontext {
	uint64_t sc_r8, sc_r9, sc_r10, sc_r11, sc_r12, sc_r13, sc_r14, sc_r15;
	uint64_t sc_rdi, sc_rsi, sc_rbp, sc_rbx, sc_rdx, sc_rax, sc_rcx, sc_rsp, sc_rip, sc_rflags;
	uint16_t sc_cs, sc_gs, sc_fs, sc_ss;
	uint64_t sc_err, sc_trapno, sc_oldmask, sc_cr2;
	uint64_t sc_fpstate; /* user address, or 0 */
	uint64_t sc_reserved[8];
};
_Static_assert(sizeof(struct sigcontext) == 256, "struct sigcontext");

struct ucontext {
	uint64_t uc_flags;
	uint64_t uc_link;
	stack_t uc_stack;
	struct sigcontext uc_mcontext;
	sigset_t uc_sigmask;
};
_Static_assert(sizeof(struct ucontext) == 304, "struct ucontext");

struct rt_sigframe {
	uint64_t sf_restorer;
	struct ucontext sf_uc;
	siginfo_t sf_info;
};
_Static_assert(sizeof(struct rt_sigframe) == 440, "struct rt_sigframe");

/* The FPU state is behind the frame; between them what the two alignments leave. */
#define SF_FPSTATE 456

/* ---- fpu.c ---- */

extern uint64_t
    fpu_sw[3]; /* what marks a complete state: magic number and size with its end, XCR0, size */
extern uint32_t fpu_mxcsr_invalid;
extern size_t fpu_frame_size; /* bytes on the user's stack */

/* ---- sigcopy.asm ---- */

int sigframe_put(uintptr_t frame, const struct trapframe *, const siginfo_t *, const stack_t *,
    uint64_t restorer, sigset_t oldmask);
int sigframe_get(uintptr_t uc, struct trapframe *, sigset_t *mask, stack_t *, uintptr_t *fpstate);
int sigfpu_get(uintptr_t fpstate);
extern const char sigfpu_fault[]; /* where an XRSTOR goes on that the processor has refused */

#endif
