/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lockdebug: the order of locks, learnt, and what else can be wrong about their use.
 *
 * Locks of one name and rank are a class. When a lock is taken while others are held, there is an edge from the class
 * of each of those to its class; an edge that closes a circle is a panic that names both places, even if nobody has
 * deadlocked yet. A rwlock is held alike for reading and writing: a reader waits behind a writer that waits. The
 * ranks, which are asserted besides, see only the newest lock that is held: behind a try-lock, which needs no order,
 * they can be got round.
 *
 * Edges are only ever added, under a raw lock, and looked up without: an edge that is seen is complete. A full table
 * of classes or edges stops the learning of new ones, nothing else.
 */
#include <kernel/lockdebug.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/lwp.h>
#include <kernel/mutex.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/rwlock.h>
#include <kernel/san.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#ifdef DEBUG

#define CLASSES 256u /* class 0: not known yet */
#define EDGES   LOCKDEBUG_EDGES
#define HELD    16u /* locks held at once that are looked at */

struct class
{
	const char *c_name;
	uint32_t c_rank;
};

/* Field locks: (c) constant once e_used is set */
struct edge {
	uint32_t e_used;      /* (a) */
	uint8_t e_from, e_to; /* (c) classes */
	uintptr_t e_held_at;  /* (c) where the lock of e_from had been taken */
	uintptr_t e_taken_at; /* (c) where that of e_to was, meanwhile */
};

static struct class classes[CLASSES]; /* writers hold `busy` */
static uint32_t nclasses = 1;         /* (a) */
static struct edge edges[EDGES];      /* open addressing by from, to */
static uint32_t nedges;               /* by busy */
static uint32_t busy; /* (a) a raw lock: those of the kernel are what is looked at */
bool lockdebug_learning = true;
uint64_t lockdebug_hold; /* (c) after boot, but for tests */

static int
set_hold(const char *value)
{
	uint64_t usec, hz, base;

	if (option_u64(value, 0, 10000000, &usec) != 0)
		return -EINVAL;
	arch_cycles_scale(&hz, &base);
	/* Options are read before the time base is known: some cycles a nanosecond will do. */
	lockdebug_hold = usec * (hz != 0 ? hz / 1000000 : 1000);
	return 0;
}
OPTION(
    lock_hold, "0 to 10000000 microseconds that a spin lock may be held; 0 = any time", set_hold);

/* => interrupts off */
static void
enter(void)
{
	while (atomic_swap(&busy, 1) != 0)
		if (atomic_load_relaxed(&panicking))
			return;
}

static void
leave(void)
{
	atomic_store_release(&busy, 0);
}

static uint8_t
class_find(const char *name, uint32_t rank, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (classes[i].c_rank == rank &&
		    (classes[i].c_name == name || strcmp(classes[i].c_name, name) == 0))
			return (uint8_t)i;
	return 0;
}

/* 0 when there are too many. */
static uint8_t
class_of(const char *name, uint32_t rank)
{
	uint8_t c = class_find(name, rank, atomic_load_acquire(&nclasses));
	bool on;

	if (c != 0)
		return c;
	on = arch_intr_disable();
	enter();
	c = class_find(name, rank, nclasses);
	if (c == 0 && nclasses < CLASSES) {
		c = (uint8_t)nclasses;
		classes[c] = (struct class){ name, rank };
		atomic_store_release(&nclasses, nclasses + 1);
	}
	leave();
	arch_intr_restore(on);
	return c;
}

static uint8_t
class_of_spin(struct spinlock *m)
{
	uint8_t c = atomic_load_relaxed(&m->sl_class);

	if (unlikely(c == 0)) {
		c = class_of(m->sl_name, m->sl_rank);
		atomic_store_relaxed(&m->sl_class, c);
	}
	return c;
}

static uint8_t
class_of_mutex(struct mutex *m)
{
	uint8_t c = atomic_load_relaxed(&m->mtx_class);

	if (unlikely(c == 0)) {
		c = class_of(m->mtx_name, m->mtx_rank);
		atomic_store_relaxed(&m->mtx_class, c);
	}
	return c;
}

