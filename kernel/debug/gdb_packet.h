/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of gdb's remote serial protocol: framing, numbers, ids. Pure: no state but the caller's.
 * Everything that comes in is checked; everything that goes out is cut at the size of a packet.
 */
#ifndef DEBUG_GDB_PACKET_H
#define DEBUG_GDB_PACKET_H

#include <kernel/types.h>

#define GDB_PACKET_MAX 4096 /* bytes between '$' and '#' */
#define GDB_BREAK_CHAR 0x03

enum gdb_event {
	GDB_NOTHING,
	GDB_ACK,    /* '+' */
	GDB_NAK,    /* '-' */
	GDB_BREAK,  /* ^C outside of a packet */
	GDB_PACKET, /* a whole packet with the right checksum */
	GDB_BAD     /* a packet that is too long or has a wrong checksum */
};

struct gdb_rx {
	enum { RX_IDLE, RX_DATA, RX_SUM1, RX_SUM2 } rx_state;
	bool rx_long; /* it did not fit */
	uint8_t rx_sum, rx_want;
	size_t rx_len;
	char rx_data[GDB_PACKET_MAX + 1]; /* NUL-terminated when whole; may hold other NULs */
};

/* Takes one byte. After GDB_PACKET the packet stays until the next byte. */
enum gdb_event gdb_rx_byte(struct gdb_rx *, uint8_t);

struct gdb_tx {
	size_t tx_len;
	bool tx_cut; /* something did not fit */
	char tx_data[GDB_PACKET_MAX];
};

void gdb_tx_clear(struct gdb_tx *);
void gdb_put(struct gdb_tx *, const char *);
void gdb_put_char(struct gdb_tx *, char);
void gdb_put_number(struct gdb_tx *, uint64_t); /* hexadecimal, no leading zeros */
void gdb_put_hex(struct gdb_tx *, const void *, size_t);
/* Binary data with '#' '$' '}' '*' escaped; returns how many bytes went in, never half of one. */
size_t gdb_put_binary(struct gdb_tx *, const void *, size_t);
uint8_t gdb_checksum(const char *, size_t);

/* The parsers move *p behind what they took; on false it is unspecified. */
bool gdb_get_number(const char **p, uint64_t *);
bool gdb_get_char(const char **p, char);
/* `n` bytes as 2n digits. */
bool gdb_get_hex(const char **p, void *dst, size_t n);
/* Undoes the escapes of binary data in place; returns the new length. */
size_t gdb_unescape(char *, size_t);

#define GDB_ID_ALL (-1) /* every process or thread */
#define GDB_ID_ANY 0    /* any one; as a thread also: none was given */

struct gdb_id {
	int64_t id_pid, id_tid;
};
/* "pPID.TID", "pPID", or "TID" (then the process is GDB_ID_ANY); numbers hexadecimal or -1. */
bool gdb_get_id(const char **p, struct gdb_id *);

#endif
