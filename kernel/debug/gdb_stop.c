/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stopping the world for gdb, and letting it go.
 *
 * The first CPU that meets something for gdb becomes the owner of the world. It stops all others by NMI; each
 * notes its registers (dc_frame) and waits in park(). A CPU that meets something while there is an owner parks
 * itself; when it is let go, it tries again what it came for: a breakpoint by running into it again if it is
 * still there, anything else by becoming the owner.
 *
 * When gdb lets only some run, the others stay parked and nobody is the owner; one parked CPU (the watcher) looks
 * after the port, and after the step: one that needs the rest of the kernel, because it waits for a lock that a
 * parked CPU holds, gets all of it once it has run for long. How long is not told by the clock, for the host may
 * not run the stepping CPU at all: that CPU is asked by NMI every PROBE_PERIOD, and must answer STEP_PROBES times.
 *
 * A lone step is one for which gdb holds all other LWPs. It then takes a stop of any other LWP for an error of its
 * own. But the stepped one may sleep, and others run on its CPU; or it needed all CPUs. What such another LWP meets
 * ends the step early, told as the end of the step; that LWP waits, and tells its own when gdb lets it go on.
 *
 * Locking: world_lock covers hold_set, owner and the port's state. It is taken with interrupts off by CPUs that
 * are marked busy, which no NMI parks, not even that of a hard stop (a panic, the monitor): so nobody waits for a
 * holder who is parked. A busy CPU looks for itself, before it leaves, whether it should be parked.
 */
#include "gdb_impl.h"

#include <arch/arch_if.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/sched.h>

#define STOP_PATIENCE ((nsec_t)20000000000) /* for a CPU to obey the NMI */
#define PROBE_PERIOD  ((nsec_t)10000000)
#define STEP_PROBES   20

extern const char __stub_start[], __nobreak_end[]; /* linker script */

struct debug_cpu debug_cpus[MAXCPUS];
bool debug_leaving[MAXCPUS];
struct lwp *debug_step_lwp;

static uint32_t world_word; /* (a) world_lock */
static cpuset_t hold_set;   /* world_lock to change: CPUs that shall be parked */
static uint32_t owner;      /* world_lock to change: the owner's index + 1, 0 = the world runs */
static uint32_t watcher;    /* world_lock to change: index + 1 */
static uint32_t stepper;    /* world_lock: index + 1 of the CPU whose step may need all; 0 = none */
static nsec_t next_probe;   /* world_lock: when it is asked */
static bool step_lone;      /* owner only: of debug_step_lwp */
static lwpid_t step_lid;    /* owner only: its id */
static bool
    input_missed; /* world_lock: bytes came while there was an owner, maybe too late for it */
static cpuset_t lost_set;         /* owner only: CPUs that did not stop */
static struct debug_resume going; /* owner only: how the world was let go ... */
static uintptr_t going_skip;      /* ... and past which breakpoint */

static void
world_lock(void)
{
	while (atomic_swap(&world_word, 1) != 0)
		arch_cpu_relax();
}

static void
world_unlock(void)
{
	atomic_store_release(&world_word, 0);
}

static bool serve_world(struct cpu *, enum debug_cause, uintptr_t arg);

/* ---- parked ---- */

/* Ends the halt of parked CPUs, who look at hold_set and watcher then. => they have been changed */
static void
wake(cpuset_t set)
{
	for (; set != 0; set &= set - 1) {
		struct cpu *ci = cpus[__builtin_ctzll(set)];

		if (atomic_load_acquire(&debug_cpus[ci->ci_index].dc_parked) == 0)
			continue;
		atomic_store_release(&debug_cpus[ci->ci_index].dc_nmi, 1);
		arch_ipi_nmi(ci);
	}
}

