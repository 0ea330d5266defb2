/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUTEX_WAKE_OP: one call that changes a word as user code would, and wakes at two.
 */
#include "futex_internal.h"

/* The operation of FUTEX_WAKE_OP on one word: what it becomes. */
static uint32_t
wake_op(unsigned op, uint32_t old, uint32_t arg)
{
	switch (op) {
	case FUTEX_OP_SET:
		return arg;
	case FUTEX_OP_ADD:
		return old + arg;
	case FUTEX_OP_OR:
		return old | arg;
	case FUTEX_OP_ANDN:
		return old & ~arg;
	default:
		return old ^ arg;
	}
}

static int
wake_cmp(unsigned cmp, int32_t old, int32_t arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	default:
		return -ENOSYS;
	}
}

/* The change of the word is a change like any by user code, and a wake follows it: no lock is held over both. */
int
futex_wake_op(uintptr_t addr, uintptr_t addr2, bool shared, unsigned n, unsigned n2, uint32_t code)
{
	unsigned op = code >> 28 & 7, cmp = code >> 24 & 15;
	int32_t arg = (int32_t)(code << 8) >> 20, cmparg = (int32_t)(code << 20) >> 20;
	struct futex_key k;
	uint32_t old, seen;
	int error, woken, more;

	error = futex_get_key(addr, shared, &k);
	if (error == 0)
		error = futex_get_key(addr2, shared, &k);
	if (error != 0)
		return error;
	if (code >> 28 & FUTEX_OP_ARG_SHIFT)
		arg = (int32_t)(1u << (arg & 31));
	if (op > FUTEX_OP_XOR)
		return -ENOSYS;
	if (arch_ufetch_32(addr2, &seen) != 0)
		return -EFAULT;
	do {
		old = seen;
		if (arch_ucas_32(addr2, old, wake_op(op, old, (uint32_t)arg), &seen) != 0)
			return -EFAULT;
	} while (seen != old);
	error = wake_cmp(cmp, (int32_t)old, cmparg);
	if (error < 0)
		return error;
	woken = futex_wake(addr, shared, n, FUTEX_BITSET_ANY);
	if (error == 0 || woken < 0)
		return woken;
	more = futex_wake(addr2, shared, n2, FUTEX_BITSET_ANY);
	return more < 0 ? more : woken + more;
}
