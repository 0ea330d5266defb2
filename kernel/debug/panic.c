/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic: the last words of the kernel.
 *
 * Order: the first CPU here becomes the reporter, all others are stopped by NMI or stop themselves when they
 * come here too. Then the message, this CPU's backtrace and locks, where the other CPUs were, and what
 * panic_report() adds. Then the monitor, with `panic=monitor`, or the end of the machine. A fault in the report
 * or a panic in the monitor comes back here: it is told in one line and ends the machine, so that a broken
 * structure cannot hide the message that was printed before.
 */
#include <kernel/panic.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/explore.h>
#include <kernel/gdbstub.h>
#include <kernel/ksyms.h>
#include <kernel/log.h>
#include <kernel/lwp.h>
#include <kernel/monitor.h>
#include <kernel/printf.h>

#define PANIC_STATUS 125

bool panicking;              /* (a) */
bool panic_everyone;         /* reporter only */
static uint32_t panic_owner; /* (a) the reporter's CPU index + 1 */
static uint32_t panic_depth; /* reporter only */
char panic_message[256];     /* for the debugger */
void (*panic_detail)(void);

__attribute__((weak)) void
panic_report(void)
{
}

void
panic_symbol(uintptr_t pc)
{
	kprintf("%#lx ", pc);
	mo_symbol(&log_out, pc);
}

static int
lwp_id(const struct lwp *l)
{
	return l != NULL ? l->l_lid : -1;
}

static void
print_locks(const struct lwp *l)
{
	kprintf("locks held, newest first:\n");
	if (l == NULL || mo_locks(&log_out, l) == 0)
		kprintf("  none\n");
}

static void
print_other_cpus(const struct cpu *me)
{
	cpuset_t online = atomic_load_relaxed(&cpu_online_set);
	struct cpu *ci;

	for_each_cpu(ci)
	{
		if (ci == me || (online & CPU_BIT(ci)) == 0)
			continue;
		kprintf("cpu%u lid%d:\n", ci->ci_index, lwp_id(ci->ci_curlwp));
		mo_backtrace(&log_out, ci->ci_curlwp);
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
	if (panic_detail != NULL)
		panic_detail();
	print_locks(l);
	print_other_cpus(ci);
	panic_report();
}

void
panic_asked(void)
{
	const struct cpu *ci = arch_curcpu();
	cpuset_t online = atomic_load_relaxed(&cpu_online_set);

	if ((online & (CPU_BIT(ci) - 1)) != 0 || atomic_load_relaxed(&panicking))
		return;
	panic_everyone = true;
	panic("NMI from outside");
}

void
panic(const char *fmt, ...)
{
	struct cpu *ci;
	uint32_t owner = 0;
	va_list ap;

	arch_intr_disable();
	ci = arch_curcpu();
	if (EXPLORING) {
		static char early[sizeof(panic_message)];

		va_start(ap, fmt);
		vsnprintf(early, sizeof(early), fmt, ap);
		va_end(ap);
		explore_panic(early);
	}
	va_start(ap, fmt);
	if (atomic_cas(&panic_owner, &owner, ci->ci_index + 1)) {
		atomic_store_release(&panicking, true);
		if (monitor_on_panic)
			log_set_console(true);
		report(ci, fmt, ap);
		debug_panic();
		if (monitor_on_panic)
			monitor_panic();
	} else if (owner != ci->ci_index + 1) {
		arch_halt();
	} else if (panic_depth++ == 0) {
		vsnprintf(panic_message, sizeof(panic_message), fmt, ap);
		kprintf("panic: cpu%u: again, in the report: %s\n", ci->ci_index, panic_message);
	}
	va_end(ap);
	arch_poweroff(PANIC_STATUS);
}
