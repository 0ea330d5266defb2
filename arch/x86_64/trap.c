/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts, called by entry.asm with interrupts off.
 *
 * From user mode: a page fault is the address space's business; any other exception becomes a
 * signal with Linux's codes. From kernel mode: a page fault in one of the functions on user
 * memory is tried there too, and if that fails, goes on at the fixup of the faulting
 * instruction; everything else is a bug.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <arch/md.h>
#include <kernel/cpu.h>
#include <kernel/explore.h>
#include <kernel/gdbstub.h>
#include <kernel/kmem.h>
#include <kernel/lockdebug.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/trace.h>

#include "sigframe.h"

#define PF_PRESENT 0x01u
#define PF_WRITE   0x02u
#define PF_USER    0x04u
#define PF_RSVD    0x08u
#define PF_EXEC    0x10u

#define TRAP_TRACE 2
#define FPE_FLTDIV 3
#define FPE_FLTOVF 4
#define FPE_FLTUND 5
#define FPE_FLTRES 6
#define FPE_FLTINV 7
#define FPE_FLTUNK 14

/* Exception bits of the x87 status word and of MXCSR. */
#define FP_INVALID        0x01u
#define FP_DENORMAL       0x02u
#define FP_DIVIDE         0x04u
#define FP_OVERFLOW       0x08u
#define FP_UNDERFLOW      0x10u
#define FP_PRECISION      0x20u
#define MXCSR_MASKS_SHIFT 7

struct extable_entry {
	uintptr_t ex_rip, ex_fixup;
};

extern const struct extable_entry __extable_start[], __extable_end[]; /* linker script */
extern const char peek_fault[];                                       /* usercopy.asm */
extern const char try_fault[];                                        /* try.asm */
extern uintptr_t try_sp;                                              /* 0 = nothing is tried */
extern const struct cpu *try_cpu;

static const char *const trap_name[32] = {
	[T_DE] = "divide error",
	[T_DB] = "debug exception",
	[T_NMI] = "NMI",
	[T_BP] = "breakpoint",
	[T_OF] = "overflow",
	[T_BR] = "bound range",
	[T_UD] = "invalid opcode",
	[T_NM] = "no FPU",
	[T_DF] = "double fault",
	[T_TS] = "invalid TSS",
	[T_NP] = "segment not present",
	[T_SS] = "stack fault",
	[T_GP] = "general protection fault",
	[T_PF] = "page fault",
	[T_MF] = "x87 error",
	[T_AC] = "alignment check",
	[T_MC] = "machine check",
	[T_XM] = "SIMD error",
	[T_VE] = "virtualization exception",
	[T_CP] = "control protection",
};

static inline uintptr_t
read_cr2(void)
{
	uintptr_t v;

	__asm volatile("movq %%cr2, %0" : "=r"(v));
	return v;
}

/* ---- kernel mode ---- */

/* The table is short, and searched only after a fault of the kernel's. */
static uintptr_t
extable_fixup(uintptr_t rip)
{
	for (const struct extable_entry *e = __extable_start; e < __extable_end; e++)
		if (e->ex_rip == rip)
			return e->ex_fixup;
	return 0;
}

static void
print_registers(const struct trapframe *tf)
{
	uint64_t cr3;

	__asm volatile("movq %%cr3, %0" : "=r"(cr3));
	kprintf("rip %016lx  rsp %016lx  rflags %08lx  cs %lx  err %lx\n", tf->tf_rip, tf->tf_rsp,
	    tf->tf_rflags, tf->tf_cs, tf->tf_err);
	kprintf("rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", tf->tf_rax, tf->tf_rbx,
	    tf->tf_rcx, tf->tf_rdx);
	kprintf("rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", tf->tf_rsi, tf->tf_rdi,
	    tf->tf_rbp, tf->tf_r8);
	kprintf("r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", tf->tf_r9, tf->tf_r10,
	    tf->tf_r11, tf->tf_r12);
	kprintf("r13 %016lx  r14 %016lx  r15 %016lx\n", tf->tf_r13, tf->tf_r14, tf->tf_r15);
	kprintf("cr2 %016lx  cr3 %016lx\n", read_cr2(), cr3);
}

