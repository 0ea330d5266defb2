/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the gdb stub's machine half share.
 * layer: arch
 */
#ifndef X86_64_GDBARCH_H
#define X86_64_GDBARCH_H

#include <arch/arch_if.h>
#include <arch/md.h>
#include <kernel/gdbstub.h>

/* gdb's numbers, in the order of the target description. */
enum {
	REG_RAX,
	REG_RBX,
	REG_RBP = 6,
	REG_RSP,
	REG_R12 = 12,
	REG_R13,
	REG_R14,
	REG_R15,
	REG_RIP,
	REG_EFLAGS,
	REG_CS,
	REG_ST = 24,
	REG_FCTRL = 32,
	REG_XMM = 40,
	REG_MXCSR = 56,
	REG_FSBASE,
	REG_GSBASE,
	REG_USER_GSBASE,
	REG_COUNT
};
_Static_assert(REG_COUNT == ARCH_DEBUG_REGS, "registers");

/* struct gdb_cpu, field locks: (o) the CPU itself when it stops and goes, the world's owner between */
struct gdb_cpu {
	uint64_t gc_fsbase;                     /* (o) */
	uint64_t gc_user_gsbase;                /* (o) the one that SWAPGS brings */
	bool gc_changed;                        /* (o) gdb has written to them */
	uint8_t gc_fpu[FPU_AREA] __aligned(64); /* (o) */
};
extern struct gdb_cpu gdb_cpus[MAXCPUS];

/* ---- gdbarch.c ---- */

struct switch_frame *gdb_switch_frame(const struct lwp *); /* NULL: there is none */

/* ---- gdbhw.c ---- */

void gdb_load_debug_registers(void);
/* Debug register n has matched. False: it is not in use. *mine: in the address space that is meant. */
bool gdb_hw_hit(unsigned n, enum debug_cause *, bool *mine, uintptr_t *addr);

/* ---- gdbtrap.c ---- */

struct trapframe *gdb_frame(const struct cpu *); /* of a stopped CPU; NULL for NULL */
/* The LWP is switched out and shall stop when it is switched in: where its address is kept meanwhile. */
uint64_t *gdb_thunk_rip(const struct lwp *);

#endif
