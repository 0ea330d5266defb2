/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intrusive circular doubly linked list. A head and an entry are the same type; an entry that is on
 * no list is either zeroed or linked to itself.
 * layer: lib
 */
#ifndef KERNEL_LIST_H
#define KERNEL_LIST_H

#include <kernel/types.h>

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(h) \
	{ \
		&(h), &(h) \
	}

static inline void
list_init(struct list *h)
{
	h->next = h->prev = h;
}

static inline bool
list_empty(const struct list *h)
{
	return h->next == h;
}

static inline void
list_insert_after(struct list *pos, struct list *e)
{
	e->prev = pos;
	e->next = pos->next;
	pos->next->prev = e;
	pos->next = e;
}

static inline void
list_insert_head(struct list *h, struct list *e)
{
	list_insert_after(h, e);
}

static inline void
list_insert_tail(struct list *h, struct list *e)
{
	list_insert_after(h->prev, e);
}

static inline void
list_insert_before(struct list *pos, struct list *e)
{
	list_insert_after(pos->prev, e);
}

/* Unlinks `e` and zeroes its links, so that list_linked(e) is false. */
static inline void
list_remove(struct list *e)
{
	struct list *next = e->next, *prev = e->prev;

	prev->next = next;
	next->prev = prev;
	e->next = e->prev = NULL;
}

static inline bool
list_linked(const struct list *e)
{
	return e->next != NULL && e->next != e;
}

/* Moves all entries of `from` to the tail of `to`; `from` is empty afterwards. */
static inline void
list_splice_tail(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(e, type, member) container_of(e, type, member)
#define list_first(h, type, member) (list_empty(h) ? NULL : list_entry((h)->next, type, member))
#define list_last(h, type, member)  (list_empty(h) ? NULL : list_entry((h)->prev, type, member))
#define list_next(h, v, member) \
	((v)->member.next == (h) ? NULL : list_entry((v)->member.next, __typeof__(*(v)), member))
/* Compared as addresses: behind the last entry `v` points at no object. */
#define list_at_head(v, h, member) \
	((uintptr_t)(v) + offsetof(__typeof__(*(v)), member) == (uintptr_t)(h))
#define list_foreach(v, h, member) \
	for ((v) = list_entry((h)->next, __typeof__(*(v)), member); !list_at_head(v, h, member); \
	     (v) = list_entry((v)->member.next, __typeof__(*(v)), member))
#define list_foreach_safe(v, n, h, member) \
	for ((v) = list_entry((h)->next, __typeof__(*(v)), member); !list_at_head(v, h, member) && \
	     ((n) = list_entry((v)->member.next, __typeof__(*(n)), member), true); \
	     (v) = (n))

#endif
