/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: /dev/console and /dev/tty. Options:
 *
 *	console=cooked  a person's terminal: lines are edited and echoed, "\n" goes out as "\r\n"
 *	console=raw     bytes go out as they are (default)
 *	stdin=tty       input from the serial port (default if cooked)
 *	stdin=serial    the same as a stream of bytes: 0x04 ends it, 0x10 quotes the next byte
 *	stdin=none      end of file at once (default if raw)
 *
 * The fw_cfg item opt/threadbare/stdin, if it is there, is the input, and stdin= has no meaning.
 * layer: fs
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <kernel/types.h>

/* Chooses the source of input. => boot, once, options parsed, memory and interrupts up */
void console_init(void);
/* Is it a person's terminal, one for job control? */
bool console_is_tty(void);

#endif
