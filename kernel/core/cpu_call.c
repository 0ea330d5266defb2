/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls to other CPUs, and stopping them.
 *
 * cpu_call() builds its request, with one node for each target, on the caller's stack. Nodes are pushed
 * on the target's queue, a lock-free list; only the push onto an empty queue sends an interrupt, for
 * whoever takes the queue takes all of it. The target runs the function and counts the request down; after
 * that count it never touches the request again, so the caller may return.
 *
 * No lock is held while waiting and interrupts stay on, so any number of CPUs may call each other at once.
 *
 * cpu_stop_others() parks CPUs in such a call (soft) or in the NMI handler (hard) until `stop_word` changes.
 */
#include <kernel/cpu.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/explore.h>
#include <kernel/gdbstub.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/san.h>

#define STOP_PATIENCE ((nsec_t)1000000000) /* a hard stop gives up on a CPU after this */

struct call_request {
	void (*cr_fn)(void *);
	void *cr_arg;
	uint32_t cr_left; /* (a) targets that have not finished */
};

struct call_node {
	struct call_node *cn_next;
	struct call_request *cn_request;
};

/* One queue a CPU, newest node first. */
static struct call_queue {
	struct call_node *cq_head; /* (a) pushed by anyone, taken whole by its CPU */
} __cacheline_aligned call_queues[MAXCPUS];

static cpuset_t stop_hard_set;                      /* (a) CPUs that shall park at their next NMI */
static uint32_t stop_busy;                          /* (a) somebody is the stopper */
static struct cpu *stopper;                         /* (a) whoever has parked the others, or NULL */
static uint32_t stop_word;                          /* (a) parked CPUs wait while it is 1 */
static cpuset_t stop_soft_set;                      /* stopper only: CPUs parked by a call */
static struct call_request stop_request;            /* stopper only */
static struct call_node stop_nodes[MAXCPUS];        /* stopper only */
static const struct trapframe *stop_frame[MAXCPUS]; /* (a) what the NMI interrupted on each CPU */
bool cpu_stopped_hard;
#ifdef DEBUG
uint32_t cpu_calls;
#endif

static uint32_t
count(cpuset_t set)
{
	uint32_t n = 0;

	for (; set != 0; set &= set - 1)
		n++;
	return n;
}

/* => interrupts off */
static void
call_push(struct cpu *ci, struct call_node *node, struct call_request *request)
{
	struct call_node **head = &call_queues[ci->ci_index].cq_head;
	struct call_node *old = atomic_load_relaxed(head);

	node->cn_request = request;
	do
		node->cn_next = old;
	while (!atomic_cas(head, &old, node));
	if (old == NULL)
		arch_ipi_call(ci);
}

/* Upcall of the call interrupt. => interrupts off */
void
cpu_call_ipi(void)
{
	struct call_node **head = &call_queues[arch_curcpu()->ci_index].cq_head;
	struct call_node *node = atomic_swap(head, NULL), *next;

	for (; node != NULL; node = next) {
		struct call_request *request = node->cn_request;

		next = node->cn_next;
		request->cr_fn(request->cr_arg);
		atomic_sub(&request->cr_left, 1); /* the last access to node and request */
	}
}

void
cpu_call(cpuset_t set, void (*fn)(void *), void *arg)
{
	struct call_node nodes[MAXCPUS];
	struct call_request request = { fn, arg, 0 };
	bool on = arch_intr_disable();
	struct cpu *self = arch_curcpu();
	cpuset_t others = set & atomic_load_acquire(&cpu_online_set) & ~CPU_BIT(self);

	if (unlikely(atomic_load_relaxed(&panicking)))
		others = 0;
	if (others != 0) {
		KASSERTMSG(on && self->ci_mtx_count == 0,
		    "cpu%u: cpu_call with %u spin locks held, interrupts %s", self->ci_index,
		    self->ci_mtx_count, on ? "on" : "off");
		KASSERTMSG(atomic_load_relaxed(&stopper) != self,
		    "cpu%u: cpu_call to CPUs that it parked", self->ci_index);
		request.cr_left = count(others);
		DEBUG_ONLY(atomic_add(&cpu_calls, 1);)
	}
	for (; others != 0; others &= others - 1) {
		unsigned i = (unsigned)__builtin_ctzll(others);

		call_push(cpus[i], &nodes[i], &request);
	}
	if (set & CPU_BIT(self))
		fn(arg);
	if (on)
		arch_intr_enable();
	while (atomic_load_acquire(&request.cr_left) != 0) {
		if (unlikely(atomic_load_relaxed(&panicking)))
			arch_halt(); /* who is stopped will not answer, and may still hold our nodes */
		cpu_relax();
	}
}

/* Waits until released. => interrupts off */
static void __nobreak
park(struct cpu *ci)
{
	atomic_store_release(&ci->ci_parked, 1);
	while (atomic_load_acquire(&stop_word) != 0)
		cpu_relax();
	atomic_store_release(&ci->ci_parked, 0);
}

static void
park_by_call(void *arg __unused)
{
	park(arch_curcpu());
}

bool __nobreak
cpu_stop_wanted(const struct cpu *ci)
{
	return (atomic_load_acquire(&stop_hard_set) & CPU_BIT(ci)) != 0 &&
	    atomic_load_acquire(&stop_word) != 0;
}

