/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and linkage of LWPs; proc0, idle LWPs and kernel threads.
 *
 * Birth of an LWP: lwp_alloc (IDL, invisible), an id (proc_lock), lwp_link (p_lock), lwp_start.
 * Death: exit.c; the structures come back here through lwp_reap_dead(). What is of one life is cleared at its
 * end, so that a free LWP can be told from one that somebody still uses (fsck).
 */
#include <kernel/process.h>

#include <abi/errno.h>
#include <abi/sched.h>
#include <arch/arch_if.h>
#include <kernel/bugs.h>
#include <kernel/exitmode.h>
#include <kernel/failpoint.h>
#include <kernel/idtable.h>
#include <kernel/kmem.h>
#include <kernel/printf.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/trace.h>
#include <kernel/turnstile.h>
#include <kernel/vm.h>

struct lwp lwp0 = { .l_magic = LWP_MAGIC };
struct proc proc0 = { .p_comm = "kernel" };
struct proc *initproc;
struct list allproc = LIST_INIT(allproc);
struct list zombproc = LIST_INIT(zombproc);

static struct schedstate spc0;
static struct kmem_cache *lwp_cache;
struct lwp *lwp_all; /* (a) every struct lwp ever made, linked by l_allnext */

/* Once per allocation of memory, not per reuse. */
static void
lwp_ctor(void *obj)
{
	struct lwp *l = obj;

	memset(l, 0, sizeof(*l));
	l->l_magic = LWP_MAGIC;
	l->l_stat = LS_IDL;
	l->l_cpu = &cpu0;
	l->l_mutex = &spc0.spc_lwplock;
	l->l_proc = &proc0;
	l->l_inheritedprio = -1;
	list_init(&l->l_pi_lenders);
	list_init(&l->l_pifutexes);
	sigpend_init(&l->l_sigpend);
	sleepq_lwp_ctor(l);
	arch_lwp_ctor(l);
	do
		l->l_allnext = atomic_load_relaxed(&lwp_all);
	while (!atomic_cas(&lwp_all, &l->l_allnext, l));
}

/* Before anything else that looks at curlwp's locks: lwp0 is the idle LWP of the boot CPU. */
void
procs_init_early(void)
{
	struct lwp *l = &lwp0;

	cpu0.ci_spc = &spc0;
	cpu0.ci_idlelwp = l;
	sched_cpu_init(&cpu0);
	callout_cpu_init(&cpu0);
	l->l_stat = LS_IDL;
	l->l_flag = LW_IDLE | LW_SYSTEM | LW_BOUND;
	l->l_cpu = &cpu0;
	l->l_mutex = &spc0.spc_lwplock;
	l->l_running = 1;
	l->l_inheritedprio = -1;
	l->l_proc = &proc0;
	l->l_nopreempt = 1;
	list_init(&l->l_pi_lenders);
	list_init(&l->l_pifutexes);
	sigpend_init(&l->l_sigpend);
	strlcpy(l->l_name, "idle0", sizeof(l->l_name));
	spc0.spc_curlwp = l;
	proc_init(&proc0);
	proc0.p_vmspace = &vmspace_kernel;
	proc0.p_flag = PK_SYSTEM;
	list_insert_tail(&allproc, &proc0.p_list);
}