/* Asks the stepping CPU whether it runs. True: it has said so often enough. => world_lock */
static bool
step_is_long(void)
{
	struct debug_cpu *dc = &debug_cpus[stepper - 1];

	if (arch_time_ns() < next_probe || atomic_load_acquire(&dc->dc_probe) != 0)
		return false;
	if (dc->dc_probes >= STEP_PROBES)
		return true;
	next_probe = arch_time_ns() + PROBE_PERIOD;
	atomic_store_release(&dc->dc_probe, 1);
	atomic_store_release(&dc->dc_nmi, 1);
	arch_ipi_nmi(cpus[stepper - 1]);
	return false;
}

/* The watcher's turn. True: gdb wants attention, and this CPU is now the owner. */
static bool
watch(struct cpu *ci)
{
	bool mine = false;

	world_lock();
	if (owner == 0) {
		if (stepper != 0 && step_is_long()) {
			cpuset_t all = atomic_swap(&hold_set, 0);

			watcher = stepper = 0;
			wake(all & ~CPU_BIT(ci));
		} else if (gdb_poll() != GDB_NOTHING) {
			owner = ci->ci_index + 1;
			mine = true;
		}
	}
	world_unlock();
	return mine;
}

static void
wait_parked(struct cpu *ci, struct debug_cpu *dc)
{
	while ((atomic_load_acquire(&hold_set) & CPU_BIT(ci)) != 0) {
		if (atomic_load_relaxed(&watcher) == ci->ci_index + 1) {
			if (watch(ci))
				(void)serve_world(ci, DEBUG_INTR, 0);
			else
				gdb_port_rest();
		} else if (dc->dc_nohalt) {
			arch_cpu_relax();
		} else {
			arch_debug_halt(&hold_set, CPU_BIT(ci));
		}
	}
}

/* Waits until this CPU is let go. => busy, frame noted */
static void
park(struct cpu *ci)
{
	struct debug_cpu *dc = &debug_cpus[ci->ci_index];

	do {
		atomic_store_release(&dc->dc_parked, 1);
		wait_parked(ci, dc);
		atomic_store_release(&dc->dc_parked, 0);
		/* A new owner who has seen dc_parked counts on us: then we see his hold_set. */
		atomic_fence_full();
	} while ((atomic_load_acquire(&hold_set) & CPU_BIT(ci)) != 0);
	atomic_add(&dc->dc_left, 1);
}

static void
note(struct debug_cpu *dc, struct trapframe *tf)
{
	atomic_store_relaxed(&dc->dc_busy, 1);
	compiler_barrier();
	arch_debug_save();
	dc->dc_last = tf;
	atomic_store_release(&dc->dc_frame, tf);
}

/* Returns the frame for gdb: a CPU on its way out of the stub was not yet anywhere else. */
static struct trapframe *
enter(struct cpu *ci, struct debug_cpu *dc, struct trapframe *tf)
{
	if (debug_leaving[ci->ci_index] && arch_frame_pc(tf) >= (uintptr_t)__stub_start &&
	    arch_frame_pc(tf) < (uintptr_t)__nobreak_end)
		tf = dc->dc_last;
	note(dc, tf);
	return tf;
}

/* Back to what was interrupted, unless somebody wants the CPU parked by now. */
static void
leave(struct cpu *ci, struct debug_cpu *dc)
{
	struct trapframe *tf = dc->dc_last;

	for (;;) {
		if ((atomic_load_acquire(&hold_set) & CPU_BIT(ci)) != 0)
			park(ci);
		if (cpu_stop_wanted(ci))
			cpu_obey_stop(tf);
		arch_debug_load();
		debug_leaving[ci->ci_index] = true;
		atomic_store_relaxed(&dc->dc_frame, NULL);
		atomic_store_release(&dc->dc_busy, 0);
		atomic_fence_full();
		if ((atomic_load_acquire(&hold_set) & CPU_BIT(ci)) == 0 && !cpu_stop_wanted(ci)) {
			arch_debug_arm();
			return;
		}
		note(dc, tf);
	}
}

