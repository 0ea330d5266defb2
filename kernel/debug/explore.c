/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedule exploration: the driver.
 *
 * One CPU holds the token and runs; the others wait in token_wait(), interrupts off, and touch nothing. At a
 * scheduling point the holder lets explore_choose() say who proceeds. So what the machine does is a function
 * of the seed alone: there is one order of all steps, and the host's clock, its load and QEMU's way of running
 * the CPUs do not come into it. What else could come from outside is supplied here:
 *
 *  - Interrupts. arch_ipi_*() and the timer leave a bit in xc_pending of their target, which takes it through
 *    its interrupt gate at its next point with interrupts on, or on its way to user mode. No real one comes;
 *    NMI alone, for a panic.
 *  - Time. r_time moves by a fixed amount at each point, and to the next timer when nobody can proceed, or when the
 *    strategy says so: a timer that fires early is one whose CPU was slow. In user mode, RDTSC reads it.
 *  - User mode. An LWP executes instruction by instruction (the trap flag) and is at a point after a number of
 *    them that comes from the seed. While nothing else can happen before it enters the kernel it runs freely.
 *  - Random numbers: both generators are reset at the beginning of a run. The machine must have no RDRAND.
 *
 * A CPU is runnable for the driver (XS_*) unless it waits for a spin lock that is held; or is idle with no
 * interrupt pending; or spins for something, and nobody has done anything since it looked last. If there is no
 * such CPU and no timer, nothing will ever happen: that is reported as a deadlock.
 * A CPU hands on after NSEC_FAIR of its own time, or else a loop in user mode would keep the others waiting.
 *
 * explore_start() takes the token while the machine is idle but for the boot CPU, so that all before is the
 * work of one CPU after the other. At explore_begin() an image of memory is taken, to which the machine
 * returns for each further run (explore_run.c); a run in a fresh boot begins in the same state.
 */
#include "explore_impl.h"

#ifdef DEBUG

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/sched.h>

bool explore_on;    /* constant, but for its switching on and a panic */
struct explore *xp; /* constant after boot; NULL = nothing is explored */
#define run (&xp->x_run)

static inline struct xcpu *
self(void)
{
	return &run->r_cpu[arch_curcpu()->ci_index];
}

/* => interrupts off */
static void
token_wait(unsigned me)
{
	for (;;) {
		if (atomic_load_acquire(&xp->x_phase) != XP_RUN)
			explore_take_part(me);
		else if (atomic_load_acquire(&run->r_token) == me)
			return;
		arch_cpu_relax();
	}
}

/* ---- time and interrupts ---- */

nsec_t
explore_time(void)
{
	return run->r_time;
}

void
explore_timer_set(nsec_t when)
{
	self()->xc_timer = when;
}

void
explore_ipi(struct cpu *ci, enum explore_intr which)
{
	run->r_cpu[ci->ci_index].xc_pending |= 1u << which;
	explore_point(XK_IPI, ci->ci_index);
}

static void
timers_due(void)
{
	for (unsigned i = 0; i < ncpu; i++) {
		struct xcpu *xc = &run->r_cpu[i];

		if (xc->xc_timer <= run->r_time) {
			xc->xc_timer = NSEC_FOREVER;
			xc->xc_pending |= 1u << XI_TIMER;
		}
	}
}

/* Moves the clock to the next timer; false if there is none. */
static bool
clock_jump(void)
{
	nsec_t first = NSEC_FOREVER;

	for (unsigned i = 0; i < ncpu; i++)
		first = min(first, run->r_cpu[i].xc_timer);
	if (first == NSEC_FOREVER)
		return false;
	run->r_time = max(run->r_time, first);
	timers_due();
	return true;
}

/* => interrupts on or off; off on return */
static int
take_intr(void)
{
	struct xcpu *xc;
	int which;

	arch_intr_disable();
	xc = self();
	if (xc->xc_pending == 0)
		return -1;
	which = __builtin_ctz(xc->xc_pending);
	xc->xc_pending &= ~(1u << which);
	return which;
}

/* Handlers may switch, and the LWP come back on another CPU. => interrupts on */
static void
deliver(void)
{
	int which;

	while ((which = take_intr()) >= 0) {
		arch_intr_enable();
		arch_explore_intr(which);
	}
	arch_intr_enable();
}

