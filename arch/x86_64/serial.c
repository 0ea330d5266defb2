/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM1, a 16550: the console. Output is polled, a FIFO at a time; input comes by interrupt.
 *
 * Locking: serial_owner, a raw lock around each filling of the FIFO, so that two writers cannot overrun
 * it. Outside of the lock order, for the kernel log writes here from anywhere; who has interrupted the holder
 * on his own CPU, or finds it stopped during a panic, goes on without it.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/panic.h>
#include <kernel/printf.h>

#include "uart.h"

#define COM1     0x3f8
#define PATIENCE 10000000u

static bool serial_present;   /* constant after serial_init() */
static uint32_t serial_owner; /* (a) holder's CPU index + 1, 0 = free */

bool
uart_init(uint16_t port)
{
	outb(port + REG_SCRATCH, 0x5a);
	if (inb(port + REG_SCRATCH) != 0x5a)
		return false;
	outb(port + REG_IER, 0);
	outb(port + REG_LCR, LCR_DLAB);
	outb(port + REG_DATA, UART_BAUD_DIVISOR & 0xff);
	outb(port + REG_IER, UART_BAUD_DIVISOR >> 8);
	outb(port + REG_LCR, LCR_8N1);
	outb(port + REG_FCR, FCR_ENABLE_CLEAR);
	outb(port + REG_MCR, MCR_DTR_RTS_OUT2);
	return true;
}

void
serial_init(void)
{
	serial_present = uart_init(COM1);
	if (!serial_present)
		kprintf("serial: no COM1, the console is lost\n");
}

/* Returns whether the lock was taken, and has to be released. => interrupts off */
static bool
serial_lock(void)
{
	uint32_t me = arch_curcpu()->ci_index + 1, seen = 0;

	while (!atomic_cas(&serial_owner, &seen, me)) {
		if (seen == me || atomic_load_relaxed(&panicking))
			return false;
		seen = 0;
		arch_cpu_relax();
	}
	return true;
}

static void
wait_for(uint8_t bit)
{
	for (unsigned n = 0; n < PATIENCE && (inb(COM1 + REG_LSR) & bit) == 0; n++)
		arch_cpu_relax();
}

/*
 * arch_console_write: send to COM1, waiting for room.
 * => any context; does not sleep; interrupts are off for a FIFO's worth at a time. Output of several
 * callers may mix.
 */
void
arch_console_write(const char *s, size_t n)
{
	while (serial_present && n > 0) {
		size_t chunk = min(n, (size_t)UART_FIFO_SIZE);
		bool on = arch_intr_disable();
		bool locked = serial_lock();

		wait_for(LSR_THR_EMPTY);
		for (size_t i = 0; i < chunk; i++)
			outb(COM1 + REG_DATA, (uint8_t)s[i]);
		if (locked)
			atomic_store_release(&serial_owner, 0);
		arch_intr_restore(on);
		s += chunk;
		n -= chunk;
	}
}

/* Waits until the last bit is on the wire. */
void
serial_flush(void)
{
	if (serial_present)
		wait_for(LSR_ALL_SENT);
}

void
arch_console_intr_enable(void)
{
	if (!serial_present)
		return;
	if (ioapic_route_isa(IRQ_SERIAL, VEC_ISA + IRQ_SERIAL, acpi_cpu_apicid(0)) != 0) {
		kprintf("serial: no way for its interrupt, no console input\n");
		return;
	}
	outb(COM1 + REG_IER, IER_RX);
	/* What came before makes no edge any more. */
	bool on = arch_intr_disable();
	serial_intr();
	arch_intr_restore(on);
}

/* => interrupts off */
void
serial_intr(void)
{
	(void)inb(COM1 + REG_IIR);
	while ((inb(COM1 + REG_LSR) & LSR_DATA) != 0)
		console_input((char)inb(COM1 + REG_DATA));
}
