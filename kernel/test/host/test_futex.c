/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes and the real sleep queues against a model: LWPs are coroutines that wait on words with
 * private and shared keys, while wakes, requeues, signals, time-outs and absent pages come at random.
 * Each wake must find exactly whom the model names, real-time ones first, then the oldest; nobody sleeps after it was woken or
 * interrupted; at the end every bucket is empty and counts nobody.
 *
 * sources: kernel/sync/sleepq.c kernel/sched/lwplock.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h
 */
#include <hosttest.h>

/* The file itself, for its buckets; of two at a time, so that there are many holds. */
#define WAKE_BATCH 2u
#include "../../proc/futex.c"

#include <kernel/failpoint.h>

#define NLWPS  20
#define NWORDS 12 /* the first half is private, the other half shared memory, mapped twice */
#define BASE   ((uintptr_t)0x20000)
#define ALIAS  ((uintptr_t)0x40000)
#define STEPS  400000

/* ---- the machine and the scheduler ---- */

static struct cpu the_cpu;
static struct schedstate the_spc;
static struct proc the_proc;
static struct vmspace the_vm;
static struct lwp boot_lwp;
struct cpu *host_cpu = &the_cpu;
struct lwp *host_lwp = &boot_lwp;
uint32_t fp_usec[FP_COUNT];

static uint32_t word[NWORDS];
static bool absent[NWORDS];
static nsec_t clock_now = 1000;

void
fp_hit(enum failpoint f __unused)
{
}

/* Nobody takes locks with priority inheritance here. */
bool
pifutex_wanted(const struct futex_bucket *fb __unused, const struct futex_key *k __unused)
{
	return false;
}

void
kpreempt(void)
{
}

nsec_t
time_now(void)
{
	return clock_now;
}

void
spin_init(struct spinlock *m, const char *name, enum lock_rank rank)
{
	*m = (struct spinlock){ .sl_rank = (uint16_t)rank, .sl_name = name };
}

/* How many waiters leave a bucket in one hold of its lock. */
static uint32_t at_lock[1u << FUTEX_BUCKET_BITS];
static int longest;

static struct futex_bucket *
bucket_with(struct spinlock *m)
{
	struct futex_bucket *fb = container_of(m, struct futex_bucket, fb_lock);

	return fb >= futex_buckets && fb < futex_buckets + ARRAY_SIZE(futex_buckets) ? fb : NULL;
}

void
spin_lock(struct spinlock *m)
{
	KASSERT(m->sl_word == 0);
	m->sl_word = 1;
	the_cpu.ci_mtx_count++;
	if (bucket_with(m) != NULL)
		at_lock[bucket_with(m) - futex_buckets] = bucket_with(m)->fb_waiters;
}

void
spin_lock_slow(struct spinlock *m)
{
	(void)m;
	abort(); /* spin_lock() waits itself */
}

bool
spin_trylock(struct spinlock *m)
{
	if (m->sl_word != 0)
		return false;
	spin_lock(m);
	return true;
}

void
spin_unlock(struct spinlock *m)
{
	struct futex_bucket *fb = bucket_with(m);

	KASSERT(m->sl_word == 1);
	if (fb != NULL && (int)(at_lock[fb - futex_buckets] - fb->fb_waiters) > longest)
		longest = (int)(at_lock[fb - futex_buckets] - fb->fb_waiters);
	m->sl_word = 0;
	the_cpu.ci_mtx_count--;
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

void
callout_init(struct callout *co, void (*fn)(void *), void *arg)
{
	co->co_fn = fn;
	co->co_arg = arg;
}

void
callout_arm(struct callout *co, nsec_t when)
{
	co->co_when = when;
	co->co_pending = 1;
}

bool
callout_stop(struct callout *co)
{
	bool was = co->co_pending != 0;

	co->co_pending = 0;
	return was;
}

/* ---- user memory ---- */

static int
word_of(uintptr_t addr)
{
	uintptr_t i = (addr >= ALIAS ? addr - ALIAS : addr - BASE) / 4;

	return addr < BASE || i >= NWORDS || (addr >= ALIAS && i < NWORDS / 2) ? -1 : (int)i;
}

int
arch_ufetch_32(uintptr_t addr, uint32_t *v)
{
	int i = word_of(addr);

	if (i < 0)
		return -EFAULT;
	if (host_lwp->l_pflag & LP_NOFAULT) {
		KASSERT(the_cpu.ci_mtx_count > 0);
		if (absent[i])
			return -EFAULT;
	} else
		KASSERT(the_cpu.ci_mtx_count == 0);
	absent[i] = false;
	*v = word[i];
	return 0;
}

int
arch_ucas_32(uintptr_t addr, uint32_t expected, uint32_t v, uint32_t *seen)
{
	int error = arch_ufetch_32(addr, seen);

	if (error == 0 && *seen == expected)
		word[word_of(addr)] = v;
	return error;
}

int
vm_futex_key(struct vmspace *vm, vaddr_t va, bool shared, const void **obj, uint64_t *off)
{
	int i = word_of(va);

	KASSERT(shared && the_cpu.ci_mtx_count == 0);
	if (i < 0)
		return -EFAULT;
	*obj = i < NWORDS / 2 ? (const void *)vm : (const void *)word;
	*off = i < NWORDS / 2 ? va : (uint64_t)i * 4;
	return 0;
}

/* ---- coroutines with a model of each ---- */

/* Leaves one stack, its pointer stored in *from, for another. */
void co_switch(void **from, void *to);
__asm(".text; co_switch: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15;"
      "mov %rsp, (%rdi); mov %rsi, %rsp;"
      "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret");

struct task {
	struct lwp lwp;
	void *sp;
	char stack[65536] __aligned(16);
	bool ready, asleep;
	int want; /* what futex_wait() must return; 1 = not decided */
	const void *obj;
	uint64_t off, seq;
	uint32_t bits;
};
static struct task task[NLWPS];
static void *main_sp;
static uint64_t seq;
static bool stopping;
static unsigned nwoken, nmoved, nintr, ntimo, nagain;

static uint64_t seed = 88172645463325252u;

static unsigned
rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 8) % n);
}