/* ---- the token ---- */

static bool
runnable(const struct xcpu *xc)
{
	switch (xc->xc_state) {
	case XS_RUN:
		return true;
	case XS_LOCKWAIT:
		return atomic_load_relaxed(xc->xc_word) == 0;
	case XS_SPIN:
		return run->r_progress != xc->xc_progress || (xc->xc_intr && xc->xc_pending != 0);
	case XS_IDLE:
		return xc->xc_pending != 0;
	default:
		return false;
	}
}

static cpuset_t
runnable_set(void)
{
	cpuset_t set = 0;

	for (unsigned i = 0; i < ncpu; i++)
		if (runnable(&run->r_cpu[i]))
			set |= (cpuset_t)1 << i;
	return set;
}

static void
mix_hash(uint64_t v)
{
	run->r_hash = (run->r_hash ^ v) * 0x100000001b3ul;
	run->r_hash ^= run->r_hash >> 29;
}

static void
record(unsigned me, enum explore_kind kind, uintptr_t pc, uintptr_t obj, unsigned next)
{
	const struct lwp *l = arch_curlwp();
	struct xpoint *p = &xp->x_ring[run->r_points++ % XRING];

	*p = (struct xpoint){ pc, obj, l->l_lid, (uint8_t)me, (uint8_t)kind, (uint8_t)next, 0 };
	mix_hash(pc);
	mix_hash(obj);
	mix_hash((uint64_t)(uint32_t)l->l_lid << 32 | me << 16 | kind << 8 | next);
}

/*
 * The decision, and its consequence: on return the token is ours again. `state` is why we could not proceed, or
 * XS_RUN. => interrupts off
 */
static void
step(enum xstate state, enum explore_kind kind, uintptr_t pc, uintptr_t obj)
{
	unsigned me = arch_curcpu()->ci_index, next;
	struct xcpu *xc = &run->r_cpu[me];
	cpuset_t set;

	if (unlikely(atomic_load_relaxed(&panicking)))
		return;
	KASSERTMSG(run->r_token == me && !run->r_busy, "explore: cpu%u runs, the token is cpu%u's",
	    me, run->r_token);
	run->r_busy = true;
	xc->xc_state = state;
	xc->xc_points++;
	run->r_time += NSEC_POINT;
	xc->xc_used += NSEC_POINT;
	timers_due();
	do {
		while ((set = runnable_set()) == 0)
			if (!clock_jump()) {
				record(me, kind, pc, obj, me);
				explore_failed(XR_DEADLOCK, "deadlock: nobody can proceed");
			}
		next = explore_choose(set, me);
	} while (next == XCLOCK && (clock_jump() || true));
	record(me, kind, pc, obj, next);
	if (unlikely(run->r_points > xp->x_limit && run->r_begun))
		explore_failed(XR_LIMIT, "limit: the program does not end");
	run->r_busy = false;
	if (next != me) {
		atomic_store_release(&run->r_token, next);
		token_wait(me);
	}
	xc->xc_state = XS_RUN;
}

void
explore_point_at(enum explore_kind kind, uintptr_t pc, uintptr_t obj)
{
	bool on = arch_intr_disable();

	if (likely(!panicking && self()->xc_state != XS_OUT)) {
		run->r_progress++;
		step(XS_RUN, kind, pc, obj);
		if (on && self()->xc_pending != 0)
			deliver();
	}
	arch_intr_restore(on);
}

void
explore_point(enum explore_kind kind, uintptr_t obj)
{
	explore_point_at(kind, (uintptr_t)__builtin_return_address(0), obj);
}

void
explore_lockwait(const uint32_t *word)
{
	self()->xc_word = word;
	step(XS_LOCKWAIT, XK_LOCKWAIT, (uintptr_t)__builtin_return_address(0), (uintptr_t)word);
}

void
explore_spin(void)
{
	bool on = arch_intr_disable();
	struct xcpu *xc = self();

	xc->xc_progress = run->r_progress;
	xc->xc_intr = on;
	step(XS_SPIN, XK_SPIN, (uintptr_t)__builtin_return_address(0), 0);
	if (on && self()->xc_pending != 0)
		deliver();
	arch_intr_restore(on);
}

