/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run queues against a reference that keeps every LWP in one list and searches it: random wakeups,
 * picks, preemptions, priority changes, steals, pulls and affinities on four CPUs. The bitmap, the counts and the
 * maximum are recomputed after every step; the pick is the oldest of the highest priority; placement, stealing and
 * pulling respect affinity (B16); equals are served in order, and a preempted real-time LWP keeps its place
 * (B12, B17).
 *
 * sources: kernel/sched/lwplock.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h
 */
#include <hosttest.h>

#include <abi/sched.h>

#include "../../sched/placement.c"
#include "../../sched/runq.c"

#define NCPU  4
#define NLWPS 40
#define STEPS 200000

static struct cpu host_cpus[NCPU];
static struct schedstate spcs[NCPU];
static struct proc the_proc;
static struct lwp lwps[NLWPS], idle[NCPU];
static int64_t stamp[NLWPS], clock_; /* when it was last queued; at the head: before all others */
static int64_t head_clock;
static unsigned ipis, pulls;

struct cpu *host_cpu = &host_cpus[0];
struct lwp *host_lwp = &idle[0];
struct cpu *cpus[MAXCPUS];
unsigned ncpu = NCPU;
cpuset_t cpu_online_set = (1 << NCPU) - 1;
uint32_t fp_usec[FP_COUNT];

void
fp_hit(enum failpoint f __unused)
{
}

void
arch_ipi_resched(struct cpu *ci __unused)
{
	ipis++;
}

void
spin_init(struct spinlock *m, const char *name, enum lock_rank rank)
{
	*m = (struct spinlock){ .sl_rank = (uint16_t)rank, .sl_name = name };
}

void
spin_lock(struct spinlock *m)
{
	KASSERT(m->sl_word == 0);
	m->sl_word = 1;
}

bool
spin_trylock(struct spinlock *m)
{
	if (m->sl_word != 0)
		return false;
	m->sl_word = 1;
	return true;
}

void
spin_lock_slow(struct spinlock *m)
{
	(void)m;
	abort(); /* spin_lock() waits itself */
}

void
spin_unlock(struct spinlock *m)
{
	KASSERT(m->sl_word == 1);
	m->sl_word = 0;
}

bool
spin_held(const struct spinlock *m)
{
	return m->sl_word != 0;
}

void
spin_lock_pair(struct spinlock *a, struct spinlock *b)
{
	spin_lock(a);
	if (a != b)
		spin_lock(b);
}

void
spin_unlock_pair(struct spinlock *a, struct spinlock *b)
{
	spin_unlock(a);
	if (a != b)
		spin_unlock(b);
}

static uint32_t
rnd(uint32_t n)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (uint32_t)(s >> 33) % n;
}

static bool
allowed(const struct lwp *l, const struct cpu *ci)
{
	return l->l_affinity == 0 || (l->l_affinity & CPU_BIT(ci)) != 0;
}

static void
verify(void)
{
	for (unsigned c = 0; c < NCPU; c++) {
		const struct schedstate *spc = &spcs[c];
		uint32_t count = 0, mcount = 0;
		int top = PRI_IDLE;

		for (unsigned i = 0; i < NLWPS; i++) {
			const struct lwp *l = &lwps[i];

			if (l->l_stat != LS_RUN || l->l_cpu != &host_cpus[c])
				continue;
			KASSERT(l->l_mutex == &spc->spc_mutex && l->l_qpri == lwp_eprio(l));
			KASSERT(spc->spc_bitmap[l->l_qpri >> 6] >> (l->l_qpri & 63) & 1);
			KASSERT(allowed(l, l->l_cpu));
			count++;
			mcount += (l->l_flag & LW_BOUND) == 0;
			top = max(top, lwp_eprio(l));
		}
		KASSERT(
		    spc->spc_count == count && spc->spc_mcount == mcount && spc->spc_maxpri == top);
		for (int p = 0; p < PRI_COUNT; p++)
			KASSERT((spc->spc_bitmap[p >> 6] >> (p & 63) & 1) ==
			    !list_empty(&spc->spc_queue[p]));
	}
}

/* A sleeper wakes. */
static void
wake(unsigned i)
{
	struct lwp *l = &lwps[i];

	lwp_lock(l);
	l->l_priority = (int16_t)rnd(PRI_KERNEL_RT);
	l->l_kpribase = rnd(2);
	{
		struct spinlock *m = l->l_mutex;

		runq_make_runnable(l);
		spin_unlock(m);
	}
	stamp[i] = ++clock_;
	KASSERT(l->l_stat == LS_RUN);
}

