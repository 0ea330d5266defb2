/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files on the processor itself (descriptors, traps, FPU, start) offer to each other.
 * layer: arch
 */
#ifndef ARCH_MD_H
#define ARCH_MD_H

#include <arch/trapframe.h>
#include <kernel/types.h>

struct cpu;
struct lwp;

#define DR6_STEP    0x4000u
#define DR6_INITIAL 0xffff0ff0ul

#define MSR_EFER         0xc0000080u
#define MSR_STAR         0xc0000081u
#define MSR_LSTAR        0xc0000082u
#define MSR_CSTAR        0xc0000083u
#define MSR_FMASK        0xc0000084u
#define MSR_FS_BASE      0xc0000100u
#define MSR_GS_BASE      0xc0000101u
#define MSR_USER_GS_BASE 0xc0000102u /* the one that SWAPGS brings */

#define EFER_SCE 0x001u
#define EFER_NXE 0x800u

#define CR0_MP 0x00002ul
#define CR0_EM 0x00004ul
#define CR0_TS 0x00008ul
#define CR0_NE 0x00020ul
#define CR0_WP 0x10000ul

#define CR4_TSD        (1ul << 2)
#define CR4_MCE        (1ul << 6)
#define CR4_PGE        (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP       (1ul << 11)
#define CR4_FSGSBASE   (1ul << 16)
#define CR4_OSXSAVE    (1ul << 18)
#define CR4_SMEP       (1ul << 20)
#define CR4_SMAP       (1ul << 21)

#define RFLAGS_CF    0x000001ul
#define RFLAGS_FIXED 0x000002ul
#define RFLAGS_PF    0x000004ul
#define RFLAGS_AF    0x000010ul
#define RFLAGS_ZF    0x000040ul
#define RFLAGS_SF    0x000080ul
#define RFLAGS_TF    0x000100ul
#define RFLAGS_DF    0x000400ul
#define RFLAGS_OF    0x000800ul
#define RFLAGS_IOPL  0x003000ul
#define RFLAGS_NT    0x004000ul
#define RFLAGS_RF    0x010000ul
#define RFLAGS_AC    0x040000ul

/* ---- cpu.c ---- */

extern bool cpu_has_fsgsbase; /* user mode may change its bases without a call */
extern uint8_t cpu_fsgsbase;  /* same, for assembly */
void cpu_detect(void);        /* boot CPU, first thing: the kernel text must still be writable */
void cpu_enable(void);        /* control registers and MSRs of this CPU */

/* ---- gdt.c, idt.c ---- */

void gdt_init(struct cpu *,
    uintptr_t ist[]); /* fills and loads; ist[n] = lowest address of a stack of KSTACK_SIZE */
int gdt_alloc_ist(uintptr_t ist[]); /* from kernel stacks with guard pages; 0 or -ENOMEM */
void gdt_set_ist(struct cpu *, const uintptr_t ist[]);
void idt_init(void);
void idt_load(void);

/* ---- fpu.c ---- */

enum fpu_kind { FPU_FXSAVE, FPU_XSAVE, FPU_XSAVEOPT };
#define FPU_AREA    832 /* x87, SSE and AVX state */
#define XCR0_WANTED 7

extern uint8_t fpu_kind; /* enum fpu_kind */
void fpu_detect(void);
void fpu_enable(void); /* this CPU */
size_t fpu_area_size(void);
uint64_t fpu_features(void); /* XCR0, or 0 without XSAVE */
uint32_t fpu_mxcsr_mask(void);
void fpu_area_init(void *);      /* a state that loads as the initial one */
void fpu_save(void *area);       /* live registers, every component; reserved bytes may stay */
void fpu_load(const void *area); /* => the area is valid */
void fpu_load_initial(void);

/* ---- lwp.c ---- */

/* What arch_switch() has pushed; the stack pointer of a switched-out LWP points at it. */
struct switch_frame {
	uint64_t sf_r15, sf_r14, sf_r13, sf_r12, sf_rbx, sf_rbp, sf_rip;
};

/* User state of the current LWP, wherever it is. */
uintptr_t user_fsbase(void), user_gsbase(void);
void user_set_fsbase(uintptr_t);
void user_set_gsbase(uintptr_t);
/* The current LWP's frame was replaced: return by the path that loads all registers. */
void frame_return_full(void);

/* ---- trap.c, called by entry.asm ---- */

void trap_user(struct trapframe *);
void trap_kernel(struct trapframe *);
void trap_kernel_traced(struct trapframe *);
void trap_ist(struct trapframe *);
void irq_user(struct trapframe *);
void irq_kernel(struct trapframe *);
void user_bad_rip(void);
void user_ast(struct trapframe *);
/* Is the instruction one of those that may fault on user memory? trap.c */
bool trap_may_fault(uintptr_t rip);

/* ---- gdbtrap.c: traps that may be gdb's; false: they are not. => interrupts off ---- */

bool gdb_trap_break(struct trapframe *);
bool gdb_trap_debug(struct trapframe *, uint64_t dr6);
/* The LWP that gdb steps is about to return to user mode. */
void gdb_step_user(struct trapframe *);

/* ---- assembly ---- */

extern const uintptr_t trap_vectors[256];
extern const char trap_kernel_ret[], irq_kernel_ret[],
    trap_ist_ret[]; /* behind the calls, for the backtrace */
void syscall_entry(void);
void lwp_trampoline(void);
extern const char debug_halt_end[];
void gdb_unblock_nmi(void); /* gdbstep.asm */
void gdb_step_thunk(void);  /* gdbstep.asm: where an LWP that gdb steps is switched in */

/* ---- start.c, smp.c; called by boot/ ---- */

void arch_start(uint32_t magic, uint32_t info) __noreturn;
void ap_main(struct cpu *) __noreturn;
extern char boot_stack[];       /* KSTACK_SIZE bytes: the stack of lwp0 */
extern char boot_stack_guard[]; /* the page below */

#endif