static uint8_t
class_of_rw(struct rwlock *rw)
{
	uint8_t c = atomic_load_relaxed(&rw->rw_class);

	if (unlikely(c == 0)) {
		c = class_of(rw->rw_name, rw->rw_rank);
		atomic_store_relaxed(&rw->rw_class, c);
	}
	return c;
}

/* The edge, or the free entry where it would be; NULL: neither. */
static struct edge *
edge_find(uint8_t from, uint8_t to)
{
	uint32_t h = (from * 61u + to) % EDGES;

	for (uint32_t n = 0; n < EDGES; n++, h = (h + 1) % EDGES) {
		struct edge *e = &edges[h];

		if (!atomic_load_acquire(&e->e_used) || (e->e_from == from && e->e_to == to))
			return e;
	}
	return NULL;
}

/* Is there a way from a to b? Its first edge, or NULL. => busy */
static const struct edge *
way(uint8_t a, uint8_t b, uint64_t seen[CLASSES / 64])
{
	seen[a / 64] |= (uint64_t)1 << (a % 64);
	for (uint32_t i = 0; i < EDGES; i++) {
		const struct edge *e = &edges[i];

		if (!e->e_used || e->e_from != a)
			continue;
		if (e->e_to == b)
			return e;
		if ((seen[e->e_to / 64] >> (e->e_to % 64) & 1) == 0 &&
		    way(e->e_to, b, seen) != NULL)
			return e;
	}
	return NULL;
}

/* A lock of class `from`, taken at `held_at`, is held while one of class `to` is about to be taken. */
static void
edge_note(uint8_t from, uint8_t to, uintptr_t held_at, uintptr_t pc)
{
	uint64_t seen[CLASSES / 64] = { 0 };
	const struct edge *back;
	struct edge *e;
	bool on;

	if (from == to || from == 0 || to == 0)
		return; /* two of one class: the ranks see to it */
	e = edge_find(from, to);
	if (likely(e != NULL && atomic_load_acquire(&e->e_used)))
		return;
	on = arch_intr_disable();
	enter();
	back = way(to, from, seen);
	if (back != NULL && !atomic_load_relaxed(&panicking)) {
		leave();
		panic("lockdebug: order: %s is taken at %p while %s is held since %p, but "
		      "%s was taken at %p while %s was held since %p",
		    classes[to].c_name, (void *)pc, classes[from].c_name, (void *)held_at,
		    classes[back->e_to].c_name, (void *)back->e_taken_at,
		    classes[back->e_from].c_name, (void *)back->e_held_at);
	}
	e = edge_find(from, to);
	if (e != NULL && !e->e_used && nedges < EDGES / 2) {
		e->e_from = from;
		e->e_to = to;
		e->e_held_at = held_at;
		e->e_taken_at = pc;
		nedges++;
		atomic_store_release(&e->e_used, 1);
	}
	leave();
	arch_intr_restore(on);
}

void
lockdebug_spin(struct spinlock *m, uintptr_t pc)
{
	struct spinlock *held = arch_curcpu()->ci_spinlocks;
	uint8_t c;

	if (held == NULL || !lockdebug_learning || atomic_load_relaxed(&panicking))
		return;
	c = class_of_spin(m);
	for (unsigned n = 0; held != NULL && n < HELD; held = held->sl_next, n++)
		edge_note(class_of_spin(held), c, held->sl_pc, pc);
}

/* Edges from all that curlwp holds. */
static void
adaptive_edges(const struct lwp *l, uint8_t c, uintptr_t pc)
{
	struct mutex *held = l->l_locks;

	for (unsigned n = 0; held != NULL && n < HELD; held = held->mtx_next, n++)
		edge_note(class_of_mutex(held), c, held->mtx_pc, pc);
	for (const struct rwhold *h = l->l_rwholds; h < l->l_rwholds + RWHOLDS; h++)
		if (h->rwh_lock != NULL)
			edge_note(class_of_rw(h->rwh_lock), c, h->rwh_pc, pc);
}

void
lockdebug_mutex(struct mutex *m, uintptr_t pc)
{
	const struct lwp *l = arch_curlwp();

	if (l->l_nlocks != 0 && lockdebug_learning && !atomic_load_relaxed(&panicking))
		adaptive_edges(l, class_of_mutex(m), pc);
}