/* => interrupts off on entry, on at return */
void
explore_idle(void)
{
	struct xcpu *xc = self();

	if (unlikely(xc->xc_state == XS_OUT)) {
		/* The driver is starting: tell it that we are here. Until then we passed no point. */
		xc->xc_state = XS_IDLE;
		xc->xc_timer = NSEC_FOREVER;
		arch_explore_clock();
		atomic_add(&xp->x_ready, 1);
		token_wait(arch_curcpu()->ci_index);
		xc->xc_state = XS_RUN;
	} else
		step(XS_IDLE, XK_IDLE, (uintptr_t)__builtin_return_address(0), 0);
	deliver();
}

/* ---- user mode ---- */

bool
explore_user_enter(struct trapframe *tf)
{
	struct xcpu *xc = self();

	arch_frame_step(tf, false);
	if (xc->xc_burst == 0 || !arch_frame_stepped(tf)) {
		xc->xc_burst = 0;
		return false;
	}
	xc->xc_burst--;
	run->r_steps++;
	run->r_time += NSEC_STEP;
	xc->xc_used += NSEC_STEP;
	return true;
}

void
explore_syscall(uint64_t nr)
{
	struct trapframe *tf = arch_user_frame(arch_curlwp());

	self()->xc_burst = 0;
	arch_frame_step(tf, false);
	explore_point_at(XK_SYSCALL, arch_frame_pc(tf), nr);
}

/* Can anything but the current LWP act before that enters the kernel? => the token is ours */
static bool
alone(const struct cpu *ci)
{
	const struct cpu *other;

	if (runnable_set() != CPU_BIT(ci) || ci->ci_spc->spc_count != 0 ||
	    ci->ci_curlwp->l_proc->p_cputick != 0)
		return false;
	for_each_cpu(other)
	{
		nsec_t when = run->r_cpu[other->ci_index].xc_timer;

		/* Only the ticks of the clock, which have nothing to do. */
		if (when != NSEC_FOREVER &&
		    !(other->ci_spc->spc_tick && when == other->ci_spc->spc_nexttick))
			return false;
	}
	return true;
}

/* From 1 to 1024 instructions, the same for the same point of each run of a seed. */
static uint32_t
burst(const struct xcpu *xc)
{
	uint64_t at = (uint64_t)(xc - run->r_cpu) << 32 | xc->xc_points;

	return 1u << explore_scatter(explore_scatter(xp->x_seed) + at) % 11;
}

void
explore_user_exit(struct trapframe *tf)
{
	struct xcpu *xc = self();
	int which;

	if (xc->xc_burst == 0 || xc->xc_pending != 0 || arch_curlwp()->l_ast != 0) {
		xc->xc_burst = 0;
		run->r_progress++;
		step(XS_RUN, XK_USER, arch_frame_pc(tf), 0);
		while ((which = take_intr()) >= 0)
			arch_explore_intr_user(tf, which);
		xc = self();
		if (arch_curlwp()->l_ast != 0)
			return;
		if (!alone(arch_curcpu()))
			xc->xc_burst = burst(xc);
	}
	arch_frame_step(tf, xc->xc_burst != 0);
}

/* ---- start ---- */

void
explore_start(void)
{
	struct cpu *ci;

	if (xp == NULL)
		return;
	if (ncpu > XCPUS)
		panic("explore: at most %u CPUs", XCPUS);
	for_each_cpu(ci) while (ci->ci_index != 0 &&
	    (atomic_load_acquire(&sched_idle_set) & CPU_BIT(ci)) == 0) arch_cpu_relax();
	arch_intr_disable();
	run->r_cpu[0].xc_state = XS_RUN;
	run->r_cpu[0].xc_timer = NSEC_FOREVER;
	arch_explore_clock();
	atomic_store_release(&run->r_token, 0);
	atomic_store_release(&explore_on, true);
	for_each_cpu(ci) if (ci->ci_index != 0) arch_explore_wake(ci);
	while (atomic_load_acquire(&xp->x_ready) != ncpu - 1)
		arch_cpu_relax();
	arch_intr_enable();
}

#endif
