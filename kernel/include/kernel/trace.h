/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace: what the scheduler and its clients did, in a ring of events for each CPU. docs/trace.md.
 *
 * TRACE(EVENT, arg, a, b) is a trace point: one no-operation in the text while the event's class is off.
 * => any context, NMI included; any lock may be held; arguments are evaluated only while it is on
 * layer: core
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include <kernel/types.h>

#if !__STDC_HOSTED__
#include <arch/branch_md.h>
#endif

/* X(CLASS, name in `trace=`) */
#define TRACE_CLASSES(X) \
	X(SCHED, "sched")     /* switch, migrate, steal, priority lent */ \
	X(WAKE, "wake")       /* who made whom runnable */ \
	X(STATE, "state")     /* every change of an LWP's state */ \
	X(LIFE, "life")       /* create, exit step by step, free, fork, exec, wait */ \
	X(SIGNAL, "signal")   /* posted, delivered */ \
	X(LOCK, "lock")       /* contention of mutexes and spin locks */ \
	X(IPI, "ipi")         /* interrupts between CPUs, TLB shootdowns */ \
	X(SYSCALL, "syscall") /* entry and return of each system call */ \
	X(FAULT, "fault")     /* page faults and other exceptions */ \
	X(ALLOC, "alloc")     /* an allocation that must wait, or fails */

enum trace_class {
#define X(id, name) TRC_##id,
	TRACE_CLASSES(X)
#undef X
	    TRC_COUNT
};

/* X(EVENT, class, name); what arg, a and b mean stands behind. l is the LWP that the event is about. */
#define TRACE_EVENTS(X) \
	X(SWITCH, SCHED, "switch")   /* state | TRACE_INVOLUNTARY, next lid, wmesg if SLEEP */ \
	X(MIGRATE, SCHED, "migrate") /* from, lid, to */ \
	X(STEAL, SCHED, "steal")     /* from, lid, to */ \
	X(LEND, SCHED, "lend")       /* priority (255: none), lid, lock */ \
	X(WAKE, WAKE, "wake")        /* CPU, lid, 1 if it had not left its CPU yet */ \
	X(STATE, STATE, "state")     /* new, lid, old */ \
	X(CREATE, LIFE, "create")    /* 1 if vfork, lid, pid | parent's pid << 32 if by fork */ \
	X(FREE, LIFE, "free")        /* 1 if collected, lid, pid | status << 32 */ \
	X(EXEC, LIFE, "exec")        /* -, lid from now on, lid before */ \
	X(EXIT, LIFE, "exit")        /* enum trace_exit, pid, status | 1 << 32 if it has others */ \
	X(WAIT, LIFE, "wait")        /* -, id asked for, options */ \
	X(POST, SIGNAL, "post")      /* signal, pid, lid or 0 */ \
	X(DELIVER, SIGNAL, "deliver")     /* signal, -, handler */ \
	X(LOCK_WAIT, LOCK, "lock-wait")   /* enum trace_lock, name or pc (low half), lock */ \
	X(LOCK_SLEEP, LOCK, "lock-sleep") /* -, owner's lid, lock */ \
	X(LOCK_GOT, LOCK, "lock-got")     /* enum trace_lock, -, lock */ \
	X(LOCK_HAND, LOCK, "lock-hand")   /* -, waiters, lock */ \
	X(IPI, IPI, "ipi")                /* enum trace_ipi, CPU, - */ \
	X(SHOOT, IPI, "shootdown")        /* pages, 255 = all; -, CPUs */ \
	X(SHOT, IPI, "shootdown-done")    /* -, -, - */ \
	X(SYSCALL, SYSCALL, "syscall")    /* -, number, first argument */ \
	X(SYSRET, SYSCALL, "sysret")      /* -, number, result */ \
	X(FAULT, FAULT, "fault")          /* trap, error code, address */ \
	X(FAULT_END, FAULT, "fault-done") /* -, -, - */ \
	X(STALL, ALLOC, "stall")          /* -, -, - */ \
	X(STALL_END, ALLOC, "stall-done") /* -, -, pages gained */ \
	X(NOMEM, ALLOC, "nomem") /* page_kind, pages, -; PG_NKINDS: refused to a user, bytes, - */

enum trace_type {
#define X(id, class, name) TR_##id,
	TRACE_EVENTS(X)
#undef X
	    TR_COUNT
};

enum {
#define X(id, class, name) TRACE_CLASS_##id = TRC_##class,
	TRACE_EVENTS(X)
#undef X
};

#define TRACE_INVOLUNTARY 0x80

#define TRACE_EXIT_STEPS(X) \
	X(LWP, "lwp")     /* one LWP of several */ \
	X(BEGIN, "begin") /* of a process: if there are others, they must die */ \
	X(ALONE, "alone") /* these are dead and freed */ \
	X(FILES, "files") /* closed */ \
	X(SPACE, "space") /* address space freed */ \
	X(DEAD, "dead")   /* children handed over, parent may see it */ \
	X(ZOMB, "zomb")   /* only the switch is left */

enum trace_exit {
#define X(id, name) TRX_##id,
	TRACE_EXIT_STEPS(X)
#undef X
	    TRX_COUNT
};

#define TRACE_LOCK_KINDS(X) \
	X(MUTEX, "mutex") X(SPIN, "spin") X(RWLOCK, "rwlock") X(PIFUTEX, "pi-futex")
enum trace_lock {
#define X(id, name) TRL_##id,
	TRACE_LOCK_KINDS(X)
#undef X
};

