/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor: commands that look at a kernel whose other CPUs are stopped, anywhere. A file registers
 * commands of its own with MONITOR_COMMAND(). docs/monitor.md.
 *
 * A command runs with interrupts off while locks are held by whoever was stopped and lists are half-way. So it
 * takes no lock and calls nothing that does, walks no list without a bound, and changes nothing unless that is
 * what it is for. A fault ends the command, or the part of it that monitor_try() calls, and no more.
 * layer: core
 */
#ifndef KERNEL_MONITOR_H
#define KERNEL_MONITOR_H

#include <kernel/types.h>

struct arch_walk;
struct lwp;

/* Where the text goes; lines end with "\n". */
struct monitor_out {
	void (*mo_write)(struct monitor_out *, const char *, size_t);
};

#define MONITOR_STAY     0
#define MONITOR_CONTINUE 1 /* the kernel shall go on */
#define MONITOR_REBOOT   2

/*
 * monitor_exec: run one command and tell what its caller is to do next. Text that is no command, an empty line
 * included, is answered, and MONITOR_STAY. Changes the string.
 * => all other CPUs stopped (cpu_stop_others(true) or a panic), interrupts off; any lock may be held, by this
 *    CPU too. Takes none, does not sleep.
 */
int monitor_exec(char *line, struct monitor_out *);
/*
 * monitor_enter: stop the others and talk with whoever sits at the console, until he lets the kernel go on.
 * `why` is shown. False, and nothing done, if this CPU has stopped the others already.
 * => no spin lock held; interrupt context is fine
 */
bool monitor_enter(const char *why);
/* The same for a kernel that has panicked. Returns when the machine shall be turned off. => others stopped */
void monitor_panic(void);
extern bool monitor_on_panic; /* constant after boot: option panic=monitor */

struct monitor_command {
	const char *mc_name; /* a word, or two with a blank between */
	const char *mc_args; /* for help: "LID", "[LINES]", "" */
	const char *mc_help;
	/* `args` is what stands behind the name, blanks at both ends removed. Returns MONITOR_*. */
	int (*mc_fn)(struct monitor_out *, char *args);
};

/* Placed into a linker set, sorted by id. */
#define MONITOR_COMMAND(id, name, args, help, fn) \
	static const struct monitor_command monitor_command_##id __attribute__(( \
	    used, aligned(8), section("set_monitor." #id))) = { name, args, help, fn }

/* ---- for commands ---- */

void mo_printf(struct monitor_out *, const char *fmt, ...) __printflike(2, 3);
/* Calls fn(arg); a fault in it is told in a line that says what was looked at. Returns false then. */
bool monitor_try(struct monitor_out *, const char *what, void (*fn)(void *), void *arg);
/* The LWP with that id; NULL, and a line that says so, if there is none. */
const struct lwp *monitor_lwp(struct monitor_out *, const char *id);
/*
 * Calls fn(v) for each LWP by its id, then for those that have given their id away but not yet left; a fault
 * costs that one call.
 */
struct monitor_visit {
	struct monitor_out *v_out;
	const struct lwp *v_lwp;
	unsigned v_count; /* fn's own */
};
unsigned monitor_each_lwp(struct monitor_out *, const char *what, void (*fn)(void *)); /* v_count */
/* What is left of the time limit of a sleep, if it has one. */
void mo_limit(struct monitor_out *, const struct lwp *);
/* Walks of lists stop here. */
#define MONITOR_MAXWALK 100000u

/* ---- text that panics and the monitor share; backtrace.c ---- */

extern struct monitor_out log_out; /* the kernel log */
/* `function+0x12`, or nothing if the address is no text's. */
void mo_symbol(struct monitor_out *, uintptr_t pc);
void mo_frames(struct monitor_out *, struct arch_walk *);
/* Kernel frames of any LWP. => others stopped, or l switched out and staying so */
void mo_backtrace(struct monitor_out *, const struct lwp *);
/* Locks held by an LWP and, if it is on a CPU, by that CPU. What a release build does not record is not there. */
unsigned mo_locks(struct monitor_out *, const struct lwp *);

#endif
