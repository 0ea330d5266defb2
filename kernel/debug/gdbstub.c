/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gdb stub's commands, but for the queries. docs/gdbstub.md.
 *
 * Runs on the CPU that owns the stopped world, in whatever context that CPU was: no lock, no allocation, no sleep.
 * A command changes nothing before it is parsed whole; one that cannot be parsed is answered with an error.
 */
#include "gdb_impl.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/lwp.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define GDB_SIGINT    2
#define GDB_SIGTRAP   5
#define GDB_SIGABRT   6
#define STATUS_KILLED 137

bool debug_on, debug_attached;
struct gdb_session gdb_session;
char gdb_kernel_file[GDB_FILE_MAX];

enum outcome { STAY, GO };

static int
set_gdb(const char *value)
{
	if (strcmp(value, "wait") == 0)
		gdb_session.ss_wait = true;
	else if (strcmp(value, "com2") != 0)
		return -EINVAL;
	debug_on = true;
	return 0;
}
OPTION(gdb, "com2 wait", set_gdb);

void
debug_init(void)
{
	ssize_t size;

	if (!debug_on)
		return;
	if (arch_debug_open() != 0) {
		kprintf("gdb: no second serial port\n");
		debug_on = false;
		return;
	}
	while (gdb_memory_wants()) {
		struct page *pg = page_alloc(PG_ANON);

		if (pg == NULL || !gdb_memory_give(pg))
			break;
	}
	size = arch_fwcfg_size("opt/threadbare/gdbfile");
	if (size > 0 && size < GDB_FILE_MAX)
		(void)arch_fwcfg_read("opt/threadbare/gdbfile", gdb_kernel_file, (size_t)size);
	kprintf("gdb: listening on the second serial port\n");
	if (gdb_session.ss_wait) {
		bool on = arch_intr_disable();

		arch_breakpoint();
		arch_intr_restore(on);
	}
}

void
gdb_reply_error(int error)
{
	uint8_t e = (uint8_t)(error < 0 ? -error : error);

	gdb_tx_clear(&gdb_tx);
	gdb_put_char(&gdb_tx, 'E');
	gdb_put_hex(&gdb_tx, &e, 1);
}

void
gdb_reply_ok(void)
{
	gdb_tx_clear(&gdb_tx);
	gdb_put(&gdb_tx, "OK");
}

/* ---- the stop ---- */

static void
put_reason(void)
{
	static const char *const watch[] = { [2] = "watch", [3] = "rwatch", [4] = "awatch" };
	unsigned type;

	switch (gdb_session.ss_cause) {
	case DEBUG_SWBREAK:
		if (gdb_session.ss_swbreak)
			gdb_put(&gdb_tx, "swbreak:;");
		break;
	case DEBUG_HWBREAK:
		if (gdb_session.ss_hwbreak)
			gdb_put(&gdb_tx, "hwbreak:;");
		break;
	case DEBUG_WATCH:
		type = arch_debug_watch_type(gdb_session.ss_arg);
		if (type != 0) {
			gdb_put(&gdb_tx, watch[type]);
			gdb_put_char(&gdb_tx, ':');
			gdb_put_number(&gdb_tx, gdb_session.ss_arg);
			gdb_put_char(&gdb_tx, ';');
		}
		break;
	default:
		break;
	}
}

static void
stop_reply(void)
{
	const struct lwp *l = gdb_session.ss_lwp;
	const struct cpu *ci;
	uint8_t sig = GDB_SIGTRAP;

	if (gdb_session.ss_cause == DEBUG_INTR)
		sig = GDB_SIGINT;
	else if (gdb_session.ss_cause == DEBUG_PANIC)
		sig = GDB_SIGABRT;
	/* gdb's first inferior is the process named first: the kernel, which stays. */
	if (gdb_session.ss_fresh && gdb_session.ss_cause == DEBUG_INTR) {
		l = &lwp0;
		sig = GDB_SIGTRAP;
	}
	gdb_session.ss_general = (struct gdb_id){ gdb_pid(l->l_proc), gdb_tid(l) };
	if (l->l_proc != NULL)
		l->l_proc->p_shown = true;
	ci = debug_cpu_of(l);
	gdb_tx_clear(&gdb_tx);
	gdb_put_char(&gdb_tx, 'T');
	gdb_put_hex(&gdb_tx, &sig, 1);
	put_reason();
	gdb_put(&gdb_tx, "thread:");
	gdb_put_id(&gdb_tx, l);
	gdb_put(&gdb_tx, ";core:");
	gdb_put_number(&gdb_tx, ci != NULL ? ci->ci_index : l->l_cpu->ci_index);
	gdb_put_char(&gdb_tx, ';');
}

