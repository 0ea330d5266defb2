/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline. In canonical mode a line can be edited until its end is typed: erase (DEL),
 * kill (^U); ^D ends it without a newline, and at the start of a line it is the end of file. A
 * character for which there is no room is dropped; an unfinished line leaves room for its end.
 * In both modes ^C, ^\ and ^Z (c_cc) are signals if ISIG is set, and drop what was typed before.
 */
#include "tty.h"

#include <abi/signal.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#define CTRL(c)    ((c)&0x1f)
#define STREAM_EOF CTRL('D')
#define STREAM_DLE CTRL('P')
#define MASK       (TTY_RING - 1)

void
tty_init(struct tty *t, bool stream)
{
	memset(t, 0, sizeof(*t));
	t->t_stream = stream;
	t->t_modes.c_iflag = ICRNL;
	t->t_modes.c_oflag = OPOST | ONLCR;
	t->t_modes.c_cflag = B38400 | CS8 | CREAD;
	t->t_modes.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK;
	t->t_modes.c_cc[VINTR] = CTRL('C');
	t->t_modes.c_cc[VQUIT] = CTRL('\\');
	t->t_modes.c_cc[VERASE] = 0x7f;
	t->t_modes.c_cc[VKILL] = CTRL('U');
	t->t_modes.c_cc[VEOF] = CTRL('D');
	t->t_modes.c_cc[VSUSP] = CTRL('Z');
	t->t_modes.c_cc[VMIN] = 1;
}

static void
check_order(const struct tty *t)
{
	KASSERTMSG(t->t_line - t->t_tail <= TTY_RING && t->t_head - t->t_tail <= TTY_RING &&
		t->t_line - t->t_tail <= t->t_head - t->t_tail,
	    "tty: tail %u, line %u, head %u", t->t_tail, t->t_line, t->t_head);
}

static bool
put(struct tty *t, uint16_t entry, uint32_t reserve)
{
	if (t->t_head - t->t_tail >= TTY_RING - reserve)
		return false;
	t->t_ring[t->t_head++ & MASK] = entry;
	return true;
}

bool
tty_room(struct tty *t)
{
	if (t->t_stream && t->t_head - t->t_tail == TTY_RING)
		t->t_stopped = true;
	return !t->t_stopped;
}

/* The ring was read: may the sender go on? Not for a byte or two. */
static bool
restart(struct tty *t)
{
	if (!t->t_stopped || t->t_head - t->t_tail > TTY_RING / 2)
		return false;
	t->t_stopped = false;
	return true;
}

/* Makes everything typed readable. */
static bool
commit(struct tty *t)
{
	t->t_line = t->t_head;
	return true;
}

static bool
input_stream(struct tty *t, uint8_t c)
{
	if (!t->t_quoted && c == STREAM_DLE) {
		t->t_quoted = true;
		return false;
	}
	put(t, !t->t_quoted && c == STREAM_EOF ? TTY_EOF : c, 0);
	t->t_quoted = false;
	return commit(t);
}

static unsigned
echo_text(char *echo, const char *text)
{
	size_t n = strlen(text);

	memcpy(echo, text, n);
	return (unsigned)n;
}

static unsigned
echo_char(const struct tty *t, uint8_t c, char *echo)
{
	if (c == '\n')
		return echo_text(echo, (t->t_modes.c_oflag & ONLCR) != 0 ? "\r\n" : "\n");
	if (c < 0x20 && c != '\t') {
		echo[0] = '^';
		echo[1] = (char)(c + 0x40);
		return 2;
	}
	echo[0] = (char)c;
	return 1;
}

/* Was it echoed as two characters? */
static bool
is_wide(uint16_t entry)
{
	return entry < 0x20 && entry != '\t';
}

