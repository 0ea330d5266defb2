/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes.
 * layer: fs
 */
#ifndef KERNEL_PIPE_H
#define KERNEL_PIPE_H

#include <kernel/types.h>

struct file;

#define PIPE_PAGES 16
#define PIPE_SIZE  ((uint32_t)PIPE_PAGES * PAGE_SIZE)

void pipe_init(void);
/* `flags`: O_NONBLOCK. -ENOMEM */
int pipe_create(uint32_t flags, struct file **reader, struct file **writer);
/* The capacity, or -EBADF when f is no pipe. */
int64_t pipe_capacity(const struct file *);

#endif
