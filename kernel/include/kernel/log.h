/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel log: a ring of the newest messages. kprintf() of <kernel/printf.h> writes it.
 * layer: lib
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <kernel/types.h>

#define LOG_SIZE ((size_t)128 << 10)

/*
 * log_read: copy what was logged from position *pos on (0 = the oldest kept) and move *pos behind it;
 * returns the number of bytes, 0 at the end.
 * => any context; a reader that the ring overtook continues at the oldest byte kept.
 */
size_t log_read(uint64_t *pos, char *buf, size_t size);
/* Appends text as it stands. => as kprintf() */
void log_write(const char *, size_t);
/* Whether the log goes to the console too; returns what was. */
bool log_set_console(bool);

#endif
