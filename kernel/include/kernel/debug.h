/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-checks: invariants, the leak ledger, in-kernel tests, commands of /dev/debug.
 * layer: core
 */
#ifndef KERNEL_DEBUG_H
#define KERNEL_DEBUG_H

#include <kernel/types.h>

/* One command of /dev/debug: 0 or -errno. => may sleep */
int debug_command(const char *cmd);

/*
 * fsck: checks the invariants of docs/invariants.md with all other CPUs parked; panics on a violation.
 * => no lock held, not in interrupt context
 */
void fsck(void);

/*
 * Option fsck=N, debug build: every N switches the next LWP that goes back to user mode runs fsck(). fsck_switch() in
 * a switch to `new`; fsck_boundary() at the user boundary, no lock held.
 */
#if defined(DEBUG) && !__STDC_HOSTED__
struct lwp;
extern uint64_t fsck_every;
void fsck_count(struct lwp *new);
void fsck_boundary(void);
#define fsck_switch(new) \
	do { \
		if (unlikely(fsck_every != 0)) \
			fsck_count(new); \
	} while (0)
#else
#define fsck_switch(new) ((void)0)
#define fsck_boundary()  ((void)0)
#endif

/* What must be the same at the end of a test as at its start. */
#define LEDGER_CACHES 48
struct ledger {
	size_t procs, lwps, ids, kstacks, charged, users, user_pages, table_pages, kmem_objs;
	struct {
		const char *name;
		size_t inuse;
	} cache[LEDGER_CACHES]; /* to say where kmem_objs differs */
};
void ledger_get(struct ledger *);
/* Number of differences; each is logged as "leak: name: was N, is M". */
unsigned ledger_compare(const struct ledger *was, bool memory);

/* In-kernel tests, debug builds: KTEST(name, fn); fn returns 0 or -errno. */
struct ktest {
	const char *name;
	int (*fn)(void);
};
#define KTEST(id, text, func) \
	static const struct ktest ktestent_##id \
	    __attribute__((used, section("set_ktests"))) = { text, func }

#endif
