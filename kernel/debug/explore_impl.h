/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the exploration share: explore.c (the driver), explore_pick.c (who is next),
 * explore_run.c (one run after the other).
 */
#ifndef EXPLORE_IMPL_H
#define EXPLORE_IMPL_H

#include <arch/cpu_types.h>
#include <kernel/bootinfo.h>
#include <kernel/explore.h>

#define XCPUS        8      /* most CPUs that can be explored */
#define XRING        65536u /* points that are remembered; a power of two */
#define XCHANGES     65536u /* changes of a schedule */
#define XLIST        64u    /* changes that an option can name */
#define XSTACK       16384u
#define NSEC_POINT   4000u     /* virtual time of a scheduling point */
#define NSEC_STEP    1000u     /* and of an instruction in user mode */
#define NSEC_FAIR    20000000u /* a CPU hands on after so much of its own time */
#define XCLOCK       0xffu     /* in place of a CPU: the clock moves to the next timer */
#define PCT_MAXDEPTH 32u

enum xstate { XS_OUT, XS_RUN, XS_LOCKWAIT, XS_SPIN, XS_IDLE };
enum xstrategy { XT_OFF, XT_PCT, XT_RANDOM, XT_LIST };
enum xphase { XP_RUN, XP_SAVE, XP_RESTORE, XP_RESUME };
enum xmode { XM_SEARCH, XM_SHRINK, XM_FINAL };
enum xresult { XR_NONE, XR_OK, XR_PANIC, XR_STATUS, XR_LEAK, XR_DEADLOCK, XR_LIMIT };

/* A point: who was where. */
struct xpoint {
	uint64_t xp_pc, xp_obj;
	int32_t xp_lid;
	uint8_t xp_cpu, xp_kind, xp_next, xp_pad;
};

/* At its `xg_point`-th point, `xg_cpu` hands on to `xg_to` although it could proceed. */
struct xchange {
	uint32_t xg_point;
	uint8_t xg_cpu, xg_to;
	uint16_t xg_pad;
};

/* What the driver knows of a CPU in this run. */
struct xcpu {
	uint32_t xc_state;       /* enum xstate */
	uint32_t xc_pending;     /* bits of enum explore_intr */
	const uint32_t *xc_word; /* XS_LOCKWAIT */
	uint64_t xc_progress;    /* XS_SPIN: x_progress when it began */
	bool xc_intr;            /* XS_SPIN: interrupts were on */
	nsec_t xc_timer;
	nsec_t xc_used;     /* with the token, since it was last made to hand on */
	uint32_t xc_points; /* its own, counted */
	uint32_t xc_burst;  /* user instructions until its next point; 0 = none is counted */
	int xc_prio;        /* PCT */
	uint32_t xc_atlist; /* XT_LIST: where to look for its next change */
};

/* What the driver knows of this run. */
struct xrun {
	uint32_t r_token; /* (a) index of the CPU that proceeds */
	bool r_begun;     /* the program runs: decisions count */
	bool r_busy;      /* the driver itself is at work: a panic is its own */
	nsec_t r_time;
	uint64_t r_points, r_steps;
	uint64_t r_progress;
	uint64_t r_hash;
	uint64_t r_rng;
	uint32_t r_stay; /* random: 1 of so many points hands on */
	uint32_t r_nchange, r_nextchange;
	uint64_t r_change[PCT_MAXDEPTH]; /* PCT: points at which a priority falls */
	uint32_t r_nmade;
	struct xcpu r_cpu[XCPUS];
};

/*
 * All that the driver keeps, in memory that is not part of the image. Written by the CPU that has the token,
 * x_phase and x_ready atomically.
 */
struct explore {
	struct xrun x_run;
	uint32_t x_phase; /* (a) enum xphase */
	uint32_t x_ready; /* (a) CPUs that have done what x_phase says */

	/* What is wanted. */
	enum xstrategy x_strategy;
	uint64_t x_first, x_last;
	uint32_t x_depth;
	uint64_t x_length; /* points of a run, for PCT; 0 = measure */
	uint64_t x_limit;
	uint32_t x_show;     /* points to print */
	uint32_t x_failures; /* still to be told, without a report; 0 = the first ends the search */
	bool x_shrink;

	/* The runs so far. */
	enum xmode x_mode;
	enum xstrategy x_now; /* of this run */
	uint64_t x_seed;
	enum xresult x_failed; /* what the search has found */
	uint64_t x_runs;
	uint32_t x_shrink_at, x_shrink_size, x_shrink_runs;
	struct xchange *x_made; /* what was done in this run */
	struct xchange *x_keep; /* the shortest list that fails */
	struct xchange *x_try;  /* what XT_LIST follows */
	uint32_t x_nkeep, x_ntry;

	/* The image. */
	bool x_haveimage;
	unsigned x_nrange;
	struct memrange x_range[BOOT_MAXRANGES + 2];
	char *x_image;
	struct xrun x_runimage;
	struct arch_context x_context[XCPUS];
	char x_stack[XCPUS][XSTACK] __attribute__((aligned(64)));

	struct xpoint x_ring[XRING];
	struct xchange x_changes[3][XCHANGES];
};

extern struct explore *xp;

/* Who proceeds: a CPU of `set`, or XCLOCK. `me` is at a point, or waits if it is not in the set. */
unsigned explore_choose(cpuset_t set, unsigned me);
void explore_strategy_init(void);   /* for x_now and x_seed */
uint64_t explore_scatter(uint64_t); /* the same for the same; neighbours have nothing in common */
/* => the driver's work; the token is ours */
void explore_failed(enum xresult, const char *message) __attribute__((noreturn));
/* Takes the image; true: the machine was just put back to it. => the token is ours, interrupts off */
bool explore_save(void);
void explore_restore(void) __attribute__((noreturn));
void explore_take_part(unsigned me); /* of a CPU that waits, in the two above */
extern const char *const explore_kind_name[XK_COUNT];

#endif
