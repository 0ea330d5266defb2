/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of gdb's remote serial protocol; see gdb_packet.h. */
#include "gdb_packet.h"

static const char digits[] = "0123456789abcdef";

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* ---- in ---- */

static void
rx_begin(struct gdb_rx *rx)
{
	rx->rx_state = RX_DATA;
	rx->rx_long = false;
	rx->rx_sum = 0;
	rx->rx_len = 0;
}

static enum gdb_event
rx_outside(struct gdb_rx *rx, uint8_t c)
{
	switch (c) {
	case '$':
		rx_begin(rx);
		return GDB_NOTHING;
	case '+':
		return GDB_ACK;
	case '-':
		return GDB_NAK;
	case GDB_BREAK_CHAR:
		return GDB_BREAK;
	default:
		return GDB_NOTHING;
	}
}

enum gdb_event
gdb_rx_byte(struct gdb_rx *rx, uint8_t c)
{
	int d;

	switch (rx->rx_state) {
	case RX_DATA:
		if (c == '$') { /* never inside a packet: the last one was broken off */
			rx_begin(rx);
			return GDB_NOTHING;
		}
		if (c == '#') {
			rx->rx_data[rx->rx_len] = '\0';
			rx->rx_state = RX_SUM1;
			return GDB_NOTHING;
		}
		rx->rx_sum = (uint8_t)(rx->rx_sum + c);
		if (rx->rx_len < GDB_PACKET_MAX)
			rx->rx_data[rx->rx_len++] = (char)c;
		else
			rx->rx_long = true;
		return GDB_NOTHING;
	case RX_SUM1:
	case RX_SUM2:
		d = digit((char)c);
		if (d < 0) {
			rx->rx_state = RX_IDLE;
			if (c == '$')
				rx_begin(rx);
			return GDB_BAD;
		}
		if (rx->rx_state == RX_SUM1) {
			rx->rx_want = (uint8_t)(d << 4);
			rx->rx_state = RX_SUM2;
			return GDB_NOTHING;
		}
		rx->rx_state = RX_IDLE;
		return (rx->rx_want | d) == rx->rx_sum && !rx->rx_long ? GDB_PACKET : GDB_BAD;
	case RX_IDLE:
		break;
	}
	return rx_outside(rx, c);
}

bool
gdb_get_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

bool
gdb_get_number(const char **p, uint64_t *v)
{
	unsigned n = 0;

	*v = 0;
	for (int d; (d = digit(**p)) >= 0; (*p)++) {
		if (*v >> 60 != 0)
			return false;
		*v = *v << 4 | (uint64_t)d;
		n++;
	}
	return n != 0;
}

bool
gdb_get_hex(const char **p, void *dst, size_t n)
{
	uint8_t *to = dst;

	for (; n > 0; n--, *p += 2) {
		int hi = digit((*p)[0]), lo = hi < 0 ? -1 : digit((*p)[1]);

		if (lo < 0)
			return false;
		*to++ = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

size_t
gdb_unescape(char *s, size_t n)
{
	size_t to = 0;

	for (size_t from = 0; from < n; from++) {
		char c = s[from];

		if (c == '}' && from + 1 < n)
			c = (char)(s[++from] ^ 0x20);
		s[to++] = c;
	}
	return to;
}

static bool
get_signed(const char **p, int64_t *v)
{
	uint64_t n;

	if (**p == '-') {
		(*p)++;
		if (!gdb_get_char(p, '1'))
			return false;
		*v = GDB_ID_ALL;
		return true;
	}
	if (!gdb_get_number(p, &n) || n > INT32_MAX)
		return false;
	*v = (int64_t)n;
	return true;
}

bool
gdb_get_id(const char **p, struct gdb_id *id)
{
	id->id_pid = id->id_tid = GDB_ID_ANY;
	if (!gdb_get_char(p, 'p'))
		return get_signed(p, &id->id_tid);
	if (!get_signed(p, &id->id_pid))
		return false;
	if (!gdb_get_char(p, '.')) {
		id->id_tid = GDB_ID_ALL;
		return true;
	}
	return get_signed(p, &id->id_tid);
}

/* ---- out ---- */

void
gdb_tx_clear(struct gdb_tx *tx)
{
	tx->tx_len = 0;
	tx->tx_cut = false;
}

void
gdb_put_char(struct gdb_tx *tx, char c)
{
	if (tx->tx_len < sizeof(tx->tx_data))
		tx->tx_data[tx->tx_len++] = c;
	else
		tx->tx_cut = true;
}

void
gdb_put(struct gdb_tx *tx, const char *s)
{
	while (*s != '\0')
		gdb_put_char(tx, *s++);
}

void
gdb_put_number(struct gdb_tx *tx, uint64_t v)
{
	int shift = 60;

	while (shift > 0 && (v >> shift) == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		gdb_put_char(tx, digits[v >> shift & 15]);
}

void
gdb_put_hex(struct gdb_tx *tx, const void *data, size_t n)
{
	const uint8_t *from = data;

	for (; n > 0; n--, from++) {
		gdb_put_char(tx, digits[*from >> 4]);
		gdb_put_char(tx, digits[*from & 15]);
	}
}

size_t
gdb_put_binary(struct gdb_tx *tx, const void *data, size_t n)
{
	const char *from = data;
	size_t i;

	for (i = 0; i < n; i++) {
		char c = from[i];
		bool escape = c == '#' || c == '$' || c == '}' || c == '*';

		if (tx->tx_len + 1 + escape > sizeof(tx->tx_data))
			break;
		if (escape) {
			gdb_put_char(tx, '}');
			c ^= 0x20;
		}
		gdb_put_char(tx, c);
	}
	return i;
}

uint8_t
gdb_checksum(const char *s, size_t n)
{
	uint8_t sum = 0;

	while (n-- > 0)
		sum = (uint8_t)(sum + (uint8_t)*s++);
	return sum;
}
