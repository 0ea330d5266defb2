/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The per-CPU structure.
 * layer: core
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <kernel/list.h>
#include <kernel/types.h>

#include <arch/cpu_types.h> /* struct arch_cpu */

struct lwp;
struct vmspace;
struct spinlock;
struct trapframe;
struct trace_ring;

/*
 * struct cpu, field locks:
 *   (c) constant once the CPU runs    (o) this CPU only, interrupts off where an interrupt uses it too
 *   (a) atomic                        (r) this CPU's run-queue lock, spc_mutex; see <kernel/sched.h>
 */
struct cpu {
	/* Hot: switch, system call entry. Offsets are exported to assembly by genassym. */
	struct cpu *ci_self;    /* (c) for one-instruction curcpu() */
	struct lwp *ci_curlwp;  /* (o) the LWP that runs here */
	struct arch_cpu ci_md;  /* (o) machine-dependent part: kernel stack top, scratch, TSS ... */
	uint32_t ci_mtx_count;  /* (o) spin locks held */
	bool ci_mtx_intr;       /* (o) were interrupts on before the first of them */
	uint32_t ci_intr_depth; /* (o) nested interrupts */
	uint32_t ci_want_resched; /* (a) RESCHED_* bits; set under spc_mutex, see sched */
	unsigned ci_index;        /* (c) dense, 0 = boot CPU */
	struct lwp *ci_idlelwp;   /* (c) */
	struct vmspace
	    *ci_vmspace; /* (o) address space whose page tables are loaded; NULL = kernel's */
	struct schedstate *ci_spc; /* (c) run queue and the two lock objects it lends */
#ifdef DEBUG
	struct spinlock *ci_spinlocks; /* (o) held spin locks, newest first */
	struct spinlock *ci_spinwait;  /* (o) the one that it spins for, or NULL */
#endif
	/* Cold. */
	uint32_t ci_hwid __cacheline_aligned; /* (c) APIC id */
	uint32_t ci_online;                   /* (a) */
	uint32_t ci_parked;                   /* (a) stopped by cpu_stop_others() */
	uint64_t ci_nsyscall;                 /* (o) statistics */
	uint64_t ci_nintr;                    /* (o) */
	uint64_t ci_nswitch;                  /* (o) */
	uint64_t ci_nexit;                    /* (o) LWPs that died here */
	uint64_t ci_xlwps;                    /* (o) freed here, but died on another CPU: LWPs */
	uint64_t ci_xstacks;                  /* (o) ... kernel stacks */
	uint64_t ci_xpages;                   /* (o) ... pages of address spaces */
	struct trace_ring *ci_trace;          /* (a) where its events go */
} __cacheline_aligned;

extern struct cpu cpu0;           /* the boot CPU */
extern struct cpu *cpus[MAXCPUS]; /* set before cpu_online_set says that the CPU runs */
extern unsigned ncpu;             /* CPUs found; indices 0 .. ncpu-1 */
extern cpuset_t cpu_online_set;   /* (a) CPUs that run */

#define CPU_BIT(ci) ((cpuset_t)1 << (ci)->ci_index)
#define for_each_cpu(ci) \
	for (unsigned ci##_i = 0; ci##_i < ncpu && ((ci) = cpus[ci##_i], true); ci##_i++)

/*
 * cpu_call: run fn(arg) in interrupt context (interrupts off) on every online CPU of `set`, and here
 * by a plain call if the set holds this CPU; returns when all have finished.
 * => interrupts on, no spin lock held; does not sleep (spins for the answers).
 * Also the grace period of lock-free readers: who reads with interrupts off has finished when a
 * cpu_call() to all CPUs that began later returns.
 */
void cpu_call(cpuset_t set, void (*fn)(void *), void *arg);
#ifdef DEBUG
extern uint32_t cpu_calls; /* (a) calls to other CPUs so far */
#endif

/*
 * cpu_stop_others: park all other CPUs with interrupts off until cpu_resume_others().
 * By interrupt (`hard` = false: no CPU is inside a spin-lock section when this returns) or by NMI
 * (`hard` = true: anywhere; for panic and debugger).
 * => `hard` = false: interrupts on, no spin lock held. One stopper at a time.
 */
void cpu_stop_others(bool hard);
void cpu_resume_others(void);
/* The hard stop for who cannot wait for another stopper: false, nothing done, if there is one. */
bool cpu_trystop_others(void);
bool cpu_is_stopper(void); /* Is it this CPU? => interrupts off */
/* Where a CPU was when a hard stop, or gdb, parked it; 0 or NULL = it is not stopped by NMI. */
uintptr_t cpu_stopped_pc(const struct cpu *);
const struct trapframe *cpu_stopped_frame(const struct cpu *);
/*
 * For the gdb stub, on whose CPUs the NMI of a hard stop has no effect: they obey when they leave it.
 * => interrupts off
 */
bool cpu_stop_wanted(const struct cpu *);
void cpu_obey_stop(struct trapframe *);
bool cpu_hard_parked(const struct cpu *);
/* (a) All others are parked, anywhere: the locks that they hold are not released until the resume. */
extern bool cpu_stopped_hard;

#endif
