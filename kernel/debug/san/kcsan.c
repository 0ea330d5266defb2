/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run time of SAN=kcsan: finds data races by sampling. The compiler calls it before each load and store.
 *
 * Every so often a CPU that is about to make a plain access publishes a watchpoint for those bytes, waits for some
 * microseconds with interrupts off, and takes it back. An access of another CPU to bytes that are watched is a race if
 * one of the two writes: the other CPU leaves its backtrace with the watchpoint and goes on, the watcher reports. If
 * nobody was caught but the value has changed, somebody wrote whom the compiler does not see; that is reported too.
 *
 * Marked accesses, which are those through <kernel/atomic.h>, set no watchpoint: two of them are no race, and one
 * against a plain access is found from the plain one's side. A marked read against a plain write is none either: the
 * writer holds a lock or owns the word, its store of an aligned word is whole, and the reader has said that it takes
 * the old value or the new. The CPU's own stack is not watched.
 *
 * Locks: none. w_state goes FREE -> WATCH by its CPU, WATCH -> CAUGHT by the one that wins, -> FREE by its CPU.
 *
 * Options: kcsan=panic (default), report (prints each pair of places once and goes on) or off; kcsan_skip=N accesses
 * between two watchpoints of a CPU on average, kcsan_wait=N microseconds at most.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/kmem.h>
#include <kernel/ksyms.h>
#include <kernel/lwp.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/san.h>
#include <kernel/string.h>

#define FRAMES    8u
#define REPORTED  256u /* pairs of places that are remembered */
#define SKIP      2000u
#define WAIT_USEC 40u

struct access {
	uintptr_t a_addr;
	uint32_t a_size;
	uint32_t a_cpu;
	int a_lid;
	bool a_write, a_marked;
	uint32_t a_nframes;
	uintptr_t a_pc[FRAMES];
};

enum { FREE, WATCH, CAUGHT };
enum { WAIT, RACE, MISTAKE };

/* One a CPU. Field locks: (a) atomic (o) its CPU (w) who won the watchpoint, until w_told; then its CPU */
struct watch {
	uint32_t w_state;      /* (a) */
	uint32_t w_told;       /* (a) not WAIT: whoever caught it has told */
	uintptr_t w_addr;      /* (a) */
	uint32_t w_size;       /* (a) */
	uint32_t w_write;      /* (a) */
	struct access w_other; /* (w) */
	uint32_t w_skip;       /* (o) accesses until the next watchpoint */
	uint32_t w_random;     /* (o) */
	uint32_t w_inside;     /* (o) in the run time: what it calls is not watched */
} __cacheline_aligned;

static struct watch watches[MAXCPUS];
static uint32_t watching; /* (a) watchpoints that are set */
static bool ready;        /* (a) */
uint32_t san_paused;

static uint32_t report_busy;                   /* (a) a raw lock */
static uintptr_t reported[REPORTED][2];        /* by it */
static uint32_t nreported;                     /* by it */
static uint32_t nraces;                        /* (a) */
static enum { PANIC, REPORT, OFF } mode;       /* (c) after boot */
static uint64_t skip = SKIP, wait = WAIT_USEC; /* (c) after boot */

static int
set_mode(const char *value)
{
	if (strcmp(value, "panic") == 0)
		mode = PANIC;
	else if (strcmp(value, "report") == 0)
		mode = REPORT;
	else if (strcmp(value, "off") == 0)
		mode = OFF;
	else
		return -EINVAL;
	return 0;
}
OPTION(kcsan, "panic, report or off", set_mode);

static int
set_skip(const char *value)
{
	return option_u64(value, 1, 1000000000, &skip);
}
OPTION(kcsan_skip, "1 to 1000000000 accesses between two watchpoints", set_skip);

static int
set_wait(const char *value)
{
	return option_u64(value, 1, 10000, &wait);
}
OPTION(kcsan_wait, "1 to 10000 microseconds that a watchpoint stands", set_wait);

void
kcsan_init(void)
{
	for (unsigned i = 0; i < MAXCPUS; i++) {
		watches[i].w_random = 2463534242u + i * 7919;
		watches[i].w_skip = (uint32_t)skip;
	}
	atomic_store_release(&ready, mode != OFF && ncpu > 1);
}

/* ---- reports ---- */

