/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bitmap and the hash as a kernel uses them: a space of thread ids above a space of process ids. The
 * number of threads is limited before an id is taken, so a search always ends with one. A process that is
 * made anew takes over its first thread from an earlier one, with its id, as FreeBSD's process cache does.
 */
#include "idbitmap.h"

#include <sched.h>
#include <stdlib.h>

#define FIRST_TID   100000
#define PIDS        99999
#define TIDS        (1u << 20) /* FreeBSD: a million, unless the administrator says otherwise */
#define PID_BUCKETS 16384u     /* a quarter of the processes, rounded down to a power of two */
#define TID_BUCKETS 32768u     /* half of them */

#define RANDOM_STEP 600 /* FreeBSD: off, or a number of 100 to 1123 that it draws */

#define OWN_LINE __attribute__((aligned(64)))

struct space {
	struct idbitmap s_tids OWN_LINE, s_pids OWN_LINE;
	struct idhash s_tidhash OWN_LINE, s_pidhash; /* not written any more */
	uint32_t s_threads OWN_LINE;
};

void
host_wait(uint32_t tries)
{
	if (tries % 64 == 0)
		sched_yield();
	else
		__builtin_ia32_pause();
}

static void *
make(uint32_t tid_buckets)
{
	struct space *s = aligned_alloc(64, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct space){ 0 };
	if (idbitmap_init(&s->s_tids, TIDS, 0, 1) != 0 ||
	    idbitmap_init(&s->s_pids, PIDS, 2, IDB_MAPS) != 0 ||
	    idhash_init(&s->s_tidhash, tid_buckets) != 0 ||
	    idhash_init(&s->s_pidhash, PID_BUCKETS) != 0)
		abort(); /* a bench without memory has nothing to say */
	return s;
}

static void *
bitmap_make(void)
{
	return make(TID_BUCKETS);
}

static void *
bitmap_make_wide(void)
{
	return make(TIDS);
}

static void *
bitmap_make_random(void)
{
	struct space *s = bitmap_make();

	if (s != NULL)
		s->s_pids.ib_random = RANDOM_STEP;
	return s;
}

static void
bitmap_destroy(void *space)
{
	struct space *s = space;

	idbitmap_fini(&s->s_tids);
	idbitmap_fini(&s->s_pids);
	idhash_fini(&s->s_tidhash);
	idhash_fini(&s->s_pidhash);
	free(s);
}

static int32_t
bitmap_alloc(void *space, struct object *o)
{
	struct space *s = space;

	if (__atomic_fetch_add(&s->s_threads, 1, __ATOMIC_RELAXED) >= TIDS) {
		__atomic_fetch_sub(&s->s_threads, 1, __ATOMIC_RELAXED);
		return -1;
	}
	o->o_id = o->o_tid.in_id = idbitmap_alloc(&s->s_tids) + FIRST_TID;
	idhash_insert(&s->s_tidhash, &o->o_tid);
	return o->o_id;
}

static void
bitmap_free(void *space, struct object *o)
{
	struct space *s = space;

	idhash_remove(&s->s_tidhash, &o->o_tid);
	idbitmap_free(&s->s_tids, (uint32_t)(o->o_id - FIRST_TID));
	o->o_id = 0;
	__atomic_fetch_sub(&s->s_threads, 1, __ATOMIC_RELAXED);
}

static struct object *
bitmap_find(void *space, int32_t id)
{
	struct space *s = space;

	/* o_tid is the first of its object: NULL stays NULL. */
	_Static_assert(offsetof(struct object, o_tid) == 0, "o_tid comes first");
	return (struct object *)idhash_find(&s->s_tidhash, id);
}

static struct object *
bitmap_get(void *space, int32_t id)
{
	struct object *o = bitmap_find(space, id);

	if (o == NULL)
		return NULL;
	host_lock(&o->o_lock);
	if (o->o_id != id) {
		host_unlock(&o->o_lock);
		return NULL;
	}
	return o;
}

static int32_t
bitmap_fork(void *space, struct object *o)
{
	struct space *s = space;
	int32_t pid;

	if (o->o_tid.in_id == 0)
		o->o_tid.in_id = idbitmap_alloc(&s->s_tids) + FIRST_TID;
	pid = idbitmap_alloc(&s->s_pids);
	if (pid < 0)
		return -1;
	o->o_id = o->o_pid.in_id = pid;
	idhash_insert(&s->s_pidhash, &o->o_pid);
	idhash_insert(&s->s_tidhash, &o->o_tid);
	return pid;
}

static void
bitmap_exit(void *space, struct object *o)
{
	struct space *s = space;

	idhash_remove(&s->s_tidhash, &o->o_tid);
}

static void
bitmap_collect(void *space, struct object *o)
{
	struct space *s = space;

	idhash_remove(&s->s_pidhash, &o->o_pid);
	idbitmap_free(&s->s_pids, (uint32_t)o->o_id);
	o->o_id = 0;
}

/* The numbers have gone round, and the oldest threads sit at the bottom in one piece. */
static void *
bitmap_make_worst(uint32_t ids, struct object *o)
{
	struct space *s = bitmap_make();

	for (uint32_t i = 0; i < ids; i++)
		bitmap_alloc(s, &o[i]);
	s->s_tids.ib_next = TIDS;
	return s;
}

static void
bitmap_worst(void *space, struct object *o)
{
	bitmap_alloc(space, o);
}

/* Of the threads; a process has its own maps and chains. */
static size_t
bitmap_bytes(const void *space)
{
	const struct space *s = space;

	return s->s_tids.ib_size / 8 + idhash_bytes(&s->s_tidhash);
}

static const char *
bitmap_check(const void *space)
{
	const struct space *s = space;

	if (idbitmap_count(&s->s_tids, 0) < s->s_threads)
		return "there are more threads than thread ids";
	return idhash_check(&s->s_tidhash, s->s_threads + idbitmap_count(&s->s_pids, 0));
}

#define DESIGN(name, maker) \
	{ \
		.d_name = name, .d_make = maker, .d_destroy = bitmap_destroy, \
		.d_alloc = bitmap_alloc, .d_free = bitmap_free, .d_find = bitmap_find, \
		.d_get = bitmap_get, .d_fork = bitmap_fork, .d_exit = bitmap_exit, \
		.d_collect = bitmap_collect, .d_make_worst = bitmap_make_worst, \
		.d_worst = bitmap_worst, .d_bytes = bitmap_bytes, \
		.d_bytes_object = 2 * sizeof(void *), .d_check = bitmap_check, \
	}

const struct design design_bitmap = DESIGN("bitmap", bitmap_make);
const struct design design_bitmap_wide = DESIGN("bitmap-wide", bitmap_make_wide);
const struct design design_bitmap_random = DESIGN("bitmap-random", bitmap_make_random);
