/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callouts. Each CPU has a tree of pending ones by time and a one-shot timer that is programmed for the
 * earlier of the first callout and the scheduler's tick. A callout runs in the timer interrupt of the CPU
 * that armed it, with the queue's lock dropped; cc_running tells callout_stop() whom to wait for.
 *
 * Locking: cc_lock (RANK_CALLOUT) of the CPU in co_cpu covers the node. co_cpu changes only while the
 * callout is not pending, by its owner.
 */
#include <kernel/callout.h>

#include <arch/arch_if.h>
#include <kernel/cv.h>
#include <kernel/explore.h>
#include <kernel/sched.h>

/* struct callout_cpu, field locks: (q) cc_lock (a) atomic (o) this CPU, interrupts off */
static struct callout_cpu {
	struct spinlock cc_lock;
	struct rb_tree cc_tree;     /* (q) */
	struct callout *cc_first;   /* (q) */
	struct callout *cc_running; /* (a) */
	nsec_t cc_programmed;       /* (o) what the timer is set to */
} __cacheline_aligned callout_cpus[MAXCPUS];

void
callout_cpu_init(struct cpu *ci)
{
	struct callout_cpu *cc = &callout_cpus[ci->ci_index];

	spin_init(&cc->cc_lock, "callout", RANK_CALLOUT);
	cc->cc_programmed = NSEC_FOREVER;
}

void
callout_init(struct callout *co, void (*fn)(void *), void *arg)
{
	*co = (struct callout){ .co_fn = fn, .co_arg = arg };
}

/*
 * Sets the timer to what comes first. The device is slow to write, so that is done after cc_lock is
 * released: other CPUs, which stop callouts here, need not wait for it.
 * => this CPU's cc_lock held, interrupts off before it was taken; released on return
 */
static void
program_unlock(struct callout_cpu *cc)
{
	struct schedstate *spc = curcpu()->ci_spc;
	nsec_t when = cc->cc_first != NULL ? cc->cc_first->co_when : NSEC_FOREVER;

	spin_unlock(&cc->cc_lock);
	KASSERT(!arch_intr_enabled());
	if (spc->spc_tick && spc->spc_nexttick < when)
		when = spc->spc_nexttick;
	if (when != cc->cc_programmed) {
		cc->cc_programmed = when;
		arch_timer_set(when);
	}
}

void
callout_program(void)
{
	struct callout_cpu *cc = &callout_cpus[curcpu()->ci_index];

	spin_lock(&cc->cc_lock);
	program_unlock(cc);
}

/* => cc_lock held. Returns true if it is the first one now. */
static bool
link_callout(struct callout_cpu *cc, struct callout *co)
{
	struct rb_node **link, *parent = NULL;
	nsec_t when = co->co_when;
	bool first = true;

	for (link = &cc->cc_tree.root; *link != NULL;) {
		parent = *link;
		if (when < container_of(parent, struct callout, co_node)->co_when)
			link = &parent->left;
		else {
			link = &parent->right;
			first = false;
		}
	}
	rb_insert(&cc->cc_tree, parent, link, &co->co_node);
	co->co_pending = 1;
	if (first)
		cc->cc_first = co;
	return first;
}

void
callout_arm(struct callout *co, nsec_t when)
{
	bool intr = arch_intr_disable();
	struct cpu *ci = curcpu();
	struct callout_cpu *cc = &callout_cpus[ci->ci_index];

	KASSERT(!co->co_pending);
	spin_lock(&cc->cc_lock);
	co->co_cpu = ci;
	if (unlikely(co->co_wall)) {
		co->co_walltime = when;
		when = time_wall_to_mono(when);
	}
	co->co_when = when;
	if (link_callout(cc, co) && when < cc->cc_programmed)
		program_unlock(cc);
	else
		spin_unlock(&cc->cc_lock);
	arch_intr_restore(intr);
}

