/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Monitor commands about LWPs, processes, ids and pages. Whatever pointer may be broken is followed within
 * monitor_try(), an entry at a time: one bad entry costs its line, not the list.
 */
#include <kernel/monitor.h>

#include <abi/sched.h>
#include <arch/arch_if.h>
#include <kernel/idtable.h>
#include <kernel/options.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define MAX_KIN 32 /* children shown */

static const char letters[] = {
#define X(name, letter) letter,
	LWP_STATES(X)
#undef X
};

static const char *
state(const struct lwp *l)
{
	return l->l_stat < LS_COUNT ? lwp_state_name[l->l_stat] : "?";
}

static const char *
proc_state(const struct proc *p)
{
	return p->p_stat < PS_COUNT ? proc_state_name[p->p_stat] : "?";
}

/* An id, or -1 and a line that says what is wanted. */
static pid_t
parse_id(struct monitor_out *out, const char *s)
{
	uint64_t id;

	if (option_u64(s, 0, INT32_MAX, &id) == 0)
		return (pid_t)id;
	mo_printf(out, "'%.20s': an id is wanted; ps lists them\n", s);
	return -1;
}

/* Has given its id back to its process, or its id is not yet there. */
static bool
nameless(const struct lwp *l)
{
	return l->l_lid != 0 && (l->l_kstack != NULL || l->l_running) &&
	    idt_lwp(&idtable, l->l_lid) != l;
}

const struct lwp *
monitor_lwp(struct monitor_out *out, const char *s)
{
	pid_t id = parse_id(out, s);
	const struct lwp *l = id >= 0 ? idt_lwp(&idtable, id) : NULL;
	unsigned n = 0;

	if (id > 0 && l == NULL)
		for (l = lwp_all; l != NULL && !(l->l_lid == id && nameless(l)); l = l->l_allnext)
			if (n++ == MONITOR_MAXWALK)
				return NULL;
	if (id >= 0 && l == NULL)
		mo_printf(out, "there is no LWP %d\n", id);
	return l;
}

/* The id of entry i, or -1 if it is free. */
static pid_t
id_of(const struct id_array *a, uint32_t i)
{
	return i == 0 ? 0 : a->entry[i].pid != 0 ? a->entry[i].pid : -1;
}

unsigned
monitor_each_lwp(struct monitor_out *out, const char *what, void (*fn)(void *))
{
	const struct id_array *a = idtable.array;
	struct monitor_visit v = { out, NULL, 0 };
	unsigned n = 0;

	for (uint32_t i = 0; i <= a->mask; i++) {
		pid_t id = id_of(a, i);

		if (id >= 0 && (v.v_lwp = idt_lwp(&idtable, id)) != NULL)
			(void)monitor_try(out, what, fn, &v);
	}
	for (const struct lwp *l = lwp_all; l != NULL && n < MONITOR_MAXWALK; l = l->l_allnext, n++)
		if (nameless(l)) {
			v.v_lwp = l;
			(void)monitor_try(out, what, fn, &v);
		}
	return v.v_count;
}

/* A thing to print: what monitor_try() hands to the function that prints it. */
struct item {
	struct monitor_out *i_out;
	pid_t i_id;
	const void *i_obj;
};

/* ---- ps ---- */

#define WORD 16 /* room for one */

/* Scheduling class in a word: FIFO50, RR1, nice-5, batch0, idle. That of a kernel thread says nothing. */
static const char *
class_word(const struct lwp *l, char *buf)
{
	const struct sched_class *sc = &l->l_class;

	if (l->l_flag & LW_SYSTEM)
		return "kernel";
	if (sc->sc_policy == SCHED_FIFO || sc->sc_policy == SCHED_RR)
		snprintf(
		    buf, WORD, "%s%u", sc->sc_policy == SCHED_RR ? "RR" : "FIFO", sc->sc_rtprio);
	else if (sc->sc_policy == SCHED_IDLE)
		return "idle";
	else
		snprintf(buf, WORD, "%s%d", sc->sc_policy == SCHED_BATCH ? "batch" : "nice",
		    sc->sc_nice);
	return buf;
}