void
procs_init(void)
{
	struct id_array *a = kmem_zalloc(id_array_size(IDT_INITIAL));

	lwp_cache = kmem_cache_create(
	    "lwp", sizeof(struct lwp) + arch_lwp_extra_size(), CACHE_LINE, KC_TYPESTABLE, lwp_ctor);
	/* For who finds an LWP without knowing that it lives: its lock, whether it runs or waits (mutex_lock_slow()), and the list of all. */
	kmem_cache_stable(
	    lwp_cache, offsetof(struct lwp, l_mutex), offsetof(struct lwp, l_dopreempt));
	kmem_cache_stable(lwp_cache, offsetof(struct lwp, l_wchan), offsetof(struct lwp, l_wmesg));
	kmem_cache_stable(lwp_cache, offsetof(struct lwp, l_proc), offsetof(struct lwp, l_sibling));
	kmem_cache_stable(lwp_cache, offsetof(struct lwp, l_magic), sizeof(struct lwp));
	proc_cache_init();
	cred_init();
	if (a == NULL)
		panic("procs_init: no memory");
	idtable_init(&idtable, a, &lwp0);
	sleepq_lwp_ctor(&lwp0);
	if (!turnstile_lwp_ctor(&lwp0))
		panic("procs_init: no memory");
	lwp0.l_allnext = lwp_all;
	lwp_all = &lwp0;
	mutex_lock(&proc_lock);
	mutex_lock(&proc0.p_lock);
	proc_setstat(&proc0, PS_ACTIVE);
	list_insert_tail(&proc0.p_lwps, &lwp0.l_sibling);
	proc0.p_nlwps = proc0.p_nlive = proc0.p_nrlwps = 1;
	mutex_unlock(&proc0.p_lock);
	mutex_unlock(&proc_lock);
}

/* The end of a life. => l is IDL, or was never linked */
static void
lwp_clear(struct lwp *l)
{
	memset(&l->l_life_begin, 0,
	    offsetof(struct lwp, l_life_end) - offsetof(struct lwp, l_life_begin));
}

bool
lwp_is_clear(const struct lwp *l)
{
	const uint32_t *w = &l->l_life_begin, *end = &l->l_life_end;

	while (w < end && *w == 0)
		w++;
	return w == end && l->l_sigpend.sp_set == 0;
}

struct lwp *
lwp_alloc(struct proc *p)
{
	struct lwp *l = kmem_cache_alloc(lwp_cache);
	void *stack;

	if (l == NULL)
		return NULL;
	if (l->l_ts == NULL && !turnstile_lwp_ctor(l)) {
		kmem_cache_free(lwp_cache, l);
		return NULL;
	}
	stack = kstack_alloc();
	if (stack == NULL) {
		kmem_cache_free(lwp_cache, l);
		return NULL;
	}
	KASSERTMSG(l->l_stat == LS_IDL && !l->l_running && l->l_wchan == NULL &&
		l->l_ts->ts_obj == NULL && list_empty(&l->l_pi_lenders) && l->l_kstack == NULL &&
		l->l_lid == 0 && lwp_is_clear(l),
	    "lwp %p", (void *)l);
	/* A stale lookup may lock it meanwhile: it sees IDL and a lock that is for ever. */
	l->l_kstack = stack;
	l->l_proc = p;
	l->l_flag = 0;
	l->l_kpribase = false;
	l->l_priority = PRI_USER_MAX;
	l->l_inheritedprio = -1;
	l->l_affinity = 0;
	l->l_target_cpu = NULL;
	l->l_dopreempt = 0;
	l->l_ast = 0;
	return l;
}

void
lwp_unalloc(struct lwp *l)
{
	void *stack = l->l_kstack;

	KASSERT(l->l_stat == LS_IDL && !l->l_running && l->l_lid == 0);
	lwp_clear(l);
	l->l_kstack = NULL;
	kstack_free(stack);
	kmem_cache_free(lwp_cache, l);
}

/*
 * A newborn takes over what its creator must still do at the user boundary, in the same hold of p_lock in
 * which it becomes visible to those who stop or kill all LWPs of p: none escapes.
 */
void
lwp_link(struct proc *p, struct lwp *l)
{
	KASSERT(mutex_owned(&p->p_lock));
	KASSERT(l->l_proc == p && l->l_stat == LS_IDL);
	if (curproc() == p) {
		l->l_flag |= atomic_load_relaxed(&curlwp()->l_flag) & (LW_WEXIT | LW_WBOUNDARY);
		if (l->l_flag & (LW_WEXIT | LW_WBOUNDARY))
			l->l_ast = AST_WORK;
	}
	list_insert_tail(&p->p_lwps, &l->l_sibling);
	p->p_nlwps++;
	p->p_nlive++;
	p->p_nrlwps++;
	TRACE_NAME(l, true);
}

