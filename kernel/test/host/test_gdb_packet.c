/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of gdb's protocol.
 * sources: kernel/debug/gdb_packet.c kernel/lib/string.c
 * cflags: -Ikernel/debug -fno-builtin
 */
#include <gdb_packet.h>
#include <hosttest.h>
#include <kernel/string.h>

static struct gdb_rx rx;
static struct gdb_tx tx;

static enum gdb_event
feed(const char *s, size_t n)
{
	enum gdb_event last = GDB_NOTHING;

	while (n-- > 0)
		last = gdb_rx_byte(&rx, (uint8_t)*s++);
	return last;
}

#define FEED(s) feed(s, sizeof(s) - 1)

static void
test_frames(void)
{
	static char big[GDB_PACKET_MAX + 8];
	char tail[4] = "#00";

	CHECK(FEED("+") == GDB_ACK && FEED("-") == GDB_NAK && FEED("\003") == GDB_BREAK);
	CHECK(FEED("noise") == GDB_NOTHING);
	CHECK(FEED("$g#67") == GDB_PACKET && strcmp(rx.rx_data, "g") == 0 && rx.rx_len == 1);
	CHECK(FEED("$#00") == GDB_PACKET && rx.rx_len == 0);
	CHECK(FEED("$g#68") == GDB_BAD);
	CHECK(FEED("$g#6x") == GDB_BAD && FEED("$g#x") == GDB_BAD);
	CHECK(FEED("$m12$g#67") == GDB_PACKET && strcmp(rx.rx_data, "g") == 0);
	CHECK(FEED("$g#$g#67") == GDB_PACKET);
	CHECK(FEED("$X\003\000#5b") == GDB_PACKET && rx.rx_len == 3);
	/* The longest packet, and one byte more. */
	CHECK(FEED("$") == GDB_NOTHING);
	memset(big, 'a', sizeof(big));
	CHECK(feed(big, GDB_PACKET_MAX) == GDB_NOTHING);
	tail[1] = "0123456789abcdef"[gdb_checksum(big, GDB_PACKET_MAX) >> 4];
	tail[2] = "0123456789abcdef"[gdb_checksum(big, GDB_PACKET_MAX) & 15];
	CHECK(feed(tail, 3) == GDB_PACKET && rx.rx_len == GDB_PACKET_MAX);
	(void)FEED("$");
	(void)feed(big, GDB_PACKET_MAX + 1);
	tail[1] = "0123456789abcdef"[gdb_checksum(big, GDB_PACKET_MAX + 1) >> 4];
	tail[2] = "0123456789abcdef"[gdb_checksum(big, GDB_PACKET_MAX + 1) & 15];
	CHECK(feed(tail, 3) == GDB_BAD);
	CHECK(FEED("$g#67") == GDB_PACKET);
}

static bool
number(const char *s, uint64_t want, const char *rest)
{
	uint64_t v;

	return gdb_get_number(&s, &v) && v == want && strcmp(s, rest) == 0;
}

static bool
no_number(const char *s)
{
	uint64_t v;

	return !gdb_get_number(&s, &v);
}

static bool
id(const char *s, int64_t pid, int64_t tid)
{
	struct gdb_id i;

	return gdb_get_id(&s, &i) && *s == '\0' && i.id_pid == pid && i.id_tid == tid;
}

static bool
no_id(const char *s)
{
	struct gdb_id i;

	return !gdb_get_id(&s, &i) || *s != '\0';
}

static void
test_parsers(void)
{
	char bytes[8], escaped[] = "a}\003}]b";
	const char *p;

	CHECK(number("0", 0, "") && number("1f,2", 0x1f, ",2") && number("ABCd", 0xabcd, ""));
	CHECK(number("ffffffffffffffff", UINT64_MAX, ""));
	CHECK(no_number("") && no_number(",") && no_number("10000000000000000"));
	CHECK(id("p1.2", 1, 2) && id("pa.-1", 10, GDB_ID_ALL) &&
	    id("p-1.-1", GDB_ID_ALL, GDB_ID_ALL));
	CHECK(
	    id("p5", 5, GDB_ID_ALL) && id("7", GDB_ID_ANY, 7) && id("-1", GDB_ID_ANY, GDB_ID_ALL));
	CHECK(id("p0.0", GDB_ID_ANY, GDB_ID_ANY));
	CHECK(no_id("") && no_id("p") && no_id("p.1") && no_id("p1.") && no_id("-2") &&
	    no_id("p1.2x") && no_id("80000000") && no_id("p1.-"));
	p = "00ff7Fzz";
	CHECK(gdb_get_hex(&p, bytes, 3) && memcmp(bytes, "\000\377\177", 3) == 0 &&
	    strcmp(p, "zz") == 0);
	p = "00f";
	CHECK(!gdb_get_hex(&p, bytes, 2));
	CHECK(gdb_unescape(escaped, 6) == 4 && memcmp(escaped, "a#}b", 4) == 0);
	CHECK(gdb_unescape(escaped, 0) == 0);
	memcpy(escaped, "}", 2);
	CHECK(gdb_unescape(escaped, 1) == 1);
}

static void
test_output(void)
{
	static char big[GDB_PACKET_MAX];

	gdb_tx_clear(&tx);
	gdb_put(&tx, "T05");
	gdb_put_number(&tx, 0);
	gdb_put_char(&tx, ',');
	gdb_put_number(&tx, 0xdeadbeef12345678);
	gdb_put_hex(&tx, "\001\377", 2);
	CHECK(tx.tx_len == 25 && memcmp(tx.tx_data, "T050,deadbeef1234567801ff", 25) == 0);
	gdb_tx_clear(&tx);
	CHECK(gdb_put_binary(&tx, "a#$}*b", 6) == 6);
	CHECK(tx.tx_len == 10 && memcmp(tx.tx_data, "a}\003}\004}]}\nb", 10) == 0);
	/* Never half of an escape, never more than fits. */
	gdb_tx_clear(&tx);
	memset(big, '#', sizeof(big));
	CHECK(gdb_put_binary(&tx, big, sizeof(big)) == GDB_PACKET_MAX / 2 && !tx.tx_cut);
	gdb_tx_clear(&tx);
	gdb_put_char(&tx, 'm');
	CHECK(gdb_put_binary(&tx, big, sizeof(big)) == (GDB_PACKET_MAX - 1) / 2 && !tx.tx_cut);
	gdb_put(&tx, "xyz");
	CHECK(tx.tx_len == GDB_PACKET_MAX && tx.tx_cut);
	gdb_put_hex(&tx, big, 3);
	CHECK(tx.tx_len == GDB_PACKET_MAX);
}

int
main(void)
{
	test_frames();
	test_parsers();
	test_output();
	return host_done();
}
