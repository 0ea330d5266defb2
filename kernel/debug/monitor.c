/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor: its command line, and the ways in. docs/monitor.md.
 *
 * Ways in: a break on the console's line, "monitor" written to /dev/debug, a panic with the option
 * panic=monitor; the gdb stub calls monitor_exec() alone. The others are stopped by NMI, wherever they are,
 * and go on from there: a lock that one holds stays held, an interrupt that is due comes after the resume.
 * Input is polled, for interrupts are off; output waits for room in the serial port, and for its end before
 * the resume, so that whoever was stopped while he filled the port finds it as he left it.
 *
 * Every command runs within arch_try(): a fault in it ends that command.
 */
#include <kernel/monitor.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/cpu.h>
#include <kernel/log.h>
#include <kernel/lwp.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/string.h>
#include <kernel/trace.h>

#define LINE  80
#define ESC_C 0x03 /* ^C */
#define ESC_U 0x15 /* ^U */
#define DEL   0x7f
#define RETRY ((nsec_t)1000000)

/* Linker set; each entry is in a section of its own, so that they are sorted. */
extern const struct monitor_command __start_set_monitor[], __stop_set_monitor[];

bool monitor_on_panic;

static int
set_panic(const char *value)
{
	monitor_on_panic = strcmp(value, "monitor") == 0;
	return monitor_on_panic || strcmp(value, "poweroff") == 0 ? 0 : -EINVAL;
}
OPTION(panic, "poweroff monitor", set_panic);

/* ---- one command ---- */

struct call {
	const struct monitor_command *c_cmd;
	struct monitor_out *c_out;
	char *c_args;
	int c_result;
};

static void
run(void *arg)
{
	struct call *c = arg;

	c->c_result = c->c_cmd->mc_fn(c->c_out, c->c_args);
}

bool
monitor_try(struct monitor_out *out, const char *what, void (*fn)(void *), void *arg)
{
	if (arch_try_clean(fn, arg) == 0)
		return true;
	mo_printf(out, "%s: a fault; what it looked at is broken\n", what);
	return false;
}

