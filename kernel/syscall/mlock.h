/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the system calls on the address space share with each other only.
 * layer: syscall
 */
#ifndef SYSCALL_MLOCK_H
#define SYSCALL_MLOCK_H

#include <kernel/vm.h>

/* Touches the pages, and lets others run meanwhile. As vm_populate(). => no lock held */
int mlock_range(struct vmspace *, vaddr_t, size_t);

#endif
