/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System-call handlers. Each takes its arguments, a[0] to a[5], from the saved user registers and
 * returns the result or -errno. One that was interrupted and shall be restarted returns -ERESTART
 * (unless a handler without SA_RESTART runs), -ERESTARTNOHAND (unless any handler runs) or
 * -ERESTARTNOINTR (always).
 * Declares handlers of several layers, and needs none.
 * layer: core
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include <abi/syscalls.h>
#include <kernel/types.h>

#define X(nr, name) int64_t sys_##name(const uint64_t *a);
SYSCALLS(X)
#undef X

#endif
