/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedule exploration: one run after the other, and what is done with the first that fails.
 *
 *	XM_SEARCH  a run for each seed; PCT may need one before, to know how long a run is
 *	XM_SHRINK  the schedule of the run that failed as a list of changes, then lists of which a part is left out:
 *	           what still fails is kept, by halves, quarters, ... single changes
 *	XM_FINAL   the shortest again, now with its report: the last points, and the panic itself
 *
 * With explore_failures=N the search does not end there: each failure is told, with its shortest list, and the next
 * seed is tried, until there were N.
 *
 * A single seed or a list is an XM_FINAL from the beginning. tools/explore reads the lines "explore: ...".
 */
#include "explore_impl.h"

#ifdef DEBUG

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/exec.h>
#include <kernel/lockdebug.h>
#include <kernel/lwp.h>
#include <kernel/monitor.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/random.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#define run (&xp->x_run)

#define SHRINK_RUNS 400u
#define FNV_BASIS   0xcbf29ce484222325ul

extern char __data_start[], __bss_end[]; /* linker.ld */

/* ---- options ---- */

static struct {
	enum xstrategy strategy;
	uint64_t first, last, depth, length, limit, show, failures;
	bool shrink;
	unsigned nlist;
	struct xchange list[XLIST];
} wanted = { .first = 1, .last = 1, .depth = 3, .limit = 3000000, .show = 300, .shrink = true };

static int
set_explore(const char *value)
{
	if (strcmp(value, "pct") == 0)
		wanted.strategy = XT_PCT;
	else if (strcmp(value, "random") == 0)
		wanted.strategy = XT_RANDOM;
	else if (strcmp(value, "list") == 0)
		wanted.strategy = XT_LIST;
	else
		return -EINVAL;
	return 0;
}
OPTION(explore, "pct random list", set_explore);

static int
set_seeds(const char *value)
{
	char first[24];
	const char *dots = strchr(value, '.');

	if (dots == NULL)
		return option_u64(value, 0, UINT64_MAX / 2, &wanted.first) != 0
		    ? -EINVAL
		    : (wanted.last = wanted.first, 0);
	if (dots[1] != '.' || (size_t)(dots - value) >= sizeof(first))
		return -EINVAL;
	strlcpy(first, value, (size_t)(dots - value) + 1);
	if (option_u64(first, 0, UINT64_MAX / 2, &wanted.first) != 0 ||
	    option_u64(dots + 2, wanted.first, UINT64_MAX / 2, &wanted.last) != 0)
		return -EINVAL;
	return 0;
}
OPTION(explore_seeds, "A or A..B", set_seeds);

static int
set_depth(const char *value)
{
	return option_u64(value, 1, PCT_MAXDEPTH, &wanted.depth);
}
OPTION(explore_depth, "1..32: ordered events", set_depth);

static int
set_length(const char *value)
{
	return option_u64(value, 0, UINT32_MAX, &wanted.length);
}
OPTION(explore_length, "points of a run, 0 = measure", set_length);

static int
set_limit(const char *value)
{
	return option_u64(value, 1, UINT32_MAX, &wanted.limit);
}
OPTION(explore_limit, "points after which a run has failed", set_limit);

static int
set_show(const char *value)
{
	return option_u64(value, 0, XRING, &wanted.show);
}
OPTION(explore_show, "0..65536: points to print", set_show);

static int
set_failures(const char *value)
{
	return option_u64(value, 1, UINT32_MAX, &wanted.failures);
}
OPTION(explore_failures, "how many to tell before the search ends", set_failures);

static int
set_shrink(const char *value)
{
	wanted.shrink = strcmp(value, "yes") == 0;
	return wanted.shrink || strcmp(value, "no") == 0 ? 0 : -EINVAL;
}
OPTION(explore_shrink, "yes no", set_shrink);

/* CPU.POINT>CPU, or >c for the clock, with commas. */
static int
set_list(const char *s)
{
	uint64_t n[2] = { 0, 0 };

	while (*s != '\0' && wanted.nlist < XLIST) {
		struct xchange *g = &wanted.list[wanted.nlist++];

		for (unsigned i = 0; i < 2; i++) {
			for (n[i] = 0; *s >= '0' && *s <= '9'; s++)
				n[i] = n[i] * 10 + (uint64_t)(*s - '0');
			if (*s++ != ".>"[i])
				return -EINVAL;
		}
		g->xg_cpu = (uint8_t)n[0];
		g->xg_point = (uint32_t)n[1];
		if (*s == 'c')
			g->xg_to = XCLOCK;
		else if (*s >= '0' && *s < '0' + (int)XCPUS)
			g->xg_to = (uint8_t)(*s - '0');
		else
			return -EINVAL;
		if (*++s == ',')
			s++;
		else if (*s != '\0')
			return -EINVAL;
	}
	return *s == '\0' ? 0 : -EINVAL;
}
OPTION(explore_list, "CPU.POINT>CPU[,...]", set_list);

/*
 * Of all memory that is left the driver needs as much as the image of the rest. => before pmap_bootstrap()
 */