static void
report_lost(void)
{
	char line[64];

	for (cpuset_t s = debug_unstopped(); s != 0; s &= s - 1) {
		snprintf(line, sizeof(line), "cpu%u did not stop\n", (unsigned)__builtin_ctzll(s));
		gdb_console(line, strlen(line));
	}
}

/* ---- memory ---- */

static const struct proc *
selected_proc(void)
{
	const struct lwp *l;

	if (gdb_session.ss_general.id_pid > 0)
		return gdb_find_proc(gdb_session.ss_general.id_pid);
	l = gdb_find_lwp(&gdb_session.ss_general);
	return l != NULL ? l->l_proc : NULL;
}

static void
read_memory(const char *p)
{
	static uint8_t data[GDB_PACKET_MAX / 2];
	uint64_t addr, n;

	p++;
	if (!gdb_get_number(&p, &addr) || !gdb_get_char(&p, ',') || !gdb_get_number(&p, &n) ||
	    *p != '\0') {
		gdb_reply_error(EINVAL);
		return;
	}
	n = gdb_read(selected_proc(), addr, data, min(n, (uint64_t)sizeof(data)));
	if (n == 0) {
		gdb_reply_error(EFAULT);
		return;
	}
	gdb_tx_clear(&gdb_tx);
	gdb_put_hex(&gdb_tx, data, n);
}

static void
write_memory(char *packet, size_t len)
{
	static uint8_t data[GDB_PACKET_MAX];
	const char *p = packet + 1, *from;
	uint64_t addr, n;

	if (!gdb_get_number(&p, &addr) || !gdb_get_char(&p, ',') || !gdb_get_number(&p, &n) ||
	    !gdb_get_char(&p, ':') || n > sizeof(data)) {
		gdb_reply_error(EINVAL);
		return;
	}
	from = p;
	if (*packet == 'X') {
		char *s = packet + (p - packet);

		if (gdb_unescape(s, len - (size_t)(p - packet)) != n) {
			gdb_reply_error(EINVAL);
			return;
		}
	} else if (gdb_get_hex(&p, data, n) && *p == '\0') {
		from = (const char *)data;
	} else {
		gdb_reply_error(EINVAL);
		return;
	}
	if (gdb_write(selected_proc(), addr, from, n) != n)
		gdb_reply_error(EFAULT);
	else
		gdb_reply_ok();
}

/* ---- breakpoints ---- */

static void
breakpoint(const char *p)
{
	bool insert = *p++ == 'Z';
	const struct proc *proc = selected_proc();
	const struct vmspace *vm =
	    proc != NULL && proc->p_vmspace != &vmspace_kernel ? proc->p_vmspace : NULL;
	uint64_t type, addr, kind;
	int error;

	if (!gdb_get_number(&p, &type) || !gdb_get_char(&p, ',') || !gdb_get_number(&p, &addr) ||
	    !gdb_get_char(&p, ',') || !gdb_get_number(&p, &kind)) {
		gdb_reply_error(EINVAL);
		return;
	}
	if (type > 4) {
		gdb_tx_clear(&gdb_tx); /* not supported */
		return;
	}
	/* gdb may not know yet that the process is gone, and its breakpoints with it. */
	if (proc == NULL && addr < USER_END)
		error = 0;
	else if (type == 0)
		error = insert ? gdb_break_insert(proc, addr) : gdb_break_remove(proc, addr);
	else if (insert)
		error = arch_debug_hw_insert((unsigned)type, addr, kind, vm);
	else
		error = arch_debug_hw_remove((unsigned)type, addr, kind, vm);
	if (error != 0)
		gdb_reply_error(error);
	else
		gdb_reply_ok();
}