/* Within arch_try() a fault ends what was called there. Breakpoints and steps are no faults. */
static bool
try_recover(struct trapframe *tf)
{
	if (try_sp == 0 || try_cpu != arch_curcpu() || tf->tf_trapno == T_DB ||
	    tf->tf_trapno == T_BP)
		return false;
	tf->tf_rip = (uintptr_t)try_fault;
	tf->tf_rsp = try_sp;
	tf->tf_rax = (uint64_t)-EFAULT;
	return true;
}

static void __noreturn
fatal_trap(struct trapframe *tf)
{
	const char *name = tf->tf_trapno < 32 ? trap_name[tf->tf_trapno] : NULL;

	print_registers(tf);
	panic("%s (trap %lu, error %#lx) in kernel mode at %#lx", name != NULL ? name : "exception",
	    tf->tf_trapno, tf->tf_err, tf->tf_rip);
}

static void __noreturn
fatal_page_fault(struct trapframe *tf, uintptr_t addr)
{
	const char *what = tf->tf_err & PF_RSVD ? "broken page table"
	    : tf->tf_err & PF_EXEC              ? "execution"
	    : tf->tf_err & PF_WRITE             ? "write"
						: "read";

	print_registers(tf);
	panic("page fault in kernel mode at %#lx: %s at %#lx%s", tf->tf_rip, what, addr,
	    addr < PAGE_SIZE      ? ", a null pointer"
		: addr < USER_END ? ", user memory outside the copy functions"
				  : "");
}

static inline int
fault_access(const struct trapframe *tf)
{
	int access = tf->tf_err & PF_WRITE ? PROT_W : tf->tf_err & PF_EXEC ? PROT_X : PROT_R;

	return tf->tf_err & PF_PRESENT ? access | FAULT_PRESENT : access;
}

static void
kernel_page_fault(struct trapframe *tf)
{
	uintptr_t addr = read_cr2();
	uintptr_t fixup = extable_fixup(tf->tf_rip);
	int error = -EFAULT;

	if (fixup == 0 && try_recover(tf))
		return;
	if (fixup == 0 || (tf->tf_err & PF_RSVD) != 0)
		fatal_page_fault(tf, addr);
	if (addr < USER_END) {
		/* With interrupts off or LP_NOFAULT nobody may sleep: absent is absent. */
		if ((tf->tf_rflags & RFLAGS_IF) != 0 &&
		    (arch_curlwp()->l_pflag & LP_NOFAULT) == 0) {
			arch_intr_enable();
			error = vm_fault_trap(addr, fault_access(tf), false);
			arch_intr_disable();
		}
	} else if (fixup != (uintptr_t)peek_fault) {
		fatal_page_fault(tf, addr);
	}
	if (error != 0)
		tf->tf_rip = fixup;
}

bool
trap_may_fault(uintptr_t rip)
{
	return extable_fixup(rip) != 0;
}

void
trap_kernel(struct trapframe *tf)
{
	switch (tf->tf_trapno) {
	case T_BP:
		debug_fresh(arch_curcpu()->ci_index);
		if (gdb_trap_break(tf))
			return;
		break;
	case T_PF:
		kernel_page_fault(tf);
		return;
	case T_GP:
	case T_SS: /* an address that is not canonical */
	{
		uintptr_t fixup = extable_fixup(tf->tf_rip);

		if (fixup == (uintptr_t)peek_fault || fixup == (uintptr_t)sigfpu_fault) {
			tf->tf_rip = fixup;
			return;
		}
	} break;
	}
	if (!try_recover(tf))
		fatal_trap(tf);
}

/* ---- user mode ---- */