void
sched_enter_switch(struct lwp *l)
{
	struct task *t = container_of(l, struct task, lwp);

	KASSERT(the_cpu.ci_mtx_count == 1 && l->l_stat == LS_SLEEP);
	t->asleep = true;
	l->l_running = 0;
	spin_unlock(l->l_mutex);
	co_switch(&t->sp, main_sp);
}

void
runq_make_runnable(struct lwp *l)
{
	struct task *t = container_of(l, struct task, lwp);

	lwp_setstat(l, LS_RUN);
	lwp_setlock(l, &the_spc.spc_mutex);
	t->ready = true;
	t->asleep = false;
}

static uintptr_t
random_addr(void)
{
	unsigned i = rnd(NWORDS);

	return (i >= NWORDS / 2 && rnd(2) ? ALIAS : BASE) + i * 4;
}

static void
model_key(uintptr_t addr, bool shared, const void **obj, uint64_t *off)
{
	*obj = &the_vm;
	*off = addr;
	if (shared)
		(void)vm_futex_key(&the_vm, addr, true, obj, off);
}

static void
task_main(void)
{
	struct task *t = container_of(host_lwp, struct task, lwp);

	while (!stopping) {
		uintptr_t addr = random_addr();
		bool shared = rnd(2);
		uint32_t val = word[word_of(addr)] + (rnd(8) == 0);
		nsec_t deadline = rnd(3) == 0 ? clock_now + rnd(50) : NSEC_FOREVER;
		bool late = deadline <= clock_now;
		int error;

		model_key(addr, shared, &t->obj, &t->off);
		t->bits = rnd(4) == 0 ? 1u << rnd(4) : FUTEX_BITSET_ANY;
		t->seq = seq++;
		t->lwp.l_priority = rnd(3) == 0 ? (int16_t)(PRI_USER_RT + rnd(3)) : (int16_t)rnd(3);
		t->want = val != word[word_of(addr)] ? -EAGAIN
		    : late                           ? -ETIMEDOUT
		    : host_lwp->l_flag & LW_PENDSIG  ? -ERESTART
						     : 1;
		nagain += t->want == -EAGAIN;
		error = futex_wait(addr, shared, val, t->bits, deadline);
		t->obj = NULL;
		QUIET_CHECK(error == t->want);
		QUIET_CHECK(!t->lwp.l_timeout.co_pending && t->lwp.l_wchan == NULL);
		QUIET_CHECK((t->lwp.l_flag & (LW_SINTR | LW_CATCHINTR | LW_STIMO)) == 0);
		if (error == -ERESTART)
			t->lwp.l_flag &= ~(uint32_t)LW_PENDSIG;
	}
	t->ready = false;
	co_switch(&t->sp, main_sp);
}

static void
run(struct task *t)
{
	t->lwp.l_stat = LS_ONPROC;
	t->lwp.l_mutex = &the_spc.spc_lwplock;
	t->lwp.l_running = 1;
	t->ready = false;
	host_lwp = &t->lwp;
	co_switch(&main_sp, t->sp);
	host_lwp = &boot_lwp;
	QUIET_CHECK(the_cpu.ci_mtx_count == 0);
}