#define TRACE_IPI_KINDS(X) X(RESCHED, "resched") X(CALL, "call") X(NMI, "nmi")
enum trace_ipi {
#define X(id, name) TRI_##id,
	TRACE_IPI_KINDS(X)
#undef X
};

struct lwp;
struct monitor_out;
struct proc;

#if __STDC_HOSTED__
/* Unit tests on the build machine. */
#define TRACE(type, arg, a, b) ((void)0)
#define TRACE_NAME(l, new)     ((void)0)
#else
#define TRACE(type, arg, a, b) \
	do { \
		if (unlikely(arch_branch(TRACE_CLASS_##type))) \
			arch_branch_call(trace_write, TR_##type | (uint8_t)(arg) << 8, \
			    (uint32_t)(a), (uint64_t)(b)); \
	} while (0)
/* The LWP is new (CREATE), or it or its process is called otherwise from now on; of class life. */
#define TRACE_NAME(l, new) \
	do { \
		if (unlikely(arch_branch(TRC_LIFE))) \
			arch_branch_call_c(trace_name, (uintptr_t)(l), (new), 0); \
	} while (0)
#endif

/* `what` is the event | arg << 8. */
void trace_write(uint64_t what, uint64_t a, uint64_t b);
#if !__STDC_HOSTED__
void trace_name(const struct lwp *, bool new);
#endif

/* ---- control, kernel/debug/trace.c ---- */

/* At the end of the boot: what the option asks for. => interrupts on, no lock held */
void trace_init(void);
/* Classes by name, separated by commas; "all", "off". -EINVAL. */
int trace_parse(const char *names, uint64_t *classes);
/*
 * Switches the trace to exactly these classes (bits 1 << TRC_*); rings are made the first time.
 * => interrupts on, no lock held. -ENOMEM
 */
int trace_set(uint64_t classes);
uint64_t trace_classes(void);
/* Freezes or goes on; events meanwhile are not recorded. => any context */
void trace_freeze(bool);
/* Prints the newest n events of all CPUs in the order of time, oldest first. => any context */
void trace_dump(unsigned n, struct monitor_out *);

/* ---- the rings, kernel/core/trace.c; tools/tracelib.py reads them out of the machine's memory ---- */

struct trace_event {
	uint64_t te_cycles;
	uint32_t te_seq; /* low half of its number + 1, written last */
	union {
		struct {
			uint8_t te_type; /* enum trace_type */
			uint8_t te_arg;
			uint8_t te_intr; /* nested interrupts: who ran has nothing to do with it */
		};
		uint32_t te_what; /* the three at once */
	};
	int32_t te_lid; /* who ran */
	uint32_t te_a;
	uint64_t te_b;
};
_Static_assert(sizeof(struct trace_event) == 32, "struct trace_event");

/* How an LWP is called. */
struct trace_called {
	uint64_t tn_cycles;
	uint32_t tn_seq; /* as above */
	int32_t tn_lid, tn_pid, tn_ppid;
	uint64_t tn_proc; /* its address, which is that of p_lock */
	char tn_lname[16], tn_comm[16];
};
_Static_assert(sizeof(struct trace_called) == 64, "struct trace_called");

#define TRACE_CHUNK_PAGES ((size_t)256)
#define TRACE_CHUNKS      32

/*
 * struct trace_ring, field locks: (c) constant once the ring is in use (a) atomic
 *
 * The slot of number n is n & mask; what had it before is lost.
 */
struct trace_ring {
	uint64_t tr_head;             /* (a) number of the next event */
	uint64_t tr_mask;             /* (c) slots - 1; a power of two */
	uint32_t tr_size;             /* (c) of a slot */
	uint32_t tr_perchunk;         /* (c) slots in a chunk */
	void *tr_slots;               /* (c) where the chunks are mapped, one behind the other */
	void *tr_chunk[TRACE_CHUNKS]; /* (c) each in the direct map, for the tools */
} __attribute__((aligned(64)));

/* Names of values, for the tools. */
struct trace_table {
	const char *tt_name;
	const char *const *tt_names;
	uint64_t tt_count;
};

/* struct trace_root, field locks: (c) constant once the trace is on (a) atomic */
struct trace_root {
	char tr_magic[8];    /* (c) */
	uint32_t tr_version; /* (c) */
	uint32_t tr_ncpu;    /* (c) */
	uint64_t tr_hz;      /* (c) cycles in a second */
	uint64_t tr_base;    /* (c) cycles when the kernel's clock was 0 */
	uint64_t tr_physmap; /* (c) address of the direct map */
	uint64_t tr_classes; /* (a) */
	uint64_t tr_started; /* (a) cycles when it was last switched on */
	uint32_t tr_pad;
	uint32_t tr_ntables;                 /* (c) */
	const struct trace_table *tr_tables; /* (c) */
	struct trace_ring *tr_rings;         /* (c) one a CPU */
	struct trace_ring *tr_names;         /* (c) of struct trace_called */
};
#define TRACE_MAGIC   "TBtrace"
#define TRACE_VERSION 2

extern struct trace_root trace_root;
extern struct trace_ring trace_rings[MAXCPUS];
extern struct trace_ring trace_names;
extern struct trace_ring trace_sink; /* while frozen */

static inline struct trace_event *
trace_event_slot(const struct trace_ring *r, uint64_t n)
{
	return (struct trace_event *)r->tr_slots + (n & r->tr_mask);
}

static inline struct trace_called *
trace_name_slot(const struct trace_ring *r, uint64_t n)
{
	return (struct trace_called *)r->tr_slots + (n & r->tr_mask);
}

#endif
