/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings of the trace: how an event is written.
 *
 * Each CPU writes its own ring, with interrupts off. A slot is reserved by one atomic addition, so an NMI
 * that writes an event in the middle of another simply has the next slot. The slot's sequence number is
 * cleared first and set last: a reader takes a slot for valid only if it holds the number expected, so it
 * never sees half an event, whether the writer was overtaken, stopped, or is still at work. No lock, no
 * wait, no allocation. The oldest events are overwritten, and the head tells how many.
 */
#include <kernel/trace.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>

struct trace_root trace_root;
struct trace_ring trace_rings[MAXCPUS];
struct trace_ring trace_names;

void
trace_write(uint64_t what, uint64_t a, uint64_t b)
{
	bool on = arch_intr_disable();
	struct cpu *ci = arch_curcpu();
	struct trace_ring *r = &trace_rings[ci->ci_index];
	struct trace_event *e;
	uint64_t n;

	if (unlikely(r->tr_size == 0 || atomic_load_relaxed(&trace_root.tr_frozen))) {
		arch_intr_restore(on);
		return;
	}
	n = atomic_add(&r->tr_head, 1);
	e = trace_slot(r, n);
	atomic_store_relaxed(&e->te_seq, 0);
	compiler_barrier();
	e->te_cycles = arch_cycles();
	e->te_type = (uint8_t)what;
	e->te_arg = (uint8_t)(what >> 8);
	e->te_flags = ci->ci_intr_depth != 0 ? TRACE_INTR : 0;
	e->te_lid = ci->ci_curlwp->l_lid;
	e->te_a = (uint32_t)a;
	e->te_b = b;
	atomic_store_release(&e->te_seq, (uint32_t)n + 1);
	arch_intr_restore(on);
}
