/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings of the trace: how an event is written.
 *
 * Each CPU has a ring. A slot is reserved by one atomic addition, so an interrupt or an NMI that writes an
 * event in the middle of another simply has the next slot; so has, on the rare occasion that the LWP is moved
 * to another CPU in between, that CPU. The slot's sequence number is cleared first and set last: a reader
 * takes a slot for valid only if it holds the number expected, so it never sees half an event, whether the
 * writer was overtaken, stopped, or is still at work. No lock, no wait, no allocation, interrupts as they
 * were. The oldest events are overwritten, and the head tells how many.
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
	struct cpu *ci = arch_curcpu();
	struct trace_ring *r = atomic_load_relaxed(&ci->ci_trace);
	struct trace_event *e;
	uint64_t n;

	if (unlikely(r == NULL))
		return;
	n = atomic_add(&r->tr_head, 1);
	e = trace_event_slot(r, n);
	atomic_store_relaxed(&e->te_seq, 0);
	e->te_what = (uint32_t)what | (ci->ci_intr_depth != 0 ? TRACE_INTR << 16 : 0);
	e->te_lid = arch_curlwp()->l_lid;
	e->te_a = (uint32_t)a;
	e->te_b = b;
	e->te_cycles = arch_cycles();
	atomic_store_release(&e->te_seq, (uint32_t)n + 1);
}
