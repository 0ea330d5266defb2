/* SPDX-License-Identifier: BSD-2-Clause */
/* Monitor commands about tables: ids and pages. Both are arrays; no list is followed. */
#include <kernel/monitor.h>

#include <arch/arch_if.h>
#include <kernel/idtable.h>
#include <kernel/options.h>
#include <kernel/pmem.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>

/* What monitor_try() hands to the function that prints an entry. */
struct item {
	struct monitor_out *i_out;
	pid_t i_id;
};

static const char *
state(const struct lwp *l)
{
	return l->l_stat < LS_COUNT ? lwp_state_name[l->l_stat] : "?";
}

static const char *
proc_state(const struct proc *p)
{
	return p->p_stat < PS_COUNT ? proc_state_name[p->p_stat] : "?";
}

/* ---- show idtab ---- */

static void
idtab_entry(void *arg)
{
	const struct item *i = arg;
	const struct lwp *l = idt_lwp(&idtable, i->i_id);
	const struct proc *p = idt_proc(&idtable, i->i_id);
	const struct pgrp *pg = idt_pgrp(&idtable, i->i_id);
	const void *obj = l != NULL ? (const void *)l : p;

	mo_printf(i->i_out, "%7d %-4s %18p %-9s %.15s", i->i_id,
	    l != NULL       ? "LWP"
		: p != NULL ? "PROC"
			    : "-",
	    obj,
	    l != NULL       ? state(l)
		: p != NULL ? proc_state(p)
			    : "-",
	    l != NULL       ? l->l_name
		: p != NULL ? p->p_comm
			    : "-");
	if (pg != NULL)
		mo_printf(i->i_out, ", group of session %d", pg->pg_session->s_sid);
	mo_printf(i->i_out, "\n");
}

static int
cmd_idtab(struct monitor_out *out, char *args __unused)
{
	const struct id_array *a = idtable.array;

	mo_printf(out, "%u in use of %u entries; free list from %u to %u\n", idtable.count,
	    a->mask + 1, idtable.next_free, idtable.last_free);
	mo_printf(out, "%7s KIND %18s STATE     NAME\n", "ID", "OBJECT");
	for (uint32_t n = 0; n <= a->mask; n++) {
		struct item i = { out, a->entry[n].pid };

		if (n == 0 || i.i_id != 0)
			(void)monitor_try(out, "idtab", idtab_entry, &i);
		else if (a->entry[n].pgrp != NULL)
			mo_printf(
			    out, "%7s entry %u: free, but a group still has its id\n", "-", n);
	}
	return MONITOR_STAY;
}
MONITOR_COMMAND(
    show_idtab, "show idtab", "", "the table of ids that processes and LWPs share", cmd_idtab);

/* ---- show page ---- */

/* Hexadecimal with or without 0x. */
static bool
parse_address(const char *s, uint64_t *v)
{
	char hex[20];

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	if (strlen(s) > 16)
		return false;
	hex[0] = '0';
	hex[1] = 'x';
	strlcpy(hex + 2, s, sizeof(hex) - 2);
	return option_u64(hex, 0, UINT64_MAX, v) == 0;
}

/* Kernel addresses: image and direct map by their rule, all else by the tables. */
static bool
to_physical(uint64_t addr, paddr_t *pa)
{
	if (addr <= UINT64_MAX / 2) {
		*pa = addr;
		return true;
	}
	if (addr >= KIMAGE_BASE || (addr >= PHYSMAP_BASE && addr < KSTACK_BASE)) {
		*pa = arch_virt_to_phys((const void *)addr);
		return true;
	}
	return addr >= KSTACK_BASE && addr < KSTACK_BASE + KSTACK_AREA &&
	    pmap_kextract(trunc_page(addr), pa);
}

static int
cmd_page(struct monitor_out *out, char *args)
{
	const struct page *pg;
	uint64_t addr;
	paddr_t pa;

	if (!parse_address(args, &addr)) {
		mo_printf(out, "'%.20s': an address is wanted, in hexadecimal\n", args);
		return MONITOR_STAY;
	}
	if (!to_physical(addr, &pa)) {
		mo_printf(out, "%#llx: nothing is mapped there\n", (unsigned long long)addr);
		return MONITOR_STAY;
	}
	if (pa >> PAGE_SHIFT >= pmem_npages()) {
		mo_printf(out, "%#llx: no memory, physical address %#llx\n",
		    (unsigned long long)addr, (unsigned long long)pa);
		return MONITOR_STAY;
	}
	pg = phys_to_page(pa);
	mo_printf(out, "page %#llx, struct page %p\n", (unsigned long long)trunc_page(pa),
	    (const void *)pg);
	mo_printf(out, "  %s, %u references, order %u, count %u, owner or link %p\n",
	    pg->pg_kind < PG_NKINDS ? page_kind_name[pg->pg_kind] : "?", pg->pg_refs, pg->pg_order,
	    pg->pg_count, pg->pg_owner);
	mo_printf(out, "  direct map %p\n", page_to_virt(pg));
	return MONITOR_STAY;
}
MONITOR_COMMAND(
    show_page, "show page", "ADDR", "a page of memory, by physical or kernel address", cmd_page);
