/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classes and priorities. docs/scheduling.md.
 *
 * Real time: the priority is what the program set. Time sharing: it follows from l_estcpu, the CPU time that the
 * LWP has used lately: time is charged by the weight of its nice value, and forgotten by half in each second or so
 * (EST_HALFLIFE). Among LWPs that want the CPU those with the least come first, so that in the long run all have
 * the same; then their shares are as the inverse of their weights.
 *
 * Nothing walks over all LWPs to decay them. l_estcpu is brought up to date when somebody looks at it and
 * l_pridue is over: when its LWP is picked (after a sleep it has forgotten), at each tick of the running one, and
 * at a tick for a few of those that wait (sched_age). There, too, who has waited for long gets one turn before all
 * others: what they used may differ by a second, and for that long nobody is kept from the CPU.
 *
 * A change of priority is made under the LWP's lent lock, and followed by what it calls for where the LWP is
 * now: its place on its queue, a look by its CPU, the priority that it lends.
 */
#include <kernel/sched.h>

#include <abi/sched.h>
#include <kernel/options.h>
#include <kernel/proc.h>
#include <kernel/trace.h>
#include <kernel/upcall.h>

#define EST_TICK     20 /* bits of the unit of decay: 2^20 ns, 1 ms */
#define EST_HALFLIFE 30 /* bits of the half-life: 2^30 ns, 1.07 s */
#define EST_STEP     24 /* bits of the lowest step of priority: 2^24 ns, 17 ms */
#define EST_MAX      (((nsec_t)1 << (EST_STEP + 10)) - 1)
#define AGE_BATCH    4                 /* waiting LWPs looked at in one tick */
#define WAIT_MAX     ((nsec_t)1 << 27) /* 0.13 s at nice 0, by weight: longest wait for a turn */
#define BATCH_LEVEL  16                /* SCHED_BATCH comes behind who used less than 0.27 s */

static int
set_kpreempt(const char *value)
{
	uint64_t v;
	int error = option_u64(value, 0, PRI_COUNT, &v);

	if (error == 0)
		sched_kpreempt_pri = (int)v;
	return error;
}
OPTION(kpreempt, "0..256: priority that preempts kernel code", set_kpreempt);

/* ---- time sharing ---- */

/* 256 x 2^(nice/5): five steps of nice halve the share. */
static const uint16_t nice_weight[NICE_MAX - NICE_MIN + 1] = { 16, 18, 21, 24, 28, 32, 37, 42, 49,
	56, 64, 74, 84, 97, 111, 128, 147, 169, 194, 223, 256, 294, 338, 388, 446, 512, 588, 676,
	776, 891, 1024, 1176, 1351, 1552, 1783, 2048, 2353, 2702, 3104, 3566 };
#define IDLE_WEIGHT (256u * 341) /* SCHED_IDLE: 3/1024 of the share of nice 0, as on Linux */

static uint32_t
weight(const struct lwp *l)
{
	if (l->l_class.sc_policy == SCHED_IDLE)
		return IDLE_WEIGHT;
	return nice_weight[l->l_class.sc_nice - NICE_MIN];
}

/* `est` after `dt` units of time: est x 2^(-dt/1024), to a quarter of a percent. */
static nsec_t
decay(nsec_t est, nsec_t dt)
{
	uint64_t halves = dt >> (EST_HALFLIFE - EST_TICK);
	uint64_t f = dt & (((uint64_t)1 << (EST_HALFLIFE - EST_TICK)) - 1);

	if (halves > EST_STEP + 10)
		return 0;
	/* 2^-x is 1 - x/2 - 0.172 x (1 - x) for x in 0..1; x is f/1024, the factor in 1/65536. */
	return (est >> halves) * (65536 - 32 * f - (f * (1024 - f) * 176 >> 14)) >> 16;
}

/* Brings l_estcpu up to `now`, when l has had `run` of CPU time. => l locked */
static void
est_update(struct lwp *l, nsec_t run, nsec_t now)
{
	nsec_t dt = now > l->l_esttime ? (now - l->l_esttime) >> EST_TICK : 0;

	nsec_t used = run > l->l_estrtime ? run - l->l_estrtime
					  : 0; /* clocks of two CPUs may differ a little */

	l->l_estcpu = decay(l->l_estcpu, dt) + (min(used, EST_MAX) * weight(l) >> 8);
	l->l_estcpu = min(l->l_estcpu, EST_MAX);
	l->l_esttime += dt << EST_TICK;
	l->l_estrtime = run;
	l->l_pridue = now + SCHED_QUANTUM;
}

