/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminal modes: Linux's values and layouts.
 * layer: lib
 */
#ifndef ABI_TERMIOS_H
#define ABI_TERMIOS_H

#include <kernel/types.h>

/* c_iflag, c_oflag, c_cflag, c_lflag */
#define ICRNL  0000400
#define OPOST  0000001
#define ONLCR  0000004
#define B38400 0000017
#define CS8    0000060
#define CREAD  0000200
#define ISIG   0000001
#define ICANON 0000002
#define ECHO   0000010
#define ECHOE  0000020
#define ECHOK  0000040
#define NOFLSH 0000200
#define TOSTOP 0000400

#define VINTR  0
#define VQUIT  1
#define VERASE 2
#define VKILL  3
#define VEOF   4
#define VTIME  5
#define VMIN   6
#define VSUSP  10
#define NCCS   19

struct abi_termios {
	uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line;
	uint8_t c_cc[NCCS];
};
_Static_assert(sizeof(struct abi_termios) == 36, "struct termios");

struct abi_winsize {
	uint16_t ws_row, ws_col, ws_xpixel, ws_ypixel;
};

#endif
