/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's part of struct cpu. Every CPU has its own GDT and TSS: the TSS holds the stack that
 * the processor loads when a trap comes from user mode, and the stacks of the traps that must work
 * whatever the present stack is worth (NMI, double fault, machine check).
 * layer: arch
 */
#ifndef ARCH_CPU_TYPES_H
#define ARCH_CPU_TYPES_H

#include <kernel/types.h>

struct lwp;

/* Selectors. The order of the user ones is what SYSRET wants; the values are Linux's. */
#define SEL_KCODE32 0x08
#define SEL_KCODE   0x10
#define SEL_KDATA   0x18
#define SEL_UCODE32 0x23 /* only the base for SYSRET */
#define SEL_UDATA   0x2b
#define SEL_UCODE   0x33
#define SEL_CPU     0x3b /* its limit is the CPU's number: for LSL in user mode */
#define SEL_TSS     0x40 /* two entries */
#define GDT_ENTRIES 10

enum ist { IST_NONE, IST_NMI, IST_DF, IST_MC, IST_DB, IST_COUNT };

struct tss {
	uint32_t tss_pad0;
	uint64_t tss_rsp[3];
	uint64_t tss_pad1;
	uint64_t tss_ist[7]; /* IST n is element n - 1 */
	uint64_t tss_pad2;
	uint16_t tss_pad3;
	uint16_t tss_iomap;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "struct tss");

/* Where a kernel function will go on, with its registers and page tables: explore.asm. */
struct arch_context {
	uint64_t cx_regs[9];
};

/*
 * struct arch_cpu, field locks: (o) this CPU only (c) constant once the CPU runs
 */
struct arch_cpu {
	uintptr_t md_kstack_top; /* (o) top of the current LWP's kernel stack */
	uintptr_t md_user_rsp;   /* (o) scratch of the system call entry */
	struct lwp *md_user;     /* (o) whose user state the registers hold, see lwp_types.h */
	uint64_t md_nmi_tops;    /* (c) the two tops of the NMI stack added */
	uint32_t md_pad;
	struct tss md_tss;            /* (o) behind md_pad: that aligns its 64-bit fields */
	uint64_t md_gdt[GDT_ENTRIES]; /* (c) */
};

#endif
