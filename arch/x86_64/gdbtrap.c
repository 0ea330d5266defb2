/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps that are gdb's, and single steps.
 *
 * A step is the trap flag in the frame through which the LWP goes on. What must not happen:
 *  - an interrupt in place of the step, when all other CPUs are held: it is done with interrupts off then, unless the
 *    instruction itself is about the flag, or is one of the kernel that may fault on user memory, which needs them;
 *  - the flag ends up where it is looked at: SYSCALL saves it in R11, so fork and signal frames would copy it.
 *    user_ast() and arch_lwp_fork() take it out; the step over a system call ends at SYSRET, which traps behind
 *    itself, or in user_ast();
 *  - SYSRET loads the flags: it is stepped by the flag in R11.
 * An LWP that is switched out has no flags. It stops when it is switched in: its return address from
 * arch_switch() is replaced by gdb_step_thunk.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/md.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/proc.h>
#include <kernel/vm.h>

#include "gdbarch.h"

#define NTHUNKS 8

enum insn { INSN_OTHER, INSN_PUSHF, INSN_FLAGS, INSN_SYSCALL, INSN_SYSRET, INSN_UNKNOWN };

#define INSN_MAX 15 /* bytes */

/* The owner of the stopped world, or the LWP that is stepped. */
static struct {
	uintptr_t st_rip;
	uintptr_t st_next; /* behind a PUSHF */
	enum insn st_insn;
	bool st_user;   /* stepped in user mode */
	bool st_hadtf;  /* the program has set the trap flag itself */
	bool st_masked; /* interrupts were turned off for the step */
} step;

/* LWPs whose return address is replaced; kept until they pass, even when the step is called off in between. */
static struct {
	const struct lwp *th_lwp;
	uint64_t th_rip;
} thunks[NTHUNKS];

struct trapframe *
gdb_frame(const struct cpu *ci)
{
	return ci != NULL ? debug_frame(ci) : NULL;
}

uint64_t *
gdb_thunk_rip(const struct lwp *l)
{
	for (unsigned i = 0; i < NTHUNKS; i++)
		if (thunks[i].th_lwp == l)
			return &thunks[i].th_rip;
	return NULL;
}

/* Returns the LWP's true address and forgets it. */
static uint64_t
thunk_take(const struct lwp *l)
{
	for (unsigned i = 0; i < NTHUNKS; i++)
		if (thunks[i].th_lwp == l) {
			thunks[i].th_lwp = NULL;
			return thunks[i].th_rip;
		}
	return 0;
}

static void
thunk_put(const struct lwp *l, struct switch_frame *sf)
{
	for (unsigned i = 0; i < NTHUNKS; i++)
		if (thunks[i].th_lwp == NULL) {
			thunks[i].th_lwp = l;
			thunks[i].th_rip = sf->sf_rip;
			sf->sf_rip = (uintptr_t)gdb_step_thunk;
			return;
		}
}

/* ---- step ---- */

static bool
fetch(const struct lwp *l, uintptr_t va, bool user, uint8_t *byte)
{
	paddr_t pa;
	int prot;

	if (!user)
		return arch_debug_kread(va, byte, 1) == 1;
	if (l->l_proc->p_vmspace == NULL ||
	    !arch_debug_upage(l->l_proc->p_vmspace->vm_pmap, va, &pa, &prot))
		return false;
	*byte = ((uint8_t *)arch_phys_to_virt(pa))[va & PAGE_MASK];
	return true;
}

static enum insn
decode(const struct lwp *l, const struct trapframe *tf)
{
	uintptr_t at = tf->tf_rip;
	bool user = tf_user(tf);
	uint8_t b;

	do {
		if (at - tf->tf_rip >= INSN_MAX || !fetch(l, at++, user, &b))
			return INSN_UNKNOWN;
	} while (insn_is_prefix(b));
	step.st_next = at;
	switch (b) {
	case 0x9c:
		return INSN_PUSHF;
	case 0x9d: /* POPF IRET HLT CLI STI */
	case 0xcf:
	case 0xf4:
	case 0xfa:
	case 0xfb:
		return INSN_FLAGS;
	case 0x0f:
		if (!fetch(l, at, user, &b))
			return INSN_UNKNOWN;
		return b == 0x05 ? INSN_SYSCALL : b == 0x07 ? INSN_SYSRET : INSN_OTHER;
	default:
		return INSN_OTHER;
	}
}

