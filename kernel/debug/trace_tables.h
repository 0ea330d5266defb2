/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words for the values in events, for the kernel's own print and for tools/trace.
 * layer: debug
 */
#ifndef DEBUG_TRACE_TABLES_H
#define DEBUG_TRACE_TABLES_H

#include <kernel/trace.h>

extern const struct trace_table trace_tables[];
extern const uint32_t trace_ntables;
extern const char *const trace_event_name[TR_COUNT];
extern const char *const trace_exit_name[TRX_COUNT];
extern const char *const trace_lock_name[], *const trace_ipi_name[];
const char *trace_syscall_name(uint32_t nr); /* or "?" */

#endif
