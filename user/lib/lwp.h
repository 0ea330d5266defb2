/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native LWP calls of the kernel, with NetBSD's names, arguments and errors: 0 or more, else -1 and errno.
 *
 * An LWP made here is not one of the C library's threads.  It runs on the stack and the TLS base of its
 * context.  _lwp_makecontext() gives it, when `private` is NULL, a small TLS block of its own at the top of
 * its stack: enough for errno, and so for these calls and for plain system calls.  It must not use stdio, malloc,
 * pthread calls or __thread variables.
 */
#ifndef USER_LWP_H
#define USER_LWP_H

#include <abi/lwp.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>
#include <ucontext.h>

typedef int lwpid_t;

#define LWP_TLS_SIZE 512 /* of the block that _lwp_makecontext() takes from the stack */

int _lwp_create(const ucontext_t *context, unsigned long flags, lwpid_t *new_lwp);
void _lwp_exit(void) __attribute__((noreturn));
lwpid_t _lwp_self(void);
int _lwp_wait(lwpid_t wlwp, lwpid_t *rlwp); /* wlwp 0: any */
int _lwp_detach(lwpid_t lwp);
int _lwp_suspend(lwpid_t lwp);
int _lwp_continue(lwpid_t lwp);
int _lwp_wakeup(lwpid_t lwp);
int _lwp_kill(lwpid_t lwp, int sig);
/* May return for no reason: look at what is waited for again. */
int _lwp_park(clockid_t clock, int flags, struct timespec *ts, lwpid_t unpark, const void *hint,
    const void *unparkhint);
int _lwp_unpark(lwpid_t lwp, const void *hint);
ssize_t _lwp_unpark_all(const lwpid_t *targets, size_t ntargets, const void *hint);
int _lwp_setprivate(void *cookie); /* the TLS base */
void *_lwp_getprivate(void);
int _lwp_setname(lwpid_t lwp, const char *name);
int _lwp_getname(lwpid_t lwp, char *name, size_t len);
/*
 * Where the kernel tells which CPU the caller is on and how often it has got one: see <abi/lwp.h>. Any thread of the
 * process may look there, until the caller's exit. Read only.
 */
int _lwp_ctl(int features, struct lwpctl **address);

/*
 * A context that calls start(arg) and then _lwp_exit(), on the given stack.
 * => `private` is its TLS base; NULL: a block on the stack
 */
void _lwp_makecontext(ucontext_t *u, void (*start)(void *), void *arg, void *private,
    void *stack_base, size_t stack_size);

#endif /* USER_LWP_H */
