/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backtraces and held locks, for the report of a panic and for the monitor.
 *
 * A switched-out LWP is walked from the stack pointer that the switch saved, this CPU's from here, that of
 * another CPU from what the NMI that stopped it interrupted. Every word is read by arch_peek().
 */
#include <kernel/monitor.h>

#include <arch/arch_if.h>
#include <kernel/cpu.h>
#include <kernel/ksyms.h>
#include <kernel/log.h>
#include <kernel/lwp.h>
#include <kernel/mutex.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/spinlock.h>

#define MAX_FRAMES 64
#define MAX_LOCKS  32
#define LINE       256

static void
write_log(struct monitor_out *out __unused, const char *s, size_t n)
{
	log_write(s, n);
}

struct monitor_out log_out = { write_log };

void
mo_printf(struct monitor_out *out, const char *fmt, ...)
{
	char line[LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	out->mo_write(out, line, min((size_t)n, sizeof(line) - 1));
}

void
mo_symbol(struct monitor_out *out, uintptr_t pc)
{
	uintptr_t off;
	const char *name = ksym_lookup(pc, &off);

	if (name != NULL)
		mo_printf(out, "%s+%#lx", name, off);
}

static void
print_frame(struct monitor_out *out, uintptr_t pc, bool trap)
{
	uintptr_t off;
	/* A return address may lie behind the function that made the call. */
	const char *name = ksym_lookup(trap ? pc : pc - 1, &off);

	mo_printf(out, "  %#lx", pc);
	if (name != NULL)
		mo_printf(out, " %s+%#lx", name, trap ? off : off + 1);
	mo_printf(out, "%s\n", trap ? " (trap)" : "");
}

void
mo_frames(struct monitor_out *out, struct arch_walk *w)
{
	unsigned n = 0;

	while (arch_walk_next(w)) {
		if (n++ == MAX_FRAMES) {
			mo_printf(out, "  ...\n");
			break;
		}
		print_frame(out, w->pc, w->trap);
	}
}

static struct cpu *
cpu_of(const struct lwp *l)
{
	struct cpu *ci;

	for_each_cpu(ci) if (ci->ci_curlwp == l) return ci;
	return NULL;
}

/* The registers with which a user LWP entered the kernel stay at the top of its kernel stack. */
static void
print_user(struct monitor_out *out, const struct lwp *l)
{
	const struct trapframe *tf;

	if (l->l_kstack == NULL || (l->l_proc->p_flag & PK_SYSTEM) != 0)
		return;
	tf = arch_user_frame(l);
	mo_printf(out, "  %#lx user mode, stack %#lx\n", arch_frame_pc(tf), arch_frame_sp(tf));
}

void
mo_backtrace(struct monitor_out *out, const struct lwp *l)
{
	const struct cpu *ci = cpu_of(l);
	const struct trapframe *tf;
	struct arch_walk w;

	if (ci == NULL) {
		arch_walk_start(&w, l);
	} else if (ci == arch_curcpu()) {
		arch_walk_start(&w, NULL);
	} else if ((tf = cpu_stopped_frame(ci)) == NULL) {
		mo_printf(out, "  cpu%u did not stop\n", ci->ci_index);
		return;
	} else if (arch_frame_user(tf)) {
		mo_printf(
		    out, "  %#lx user mode, stack %#lx\n", arch_frame_pc(tf), arch_frame_sp(tf));
		return;
	} else {
		print_frame(out, arch_frame_pc(tf), true);
		arch_walk_frame(&w, tf);
	}
	mo_frames(out, &w);
	print_user(out, l);
}

/* Prints the kernel frames of a switched-out LWP or, with NULL, of the caller. => any context */
void
backtrace(const struct lwp *l)
{
	struct arch_walk w;

	kprintf("backtrace:\n");
	arch_walk_start(&w, l);
	mo_frames(&log_out, &w);
}

#ifdef DEBUG
static void
print_lock(
    struct monitor_out *out, const char *kind, const char *name, const void *lock, uintptr_t pc)
{
	mo_printf(out, "  %s %s %p since ", kind, name, lock);
	mo_symbol(out, pc);
	mo_printf(out, "\n");
}

unsigned
mo_locks(struct monitor_out *out, const struct lwp *l)
{
	const struct cpu *ci = cpu_of(l);
	const struct spinlock *s = ci != NULL ? ci->ci_spinlocks : NULL;
	unsigned n = 0;

	for (; s != NULL && n < MAX_LOCKS; n++, s = s->sl_next)
		print_lock(out, "spin", s->sl_name, s, s->sl_pc);
	for (const struct mutex *m = l->l_locks; m != NULL && n < 2 * MAX_LOCKS;
	     n++, m = m->mtx_next)
		print_lock(out, "mutex", m->mtx_name, m, m->mtx_pc);
	for (unsigned i = 0; i < RWHOLDS; i++) {
		const struct rwhold *h = &l->l_rwholds[i];

		if (h->rwh_lock != NULL) {
			n++;
			print_lock(out, "rwlock", h->rwh_lock->rw_name, h->rwh_lock, h->rwh_pc);
		}
	}
	return n;
}
#else
unsigned
mo_locks(struct monitor_out *out, const struct lwp *l)
{
	const struct cpu *ci = cpu_of(l);

	if (ci == NULL || ci->ci_mtx_count == 0)
		return 0;
	mo_printf(out, "  spin locks held: %u\n", ci->ci_mtx_count);
	return ci->ci_mtx_count;
}
#endif
