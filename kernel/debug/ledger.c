/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leak ledger, and the commands of /dev/debug.
 */
#include <kernel/debug.h>

#include <abi/errno.h>
#include <abi/time.h>
#include <arch/arch_if.h>
#include <kernel/cv.h>
#include <kernel/exitmode.h>
#include <kernel/failpoint.h>
#include <kernel/fault.h>
#include <kernel/idtable.h>
#include <kernel/kmem.h>
#include <kernel/ledger.h>
#include <kernel/monitor.h>
#include <kernel/options.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/trace.h>

#define LEDGER_PROC(X) X(procs) X(lwps) X(ids) X(kstacks) X(charged) X(users)
#define LEDGER_MEM(X)  X(user_pages) X(table_pages) X(kmem_objs)

struct cache_walk {
	struct ledger *g;
	unsigned n;
};

static void
note_cache(void *arg, const struct kmem_info *info)
{
	struct cache_walk *w = arg;

	if (w->n < LEDGER_CACHES) {
		w->g->cache[w->n].name = info->name;
		w->g->cache[w->n].inuse = info->inuse;
		w->n++;
	}
}

static void
nothing(void *arg __unused)
{
}

void
ledger_get(struct ledger *g)
{
	struct mem_ledger m;
	struct cache_walk w = { .g = g };
	size_t users;

	memset(g, 0, sizeof(*g));
	exitmode_drain(); /* which may give the adopter more */
	proc_adopter_drain();
	/* Who was waited for has left its CPU, but the successor frees its stack after that, with interrupts off. */
	cpu_call(cpu_online_set, nothing, NULL);

	/* Dead kernel threads wait for the next creation; do not count them. */
	mutex_lock(&proc0.p_lock);
	while (lwp_reap_dead(&proc0))
		continue;
	mutex_unlock(&proc0.p_lock);
	users = uid_trim();
	mem_ledger_get(&m);
	g->procs = procs_inuse();
	g->lwps = lwps_inuse();
	g->ids = idtable.count;
	g->kstacks = m.kstacks;
	g->charged = lwp_count;
	g->users = users;
	g->user_pages = m.user_pages;
	g->table_pages = m.table_pages;
	g->kmem_objs = m.kmem_objs;
	kmem_foreach(note_cache, &w);
}

