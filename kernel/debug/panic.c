/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic: the last words of the kernel.
 *
 * Order: the first CPU here becomes the reporter, all others are stopped by NMI or stop themselves when they
 * come here too. Then the message, this CPU's backtrace and locks, where the other CPUs were, and what
 * panic_report() adds. A fault in the report comes back here: it is told in one line and ends the machine, so
 * that a broken structure cannot hide the message that was printed before.
 */
#include <kernel/panic.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/ksyms.h>
#include <kernel/lwp.h>
#include <kernel/mutex.h>
#include <kernel/printf.h>
#include <kernel/spinlock.h>

#define PANIC_STATUS 125
#define MAX_FRAMES   64
#define MAX_LOCKS    32

bool panicking;              /* (a) */
static uint32_t panic_owner; /* (a) the reporter's CPU index + 1 */
static uint32_t panic_depth; /* reporter only */
char panic_message[256];     /* for the debugger */

__attribute__((weak)) void
panic_report(void)
{
}

static int
lwp_id(const struct lwp *l)
{
	return l != NULL ? l->l_lid : -1;
}

static void
print_pc(const char *lead, uintptr_t pc, const char *trail)
{
	uintptr_t off;
	const char *name = ksym_lookup(pc, &off);

	if (name != NULL)
		kprintf("%s%#lx %s+%#lx%s\n", lead, pc, name, off, trail);
	else
		kprintf("%s%#lx%s\n", lead, pc, trail);
}

static void
print_frame(uintptr_t pc, bool trap)
{
	uintptr_t off;
	/* A return address may lie behind the function that made the call. */
	const char *name = ksym_lookup(trap ? pc : pc - 1, &off);

	if (name != NULL)
		kprintf(
		    "  %#lx %s+%#lx%s\n", pc, name, trap ? off : off + 1, trap ? " (trap)" : "");
	else
		kprintf("  %#lx%s\n", pc, trap ? " (trap)" : "");
}

/* Prints the kernel frames of a switched-out LWP or, with NULL, of the caller. => any context */
void
backtrace(const struct lwp *l)
{
	struct arch_walk w;
	unsigned n = 0;

	kprintf("backtrace:\n");
	arch_walk_start(&w, l);
	while (arch_walk_next(&w)) {
		if (n++ == MAX_FRAMES) {
			kprintf("  ...\n");
			break;
		}
		print_frame(w.pc, w.trap);
	}
}

#ifdef DEBUG
static void
print_locks(const struct cpu *ci, const struct lwp *l)
{
	const struct spinlock *s = ci->ci_spinlocks;
	const struct mutex *m = l != NULL ? l->l_locks : NULL;

	if (s == NULL && m == NULL)
		kprintf("locks held: none\n");
	else
		kprintf("locks held, newest first:\n");
	for (unsigned n = 0; s != NULL && n < MAX_LOCKS; n++, s = s->sl_next) {
		kprintf("  spin %s %p", s->sl_name, (const void *)s);
		print_pc(" taken at ", s->sl_pc, "");
	}
	for (unsigned n = 0; m != NULL && n < MAX_LOCKS; n++, m = m->mtx_next) {
		kprintf("  mutex %s %p", m->mtx_name, (const void *)m);
		print_pc(" taken at ", m->mtx_pc, "");
	}
}
#else
static void
print_locks(const struct cpu *ci, const struct lwp *l __unused)
{
	kprintf("spin locks held: %u\n", ci->ci_mtx_count);
}
#endif

static void
print_other_cpus(const struct cpu *me)
{
	cpuset_t online = atomic_load_relaxed(&cpu_online_set);
	struct cpu *ci;
	uintptr_t pc;

	for_each_cpu(ci)
	{
		if (ci == me || (online & CPU_BIT(ci)) == 0)
			continue;
		pc = cpu_stopped_pc(ci);
		kprintf("cpu%u lid%d: ", ci->ci_index, lwp_id(ci->ci_curlwp));
		if (pc != 0)
			print_pc("at ", pc, "");
		else
			kprintf("did not stop\n");
	}
}

static void
report(struct cpu *ci, const char *fmt, va_list ap)
{
	struct lwp *l = ci->ci_curlwp;

	vsnprintf(panic_message, sizeof(panic_message), fmt, ap);
	if (ncpu > 1)
		cpu_stop_others(true);
	kprintf("panic: cpu%u lid%d: %s\n", ci->ci_index, lwp_id(l), panic_message);
	backtrace(NULL);
	print_locks(ci, l);
	print_other_cpus(ci);
	panic_report();
}

void
panic(const char *fmt, ...)
{
	struct cpu *ci;
	uint32_t owner = 0;
	va_list ap;

	arch_intr_disable();
	ci = arch_curcpu();
	va_start(ap, fmt);
	if (atomic_cas(&panic_owner, &owner, ci->ci_index + 1)) {
		atomic_store_release(&panicking, true);
		report(ci, fmt, ap);
		debug_panic();
	} else if (owner != ci->ci_index + 1) {
		arch_halt();
	} else if (panic_depth++ == 0) {
		vsnprintf(panic_message, sizeof(panic_message), fmt, ap);
		kprintf("panic: cpu%u: again, in the report: %s\n", ci->ci_index, panic_message);
	}
	va_end(ap);
	arch_poweroff(PANIC_STATUS);
}
