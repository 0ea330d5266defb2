/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings of the trace. The machine layer supplies trace_write(), which is short.
 *
 * Each CPU has a ring. A slot is reserved by one atomic addition, so an interrupt or an NMI that writes an
 * event in the middle of another simply has the next slot; so has, on the rare occasion that the LWP is moved
 * to another CPU in between, that CPU. The slot's sequence number is set last: a reader takes a slot for valid
 * only if it holds the number expected, so it does not see half an event of a writer that was stopped or is
 * still at work; and only if the head, looked at again afterwards, shows that nobody has reserved the slot anew. (A
 * writer that is preempted in the middle for a whole round of the ring spoils the newer event in its slot, which
 * then counts as lost when it has finished.) No lock, no wait, no allocation, interrupts as they were. The
 * oldest events are overwritten, and the head tells how many. While the trace is frozen, all is written into
 * the one slot of trace_sink, which nobody reads.
 */
#include <kernel/trace.h>

struct trace_root trace_root;
struct trace_ring trace_rings[MAXCPUS];
struct trace_ring trace_names;

static struct trace_event sink_slot;
struct trace_ring trace_sink = {
	.tr_size = sizeof(sink_slot), .tr_perchunk = 1, .tr_slots = &sink_slot
};