void
lwp_start(struct lwp *l)
{
	KASSERT(mutex_owned(&l->l_proc->p_lock));
	KASSERT(l->l_restart_deadline == 0 && l->l_sysrestart == 0 && l->l_lid != 0);
	fp(id_published_not_started);
	lwp_lock(l);
	if (unlikely((l->l_proc->p_flag & PK_STOP) || proc_holds(l->l_proc, l)) &&
	    (l->l_flag & LW_WEXIT) == 0) {
		/* With the others; its creator is about to join them. While one execs it parks first. */
		if ((l->l_flag & LW_WBOUNDARY) == 0) {
			lwp_setstat(l, LS_STOP);
			l->l_proc->p_nrlwps--;
			lwp_unlock(l);
			return;
		}
		l->l_flag |= LW_WSTOP;
	}
	setrunnable(l);
}

/* Two of the seeded bugs: see <kernel/bugs.h>. */
static void __unused
take_stack(struct lwp *l)
{
	void *stack = atomic_swap(&l->l_kstack, NULL);

	if (stack != NULL)
		kstack_free(stack);
}

/* Off CPU, then hidden, then without an id, then free: in this order (B2). */
void
lwp_unlink_dead(struct proc *p, struct lwp *l)
{
	KASSERT(mutex_owned(&p->p_lock));
	if (BUG(stack_early))
		take_stack(l);
	else
		lwp_wait_offcpu(l);
	lwp_lock(l);
	KASSERT(l->l_stat == LS_ZOMB && (l->l_kstack == NULL || exit_deferred()));
	lwp_setstat(l, LS_IDL);
	lwp_unlock(l);
	list_remove(&l->l_sibling);
	p->p_nlwps--;
	p->p_nzlwps--;
	proc_account(p, l, l->l_rtime);
}

void
lwp_free_id(struct proc *p, const struct lwp *l)
{
	if (l->l_lid == p->p_pid)
		id_revert(p);
	else
		id_free(l->l_lid);
}

/* => proc_lock held */
static void
free_ids(struct proc *p, const struct list *dead)
{
	const struct lwp *l;

	list_foreach (l, dead, l_free)
		lwp_free_id(p, l);
}

static void __unused
release_ids(struct proc *p, const struct list *dead)
{
	mutex_unlock(&p->p_lock);
	mutex_lock(&proc_lock);
	free_ids(p, dead);
	mutex_unlock(&proc_lock);
	mutex_lock(&p->p_lock);
}

bool
lwp_reap_dead(struct proc *p)
{
	struct list dead;
	struct lwp *l, *next;
	uint32_t n = 0;

	KASSERT(mutex_owned(&p->p_lock));
	if (list_empty(&p->p_deadlwps))
		return false;
	list_init(&dead);
	list_splice_tail(&dead, &p->p_deadlwps);
	if (BUG(id_early))
		release_ids(p, &dead);
	list_foreach (l, &dead, l_free) {
		lwp_unlink_dead(p, l);
		n++;
	}
	mutex_unlock(&p->p_lock);
	fp(free_after_idl_before_id);
	mutex_lock(&proc_lock);
	if (!BUG(id_early))
		free_ids(p, &dead);
	if (p != &proc0)
		proc_uncharge(p, n);
	mutex_unlock(&proc_lock);
	list_foreach_safe (l, next, &dead, l_free)
		lwp_free(l);
	mutex_lock(&p->p_lock);
	return true;
}

/* Of a dead LWP whose successor has left it there. => it is off its CPU */
void
lwp_free_stack(struct lwp *l)
{
	void *stack = l->l_kstack;

	KASSERT(!l->l_running && exit_deferred());
	if (l->l_cpu != curcpu())
		curcpu()->ci_xstacks++;
	l->l_kstack = NULL;
	kstack_free(stack);
}

