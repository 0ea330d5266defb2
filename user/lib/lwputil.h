/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks and starts for tests of native LWPs.
 */
#ifndef USER_LWPUTIL_H
#define USER_LWPUTIL_H

#include <stdint.h>

#include "lwp.h"
#include "thr.h"

#define LWP_STACK 16384

/* Start fn(arg) on a stack; the id, or -1 with errno. */
static inline lwpid_t
lwp_start(char *stack, void (*fn)(void *), void *arg, unsigned long flags)
{
	ucontext_t u;
	lwpid_t lid = 0;

	_lwp_makecontext(&u, fn, arg, NULL, stack, LWP_STACK);
	return _lwp_create(&u, flags, &lid) == 0 ? lid : -1;
}

/* Spin or yield until *w is at least n. */
static inline void
lwp_until(atomic_int *w, int n)
{
	while (atomic_load(w) < n)
		raw0(RAW_YIELD);
}

#endif /* USER_LWPUTIL_H */