/* Code of SIGFPE for the exceptions that are flagged and not masked. */
static int
fpe_code(unsigned exceptions)
{
	if (exceptions & FP_INVALID)
		return FPE_FLTINV;
	if (exceptions & FP_DIVIDE)
		return FPE_FLTDIV;
	if (exceptions & FP_OVERFLOW)
		return FPE_FLTOVF;
	if (exceptions & (FP_UNDERFLOW | FP_DENORMAL))
		return FPE_FLTUND;
	if (exceptions & FP_PRECISION)
		return FPE_FLTRES;
	return FPE_FLTUNK;
}

static int
x87_code(void)
{
	uint16_t fcw, fsw;

	__asm volatile("fnstcw %0" : "=m"(fcw));
	__asm volatile("fnstsw %0" : "=m"(fsw));
	return fpe_code(fsw & ~fcw);
}

static int
simd_code(void)
{
	uint32_t mxcsr;

	__asm volatile("stmxcsr %0" : "=m"(mxcsr));
	return fpe_code(mxcsr & ~(mxcsr >> MXCSR_MASKS_SHIFT));
}

static uint64_t
take_dr6(void)
{
	uint64_t dr6;

	__asm volatile("movq %%db6, %0" : "=r"(dr6));
	__asm volatile("movq %0, %%db6" : : "r"(DR6_INITIAL));
	return dr6;
}

void
trap_user(struct trapframe *tf)
{
	struct arch_lwp *md = &arch_curlwp()->l_md;
	uintptr_t cr2 = 0;
	int code = 0;

	if (EXPLORING && explore_user_enter(tf))
		return;
	/* What the next trap would overwrite is read before there can be one. */
	if (likely(tf->tf_trapno == T_PF))
		cr2 = read_cr2();
	else if (tf->tf_trapno == T_DB) {
		uint64_t dr6 = take_dr6();

		debug_fresh(arch_curcpu()->ci_index);
		if (gdb_trap_debug(tf, dr6))
			return;
		code = dr6 & DR6_STEP ? TRAP_TRACE : TRAP_BRKPT;
	} else if (tf->tf_trapno == T_BP) {
		debug_fresh(arch_curcpu()->ci_index);
		if (gdb_trap_break(tf))
			return;
	}
	arch_intr_enable();

	md->md_trapno = (uint32_t)tf->tf_trapno;
	md->md_err = tf->tf_err;
	md->md_cr2 = cr2;
	switch (tf->tf_trapno) {
	case T_PF:
		if (unlikely((tf->tf_err & PF_RSVD) != 0))
			fatal_page_fault(tf, cr2);
		/*
		 * The processor itself, for an instruction of user mode, may not touch a page that
		 * is there. No handling helps. QEMU's emulation does this with SMAP for IRET and
		 * far returns in user mode.
		 */
		if (unlikely((tf->tf_err & (PF_USER | PF_PRESENT)) == PF_PRESENT)) {
			user_fault(SIGSEGV, SEGV_ACCERR, cr2);
			break;
		}
		(void)vm_fault_trap(cr2, fault_access(tf), true);
		break;
	case T_DE:
		user_fault(SIGFPE, FPE_INTDIV, tf->tf_rip);
		break;
	case T_DB:
		user_fault(SIGTRAP, code, tf->tf_rip);
		break;
	case T_BP:
		user_fault(SIGTRAP, SI_KERNEL, 0);
		break;
	case T_UD:
		user_fault(SIGILL, ILL_ILLOPN, tf->tf_rip);
		break;
	case T_NP:
	case T_SS:
		user_fault(SIGBUS, SI_KERNEL, 0);
		break;
	case T_MF:
		user_fault(SIGFPE, x87_code(), tf->tf_rip);
		break;
	case T_XM:
		user_fault(SIGFPE, simd_code(), tf->tf_rip);
		break;
	case T_AC:
		user_fault(SIGBUS, BUS_ADRALN, 0);
		break;
	case T_GP:
		if (!EXPLORING || !explore_rdtsc(tf))
			user_fault(SIGSEGV, SI_KERNEL, 0);
		break;
	case T_NM:
		panic("cpu%u: the FPU is off in user mode", arch_curcpu()->ci_index);
	default:
		user_fault(SIGSEGV, SI_KERNEL, 0);
	}
	lockdebug_none("return from a fault");
}

