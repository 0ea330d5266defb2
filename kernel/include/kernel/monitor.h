/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor: commands that show the stopped kernel.
 * layer: debug
 */
#ifndef KERNEL_MONITOR_H
#define KERNEL_MONITOR_H

#include <kernel/types.h>

struct monitor_out {
	void (*mo_write)(struct monitor_out *, const char *, size_t);
};

enum { MONITOR_STAY, MONITOR_CONTINUE, MONITOR_REBOOT };

/* Runs one command; the line is changed. => all other CPUs stopped */
int monitor_exec(char *line, struct monitor_out *);

#endif