/*
 * The priority that l_estcpu gives: one step down for each 17 ms, from 0.27 s on for each eighth of an octave. So
 * the steps are fine where interactive LWPs are, and the range holds what nice 19 makes of a busy loop.
 */
static int
est_pri(const struct lwp *l)
{
	unsigned v = (unsigned)(l->l_estcpu >> EST_STEP), e, level = v;

	if (v >= 16) {
		e = 31 - (unsigned)__builtin_clz(v);
		level = 8 * (e - 2) + (v >> (e - 3) & 7);
	}
	if (l->l_class.sc_policy == SCHED_BATCH && level < BATCH_LEVEL)
		level = BATCH_LEVEL;
	return PRI_USER_MAX - (int)level;
}
_Static_assert(EST_MAX >> EST_STEP == 1023 && PRI_KERNEL - PRI_USER == 64, "levels");

void
sched_refresh(struct lwp *l, nsec_t run, nsec_t now)
{
	KASSERT(lwp_locked(l, NULL) && l->l_pridue != NSEC_FOREVER);
	est_update(l, run, now);
	l->l_priority = (int16_t)est_pri(l);
}

/* ---- changes ---- */

/*
 * Does what l's change of effective priority from `old` calls for where l is. `head`: if queued it comes before its
 * equals. => l locked
 */
static void
pri_changed(struct lwp *l, int old, bool head)
{
	struct schedstate *spc = l->l_cpu->ci_spc;
	int pri = lwp_eprio(l);

	if (pri == old)
		return;
	if (l->l_stat == LS_RUN) {
		/* Else it is between two CPUs, and queued with its new priority soon. */
		if (list_linked(&l->l_runq)) {
			sched_dequeue(l);
			if (head)
				sched_enqueue_head(l);
			else
				sched_enqueue(l);
			sched_resched_cpu(l->l_cpu, pri);
		}
		return;
	}
	if (l->l_running) {
		spin_lock(&spc->spc_mutex);
		/* Not if it is in its switch and another runs already. */
		if (spc->spc_curlwp == l) {
			atomic_store_relaxed(&spc->spc_curpriority, pri);
			/* Who was queued while it had more may come first now. */
			sched_resched_cpu(l->l_cpu, spc->spc_maxpri);
		}
		spin_unlock(&spc->spc_mutex);
	}
	if (l->l_wchan != NULL)
		sleepq_changepri(l, old);
}

void
sched_lendpri(struct lwp *l, int pri)
{
	int old = lwp_eprio(l);

	KASSERT(lwp_locked(l, NULL));
	TRACE(LEND, pri, l->l_lid, (uintptr_t)curlwp()->l_wchan);
	l->l_inheritedprio = (int16_t)pri;
	pri_changed(l, old, false);
}

static bool
realtime(const struct sched_class *sc)
{
	return sc->sc_policy == SCHED_FIFO || sc->sc_policy == SCHED_RR;
}

/* A priority that is lowered leaves l before its new equals, one that is raised puts it behind them, as on Linux. */
void
sched_setclass(struct lwp *l, const struct sched_class *sc)
{
	nsec_t now = time_now(), run;
	int old, base;

	KASSERT(mutex_owned(&l->l_proc->p_lock));
	KASSERT(sc->sc_nice >= NICE_MIN && sc->sc_nice <= NICE_MAX &&
	    realtime(sc) == (sc->sc_rtprio != 0) && sc->sc_rtprio <= SCHED_RTPRIO_MAX);
	lwp_lock(l);
	old = lwp_eprio(l);
	base = l->l_priority;
	run = lwp_cputime_locked(l);
	if (realtime(&l->l_class)) {
		/* What it used as such is not counted. */
		l->l_esttime = now;
		l->l_estrtime = run;
	} else
		est_update(l, run, now); /* by its weight so far */
	if (sc->sc_policy != l->l_class.sc_policy)
		l->l_slice = 0;
	l->l_class = *sc;
	if (realtime(sc)) {
		l->l_pridue = NSEC_FOREVER;
		l->l_priority = (int16_t)(PRI_USER_RT + sc->sc_rtprio - SCHED_RTPRIO_MIN);
	} else {
		l->l_pridue = now + SCHED_QUANTUM;
		l->l_priority = (int16_t)est_pri(l);
	}
	pri_changed(l, old, l->l_priority < base);
	/* Not lwp_eprio(): the boost may hide from it what a waiter lends. */
	if (l->l_wchan != NULL && l->l_priority != base)
		turnstile_changepri(l);
	lwp_unlock(l);
}

