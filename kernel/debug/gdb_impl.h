/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the gdb stub share.
 *
 *	gdb_packet.c   packets: framing, numbers, ids
 *	gdb_port.c     sends and receives them
 *	gdb_stop.c     stops the CPUs, lets them go
 *	gdb_thread.c   LWPs as gdb's threads
 *	gdb_memory.c   memory of the kernel and of processes
 *	gdb_break.c    software breakpoints
 *	gdbstub.c      the commands
 *	gdb_register.c those on registers
 *	gdb_query.c    those that begin with q and Q
 *
 * Nothing here takes a lock that the stopped kernel may hold, or allocates.
 */
#ifndef DEBUG_GDB_IMPL_H
#define DEBUG_GDB_IMPL_H

#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/types.h>

#include "gdb_packet.h"

/* Runs in ordinary context: not among the code in which a stopped CPU is at home, see debug_fresh(). */
#define __stub_caller __attribute__((noinline, section(".stub_caller")))

struct page;
struct proc;
struct vmspace;

/* ---- gdb_port.c; used by whoever owns the stopped world, or holds its lock ---- */

extern struct gdb_rx gdb_rx;
extern struct gdb_tx gdb_tx;
extern bool gdb_noack;

/* Takes what has come in, up to a packet or a break; GDB_NOTHING when there is no more. */
enum gdb_event gdb_poll(void);
void gdb_port_rest(void); /* between two polls that found nothing */
/* A packet came that gdb_receive() has not handed out yet. */
bool gdb_have_packet(void);
/* Waits for a packet (in gdb_rx). */
void gdb_receive(void);
/* Sends gdb_tx as a packet, again until it is acknowledged. */
void gdb_send(void);
/* The same before the world goes on: gdb may close the connection at once, and its acknowledgement is lost with it. */
void gdb_send_last(void);
/* Text for gdb's console. */
void gdb_console(const char *, size_t);

/* ---- gdb_stop.c ---- */

/* struct debug_cpu, field locks: (a) atomic (o) its CPU */
struct debug_cpu {
	struct trapframe *dc_frame; /* (a) where the CPU was stopped; NULL = it runs */
	struct trapframe *dc_last;  /* (o) the frame through which it leaves the stub */
	uint32_t dc_busy;           /* (a) it is in the stub: an NMI must not park it again */
	uint32_t dc_parked;         /* (a) it waits to be let go */
	uint32_t dc_nmi;            /* (a) an NMI of ours is under way */
	bool dc_nohalt;             /* (o) no NMI could wake it */
	uint32_t dc_left;           /* (a) counts how often it was let go */
	uint32_t dc_probe;          /* (a) the NMI that is under way asks whether it runs */
	uint32_t dc_probes;         /* (o) answers; the watcher's while dc_probe is 0 */
};

extern struct debug_cpu debug_cpus[MAXCPUS];

/* What is to run next. */
struct debug_resume {
	cpuset_t dr_run; /* CPUs to let go; of the others, those that are stopped stay so */
	bool dr_timed;   /* one step that may need the others: when it takes long, all are let go */
	struct lwp *dr_step; /* LWP to do one step, or NULL */
	bool dr_lone;        /* gdb lets nothing else run meanwhile */
};

/* CPU that runs `l` and is stopped, or NULL. */
struct cpu *debug_cpu_of(const struct lwp *l);
/* CPUs that did not obey. */
cpuset_t debug_unstopped(void);

/* ---- gdb_thread.c ---- */

/* gdb's number of the kernel process, and of LWP 0: above all real ids, for gdb knows no 0. */
#define GDB_KERNEL_PID 1000000
#define GDB_NOBODY     INT32_MAX /* no process has it */

pid_t gdb_pid(const struct proc *);
lwpid_t gdb_tid(const struct lwp *);
/* Calls fn for every LWP until it returns false. */
void gdb_each_lwp(bool (*fn)(void *, struct lwp *), void *arg);
/* Is it in the lists that gdb gets? */
bool gdb_listed(const struct lwp *);
/* From now on all processes that there are now, and those of LWPs that stop. */
void gdb_show_all(void);
struct lwp *gdb_find_lwp(const struct gdb_id *);
struct proc *gdb_find_proc(int64_t pid);
const char *gdb_lwp_name(const struct lwp *);
/* "SLEEP wait cpu1" */
void gdb_lwp_text(const struct lwp *, char *buf, size_t size);
void gdb_put_id(struct gdb_tx *, const struct lwp *);

/* ---- gdb_memory.c ---- */

/* Bytes read or written before the first that cannot be. `p` is the process for user addresses. */
size_t gdb_read(const struct proc *p, uintptr_t addr, void *dst, size_t n);
size_t gdb_write(const struct proc *p, uintptr_t addr, const void *src, size_t n);
/*
 * Where the byte at a user address is, once it is in a page that this address space alone has.
 * 0; -EFAULT not there; -EBUSY the address space is being changed; -ENOMEM; -EACCES shared memory.
 */
int gdb_own_page(struct vmspace *, vaddr_t, paddr_t *);
bool gdb_kernel_text(vaddr_t);       /* kernel code, breakpoints allowed */
bool gdb_memory_wants(void);         /* the pool of pages is not full */
bool gdb_memory_give(struct page *); /* false: it is full. => world_lock */

/* ---- gdb_break.c ---- */

int gdb_break_insert(const struct proc *p, vaddr_t);
int gdb_break_remove(const struct proc *p, vaddr_t);
void gdb_break_clear(void); /* all, gdb's debug registers too */
/* Into memory when the world goes on, out of it when it has stopped: a stopped kernel is as it was. */
void gdb_break_plant(uintptr_t skip); /* but for one in kernel text at `skip` */
void gdb_break_lift(void);

/* ---- gdbstub.c ---- */

/* Serves gdb until something is to run; it is told that this LWP stopped. */
void gdb_serve(enum debug_cause, uintptr_t arg, struct lwp *, struct debug_resume *);
void gdb_reply_error(int error);
void gdb_reply_ok(void);

extern struct gdb_session {
	struct gdb_id ss_general;  /* of H g */
	enum debug_cause ss_cause; /* of this stop */
	uintptr_t ss_arg;
	struct lwp *ss_lwp;          /* LWP that stopped */
	bool ss_running;             /* gdb waits for a stop reply */
	bool ss_swbreak, ss_hwbreak; /* gdb knows these stop reasons */
	bool ss_fresh;               /* nothing ran since gdb came: `?` shows the kernel first */
	bool ss_select;              /* only processes that gdb has asked for are listed */
	bool ss_noack;               /* it wants no more acks */
	bool ss_wait;                /* option gdb=wait */
} gdb_session;

/* Path of the kernel's ELF file on gdb's machine, from tools/run; "" = not told. */
#define GDB_FILE_MAX 512
extern char gdb_kernel_file[GDB_FILE_MAX];

/* ---- gdb_register.c: g G p P ---- */

void gdb_read_registers(const char *packet);
void gdb_write_registers(const char *packet);

/* ---- gdb_query.c ---- */

void gdb_query(const char *packet, size_t len); /* q... and Q... */

#endif
