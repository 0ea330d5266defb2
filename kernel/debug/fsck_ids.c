/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsck of the id table: its own structure (idt_check), who stands in its entries, groups and sessions. All of
 * it is covered by proc_lock. Sessions have no list: their groups' entries lead to them.
 */
#include "fsck.h"

#include <kernel/process.h>

static void
check_occupant(const struct id_entry *e)
{
	const struct proc *p = idt_proc(&idtable, e->pid);
	const struct lwp *l = idt_lwp(&idtable, e->pid);

	if (p != NULL)
		CHECK(p->p_pid == e->pid && p->p_stat != PS_IDL,
		    "T3: entry of id %d: process %p has pid %d", e->pid, (const void *)p, p->p_pid);
	if (l != NULL) {
		CHECK(l->l_magic == LWP_MAGIC && l->l_lid == e->pid,
		    "T4: entry of id %d: lwp %p has lid %d", e->pid, (const void *)l, l->l_lid);
		CHECK(l->l_proc == &proc0 || idt_proc(&idtable, l->l_proc->p_pid) == l->l_proc ||
			(idt_lwp(&idtable, l->l_proc->p_pid) != NULL &&
			    idt_lwp(&idtable, l->l_proc->p_pid)->l_proc == l->l_proc),
		    "T4: lid %d: its process %p is not in the table", l->l_lid,
		    (const void *)l->l_proc);
	}
}

static void
check_group(const struct pgrp *pg, const struct id_entry *e, uint32_t index)
{
	const struct proc *p;
	unsigned n = 0;
	uint32_t jobc = 0;

	CHECK(((uint32_t)pg->pg_id & idtable.array->mask) == index &&
		(e->pid == 0 || e->pid == pg->pg_id),
	    "T7: entry %u with id %d: group %d", index, e->pid, pg->pg_id);
	CHECK(!list_empty(&pg->pg_members) || pg->pg_id == pg->pg_session->s_sid,
	    "T7: group %d is empty, and no session's", pg->pg_id);
	list_foreach (p, &pg->pg_members, p_pglist) {
		if (fsck_endless(&n, &pg->pg_members))
			return;
		CHECK(p->p_pgrp == pg, "P10: pid %d is a member of group %d and does not know",
		    p->p_pid, pg->pg_id);
		jobc += p->p_jobc;
	}
	CHECK(jobc == pg->pg_jobc, "P10: group %d: jobc %u, are %u", pg->pg_id, pg->pg_jobc, jobc);
}

void
fsck_ids(void)
{
	const struct id_array *a = idtable.array;
	struct pgrp *pg;
	uint32_t entry;
	const char *bad = idt_check(&idtable, &entry);

	CHECK(bad == NULL, "%s (entry %u)", bad, entry);
	CHECK(
	    idt_lwp(&idtable, 0) == &lwp0 && a->entry[1].pid == 1, "T11: entry 0 or 1 has changed");
	for (uint32_t i = 1; i <= a->mask; i++) {
		check_occupant(&a->entry[i]);
		if ((pg = a->entry[i].pgrp) != NULL) {
			check_group(pg, &a->entry[i], i);
			pg->pg_session->s_seen = 0;
		}
	}
	for (uint32_t i = 1; i <= a->mask; i++)
		if ((pg = a->entry[i].pgrp) != NULL)
			pg->pg_session->s_seen += !list_empty(&pg->pg_members);
	for (uint32_t i = 1; i <= a->mask; i++)
		if ((pg = a->entry[i].pgrp) != NULL)
			CHECK(pg->pg_session->s_seen == pg->pg_session->s_refs,
			    "P10: session %d: groups %u, are %u", pg->pg_session->s_sid,
			    pg->pg_session->s_refs, pg->pg_session->s_seen);
}