void
sched_fork(const struct lwp *self, struct lwp *l)
{
	KASSERT(mutex_owned(&self->l_proc->p_lock) && l->l_stat == LS_IDL);
	l->l_cpu = self->l_cpu;
	l->l_affinity = self->l_affinity;
	l->l_class = self->l_class;
	/* It begins with what its creator has used: nobody gets more of the CPU by creating others. */
	l->l_priority = self->l_priority;
	l->l_estcpu = self->l_estcpu;
	l->l_esttime = self->l_esttime;
	l->l_rstart = self->l_rstart; /* it does not wait longer than that */
	l->l_pridue = self->l_pridue;
	if (unlikely(l->l_class.sc_reset)) {
		l->l_class.sc_reset = false;
		if (realtime(&l->l_class)) {
			l->l_class = (struct sched_class){ 0 };
			l->l_pridue = 0; /* computed when it is picked */
		} else if (l->l_class.sc_nice < 0)
			l->l_class.sc_nice = 0;
		if (l->l_pridue != NSEC_FOREVER)
			l->l_priority = (int16_t)est_pri(l);
	}
}

/* ---- the clock's part ---- */

/*
 * The running LWP's share of a tick: its priority anew; returns whether its turn among its equals is over.
 * => l is curlwp and locked
 */
bool
sched_charge(struct lwp *l, nsec_t now)
{
	struct cpu *ci = l->l_cpu;
	int old = lwp_eprio(l);

	if (l->l_class.sc_policy == SCHED_RR) {
		if (++l->l_slice < SCHED_RR_TICKS)
			return false;
		l->l_slice = 0;
		l->l_sliceend = l->l_rstart;
		return true;
	}
	if (l->l_priority >= PRI_USER_RT)
		return false;
	if (l->l_pridue != NSEC_FOREVER) {
		sched_refresh(l, l->l_rtime + (now - l->l_rstart), now);
		pri_changed(l, old, false);
	}
	return ci->ci_spc->spc_tickpick == ci->ci_nswitch;
}

/*
 * A few of the time-sharing LWPs that wait are looked at anew: what they have used is forgotten while they wait, so
 * none waits for ever behind the others. Level after level, at each the one that waits longest.
 */
void
sched_age(struct cpu *ci, nsec_t now)
{
	struct schedstate *spc = ci->ci_spc;
	uint64_t bits, above;

	_Static_assert(PRI_USER == 0 && PRI_KERNEL == 64, "one word of the bitmap");
	spin_lock(&spc->spc_mutex);
	for (unsigned n = 0; n < AGE_BATCH && (bits = spc->spc_bitmap[0]) != 0; n++) {
		struct lwp *l;
		int pri;

		above = bits & ~(uint64_t)0 << spc->spc_agepri;
		pri = __builtin_ctzll(above != 0 ? above : bits);
		spc->spc_agepri = (uint8_t)((pri + 1) & 63);
		l = list_first(&spc->spc_queue[pri], struct lwp, l_runq);
		if (l->l_pridue == NSEC_FOREVER)
			continue;
		if (now > l->l_rstart + (WAIT_MAX * weight(l) >> 8)) {
			l->l_priority = PRI_USER_MAX;
			l->l_pridue = now + WAIT_MAX; /* not before it had its turn */
		} else if (now >= l->l_pridue)
			sched_refresh(l, l->l_rtime, now);
		pri_changed(l, pri, false);
	}
	spin_unlock(&spc->spc_mutex);
}