bool
debug_nmi(struct trapframe *tf)
{
	struct cpu *ci = arch_curcpu();
	struct debug_cpu *dc = &debug_cpus[ci->ci_index];
	bool ours, out;

	if (!debug_on)
		return false;
	ours = atomic_swap(&dc->dc_nmi, 0) != 0;
	if (atomic_load_relaxed(&dc->dc_busy) != 0) {
		arch_debug_woken(tf);
		return true;
	}
	if (!ours && !cpu_stop_wanted(ci))
		return false;
	if (ours && atomic_load_relaxed(&dc->dc_probe) != 0) {
		dc->dc_probes++;
		atomic_store_release(&dc->dc_probe, 0);
		/* One NMI may have been both, and then it is this that counts. */
		if ((atomic_load_acquire(&hold_set) & CPU_BIT(ci)) == 0 && !cpu_stop_wanted(ci))
			return true;
	}
	out = enter(ci, dc, tf) != tf;
	dc->dc_nohalt = !ours || !arch_debug_nmi_begin(tf);
	leave(ci, dc);
	dc->dc_nohalt = false;
	/* Back to the way out that was interrupted, or to anything else. */
	debug_leaving[ci->ci_index] = out;
	return true;
}

bool
debug_holds(const struct cpu *ci)
{
	return atomic_load_acquire(&debug_cpus[ci->ci_index].dc_parked) != 0;
}

/* ---- the owner ---- */

static bool
stopped(const struct cpu *ci)
{
	return debug_holds(ci) || cpu_hard_parked(ci);
}

static void
stop_others(struct cpu *self)
{
	cpuset_t others = atomic_load_acquire(&cpu_online_set) & ~CPU_BIT(self);
	nsec_t end = arch_time_ns() + STOP_PATIENCE;

	world_lock();
	watcher = 0;
	stepper = 0;
	(void)atomic_or(&hold_set, others);
	world_unlock();
	for (cpuset_t s = others; s != 0; s &= s - 1) {
		struct cpu *ci = cpus[__builtin_ctzll(s)];

		if (!stopped(ci)) {
			atomic_store_release(&debug_cpus[ci->ci_index].dc_nmi, 1);
			arch_ipi_nmi(ci);
		}
	}
	lost_set = 0;
	for (cpuset_t s = others; s != 0; s &= s - 1) {
		struct cpu *ci = cpus[__builtin_ctzll(s)];

		while (!stopped(ci) && arch_time_ns() < end)
			arch_cpu_relax();
		if (!stopped(ci))
			lost_set |= CPU_BIT(ci);
	}
}

cpuset_t
debug_unstopped(void)
{
	return lost_set;
}

struct trapframe *
debug_frame(const struct cpu *ci)
{
	return atomic_load_acquire(&debug_cpus[ci->ci_index].dc_frame);
}

struct cpu *
debug_cpu_of(const struct lwp *l)
{
	struct cpu *ci;

	for_each_cpu(ci) if (ci->ci_curlwp == l &&
	    atomic_load_acquire(&debug_cpus[ci->ci_index].dc_frame) != NULL) return ci;
	return NULL;
}