unsigned
ledger_compare(const struct ledger *was, bool memory)
{
	static struct ledger is; /* too large for the stack; one tester at a time */
	unsigned n = 0;

	ledger_get(&is);
#define X(f) \
	if (is.f != was->f) { \
		kprintf("leak: %s: was %zu, is %zu\n", #f, was->f, is.f); \
		n++; \
	}
	LEDGER_PROC(X)
	if (!memory)
		return n;
	LEDGER_MEM(X)
#undef X
	if (is.kmem_objs != was->kmem_objs)
		for (unsigned i = 0; i < LEDGER_CACHES; i++)
			if (is.cache[i].name == was->cache[i].name &&
			    is.cache[i].inuse != was->cache[i].inuse)
				kprintf("leak: cache %s: was %zu, is %zu\n", is.cache[i].name,
				    was->cache[i].inuse, is.cache[i].inuse);
	return n;
}

#ifdef DEBUG
extern const struct ktest __start_set_ktests[] __attribute__((weak)),
    __stop_set_ktests[] __attribute__((weak));

static int
run_ktest(const char *name)
{
	for (const struct ktest *t = __start_set_ktests; t < __stop_set_ktests; t++)
		if (strcmp(t->name, name) == 0)
			return t->fn();
	return -ENOENT;
}

static int
set_failpoint(const char *arg)
{
	char name[48];
	const char *eq = strchr(arg, '=');
	uint64_t usec;

	if (eq == NULL || (size_t)(eq - arg) >= sizeof(name) ||
	    option_u64(eq + 1, 0, 1000000, &usec) != 0)
		return -EINVAL;
	strlcpy(name, arg, (size_t)(eq - arg) + 1);
	return fp_set(name, (uint32_t)usec);
}

#ifdef DEBUG
/* trace CLASSES | trace dump N */
static int
trace_command(const char *arg)
{
	uint64_t v;
	int error;

	if (strncmp(arg, "dump ", 5) == 0) {
		if ((error = option_u64(arg + 5, 1, 100000, &v)) == 0)
			trace_dump((unsigned)v, &log_out);
		return error;
	}
	error = trace_parse(arg, &v);
	return error != 0 ? error : trace_set(v);
}
#endif

/* type HEX...: as if these bytes had been typed at the console */
static int
type_command(const char *arg)
{
	while (*arg != '\0') {
		unsigned c = 0, digits = 0;
		bool intr;

		for (; *arg != '\0' && *arg != ' '; arg++, digits++) {
			unsigned d =
			    *arg >= 'a' ? (unsigned)(*arg - 'a') + 10 : (unsigned)(*arg - '0');

			if (d > 15 || digits == 2)
				return -EINVAL;
			c = c << 4 | d;
		}
		intr = arch_intr_disable();
		console_input((char)c);
		arch_intr_restore(intr);
		while (*arg == ' ')
			arg++;
	}
	return 0;
}

/* hold PID MS: that process rests for so long, or all others (PID 0); of the caller's own, its other LWPs */
static int
hold_command(const char *arg)
{
	const char *space = strchr(arg, ' ');
	char number[12];
	uint64_t pid, ms;
	int error;

	if (space == NULL || (size_t)(space - arg) >= sizeof(number))
		return -EINVAL;
	strlcpy(number, arg, (size_t)(space - arg) + 1);
	if (option_u64(number, 0, INT32_MAX, &pid) != 0 ||
	    option_u64(space + 1, 0, 1000000, &ms) != 0)
		return -EINVAL;
	if ((error = hold_begin((pid_t)pid)) != 0)
		return error;
	error = kpause("hold", true, time_now() + ms * (NSEC_PER_SEC / 1000));
	hold_end();
	return error == -EWOULDBLOCK ? 0 : error;
}

/* rests LID: is that LWP off its CPU, asleep or stopped? -EAGAIN if not */
static int
rests_command(const char *arg)
{
	struct lwp *l;
	uint64_t lid;
	bool rests;

	if (option_u64(arg, 1, INT32_MAX, &lid) != 0)
		return -EINVAL;
	if ((l = lwp_find_locked(NULL, (lwpid_t)lid)) == NULL)
		return -ESRCH;
	rests = (l->l_stat == LS_SLEEP || l->l_stat == LS_STOP) && !l->l_running;
	lwp_unlock(l);
	return rests ? 0 : -EAGAIN;
}

int
debug_command(const char *cmd)
{
	static struct ledger mark; /* one tester at a time */

	if (strcmp(cmd, "fsck") == 0) {
		fsck();
		return 0;
	}
	if (strcmp(cmd, "monitor") == 0)
		return monitor_enter("a program asks") ? 0 : -EBUSY;
	if (strncmp(cmd, "trace ", 6) == 0)
		return trace_command(cmd + 6);
	if (strncmp(cmd, "type ", 5) == 0)
		return type_command(cmd + 5);
	if (strncmp(cmd, "hold ", 5) == 0)
		return hold_command(cmd + 5);
	if (strncmp(cmd, "rests ", 6) == 0)
		return rests_command(cmd + 6);
	if (strncmp(cmd, "fp ", 3) == 0)
		return set_failpoint(cmd + 3);
	if (strncmp(cmd, "fault ", 6) == 0)
		return fault_set(cmd + 6);
	if (strncmp(cmd, "ktest ", 6) == 0)
		return run_ktest(cmd + 6);
	if (strcmp(cmd, "ledger-begin") == 0) {
		ledger_get(&mark);
		return 0;
	}
	/* For a tester whose own memory is what it was at ledger-begin. */
	if (strcmp(cmd, "ledger-end-all") == 0)
		return ledger_compare(&mark, true) == 0 ? 0 : -EIO;
	/* Of a running program: its own memory may well differ. */
	if (strcmp(cmd, "ledger-end") == 0)
		return ledger_compare(&mark, false) == 0 ? 0 : -EIO;
	return -EINVAL;
}
#else
int
debug_command(const char *cmd __unused)
{
	return -ENOSYS;
}
#endif