bool
arch_debug_step_begin(struct lwp *l, const struct cpu *ci, bool alone)
{
	struct trapframe *tf = gdb_frame(ci);
	struct switch_frame *sf;
	bool plain;

	if (tf == NULL) {
		sf = gdb_switch_frame(l);
		if (sf != NULL && gdb_thunk_rip(l) == NULL)
			thunk_put(l, sf);
		return true;
	}
	step.st_rip = tf->tf_rip;
	step.st_user = tf_user(tf);
	step.st_hadtf = (tf->tf_rflags & RFLAGS_TF) != 0;
	step.st_insn = decode(l, tf);
	plain = step.st_insn <= INSN_PUSHF && (step.st_user || !trap_may_fault(tf->tf_rip));
	step.st_masked = alone && plain && (tf->tf_rflags & RFLAGS_IF) != 0;
	if (step.st_masked)
		tf->tf_rflags &= ~RFLAGS_IF;
	if (step.st_insn == INSN_SYSRET && !step.st_user)
		tf->tf_r11 |= RFLAGS_TF;
	else
		tf->tf_rflags |= RFLAGS_TF;
	return step.st_user || !plain; /* user memory may have to be fetched */
}

static void
end_in_kernel(struct trapframe *tf)
{
	uint64_t *pushed;

	tf->tf_rflags &= ~RFLAGS_TF;
	if (step.st_insn == INSN_SYSRET)
		tf->tf_r11 &= ~RFLAGS_TF;
	if (step.st_insn == INSN_PUSHF && tf->tf_rip == step.st_next) {
		pushed = (uint64_t *)tf->tf_rsp;
		*pushed &= ~RFLAGS_TF;
		if (step.st_masked)
			*pushed |= RFLAGS_IF;
	}
	if (step.st_masked)
		tf->tf_rflags |= RFLAGS_IF;
}

/* The flags that the program has pushed: it neither set the one nor cleared the other. */
static void
clean_pushed(const struct lwp *l, const struct trapframe *tf)
{
	uintptr_t at = tf->tf_rsp + 1; /* of bits 8 to 15 */
	uint8_t *byte;
	paddr_t pa;
	int prot;

	if (l->l_proc->p_vmspace != NULL &&
	    arch_debug_upage(l->l_proc->p_vmspace->vm_pmap, at, &pa, &prot) &&
	    (prot & PROT_W) != 0) {
		byte = (uint8_t *)arch_phys_to_virt(pa) + (at & PAGE_MASK);
		*byte = (uint8_t)((*byte & ~(RFLAGS_TF >> 8)) | RFLAGS_IF >> 8);
	}
}

void
arch_debug_step_end(struct lwp *l, const struct cpu *ci)
{
	struct trapframe *tf = gdb_frame(ci);
	struct switch_frame *sf = tf == NULL ? gdb_switch_frame(l) : NULL;

	if (sf != NULL && sf->sf_rip == (uintptr_t)gdb_step_thunk)
		sf->sf_rip = thunk_take(l);
	else if (tf != NULL && tf->tf_rip == (uintptr_t)gdb_step_thunk)
		tf->tf_rip = thunk_take(l);
	if (step.st_user) {
		if (tf == NULL || !tf_user(tf))
			tf = arch_user_frame(
			    l); /* it is in the kernel: this is where it will go on */
		if (step.st_masked && l->l_kstack != NULL && l->l_md.md_hasuser)
			tf->tf_rflags |= RFLAGS_IF;
		if (!step.st_hadtf && l->l_kstack != NULL && l->l_md.md_hasuser) {
			tf->tf_rflags &= ~RFLAGS_TF;
			if (step.st_insn == INSN_SYSCALL)
				tf->tf_r11 &= ~RFLAGS_TF;
			if (step.st_insn == INSN_PUSHF && tf->tf_rip == step.st_next)
				clean_pushed(l, tf);
		}
	} else if (tf != NULL) {
		end_in_kernel(tf);
	}
	step.st_user = step.st_masked = false;
	step.st_insn = INSN_OTHER;
}

