/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our table with the locks that kernel/proc/find.c takes around it: writers hold one, lookups none. The
 * grace period of a growth is not modelled: the old array stays until the space goes.
 */
#include <kernel/idtable.h>

#include "ids.h"

void *calloc(size_t, size_t);
void *aligned_alloc(size_t, size_t);
void free(void *);
void abort(void) __noreturn;

#define GENERATIONS 32

struct space {
	/* Neighbours of one line, as the kernel's linker has put them. */
	struct idtable s_table __cacheline_aligned;
	struct hostlock s_lock;
	pid_t s_pid; /* of the process that makes threads; its lead lives */
	struct id_array *s_old[GENERATIONS];
	struct id_array *s_next; /* what table_worst() grows into */
	struct object s_lead[2];
};

static struct id_array *
new_array(uint32_t entries)
{
	struct id_array *a = calloc(1, id_array_size(entries));

	if (a == NULL)
		abort();
	return a;
}

static void *
table_make(void)
{
	struct space *s = aligned_alloc(CACHE_LINE, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct space){ 0 };
	idtable_init(&s->s_table, new_array(IDT_INITIAL), (struct lwp *)&s->s_lead[0]);
	s->s_pid = idt_alloc_init(&s->s_table, (struct lwp *)&s->s_lead[1]);
	return s;
}

static void
table_destroy(void *space)
{
	struct space *s = space;

	for (int i = 0; i < GENERATIONS; i++)
		free(s->s_old[i]);
	free(s->s_next);
	free(s->s_table.array);
	free(s);
}

static void
keep(struct space *s, struct id_array *old)
{
	int i = 0;

	while (s->s_old[i] != NULL)
		i++;
	s->s_old[i] = old;
}

static __noinline void
grow(struct space *s)
{
	keep(s, idt_grow(&s->s_table, new_array((s->s_table.array->mask + 1) * 2)));
}

static int32_t
table_alloc(void *space, struct object *o)
{
	struct space *s = space;

	host_lock(&s->s_lock);
	if (unlikely(idt_full(&s->s_table)))
		grow(s);
	if (unlikely(idt_proc(&s->s_table, s->s_pid) != NULL)) /* its lead is gone: take its id */
		abort();
	o->o_id = idt_alloc(&s->s_table, NULL, (struct lwp *)o);
	host_unlock(&s->s_lock);
	return o->o_id;
}

static void
table_free(void *space, struct object *o)
{
	struct space *s = space;

	host_lock(&s->s_lock);
	idt_free(&s->s_table, o->o_id);
	host_unlock(&s->s_lock);
	o->o_id = 0;
}

static struct object *
table_find(void *space, int32_t id)
{
	struct space *s = space;

	return (struct object *)idt_lwp(&s->s_table, id);
}

struct object *
table_find_locked(void *space, int32_t id)
{
	struct space *s = space;
	struct object *o;

	host_lock(&s->s_lock);
	o = (struct object *)idt_lwp(&s->s_table, id);
	host_unlock(&s->s_lock);
	return o;
}

static struct object *
table_get(void *space, int32_t id)
{
	struct object *o = table_find(space, id);

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
table_fork(void *space, struct object *o)
{
	struct space *s = space;

	host_lock(&s->s_lock);
	if (unlikely(idt_full(&s->s_table)))
		grow(s);
	o->o_id = idt_alloc(&s->s_table, NULL, (struct lwp *)o);
	host_unlock(&s->s_lock);
	return o->o_id;
}

static void
table_exit(void *space, struct object *o)
{
	struct space *s = space;

	host_lock(&s->s_lock);
	idt_set_proc(&s->s_table, o->o_id, (struct proc *)o);
	host_unlock(&s->s_lock);
}

/* The table is full, and grows; the memory is there, for it is got before the lock is taken. */
static void *
table_make_worst(uint32_t ids, struct object *o)
{
	struct space *s = table_make();
	uint32_t n = 0;

	while (s->s_table.array->mask + 1 < ids / 2 + 1 || !idt_full(&s->s_table))
		table_alloc(s, &o[n++]);
	s->s_next = new_array((s->s_table.array->mask + 1) * 2);
	return s;
}

static void
table_worst(void *space, struct object *o)
{
	struct space *s = space;

	host_lock(&s->s_lock);
	keep(s, idt_grow(&s->s_table, s->s_next));
	s->s_next = NULL;
	o->o_id = idt_alloc(&s->s_table, NULL, (struct lwp *)o);
	host_unlock(&s->s_lock);
}

static size_t
table_bytes(const void *space)
{
	const struct space *s = space;

	return id_array_size(s->s_table.array->mask + 1);
}

static const char *
table_check(const void *space)
{
	const struct space *s = space;
	uint32_t bad;

	return idt_check(&s->s_table, &bad);
}

const struct design design_table = {
	.d_name = "table",
	.d_make = table_make,
	.d_destroy = table_destroy,
	.d_alloc = table_alloc,
	.d_free = table_free,
	.d_find = table_find,
	.d_get = table_get,
	.d_fork = table_fork,
	.d_exit = table_exit,
	.d_collect = table_free,
	.d_make_worst = table_make_worst,
	.d_worst = table_worst,
	.d_bytes = table_bytes,
	.d_bytes_object = 0,
	.d_check = table_check,
};
