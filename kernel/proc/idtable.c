/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of ids. docs/protocol.md 1; docs/ids.md.
 *
 * An id's low bits are the index of its entry, so a lookup is one load and a compare. A free entry keeps,
 * in its slot word, the index of the next free one and above it the high bits of the id it had last; the
 * next id of that entry is one table size further, which together with the FIFO free list makes it long
 * until an id comes back. The list's tail is never handed out, so an append is one store into it.
 *
 * An entry whose process is gone but whose group lives is free in type, but not on the list and still
 * counted: the id is not given out again before the group is gone.
 */
#include <kernel/idtable.h>

#include <kernel/atomic.h>
#include <kernel/panic.h>

static bool
is_free(uintptr_t slot)
{
	return (slot & IDT_FREE) != 0;
}

static bool
is_proc(uintptr_t slot)
{
	return (slot & (IDT_FREE | IDT_PROC)) == IDT_PROC;
}

static bool
is_lwp(uintptr_t slot)
{
	return (slot & (IDT_FREE | IDT_PROC)) == 0 && slot != IDT_RESERVED;
}

static uintptr_t
free_slot(uint32_t saved, uint32_t link)
{
	return (uintptr_t)(saved | link) << 1 | IDT_FREE;
}

static struct id_entry *
entry_of(const struct idtable *t, pid_t id)
{
	return &t->array->entry[(uint32_t)id & t->array->mask];
}

size_t
id_array_size(uint32_t entries)
{
	return sizeof(struct id_array) + entries * sizeof(struct id_entry);
}

void
idtable_init(struct idtable *t, struct id_array *a, struct lwp *lwp0)
{
	uint32_t mask = IDT_INITIAL - 1;

	KASSERT(((uintptr_t)lwp0 & (IDT_FREE | IDT_PROC)) == 0);
	a->mask = mask;
	t->pid_max = PID_MAX_CLASSIC;
	/* As if every entry had been used up to the highest id: the first ids are the indices. */
	for (uint32_t i = 2; i <= mask; i++)
		a->entry[i].slot = free_slot((uint32_t)t->pid_max & ~mask, i < mask ? i + 1 : 0);
	a->entry[0].slot = (uintptr_t)lwp0;
	a->entry[1].slot = IDT_RESERVED;
	t->next_free = 2;
	t->last_free = mask;
	t->count = 1; /* entry 1 */
	t->limit = mask - 1;
	atomic_store_release(&t->array, a);
}

bool
idt_full(const struct idtable *t)
{
	return t->count >= t->limit || t->next_free == t->last_free;
}

pid_t
idt_alloc_init(struct idtable *t, struct lwp *l)
{
	struct id_entry *e = &t->array->entry[1];

	KASSERT(e->slot == IDT_RESERVED);
	e->pid = 1;
	atomic_store_release(&e->slot, (uintptr_t)l);
	return 1;
}

pid_t
idt_alloc(struct idtable *t, struct proc *p, struct lwp *l)
{
	uint32_t mask = t->array->mask, index = t->next_free, saved;
	struct id_entry *e = &t->array->entry[index];
	uint32_t id;

	KASSERT(!idt_full(t));
	KASSERTMSG(is_free(e->slot) && e->pid == 0 && e->pgrp == NULL, "entry %u", index);
	KASSERT((((uintptr_t)p | (uintptr_t)l) & (IDT_FREE | IDT_PROC)) == 0);
	saved = (uint32_t)(e->slot >> 1);
	t->next_free = saved & mask;
	id = (saved & ~mask) + mask + 1 + index;
	if (id > (uint32_t)t->pid_max)
		id &= mask;
	KASSERT((id >> 28) == 0);
	t->count++;
	e->pid = (pid_t)id;
	atomic_store_release(&e->slot, p != NULL ? (uintptr_t)p | IDT_PROC : (uintptr_t)l);
	return (pid_t)id;
}

static void
append_free(struct idtable *t, uint32_t index)
{
	t->array->entry[t->last_free].slot |= (uintptr_t)index << 1;
	t->last_free = index;
	t->count--;
}

void
idt_free(struct idtable *t, pid_t id)
{
	uint32_t mask = t->array->mask;
	struct id_entry *e = entry_of(t, id);

	KASSERTMSG(e->pid == id && !is_free(e->slot) && id > 1, "id %d, entry has %d", id, e->pid);
	atomic_store_release(&e->slot, free_slot((uint32_t)id & ~mask, 0));
	e->pid = 0;
	if (e->pgrp == NULL)
		append_free(t, (uint32_t)id & mask);
}

void
idt_set_lwp(struct idtable *t, pid_t id, struct lwp *l)
{
	struct id_entry *e = entry_of(t, id);

	KASSERTMSG(e->pid == id && is_proc(e->slot), "id %d", id);
	atomic_store_release(&e->slot, (uintptr_t)l);
}

void
idt_set_proc(struct idtable *t, pid_t id, struct proc *p)
{
	struct id_entry *e = entry_of(t, id);

	KASSERTMSG(e->pid == id && is_lwp(e->slot), "id %d", id);
	atomic_store_release(&e->slot, (uintptr_t)p | IDT_PROC);
}

void
idt_set_pgrp(struct idtable *t, pid_t id, struct pgrp *pg)
{
	struct id_entry *e = entry_of(t, id);

	KASSERTMSG(e->pid == id && e->pgrp == NULL, "id %d", id);
	e->pgrp = pg;
}