void
lockdebug_rw(struct rwlock *rw, uintptr_t pc)
{
	const struct lwp *l = arch_curlwp();

	if (l->l_nlocks != 0 && lockdebug_learning && !atomic_load_relaxed(&panicking))
		adaptive_edges(l, class_of_rw(rw), pc);
}

/* ---- who waits for whom ---- */

/*
 * A circle is looked for link by link, while others go on; so links that were never there at one time may look like one.
 * But who waits for one that waits for ever waits for ever, too: when the last link is seen, which leads to us who look,
 * it is there to stay; then the one before, seen again; and so on. So as many walks as there are links, all along the
 * same way, prove a circle, and of a real one every walk sees the same: who closes it has stored what it waits for.
 */
struct walk {
	unsigned w_round, w_links; /* of the first walk */
	uintptr_t w_way, w_first;
};

static void
walk_begin(struct walk *w)
{
	w->w_links = 1;
	w->w_way = 0;
}

/* False: the way is too long for a circle of what there is. */
static bool
walk_step(struct walk *w, const void *to, unsigned most)
{
	w->w_way = w->w_way * 31 + (uintptr_t)to;
	return w->w_links++ <= most;
}

/* It led back. 1: that is a circle; 0: walk again; -1: it is none. */
static int
walk_end(struct walk *w)
{
	if (w->w_round++ == 0)
		w->w_first = w->w_way;
	if (w->w_way != w->w_first)
		return -1;
	return w->w_round >= w->w_links;
}

static const struct lwp *circle_lwp;

static const struct cpu *
holder(const struct spinlock *m)
{
	unsigned i = atomic_load_relaxed(&m->sl_cpu);

	return i != 0 && i <= ncpu ? cpus[i - 1] : NULL;
}

/* The circle as it was found: another CPU of it may come to the same end, and then waits for other locks. */
static struct link {
	const struct cpu *k_cpu;
	const struct spinlock *k_lock;
} circle[MAXCPUS];
static unsigned circle_links;
static uint32_t circle_taken; /* (a) somebody has written it down */

static void
print_cpus(void)
{
	for (unsigned n = 0; n < circle_links; n++) {
		const struct spinlock *m = circle[n].k_lock;
		const struct cpu *by = circle[(n + 1) % circle_links].k_cpu;

		kprintf("cpu%u waits for spin lock %s %p, held by cpu%u since ",
		    circle[n].k_cpu->ci_index, m->sl_name, (const void *)m, by->ci_index);
		panic_symbol(m->sl_pc);
		kprintf("\n");
	}
}

void
lockdebug_spinning(const struct spinlock *m)
{
	const struct cpu *self = arch_curcpu(), *ci;
	struct walk w = { .w_round = 0 };
	int circle_found = 0;

	while (circle_found == 0) {
		walk_begin(&w);
		for (ci = holder(m); ci != self;) {
			const struct spinlock *next;

			if (ci == NULL || !walk_step(&w, ci, ncpu) ||
			    (next = atomic_load_acquire(&ci->ci_spinwait)) == NULL)
				return;
			ci = holder(next);
		}
		circle_found = walk_end(&w);
	}
	if (circle_found < 0)
		return;
	if (atomic_swap(&circle_taken, 1) == 0) {
		circle[0] = (struct link){ self, m };
		circle_links = 1;
		for (ci = holder(m); ci != self && ci != NULL && circle_links < MAXCPUS;
		     ci = holder(m)) {
			if ((m = atomic_load_relaxed(&ci->ci_spinwait)) == NULL)
				break;
			circle[circle_links++] = (struct link){ ci, m };
		}
		m = circle[0].k_lock;
		panic_detail = print_cpus;
	}
	panic("lockdebug: deadlock: cpu%u spins for %s (%p), whose holders wait for it",
	    self->ci_index, m->sl_name, (const void *)m);
}

