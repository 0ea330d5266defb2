/* SPDX-License-Identifier: BSD-2-Clause */
/* The log device: QEMU's debug console, one port. Writes go nowhere on a machine without it. */
#include <arch/arch_if.h>
#include <arch/insn.h>

#define DEBUGCON_PORT 0xe9

void
arch_log_putc(char c)
{
	outb(DEBUGCON_PORT, (uint8_t)c);
}
