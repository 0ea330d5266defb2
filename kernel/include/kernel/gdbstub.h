/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-kernel gdb stub, as the machine layer and the rest of the kernel see it. docs/gdbstub.md.
 * Kernel options: gdb=com2 (a gdb may attach at any time), gdb=wait (the same; the start of the kernel, and a
 * panic, wait for one).
 * layer: core
 */
#ifndef KERNEL_GDBSTUB_H
#define KERNEL_GDBSTUB_H

#include <kernel/atomic.h>
#include <kernel/types.h>

struct cpu;
struct lwp;
struct trapframe;
struct vmspace;

/* Why a CPU comes to the stub. */
enum debug_cause {
	DEBUG_SWBREAK, /* breakpoint instruction that gdb placed; the frame points at it */
	DEBUG_HWBREAK, /* debug register, execution; `arg` = address */
	DEBUG_WATCH,   /* debug register, data; `arg` = address */
	DEBUG_AWAIT,   /* debug register, what the stub itself waits for */
	DEBUG_STEP,    /* the step of debug_step_lwp is done */
	DEBUG_INTR,    /* gdb wants attention: ^C or a packet */
	DEBUG_TRAP,    /* a breakpoint instruction of the kernel's own */
	DEBUG_START,   /* gdb=wait */
	DEBUG_PANIC
};

extern bool debug_on;              /* constant after boot: there is a stub */
extern bool debug_attached;        /* (a) a gdb is there */
extern struct lwp *debug_step_lwp; /* (a) LWP that does one step for gdb, or NULL */
extern uint32_t debug_nubreaks;    /* (a) breakpoints, debug registers of one address space */

/* Opens the port, starts listening; with gdb=wait does not return before a gdb said so. => boot, interrupts on */
void debug_init(void);
/* Every other CPU, before it is online. => interrupts off */
void debug_cpu_init(void);
/* Panic: lets a gdb look; returns when it has seen enough, at once if there is none to wait for. => interrupts off */
void debug_panic(void);

/*
 * CPUs that have left the stub and are on the way back to what gdb has stopped. => bit cleared, by debug_fresh(),
 * before the stub's code is called for anything new: an NMI in that code must not take it for the way out
 */
extern bool debug_leaving[]; /* its CPU only */

static inline void
debug_fresh(unsigned index)
{
	debug_leaving[index] = false;
	compiler_barrier();
}

/* ---- called by the machine layer; => interrupts off, any context ---- */

/*
 * The CPU has met something for gdb: stops all CPUs and serves gdb until it lets this one go on. Registers in the
 * frame may have been changed. On a CPU that is inside the stub already, returns false at once.
 */
bool debug_enter(struct trapframe *, enum debug_cause, uintptr_t arg);
/* Registers of a CPU that is stopped; NULL = it runs. */
struct trapframe *debug_frame(const struct cpu *);
/* NMI. True when the stub has dealt with it, and with a hard stop if there is one (cpu_stop_wanted()). */
bool debug_nmi(struct trapframe *);
/* The CPU waits in the stub until gdb, or the stub on another CPU, lets it go. */
bool debug_holds(const struct cpu *);
/* There are bytes at the port. */
void debug_input(struct trapframe *);
/* The interrupt that the stub sends to itself: work that needs the kernel alive. */
void debug_self_ipi(struct trapframe *);
/* Is a breakpoint of gdb's in place here? `vm` = NULL: kernel text. */
bool debug_break_at(const struct vmspace *vm, vaddr_t);
/* Was one there that gdb has taken away? */
bool debug_break_was(const struct vmspace *vm, vaddr_t);
/* The stub itself has run into one in kernel text: out with it, until the world goes on. */
void debug_break_drop(vaddr_t);

/*
 * Takes the breakpoints in kernel text out before the text is changed, and puts them in afterwards.
 * => interrupts off, other CPUs parked
 */
void debug_text_change(bool begin);

/*
 * An exit, before the LWP's id is gone: gdb hears of a step of this LWP now or never.
 * => called only if it is debug_step_lwp
 */
void debug_step_gone(void);

/* ---- called by the memory code, only while debug_nubreaks != 0 ---- */

/* Takes breakpoints out of a child's copy. 0 or -ENOMEM. => nobody else knows `child` */
int debug_fork(struct vmspace *child, const struct vmspace *parent);
void debug_vmspace_gone(const struct vmspace *);

#endif
