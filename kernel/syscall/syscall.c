/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system-call table and its dispatcher.
 *
 * Results in the range of the kernel's own codes, ERESTART and its neighbours, are told from all others by one
 * comparison, so a call that needs nothing special costs a bounds check, the call and that comparison. The
 * default entry of the table answers with such a code too.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/sched.h>

typedef int64_t syscall_fn(const uint64_t *);

#define EUNKNOWN 511 /* from the default entry */
_Static_assert(ERESTART == 512 && ERESTARTNOINTR == 515, "the range that dispatch looks for");

static int64_t
unknown(const uint64_t *a __unused)
{
	return -EUNKNOWN;
}

/* The list overrides the default, which is what the warning is about. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static syscall_fn *const table[SYSCALL_MAX + 1] = {
	[0 ... SYSCALL_MAX] = unknown,
#define X(nr, name) [nr] = sys_##name,
	SYSCALLS(X)
#undef X
};
#pragma GCC diagnostic pop

/* Logs each unknown number once; those too large for the map share its last bit. */
static void __cold
log_unknown(uint64_t nr)
{
	static uint64_t seen[16]; /* (a) */
	uint64_t bit = nr < 64 * ARRAY_SIZE(seen) - 1 ? nr : 64 * ARRAY_SIZE(seen) - 1;

	if ((atomic_or(&seen[bit / 64], (uint64_t)1 << bit % 64) >> bit % 64 & 1) == 0)
		kprintf("syscall: pid %d (%s): number %lu is not implemented\n", curproc()->p_pid,
		    curproc()->p_comm, nr);
}

static int64_t __cold
special_result(uint64_t nr, int64_t r)
{
	struct lwp *l = curlwp();

	switch (-r) {
	case EUNKNOWN:
		log_unknown(nr);
		return -ENOSYS;
	case EJUSTRETURN:
		return r;
	default: /* sig_deliver() decides; this result stands if a handler runs */
		l->l_sysrestart = (uint32_t)-r;
		atomic_store_relaxed(&l->l_ast, 1);
		return -EINTR;
	}
}

#ifdef DEBUG
static void
check_no_locks(uint64_t nr)
{
	struct lwp *l = curlwp();

	if (l->l_nlocks != 0 || l->l_nopreempt != 0 || l->l_locks != NULL)
		panic("syscall %lu of lid %d returns with %u mutexes held, preemption disabled %u times", nr, l->l_lid,
		    l->l_nlocks, l->l_nopreempt);
}
#else
#define check_no_locks(nr) ((void)0)
#endif

/* => interrupts on, no lock held, in and out */
int64_t
syscall_dispatch(struct trapframe *tf __unused, uint64_t nr, const uint64_t args[6])
{
	int64_t r;

	if (unlikely(nr > SYSCALL_MAX))
		r = -EUNKNOWN;
	else
		r = table[nr](args);
	check_no_locks(nr);
	if (likely((uint64_t)r + ERESTARTNOINTR > ERESTARTNOINTR - EUNKNOWN))
		return r;
	return special_result(nr, r);
}