/* A CPU picks; the reference says whom. The one that ran goes to sleep. */
static void
pick(unsigned c)
{
	struct schedstate *spc = &spcs[c];
	struct lwp *l, *want = NULL;

	for (unsigned i = 0; i < NLWPS; i++)
		if (lwps[i].l_stat == LS_RUN && lwps[i].l_cpu == &host_cpus[c] &&
		    (want == NULL || lwp_eprio(&lwps[i]) > lwp_eprio(want) ||
			(lwp_eprio(&lwps[i]) == lwp_eprio(want) && stamp[i] < stamp[want - lwps])))
			want = &lwps[i];
	spin_lock(&spc->spc_mutex);
	l = runq_first(spc);
	KASSERT(l == want);
	if (l != NULL) {
		sched_dequeue(l);
		l->l_stat = LS_SLEEP; /* as if it had run and slept */
		l->l_kpribase = false;
		lwp_setlock(l, &spc->spc_lwplock);
		atomic_store_relaxed(&spc->spc_curpriority, rnd(2) ? lwp_eprio(l) : PRI_IDLE);
	}
	spc->spc_curlwp = l != NULL ? l : &idle[c];
	host_cpus[c].ci_want_resched = 0;
	spin_unlock(&spc->spc_mutex);
	if (l == NULL || spc->spc_curpriority == PRI_IDLE) {
		spc->spc_curpriority = PRI_IDLE;
		sched_idle_set |= CPU_BIT(&host_cpus[c]);
	} else
		sched_idle_set &= ~CPU_BIT(&host_cpus[c]);
}

static void
steal(unsigned c)
{
	const struct cpu *was[NLWPS];
	unsigned before = spcs[c].spc_count, moved = 0;
	bool could = false;

	for (unsigned i = 0; i < NLWPS; i++) {
		was[i] = lwps[i].l_cpu;
		could |= lwps[i].l_stat == LS_RUN && was[i] != &host_cpus[c] &&
		    allowed(&lwps[i], &host_cpus[c]) && (lwps[i].l_flag & LW_BOUND) == 0;
	}
	KASSERT(runq_steal(&host_cpus[c]) == (spcs[c].spc_count != 0));
	KASSERT(spcs[c].spc_count == before + could);
	for (unsigned i = 0; i < NLWPS; i++)
		if (lwps[i].l_cpu != was[i]) {
			KASSERT(lwps[i].l_cpu == &host_cpus[c] && (lwps[i].l_flag & LW_BOUND) == 0);
			stamp[i] = ++clock_; /* at the tail of its new queue */
			moved++;
		}
	KASSERT(moved == could);
}

/* A busy CPU looks for more urgent work that may run here, on one CPU after the other. */
static void
pull(unsigned c)
{
	struct schedstate *spc = &spcs[c];
	const struct cpu *was[NLWPS];
	int least = max(spc->spc_curpriority, spc->spc_maxpri) + 1, top = PRI_IDLE;
	unsigned moved = 0;

	if (least < PRI_KERNEL)
		least = min(least + PULL_MARGIN, PRI_KERNEL);
	for (unsigned i = 0; i < NLWPS; i++) {
		was[i] = lwps[i].l_cpu;
		if (lwps[i].l_stat == LS_RUN && was[i] != &host_cpus[c] &&
		    allowed(&lwps[i], &host_cpus[c]) && (lwps[i].l_flag & LW_BOUND) == 0)
			top = max(top, lwp_eprio(&lwps[i]));
	}
	runq_pull(&host_cpus[c]);
	for (unsigned i = 0; i < NLWPS; i++)
		if (lwps[i].l_cpu != was[i]) {
			KASSERT(lwps[i].l_cpu == &host_cpus[c] && lwp_eprio(&lwps[i]) >= least);
			KASSERT(
			    host_cpus[c].ci_want_resched != 0 || spc->spc_curpriority == PRI_IDLE);
			stamp[i] = ++clock_;
			moved++;
		}
	KASSERT(moved == (top >= least));
	pulls += moved;
}

