/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM1, a 16550: the console. Output is polled, a FIFO at a time; input comes by interrupt.
 *
 * Locking: serial_owner, a raw lock around each filling of the FIFO, so that two writers cannot overrun
 * it. Outside of the lock order, for the kernel log writes here from anywhere; who has interrupted the holder
 * on his own CPU, or finds it stopped during a panic or by a hard stop, goes on without it.
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
static uint32_t
    serial_wanted; /* (a) how often somebody wanted the FIFO drained since it was last empty */
static bool serial_break; /* under serial_owner: a break was seen, its byte not yet */

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
		if (seen == me || atomic_load_relaxed(&panicking) ||
		    atomic_load_relaxed(&cpu_stopped_hard))
			return false;
		seen = 0;
		arch_cpu_relax();
	}
	return true;
}

/*
 * A break comes as a byte 0 with a mark in the line status, which reading clears: whoever looks for room keeps
 * the mark for whoever reads the byte. => serial_lock() was called
 */
static uint8_t
line_status(void)
{
	uint8_t lsr = inb(COM1 + REG_LSR);

	if (lsr & LSR_BREAK)
		serial_break = true;
	return lsr;
}

static void
wait_for(uint8_t bit)
{
	for (unsigned n = 0; n < PATIENCE && (line_status() & bit) == 0; n++)
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
arch_console_flush(void)
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
	outb(COM1 + REG_IER, IER_RX | IER_LINE);
	/* What came before makes no edge any more. */
	bool on = arch_intr_disable();
	serial_intr();
	arch_intr_restore(on);
}

/* The next byte, or -1; *brk: it stands for a break. => interrupts off */
static int
take_byte(bool *brk)
{
	bool locked = serial_lock();
	int c = -1;

	if ((line_status() & LSR_DATA) != 0)
		c = inb(COM1 + REG_DATA);
	/* Without its byte, the break came when the FIFO was full. */
	*brk = serial_break && c <= 0;
	if (*brk)
		serial_break = false;
	if (locked)
		atomic_store_release(&serial_owner, 0);
	return c;
}

static void
drain(void)
{
	bool brk;
	int c;

	(void)inb(COM1 + REG_IIR);
	while (console_input_room() && ((c = take_byte(&brk)) >= 0 || brk)) {
		if (brk)
			console_break();
		else
			console_input((char)c);
	}
}

/*
 * Only one CPU drains, so that bytes keep their order; who comes meanwhile has it look once more. What the
 * console has no room for stays in the FIFO, the sender waits, and there is no further interrupt: the console
 * calls arch_console_resume() when there is room.
 * => interrupts off
 */
void
serial_intr(void)
{
	uint32_t seen = atomic_add(&serial_wanted, 1) + 1;

	if (seen != 1)
		return;
	for (;;) {
		uint32_t expected = seen;

		drain();
		if (atomic_cas(&serial_wanted, &expected, 0))
			return;
		seen = expected;
	}
}

void
arch_console_resume(void)
{
	bool on = arch_intr_disable();

	if (serial_present)
		serial_intr();
	arch_intr_restore(on);
}

/* For the monitor, to which a break is no news. => interrupts off, others stopped */
int
arch_console_getc(void)
{
	uint8_t c;

	while (serial_present && (line_status() & LSR_DATA) != 0)
		if ((c = inb(COM1 + REG_DATA)) != 0)
			return c;
	serial_break = false;
	return -1;
}