/*
 * Who keeps l from going on: the owner of the mutex, or the writer of the rwlock, for which it waits; or NULL. Not the
 * readers of a rwlock: nothing leads from it to them, and a circle through one is told only by the order of classes. One
 * that has the lock it waited for, and has not said so yet, keeps itself; that is no circle through anybody else.
 *
 * A lock for which l waits stays. But it may have it by the time we look there, and then free it: so all is read as memory
 * that need not be there, and counts if l still waits. (If it does anew, for another lock there, the next step reads
 * what is no LWP; that is caught by the same care, or by the next walk.)
 */
static __always_inline const struct lwp *
blocker(const struct lwp *l)
{
	const struct mutex *m;
	const struct rwlock *rw;
	uintptr_t word;

	if (arch_peek((uintptr_t)&l->l_lockwait, &m, sizeof(m)) != 0 ||
	    arch_peek((uintptr_t)&l->l_rwwait, &rw, sizeof(rw)) != 0)
		return NULL;
	if (m == NULL && rw == NULL)
		return NULL;
	if (arch_peek(m != NULL ? (uintptr_t)&m->mtx_word : (uintptr_t)&rw->rw_word, &word,
		sizeof(word)) != 0)
		return NULL;
	if (atomic_load_acquire(&l->l_lockwait) != m || atomic_load_relaxed(&l->l_rwwait) != rw)
		return NULL;
	if (m != NULL)
		return (const struct lwp *)(word & ~MTX_WAITERS);
	return word & RW_WRITER ? (const struct lwp *)(word & ~RW_FLAGS) : NULL;
}

/*
 * Who closes the circle sees all of it: each has stored what it waits for, and then changed the lock's word, before it
 * looks. The lending of priority sees a circle too, but may stop before its end.
 */
void NO_KASAN
lockdebug_waiting(const void *lock)
{
	const struct lwp *self = arch_curlwp(), *l;
	struct walk w = { .w_round = 0 };
	int circle_found = 0;

	while (circle_found == 0) {
		walk_begin(&w);
		for (l = blocker(self); l != self; l = blocker(l))
			if (l == NULL || !walk_step(&w, l, CLASSES))
				return;
		circle_found = walk_end(&w);
	}
	if (circle_found > 0)
		lockdebug_circle(self, lock);
}

/* Where `by` took rw, or 0. */
static uintptr_t
rw_taken_at(const struct rwlock *rw, const struct lwp *by)
{
	for (const struct rwhold *h = by->l_rwholds; h < by->l_rwholds + RWHOLDS; h++)
		if (h->rwh_lock == rw)
			return h->rwh_pc;
	return 0;
}

static void
print_holder(const struct lwp *by, uintptr_t pc)
{
	kprintf(", held by lid %d since ", by->l_lid);
	panic_symbol(pc);
}

/* One line, if l waits. Of a rwlock that is read all readers are told, who are found by going through all LWPs. */
static void
print_wait(const struct lwp *l)
{
	const struct mutex *m = atomic_load_relaxed(&l->l_lockwait);
	const struct rwlock *rw = atomic_load_relaxed(&l->l_rwwait);

	if (m != NULL) {
		kprintf("lid %d waits for mutex %s %p", l->l_lid, m->mtx_name, (const void *)m);
		if (blocker(l) != NULL)
			print_holder(blocker(l), m->mtx_pc);
	} else if (rw != NULL) {
		kprintf("lid %d waits for rwlock %s %p", l->l_lid, rw->rw_name, (const void *)rw);
		for (const struct lwp *by = atomic_load_acquire(&lwp_all); by != NULL;
		     by = by->l_allnext)
			if (rw_taken_at(rw, by) != 0)
				print_holder(by, rw_taken_at(rw, by));
	} else
		return;
	kprintf("\n");
}

void
lockdebug_print_waits(void)
{
	for (const struct lwp *l = atomic_load_acquire(&lwp_all); l != NULL; l = l->l_allnext)
		print_wait(l);
}

static void
print_lwps(void)
{
	const struct lwp *l = circle_lwp;

	for (unsigned n = 0; n < 64 && l != NULL; n++) {
		print_wait(l);
		l = blocker(l);
		if (l == circle_lwp)
			break;
	}
}

