/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The newest events as text: for the monitor, and wherever the tools of the host are not at hand.
 *
 * Each CPU's ring is read backwards at first, to find where the newest n of all CPUs begin, then forwards
 * in the order of time. Nothing is locked: an event that is overwritten meanwhile, or that a CPU was stopped
 * in the middle of writing, is left out and counted.
 */
#include <kernel/trace.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/monitor.h>
#include <kernel/printf.h>
#include <kernel/sched.h>
#include <kernel/string.h>

#include "trace_tables.h"

#define DETAILS 34    /* columns that are left for an event's values */
#define ERRORS  4096u /* results above -ERRORS are errors */

/* Is the slot of event number n still its own? What it holds may be unfinished. */
static bool
slot_kept(const struct trace_ring *r, uint64_t n)
{
	return atomic_load_relaxed(&r->tr_head) - n <= r->tr_mask + 1;
}

/* Copies event number n. Returns false if it is not, or no longer, there. */
static bool
event_get(const struct trace_ring *r, uint64_t n, struct trace_event *e)
{
	const struct trace_event *slot = trace_event_slot(r, n);

	if (atomic_load_acquire(&slot->te_seq) != (uint32_t)n + 1)
		return false;
	*e = *slot;
	atomic_fence_full();
	return e->te_type < TR_COUNT && slot_kept(r, n);
}

static const char *
state_name(unsigned s)
{
	s &= ~(unsigned)TRACE_INVOLUNTARY;
	return s < LS_COUNT ? lwp_state_name[s] : "?";
}

/* A system call with a value; a long name gives way to it. */
static void
print_call(struct monitor_out *out, uint32_t nr, const char *value)
{
	mo_printf(out, "%.*s %s", DETAILS - 1 - (int)strlen(value), trace_syscall_name(nr), value);
}

static void
print_details(struct monitor_out *out, const struct trace_event *e)
{
	char value[24];

	switch (e->te_type) {
	case TR_SWITCH:
		mo_printf(out, "to %u, %s%s", e->te_a, state_name(e->te_arg),
		    e->te_arg & TRACE_INVOLUNTARY ? " (preempted)" : "");
		if (e->te_b != 0)
			mo_printf(out, " %.10s", (const char *)(uintptr_t)e->te_b);
		break;
	case TR_MIGRATE:
	case TR_STEAL:
		mo_printf(out, "%u from cpu%u to cpu%lu", e->te_a, e->te_arg, e->te_b);
		break;
	case TR_WAKE:
		mo_printf(out, "%u on cpu%u", e->te_a, e->te_arg);
		break;
	case TR_STATE:
		mo_printf(out, "%u %s -> %s", e->te_a, state_name((unsigned)e->te_b),
		    state_name(e->te_arg));
		break;
	case TR_CREATE:
	case TR_FREE:
		mo_printf(out, "%u of pid %u", e->te_a, (uint32_t)e->te_b);
		break;
	case TR_EXIT:
		mo_printf(out, "pid %u %s", e->te_a,
		    e->te_arg < TRX_COUNT ? trace_exit_name[e->te_arg] : "?");
		break;
	case TR_SYSCALL:
	case TR_SYSRET:
		snprintf(value, sizeof(value),
		    e->te_type == TR_SYSRET && -e->te_b < ERRORS ? "%ld" : "%#lx", e->te_b);
		print_call(out, e->te_a, value);
		break;
	case TR_IPI:
		mo_printf(out, "%s to cpu%u",
		    e->te_arg <= TRI_NMI ? trace_ipi_name[e->te_arg] : "?", e->te_a);
		break;
	default:
		mo_printf(out, "%u %d %#lx", e->te_arg, (int32_t)e->te_a, e->te_b);
	}
}

static void
print_event(struct monitor_out *out, unsigned cpu, const struct trace_event *e)
{
	uint64_t ticks = e->te_cycles - trace_root.tr_base, hz = trace_root.tr_hz;
	uint64_t ns = ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;

	mo_printf(out, "%5lu.%09lu cpu%-2u %c%-7d %-14s ", ns / 1000000000, ns % 1000000000, cpu,
	    e->te_intr != 0 ? '*' : ' ', e->te_lid, trace_event_name[e->te_type]);
	print_details(out, e);
	mo_printf(out, "\n");
}

void
trace_dump(unsigned n, struct monitor_out *out)
{
	uint64_t next[MAXCPUS], end[MAXCPUS];
	struct trace_event e, best = { 0 };
	unsigned lost = 0, unfinished = 0;
	int cpu;

	if (trace_root.tr_ncpu == 0) {
		mo_printf(out, "trace: it was never on (option trace=)\n");
		return;
	}
	for (unsigned i = 0; i < trace_root.tr_ncpu; i++)
		next[i] = end[i] = atomic_load_acquire(&trace_rings[i].tr_head);
	for (; n > 0; n--) {
		cpu = -1;
		for (unsigned i = 0; i < trace_root.tr_ncpu; i++) {
			const struct trace_ring *r = &trace_rings[i];
			bool got = false;

			while (next[i] != 0 && !(got = event_get(r, next[i] - 1, &e)) &&
			    slot_kept(r, next[i] - 1))
				next[i]--;
			if (got && (cpu < 0 || e.te_cycles > best.te_cycles)) {
				cpu = (int)i;
				best = e;
			}
		}
		if (cpu < 0)
			break;
		next[cpu]--;
	}
	for (;;) {
		cpu = -1;
		for (unsigned i = 0; i < trace_root.tr_ncpu; i++) {
			while (next[i] < end[i] && !event_get(&trace_rings[i], next[i], &e)) {
				if (slot_kept(&trace_rings[i], next[i]))
					unfinished++;
				else
					lost++;
				next[i]++;
			}
			if (next[i] < end[i] && (cpu < 0 || e.te_cycles < best.te_cycles)) {
				cpu = (int)i;
				best = e;
			}
		}
		if (cpu < 0)
			break;
		next[cpu]++;
		print_event(out, (unsigned)cpu, &best);
	}
	if (lost != 0)
		mo_printf(out, "trace: %u events were overwritten meanwhile\n", lost);
	if (unfinished != 0)
		mo_printf(out, "trace: %u events were being written\n", unfinished);
	for (unsigned i = 0; i < trace_root.tr_ncpu; i++)
		if (end[i] > trace_rings[i].tr_mask + 1)
			mo_printf(out, "trace: cpu%u overwrote %lu older events\n", i,
			    end[i] - trace_rings[i].tr_mask - 1);
}