/* => l is IDL, has no id, nothing refers to it */
void
lwp_free(struct lwp *l)
{
	struct cpu *ci = curcpu();

	if (unlikely(l->l_kstack != NULL))
		lwp_free_stack(l);
	if (l->l_cpu != ci)
		ci->ci_xlwps++;
	KASSERT(l->l_stat == LS_IDL && l->l_kstack == NULL && l->l_locks == NULL &&
	    l->l_waitingfor == 0 && l->l_lwpctl == NULL);
	TRACE(FREE, l->l_proc->p_stat == PS_ZOMB, l->l_lid,
	    (uint32_t)l->l_proc->p_pid | (uint64_t)proc_wait_status(l->l_proc) << 32);
	lwp_clear(l);
	compiler_barrier(); /* fsck takes who has neither id nor stack for free */
	l->l_lid = 0;
	kmem_cache_free(lwp_cache, l);
}

/* ---- kernel threads ---- */

static int
kernel_lwp(const char *name, int pri, uint32_t flag, void (*fn)(void *), void *arg, struct lwp **lp)
{
	struct lwp *l = lwp_alloc(&proc0);
	int error;

	if (l == NULL)
		return -ENOMEM;
	l->l_flag = LW_SYSTEM | flag;
	l->l_prflag = LPR_DETACHED;
	l->l_priority = (int16_t)pri;
	l->l_pridue = NSEC_FOREVER;
	l->l_class.sc_policy = SCHED_FIFO;
	l->l_class.sc_rtprio = SCHED_RTPRIO_MAX;
	strlcpy(l->l_name, name, sizeof(l->l_name));
	arch_lwp_init(l, fn, arg);
	if ((error = id_enter()) != 0) {
		lwp_unalloc(l);
		return error;
	}
	id_alloc_lwp(l);
	mutex_lock(&proc0.p_lock);
	mutex_unlock(&proc_lock);
	lwp_link(&proc0, l);
	mutex_unlock(&proc0.p_lock);
	*lp = l;
	return 0;
}

int
kthread_create(const char *name, int pri, void (*fn)(void *), void *arg, struct lwp **lp)
{
	struct lwp *l;
	int error;

	mutex_lock(&proc0.p_lock);
	lwp_reap_dead(&proc0);
	mutex_unlock(&proc0.p_lock);
	error = kernel_lwp(name, pri, 0, fn, arg, &l);
	if (error != 0)
		return error;
	if (lp != NULL)
		*lp = l;
	mutex_lock(&proc0.p_lock);
	lwp_start(l);
	mutex_unlock(&proc0.p_lock);
	return 0;
}

static void
idle_start(void *arg __unused)
{
	panic("idle LWP started by a switch");
}

/* Run queue, callout queue and idle LWP of a CPU that is about to start; it stays IDL and never leaves its CPU. */
struct lwp *
cpu_prepare_ap(struct cpu *ci)
{
	struct schedstate *spc = kmem_zalloc(sizeof(*spc));
	char name[LWP_NAMELEN];
	struct lwp *l;

	if (spc == NULL)
		return NULL;
	ci->ci_spc = spc;
	sched_cpu_init(ci);
	callout_cpu_init(ci);
	snprintf(name, sizeof(name), "idle%u", ci->ci_index);
	if (kernel_lwp(name, 0, LW_IDLE | LW_BOUND, idle_start, NULL, &l) != 0) {
		kmem_free(spc, sizeof(*spc));
		return NULL;
	}
	l->l_cpu = ci;
	l->l_mutex = &spc->spc_lwplock;
	l->l_running = 1;
	l->l_nopreempt = 1;
	spc->spc_curlwp = l;
	ci->ci_idlelwp = l;
	ci->ci_curlwp = l;
	return l;
}

size_t
lwps_inuse(void)
{
	return kmem_cache_inuse(lwp_cache);
}