/* Lets `run` go and gives the world up. On return this CPU has been let go, too, but not yet left the stub. */
static void
let_go(struct cpu *self, const struct debug_resume *r)
{
	cpuset_t others = atomic_load_relaxed(&cpu_online_set) & ~CPU_BIT(self) & ~lost_set;
	cpuset_t held = (others | CPU_BIT(self)) & ~r->dr_run;
	cpuset_t late, watchers = 0;
	struct cpu *ci;
	uint32_t left[MAXCPUS] = { 0 };
	bool missed;

	for (cpuset_t s = others & ~held; s != 0; s &= s - 1) {
		unsigned i = (unsigned)__builtin_ctzll(s);

		left[i] = atomic_load_relaxed(&debug_cpus[i].dc_left);
	}
	world_lock();
	atomic_store_release(&hold_set, held);
	world_unlock();
	wake(others & ~held);
	for (cpuset_t s = others & ~held; s != 0; s &= s - 1) {
		unsigned i = (unsigned)__builtin_ctzll(s);

		while (atomic_load_acquire(&debug_cpus[i].dc_left) == left[i] &&
		    atomic_load_relaxed(&debug_cpus[i].dc_parked) != 0)
			arch_cpu_relax();
	}
	/* Those that a hard stop has parked look after nothing. */
	for_each_cpu(ci) if ((held & CPU_BIT(ci)) != 0 && (ci == self || debug_holds(ci)))
	    watchers |= CPU_BIT(ci);
	world_lock();
	owner = 0;
	missed = input_missed;
	input_missed = false;
	/* Who came since has parked itself for us; he may try again. */
	late = atomic_swap(&hold_set, held) & ~held;
	watcher = watchers != 0 ? (uint32_t)__builtin_ctzll(watchers) + 1 : 0;
	if (held != 0 && r->dr_timed) {
		stepper = (uint32_t)__builtin_ctzll(r->dr_run) + 1;
		debug_cpus[stepper - 1].dc_probes = 0;
		atomic_store_relaxed(
		    &debug_cpus[stepper - 1].dc_probe, 0); /* ended with the last step */
		next_probe = arch_time_ns() + PROBE_PERIOD;
	}
	/* The watcher may be one that halts. */
	wake((late | (watchers & -watchers)) & ~CPU_BIT(self));
	world_unlock();
	if (missed)
		arch_debug_self_ipi(); /* there is no other interrupt for them; a watcher looks anyway */
}

/* Ends the step that is under way. Returns who must be told to have stopped: the LWP of a lone step, else `self`. */
static struct lwp *
end_step(struct lwp *self)
{
	struct gdb_id id = { GDB_ID_ANY, step_lid };
	struct lwp *l = debug_step_lwp;

	if (l == NULL)
		return self;
	atomic_store_relaxed(&debug_step_lwp, NULL);
	if (gdb_find_lwp(&id) != l)
		return self; /* it has come to its end by such steps */
	arch_debug_step_end(l, debug_cpu_of(l));
	return step_lone ? l : self;
}

/*
 * => owner; on return the CPU is not the owner and may be one that shall be parked. False: gdb was told of the end of
 * a lone step instead.
 */
static bool
serve_world(struct cpu *ci, enum debug_cause cause, uintptr_t arg)
{
	struct debug_resume r = { .dr_run = ~(cpuset_t)0 };
	struct lwp *l;
	uintptr_t skip = 0;
	bool told;

	stop_others(ci);
	gdb_break_lift();
	l = end_step(arch_curlwp());
	told = l == arch_curlwp() || cause == DEBUG_INTR;
	gdb_serve(told ? cause : DEBUG_STEP, arg, l, &r);
	if (told && cause == DEBUG_HWBREAK)
		arch_debug_pass(debug_frame(ci));
	if (told && cause == DEBUG_PANIC)
		return true; /* the others stay where they are, the world remains ours */
	if (r.dr_step != NULL && r.dr_run != ~(cpuset_t)0) {
		const struct cpu *on = debug_cpu_of(r.dr_step);

		/*
		 * gdb has removed the breakpoint that the step is to pass over, but may have set it again in the
		 * name of another process.
		 */
		skip = on != NULL ? arch_frame_pc(debug_frame(on)) : 0;
	}
	if (r.dr_step != NULL) {
		step_lone = r.dr_lone;
		step_lid = gdb_tid(r.dr_step);
		atomic_store_relaxed(&debug_step_lwp, r.dr_step);
		r.dr_timed = arch_debug_step_begin(
		    r.dr_step, debug_cpu_of(r.dr_step), r.dr_run != ~(cpuset_t)0);
	}
	gdb_break_plant(skip);
	if (gdb_memory_wants())
		arch_debug_self_ipi();
	going = r;
	going_skip = skip;
	let_go(ci, &r);
	return told;
}

