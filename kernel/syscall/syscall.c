/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system-call table and its dispatcher.
 *
 * Results in the range of the kernel's own codes, ERESTART and its neighbours, are told from all
 * others by one comparison, so a call that needs nothing special costs a bounds check, an indirect
 * call and that.
 */
#include <kernel/lockdebug.h>
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/explore.h>
#include <kernel/printf.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/trace.h>

typedef int64_t syscall_fn(const uint64_t *);

#define SPECIAL_FIRST ERESTART
#define SPECIAL_LAST  ERESTARTNOINTR
_Static_assert(ERESTARTNOHAND > SPECIAL_FIRST && EJUSTRETURN > SPECIAL_FIRST &&
	ERESTARTNOHAND < SPECIAL_LAST && EJUSTRETURN < SPECIAL_LAST,
    "one range holds them all");

static syscall_fn *const table[SYSCALL_MAX + 1] = {
#define X(nr, name) [nr] = sys_##name,
	SYSCALLS(X)
#undef X
};

/* Logs each unknown number once; those too large for the map share its last bit. */
static int64_t __cold
unknown(uint64_t nr)
{
	static uint64_t seen[16]; /* (a) */
	uint64_t bit = nr < 64 * ARRAY_SIZE(seen) - 1 ? nr : 64 * ARRAY_SIZE(seen) - 1;

	if ((atomic_or(&seen[bit / 64], (uint64_t)1 << bit % 64) >> bit % 64 & 1) == 0)
		kprintf("syscall: pid %d (%s): number %lu is not implemented\n", curproc()->p_pid,
		    curproc()->p_comm, nr);
	return -ENOSYS;
}

static int64_t __cold
special_result(int64_t r)
{
	struct lwp *l = curlwp();

	if (r == -EJUSTRETURN)
		return r;
	/* sig_deliver() decides; if a handler runs, this result stands. */
	l->l_sysrestart = (uint32_t)-r;
	atomic_store_relaxed(&l->l_ast, AST_WORK);
	return -EINTR;
}

/* => interrupts on, no lock held, in and out */
int64_t
syscall_dispatch(uint64_t nr, const uint64_t args[6])
{
	syscall_fn *fn;
	int64_t r;

	if (EXPLORING)
		explore_syscall(nr);
	if (unlikely(nr > SYSCALL_MAX || (fn = table[nr]) == NULL))
		return unknown(nr);
	r = fn(args);
	lockdebug_none("return from a system call");
	if (unlikely((uint64_t)r + SPECIAL_LAST <= SPECIAL_LAST - SPECIAL_FIRST))
		return special_result(r);
	return r;
}

/* syscall_entry calls this one while system calls are traced. */
int64_t
syscall_dispatch_traced(uint64_t nr, const uint64_t args[6])
{
	int64_t r;

	trace_write(TR_SYSCALL, nr, args[0]);
	r = syscall_dispatch(nr, args);
	trace_write(TR_SYSRET, nr, (uint64_t)r);
	return r;
}