/* => canonical mode. Returns how many bytes are to be echoed. */
static unsigned
input_line(struct tty *t, uint8_t c, char *echo, bool *wake)
{
	const uint8_t *cc = t->t_modes.c_cc;

	if (c == cc[VERASE] || c == '\b') {
		if (t->t_head == t->t_line)
			return 0;
		t->t_head--;
		return echo_text(
		    echo, is_wide(t->t_ring[t->t_head & MASK]) ? "\b\b  \b\b" : "\b \b");
	}
	if (c == cc[VKILL]) {
		t->t_head = t->t_line;
		return echo_text(echo, "^U\r\n");
	}
	if (c == cc[VEOF]) {
		*wake = put(t, TTY_EOF, 0) && commit(t);
		return 0;
	}
	if (!put(t, c, c == '\n' ? 0 : 1))
		return 0;
	if (c == '\n')
		*wake = commit(t);
	return echo_char(t, c, echo);
}

static void
flush(struct tty *t)
{
	t->t_tail = t->t_line = t->t_head;
	t->t_gen++;
}

static int
signal_of(const struct tty *t, uint8_t c)
{
	const uint8_t *cc = t->t_modes.c_cc;

	if ((t->t_modes.c_lflag & ISIG) == 0 || c == 0) /* 0: there is none */
		return 0;
	return c == cc[VINTR] ? SIGINT : c == cc[VQUIT] ? SIGQUIT : c == cc[VSUSP] ? SIGTSTP : 0;
}

unsigned
tty_input(struct tty *t, char ch, char echo[TTY_ECHO], bool *wake, int *sig)
{
	uint8_t c = (uint8_t)ch;
	unsigned n;

	*wake = false;
	*sig = 0;
	if (t->t_stream) {
		*wake = input_stream(t, c);
		return 0;
	}
	if (c == '\r' && (t->t_modes.c_iflag & ICRNL) != 0)
		c = '\n';
	if ((*sig = signal_of(t, c)) != 0) {
		if ((t->t_modes.c_lflag & NOFLSH) == 0)
			flush(t);
		n = echo_char(t, c, echo);
	} else if ((t->t_modes.c_lflag & ICANON) != 0)
		n = input_line(t, c, echo, wake);
	else {
		*wake = put(t, c, 0) && commit(t);
		n = *wake ? echo_char(t, c, echo) : 0;
	}
	return (t->t_modes.c_lflag & ECHO) != 0 ? n : 0;
}

uint32_t
tty_peek(const struct tty *t, char *dst, uint32_t n, uint32_t *take)
{
	bool lines = !t->t_stream && (t->t_modes.c_lflag & ICANON) != 0;
	uint32_t pos = t->t_tail, got = 0;

	while (pos != t->t_line && got < n) {
		uint16_t entry = t->t_ring[pos & MASK];

		if (entry == TTY_EOF) {
			/*
			 * A stream's end stays for every later read; behind data it waits for the
			 * next.
			 */
			if (!t->t_stream)
				pos++;
			else if (got == 0)
				pos = t->t_tail + 1;
			break;
		}
		dst[got++] = (char)entry;
		pos++;
		if (lines && entry == '\n')
			break;
	}
	*take = pos - t->t_tail;
	return got;
}

bool
tty_take(struct tty *t, uint32_t gen, uint32_t take)
{
	check_order(t);
	if (gen != t->t_gen)
		return false;
	KASSERTMSG(take <= t->t_line - t->t_tail, "tty: %u of %u entries taken", take,
	    t->t_line - t->t_tail);
	if (t->t_stream && take == 1 && t->t_ring[t->t_tail & MASK] == TTY_EOF)
		return false;
	t->t_tail += take;
	return restart(t);
}

/* Bytes that the next reads get, up to an end of file. */
uint32_t
tty_available(const struct tty *t)
{
	uint32_t pos = t->t_tail;

	check_order(t);
	while (pos != t->t_line && t->t_ring[pos & MASK] != TTY_EOF)
		pos++;
	return pos - t->t_tail;
}

bool
tty_set_modes(struct tty *t, const struct abi_termios *modes, bool drop)
{
	t->t_modes = *modes;
	if (drop)
		flush(t);
	if ((modes->c_lflag & ICANON) == 0)
		commit(t);
	return restart(t);
}