/* Why it does not go on: the signal that stopped it, or the reason of its sleep. */
static const char *
wait_word(const struct lwp *l, char *buf)
{
	if (l->l_stat != LS_STOP)
		return l->l_wchan != NULL ? l->l_wmesg : "-";
	snprintf(buf, WORD, "stop-%d", l->l_proc->p_stopsig);
	return buf;
}

static void
ps_lwp(void *arg)
{
	const struct monitor_visit *v = arg;
	const struct lwp *l = v->v_lwp;
	nsec_t us = l->l_rtime / 1000;
	char class[WORD], wait[WORD];

	if (l->l_running && l->l_stat == LS_ONPROC)
		us += (arch_time_ns() - l->l_rstart) / 1000;
	mo_printf(v->v_out, "%6d %6d %c %3u %4d %-8s %4llu.%06llu %-8.8s %.15s%s\n", l->l_lid,
	    l->l_proc->p_pid, l->l_stat < LS_COUNT ? letters[l->l_stat] : '?', l->l_cpu->ci_index,
	    lwp_eprio(l), class_word(l, class), (unsigned long long)(us / 1000000),
	    (unsigned long long)(us % 1000000), wait_word(l, wait), l->l_name,
	    l->l_running && l->l_stat != LS_ONPROC ? " (running)" : "");
}

static void
ps_proc(void *arg)
{
	const struct item *i = arg;
	const struct proc *p = i->i_obj;

	mo_printf(i->i_out, "%6s %6d %c   -    - -                  - %-8s %.15s\n", "-", i->i_id,
	    *proc_state(p), proc_state(p), p->p_comm);
}

static int
cmd_ps(struct monitor_out *out, char *args __unused)
{
	const struct id_array *a = idtable.array;

	mo_printf(out, "%6s %6s S CPU  PRI CLASS        SECONDS WAIT     NAME\n", "LID", "PID");
	(void)monitor_each_lwp(out, "ps", ps_lwp);
	for (uint32_t n = 1; n <= a->mask; n++) {
		pid_t id = id_of(a, n);
		struct item i = { out, id, id > 0 ? idt_proc(&idtable, id) : NULL };

		if (i.i_obj != NULL)
			(void)monitor_try(out, "ps", ps_proc, &i);
	}
	return MONITOR_STAY;
}
MONITOR_COMMAND(ps, "ps", "", "all LWPs; then processes that no LWP has the id of", cmd_ps);

/* ---- show lwp ---- */

struct flag {
	uint32_t f_bit;
	const char *f_name;
};

#define F(prefix, name) \
	{ \
		prefix##name, #name \
	}
static const struct flag lw_flags[] = { F(LW_, IDLE), F(LW_, SYSTEM), F(LW_, SINTR),
	F(LW_, CATCHINTR), F(LW_, STIMO), F(LW_, CANCELLED), F(LW_, UNPARKED), F(LW_, PENDSIG),
	F(LW_, WEXIT), F(LW_, WSUSPEND), F(LW_, WBOUNDARY), F(LW_, BOUND), F(LW_, WSTOP),
	{ 0, NULL } };
static const struct flag lpr_flags[] = { F(LPR_, DETACHED), F(LPR_, EXITING), { 0, NULL } };
static const struct flag pk_flags[] = { F(PK_, SYSTEM), F(PK_, EXEC), F(PK_, EXITING),
	F(PK_, KILLED), F(PK_, STOP), F(PK_, TELLCONT), { 0, NULL } };
#undef F

static void
put_flags(struct monitor_out *out, const char *what, uint32_t value, const struct flag *f)
{
	mo_printf(out, "%s %#x", what, value);
	for (; f->f_bit != 0; f++)
		if (value & f->f_bit)
			mo_printf(out, " %s", f->f_name);
}

static const char *const sobj_name[] = {
	[SOBJ_CV] = "condition variable",
	[SOBJ_FUTEX] = "futex",
	[SOBJ_TURNSTILE] = "mutex",
	[SOBJ_PAUSE] = "time or event",
	[SOBJ_PARK] = "unpark",
	[SOBJ_RWLOCK] = "rwlock",
	[SOBJ_PIFUTEX] = "priority-inheriting futex",
};

