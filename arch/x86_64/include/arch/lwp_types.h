/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's part of struct lwp.
 *
 * User state is what the kernel itself never uses: FPU registers and the FS and GS bases of
 * user mode. It stays in the registers while the kernel runs for the LWP, and is saved at the
 * switch. It is loaded again only when the registers of the CPU hold another LWP's: they hold
 * this one's iff md_user of the CPU is this LWP and md_cpu of the LWP is that CPU.
 * layer: arch
 */
#ifndef ARCH_LWP_TYPES_H
#define ARCH_LWP_TYPES_H

#include <kernel/types.h>

struct cpu;

/* struct arch_lwp, field locks: (o) the LWP itself, or anyone once it is off CPU (s) stable */
struct arch_lwp {
	uintptr_t md_rsp;        /* (o) stack pointer of a switched-out LWP */
	void *md_fpu;            /* (s) FPU save area behind struct lwp; NULL for static LWPs */
	uintptr_t md_fsbase;     /* (o) valid while switched out; always, without FSGSBASE */
	uintptr_t md_gsbase;     /* (o) same */
	struct cpu *md_cpu;      /* (o) CPU that loaded the user state last */
	uint32_t md_hasuser;     /* (o) has user state to save and load */
	uint32_t md_trapno;      /* (o) last fault of user mode, for the signal frame */
	uint64_t md_err, md_cr2; /* (o) same */
};

#endif
