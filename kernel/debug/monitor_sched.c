/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Monitor commands about queues and locks. A list that was stopped half-way, or that is broken, is
 * followed forwards only, for a bounded number of links, and ends where it leaves the kernel's memory.
 */
#include <kernel/monitor.h>

#include <arch/arch_if.h>
#include <kernel/lockdebug.h>
#include <kernel/mutex.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>

#define MAX_QUEUED 64 /* shown of one run queue */

/* ---- show runq ---- */

struct queue {
	struct monitor_out *q_out;
	const struct list *q_head;
};

static void
runq_list(void *arg)
{
	const struct queue *q = arg;
	unsigned n = 0;

	for (const struct list *e = q->q_head->next; e != q->q_head && e != NULL; e = e->next) {
		if (n++ == MAX_QUEUED) {
			mo_printf(q->q_out, " ...");
			break;
		}
		mo_printf(q->q_out, "%s %d", n % 8 == 1 && n > 1 ? "\n           " : "",
		    list_entry(e, struct lwp, l_runq)->l_lid);
	}
}

static void
runq_cpu(void *arg)
{
	const struct queue *q = arg;
	const struct cpu *ci = (const void *)q->q_head;
	const struct schedstate *spc = ci->ci_spc;
	uintptr_t pc = cpu_stopped_pc(ci);

	mo_printf(q->q_out, "cpu%u: runs lid %d \"%s\" at priority %d; queued %u", ci->ci_index,
	    ci->ci_curlwp->l_lid, ci->ci_curlwp->l_name, spc->spc_curpriority, spc->spc_count);
	if (spc->spc_maxpri >= 0)
		mo_printf(q->q_out, ", best %d", spc->spc_maxpri);
	mo_printf(q->q_out, "\n      want_resched %u, spc_mutex %s, stolen %llu\n      ",
	    ci->ci_want_resched, spc->spc_mutex.sl_word != 0 ? "held" : "free",
	    (unsigned long long)spc->spc_nsteal);
	if (pc != 0) {
		mo_printf(q->q_out, "stopped %s",
		    arch_frame_user(cpu_stopped_frame(ci)) ? "in user mode" : "at ");
		mo_symbol(q->q_out, pc);
		mo_printf(q->q_out, "\n");
	} else
		mo_printf(q->q_out, ci == arch_curcpu() ? "in the monitor\n" : "did not stop\n");
	for (int pri = PRI_COUNT - 1; pri >= 0; pri--) {
		struct queue each = { q->q_out, &spc->spc_queue[pri] };

		if (list_empty(each.q_head))
			continue;
		mo_printf(q->q_out, "      %3d:", pri);
		(void)monitor_try(q->q_out, " runq", runq_list, &each);
		mo_printf(q->q_out, "\n");
	}
}

static int
cmd_runq(struct monitor_out *out, char *args __unused)
{
	struct cpu *ci;

	for_each_cpu(ci)
	{
		struct queue q = { out, (const void *)ci };

		(void)monitor_try(out, "runq", runq_cpu, &q);
	}
	return MONITOR_STAY;
}
MONITOR_COMMAND(show_runq, "show runq", "", "what each CPU runs and has queued", cmd_runq);

/* ---- show sleepq ---- */

static const char *const kind_name[] = {
	[SOBJ_CV] = "cv",
	[SOBJ_FUTEX] = "futex",
	[SOBJ_TURNSTILE] = "mutex",
	[SOBJ_PAUSE] = "pause",
	[SOBJ_PARK] = "park",
	[SOBJ_RWLOCK] = "rwlock",
	[SOBJ_PIFUTEX] = "pi-futex",
};

static void
sleepq_entry(void *arg)
{
	struct monitor_visit *v = arg;
	const struct lwp *l = v->v_lwp, *owner = NULL;

	if (l->l_wchan == NULL)
		return;
	v->v_count++;
	mo_printf(v->v_out, "%7d %7d %-5s %18p %s", l->l_lid, l->l_proc->p_pid,
	    kind_name[l->l_syncobj->so_kind], l->l_wchan, l->l_wmesg);
	if (l->l_syncobj->so_owner != NULL && (owner = l->l_syncobj->so_owner(l->l_wchan)) != NULL)
		mo_printf(v->v_out, ", held by lid %d", owner->l_lid);
	mo_limit(v->v_out, l);
	mo_printf(v->v_out, "\n");
}

