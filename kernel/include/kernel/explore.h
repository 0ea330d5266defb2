/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedule exploration: a debug kernel decides from a seed which CPU proceeds. docs/races.md;
 * the theory is in kernel/debug/explore.c. Release builds: nothing.
 *
 * EXPLORE_POINT(KIND, obj) is a scheduling point: another CPU may proceed there, any number of steps, and
 * virtual interrupts come if interrupts are on. => any context but NMI; any lock may be held
 * layer: lib
 */
#ifndef KERNEL_EXPLORE_H
#define KERNEL_EXPLORE_H

#include <kernel/types.h>

/* X(KIND, name in the trace); what obj is stands behind. */
#define EXPLORE_KINDS(X) \
	X(LOCK, "lock")       /* a spin lock is about to be taken */ \
	X(LOCKWAIT, "waits")  /* ... and is held: this CPU goes on when it is free */ \
	X(UNLOCK, "unlock")   /* it was released */ \
	X(MUTEX, "mutex")     /* a mutex is about to be taken */ \
	X(RELEASE, "release") /* it was released */ \
	X(RWLOCK, "rwlock")   /* an rwlock is about to be taken */ \
	X(RWEXIT, "rwexit")   /* it was released */ \
	X(STATE, "state")     /* the state of an LWP was changed */ \
	X(LEND, "lend")       /* its lock was lent, and may be released by the new owner */ \
	X(OFFCPU, "offcpu")   /* it has left its CPU */ \
	X(WAKE, "wake")       /* a look for somebody to wake */ \
	X(ATOMIC, "atomic")   /* a word that others look at without a lock */ \
	X(FP, "fp")           /* a fail point */ \
	X(IPI, "ipi")         /* an interrupt was sent to a CPU */ \
	X(SYSCALL, "syscall") /* entry of a system call: its number */ \
	X(FAULT, "fault")     /* page fault: the address */ \
	X(USER, "user")       /* on the way to user mode, or in it: the address */ \
	X(SPIN, "spin")       /* waits in a loop for what another CPU does */ \
	X(IDLE, "idle")       /* goes on with the next interrupt */

enum explore_kind {
#define X(id, name) XK_##id,
	EXPLORE_KINDS(X)
#undef X
	    XK_COUNT
};

enum explore_intr { XI_TIMER, XI_RESCHED, XI_CALL, XI_COUNT };

struct bootinfo;
struct cpu;
struct trapframe;

#if defined(DEBUG) && __STDC_HOSTED__ == 0
extern bool explore_on;
#define EXPLORING unlikely(explore_on)
#else
#define EXPLORING 0
#endif

#define EXPLORE_POINT(kind, obj) \
	do { \
		if (EXPLORING) \
			explore_point(XK_##kind, (uintptr_t)(obj)); \
	} while (0)

/* In a loop that waits for what another CPU does. */
#define cpu_relax() \
	do { \
		if (EXPLORING) \
			explore_spin(); \
		else \
			arch_cpu_relax(); \
	} while (0)

void explore_point(enum explore_kind, uintptr_t obj);
void explore_point_at(enum explore_kind, uintptr_t pc, uintptr_t obj);
void explore_lockwait(const uint32_t *word); /* waits for 0. => interrupts off */
void explore_spin(void);
void explore_idle(void); /* in place of arch_cpu_idle() */

/* ---- in place of the machine's clock, timer and interrupts, while exploring ---- */

nsec_t explore_time(void);
void explore_timer_set(nsec_t when);
void explore_ipi(struct cpu *, enum explore_intr);
/* User mode was left. True: a step of the driver's, all is done. => interrupts off */
bool explore_user_enter(struct trapframe *);
void explore_syscall(uint64_t nr);
/* User mode is entered, with this frame, unless l_ast is set at return. => interrupts off */
void explore_user_exit(struct trapframe *);

/* ---- the run; each does nothing, if nothing is to be explored ---- */

#ifdef DEBUG
void explore_reserve(struct bootinfo *); /* memory, before the page allocator gets it */
void explore_start(void);                /* all other CPUs idle: from here on the driver decides */
void explore_begin(void);                /* init is about to start its program */
/* It has ended. Returns if the machine shall be turned off. => no lock held */
void explore_end(int status, unsigned leaks);
void explore_panic(const char *message); /* returns if the panic shall be reported */
#else
#define explore_reserve(bi)    ((void)(bi))
#define explore_start()        ((void)0)
#define explore_begin()        ((void)0)
#define explore_end(st, leaks) ((void)(st), (void)(leaks))
#define explore_panic(message) ((void)(message))
#endif

#endif