/* While faults are traced, entry.asm calls this one, and trap_user_traced() in trace.asm. See branch.inc. */
void
trap_kernel_traced(struct trapframe *tf)
{
	trace_write(TR_FAULT | tf->tf_trapno << 8, tf->tf_err,
	    tf->tf_trapno == T_PF ? read_cr2() : tf->tf_rip);
	trap_kernel(tf);
	trace_write(TR_FAULT_END, 0, 0);
}

/* The frame would return to an address that is not canonical. => interrupts on */
void
user_bad_rip(void)
{
	user_fault(SIGSEGV, SI_KERNEL, 0);
}

/*
 * Before the return to user mode, l_ast is set. The step that gdb wants of this LWP is done if the instruction is
 * behind it; in the frame that user_return() may copy for a handler, there is no trace of it.
 */
void
user_ast(struct trapframe *tf)
{
	if (likely(atomic_load_relaxed(&debug_step_lwp) == NULL) ||
	    debug_step_lwp != arch_curlwp()) {
		user_return(tf);
		return;
	}
	tf->tf_rflags = (tf->tf_rflags & ~RFLAGS_TF) | RFLAGS_IF;
	user_return(tf);
	arch_intr_disable();
	debug_fresh(arch_curcpu()->ci_index);
	if (atomic_load_relaxed(&debug_step_lwp) == arch_curlwp())
		gdb_step_user(tf);
	arch_intr_enable();
}

/* ---- interrupts ---- */

static inline void
irq(struct cpu *ci, struct trapframe *tf, bool user)
{
	ci->ci_intr_depth++;
	arch_irq(tf, user);
	ci->ci_intr_depth--;
}

void
irq_user(struct trapframe *tf)
{
	irq(arch_curcpu(), tf, true);
}

void
irq_kernel(struct trapframe *tf)
{
	struct cpu *ci = arch_curcpu();
	const struct lwp *l = ci->ci_curlwp;

	irq(ci, tf, false);
	if (unlikely(__atomic_load_n(&l->l_dopreempt, __ATOMIC_RELAXED) != 0) &&
	    l->l_nopreempt == 0 && ci->ci_mtx_count == 0 && ci->ci_intr_depth == 0)
		kpreempt_intr();
}

/* ---- on the stacks of the TSS: whatever was interrupted ---- */

/* In kernel mode only gdb causes this one. */
static void __nobreak
debug_kernel(struct trapframe *tf)
{
	debug_fresh(arch_curcpu()->ci_index);
	if (!gdb_trap_debug(tf, take_dr6()))
		fatal_trap(tf);
}

void __nobreak
trap_ist(struct trapframe *tf)
{
	const struct lwp *l = arch_curlwp();
	uintptr_t cr2;

	switch (tf->tf_trapno) {
	case T_NMI:
		cpu_nmi(tf);
		return;
	case T_DB:
		debug_kernel(tf);
		return;
	case T_DF:
		cr2 = read_cr2();
		print_registers(tf);
		if (kstack_is_guard(cr2) || cr2 - (uintptr_t)boot_stack_guard < PAGE_SIZE)
			panic(
			    "kernel stack overflow at %#lx: rsp %#lx, the stack of lid %d begins at %p",
			    tf->tf_rip, tf->tf_rsp, l->l_lid, l->l_kstack);
		panic("double fault at %#lx", tf->tf_rip);
	default:
		print_registers(tf);
		panic("machine check at %#lx", tf->tf_rip);
	}
}
