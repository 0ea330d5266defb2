/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets and constants for assembly: compiled to assembly, never linked; see assym.inc in the
 * Makefile.
 */
#include <arch/arch_if.h>
#include <arch/md.h>
#include <kernel/cpu.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/trace.h>

#include <abi/errno.h>

#include "sigframe.h"

#define DEFINE(name, value) \
	__asm volatile(".ascii \"->" #name " %0\"" : : "i"((unsigned long)(value)))
#define OFFSET(name, type, field) DEFINE(name, offsetof(struct type, field))

void genassym(void);

void
genassym(void)
{
	OFFSET(CI_SELF, cpu, ci_self);
	OFFSET(CI_CURLWP, cpu, ci_curlwp);
	OFFSET(CI_KSTACK_TOP, cpu, ci_md.md_kstack_top);
	OFFSET(CI_USER_RSP, cpu, ci_md.md_user_rsp);
	OFFSET(CI_USER, cpu, ci_md.md_user);
	OFFSET(CI_INTR_DEPTH, cpu, ci_intr_depth);
	OFFSET(CI_TRACE, cpu, ci_trace);
	OFFSET(CI_TSS_RSP0, cpu, ci_md.md_tss.tss_rsp[0]);

	OFFSET(L_AST, lwp, l_ast);
	OFFSET(L_LID, lwp, l_lid);
	OFFSET(L_KSTACK, lwp, l_kstack);
	OFFSET(L_RSP, lwp, l_md.md_rsp);
	OFFSET(L_FPU, lwp, l_md.md_fpu);
	OFFSET(L_FSBASE, lwp, l_md.md_fsbase);
	OFFSET(L_GSBASE, lwp, l_md.md_gsbase);
	OFFSET(L_CPU_MD, lwp, l_md.md_cpu);
	OFFSET(L_HASUSER, lwp, l_md.md_hasuser);
	OFFSET(L_TRAPNO, lwp, l_md.md_trapno);
	OFFSET(L_ERR, lwp, l_md.md_err);
	OFFSET(L_CR2, lwp, l_md.md_cr2);

	OFFSET(TF_RDI, trapframe, tf_rdi);
	OFFSET(TF_RSI, trapframe, tf_rsi);
	OFFSET(TF_RDX, trapframe, tf_rdx);
	OFFSET(TF_R10, trapframe, tf_r10);
	OFFSET(TF_R8, trapframe, tf_r8);
	OFFSET(TF_R9, trapframe, tf_r9);
	OFFSET(TF_RAX, trapframe, tf_rax);
	OFFSET(TF_RCX, trapframe, tf_rcx);
	OFFSET(TF_R11, trapframe, tf_r11);
	OFFSET(TF_RBX, trapframe, tf_rbx);
	OFFSET(TF_R12, trapframe, tf_r12);
	OFFSET(TF_R13, trapframe, tf_r13);
	OFFSET(TF_R14, trapframe, tf_r14);
	OFFSET(TF_R15, trapframe, tf_r15);
	OFFSET(TF_RBP, trapframe, tf_rbp);
	OFFSET(TF_RIP, trapframe, tf_rip);
	OFFSET(TF_ERR, trapframe, tf_err);
	OFFSET(TF_TRAPNO, trapframe, tf_trapno);
	OFFSET(TF_CS, trapframe, tf_cs);
	OFFSET(TF_RFLAGS, trapframe, tf_rflags);
	OFFSET(TF_RSP, trapframe, tf_rsp);
	DEFINE(TF_SIZE, sizeof(struct trapframe));

	DEFINE(SEL_KCODE32, SEL_KCODE32);
	DEFINE(SEL_KCODE, SEL_KCODE);
	DEFINE(SEL_KDATA, SEL_KDATA);
	DEFINE(SEL_UDATA, SEL_UDATA);
	DEFINE(SEL_UCODE, SEL_UCODE);

	DEFINE(T_DB, T_DB);
	DEFINE(T_NMI, T_NMI);
	DEFINE(T_DF, T_DF);
	DEFINE(T_TS, T_TS);
	DEFINE(T_NP, T_NP);
	DEFINE(T_SS, T_SS);
	DEFINE(T_GP, T_GP);
	DEFINE(T_PF, T_PF);
	DEFINE(T_AC, T_AC);
	DEFINE(T_MC, T_MC);
	DEFINE(T_CP, T_CP);
	DEFINE(T_IRQ, T_IRQ);

	OFFSET(TR_HEAD, trace_ring, tr_head);
	OFFSET(TR_MASK, trace_ring, tr_mask);
	OFFSET(TR_SLOTS, trace_ring, tr_slots);
	OFFSET(TE_CYCLES, trace_event, te_cycles);
	OFFSET(TE_SEQ, trace_event, te_seq);
	OFFSET(TE_WHAT, trace_event, te_what);
	OFFSET(TE_INTR, trace_event, te_intr);
	OFFSET(TE_LID, trace_event, te_lid);
	OFFSET(TE_A, trace_event, te_a);
	OFFSET(TE_B, trace_event, te_b);
	DEFINE(TR_SYSCALL, TR_SYSCALL);
	DEFINE(TR_SYSRET, TR_SYSRET);
	DEFINE(TR_FAULT, TR_FAULT);
	DEFINE(TR_FAULT_END, TR_FAULT_END);
	DEFINE(TRC_SYSCALL, TRC_SYSCALL);
	DEFINE(TRC_FAULT, TRC_FAULT);
	DEFINE(BRANCH_CALL, BRANCH_CALL);

	DEFINE(KSTACK_SIZE, KSTACK_SIZE);
	DEFINE(USER_END, USER_END);
	DEFINE(EFAULT, EFAULT);
	DEFINE(ENAMETOOLONG, ENAMETOOLONG);
	DEFINE(EJUSTRETURN, EJUSTRETURN);
	DEFINE(FPU_XSAVEOPT, FPU_XSAVEOPT);
	DEFINE(FPU_XSAVE, FPU_XSAVE);
	DEFINE(XCR0_WANTED, XCR0_WANTED);
	DEFINE(MSR_GS_BASE, MSR_GS_BASE);
	DEFINE(MSR_FS_BASE, MSR_FS_BASE);
	DEFINE(MSR_USER_GS_BASE, MSR_USER_GS_BASE);
	DEFINE(AST_FULL, AST_FULL);

	OFFSET(SC_R8, sigcontext, sc_r8);
	OFFSET(SC_R9, sigcontext, sc_r9);
	OFFSET(SC_R10, sigcontext, sc_r10);
	OFFSET(SC_R11, sigcontext, sc_r11);
	OFFSET(SC_R12, sigcontext, sc_r12);
	OFFSET(SC_R13, sigcontext, sc_r13);
	OFFSET(SC_R14, sigcontext, sc_r14);
	OFFSET(SC_R15, sigcontext, sc_r15);
	OFFSET(SC_RDI, sigcontext, sc_rdi);
	OFFSET(SC_RSI, sigcontext, sc_rsi);
	OFFSET(SC_RBP, sigcontext, sc_rbp);
	OFFSET(SC_RBX, sigcontext, sc_rbx);
	OFFSET(SC_RDX, sigcontext, sc_rdx);
	OFFSET(SC_RAX, sigcontext, sc_rax);
	OFFSET(SC_RCX, sigcontext, sc_rcx);
	OFFSET(SC_RSP, sigcontext, sc_rsp);
	OFFSET(SC_RIP, sigcontext, sc_rip);
	OFFSET(SC_RFLAGS, sigcontext, sc_rflags);
	OFFSET(SC_CS, sigcontext, sc_cs);
	OFFSET(SC_ERR, sigcontext, sc_err);
	OFFSET(SC_TRAPNO, sigcontext, sc_trapno);
	OFFSET(SC_OLDMASK, sigcontext, sc_oldmask);
	OFFSET(SC_CR2, sigcontext, sc_cr2);
	OFFSET(SC_FPSTATE, sigcontext, sc_fpstate);
	OFFSET(SF_RESTORER, rt_sigframe, sf_restorer);
	OFFSET(SF_UC_FLAGS, rt_sigframe, sf_uc.uc_flags);
	OFFSET(SF_UC_LINK, rt_sigframe, sf_uc.uc_link);
	OFFSET(SF_UC_STACK, rt_sigframe, sf_uc.uc_stack);
	OFFSET(SF_UC_SIGMASK, rt_sigframe, sf_uc.uc_sigmask);
	OFFSET(SF_SC, rt_sigframe, sf_uc.uc_mcontext);
	OFFSET(SF_INFO, rt_sigframe, sf_info);
	DEFINE(SF_FPSTATE, SF_FPSTATE);
	OFFSET(UC_FLAGS, ucontext, uc_flags);
	OFFSET(UC_STACK, ucontext, uc_stack);
	OFFSET(UC_SC, ucontext, uc_mcontext);
	OFFSET(UC_SIGMASK, ucontext, uc_sigmask);
	DEFINE(SS_SP, offsetof(stack_t, ss_sp));
	DEFINE(SS_FLAGS, offsetof(stack_t, ss_flags));
	DEFINE(SS_SIZE, offsetof(stack_t, ss_size));
	DEFINE(UC_FP_XSTATE, UC_FP_XSTATE);
	DEFINE(UC_SIGCONTEXT_SS, UC_SIGCONTEXT_SS);
	DEFINE(UC_FLAGS_LESS, UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
	DEFINE(FP_XSTATE_MAGIC2, FP_XSTATE_MAGIC2);
	DEFINE(RFLAGS_USER, RFLAGS_USER);
	DEFINE(SIGINFO_USED, SIGINFO_USED);
}