void
lockdebug_circle(const struct lwp *l, const void *obj)
{
	circle_lwp = l;
	panic_detail = print_lwps;
	panic("lid %d: deadlock: waits for lock %p, whose owners wait for it", l->l_lid, obj);
}

/* ---- leaks ---- */

void
lockdebug_none(const char *where)
{
	const struct lwp *l = arch_curlwp();
	const struct spinlock *s;

	/* Who holds a spin lock has interrupts off. */
	if (likely(l->l_nlocks == 0 && l->l_nopreempt == 0 && arch_intr_enabled()) ||
	    atomic_load_relaxed(&panicking))
		return;
	if (!arch_intr_enabled()) {
		s = arch_curcpu()->ci_spinlocks;
		if (s == NULL)
			panic("lockdebug: lid %d: interrupts are off at %s", l->l_lid, where);
		panic("lockdebug: lid %d: spin lock %s (%p), taken at %p, is held at %s", l->l_lid,
		    s->sl_name, (const void *)s, (void *)s->sl_pc, where);
	}
	if (l->l_locks != NULL)
		panic("lockdebug: lid %d: mutex %s (%p), taken at %p, is held at %s", l->l_lid,
		    l->l_locks->mtx_name, (void *)l->l_locks, (void *)l->l_locks->mtx_pc, where);
	for (const struct rwhold *h = l->l_rwholds; h < l->l_rwholds + RWHOLDS; h++)
		if (h->rwh_lock != NULL)
			panic("lockdebug: lid %d: rwlock %s (%p), taken at %p, is held at %s",
			    l->l_lid, h->rwh_lock->rw_name, (const void *)h->rwh_lock,
			    (void *)h->rwh_pc, where);
	if (l->l_nopreempt != 0)
		panic("lockdebug: lid %d: preemption is off %u times at %s", l->l_lid,
		    l->l_nopreempt, where);
}

void
lockdebug_freed(const void *p, size_t n)
{
	uintptr_t from = (uintptr_t)p;
	const struct lwp *l = arch_curlwp();
	const struct mutex *m = l->l_locks;
	const struct spinlock *s = arch_intr_enabled() ? NULL : arch_curcpu()->ci_spinlocks;

	if (likely(l->l_nlocks == 0 && s == NULL) || atomic_load_relaxed(&panicking))
		return;
	for (; m != NULL; m = m->mtx_next)
		if ((uintptr_t)m - from < n)
			panic("lockdebug: mutex %s (%p) is freed while it is held since %p",
			    m->mtx_name, (const void *)m, (void *)m->mtx_pc);
	for (const struct rwhold *h = l->l_rwholds; h < l->l_rwholds + RWHOLDS; h++)
		if ((uintptr_t)h->rwh_lock - from < n)
			panic("lockdebug: rwlock %s (%p) is freed while it is held since %p",
			    h->rwh_lock->rw_name, (const void *)h->rwh_lock, (void *)h->rwh_pc);
	for (; s != NULL; s = s->sl_next)
		if ((uintptr_t)s - from < n)
			panic("lockdebug: spin lock %s (%p) is freed while it is held since %p",
			    s->sl_name, (const void *)s, (void *)s->sl_pc);
}

void
lockdebug_released(const struct spinlock *m)
{
	uint64_t held = arch_cycles() - m->sl_since, hz, base;

	if (held <= lockdebug_hold || atomic_load_relaxed(&panicking))
		return;
	arch_cycles_scale(&hz, &base);
	panic("lockdebug: spin lock %s (%p), taken at %p, was held for %lu microseconds",
	    m->sl_name, (const void *)m, (void *)m->sl_pc,
	    (unsigned long)(hz >= 1000000 ? held / (hz / 1000000) : held));
}

/* ---- the order, for the monitor ---- */

const char *
lockdebug_edge(unsigned i, const char **to, uintptr_t *held_at, uintptr_t *taken_at)
{
	const struct edge *e = i < EDGES ? &edges[i] : NULL;

	*to = NULL;
	if (e == NULL || !e->e_used)
		return NULL;
	*to = classes[e->e_to].c_name;
	*held_at = e->e_held_at;
	*taken_at = e->e_taken_at;
	return classes[e->e_from].c_name;
}

#endif
