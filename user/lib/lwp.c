/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "lwp.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "thr.h"

enum {
	NR_CREATE = 1024,
	NR_EXIT,
	NR_SELF,
	NR_WAIT,
	NR_DETACH,
	NR_SUSPEND,
	NR_CONTINUE,
	NR_WAKEUP,
	NR_KILL,
	NR_PARK,
	NR_UNPARK,
	NR_UNPARK_ALL,
	NR_SETPRIVATE,
	NR_GETPRIVATE,
	NR_SETNAME,
	NR_GETNAME,
	NR_CTL
};

static long
result(long r)
{
	if (r < 0 && r > -4096) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

int
_lwp_create(const ucontext_t *context, unsigned long flags, lwpid_t *new_lwp)
{
	return (int)result(raw3(NR_CREATE, (long)context, (long)flags, (long)new_lwp));
}

void
_lwp_exit(void)
{
	for (;;)
		raw0(NR_EXIT);
}

lwpid_t
_lwp_self(void)
{
	return (lwpid_t)raw0(NR_SELF);
}

int
_lwp_wait(lwpid_t wlwp, lwpid_t *rlwp)
{
	return (int)result(raw3(NR_WAIT, wlwp, (long)rlwp, 0));
}

int
_lwp_detach(lwpid_t lwp)
{
	return (int)result(raw3(NR_DETACH, lwp, 0, 0));
}

int
_lwp_suspend(lwpid_t lwp)
{
	return (int)result(raw3(NR_SUSPEND, lwp, 0, 0));
}

int
_lwp_continue(lwpid_t lwp)
{
	return (int)result(raw3(NR_CONTINUE, lwp, 0, 0));
}

int
_lwp_wakeup(lwpid_t lwp)
{
	return (int)result(raw3(NR_WAKEUP, lwp, 0, 0));
}

int
_lwp_kill(lwpid_t lwp, int sig)
{
	return (int)result(raw3(NR_KILL, lwp, sig, 0));
}

int
_lwp_park(clockid_t clock, int flags, struct timespec *ts, lwpid_t unpark, const void *hint,
    const void *unparkhint)
{
	return (int)result(
	    raw6(NR_PARK, clock, flags, (long)ts, unpark, (long)hint, (long)unparkhint));
}

int
_lwp_unpark(lwpid_t lwp, const void *hint)
{
	return (int)result(raw3(NR_UNPARK, lwp, (long)hint, 0));
}

ssize_t
_lwp_unpark_all(const lwpid_t *targets, size_t ntargets, const void *hint)
{
	return result(raw3(NR_UNPARK_ALL, (long)targets, (long)ntargets, (long)hint));
}

int
_lwp_setprivate(void *cookie)
{
	return (int)result(raw3(NR_SETPRIVATE, (long)cookie, 0, 0));
}

void *
_lwp_getprivate(void)
{
	return (void *)raw0(NR_GETPRIVATE);
}

int
_lwp_setname(lwpid_t lwp, const char *name)
{
	return (int)result(raw3(NR_SETNAME, lwp, (long)name, 0));
}

int
_lwp_getname(lwpid_t lwp, char *name, size_t len)
{
	return (int)result(raw3(NR_GETNAME, lwp, (long)name, (long)len));
}

int
_lwp_ctl(int features, struct lwpctl **address)
{
	return (int)result(raw3(NR_CTL, features, (long)address, 0));
}

/* The C library finds its thread structure, and errno in it, by the pointer to itself at the TLS base. */
static void *
make_tls(void *mem)
{
	memset(mem, 0, LWP_TLS_SIZE);
	*(void **)mem = mem;
	return mem;
}

void
_lwp_makecontext(ucontext_t *u, void (*start)(void *), void *arg, void *private, void *stack_base,
    size_t stack_size)
{
	uintptr_t sp = ((uintptr_t)stack_base + stack_size) & ~(uintptr_t)63;

	if (private == NULL) {
		sp -= LWP_TLS_SIZE;
		private = make_tls((void *)sp);
	}
	memset(u, 0, sizeof(*u));
	sp -= sizeof(uint64_t); /* as after a call */
	*(uint64_t *)sp = (uint64_t)(uintptr_t)_lwp_exit;
	u->uc_flags = _UC_CPU | _UC_TLSBASE;
	u->uc_stack.ss_sp = stack_base;
	u->uc_stack.ss_size = stack_size;
	u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)start;
	u->uc_mcontext.gregs[REG_RDI] = (greg_t)(uintptr_t)arg;
	u->uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
	u->uc_mcontext.__reserved1[0] = (unsigned long)(uintptr_t) private;
}