void
mo_limit(struct monitor_out *out, const struct lwp *l)
{
	int64_t left = (int64_t)(l->l_timeout.co_when - arch_time_ns());

	if (!l->l_timeout.co_pending)
		return;
	if (left <= 0) /* the clock goes on while we talk */
		mo_printf(out, ", time is up");
	else
		mo_printf(out, ", %lld ms left", (long long)left / 1000000);
}

static void
show_wait(struct monitor_out *out, const struct lwp *l)
{
	const struct lwp *owner;

	if (l->l_wchan == NULL)
		return;
	mo_printf(out, "  waits for a %s at %p\n  reason %s", sobj_name[l->l_syncobj->so_kind],
	    l->l_wchan, l->l_wmesg);
	mo_limit(out, l);
	if (l->l_syncobj->so_owner != NULL && (owner = l->l_syncobj->so_owner(l->l_wchan)) != NULL)
		mo_printf(out, "\n  which is held by lid %d", owner->l_lid);
	mo_printf(out, "\n");
}

static int
cmd_lwp(struct monitor_out *out, char *args)
{
	const struct lwp *l = monitor_lwp(out, args);
	char word[WORD];

	if (l == NULL)
		return MONITOR_STAY;
	mo_printf(out, "lid %d \"%s\" of pid %d, struct lwp %p%s\n", l->l_lid, l->l_name,
	    l->l_proc->p_pid, (const void *)l, l->l_magic == LWP_MAGIC ? "" : ", bad magic");
	mo_printf(out, "  %s%s, cpu %u, affinity %#llx (0 = all)\n", state(l),
	    l->l_running ? " RUNNING" : "", l->l_cpu->ci_index, (unsigned long long)l->l_affinity);
	if (l->l_stat == LS_STOP)
		mo_printf(out, "  stopped by signal %d\n", l->l_proc->p_stopsig);
	show_wait(out, l);
	mo_printf(out, "  priority %d: base %d, inherited %d%s; class %s%s\n", lwp_eprio(l),
	    l->l_priority, l->l_inheritedprio, l->l_kpribase ? ", kernel boost" : "",
	    class_word(l, word), l->l_class.sc_reset ? ", reset on fork" : "");
	put_flags(out, "  l_flag", l->l_flag, lw_flags);
	put_flags(out, "\n  l_prflag", l->l_prflag, lpr_flags);
	mo_printf(out, "\n  l_pflag %#x, preemption disabled %u, resched %u, ast %u\n", l->l_pflag,
	    l->l_nopreempt, l->l_dopreempt, l->l_ast);
	mo_printf(out, "  ran %llu us; switches: %llu voluntary, %llu not; %llu faults\n",
	    (unsigned long long)l->l_rtime / 1000, (unsigned long long)l->l_nvcsw,
	    (unsigned long long)l->l_nivcsw, (unsigned long long)l->l_minflt);
	mo_printf(out, "  lent lock %p, %s; kernel stack %p\n", (const void *)l->l_mutex,
	    l->l_mutex->sl_word != 0 ? "held" : "free", l->l_kstack);
	mo_printf(out, "  signals: pending %#llx, blocked %#llx\n",
	    (unsigned long long)l->l_sigpend.sp_set, (unsigned long long)l->l_sigmask);
	mo_printf(out, "  locks held, newest first:\n");
	if (mo_locks(out, l) == 0)
		mo_printf(out, "  none\n");
	return MONITOR_STAY;
}
MONITOR_COMMAND(show_lwp, "show lwp", "LID", "one LWP", cmd_lwp);

/* ---- show proc ---- */

static void
put_kin(struct monitor_out *out, const struct proc *p)
{
	const struct proc *c;
	const struct lwp *l;
	unsigned n = 0;

	mo_printf(out, "  LWPs:");
	list_foreach (l, &p->p_lwps, l_sibling) {
		if (n++ == MAX_KIN) {
			mo_printf(out, " ...");
			break;
		}
		mo_printf(out, "%s %d", n % 8 == 1 && n > 1 ? "\n       " : "", l->l_lid);
	}
	mo_printf(out, "\n  children:");
	n = 0;
	list_foreach (c, &p->p_children, p_sibling) {
		if (n++ == MAX_KIN) {
			mo_printf(out, " ...");
			break;
		}
		mo_printf(out, "%s %d", n % 8 == 1 && n > 1 ? "\n           " : "", c->p_pid);
	}
	mo_printf(out, "\n");
}

