/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel log.
 *
 * A message goes into a ring, whose positions count up for ever, and to the log device; with `log=console`
 * to the console too. Each line begins with the time.
 *
 * Locking: log_owner, a raw lock outside of the lock order, so that a message can be written anywhere. Who
 * finds it held by his own CPU has interrupted the holder (NMI, panic), and while the others are stopped by
 * NMI no holder would release it: then one goes on without it. During a panic the lock is taken from a CPU that
 * may have been stopped while it held it. The price is a garbled line, never a lost one or a hang.
 */
#include <kernel/log.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define LOG_LINE    512     /* longest message */
#define PANIC_SPINS 200000u /* patience with the holder during a panic */

static uint32_t log_owner;      /* holder's CPU index + 1, 0 = free */
static char log_ring[LOG_SIZE]; /* under log_owner */
static uint64_t log_end;        /* (a) position behind the newest byte; written under log_owner */
static bool log_midline;        /* under log_owner: the last message did not end its line */
static bool log_console;        /* constant after boot, but for the monitor and panics */

static int
set_log(const char *value)
{
	if (strcmp(value, "console") == 0)
		log_console = true;
	else if (strcmp(value, "debug") == 0)
		log_console = false;
	else
		return -EINVAL;
	return 0;
}
OPTION(log, "console debug", set_log);

bool
log_set_console(bool on)
{
	bool was = log_console;

	log_console = on;
	return was;
}

/* Returns whether the lock was taken, and has to be released. => interrupts off */
static bool
log_lock(void)
{
	uint32_t me = arch_curcpu()->ci_index + 1;

	for (uint32_t spins = 0;; spins++) {
		uint32_t seen = 0;

		if (atomic_cas(&log_owner, &seen, me))
			return true;
		if (seen == me || atomic_load_relaxed(&cpu_stopped_hard))
			return false;
		if (atomic_load_relaxed(&panicking) && spins > PANIC_SPINS) {
			atomic_store_relaxed(&log_owner, me);
			return true;
		}
		arch_cpu_relax();
	}
}

static void
emit(char c)
{
	log_ring[log_end % LOG_SIZE] = c;
	atomic_store_release(&log_end, log_end + 1);
	arch_log_putc(c);
}

/* Begins a line with the time: `[    0.123456] `. */
static void
emit_time(void)
{
	char buf[24];
	uint64_t us = arch_time_ns() / 1000;
	int n = snprintf(buf, sizeof(buf), "[%5llu.%06llu] ", (unsigned long long)(us / 1000000),
	    (unsigned long long)(us % 1000000));

	for (int i = 0; i < n; i++)
		emit(buf[i]);
	if (log_console)
		arch_console_write(buf, (size_t)n);
}

static void
write_line(const char *s, size_t n)
{
	bool ends = n > 0 && s[n - 1] == '\n';

	if (!log_midline)
		emit_time();
	for (size_t i = 0; i < n; i++)
		emit(s[i]);
	log_midline = !ends;
	if (!log_console)
		return;
	arch_console_write(s, n - ends);
	if (ends)
		arch_console_write("\r\n", 2);
}

void
log_write(const char *s, size_t n)
{
	bool on = arch_intr_disable();
	bool locked = log_lock();

	while (n > 0) {
		size_t len = 0;

		while (len < n && s[len++] != '\n')
			continue;
		write_line(s, len);
		s += len;
		n -= len;
	}
	if (locked)
		atomic_store_release(&log_owner, 0);
	if (on)
		arch_intr_enable();
}

size_t
log_read(uint64_t *pos, char *buf, size_t size)
{
	uint64_t end = atomic_load_acquire(&log_end), oldest, from;
	size_t n, first;

	oldest = end > LOG_SIZE ? end - LOG_SIZE : 0;
	from = max(*pos, oldest);
	from = min(from, end);
	n = min((size_t)(end - from), size);
	first = min(n, LOG_SIZE - (size_t)(from % LOG_SIZE));
	memcpy(buf, &log_ring[from % LOG_SIZE], first);
	memcpy(buf + first, log_ring, n - first);

	/* Bytes that a writer overtook while we copied are not the old ones: leave them out. */
	end = atomic_load_acquire(&log_end) + 1;
	oldest = end > LOG_SIZE ? end - LOG_SIZE : 0;
	if (oldest > from) {
		size_t lost = min(n, (size_t)(oldest - from));

		n -= lost;
		memmove(buf, buf + lost, n);
		from += lost;
	}
	*pos = from + n;
	return n;
}

void
kvprintf(const char *fmt, va_list ap)
{
	char buf[LOG_LINE];
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);

	if (n >= (int)sizeof(buf)) {
		n = sizeof(buf) - 1;
		memcpy(&buf[n - 4], "...\n", 4);
	}
	log_write(buf, (size_t)n);
}

void
kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}