void
idt_clear_pgrp(struct idtable *t, pid_t id)
{
	struct id_entry *e = entry_of(t, id);

	KASSERTMSG(e->pgrp != NULL, "id %d", id);
	e->pgrp = NULL;
	if (is_free(e->slot)) {
		KASSERTMSG(((uint32_t)(e->slot >> 1) & t->array->mask) == 0, "id %d", id);
		append_free(t, (uint32_t)id & t->array->mask);
	}
}

/*
 * Unzips the table: entry i of the old one goes to i or to i + old size, by that bit of its id; the other
 * of the two becomes a free entry at the head of the list. Downwards, so that the list begins with the
 * lowest. The free list keeps its order: its members stay in the low half.
 */
struct id_array *
idt_grow(struct idtable *t, struct id_array *new)
{
	struct id_array *old = t->array;
	uint32_t oldsize = old->mask + 1, mask = oldsize * 2 - 1;

	KASSERT(mask > old->mask && mask < 1u << 28);
	new->mask = mask;
	if (mask > PID_MAX_CLASSIC)
		t->pid_max = (pid_t)(2 * mask + 1);
	for (uint32_t i = oldsize; i-- > 0;) {
		const struct id_entry *e = &old->entry[i];
		uint32_t id, saved, link = 0, home = i, twin = i + oldsize;

		if (is_free(e->slot)) {
			saved = (uint32_t)(e->slot >> 1);
			link = saved & old->mask;
			id = (saved & ~old->mask) |
			    i; /* the last one it had; its group's if it has one */
			if (e->pgrp != NULL && (id & oldsize)) {
				home = twin;
				twin = i;
			}
			new->entry[home].slot = free_slot(id & ~mask, link);
		} else {
			id = i <= 1 ? i : (uint32_t)e->pid;
			if (id & oldsize) {
				home = twin;
				twin = i;
			}
			new->entry[home].slot = e->slot;
		}
		new->entry[home].pid = e->pid;
		new->entry[home].pgrp = e->pgrp;
		/* The twin goes on with the smallest id of its own that is above `id`. */
		saved = id & ~mask;
		if ((id & mask) < twin)
			saved = saved != 0 ? saved - (mask + 1) : (uint32_t)t->pid_max & ~mask;
		new->entry[twin].slot = free_slot(saved, t->next_free);
		t->next_free = twin;
	}
	t->limit = mask - 1;
	atomic_store_release(&t->array, new);
	return old;
}

struct proc *
idt_proc(const struct idtable *t, pid_t id)
{
	const struct id_array *a = atomic_load_acquire(&t->array);
	const struct id_entry *e = &a->entry[(uint32_t)id & a->mask];
	uintptr_t slot = atomic_load_acquire(&e->slot);

	if (!is_proc(slot) || atomic_load_relaxed(&e->pid) != id)
		return NULL;
	return (struct proc *)(slot & ~IDT_PROC);
}

struct lwp *
idt_lwp(const struct idtable *t, pid_t id)
{
	const struct id_array *a = atomic_load_acquire(&t->array);
	const struct id_entry *e = &a->entry[(uint32_t)id & a->mask];
	uintptr_t slot = atomic_load_acquire(&e->slot);

	if (!is_lwp(slot) || atomic_load_relaxed(&e->pid) != id)
		return NULL;
	return (struct lwp *)slot;
}

struct pgrp *
idt_pgrp(const struct idtable *t, pid_t id)
{
	const struct id_entry *e = entry_of(t, id);
	uint32_t have = e->pid != 0
	    ? (uint32_t)e->pid
	    : ((uint32_t)(e->slot >> 1) & ~t->array->mask) | ((uint32_t)id & t->array->mask);

	return e->pgrp != NULL && have == (uint32_t)id ? e->pgrp : NULL;
}

/* Walks everything. => no writer active */
const char *
idt_check(const struct idtable *t, uint32_t *bad)
{
	const struct id_array *a = t->array;
	uint32_t mask = a->mask, busy = 0, length = 1;

	*bad = 0;
	if (((mask + 1) & mask) != 0)
		return "T1: size is not a power of two";
	for (uint32_t i = 1; i <= mask; i++) {
		const struct id_entry *e = &a->entry[i];

		*bad = i;
		if (is_free(e->slot)) {
			if (e->pid != 0)
				return "T5: free entry has a pid";
			if (e->pgrp != NULL) {
				busy++;
				if (((uint32_t)(e->slot >> 1) & mask) != 0)
					return "T8: free entry with a group is linked";
			}
			continue;
		}
		busy++;
		if (e->slot != IDT_RESERVED && ((uint32_t)e->pid & mask) != i)
			return "T2: pid does not belong to its entry";
	}
	if (busy != t->count)
		return "T6: count is not the number of busy entries";
	for (uint32_t i = t->next_free; i != t->last_free; length++) {
		const struct id_entry *e = &a->entry[i];

		*bad = i;
		if (length > mask || i > mask)
			return "T5: free list has a cycle";
		if (!is_free(e->slot) || e->pgrp != NULL || e->pid != 0)
			return "T5: entry on the free list is not free";
		i = (uint32_t)(e->slot >> 1) & mask;
	}
	*bad = t->last_free;
	if (((uint32_t)(a->entry[t->last_free].slot >> 1) & mask) != 0)
		return "T5: the tail is linked";
	if (length + t->count + 1 != mask + 1)
		return "T6: free list and count do not add up to the size";
	return NULL;
}