/* One blank between words, none at the ends. */
static void
squeeze(char *line)
{
	char *to = line;

	for (const char *p = line; *p != '\0'; p++) {
		bool blank = *p == ' ' || *p == '\t' || *p == '\r' || *p == '\n';

		if (!blank)
			*to++ = *p;
		else if (to != line && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to != line && to[-1] == ' ')
		to--;
	*to = '\0';
}

int
monitor_exec(char *line, struct monitor_out *out)
{
	const struct monitor_command *c;
	size_t n;

	squeeze(line);
	if (*line == '\0')
		return MONITOR_STAY;
	for (c = __start_set_monitor; c < __stop_set_monitor; c++) {
		struct call call = { c, out, line, MONITOR_STAY };

		n = strlen(c->mc_name);
		if (strncmp(line, c->mc_name, n) != 0 || (line[n] != '\0' && line[n] != ' '))
			continue;
		call.c_args += line[n] == ' ' ? n + 1 : n;
		(void)monitor_try(out, c->mc_name, run, &call);
		return call.c_result;
	}
	mo_printf(out, "%.40s: no such command; help lists them\n", line);
	return MONITOR_STAY;
}

/* ---- the console ---- */

static void
write_console(struct monitor_out *out __unused, const char *s, size_t n)
{
	size_t len;

	for (; n > 0; s += len, n -= len) {
		for (len = 0; len < n && s[len] != '\n'; len++)
			continue;
		arch_console_write(s, len);
		if (len < n) {
			arch_console_write("\r\n", 2);
			len++;
		}
	}
}

static struct monitor_out console_out = { write_console };

static void
echo(const char *s)
{
	arch_console_write(s, strlen(s));
}

/* Reads a line: backspace and ^U edit, ^C begins anew. */
static void
read_line(char *line, size_t size)
{
	size_t n = 0;
	int c;

	echo("monitor> ");
	for (;;) {
		while ((c = arch_console_getc()) < 0)
			arch_cpu_relax();
		if (c == '\r' || c == '\n') {
			line[n] = '\0';
			echo("\r\n");
			return;
		}
		if (c == ESC_C) {
			n = 0;
			echo("^C\r\nmonitor> ");
		}
		for (bool all = c == ESC_U; n > 0 && (all || c == '\b' || c == DEL); n--) {
			echo("\b \b");
			c = 0;
		}
		if (c >= ' ' && c < DEL && n < size - 1) {
			line[n++] = (char)c;
			arch_console_write(&line[n - 1], 1);
		}
	}
}

/* Until a command says that the kernel shall go on. => others stopped, interrupts off */
static void
talk(const char *why)
{
	static char line[LINE];
	const struct cpu *ci = arch_curcpu();
	bool was = log_set_console(true);
	int next;

	echo("\r\n");
	kprintf("monitor: cpu%u lid%d: %s; help lists the commands\n", ci->ci_index,
	    ci->ci_curlwp->l_lid, why);
	do {
		read_line(line, sizeof(line));
		next = monitor_exec(line, &console_out);
	} while (next == MONITOR_STAY);
	if (next == MONITOR_REBOOT) {
		kprintf("monitor: reboot\n");
		arch_reboot();
	}
	kprintf("monitor: continue\n");
	log_set_console(was);
}

bool
monitor_enter(const char *why)
{
	bool on = arch_intr_disable();

	KASSERT(arch_curcpu()->ci_mtx_count == 0);
	if (cpu_is_stopper()) {
		arch_intr_restore(on);
		return false;
	}
	/* Another stopper may wait until we park: do so. */
	while (!cpu_trystop_others()) {
		cpu_call_ipi();
		arch_cpu_relax();
	}
	talk(why);
	arch_console_flush();
	cpu_resume_others();
	arch_intr_restore(on);
	return true;
}

void
monitor_panic(void)
{
	talk("panic");
}

static struct callout retry; /* of this CPU's timer: only one CPU has the serial port's interrupt */

/* What was interrupted has parked the others for a moment: it must end first. => interrupts off */
static void
enter_by_break(void *arg __unused)
{
	if (!monitor_enter("a break") && !retry.co_pending)
		callout_arm(&retry, time_now() + RETRY);
}

/* Upcall of the serial port. => interrupt context, interrupts off */
void
console_break(void)
{
	if (retry.co_fn == NULL)
		callout_init(&retry, enter_by_break, NULL);
	enter_by_break(NULL);
}

/* ---- commands about the monitor itself ---- */

static int
cmd_help(struct monitor_out *out, char *args __unused)
{
	char usage[32];

	for (const struct monitor_command *c = __start_set_monitor; c < __stop_set_monitor; c++) {
		snprintf(usage, sizeof(usage), "%s %s", c->mc_name, c->mc_args);
		mo_printf(out, "%-18s %s\n", usage, c->mc_help);
	}
	return MONITOR_STAY;
}
MONITOR_COMMAND(help, "help", "", "this list", cmd_help);

static int
cmd_continue(struct monitor_out *out, char *args __unused)
{
	if (panicking)
		mo_printf(out, "there is nothing to go on with after a panic: the machine stops\n");
	return MONITOR_CONTINUE;
}
MONITOR_COMMAND(continue, "continue", "", "let the kernel go on", cmd_continue);

static int
cmd_reboot(struct monitor_out *out __unused, char *args __unused)
{
	return MONITOR_REBOOT;
}
MONITOR_COMMAND(reboot, "reboot", "", "reset the machine (under tools/run: end it)", cmd_reboot);

/* ---- the log ---- */

#define DMESG_MAX 10000

/* The position at which the newest n lines begin. */
static uint64_t
newest_lines(uint64_t n)
{
	uint64_t pos = 0, total = 0, seen = 0, begin;
	char buf[128];
	size_t got;

	while ((got = log_read(&pos, buf, sizeof(buf))) > 0)
		for (size_t i = 0; i < got; i++)
			total += buf[i] == '\n';
	if (total <= n)
		return 0;
	for (pos = 0; (got = log_read(&pos, buf, sizeof(buf))) > 0;) {
		begin = pos - got;
		for (size_t i = 0; i < got; i++)
			if (buf[i] == '\n' && ++seen == total - n)
				return begin + i + 1;
	}
	return 0;
}

static int
cmd_dmesg(struct monitor_out *out, char *args)
{
	uint64_t pos = 0, n;
	char buf[128];
	size_t got;

	if (*args != '\0') {
		if (option_u64(args, 1, DMESG_MAX, &n) != 0) {
			mo_printf(out, "dmesg %.20s: a number of lines from 1 on\n", args);
			return MONITOR_STAY;
		}
		pos = newest_lines(n);
	}
	while ((got = log_read(&pos, buf, sizeof(buf))) > 0)
		out->mo_write(out, buf, got);
	return MONITOR_STAY;
}
MONITOR_COMMAND(dmesg, "dmesg", "[LINES]", "the kernel log, or its newest lines", cmd_dmesg);

/* ---- the trace ---- */

#define TRACE_DEFAULT 20

static int
cmd_trace(struct monitor_out *out, char *args)
{
	uint64_t n = TRACE_DEFAULT;

	if (*args != '\0' && option_u64(args, 1, UINT32_MAX, &n) != 0)
		mo_printf(out, "trace %.20s: a number of events from 1 on\n", args);
	else
		trace_dump((unsigned)n, out);
	return MONITOR_STAY;
}
MONITOR_COMMAND(trace, "trace", "[N]", "the newest N events of the trace (20)", cmd_trace);