static void
note(struct access *a, uintptr_t addr, size_t n, bool write, bool marked, uintptr_t pc,
    const uintptr_t *fp)
{
	const struct cpu *ci = arch_curcpu();

	a->a_addr = addr;
	a->a_size = (uint32_t)n;
	a->a_write = write;
	a->a_marked = marked;
	a->a_cpu = ci->ci_index;
	a->a_lid = ci->ci_curlwp->l_lid;
	a->a_pc[0] = pc;
	/* fp is the frame of the instrumented function: its return address is its caller's. */
	for (a->a_nframes = 1; a->a_nframes < FRAMES; a->a_nframes++) {
		const uintptr_t *next = (const uintptr_t *)fp[0];

		a->a_pc[a->a_nframes] = fp[1];
		if (next <= fp || (uintptr_t)next - (uintptr_t)fp > KSTACK_SIZE ||
		    ((uintptr_t)next & 7) != 0)
			break;
		fp = next;
	}
}

static void
print(const struct access *a)
{
	kprintf("%s%s of %u bytes at %#lx by cpu%u lid%d:\n", a->a_marked ? "marked " : "",
	    a->a_write ? "write" : "read", a->a_size, a->a_addr, a->a_cpu, a->a_lid);
	for (uint32_t i = 0; i < a->a_nframes; i++) {
		kprintf("  ");
		panic_symbol(a->a_pc[i]);
		kprintf("\n");
	}
}

static struct access first, second; /* of the panic */

static void
detail(void)
{
	print(&first);
	if (second.a_nframes != 0)
		print(&second);
}

/* Is the pair new? => report_busy held */
static bool
remember(uintptr_t a, uintptr_t b)
{
	for (uint32_t i = 0; i < min(nreported, REPORTED); i++)
		if ((reported[i][0] == a && reported[i][1] == b) ||
		    (reported[i][0] == b && reported[i][1] == a))
			return false;
	reported[nreported % REPORTED][0] = a;
	reported[nreported % REPORTED][1] = b;
	nreported++;
	return true;
}

/* Two accesses, or one whose bytes changed: `b` NULL. => interrupts off */
static void
report(const struct access *a, const struct access *b)
{
	char name[2][48] = { "", "" };
	uintptr_t off;
	const char *sym;

	if (atomic_swap(&report_busy, 1) != 0)
		return; /* one at a time; it will be found again */
	if (remember(a->a_pc[0], b != NULL ? b->a_pc[0] : 0)) {
		atomic_add(&nraces, 1);
		for (int i = 0; i < 2; i++) {
			const struct access *x = i == 0 ? a : b;

			sym = x != NULL ? ksym_lookup(x->a_pc[0], &off) : NULL;
			if (sym != NULL)
				snprintf(name[i], sizeof(name[i]), "%s+%#lx", sym, off);
		}
		first = *a;
		second = b != NULL ? *b : (struct access){ 0 };
		if (mode == PANIC) {
			panic_detail = detail;
			if (b == NULL)
				panic("kcsan: %u bytes at %#lx changed during a plain %s in %s",
				    a->a_size, a->a_addr, a->a_write ? "write" : "read", name[0]);
			panic("kcsan: data race on %#lx: %s in %s, %s%s in %s", b->a_addr,
			    a->a_write ? "write" : "read", name[0], b->a_marked ? "marked " : "",
			    b->a_write ? "write" : "read", name[1]);
		}
		kprintf("kcsan: race %u: %s and %s\n", atomic_load_relaxed(&nraces), name[0],
		    b != NULL ? name[1] : "an unknown writer");
		detail();
	}
	atomic_store_release(&report_busy, 0);
}

/* ---- the watchpoints ---- */

static uint64_t
sample(uintptr_t a, size_t n)
{
	switch (n) {
	case 1:
		return *(volatile uint8_t *)a;
	case 2:
		return *(volatile uint16_t *)a;
	case 4:
		return *(volatile uint32_t *)a;
	case 8:
		return *(volatile uint64_t *)a;
	default:
		return 0;
	}
}

static bool
matches(const struct watch *w, uintptr_t a, size_t n, bool write, bool marked)
{
	uintptr_t addr = atomic_load_relaxed(&w->w_addr);

	return addr < a + n && a < addr + atomic_load_relaxed(&w->w_size) &&
	    (write || (!marked && atomic_load_relaxed(&w->w_write) != 0));
}