static int
cmd_sleepq(struct monitor_out *out, char *args __unused)
{
	mo_printf(out, "%7s %7s KIND  %18s REASON\n", "LID", "PID", "CHANNEL");
	if (monitor_each_lwp(out, "sleepq", sleepq_entry) == 0)
		mo_printf(out, "nobody sleeps\n");
	return MONITOR_STAY;
}
MONITOR_COMMAND(show_sleepq, "show sleepq", "", "who sleeps, and on what", cmd_sleepq);

/* ---- show locks ---- */

#ifdef DEBUG
static void
lock_line(
    struct monitor_out *out, const char *kind, const char *name, const void *lock, uintptr_t pc)
{
	mo_printf(out, " %-5s %18p %-14.14s ", kind, lock, name);
	mo_symbol(out, pc);
	mo_printf(out, "\n");
}

static void
put_holder(struct monitor_out *out, const char *what, int id)
{
	if (id < 0)
		mo_printf(out, ", free by now\n");
	else
		mo_printf(out, " of %s%d\n", what, id);
}

static void
locks_of_lwp(void *arg)
{
	struct monitor_visit *v = arg;

	for (const struct mutex *m = v->v_lwp->l_locks; m != NULL && v->v_count < MONITOR_MAXWALK;
	     m = m->mtx_next) {
		v->v_count++;
		mo_printf(v->v_out, "%7d    -", v->v_lwp->l_lid);
		lock_line(v->v_out, "mutex", m->mtx_name, m, m->mtx_pc);
	}
	for (unsigned i = 0; i < RWHOLDS; i++) {
		const struct rwhold *h = &v->v_lwp->l_rwholds[i];

		if (h->rwh_lock == NULL)
			continue;
		v->v_count++;
		mo_printf(v->v_out, "%7d    -", v->v_lwp->l_lid);
		lock_line(v->v_out, rw_owner(h->rwh_lock) == v->v_lwp ? "write" : "read",
		    h->rwh_lock->rw_name, h->rwh_lock, h->rwh_pc);
	}
	if (v->v_lwp->l_rwwait != NULL) {
		const struct lwp *owner = rw_owner(v->v_lwp->l_rwwait);

		mo_printf(v->v_out, "%7d    - waits for rwlock %p", v->v_lwp->l_lid,
		    (const void *)v->v_lwp->l_rwwait);
		if (owner == NULL && v->v_lwp->l_rwwait->rw_word >= RW_READER1)
			mo_printf(v->v_out, " of %lu readers\n",
			    (unsigned long)(v->v_lwp->l_rwwait->rw_word / RW_READER1));
		else
			put_holder(v->v_out, "lid ", owner != NULL ? owner->l_lid : -1);
	}
	if (v->v_lwp->l_lockwait != NULL) {
		const struct lwp *owner = mutex_owner(v->v_lwp->l_lockwait);

		mo_printf(v->v_out, "%7d    - waits for mutex %p", v->v_lwp->l_lid,
		    (const void *)v->v_lwp->l_lockwait);
		put_holder(v->v_out, "lid ", owner != NULL ? owner->l_lid : -1);
	}
}

static void
locks_of_cpu(void *arg)
{
	struct monitor_visit *v = arg;
	const struct cpu *ci = (const void *)v->v_lwp;

	for (const struct spinlock *s = ci->ci_spinlocks; s != NULL && v->v_count < MONITOR_MAXWALK;
	     s = s->sl_next) {
		v->v_count++;
		mo_printf(v->v_out, "%7d %4u", ci->ci_curlwp->l_lid, ci->ci_index);
		lock_line(v->v_out, "spin", s->sl_name, s, s->sl_pc);
	}
	if (ci->ci_spinwait != NULL) {
		mo_printf(v->v_out, "%7d %4u waits for spin lock %p", ci->ci_curlwp->l_lid,
		    ci->ci_index, (const void *)ci->ci_spinwait);
		put_holder(v->v_out, "cpu", ci->ci_spinwait->sl_cpu - 1);
	}
}

static int
cmd_locks(struct monitor_out *out, char *args __unused)
{
	struct monitor_visit v = { out, NULL, 0 };
	struct cpu *ci;

	mo_printf(out, "%7s  CPU KIND  %18s NAME           TAKEN AT\n", "LID", "LOCK");
	for_each_cpu(ci)
	{
		v.v_lwp = (const void *)ci;
		(void)monitor_try(out, "locks", locks_of_cpu, &v);
	}
	if (monitor_each_lwp(out, "locks", locks_of_lwp) + v.v_count == 0)
		mo_printf(out, "no lock is held\n");
	return MONITOR_STAY;
}
#else
/* A release build records no holder's list: what is known is who owns a mutex that others wait for. */
static void
waited_for(void *arg)
{
	struct monitor_visit *v = arg;
	const struct lwp *l = v->v_lwp, *owner;

	if (!waits_on_turnstile(l))
		return;
	v->v_count++;
	owner = l->l_syncobj->so_owner(l->l_wchan);
	mo_printf(v->v_out, "%7d waits for %s %p held by lid %d\n", l->l_lid,
	    kind_name[l->l_syncobj->so_kind], l->l_wchan, owner != NULL ? owner->l_lid : -1);
}