void
explore_reserve(struct bootinfo *bi)
{
	struct memrange *best = NULL;
	size_t all = (size_t)(__bss_end - __data_start), mine = round_page(sizeof(struct explore));
	paddr_t at;

	if (wanted.strategy == XT_OFF)
		return;
	for (unsigned i = 0; i < bi->bi_nram; i++) {
		struct memrange *r = &bi->bi_ram[i];

		all += r->end - r->start;
		if (r->end <= (paddr_t)4 << 30 &&
		    (best == NULL || r->end - r->start > best->end - best->start))
			best = r;
	}
	all += round_page(bi->bi_ramdisk_end) - trunc_page(bi->bi_ramdisk);
	mine = round_page((all + mine) / 2 + PAGE_SIZE);
	if (best == NULL || best->end - best->start < mine + ((paddr_t)8 << 20))
		panic("explore: too little memory");
	best->end -= mine;
	at = best->end;
	xp = arch_phys_to_virt(at);
	memset(xp, 0, sizeof(*xp));
	xp->x_image = (char *)xp + round_page(sizeof(struct explore));
	for (unsigned i = 0; i < bi->bi_nram; i++)
		xp->x_range[xp->x_nrange++] = bi->bi_ram[i];
	if (bi->bi_ramdisk != 0)
		xp->x_range[xp->x_nrange++] =
		    (struct memrange){ trunc_page(bi->bi_ramdisk), round_page(bi->bi_ramdisk_end) };
	xp->x_range[xp->x_nrange++] = (struct memrange){ arch_virt_to_phys(__data_start),
		arch_virt_to_phys(__data_start) + (size_t)(__bss_end - __data_start) };
	xp->x_made = xp->x_changes[0];
	xp->x_keep = xp->x_changes[1];
	xp->x_try = xp->x_changes[2];
	xp->x_strategy = wanted.strategy;
	xp->x_first = wanted.first;
	xp->x_last = wanted.last;
	xp->x_depth = (uint32_t)wanted.depth;
	xp->x_length = wanted.length;
	xp->x_limit = wanted.limit;
	xp->x_show = (uint32_t)wanted.show;
	xp->x_failures = (uint32_t)wanted.failures;
	xp->x_shrink = wanted.shrink;
	memcpy(xp->x_try, wanted.list, wanted.nlist * sizeof(wanted.list[0]));
	xp->x_ntry = wanted.nlist;
}

/* ---- a run ---- */

static void
run_begin(void)
{
	xp->x_runs++;
	explore_strategy_init();
	random_restart(xp->x_seed);
	run->r_points = run->r_steps = 0;
	run->r_hash = FNV_BASIS;
	for (unsigned i = 0; i < ncpu; i++)
		run->r_cpu[i].xc_points = run->r_cpu[i].xc_used = 0;
	run->r_begun = true;
}

/* The next run of the search: x_seed, but for the measurement by the usual rule. */
static void
search_begin(void)
{
	xp->x_now = xp->x_strategy;
	if (xp->x_now == XT_PCT && xp->x_length == 0)
		xp->x_now = XT_LIST;
}

void
explore_begin(void)
{
	if (xp == NULL)
		return;
	vdso_only_calls();
	arch_intr_disable();
	xp->x_seed = xp->x_first;
	xp->x_mode = xp->x_first == xp->x_last ? XM_FINAL : XM_SEARCH;
	search_begin();
	if (xp->x_mode != XM_FINAL || xp->x_now != xp->x_strategy)
		(void)explore_save(); /* returns for each run */
	run_begin();
	arch_intr_enable();
}

static void
tell_run(const char *how)
{
	const char *name = xp->x_now == XT_LIST ? "list" : xp->x_now == XT_PCT ? "pct" : "random";

	kprintf("explore: %s seed %lu %s: %lu points, %lu steps, %u changes, trace %016lx\n", name,
	    xp->x_seed, how, run->r_points, run->r_steps, run->r_nmade, run->r_hash);
}

/* ---- shrinking ---- */

/* The list without x_shrink_size changes from x_shrink_at on. */
static void
make_try(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < xp->x_nkeep; i++)
		if (i < xp->x_shrink_at || i >= xp->x_shrink_at + xp->x_shrink_size)
			xp->x_try[n++] = xp->x_keep[i];
	xp->x_ntry = n;
}

static void
keep_made(void)
{
	struct xchange *was = xp->x_keep;

	xp->x_keep = xp->x_made;
	xp->x_made = was;
	xp->x_nkeep = run->r_nmade;
}

static void
tell_list(void)
{
	kprintf("explore: schedule");
	for (uint32_t i = 0; i < xp->x_nkeep; i++) {
		const struct xchange *g = &xp->x_keep[i];

		if (g->xg_to == XCLOCK)
			kprintf("%c%u.%u>c", i == 0 ? ' ' : ',', g->xg_cpu, g->xg_point);
		else
			kprintf("%c%u.%u>%u", i == 0 ? ' ' : ',', g->xg_cpu, g->xg_point, g->xg_to);
	}
	kprintf("\n");
}

static void __noreturn
search_next(void)
{
	search_begin();
	explore_restore();
}

