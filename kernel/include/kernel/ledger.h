/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory side of the leak ledger: what is in use, without what is only cached. Equal before and after a
 * test that leaks nothing.
 * layer: mem
 */
#ifndef KERNEL_LEDGER_H
#define KERNEL_LEDGER_H

#include <kernel/types.h>

struct mem_ledger {
	size_t kmem_objs;   /* objects of all caches and kmem_alloc() blocks */
	size_t kstacks;     /* kernel stacks of LWPs */
	size_t user_pages;  /* anonymous and object pages */
	size_t table_pages; /* page tables of user address spaces */
};

/* Sums of per-CPU counters: exact when nothing else runs. => any context */
void mem_ledger_get(struct mem_ledger *);

#endif
