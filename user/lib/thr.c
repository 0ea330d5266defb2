/* SPDX-License-Identifier: BSD-2-Clause */
#include "thr.h"

#include <stdint.h>

long
thr_clone(unsigned long flags, void *stack_top, int (*fn)(void *), void *arg, atomic_int *ptid,
    atomic_int *ctid, unsigned long tls)
{
	register long r10 __asm__("r10") = (long)ctid;
	register long r8 __asm__("r8") = (long)tls;
	uint64_t *sp = (uint64_t *)((uintptr_t)stack_top & ~(uintptr_t)15);
	long ret;

	/* The child pops the function and its argument. */
	*--sp = (uint64_t)(uintptr_t)arg;
	*--sp = (uint64_t)(uintptr_t)fn;
	__asm__ volatile("syscall\n\t"
			 "test	%%rax, %%rax\n\t"
			 "jnz	1f\n\t"
			 "xor	%%ebp, %%ebp\n\t"
			 "pop	%%rax\n\t"
			 "pop	%%rdi\n\t"
			 "call	*%%rax\n\t"
			 "mov	%%eax, %%edi\n\t"
			 "mov	$60, %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(56), "D"(flags), "S"(sp), "d"(ptid), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

long
thr_start(void *stack_top, int (*fn)(void *), void *arg, atomic_int *tid)
{
	return thr_clone(THR_FLAGS, stack_top, fn, arg, tid, tid, 0);
}

void
thr_join(atomic_int *tid)
{
	int v;

	while ((v = atomic_load(tid)) != 0)
		raw6(RAW_FUTEX, (long)tid, 0, v, 0, 0, 0);
}
