/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedule exploration: who proceeds.
 *
 * All strategies depart from one rule, base(): a CPU proceeds until it cannot, or has had its fair time;
 * then the next one by number. What is done otherwise is a change, named by the CPU and the number of its own
 * point, so that a list of the changes alone makes the same run (XT_LIST), and a shorter list one that differs
 * less from the rule.
 *
 *  - pct: each CPU has a random priority, the highest proceeds; at depth - 1 points of the run, chosen at random
 *    beforehand, the priority of whoever is there falls below all others. A bug that needs d ordered events is
 *    found with probability 1 / (n * k^(d-1)) at least, for n CPUs and k points (Burckhardt and others, ASPLOS 2010).
 *  - random: at each point, with a probability that the seed chose, any CPU that can proceed.
 */
#include "explore_impl.h"

#ifdef DEBUG

#include <kernel/cpu.h>
#include <kernel/panic.h>

#define run (&xp->x_run)

uint64_t
explore_scatter(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t
draw(uint64_t below)
{
	return (explore_scatter(run->r_rng += 0x9e3779b97f4a7c15) >> 16) % below;
}

static unsigned
next_of(cpuset_t set, unsigned me)
{
	cpuset_t above = set & ~(((cpuset_t)2 << me) - 1);

	return (unsigned)__builtin_ctzll(above != 0 ? above : set);
}

static unsigned
base(cpuset_t set, unsigned me)
{
	if ((set >> me & 1) != 0 && run->r_cpu[me].xc_used < NSEC_FAIR)
		return me;
	return next_of(set, me);
}

static unsigned
random_member(cpuset_t set)
{
	unsigned n = 0;

	for (cpuset_t s = set; s != 0; s &= s - 1)
		n++;
	for (n = (unsigned)draw(n); n > 0; n--)
		set &= set - 1;
	return (unsigned)__builtin_ctzll(set);
}

static unsigned
choose_random(cpuset_t set, unsigned me)
{
	if (draw(512) == 0)
		return XCLOCK;
	if ((set >> me & 1) != 0 && draw(run->r_stay) != 0)
		return me;
	return random_member(set);
}

static int
lowest(void)
{
	int low = 0;

	for (unsigned i = 0; i < ncpu; i++)
		low = min(low, run->r_cpu[i].xc_prio);
	return low - 1;
}

static unsigned
choose_pct(cpuset_t set, unsigned me)
{
	unsigned best = me;
	bool jump = false;

	while (run->r_nextchange < run->r_nchange &&
	    run->r_points >= run->r_change[run->r_nextchange]) {
		run->r_nextchange++;
		run->r_cpu[me].xc_prio = lowest();
		jump = draw(4) == 0;
	}
	if (jump)
		return XCLOCK;
	if (run->r_cpu[me].xc_used >= NSEC_FAIR)
		run->r_cpu[me].xc_prio = lowest();
	if ((set >> me & 1) == 0)
		best = (unsigned)__builtin_ctzll(set);
	for (cpuset_t s = set; s != 0; s &= s - 1) {
		unsigned i = (unsigned)__builtin_ctzll(s);

		if (run->r_cpu[i].xc_prio > run->r_cpu[best].xc_prio)
			best = i;
	}
	return best;
}

/* The change for this point of the CPU, or NULL. One that it never reached, in what is another run by now, is lost. */
static const struct xchange *
listed(unsigned me)
{
	struct xcpu *xc = &run->r_cpu[me];

	for (; xc->xc_atlist < xp->x_ntry; xc->xc_atlist++) {
		const struct xchange *g = &xp->x_try[xc->xc_atlist];

		if (g->xg_cpu != me || g->xg_point < xc->xc_points)
			continue;
		if (g->xg_point > xc->xc_points)
			return NULL;
		xc->xc_atlist++;
		return g;
	}
	return NULL;
}

static unsigned
choose_listed(cpuset_t set, unsigned me)
{
	const struct xchange *g = listed(me);

	if (g != NULL && (g->xg_to == XCLOCK || (set >> g->xg_to & 1) != 0))
		return g->xg_to;
	return base(set, me);
}

static void
fair(unsigned me)
{
	if (run->r_cpu[me].xc_used >= NSEC_FAIR)
		run->r_cpu[me].xc_used = 0;
}

unsigned
explore_choose(cpuset_t set, unsigned me)
{
	unsigned usual = base(set, me), next;

	if (!run->r_begun) {
		fair(me);
		return usual;
	}
	switch (xp->x_now) {
	case XT_PCT:
		next = choose_pct(set, me);
		break;
	case XT_RANDOM:
		next = choose_random(set, me);
		break;
	default:
		next = choose_listed(set, me);
	}
	if (next != usual && run->r_nmade < XCHANGES)
		xp->x_made[run->r_nmade++] =
		    (struct xchange){ run->r_cpu[me].xc_points, (uint8_t)me, (uint8_t)next, 0 };
	fair(me);
	return next;
}

void
explore_strategy_init(void)
{
	run->r_rng = explore_scatter(xp->x_seed + 1);
	run->r_nextchange = run->r_nchange = run->r_nmade = 0;
	run->r_stay = 2u << 2 * draw(4);
	for (unsigned i = 0; i < ncpu; i++) {
		run->r_cpu[i].xc_prio = (int)draw(1000000) + 1;
		run->r_cpu[i].xc_atlist = 0;
	}
	if (xp->x_now != XT_PCT)
		return;
	while (run->r_nchange < xp->x_depth - 1) {
		uint64_t at = draw(xp->x_length);
		unsigned i = run->r_nchange++;

		for (; i > 0 && run->r_change[i - 1] > at; i--)
			run->r_change[i] = run->r_change[i - 1];
		run->r_change[i] = at;
	}
}

#endif