/* The first is picked, and leaves its CPU again while it could run on: by preemption or yield, its slice over or not. */
static void
preempt_first(unsigned c)
{
	struct schedstate *spc = &spcs[c];
	struct lwp *l;
	bool intr = rnd(2), over = rnd(2), rr = rnd(2);

	spin_lock(&spc->spc_mutex);
	if ((l = runq_first(spc)) != NULL) {
		sched_dequeue(l);
		l->l_class.sc_policy = rr ? SCHED_RR : SCHED_FIFO;
		l->l_rstart = (nsec_t)clock_;
		l->l_sliceend = over ? l->l_rstart : 0;
		l->l_pflag = intr ? LP_INTR : 0;
		sched_enqueue_rt(l);
		stamp[l - lwps] = intr && !(rr && over) ? --head_clock : ++clock_;
	}
	spin_unlock(&spc->spc_mutex);
}

/* Priority of a queued LWP changes: it goes to the head or the tail of its new queue, as sched_setclass() says. */
static void
requeue(unsigned i)
{
	bool head = rnd(2);
	struct lwp *l = &lwps[i];

	if (l->l_stat != LS_RUN)
		return;
	lwp_lock(l);
	sched_dequeue(l);
	l->l_priority = (int16_t)rnd(PRI_KERNEL_RT);
	if (head)
		sched_enqueue_head(l);
	else
		sched_enqueue(l);
	lwp_unlock(l);
	stamp[i] = head ? --head_clock : ++clock_;
}

int
main(void)
{
	static unsigned order[8];
	bool fair = true;
	unsigned seen;

	for (unsigned c = 0; c < NCPU; c++) {
		cpus[c] = &host_cpus[c];
		host_cpus[c].ci_index = c;
		host_cpus[c].ci_spc = &spcs[c];
		host_cpus[c].ci_idlelwp = &idle[c];
		sched_cpu_init(&host_cpus[c]);
		spcs[c].spc_curlwp = &idle[c];
	}
	for (unsigned i = 0; i < NLWPS; i++) {
		lwps[i].l_lid = (lwpid_t)i + 2;
		lwps[i].l_proc = &the_proc;
		lwps[i].l_stat = LS_SLEEP;
		lwps[i].l_cpu = &host_cpus[i % NCPU];
		lwps[i].l_mutex = &spcs[i % NCPU].spc_lwplock;
		lwps[i].l_inheritedprio = -1;
		if (i % 5 == 0)
			lwps[i].l_flag = LW_BOUND;
		else if (i % 3 == 0) /* some may run on two CPUs only */
			lwps[i].l_affinity =
			    CPU_BIT(&host_cpus[i % NCPU]) | CPU_BIT(&host_cpus[(i + 1) % NCPU]);
		list_init(&lwps[i].l_pi_lenders);
	}
	for (unsigned n = 0; n < STEPS; n++) {
		unsigned i = rnd(NLWPS), c = rnd(NCPU);

		host_cpu = &host_cpus[c];
		switch (rnd(10)) {
		case 8:
			pull(c);
			break;
		case 9:
			preempt_first(c);
			break;
		case 0:
			steal(c);
			break;
		case 1:
			requeue(i);
			break;
		case 2:
		case 3:
		case 4:
			pick(c);
			break;
		default:
			if (lwps[i].l_stat == LS_SLEEP)
				wake(i);
			break;
		}
		verify();
	}
	CHECK_NAMED(true, "200,000 random steps on four CPUs agree with the reference");
	CHECK(ipis > 0 && pulls > 0);

	/* Equals take turns: pick the first, put it back, n times. */
	for (unsigned c = 0; c < NCPU; c++)
		while (spcs[c].spc_count != 0)
			pick(c);
	spcs[0].spc_curpriority = PRI_COUNT; /* so that nothing is kicked */
	sched_idle_set = 0;
	for (unsigned i = 0; i < 8; i++) {
		struct lwp *l = &lwps[5 * i]; /* bound */

		l->l_cpu = &host_cpus[0];
		l->l_kpribase = false;
		l->l_priority = PRI_DEFAULT;
		spin_lock(l->l_mutex);
		l->l_stat = LS_RUN;
		spin_unlock(lwp_setlock(l, &spcs[0].spc_mutex));
		spin_lock(&spcs[0].spc_mutex);
		sched_enqueue(l);
		spin_unlock(&spcs[0].spc_mutex);
	}
	for (unsigned n = 0; n < 800; n++) {
		struct lwp *l;

		spin_lock(&spcs[0].spc_mutex);
		l = runq_first(&spcs[0]);
		sched_dequeue(l);
		sched_enqueue(l);
		spin_unlock(&spcs[0].spc_mutex);
		seen = (unsigned)(l - lwps) / 5;
		fair &= seen == n % 8;
		order[seen]++;
	}
	CHECK_NAMED(fair && order[0] == 100, "B12, B17: equals are served in turn");
	return host_done();
}