/* ---- threads ---- */

static void
select_thread(const char *p)
{
	struct gdb_id id;
	char what = p[1];

	p += 2;
	if ((what != 'g' && what != 'c') || !gdb_get_id(&p, &id) || *p != '\0') {
		gdb_reply_error(EINVAL);
		return;
	}
	if (what == 'g') {
		/* Any thread will do: the one that stopped, if it can be. */
		if (id.id_tid <= 0 &&
		    (id.id_pid <= 0 || id.id_pid == gdb_pid(gdb_session.ss_lwp->l_proc))) {
			id.id_pid = gdb_pid(gdb_session.ss_lwp->l_proc);
			id.id_tid = gdb_tid(gdb_session.ss_lwp);
		} else if (id.id_pid != GDB_KERNEL_PID && gdb_find_lwp(&id) == NULL &&
		    gdb_find_proc(id.id_pid) == NULL) {
			gdb_session.ss_general = (struct gdb_id){ GDB_NOBODY, GDB_ID_ANY };
			gdb_reply_error(ESRCH);
			return;
		}
		gdb_session.ss_general = id;
	}
	gdb_reply_ok();
}

static void
thread_alive(const char *p)
{
	struct gdb_id id;

	p++;
	if (gdb_get_id(&p, &id) && *p == '\0' && id.id_tid > 0 && gdb_find_lwp(&id) != NULL)
		gdb_reply_ok();
	else
		gdb_reply_error(ESRCH);
}

/* ---- going on ---- */

/* Lets one LWP run, the CPUs of all others stay where they are. Off CPU it needs the scheduler, which needs all. */
static void
resume_alone(struct debug_resume *r, struct lwp *l)
{
	const struct cpu *ci = debug_cpu_of(l);

	if (ci == NULL)
		return;
	r->dr_run = CPU_BIT(ci);
}

/*
 * vCont;action[:thread]... The first action that names a thread is its own. One LWP can be stepped; if all others
 * have no action, they are held.
 */
static enum outcome
vcont(const char *p, struct debug_resume *r)
{
	struct lwp *step = NULL, *only = NULL;
	bool all = false, none = true, others = false;

	while (gdb_get_char(&p, ';')) {
		struct gdb_id id = { GDB_ID_ALL, GDB_ID_ALL };
		char action = *p++;
		struct lwp *l = NULL;
		uint64_t sig;

		if (action == '\0' || strchr("cCsSt", action) == NULL)
			goto bad;
		if ((action == 'C' || action == 'S') && !gdb_get_number(&p, &sig))
			goto bad;
		if (gdb_get_char(&p, ':') && !gdb_get_id(&p, &id))
			goto bad;
		if (action == 't')
			continue; /* that it is held is said by naming the others */
		none = false;
		if (id.id_tid > 0 && (l = gdb_find_lwp(&id)) == NULL)
			goto bad;
		if (action == 's' || action == 'S') {
			if (l == NULL)
				l = gdb_session.ss_lwp;
			others |= step != NULL && step != l;
			if (step == NULL)
				step = l;
			only = l;
		} else if (l != NULL) {
			only = l;
			others = true;
		} else {
			all = true;
		}
	}
	if (*p != '\0' || none)
		goto bad;
	r->dr_step = step;
	r->dr_lone = step != NULL && !all && !others;
	if (!all && only != NULL)
		resume_alone(r, only);
	gdb_session.ss_running = true;
	return GO;
bad:
	gdb_reply_error(EINVAL);
	gdb_send();
	return STAY;
}

static enum outcome
detach(const char *p)
{
	uint64_t pid = GDB_KERNEL_PID;

	p++;
	if (*p != '\0' && (!gdb_get_char(&p, ';') || !gdb_get_number(&p, &pid) || *p != '\0')) {
		gdb_reply_error(EINVAL);
		gdb_send();
		return STAY;
	}
	gdb_reply_ok();
	/* A single process is only forgotten by gdb; the session is the kernel's. */
	if (pid == GDB_KERNEL_PID) {
		gdb_break_clear();
		atomic_store_relaxed(&debug_attached, false);
		gdb_send_last();
		return gdb_have_packet() ? STAY : GO;
	}
	gdb_send();
	return STAY;
}