/* => interrupts off */
void
gdb_step_user(struct trapframe *tf)
{
	if (tf->tf_rip == step.st_rip)
		tf->tf_rflags |= RFLAGS_TF; /* it has yet to be executed */
	else
		(void)debug_enter(tf, DEBUG_STEP, 0);
}

/* ---- traps ---- */

/* On the stack of debug exceptions, where another one must not come. */
static void
enter_silent(struct trapframe *tf, enum debug_cause cause, uintptr_t arg)
{
	(void)debug_enter(tf, cause, arg);
	__asm volatile("movq %0, %%db7" : : "r"(0ul));
}

bool
gdb_trap_debug(struct trapframe *tf, uint64_t dr6)
{
	bool ours = false, told = false, waits = false, mine;
	enum debug_cause cause;
	uintptr_t addr;

	if (!debug_on)
		return false;
	for (unsigned n = 0; n < 4; n++) {
		if ((dr6 >> n & 1) == 0)
			continue;
		if (!gdb_hw_hit(n, &cause, &mine, &addr)) {
			/* gdb took it away while this CPU was stopped on its way here; but a step may tell of any. */
			ours |= (dr6 & DR6_STEP) == 0;
			continue;
		}
		ours = true;
		if (cause == DEBUG_AWAIT) {
			waits = true;
		} else if (mine && !told) {
			told = true;
			enter_silent(tf, cause, addr);
		} else if (!mine && cause == DEBUG_HWBREAK) {
			tf->tf_rflags |= RFLAGS_RF; /* pass over it once */
		}
	}
	if (waits && !told)
		enter_silent(tf, DEBUG_AWAIT, 0);
	if ((dr6 & DR6_STEP) != 0) {
		if (atomic_load_relaxed(&debug_step_lwp) == arch_curlwp()) {
			if (!told)
				enter_silent(tf, DEBUG_STEP, 0);
			ours = true;
		} else if (!tf_user(tf)) {
			tf->tf_rflags &= ~RFLAGS_TF; /* of a step that was called off */
			ours = true;
		}
	}
	gdb_load_debug_registers(); /* the entry has turned them off */
	return ours;
}

static bool
user_break(struct trapframe *tf, uintptr_t rip)
{
	const struct lwp *l = arch_curlwp();
	uint8_t byte;

	if (debug_break_at(l->l_proc->p_vmspace, rip)) {
		tf->tf_rip = rip;
		return debug_enter(tf, DEBUG_SWBREAK, rip);
	}
	/* gdb took it away while this CPU was stopped on its way here. */
	if (debug_break_was(l->l_proc->p_vmspace, rip) && fetch(l, rip, true, &byte) &&
	    byte != ARCH_BREAK_INSN) {
		tf->tf_rip = rip;
		return true;
	}
	return false;
}

bool
gdb_trap_break(struct trapframe *tf)
{
	const struct lwp *l = arch_curlwp();
	uintptr_t rip = tf->tf_rip - 1;
	uint8_t byte;

	if (!debug_on)
		return false;
	if (tf_user(tf))
		return user_break(tf, rip);
	if (rip == (uintptr_t)gdb_step_thunk) {
		tf->tf_rip = thunk_take(l);
		if (atomic_load_relaxed(&debug_step_lwp) == l)
			(void)debug_enter(tf, DEBUG_STEP, 0);
		return true;
	}
	if (rip == (uintptr_t)arch_breakpoint) {
		bool stepped = atomic_load_relaxed(&debug_step_lwp) ==
		    l; /* and is to end: debug_step_gone() */

		return debug_enter(tf,
		    panicking     ? DEBUG_PANIC
			: stepped ? DEBUG_STEP
				  : DEBUG_START,
		    0);
	}
	if (debug_break_at(NULL, rip)) {
		tf->tf_rip = rip;
		if (!debug_enter(tf, DEBUG_SWBREAK, rip))
			debug_break_drop(rip);
		return true;
	}
	if (debug_break_was(NULL, rip) && fetch(l, rip, false, &byte) && byte != ARCH_BREAK_INSN) {
		tf->tf_rip = rip;
		return true;
	}
	return debug_attached && debug_enter(tf, DEBUG_TRAP, rip);
}