/* What a breakpoint waited for may have come: put it in and go on as before. => owner; on return as serve_world() */
static void
serve_break(struct cpu *ci)
{
	stop_others(ci);
	gdb_break_lift();
	gdb_break_plant(going_skip);
	let_go(ci, &going);
}

/* What a CPU came for may have been settled while it waited. */
static bool
still_wanted(enum debug_cause cause, uintptr_t arg)
{
	switch (cause) {
	case DEBUG_SWBREAK:
	case DEBUG_HWBREAK:
		return false; /* it meets it again */
	case DEBUG_WATCH:
		return debug_attached && arch_debug_watching(arg);
	case DEBUG_STEP:
		return debug_step_lwp == arch_curlwp();
	case DEBUG_INTR:
		return false; /* served by the owner who was there */
	case DEBUG_AWAIT:
		return debug_attached; /* he may have looked before the lock was let go */
	default:
		return true;
	}
}

bool
debug_enter(struct trapframe *tf, enum debug_cause cause, uintptr_t arg)
{
	struct cpu *ci = arch_curcpu();
	struct debug_cpu *dc = &debug_cpus[ci->ci_index];
	bool told;

	if (!debug_on || atomic_load_relaxed(&dc->dc_busy) != 0)
		return false;
	(void)enter(ci, dc, tf);
	do {
		world_lock();
		if (owner == 0) {
			owner = ci->ci_index + 1;
			world_unlock();
			if (cause == DEBUG_AWAIT) {
				serve_break(ci);
				park(ci);
				break;
			}
			told = serve_world(ci, cause, arg);
			if (!told || cause != DEBUG_PANIC)
				park(ci); /* if it is to be held */
			if (told)
				break;
			continue;
		}
		(void)atomic_or(&hold_set, CPU_BIT(ci));
		world_unlock();
		park(ci);
	} while (still_wanted(cause, arg));
	leave(ci, dc);
	return true;
}

/* Bytes are looked at while the world runs on: only a whole good packet, or a ^C, stops it. */
void
debug_input(struct trapframe *tf)
{
	struct cpu *ci = arch_curcpu();
	struct debug_cpu *dc = &debug_cpus[ci->ci_index];
	bool wanted = false;

	if (!debug_on || atomic_load_relaxed(&dc->dc_busy) != 0)
		return;
	(void)enter(ci, dc, tf);
	world_lock();
	if (owner != 0) {
		input_missed = true; /* he has let this CPU go, but not yet given up */
	} else if (gdb_poll() != GDB_NOTHING) {
		owner = ci->ci_index + 1;
		wanted = true;
	}
	world_unlock();
	if (wanted) {
		(void)serve_world(ci, DEBUG_INTR, 0);
		park(ci);
	}
	leave(ci, dc);
}

void
debug_self_ipi(struct trapframe *tf)
{
	struct cpu *ci = arch_curcpu();
	struct debug_cpu *dc = &debug_cpus[ci->ci_index];
	bool taken = true;

	while (taken && gdb_memory_wants()) {
		struct page *pg = page_alloc(PG_ANON);

		if (pg == NULL)
			break;
		(void)enter(ci, dc, tf);
		world_lock();
		taken = gdb_memory_give(pg);
		world_unlock();
		leave(ci, dc);
		if (!taken)
			page_free(pg);
	}
	debug_input(tf);
}

void __stub_caller
debug_panic(void)
{
	if (debug_on && (debug_attached || gdb_session.ss_wait))
		arch_breakpoint();
}

void __stub_caller
debug_step_gone(void)
{
	bool on = arch_intr_disable();

	if (debug_step_lwp == arch_curlwp())
		arch_breakpoint();
	arch_intr_restore(on);
}

/* Started while the world is stopped, a CPU waits here: nobody could stop it. */
void
debug_cpu_init(void)
{
	if (!debug_on)
		return;
	while (atomic_load_acquire(&owner) != 0)
		arch_cpu_relax();
	arch_debug_load();
	arch_debug_arm();
}