void __nobreak
cpu_obey_stop(struct trapframe *tf)
{
	struct cpu *ci = arch_curcpu();

	atomic_store_relaxed(&stop_frame[ci->ci_index], tf);
	park(ci);
	atomic_store_relaxed(&stop_frame[ci->ci_index], NULL);
}

/* Upcall of the NMI handler. => interrupts off */
void __nobreak
cpu_nmi(struct trapframe *tf)
{
	const struct cpu *ci = arch_curcpu();

	if (debug_nmi(tf))
		return;
	if (cpu_stop_wanted(ci))
		cpu_obey_stop(tf);
	else if ((atomic_load_acquire(&stop_hard_set) & CPU_BIT(ci)) == 0)
		panic_asked();
}

bool
cpu_hard_parked(const struct cpu *ci)
{
	return atomic_load_acquire(&ci->ci_parked) != 0 &&
	    atomic_load_relaxed(&stop_frame[ci->ci_index]) != NULL;
}

const struct trapframe *
cpu_stopped_frame(const struct cpu *ci)
{
	return cpu_hard_parked(ci) ? atomic_load_relaxed(&stop_frame[ci->ci_index])
				   : debug_frame(ci);
}

uintptr_t
cpu_stopped_pc(const struct cpu *ci)
{
	const struct trapframe *tf = cpu_stopped_frame(ci);

	return tf != NULL ? arch_frame_pc(tf) : 0;
}

/* True when all of `set` are parked (or, with `parked` 0, running). */
static bool
all_are(cpuset_t set, uint32_t parked)
{
	for (; set != 0; set &= set - 1) {
		if (atomic_load_acquire(&cpus[__builtin_ctzll(set)]->ci_parked) != parked)
			return false;
	}
	return true;
}

static void
stop_soft(struct cpu *self, cpuset_t others)
{
	stop_request = (struct call_request){ park_by_call, NULL, count(others) };
	stop_soft_set = others;
	for (cpuset_t s = others; s != 0; s &= s - 1) {
		unsigned i = (unsigned)__builtin_ctzll(s);

		call_push(cpus[i], &stop_nodes[i], &stop_request);
	}
	arch_intr_enable();
	KASSERTMSG(self->ci_mtx_count == 0, "cpu%u: stops others with %u spin locks held",
	    self->ci_index, self->ci_mtx_count);
	while (!all_are(others, 1))
		cpu_relax();
}

/* Those that gdb holds do not come out before they have looked at stop_hard_set. */
static bool
all_stopped(cpuset_t set)
{
	for (; set != 0; set &= set - 1) {
		const struct cpu *ci = cpus[__builtin_ctzll(set)];

		if (!cpu_hard_parked(ci) && !debug_holds(ci))
			return false;
	}
	return true;
}

static void
stop_hard(cpuset_t others)
{
	nsec_t end = arch_time_ns() + STOP_PATIENCE;

	atomic_store_release(&stop_hard_set, others);
	for (cpuset_t s = others; s != 0; s &= s - 1)
		arch_ipi_nmi(cpus[__builtin_ctzll(s)]);
	while (!all_stopped(others) && arch_time_ns() < end)
		cpu_relax();
	atomic_store_release(&cpu_stopped_hard, true);
}

/* Becomes the stopper. A panic may come while others are parked: it must not wait for their stopper. */
static bool
stop_enter(void)
{
	return atomic_swap(&stop_busy, 1) == 0 || atomic_load_relaxed(&panicking);
}

/* => stop_enter() was true; interrupts off; `on`: they shall be on when the others are parked */
static void
stop(bool hard, bool on)
{
	struct cpu *self = arch_curcpu();
	cpuset_t others;

	if (!atomic_load_relaxed(&panicking))
		self->ci_curlwp
		    ->l_nopreempt++; /* until the resume: nobody else may run here either */
	others = atomic_load_acquire(&cpu_online_set) & ~CPU_BIT(self);
	atomic_store_relaxed(&stopper, self);
	atomic_store_release(&stop_word, 1);
	if (hard) {
		stop_hard(others);
		if (on)
			arch_intr_enable();
	} else {
		stop_soft(self, others);
	}
	san_pause(true);
}

void
cpu_stop_others(bool hard)
{
	bool on;

	for (;;) {
		on = arch_intr_disable();
		KASSERT(on || hard);
		if (stop_enter())
			break;
		if (on)
			arch_intr_enable();
		cpu_relax();
	}
	stop(hard, on);
}

bool
cpu_is_stopper(void)
{
	return atomic_load_relaxed(&stopper) == arch_curcpu();
}

bool
cpu_trystop_others(void)
{
	bool on = arch_intr_disable();

	if (!stop_enter()) {
		arch_intr_restore(on);
		return false;
	}
	stop(true, on);
	return true;
}

void
cpu_resume_others(void)
{
	cpuset_t stopped = stop_soft_set | atomic_load_relaxed(&stop_hard_set);
	bool on;

	san_pause(false);
	stop_soft_set = 0;
	atomic_store_release(&cpu_stopped_hard, false);
	atomic_store_release(&stop_hard_set, 0);
	atomic_store_release(&stop_word, 0);
	/* Wait until all have left, and none holds a node of ours. */
	while (!all_are(stopped, 0) || atomic_load_acquire(&stop_request.cr_left) != 0)
		cpu_relax();
	on = arch_intr_disable(); /* an interrupt must find both or neither */
	atomic_store_relaxed(&stopper, NULL);
	atomic_store_release(&stop_busy, 0);
	arch_curlwp()->l_nopreempt--;
	arch_intr_restore(on);
}