static bool
before(const struct task *a, const struct task *b)
{
	int pa = lwp_sleeppri(&a->lwp), pb = lwp_sleeppri(&b->lwp);

	return pa != pb ? pa > pb : a->seq < b->seq;
}

/* The first sleeper with this key and one of these bits. */
static struct task *
model_first(const void *obj, uint64_t off, uint32_t bits)
{
	struct task *best = NULL;

	for (struct task *t = task; t < task + NLWPS; t++)
		if (t->asleep && t->want == 1 && t->obj == obj && t->off == off &&
		    (t->bits & bits) != 0 && (best == NULL || before(t, best)))
			best = t;
	return best;
}

static unsigned
model_wake(const void *obj, uint64_t off, unsigned n, uint32_t bits)
{
	struct task *t;
	unsigned got = 0;

	while (got < n && (t = model_first(obj, off, bits)) != NULL) {
		t->want = 0;
		got++;
	}
	return got;
}

static void
do_wake(void)
{
	uintptr_t addr = random_addr();
	bool shared = rnd(2);
	unsigned n = rnd(4) == 0 ? INT32_MAX : 1 + rnd(3), want;
	uint32_t bits = rnd(4) == 0 ? 1u << rnd(4) : FUTEX_BITSET_ANY;
	const void *obj;
	uint64_t off;

	model_key(addr, shared, &obj, &off);
	want = model_wake(obj, off, n, bits);
	QUIET_CHECK(futex_wake(addr, shared, n, bits) == (int)want);
	nwoken += want;
}

static void
do_requeue(void)
{
	uintptr_t addr = random_addr(), addr2 = rnd(8) ? random_addr() : addr;
	bool shared = rnd(2);
	unsigned nwake = rnd(3), nmove = rnd(2) ? rnd(4) : INT32_MAX, want, moved = 0;
	uint32_t cmp = word[word_of(addr)] + (rnd(8) == 0);
	const void *obj, *obj2;
	uint64_t off, off2;
	struct task *t;

	if (cmp != word[word_of(addr)]) {
		QUIET_CHECK(futex_requeue(addr, addr2, shared, nwake, nmove, &cmp) == -EAGAIN);
		return;
	}
	model_key(addr, shared, &obj, &off);
	model_key(addr2, shared, &obj2, &off2);
	want = model_wake(obj, off, nwake, FUTEX_BITSET_ANY);
	nwoken += want;
	if (obj == obj2 && off == off2) {
		for (t = task; t < task + NLWPS; t++)
			moved += t->asleep && t->want == 1 && t->obj == obj && t->off == off;
		moved = min(moved, nmove);
	} else
		for (; moved < nmove && (t = model_first(obj, off, FUTEX_BITSET_ANY)) != NULL;
		     moved++) {
			t->obj = obj2;
			t->off = off2;
			t->seq = seq++;
		}
	QUIET_CHECK(futex_requeue(addr, addr2, shared, nwake, nmove, rnd(2) ? &cmp : NULL) ==
	    (int)(want + moved));
	nmoved += moved;
}

static void
do_interrupt(void)
{
	struct task *t = &task[rnd(NLWPS)];

	lwp_lock(&t->lwp);
	t->lwp.l_flag |= LW_PENDSIG;
	if (t->lwp.l_stat == LS_SLEEP) {
		QUIET_CHECK(t->want == 1);
		t->want = -ERESTART;
		nintr++;
		sleepq_unsleep(&t->lwp);
	} else
		lwp_unlock(&t->lwp); /* it has its result; the next sleep ends at once */
}

static void
do_tick(void)
{
	clock_now += rnd(10);
	for (struct task *t = task; t < task + NLWPS; t++)
		if (t->lwp.l_timeout.co_pending && t->lwp.l_timeout.co_when <= clock_now) {
			t->lwp.l_timeout.co_pending = 0;
			if (t->asleep) {
				t->want = -ETIMEDOUT;
				ntimo++;
			}
			t->lwp.l_timeout.co_fn(t->lwp.l_timeout.co_arg);
		}
}

/* Each bucket counts those that are queued on it. */
static bool
counts_agree(void)
{
	for (struct futex_bucket *fb = futex_buckets;
	     fb < futex_buckets + ARRAY_SIZE(futex_buckets); fb++) {
		uint32_t queued = 0, coming_back = 0;

		for (struct list *e = fb->fb_queue.next; e != &fb->fb_queue; e = e->next) {
			struct lwp *l = list_entry(e, struct lwp, l_sleepchain);

			queued++;
			if (futex_bucket_of(l->l_futex_obj, l->l_futex_off) != fb ||
			    l->l_sleepq != &fb->fb_queue || l->l_mutex != &fb->fb_lock)
				return false;
		}
		/* Interrupted, and not yet run again. */
		for (struct task *t = task; t < task + NLWPS; t++)
			coming_back += t->ready && t->lwp.l_futex_obj != NULL &&
			    futex_bucket_of(t->lwp.l_futex_obj, t->lwp.l_futex_off) == fb;
		if (fb->fb_waiters != queued + coming_back)
			return false;
	}
	return true;
}