static void __noreturn
end_machine(void)
{
	gdb_reply_ok();
	gdb_send_last();
	arch_poweroff(STATUS_KILLED);
}

static enum outcome
v_packet(const char *p, struct debug_resume *r)
{
	if (strncmp(p, "vCont;", 6) == 0)
		return vcont(p + 5, r);
	if (strncmp(p, "vKill;", 6) == 0)
		end_machine();
	gdb_tx_clear(&gdb_tx);
	if (strcmp(p, "vCont?") == 0)
		gdb_put(&gdb_tx, "vCont;c;C;s;S;t");
	gdb_send();
	return STAY;
}

/* c [addr] and s [addr], for all; an address is refused. */
static enum outcome
old_resume(const char *p, struct debug_resume *r)
{
	if (p[1] != '\0') {
		gdb_reply_error(EINVAL);
		gdb_send();
		return STAY;
	}
	if (*p == 's')
		r->dr_step = gdb_session.ss_lwp;
	gdb_session.ss_running = true;
	return GO;
}

/* ---- the loop ---- */

static enum outcome
command(char *p, size_t len, struct debug_resume *r)
{
	gdb_tx_clear(&gdb_tx);
	switch (*p) {
	case '?':
		stop_reply();
		break;
	case 'g':
	case 'p':
		gdb_read_registers(p);
		break;
	case 'G':
	case 'P':
		gdb_write_registers(p);
		break;
	case 'm':
		read_memory(p);
		break;
	case 'M':
	case 'X':
		write_memory(p, len);
		break;
	case 'Z':
	case 'z':
		breakpoint(p);
		break;
	case 'H':
		select_thread(p);
		break;
	case 'T':
		thread_alive(p);
		break;
	case 'q':
	case 'Q':
		gdb_query(p, len);
		break;
	case 'v':
		return v_packet(p, r);
	case 'c':
	case 's':
		return old_resume(p, r);
	case 'D':
		return detach(p);
	case 'k':
		arch_poweroff(STATUS_KILLED);
	default:
		break; /* an empty reply: not supported */
	}
	gdb_send();
	if (gdb_session.ss_noack)
		gdb_noack = true;
	return STAY;
}

/* A gdb that did not speak before, or speaks anew. */
static void
open_session(void)
{
	gdb_break_clear();
	atomic_store_relaxed(&debug_attached, true);
	gdb_session.ss_running = false;
	gdb_session.ss_fresh = true;
	gdb_session.ss_swbreak = gdb_session.ss_hwbreak = gdb_session.ss_noack = false;
	gdb_session.ss_select = gdb_noack = false;
}

void
gdb_serve(enum debug_cause cause, uintptr_t arg, struct lwp *l, struct debug_resume *r)
{
	if (cause == DEBUG_INTR && !gdb_have_packet() && !debug_attached)
		return; /* a ^C from nobody */
	gdb_session.ss_cause = cause;
	gdb_session.ss_arg = arg;
	gdb_session.ss_lwp = l;
	gdb_session.ss_general = (struct gdb_id){ gdb_pid(l->l_proc), gdb_tid(l) };
	if (debug_attached && gdb_session.ss_running && !gdb_have_packet()) {
		report_lost();
		gdb_session.ss_fresh = false;
		stop_reply();
		gdb_send();
	}
	gdb_session.ss_running = false;
	for (;;) {
		char *p = gdb_rx.rx_data;

		gdb_receive();
		/* A gdb that detaches twice, once for each process it knew, does not come back by that. */
		if (!debug_attached && *p == 'D') {
			gdb_reply_ok();
			gdb_send_last();
			if (cause == DEBUG_INTR && !gdb_have_packet())
				return;
			continue;
		}
		if (!debug_attached || strncmp(p, "qSupported", 10) == 0)
			open_session();
		if (command(p, gdb_rx.rx_len, r) == GO)
			return;
	}
}
