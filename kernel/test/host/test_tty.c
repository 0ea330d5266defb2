/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline: lines and their editing, end of file, echo, streams, a full ring, a flush
 * while a reader is between look and take.
 *
 * sources: kernel/fs/tty.c
 * cflags: -D_POSIX_C_SOURCE=200809L -Ikernel/fs
 */
#include "hosttest.h"

#include <abi/signal.h>
#include <kernel/string.h>
#include "tty.h"

static struct tty t;
static char echoed[4 * TTY_RING];
static size_t nechoed;
static unsigned wakes, nsignals;
static int signals[8];

static void
start(bool stream)
{
	tty_init(&t, stream);
	nechoed = 0;
	wakes = nsignals = 0;
}

static void
type(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char echo[TTY_ECHO];
		bool wake;
		int sig;
		unsigned e = tty_input(&t, s[i], echo, &wake, &sig);

		QUIET_CHECK(e <= TTY_ECHO);
		memcpy(echoed + nechoed, echo, e);
		nechoed += e;
		wakes += wake;
		if (sig != 0)
			signals[nsignals++ % 8] = sig;
	}
}

/* One read of up to n bytes gives exactly `want`; -1 instead of a length: nothing is there. */
static bool
reads(uint32_t n, const char *want, int len)
{
	char got[512];
	uint32_t take, m = tty_peek(&t, got, n, &take);

	if (len < 0)
		return m == 0 && take == 0;
	if (m != (uint32_t)len || take == 0 || memcmp(got, want, m) != 0)
		return false;
	tty_take(&t, t.t_gen, take);
	return true;
}

static void
test_lines(void)
{
	start(false);
	type("ab", 2);
	CHECK(wakes == 0 && reads(100, "", -1) && tty_available(&t) == 0);
	type("c\rsecond\n", 9);
	CHECK(wakes == 2 && tty_available(&t) == 11);
	CHECK(reads(100, "abc\n", 4));
	CHECK(reads(3, "sec", 3) && reads(100, "ond\n", 4) && reads(100, "", -1));
	CHECK(nechoed == 13 && memcmp(echoed, "abc\r\nsecond\r\n", 13) == 0);
	start(false);
	type("x\177\177ab\001\177c\025de\n", 12);
	CHECK(reads(100, "de\n", 3));
	start(false);
	type("\177\001\177", 3);
	CHECK(nechoed == 8 && memcmp(echoed, "^A\b\b  \b\b", 8) == 0);
}

static void
test_eof(void)
{
	start(false);
	type("\004", 1);
	CHECK(wakes == 1 && reads(100, "", 0) && reads(100, "", -1));
	type("ab\004cd\n", 6);
	CHECK(reads(100, "ab", 2) && reads(100, "cd\n", 3) && reads(100, "", -1));
	type("\n\004", 2);
	CHECK(reads(100, "\n", 1) && reads(100, "", 0) && reads(100, "", -1));
}

static void
test_raw(void)
{
	struct abi_termios m;

	start(false);
	type("abc", 3);
	m = t.t_modes;
	m.c_lflag = 0;
	tty_set_modes(&t, &m, false);
	CHECK(reads(100, "abc", 3));
	nechoed = 0;
	type("x\004\177\n", 4);
	CHECK(wakes == 4 && nechoed == 0 && reads(100, "x\004\177\n", 4));
	type("abc", 3);
	tty_set_modes(&t, &m, true);
	CHECK(reads(100, "", -1));
}

static void
test_signals(void)
{
	struct abi_termios m;

	start(false);
	type("abc\003de\n", 7);
	CHECK(nsignals == 1 && signals[0] == SIGINT && reads(100, "de\n", 3));
	CHECK(nechoed == 9 && memcmp(echoed, "abc^Cde\r\n", 9) == 0);
	type("x\n\034\032", 4);
	CHECK(nsignals == 3 && signals[1] == SIGQUIT && signals[2] == SIGTSTP);
	CHECK(reads(100, "", -1)); /* dropped with it */
	m = t.t_modes;
	m.c_lflag = ISIG | NOFLSH;
	m.c_cc[VINTR] = 'i';
	m.c_cc[VQUIT] = 0;
	tty_set_modes(&t, &m, false);
	type("ai\003\034\0b", 6);
	CHECK(nsignals == 4 && signals[3] == SIGINT && reads(100, "a\003\034\0b", 5));
	m.c_lflag = ICANON;
	tty_set_modes(&t, &m, false);
	type("i\032\n", 3);
	CHECK(nsignals == 4 && reads(100, "i\032\n", 3));
	start(true);
	type("\003", 1);
	CHECK(nsignals == 0 && reads(100, "\003", 1));
}

