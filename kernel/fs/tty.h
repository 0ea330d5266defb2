/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline, between the serial port's interrupt and readers of the console. Pure: its
 * user brings the lock, and sends what it echoes.
 * layer: fs
 */
#ifndef FS_TTY_H
#define FS_TTY_H

#include <abi/termios.h>
#include <kernel/types.h>

#define TTY_RING 4096u  /* a power of two */
#define TTY_EOF  0x100u /* in the ring: end of file */
#define TTY_ECHO 8      /* most bytes echoed for one character */

/*
 * struct tty, field locks: (u) its user's lock
 * Positions count up for ever: tail <= line <= head <= tail + TTY_RING. Readers get what lies
 * between tail and line; what lies behind is the unfinished line.
 */
struct tty {
	uint32_t t_tail, t_line, t_head; /* (u) */
	uint32_t t_gen;                  /* (u) how often it was flushed */
	bool t_stream;                   /* (u) stdin=serial */
	bool t_quoted;                   /* (u) stream: the next byte is a plain one */
	bool t_stopped;                  /* (u) stream: the sender was told to wait */
	struct abi_termios t_modes;      /* (u) */
	uint16_t t_ring[TTY_RING];       /* (u) */
};

/* A terminal for a person, or a stream. */
void tty_init(struct tty *, bool stream);
/* Is there room for one more of a stream? If not, tty_take() tells when there is. A person's typing is not stopped. */
bool tty_room(struct tty *);
/*
 * One character came. Returns how many bytes are to be echoed; *wake: readers have something new; *sig: the
 * signal that it stands for, or 0.
 */
unsigned tty_input(struct tty *, char c, char echo[TTY_ECHO], bool *wake, int *sig);
/*
 * Shows up to n bytes of what a read gets next, without taking them: at most one line. *take is how
 * many ring entries they are, which may be one more than the result: an end of file. 0 with *take
 * 0: nothing is there.
 */
uint32_t tty_peek(const struct tty *, char *dst, uint32_t n, uint32_t *take);
/*
 * Takes up to `take` entries that tty_peek() has shown when t_gen was `gen`. Its user may let go of
 * the lock between the two: after a flush there is nothing left to take. Returns true if the sender was told to
 * wait and may go on.
 * => nobody else has taken any meanwhile
 */
bool tty_take(struct tty *, uint32_t gen, uint32_t take);
uint32_t tty_available(const struct tty *);
/* Returns what tty_take() does. */
bool tty_set_modes(struct tty *, const struct abi_termios *, bool flush);

#endif
