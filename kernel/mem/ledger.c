/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory side of the leak ledger.
 * layer: mem
 */
#include <kernel/ledger.h>

#include <arch/arch_if.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/trace.h>

void
mem_ledger_get(struct mem_ledger *m)
{
	m->kmem_objs = kmem_objects() - pmap_cached();
	m->kstacks = kstack_inuse();
	m->user_pages = pmem_count(PG_ANON) + pmem_count(PG_OBJ);
	m->table_pages = pmap_table_pages();
}

size_t
mem_reclaim(void)
{
	size_t n;

	TRACE(STALL, 0, 0, 0);
	n = kstack_trim(0);
	n += kmem_reap();
	TRACE(STALL_END, 0, 0, n);
	return n;
}