static int
cmd_locks(struct monitor_out *out, char *args __unused)
{
	struct cpu *ci;

	for_each_cpu(ci) if (ci->ci_mtx_count != 0)
	    mo_printf(out, "cpu%u holds %u spin locks\n", ci->ci_index, ci->ci_mtx_count);
	if (monitor_each_lwp(out, "locks", waited_for) == 0)
		mo_printf(out, "nobody sleeps for a lock\n");
	mo_printf(out, "which locks are held, and since where, a debug kernel records\n");
	return MONITOR_STAY;
}
#endif
#ifdef DEBUG
static int
cmd_order(struct monitor_out *out, char *args __unused)
{
	const char *from, *to;
	uintptr_t held, taken;
	unsigned n = 0;

	mo_printf(out, "WHILE HELD         SINCE\n  IS TAKEN         AT (first time seen)\n");
	for (unsigned i = 0; i < LOCKDEBUG_EDGES; i++) {
		from = lockdebug_edge(i, &to, &held, &taken);
		if (from == NULL)
			continue;
		n++;
		mo_printf(out, "%-18s ", from);
		mo_symbol(out, held);
		mo_printf(out, "\n  %-16s ", to);
		mo_symbol(out, taken);
		mo_printf(out, "\n");
	}
	mo_printf(out, "%u pairs\n", n);
	return MONITOR_STAY;
}
MONITOR_COMMAND(
    show_lockorder, "show lockorder", "", "the order of locks that was learnt", cmd_order);
#endif

MONITOR_COMMAND(
    show_locks, "show locks", "", "which locks are held, by whom, since where", cmd_locks);

/* ---- why ---- */

#ifdef DEBUG
static void
put_mutex_name(struct monitor_out *out, const struct mutex *m)
{
	mo_printf(out, " \"%s\"", m->mtx_name);
}

static void
put_mutex_pc(struct monitor_out *out, const struct mutex *m)
{
	mo_printf(out, " since ");
	mo_symbol(out, m->mtx_pc);
}
#else
#define put_mutex_name(out, m) ((void)0)
#define put_mutex_pc(out, m)   ((void)0)
#endif

/*
 * Follows "waits for": a mutex to its owner, a parent in vfork or wait to its child, a spinning CPU to the one
 * that has the lock. Each prints what it knows of its link and returns who comes next, or NULL.
 */
static const struct lwp *
follow_mutex(struct monitor_out *out, const struct mutex *m, const char *how)
{
	const struct lwp *owner = mutex_owner(m);

	mo_printf(out, "%s mutex %p", how, (const void *)m);
	put_mutex_name(out, m);
	if (owner == NULL) {
		mo_printf(out, "\n%15s which is free by now\n", "");
		return NULL;
	}
	mo_printf(out, "\n%15s held by lid %d", "", owner->l_lid);
	put_mutex_pc(out, m);
	mo_printf(out, "\n");
	return owner;
}

/* Any other lock that an LWP owns, if one does: readers of a rwlock are only counted. */
static const struct lwp *
follow_owner(struct monitor_out *out, const struct lwp *l)
{
	const struct lwp *owner = l->l_syncobj->so_owner(l->l_wchan);

	mo_printf(
	    out, "sleeps for %s %p (%s)", kind_name[l->l_syncobj->so_kind], l->l_wchan, l->l_wmesg);
	if (owner == NULL) {
		mo_printf(out, "\n%15s which no single LWP owns\n", "");
		return NULL;
	}
	mo_printf(out, "\n%15s held by lid %d\n", "", owner->l_lid);
	return owner;
}

static const struct lwp *
first_lwp(const struct proc *p)
{
	return list_empty(&p->p_lwps) ? NULL : list_entry(p->p_lwps.next, struct lwp, l_sibling);
}