/* A racing access: leaves its trace with the watchpoint. */
static void __noinline
caught(struct watch *w, uintptr_t a, size_t n, bool write, bool marked, uintptr_t pc,
    const uintptr_t *fp)
{
	uint32_t old = WATCH;

	if (!atomic_cas(&w->w_state, &old, CAUGHT))
		return;
	/* Its CPU waits for us now: is it still the watchpoint that we saw? */
	if (matches(w, a, n, write, marked)) {
		note(&w->w_other, a, n, write, marked, pc, fp);
		atomic_store_release(&w->w_told, RACE);
	} else {
		atomic_store_release(&w->w_told, MISTAKE);
	}
}

static void
look(uintptr_t a, size_t n, bool write, bool marked, uintptr_t pc, const uintptr_t *fp)
{
	unsigned self = arch_curcpu()->ci_index;

	for (unsigned i = 0; i < ncpu; i++) {
		struct watch *w = &watches[i];

		if (i != self && matches(w, a, n, write, marked) &&
		    atomic_load_acquire(&w->w_state) == WATCH)
			caught(w, a, n, write, marked, pc, fp);
	}
}

static uint32_t
draw(struct watch *w)
{
	uint32_t x = w->w_random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return w->w_random = x;
}

static bool
own_stack(uintptr_t a)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return a - here + KSTACK_SIZE < 2 * KSTACK_SIZE;
}

static bool
is_device(uintptr_t a)
{
	return a >= KSTACK_BASE + KSTACK_AREA && a < KIMAGE_BASE;
}

static void __noinline
set_watch(uintptr_t a, size_t n, bool write, uintptr_t pc, const uintptr_t *fp)
{
	bool on = arch_intr_disable();
	struct watch *w = &watches[arch_curcpu()->ci_index];
	struct access mine;
	uint64_t before;
	nsec_t end;

	w->w_skip = (uint32_t)(skip / 2) + draw(w) % (uint32_t)(skip + 1);
	if (w->w_inside != 0 || own_stack(a) || is_device(a)) {
		arch_intr_restore(on);
		return;
	}
	w->w_inside = 1;
	w->w_told = WAIT;
	atomic_store_relaxed(&w->w_size, (uint32_t)n);
	atomic_store_relaxed(&w->w_write, write);
	atomic_store_relaxed(&w->w_addr, a);
	before = sample(a, n);
	atomic_store_release(&w->w_state, WATCH);
	(void)atomic_add(&watching, 1);
	end = arch_time_ns() + (nsec_t)(draw(w) % ((uint32_t)wait * 1000));
	do
		arch_cpu_relax();
	while (arch_time_ns() < end && atomic_load_relaxed(&w->w_state) == WATCH);
	(void)atomic_sub(&watching, 1);
	if (atomic_swap(&w->w_state, FREE) == CAUGHT) {
		while (atomic_load_acquire(&w->w_told) == WAIT)
			arch_cpu_relax();
		if (w->w_told == RACE) {
			note(&mine, a, n, write, false, pc, fp);
			report(&mine, &w->w_other);
		}
	} else if (sample(a, n) != before && atomic_load_relaxed(&san_paused) == 0) {
		note(&mine, a, n, write, false, pc, fp);
		report(&mine, NULL);
	}
	w->w_inside = 0;
	arch_intr_restore(on);
}

static inline void
access(uintptr_t a, size_t n, bool write, bool marked, uintptr_t pc, const uintptr_t *fp)
{
	struct watch *w;

	if (unlikely(!atomic_load_relaxed(&ready) || atomic_load_relaxed(&san_paused) != 0 ||
		atomic_load_relaxed(&panicking)))
		return;
	if (unlikely(atomic_load_relaxed(&watching) != 0))
		look(a, n, write, marked, pc, fp);
	if (marked)
		return;
	/* An interrupt between the two lines may cost or double a count. */
	w = &watches[arch_curcpu()->ci_index];
	if (unlikely(w->w_skip-- == 0))
		set_watch(a, n, write, pc, fp);
}

