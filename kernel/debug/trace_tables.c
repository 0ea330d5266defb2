/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for the values in events. Each table is made from the list that its enum is made from. */
#include "trace_tables.h"

#include <kernel/pmem.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

const char *const trace_event_name[TR_COUNT] = {
#define X(id, class, name) name,
	TRACE_EVENTS(X)
#undef X
};

static const char *const class_name[TRC_COUNT] = {
#define X(id, name) name,
	TRACE_CLASSES(X)
#undef X
};

const char *const trace_exit_name[TRX_COUNT] = {
#define X(id, name) name,
	TRACE_EXIT_STEPS(X)
#undef X
};

const char *const trace_lock_name[] = {
#define X(id, name) name,
	TRACE_LOCK_KINDS(X)
#undef X
};

const char *const trace_ipi_name[] = {
#define X(id, name) name,
	TRACE_IPI_KINDS(X)
#undef X
};

static const char *const syscall_name[SYSCALL_MAX + 1] = {
#define X(nr, name) [nr] = #name,
	SYSCALLS(X)
#undef X
};

const struct trace_table trace_tables[] = {
	{ "event", trace_event_name, TR_COUNT },
	{ "class", class_name, TRC_COUNT },
	{ "state", lwp_state_name, LS_COUNT },
	{ "exit", trace_exit_name, TRX_COUNT },
	{ "lock", trace_lock_name, ARRAY_SIZE(trace_lock_name) },
	{ "ipi", trace_ipi_name, ARRAY_SIZE(trace_ipi_name) },
	{ "page", page_kind_name, PG_NKINDS },
	{ "syscall", syscall_name, SYSCALL_MAX + 1 },
};
const uint32_t trace_ntables = ARRAY_SIZE(trace_tables);

const char *
trace_syscall_name(uint32_t nr)
{
	return nr <= SYSCALL_MAX && syscall_name[nr] != NULL ? syscall_name[nr] : "?";
}
