/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor. */
#include <kernel/monitor.h>

#include <kernel/string.h>

static void
print(struct monitor_out *out, const char *s)
{
	out->mo_write(out, s, strlen(s));
}

int
monitor_exec(char *line, struct monitor_out *out)
{
	if (strcmp(line, "help") != 0) {
		print(out, "no such command: ");
		print(out, line);
		print(out, "\n");
	}
	print(out, "help  this list\n");
	return MONITOR_STAY;
}