/* The run time keeps no frame of its own below: frame 0 is ours, its link the instrumented function's. */
#define CALLER (uintptr_t) __builtin_return_address(0)
#define FRAME  (const uintptr_t *)*(const uintptr_t *)__builtin_frame_address(0)

void
san_read(const void *p, size_t n)
{
	if (n != 0)
		access((uintptr_t)p, n, false, false, CALLER, FRAME);
}

void
san_write(const void *p, size_t n)
{
	if (n != 0)
		access((uintptr_t)p, n, true, false, CALLER, FRAME);
}

/* ---- what the compiler calls: plain accesses ---- */

#define PLAIN(name, n, write) \
	void __tsan_##name(uintptr_t); \
	void __tsan_##name(uintptr_t a) \
	{ \
		access(a, n, write, false, CALLER, FRAME); \
	}
#define SIZE(n) \
	PLAIN(read##n, n, false) \
	PLAIN(write##n, n, true) \
	PLAIN(unaligned_read##n, n, false) \
	PLAIN(unaligned_write##n, n, true) \
	PLAIN(volatile_read##n, n, false) \
	PLAIN(volatile_write##n, n, true) \
	PLAIN(unaligned_volatile_read##n, n, false) \
	PLAIN(unaligned_volatile_write##n, n, true)
SIZE(1)
SIZE(2)
SIZE(4)
SIZE(8)
SIZE(16)

void __tsan_read_range(uintptr_t, size_t);
void
__tsan_read_range(uintptr_t a, size_t n)
{
	access(a, n, false, false, CALLER, FRAME);
}

void __tsan_write_range(uintptr_t, size_t);
void
__tsan_write_range(uintptr_t a, size_t n)
{
	access(a, n, true, false, CALLER, FRAME);
}

void __tsan_init(void);
void
__tsan_init(void)
{
}

/* ---- marked accesses: done here, whatever order was asked for, in the strongest ---- */

#define MARK(p, write) access((uintptr_t)(p), sizeof(*(p)), write, true, CALLER, FRAME)
#define RMW(bits, t, op, builtin) \
	t __tsan_atomic##bits##_##op(volatile t *, t, int); \
	t __tsan_atomic##bits##_##op(volatile t *p, t v, int order __unused) \
	{ \
		MARK(p, true); \
		return builtin(p, v, __ATOMIC_SEQ_CST); \
	}
#define ATOMIC(bits, t) \
	t __tsan_atomic##bits##_load(const volatile t *, int); \
	t __tsan_atomic##bits##_load(const volatile t *p, int order __unused) \
	{ \
		MARK(p, false); \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST); \
	} \
	void __tsan_atomic##bits##_store(volatile t *, t, int); \
	void __tsan_atomic##bits##_store(volatile t *p, t v, int order) \
	{ \
		MARK(p, true); \
		if (order == __ATOMIC_SEQ_CST) \
			__atomic_store_n(p, v, __ATOMIC_SEQ_CST); \
		else \
			__atomic_store_n(p, v, __ATOMIC_RELEASE); \
	} \
	RMW(bits, t, exchange, __atomic_exchange_n) \
	RMW(bits, t, fetch_add, __atomic_fetch_add) \
	RMW(bits, t, fetch_sub, __atomic_fetch_sub) \
	RMW(bits, t, fetch_and, __atomic_fetch_and) \
	RMW(bits, t, fetch_or, __atomic_fetch_or) \
	RMW(bits, t, fetch_xor, __atomic_fetch_xor) \
	bool __tsan_atomic##bits##_compare_exchange_strong(volatile t *, t *, t, int, int); \
	bool __tsan_atomic##bits##_compare_exchange_strong( \
	    volatile t *p, t *expected, t v, int order __unused, int failure __unused) \
	{ \
		MARK(p, true); \
		return __atomic_compare_exchange_n( \
		    p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	} \
	bool __tsan_atomic##bits##_compare_exchange_weak(volatile t *, t *, t, int, int); \
	bool __tsan_atomic##bits##_compare_exchange_weak( \
	    volatile t *p, t *expected, t v, int order __unused, int failure __unused) \
	{ \
		MARK(p, true); \
		return __atomic_compare_exchange_n( \
		    p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int);
void
__tsan_atomic_thread_fence(int order __unused)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void __tsan_atomic_signal_fence(int);
void
__tsan_atomic_signal_fence(int order __unused)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}
