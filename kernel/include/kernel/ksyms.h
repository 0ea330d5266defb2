/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own symbol table, made by tools/mksyms at the link.
 * layer: lib
 */
#ifndef KERNEL_KSYMS_H
#define KERNEL_KSYMS_H

#include <kernel/types.h>

/* The function that holds `pc` and the distance from its start, or NULL. => any context */
const char *ksym_lookup(uintptr_t pc, uintptr_t *offset);

#endif
