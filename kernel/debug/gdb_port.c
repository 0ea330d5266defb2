/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets over the debugger's serial port, polled.
 *
 * In ack mode each side confirms a packet with '+' or asks for it again with '-'. A packet that comes in place
 * of an ack counts as one: gdb has been started anew, and no longer wants what is left of the old answer.
 */
#include "gdb_impl.h"

#include <arch/arch_if.h>
#include <kernel/string.h>

#define REST          ((nsec_t)20000)
#define LAST_PATIENCE ((nsec_t)1000000000)

struct gdb_rx gdb_rx;
struct gdb_tx gdb_tx;
bool gdb_noack;
static bool have_packet; /* it came while we waited for an ack */

static void
ack(char c)
{
	if (!gdb_noack)
		arch_debug_putc(c);
}

/* A new gdb begins with this packet, in ack mode. */
static bool
opens_session(void)
{
	return strncmp(gdb_rx.rx_data, "qSupported", 10) == 0;
}

/*
 * An emulator has one lock for its devices and its main loop, and PAUSE takes it as an access to a port does: who
 * polled without a rest would keep that loop from delivering what is waited for. To read the clock takes no lock.
 */
void
gdb_port_rest(void)
{
	nsec_t end = arch_time_ns() + REST;

	while (arch_time_ns() < end)
		compiler_barrier();
}

enum gdb_event
gdb_poll(void)
{
	int c;

	while ((c = arch_debug_getc()) >= 0) {
		enum gdb_event event = gdb_rx_byte(&gdb_rx, (uint8_t)c);

		switch (event) {
		case GDB_PACKET:
			if (opens_session())
				gdb_noack = false;
			ack('+');
			have_packet = true;
			return event;
		case GDB_BAD:
			ack('-');
			break;
		case GDB_BREAK:
			return event;
		case GDB_ACK:
		case GDB_NAK:
		case GDB_NOTHING:
			break;
		}
	}
	return GDB_NOTHING;
}

bool
gdb_have_packet(void)
{
	return have_packet;
}

/* A break has no meaning here: the world is stopped. */
void
gdb_receive(void)
{
	while (!have_packet)
		if (gdb_poll() == GDB_NOTHING)
			gdb_port_rest();
	have_packet = false;
}

static void
send_once(void)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum = gdb_checksum(gdb_tx.tx_data, gdb_tx.tx_len);

	arch_debug_putc('$');
	for (size_t i = 0; i < gdb_tx.tx_len; i++)
		arch_debug_putc(gdb_tx.tx_data[i]);
	arch_debug_putc('#');
	arch_debug_putc(digits[sum >> 4]);
	arch_debug_putc(digits[sum & 15]);
}

static void
send_acked(bool last)
{
	nsec_t end = arch_time_ns() + LAST_PATIENCE;

	if (have_packet)
		return; /* nobody would acknowledge it */
	send_once();
	while (!gdb_noack) {
		int c = arch_debug_getc();
		enum gdb_event event;

		if (c < 0) {
			if (last && arch_time_ns() >= end)
				return;
			gdb_port_rest();
			continue;
		}
		event = gdb_rx_byte(&gdb_rx, (uint8_t)c);
		if (event == GDB_ACK)
			return;
		if (event == GDB_NAK)
			send_once();
		if (event == GDB_BAD)
			ack('-');
		if (event == GDB_PACKET) {
			ack('+');
			have_packet = true;
			return;
		}
	}
}

void
gdb_send(void)
{
	send_acked(false);
}

void
gdb_send_last(void)
{
	send_acked(true);
}

void
gdb_console(const char *s, size_t n)
{
	while (n > 0) {
		size_t part = min(n, (size_t)512);

		gdb_tx_clear(&gdb_tx);
		gdb_put_char(&gdb_tx, 'O');
		gdb_put_hex(&gdb_tx, s, part);
		gdb_send();
		s += part;
		n -= part;
	}
}
