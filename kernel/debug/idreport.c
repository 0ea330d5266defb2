/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The id table in a panic's report. Other CPUs are stopped, locks may be held and lists half-way, so this
 * follows no list: it walks the array and prints what each busy entry points at.
 */
#include <kernel/idtable.h>
#include <kernel/log.h>
#include <kernel/monitor.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>

#define LINES 64
#define WALKS 32

/* Where the user LWPs are that no CPU runs. */
static void
report_everyone(const struct id_array *a)
{
	unsigned walks = 0;

	for (uint32_t i = 1; i <= a->mask && walks < WALKS; i++) {
		const struct lwp *l = idt_lwp(&idtable, a->entry[i].pid);

		if (l == NULL || (l->l_proc->p_flag & PK_SYSTEM) != 0 || l->l_stat == LS_IDL ||
		    l->l_stat == LS_ONPROC || l->l_stat == LS_ZOMB)
			continue;
		walks++;
		kprintf("lid%d:\n", l->l_lid);
		mo_backtrace(&log_out, l);
		(void)mo_locks(&log_out, l);
	}
}

void
panic_report(void)
{
	const struct id_array *a = idtable.array;
	unsigned lines = 0, more = 0;

	if (a == NULL)
		return;
	kprintf("ids: %u in use, %u entries\n", idtable.count, a->mask + 1);
	for (uint32_t i = 0; i <= a->mask; i++) {
		pid_t id = i == 0 ? 0 : a->entry[i].pid;
		const struct lwp *l = idt_lwp(&idtable, id);
		const struct proc *p = idt_proc(&idtable, id);

		if ((i != 0 && id == 0) || (l == NULL && p == NULL))
			continue;
		if (lines++ >= LINES)
			more++;
		else if (l != NULL)
			kprintf("%7d  LWP of %-7d %-7s cpu%-2u %-15s %s\n", id, l->l_proc->p_pid,
			    l->l_stat < LS_COUNT ? lwp_state_name[l->l_stat] : "?",
			    l->l_cpu->ci_index, l->l_name, l->l_wchan != NULL ? l->l_wmesg : "");
		else
			kprintf("%7d  process        %-7s       %s\n", id,
			    p->p_stat < PS_COUNT ? proc_state_name[p->p_stat] : "?", p->p_comm);
	}
	if (more != 0)
		kprintf("and %u more\n", more);
	if (panic_everyone)
		report_everyone(a);
}
