/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of ids shared by processes and LWPs, docs/protocol.md 1.
 * The structure itself is pure: no locks, no allocation; who calls it holds
 * proc_lock (writers) or reads with interrupts off (lookups).
 * layer: proc
 */
#ifndef KERNEL_IDTABLE_H
#define KERNEL_IDTABLE_H

#include <kernel/types.h>

struct proc;
struct lwp;
struct pgrp;

struct id_entry {
	uintptr_t slot;    /* tagged: bit 0 FREE, bit 1 PROC, 0 RESERVED, else LWP */
	struct pgrp *pgrp; /* group with this id, or NULL */
	pid_t pid;         /* id of the occupant, 0 when free */
};

#define IDT_FREE        ((uintptr_t)1)
#define IDT_PROC        ((uintptr_t)2)
#define IDT_RESERVED    ((uintptr_t)0)
#define IDT_INITIAL     32u
#define IDT_MAX         65536u /* entries; then allocation fails with -EAGAIN */
#define PID_MAX_CLASSIC 30000

/* What lookups see: published through one pointer, so mask and entries always fit together. */
struct id_array {
	uint32_t mask;
	struct id_entry entry[];
};

/* Lookups read the first line only; all that writers change with each id is in the second. */
struct idtable {
	struct id_array *array __cacheline_aligned; /* written by release-store */
	uint32_t next_free __cacheline_aligned;
	uint32_t last_free;
	uint32_t count; /* entries in use, entry 0 not counted */
	uint32_t limit; /* grow when count reaches it */
	pid_t pid_max;
};

size_t id_array_size(uint32_t entries);
void idtable_init(
    struct idtable *, struct id_array *zeroed /* IDT_INITIAL entries */, struct lwp *lwp0);
/* True if alloc must grow first. */
bool idt_full(const struct idtable *);
/* Doubles into `bigger` (zeroed, twice the entries); returns the old array, to be freed after a grace period. */
struct id_array *idt_grow(struct idtable *, struct id_array *bigger);
/* Gives PID 1, reserved since idtable_init(), to the first LWP of init. */
pid_t idt_alloc_init(struct idtable *, struct lwp *);
/* Takes a free id; slot becomes PROC(p), or LWP(l) when p is NULL. Not full. Returns the id. */
pid_t idt_alloc(struct idtable *, struct proc *p, struct lwp *l);
void idt_free(struct idtable *, pid_t);
void idt_set_lwp(struct idtable *, pid_t, struct lwp *);   /* usurp: PROC -> LWP */
void idt_set_proc(struct idtable *, pid_t, struct proc *); /* revert: LWP -> PROC */
void idt_set_pgrp(struct idtable *, pid_t, struct pgrp *); /* group appears */
void idt_clear_pgrp(struct idtable *, pid_t);              /* group is gone: may free the entry */
/* Lookups: NULL unless the entry holds `id` and that kind. Lock-free; the caller validates. */
struct proc *idt_proc(const struct idtable *, pid_t);
struct lwp *idt_lwp(const struct idtable *, pid_t);
struct pgrp *idt_pgrp(const struct idtable *, pid_t);
/* Checks T1, T2, T5, T6, T8, T11; returns NULL or a text that names predicate and entry. */
const char *idt_check(const struct idtable *, uint32_t *bad_entry);

#endif
