/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM2, the gdb stub's port. Polled while the world is stopped; while it runs, input makes an interrupt of the boot
 * CPU. Whoever owns the stopped world, or holds its lock, uses it.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/cpu.h>
#include <kernel/types.h>

#include "uart.h"

#define COM2     0x2f8
#define PATIENCE 10000000u

int
arch_debug_open(void)
{
	if (!uart_init(COM2) ||
	    ioapic_route_isa(IRQ_SERIAL2, VEC_ISA + IRQ_SERIAL2, acpi_cpu_apicid(0)) != 0)
		return -ENODEV;
	outb(COM2 + REG_IER, IER_RX);
	return 0;
}

int
arch_debug_getc(void)
{
	(void)inb(COM2 + REG_IIR);
	return (inb(COM2 + REG_LSR) & LSR_DATA) != 0 ? inb(COM2 + REG_DATA) : -1;
}

void
arch_debug_putc(char c)
{
	for (unsigned n = 0; n < PATIENCE && (inb(COM2 + REG_LSR) & LSR_THR_EMPTY) == 0; n++)
		arch_cpu_relax();
	outb(COM2 + REG_DATA, (uint8_t)c);
}

void
arch_debug_self_ipi(void)
{
	lapic_send_ipi_nested(arch_curcpu()->ci_hwid, ICR_FIXED | ICR_ASSERT | VEC_DEBUG);
}