/* A failure has been told as far as it can be: its report, or the next one. `listed`: the list that is kept fails. */
static void __noreturn
final(bool listed)
{
	if (xp->x_failures > 0) {
		if (listed)
			tell_list();
		if (--xp->x_failures == 0 || xp->x_seed == xp->x_last)
			arch_poweroff(1);
		if (xp->x_strategy == XT_PCT && xp->x_length == 0)
			xp->x_length = run->r_points; /* it was the run that measures */
		else
			xp->x_seed++;
		xp->x_mode = XM_SEARCH;
		search_next();
	}
	xp->x_mode = XM_FINAL;
	xp->x_now = listed ? XT_LIST : xp->x_strategy;
	if (listed) {
		xp->x_shrink_size = 0;
		make_try();
		tell_list();
	}
	explore_restore();
}

/* The list that was tried fails as well (or does not): what is tried next? */
static void __noreturn
shrink(bool fails)
{
	if (xp->x_shrink_size == 0) { /* all of it */
		if (!fails) {
			kprintf("explore: its changes alone do not repeat it\n");
			final(false);
		}
		xp->x_shrink_size = xp->x_nkeep;
	} else if (fails)
		keep_made();
	else
		xp->x_shrink_at += xp->x_shrink_size;
	if (xp->x_shrink_at >= xp->x_nkeep) {
		xp->x_shrink_at = 0;
		if (xp->x_shrink_size <= 1 || xp->x_nkeep == 0)
			xp->x_shrink_runs = SHRINK_RUNS;
		xp->x_shrink_size = (xp->x_shrink_size + 1) / 2;
	}
	if (xp->x_shrink_runs++ >= SHRINK_RUNS)
		final(true);
	make_try();
	xp->x_now = XT_LIST;
	explore_restore();
}

/* ---- the end of a run ---- */

/* The last points, oldest first; tools/explore makes them readable. */
static void
report(void)
{
	uint64_t n = min(run->r_points, (uint64_t)xp->x_show);

	xp->x_nkeep = 0;
	keep_made();
	tell_list();
	for (uint64_t i = run->r_points - n; i < run->r_points; i++) {
		const struct xpoint *p = &xp->x_ring[i % XRING];

		kprintf("explore: at %lu cpu%u lid %d %s %#lx %#lx %u\n", i, p->xp_cpu, p->xp_lid,
		    explore_kind_name[p->xp_kind], p->xp_pc, p->xp_obj, p->xp_next);
	}
}

/* What has no panic of its own gets one. */
static void __noreturn
failed_final(enum xresult why, const char *message)
{
	tell_run("fails");
	kprintf("explore: failure: %s\n", message);
	report();
	explore_on = false;
	if (why != XR_DEADLOCK && why != XR_LIMIT)
		arch_poweroff(1);
	if (why == XR_DEADLOCK)
		panic_detail = lockdebug_print_waits;
	panic("explore: %s", message);
}

void
explore_failed(enum xresult why, const char *message)
{
	arch_intr_disable();
	switch (xp->x_mode) {
	case XM_SEARCH:
		tell_run("FAILED");
		kprintf("explore: failure: %s\n", message);
		xp->x_failed = why;
		if (!xp->x_shrink || run->r_nmade == XCHANGES)
			final(false);
		keep_made();
		xp->x_mode = XM_SHRINK;
		xp->x_shrink_at = xp->x_shrink_size = xp->x_shrink_runs = 0;
		xp->x_now = XT_LIST;
		make_try();
		explore_restore();
	case XM_SHRINK:
		shrink(why == xp->x_failed);
	default:
		failed_final(why, message);
	}
}

void
explore_end(int status, unsigned leaks)
{
	char message[64];

	if (xp == NULL)
		return;
	arch_intr_disable();
	if (status != 0 || leaks != 0) {
		if (status != 0)
			snprintf(message, sizeof(message), "exit status %d", status);
		else
			snprintf(message, sizeof(message), "%u leaks", leaks);
		explore_failed(status != 0 ? XR_STATUS : XR_LEAK, message);
	}
	if (xp->x_mode == XM_SHRINK)
		shrink(false);
	tell_run("ok");
	if (xp->x_now != xp->x_strategy && xp->x_length == 0) {
		xp->x_length = run->r_points;
		kprintf("explore: length %lu\n", xp->x_length);
		search_next();
	}
	if (xp->x_mode == XM_SEARCH && xp->x_seed < xp->x_last) {
		xp->x_seed++;
		search_next();
	}
	arch_intr_enable();
}

/* => interrupts off; the panic has not begun */
void
explore_panic(const char *message)
{
	if (!explore_on || panicking)
		return;
	if (run->r_begun && !run->r_busy) {
		if (xp->x_mode != XM_FINAL)
			explore_failed(XR_PANIC, message);
		tell_run("fails");
		kprintf("explore: failure: %s\n", message);
	}
	if (run->r_begun)
		report();
	explore_on = false;
}

const char *const explore_kind_name[XK_COUNT] = {
#define X(id, name) name,
	EXPLORE_KINDS(X)
#undef X
};

#endif