static void
unlink_callout(struct callout_cpu *cc, struct callout *co)
{
	if (cc->cc_first == co) {
		struct rb_node *n = rb_next(&co->co_node);

		cc->cc_first = n != NULL ? container_of(n, struct callout, co_node) : NULL;
	}
	rb_remove(&cc->cc_tree, &co->co_node);
	co->co_pending = 0;
}

bool
callout_stop(struct callout *co)
{
	struct callout_cpu *cc;
	bool pending;

	if (co->co_cpu == NULL)
		return false;
	cc = &callout_cpus[co->co_cpu->ci_index];
	spin_lock(&cc->cc_lock);
	pending = co->co_pending;
	if (pending)
		unlink_callout(cc, co); /* the timer may fire early once: harmless */
	spin_unlock(&cc->cc_lock);
	while (atomic_load_acquire(&cc->cc_running) == co)
		cpu_relax();
	return pending;
}

#define RUN_BATCH 32 /* callouts in one timer interrupt */

void
callout_run(nsec_t now)
{
	struct callout_cpu *cc = &callout_cpus[curcpu()->ci_index];
	struct callout *co;

	KASSERT(!arch_intr_enabled());
	spin_lock(&cc->cc_lock);
	/* What is left of a crowd comes with the next interrupt, which is then due at once. */
	for (int n = 0; n < RUN_BATCH && (co = cc->cc_first) != NULL && co->co_when <= now; n++) {
		void (*fn)(void *) = co->co_fn;
		void *arg = co->co_arg;

		unlink_callout(cc, co);
		atomic_store_relaxed(&cc->cc_running, co);
		spin_unlock(&cc->cc_lock);
		fp(timer_fired_not_run);
		fn(arg);
		atomic_store_release(&cc->cc_running, NULL);
		spin_lock(&cc->cc_lock);
	}
	cc->cc_programmed = NSEC_FOREVER;
	program_unlock(cc);
}

/* => interrupts off, in the timer interrupt */
void
timer_intr(bool user)
{
	nsec_t now = time_now();
	struct schedstate *spc = curcpu()->ci_spc;

	KASSERT(!arch_intr_enabled());
	if (spc->spc_tick && now >= spc->spc_nexttick)
		sched_tick(now, user);
	callout_run(now);
}

nsec_t
time_now(void)
{
	return arch_time_ns();
}

/* ---- the wall clock ---- */

static nsec_t wall_shift; /* (a) what has been added to the wall clock at boot, modulo 2^64 */

nsec_t
time_wall(void)
{
	return arch_time_wall_at_boot() + atomic_load_relaxed(&wall_shift) + arch_time_ns();
}

nsec_t
time_wall_to_mono(nsec_t wall)
{
	nsec_t boot = arch_time_wall_at_boot() + atomic_load_relaxed(&wall_shift);

	return wall > boot ? wall - boot : 0;
}

/*
 * On each CPU: callouts by the wall clock get their new times, and the timer is set. Who armed one with the old shift
 * had it in the tree before we have the lock.
 */
static void
move_callouts(void *arg __unused)
{
	struct callout_cpu *cc = &callout_cpus[curcpu()->ci_index];
	struct rb_node *n, *next;
	struct callout *co;

	spin_lock(&cc->cc_lock);
	for (n = rb_first(&cc->cc_tree); n != NULL; n = next) {
		nsec_t when;

		next = rb_next(n);
		co = container_of(n, struct callout, co_node);
		if (!co->co_wall || (when = time_wall_to_mono(co->co_walltime)) == co->co_when)
			continue;
		rb_remove(&cc->cc_tree,
		    n); /* and in again, before or behind `next`: found twice it is in its place */
		if (cc->cc_first == co)
			cc->cc_first =
			    next != NULL ? container_of(next, struct callout, co_node) : NULL;
		co->co_when = when;
		(void)link_callout(cc, co);
	}
	program_unlock(cc);
}

void
time_set_wall(nsec_t base)
{
	atomic_store_release(&wall_shift, base - arch_time_wall_at_boot());
	cpu_call(cpu_online_set, move_callouts, NULL);
}
