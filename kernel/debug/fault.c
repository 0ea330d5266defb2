/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocations that fail on request: the count, the option fault=, the command of /dev/debug. */
#include <kernel/fault.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/monitor.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/string.h>

#ifdef DEBUG

uint32_t fault_left;
static bool fired;         /* (a) since fault_set() */
static uint32_t boot_left; /* boot: the option's N */

bool
fault_count(uintptr_t pc)
{
	const struct lwp *l = arch_curlwp();
	uint32_t left = atomic_load_relaxed(&fault_left);

	if ((l->l_proc->p_flag & PK_SYSTEM) != 0 || arch_curcpu()->ci_intr_depth != 0)
		return false;
	do
		if (left == 0)
			return false;
	while (!atomic_cas(&fault_left, &left, left - 1));
	if (left != 1)
		return false;
	atomic_store_relaxed(&fired, true);
	kprintf("fault: an allocation of lid %d fails at ", l->l_lid);
	panic_symbol(pc);
	kprintf("\n");
	return true;
}

int
fault_set(const char *what)
{
	uint64_t n = 0;
	bool was;

	if (strcmp(what, "off") != 0 &&
	    (strncmp(what, "alloc:", 6) != 0 || option_u64(what + 6, 1, UINT32_MAX, &n) != 0))
		return -EINVAL;
	atomic_store_relaxed(&fault_left, 0);
	was = atomic_swap(&fired, false);
	atomic_store_relaxed(&fault_left, (uint32_t)n);
	return n == 0 && !was ? -ENOENT : 0;
}

static int
set_fault(const char *value)
{
	int error = fault_set(value);

	boot_left = fault_left;
	fault_left = 0;
	return error == -ENOENT ? 0 : error;
}

void
fault_boot(void)
{
	atomic_store_relaxed(&fault_left, boot_left);
}
OPTION(fault, "off, or alloc:N: the Nth allocation for users fails", set_fault);

#endif
