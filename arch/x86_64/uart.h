/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers of a 16550, by offset from its first port. */
#ifndef X86_64_UART_H
#define X86_64_UART_H

#include <kernel/types.h>

#define UART_FIFO_SIZE    16
#define UART_BAUD_DIVISOR 1 /* 115200 */

enum {
	REG_DATA = 0,
	REG_IER = 1,
	REG_IIR = 2,
	REG_FCR = 2,
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_SCRATCH = 7
};
#define IER_RX           0x01
#define IER_LINE         0x04 /* line status: a break */
#define FCR_ENABLE_CLEAR 0x07
#define LCR_8N1          0x03
#define LCR_DLAB         0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_DATA         0x01
#define LSR_BREAK        0x10
#define LSR_THR_EMPTY    0x20
#define LSR_ALL_SENT     0x40

/* Sets the port up, no interrupts yet; false when there is none. serial.c */
bool uart_init(uint16_t port);

#endif