static void
start(struct task *t)
{
	void **top;

	sleepq_lwp_ctor(&t->lwp);
	t->lwp.l_proc = &the_proc;
	t->lwp.l_cpu = &the_cpu;
	t->lwp.l_stat = LS_RUN;
	t->lwp.l_inheritedprio = -1;
	t->lwp.l_mutex = &the_spc.spc_mutex;
	t->want = 0;
	t->ready = true;
	top = (void **)(t->stack + sizeof(t->stack)) - 2;
	*top = (void *)task_main;
	t->sp = top - 6; /* the registers that co_switch() pops */
}

static void
test_errors(void)
{
	host_lwp = &task[0].lwp;
	CHECK(futex_wait(BASE + 2, false, 0, 1, NSEC_FOREVER) == -EINVAL);
	CHECK(futex_wait(8, true, 0, 1, NSEC_FOREVER) == -EFAULT);
	CHECK(futex_wait(8, false, 0, 1, NSEC_FOREVER) == -EFAULT);
	CHECK(futex_wake(USER_END, false, 1, 1) == -EFAULT);
	CHECK(futex_wake(8, true, 1, 1) == -EFAULT);
	CHECK(futex_wake(8, false, 1, 1) == 0);
	CHECK(futex_requeue(BASE, BASE + 1, false, 1, 1, NULL) == -EINVAL);
	host_lwp = &boot_lwp;
}

int
main(void)
{
	bool agree = true;

	the_cpu.ci_spc = &the_spc;
	spin_init(&the_spc.spc_lwplock, "lwplock", RANK_LWPLOCK);
	spin_init(&the_spc.spc_mutex, "runq", RANK_RUNQ);
	the_proc.p_vmspace = &the_vm;
	boot_lwp.l_proc = &the_proc;
	boot_lwp.l_mutex = &the_spc.spc_lwplock;
	futex_init();
	for (struct task *t = task; t < task + NLWPS; t++)
		start(t);
	test_errors();
	for (unsigned i = 0; i < STEPS; i++) {
		struct task *t = &task[rnd(NLWPS)];

		/* Who sleeps for so long that billions come and go is found still. */
		if (i % (STEPS / 8) == 0)
			for (size_t b = 0; b < ARRAY_SIZE(futex_buckets); b++)
				futex_buckets[b].fb_arrivals += (uint64_t)3 << 30;
		switch (rnd(12)) {
		case 0:
			do_wake();
			break;
		case 1:
			do_requeue();
			break;
		case 2:
			do_interrupt();
			break;
		case 3:
			do_tick();
			break;
		case 4:
			word[rnd(NWORDS)]++;
			absent[rnd(NWORDS)] = true;
			break;
		default:
			if (t->ready)
				run(t);
		}
		if (i % 64 == 0)
			agree = agree && counts_agree();
	}
	CHECK_NAMED(agree, "each bucket counts its waiters");
	CHECK_NAMED(
	    longest == (int)WAKE_BATCH, "no hold of its lock lets more than a batch of them go");
	printf("# woken %u, moved %u, interrupted %u, timed out %u, other value %u\n", nwoken,
	    nmoved, nintr, ntimo, nagain);
	CHECK(nwoken > 1000 && nmoved > 1000 && nintr > 1000 && ntimo > 100 && nagain > 1000);
	stopping = true;
	for (unsigned i = 0; i < NWORDS; i++)
		for (int k = 0; k < 4; k++) {
			uintptr_t addr = (k & 2 && i >= NWORDS / 2 ? ALIAS : BASE) + i * 4;
			const void *obj;
			uint64_t off;

			model_key(addr, k & 1, &obj, &off);
			model_wake(obj, off, INT32_MAX, FUTEX_BITSET_ANY);
			(void)futex_wake(addr, k & 1, INT32_MAX, FUTEX_BITSET_ANY);
		}
	for (struct task *t = task; t < task + NLWPS; t++)
		if (t->ready)
			run(t);
	for (struct task *t = task; t < task + NLWPS; t++)
		QUIET_CHECK(!t->asleep && !t->ready);
	agree = true;
	for (size_t i = 0; i < ARRAY_SIZE(futex_buckets); i++)
		agree = agree && futex_buckets[i].fb_waiters == 0 &&
		    list_empty(&futex_buckets[i].fb_queue);
	CHECK_NAMED(agree, "at the end nobody waits");
	return host_done();
}
