/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LWPs as gdb's threads. The id table is walked as an array, no list is followed: the world may have stopped in
 * the middle of any change. Besides what is in the table there is at most one LWP for each CPU, the running one,
 * whose id is gone already (its exit) or not there yet.
 */
#include "gdb_impl.h"

#include <kernel/idtable.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>

static bool
in_table(const struct lwp *l)
{
	return l->l_lid >= 0 && idtable.array != NULL && idt_lwp(&idtable, l->l_lid) == l;
}

pid_t
gdb_pid(const struct proc *p)
{
	return p == NULL || p == &proc0 || p->p_pid <= 0 ? GDB_KERNEL_PID : p->p_pid;
}

lwpid_t
gdb_tid(const struct lwp *l)
{
	if (l == &lwp0)
		return GDB_KERNEL_PID;
	return in_table(l) ? l->l_lid : GDB_KERNEL_PID + 1 + (lwpid_t)l->l_cpu->ci_index;
}

void
gdb_each_lwp(bool (*fn)(void *, struct lwp *), void *arg)
{
	const struct id_array *a = idtable.array;
	struct cpu *ci;

	if (!fn(arg, &lwp0))
		return;
	for (uint32_t i = 1; a != NULL && i <= a->mask; i++) {
		struct lwp *l = a->entry[i].pid != 0 ? idt_lwp(&idtable, a->entry[i].pid) : NULL;

		if (l != NULL && !fn(arg, l))
			return;
	}
	for_each_cpu(ci)
	{
		struct lwp *l = ci->ci_curlwp;

		if (l != NULL && l != &lwp0 && !in_table(l) && !fn(arg, l))
			return;
	}
}

bool
gdb_listed(const struct lwp *l)
{
	return !gdb_session.ss_select || l->l_proc == NULL || l->l_proc == &proc0 ||
	    l->l_proc->p_shown;
}

static bool
show(void *arg __unused, struct lwp *l)
{
	if (l->l_proc != NULL)
		l->l_proc->p_shown = true;
	return true;
}

void
gdb_show_all(void)
{
	gdb_session.ss_select = true;
	gdb_each_lwp(show, NULL);
}

struct find {
	const struct gdb_id *id;
	struct lwp *found;
};

static bool
match(void *arg, struct lwp *l)
{
	struct find *f = arg;

	if (f->id->id_pid > 0 && f->id->id_pid != gdb_pid(l->l_proc))
		return true;
	if (f->id->id_tid > 0 && f->id->id_tid != gdb_tid(l))
		return true;
	f->found = l;
	return false;
}

struct lwp *
gdb_find_lwp(const struct gdb_id *id)
{
	struct find f = { id, NULL };

	/* The usual case without a walk. */
	if (id->id_tid > 0 && id->id_tid < GDB_KERNEL_PID && idtable.array != NULL) {
		struct lwp *l = idt_lwp(&idtable, (pid_t)id->id_tid);

		return l != NULL && !match(&f, l) ? l : NULL;
	}
	gdb_each_lwp(match, &f);
	return f.found;
}

struct proc *
gdb_find_proc(int64_t pid)
{
	struct lwp *l;

	if (pid == GDB_KERNEL_PID)
		return &proc0;
	if (pid <= 0 || pid > GDB_KERNEL_PID || idtable.array == NULL)
		return NULL;
	l = idt_lwp(&idtable, (pid_t)pid);
	if (l != NULL)
		return l->l_proc != NULL && l->l_proc->p_pid == pid ? l->l_proc : NULL;
	return idt_proc(&idtable, (pid_t)pid);
}

const char *
gdb_lwp_name(const struct lwp *l)
{
	return l->l_name[0] == '\0' && l->l_proc != NULL ? l->l_proc->p_comm : l->l_name;
}

void
gdb_lwp_text(const struct lwp *l, char *buf, size_t size)
{
	const char *state = l->l_stat < LS_COUNT ? lwp_state_name[l->l_stat] : "?";
	const struct cpu *ci = debug_cpu_of(l);
	const char *reason = l->l_wchan != NULL && l->l_wmesg != NULL ? l->l_wmesg : NULL;

	if ((l->l_flag & LW_IDLE) != 0)
		state = "IDLE";
	snprintf(buf, size, "%s%s%s%s cpu%u", state, reason != NULL ? " " : "",
	    reason != NULL ? reason : "", ci != NULL ? " running" : "",
	    ci != NULL ? ci->ci_index : l->l_cpu->ci_index);
}

void
gdb_put_id(struct gdb_tx *tx, const struct lwp *l)
{
	gdb_put_char(tx, 'p');
	gdb_put_number(tx, (uint64_t)gdb_pid(l->l_proc));
	gdb_put_char(tx, '.');
	gdb_put_number(tx, (uint64_t)gdb_tid(l));
}
