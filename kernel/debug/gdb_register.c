/* SPDX-License-Identifier: BSD-2-Clause */
/* The gdb stub's commands on registers: those of the thread that H g has selected. */
#include "gdb_impl.h"

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/lwp.h>
#include <kernel/string.h>

#define REGISTER_BYTES 16 /* the largest */

static struct lwp *
selected(void)
{
	return gdb_find_lwp(&gdb_session.ss_general);
}

static void
put_register(const struct lwp *l, unsigned n)
{
	uint8_t value[REGISTER_BYTES];
	int size;

	if (l ==
	    NULL) { /* gdb wants to see some place for a thread that it believes in, say of a zombie */
		size = arch_debug_getreg(&lwp0, debug_cpu_of(&lwp0), n, value);
		for (size = size < 0 ? -size : size; size > 0; size--)
			gdb_put(&gdb_tx, "00");
		return;
	}
	size = arch_debug_getreg(l, debug_cpu_of(l), n, value);
	if (size > 0)
		gdb_put_hex(&gdb_tx, value, (size_t)size);
	else
		for (; size < 0; size++)
			gdb_put(&gdb_tx, "xx");
}

void
gdb_read_registers(const char *p)
{
	const struct lwp *l = selected();
	uint64_t n = 0;

	if (*p == 'p' && (p++, !gdb_get_number(&p, &n) || n >= ARCH_DEBUG_REGS)) {
		gdb_reply_error(EINVAL);
		return;
	}
	gdb_tx_clear(&gdb_tx);
	if (p[0] != 'g') {
		put_register(l, (unsigned)n);
		return;
	}
	for (unsigned i = 0; i < ARCH_DEBUG_REGS; i++)
		put_register(l, i);
}

/* Takes a register's digits; *skip: they are 'x', its value is not known. */
static bool
get_value(const char **p, uint8_t *value, int size, bool *skip)
{
	*skip = **p == 'x';
	if (!*skip)
		return gdb_get_hex(p, value, (size_t)size);
	for (int i = 0; i < 2 * size; i++)
		if (!gdb_get_char(p, 'x'))
			return false;
	return true;
}

/* G: all that differ; those that cannot be written must be as they are. */
static int
write_all(struct lwp *l, const struct cpu *ci, const char *p, bool check)
{
	uint8_t was[REGISTER_BYTES], now[REGISTER_BYTES];
	bool skip;

	for (unsigned n = 0; n < ARCH_DEBUG_REGS && *p != '\0'; n++) {
		int size = arch_debug_getreg(l, ci, n, was), known = size > 0;
		int error;

		size = known ? size : -size;
		if (!get_value(&p, now, size, &skip))
			return -EINVAL;
		if (check || skip || !known || memcmp(was, now, (size_t)size) == 0)
			continue;
		if ((error = arch_debug_setreg(l, ci, n, now)) != 0)
			return error;
	}
	return 0;
}

void
gdb_write_registers(const char *p)
{
	struct lwp *l = selected();
	const struct cpu *ci = l != NULL ? debug_cpu_of(l) : NULL;
	uint8_t value[REGISTER_BYTES];
	uint64_t n;
	bool skip = true;
	int size, error;

	if (l == NULL) {
		error = -ESRCH;
	} else if (*p == 'G') {
		error = write_all(l, ci, p + 1, true);
		if (error == 0)
			error = write_all(l, ci, p + 1, false);
	} else {
		p++;
		if (!gdb_get_number(&p, &n) || n >= ARCH_DEBUG_REGS || !gdb_get_char(&p, '=')) {
			error = -EINVAL;
		} else {
			size = arch_debug_getreg(l, ci, (unsigned)n, value);
			if (!get_value(&p, value, size > 0 ? size : -size, &skip) || *p != '\0')
				error = -EINVAL;
			else
				error = skip ? 0 : arch_debug_setreg(l, ci, (unsigned)n, value);
		}
	}
	if (error != 0)
		gdb_reply_error(error);
	else
		gdb_reply_ok();
}