static int
cmd_proc(struct monitor_out *out, char *args)
{
	pid_t id = parse_id(out, args);
	const struct lwp *l, *owner;
	const struct proc *p;

	if (id < 0)
		return MONITOR_STAY;
	p = idt_proc(&idtable, id);
	if (p == NULL && (l = idt_lwp(&idtable, id)) != NULL)
		p = l->l_proc;
	if (p == NULL) {
		mo_printf(out, "there is no process %d\n", id);
		return MONITOR_STAY;
	}
	if (p->p_pid != id)
		mo_printf(out, "%d is an LWP of this one:\n", id);
	mo_printf(out, "pid %d \"%s\", struct proc %p\n", p->p_pid, p->p_comm, (const void *)p);
	mo_printf(out, "  %s, parent %d, group %d%s, session %d\n", proc_state(p),
	    p->p_pptr != NULL ? p->p_pptr->p_pid : -1, p->p_pgrp != NULL ? p->p_pgrp->pg_id : -1,
	    p->p_pgrp != NULL && p->p_pgrp->pg_jobc == 0 ? " (orphaned)" : "",
	    p->p_pgrp != NULL ? p->p_pgrp->pg_session->s_sid : -1);
	if (p->p_flag & PK_STOP)
		mo_printf(out, "  %s by signal %d\n", p->p_stat == PS_STOP ? "stopped" : "stopping",
		    p->p_stopsig);
	if (p->p_report != REPORT_NONE)
		mo_printf(out, "  has not been reported as %s yet\n",
		    p->p_report == REPORT_STOPPED ? "stopped" : "continued");
	mo_printf(out, "  %u LWPs: %u alive, %u leaving or dead, %u can run or sleep\n", p->p_nlwps,
	    p->p_nlive, p->p_nzlwps, p->p_nrlwps);
	put_kin(out, p);
	if (p->p_singlemode != SINGLE_NONE)
		mo_printf(out, "  single-threading for %s by lid %d, %u parked\n",
		    single_mode_name[p->p_singlemode],
		    p->p_single != NULL ? p->p_single->l_lid : -1, p->p_nboundary);
	put_flags(out, "  p_flag", p->p_flag, pk_flags);
	mo_printf(out, "\n  exit code %d, by signal %d; pending %#llx\n", p->p_xexit, p->p_xsig,
	    (unsigned long long)p->p_sigpend.sp_set);
	owner = mutex_owner(&p->p_lock);
	if (owner != NULL)
		mo_printf(out, "  p_lock held by lid %d\n", owner->l_lid);
	else
		mo_printf(out, "  p_lock free\n");
	mo_printf(out, "  address space %p", (const void *)p->p_vmspace);
	if (p->p_vmspace != NULL && p->p_vmspace != &vmspace_kernel)
		mo_printf(out, ", %zu pages resident", vm_resident(p->p_vmspace));
	mo_printf(out, "\n  descriptors %p\n", (const void *)p->p_fd);
	return MONITOR_STAY;
}
MONITOR_COMMAND(show_proc, "show proc", "PID", "one process", cmd_proc);

/* ---- bt ---- */

static int
cmd_bt(struct monitor_out *out, char *args)
{
	const struct lwp *l = monitor_lwp(out, args);

	if (l == NULL)
		return MONITOR_STAY;
	mo_printf(out, "lid %d \"%s\" of pid %d, %s%s", l->l_lid, l->l_name, l->l_proc->p_pid,
	    state(l), l->l_running ? " RUNNING" : "");
	if (l->l_running)
		mo_printf(out, " on cpu%u", l->l_cpu->ci_index);
	else if (l->l_wchan != NULL)
		mo_printf(out, ", waits: %s", l->l_wmesg);
	mo_printf(out, "\n");
	mo_backtrace(out, l);
	return MONITOR_STAY;
}
MONITOR_COMMAND(bt, "bt", "LID", "kernel backtrace of an LWP", cmd_bt);