static const struct lwp *
follow_sleep(struct monitor_out *out, const struct lwp *l)
{
	const struct proc *p = l->l_proc, *c;
	unsigned n = 0;

	if (l->l_syncobj == &syncobj_turnstile)
		return follow_mutex(out, l->l_wchan, "sleeps for");
	if (waits_on_turnstile(l))
		return follow_owner(out, l);
	mo_printf(out, "sleeps in %s (%s)", l->l_wmesg, kind_name[l->l_syncobj->so_kind]);
	mo_limit(out, l);
	mo_printf(out, "\n");
	if (l->l_wchan == &p->p_vforkcv && l->l_vforkchild != NULL) {
		mo_printf(
		    out, "%15s until its vfork child %d lets go\n", "", l->l_vforkchild->p_pid);
		return first_lwp(l->l_vforkchild);
	}
	if (l->l_wchan != &p->p_waitcv)
		return NULL;
	mo_printf(out, "%15s for one of its children:", "");
	list_foreach (c, &p->p_children, p_sibling) {
		if (n++ == 8) {
			mo_printf(out, " ...");
			break;
		}
		mo_printf(out, " %d", c->p_pid);
	}
	mo_printf(out, "\n");
	/* With one child it is clear whom it waits for. */
	return n == 1 ? first_lwp(list_entry(p->p_children.next, struct proc, p_sibling)) : NULL;
}

#ifdef DEBUG
/* Who spins records for what. Returns whether l does, and who holds it. */
static bool
follow_spin(struct monitor_out *out, const struct lwp *l, const struct lwp **holder)
{
	const struct cpu *ci = l->l_cpu;
	const struct spinlock *s = ci->ci_curlwp == l ? ci->ci_spinwait : NULL;

	if (s != NULL) {
		mo_printf(out, "spins on cpu%u for spin lock %p \"%s\"\n", ci->ci_index,
		    (const void *)s, s->sl_name);
		*holder = NULL;
		if (s->sl_cpu == 0 || s->sl_cpu > ncpu)
			return true;
		mo_printf(out, "%15s held by cpu%u since ", "", s->sl_cpu - 1);
		mo_symbol(out, s->sl_pc);
		mo_printf(out, "\n");
		*holder = cpus[s->sl_cpu - 1]->ci_curlwp;
		return true;
	}
	if (l->l_lockwait == NULL)
		return false;
	*holder = follow_mutex(out, l->l_lockwait, "spins for");
	return true;
}
#else
#define follow_spin(out, l, holder) false
#endif

static const struct lwp *
follow_running(struct monitor_out *out, const struct lwp *l)
{
	const struct lwp *holder __unused;

	if (follow_spin(out, l, &holder))
		return holder;
	mo_printf(out, "runs on cpu%u\n", l->l_cpu->ci_index);
	return NULL;
}

#define MAX_CHAIN 64

struct why {
	struct monitor_out *w_out;
	const struct lwp *w_lwp;
};

static void
why_link(void *arg)
{
	struct why *w = arg;
	const struct lwp *l = w->w_lwp;

	w->w_lwp = NULL;
	mo_printf(w->w_out, "%7d %-6s ", l->l_lid,
	    l->l_stat < LS_COUNT ? lwp_state_name[l->l_stat] : "?");
	if (l->l_wchan != NULL)
		w->w_lwp = follow_sleep(w->w_out, l);
	else if (l->l_running)
		w->w_lwp = follow_running(w->w_out, l);
	else if (l->l_stat == LS_RUN) {
		mo_printf(w->w_out, "waits at priority %d for cpu%u, which runs lid %d at %d\n",
		    lwp_eprio(l), l->l_cpu->ci_index, l->l_cpu->ci_curlwp->l_lid,
		    l->l_cpu->ci_spc->spc_curpriority);
	} else
		mo_printf(w->w_out, "waits for nothing\n");
}

static int
cmd_why(struct monitor_out *out, char *args)
{
	const struct lwp *seen[MAX_CHAIN];
	struct why w = { out, monitor_lwp(out, args) };

	for (unsigned n = 0; w.w_lwp != NULL; n++) {
		for (unsigned i = 0; i < n; i++)
			if (seen[i] == w.w_lwp) {
				mo_printf(out, "%7d CYCLE  of %u: they wait for each other\n",
				    w.w_lwp->l_lid, n - i);
				return MONITOR_STAY;
			}
		if (n == MAX_CHAIN) {
			mo_printf(out, "    ...\n");
			break;
		}
		seen[n] = w.w_lwp;
		if (!monitor_try(out, "why", why_link, &w))
			break;
	}
	return MONITOR_STAY;
}
MONITOR_COMMAND(why, "why", "LID", "what an LWP waits for, and what that waits for", cmd_why);
