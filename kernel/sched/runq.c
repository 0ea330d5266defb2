/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues: per CPU an array of lists by priority and a bitmap. All under spc_mutex, which is lent to
 * the LWPs queued. spc_maxpri, spc_mcount, spc_count and spc_curpriority are also read without it, as hints.
 *
 * Equals are served in order. Who becomes runnable, yields, or has had its turn goes to the tail; a real-time LWP
 * that is preempted before its turn is over, to the head.
 */
#include <kernel/sched.h>

#include <arch/arch_if.h>

#include <abi/sched.h>
#include <kernel/proc.h>

/* Preempt kernel code for an LWP of at least this priority. */
int sched_kpreempt_pri = PRI_USER_RT;

void
sched_cpu_init(struct cpu *ci)
{
	struct schedstate *spc = ci->ci_spc;

	spin_init(&spc->spc_mutex, "spc_mutex", RANK_RUNQ);
	spin_init(&spc->spc_lwplock, "spc_lwplock", RANK_LWPLOCK);
	spc->spc_maxpri = PRI_IDLE;
	spc->spc_curpriority = PRI_IDLE;
	for (int i = 0; i < PRI_COUNT; i++)
		list_init(&spc->spc_queue[i]);
}

static inline __attribute__((always_inline)) void
runq_insert(struct schedstate *spc, struct lwp *l, bool head)
{
	int pri = lwp_eprio(l);
	struct list *q = &spc->spc_queue[pri];

	KASSERT(spin_held(&spc->spc_mutex));
	KASSERTMSG(l->l_stat == LS_RUN && l->l_mutex == &spc->spc_mutex, "lid %d %s", l->l_lid,
	    lwp_state_name[l->l_stat]);
	KASSERT(!list_linked(&l->l_runq));
	l->l_qpri = (int16_t)pri;
	spc->spc_bitmap[pri >> 6] |= (uint64_t)1 << (pri & 63);
	if (head)
		list_insert_head(q, &l->l_runq);
	else
		list_insert_tail(q, &l->l_runq);
	if (pri > spc->spc_maxpri)
		atomic_store_relaxed(&spc->spc_maxpri, pri);
	spc->spc_count++;
	if (lwp_migratable(l))
		spc->spc_mcount++;
}

void
sched_enqueue(struct lwp *l)
{
	runq_insert(l->l_cpu->ci_spc, l, false);
}

void
sched_enqueue_head(struct lwp *l)
{
	runq_insert(l->l_cpu->ci_spc, l, true);
}

/* A real-time LWP leaves its CPU and can run on: it keeps its turn unless it gave it up, or its slice is over (B17). */
void
sched_enqueue_rt(struct lwp *l)
{
	bool over = l->l_class.sc_policy == SCHED_RR && l->l_sliceend == l->l_rstart;

	runq_insert(l->l_cpu->ci_spc, l, (l->l_pflag & LP_INTR) != 0 && !over);
}

void
sched_dequeue(struct lwp *l)
{
	struct schedstate *spc = l->l_cpu->ci_spc;
	unsigned pri = (unsigned)l->l_qpri, w = pri / 64;
	bool last = l->l_runq.next == l->l_runq.prev;
	uint64_t left;

	KASSERT(spin_held(&spc->spc_mutex));
	KASSERT(list_linked(&l->l_runq));
	list_remove(&l->l_runq);
	KASSERT(last == list_empty(&spc->spc_queue[pri]));
	spc->spc_count--;
	if (likely(lwp_migratable(l)))
		spc->spc_mcount--;
	if (!last)
		return;
	left = spc->spc_bitmap[w] &= ~((uint64_t)1 << pri % 64);
	if ((int)pri != spc->spc_maxpri)
		return;
	while (left == 0 && w != 0)
		left = spc->spc_bitmap[--w];
	atomic_store_relaxed(
	    &spc->spc_maxpri, left == 0 ? PRI_IDLE : (int)(w * 64) + (63 ^ __builtin_clzll(left)));
}

/*
 * Tells `ci` that an LWP of priority `pri` was queued there. Only who turns a bit of ci_want_resched on
 * sends the interrupt. => spc_mutex of ci held; stays held
 */
void
sched_resched_cpu(struct cpu *ci, int pri)
{
	struct schedstate *spc = ci->ci_spc;
	struct lwp *running = spc->spc_curlwp;
	uint32_t bit;

	KASSERT(spin_held(&spc->spc_mutex));
	if (pri <= spc->spc_curpriority)
		return;
	if (spc->spc_curpriority == PRI_IDLE)
		bit = RESCHED_IDLE;
	else if (pri >= sched_kpreempt_pri) {
		bit = RESCHED_KPREEMPT;
		atomic_store_relaxed(&running->l_dopreempt, 1);
	} else
		bit = RESCHED_UPREEMPT;
	/* Under spc_mutex, but for what a tick adds on its own CPU: that costs an interrupt too many. */
	if (atomic_load_relaxed(&ci->ci_want_resched) & bit)
		return;
	(void)atomic_or(&ci->ci_want_resched, bit);
	if (ci == curcpu()) {
		atomic_store_relaxed(&curlwp()->l_ast, AST_WORK);
		if (bit != RESCHED_KPREEMPT || ci->ci_intr_depth != 0)
			return; /* looked at on the way out */
	}
	arch_ipi_resched(ci);
}

/* Reschedule interrupt: wakes an idle CPU by its mere arrival; else the trap's way out does the work. */
void
sched_ipi(void)
{
	atomic_store_relaxed(&curlwp()->l_ast, AST_WORK);
}