static void
test_stream(void)
{
	start(true);
	type("a\nb\020\004\020\020\r\004", 9);
	CHECK(nechoed == 0 && reads(2, "a\n", 2) && reads(100, "b\004\020\r", 4));
	CHECK(reads(100, "", 0) && reads(100, "", 0));
}

static void
test_full(void)
{
	static char line[2 * TTY_RING], got[2 * TTY_RING];
	uint32_t take;

	start(false);
	memset(line, 'x', sizeof(line));
	type(line, sizeof(line));
	CHECK(tty_available(&t) == 0 && t.t_head - t.t_tail == TTY_RING - 1);
	type("\n", 1);
	CHECK(tty_peek(&t, got, sizeof(got), &take) == TTY_RING && got[TTY_RING - 1] == '\n');
	tty_take(&t, t.t_gen, take);
	type("more\n", 5);
	CHECK(reads(100, "more\n", 5));
	/* Positions wrap. */
	t.t_tail = t.t_line = t.t_head = 0xfffffffe;
	type("over the edge\n", 14);
	CHECK(reads(100, "over the edge\n", 14));
}

static void
test_flush(void)
{
	struct abi_termios m;
	char got[16];
	uint32_t take, gen;

	start(false);
	m = t.t_modes;
	m.c_lflag = 0;
	tty_set_modes(&t, &m, false);
	type("abc", 3);
	gen = t.t_gen;
	CHECK(tty_peek(&t, got, sizeof(got), &take) == 3 && take == 3);
	tty_set_modes(&t, &m, true);
	tty_take(&t, gen, take);
	CHECK(tty_available(&t) == 0 && reads(100, "", -1));
	/* What came after the flush is not taken for what was shown before it. */
	type("abc", 3);
	gen = t.t_gen;
	CHECK(tty_peek(&t, got, sizeof(got), &take) == 3 && take == 3);
	tty_set_modes(&t, &m, true);
	type("defg", 4);
	tty_take(&t, gen, take);
	CHECK(tty_available(&t) == 4 && reads(100, "defg", 4));
	/* Without a flush, more that came meanwhile stays. */
	type("abc", 3);
	gen = t.t_gen;
	CHECK(tty_peek(&t, got, sizeof(got), &take) == 3);
	type("de", 2);
	tty_set_modes(&t, &m, false);
	tty_take(&t, gen, take);
	CHECK(tty_available(&t) == 2 && reads(100, "de", 2));
}

/* A stream's sender is told to wait before anything is lost, and to go on when half has been read. */
static void
test_stop(void)
{
	uint32_t sent = 0, got = 0, take, n;
	char buf[100];

	start(true);
	while (got < 3 * TTY_RING) {
		while (tty_room(&t)) {
			char c = (char)('a' + sent++ % 26);

			type(&c, 1);
		}
		CHECK(tty_available(&t) == TTY_RING);
		do {
			n = tty_peek(&t, buf, sizeof(buf), &take);
			for (uint32_t i = 0; i < n; i++)
				CHECK(buf[i] == (char)('a' + (got + i) % 26));
			got += n;
		} while (!tty_take(&t, t.t_gen, take));
		CHECK(tty_available(&t) <= TTY_RING / 2 && tty_room(&t));
	}
	start(false); /* a person's typing beyond the room is dropped, and nobody waits */
	for (n = 0; n < 2 * TTY_RING; n++) {
		CHECK(tty_room(&t));
		type("x", 1);
	}
}

int
main(void)
{
	test_stop();
	test_lines();
	test_eof();
	test_raw();
	test_signals();
	test_stream();
	test_full();
	test_flush();
	return host_done();
}
