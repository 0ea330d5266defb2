/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native LWP calls, one by one: what they do and every error of docs/protocol.md 3.1.
 * B34: a create that fails leaves nothing behind.
 *
 * test: host=no
 * test: name=b34 smp=1,4 args="400" append="fp=id-published-not-started:50" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define NONE 0x3ffffff /* an id that nobody has */

static char stacks[4][LWP_STACK] __attribute__((aligned(64)));
static atomic_int go, seen, errno_seen;
static _Atomic(lwpid_t) self_seen;
static lwpid_t main_lid;

static void
set_and_go(void *arg)
{
	atomic_store(&self_seen, _lwp_self());
	atomic_store(&seen, (int)(long)arg);
}

static void
until_go(void *arg)
{
	(void)arg;
	lwp_until(&go, 1);
}

static void
own_errno(void *arg)
{
	(void)arg;
	(void)_lwp_detach(NONE);
	atomic_store(&errno_seen, errno);
	while (atomic_load(&go) == 0)
		raw0(RAW_YIELD);
	atomic_store(&errno_seen, errno);
}

static void
test_create(void)
{
	lwpid_t lid = 0, out = 0;
	ucontext_t u;

	_lwp_makecontext(&u, set_and_go, (void *)7, NULL, stacks[0], LWP_STACK);
	is_ok(_lwp_create(&u, 0, &lid), "_lwp_create");
	is_ok(_lwp_wait(lid, &out), "_lwp_wait for it");
	is_int(out, lid, "which tells its id");
	is_int(atomic_load(&self_seen), lid, "_lwp_self in it is that id");
	is_int(atomic_load(&seen), 7, "its argument came");
	is_err(_lwp_wait(lid, NULL), ESRCH, "waiting for it again: ESRCH");

	is_err(_lwp_create(&u, 0x1, &lid), EINVAL, "create: unknown flag");
	u.uc_flags = 0;
	is_err(_lwp_create(&u, 0, &lid), EINVAL, "create: context without registers");
	_lwp_makecontext(&u, set_and_go, NULL, NULL, stacks[0], LWP_STACK);
	u.uc_mcontext.gregs[REG_RIP] = (greg_t)0xffff800000000000;
	is_err(_lwp_create(&u, 0, &lid), EINVAL, "create: a kernel address to start at");
	_lwp_makecontext(&u, set_and_go, NULL, (void *)0xffff800000000000, stacks[0], LWP_STACK);
	is_err(_lwp_create(&u, 0, &lid), EINVAL, "create: a kernel address as TLS base");
	is_err(_lwp_create(hide(8), 0, &lid), EFAULT, "create: context at a bad address");

	lid = lwp_start(stacks[0], own_errno, NULL, 0);
	errno = 0;
	while (atomic_load(&errno_seen) == 0)
		raw0(RAW_YIELD);
	is_int(atomic_load(&errno_seen), ESRCH, "an LWP has errno");
	is_int(errno, 0, "of its own");
	atomic_store(&go, 1);
	_lwp_wait(0, &out);
	is_int(out, lid, "_lwp_wait for any");
	is_err(_lwp_wait(0, NULL), ESRCH, "for any when there is none: ESRCH");
}

static void
test_bad_store(long n)
{
	long i, good = 0;
	lwpid_t a, b;
	ucontext_t u;

	_lwp_makecontext(&u, set_and_go, NULL, NULL, stacks[0], LWP_STACK);
	for (i = 0; i < n; i++)
		good += _lwp_create(&u, 0, hide(8)) == -1 && errno == EFAULT;
	is_int(good, n, "create: id stored at a bad address: EFAULT (B34)");
	is_err(_lwp_wait(0, NULL), ESRCH, "and nobody is left to wait for");
	is_ok(dbg_cmd("fault alloc:1"), "the next allocation fails");
	is_err(_lwp_create(&u, 0, &a), ENOMEM, "create: no memory");
	is_err(_lwp_wait(0, NULL), ESRCH, "and nobody is there");
	a = lwp_start(stacks[0], set_and_go, NULL, 0);
	_lwp_wait(a, NULL);
	for (i = 0; i < 20; i++)
		(void)_lwp_create(&u, 0, hide(8));
	b = lwp_start(stacks[0], set_and_go, NULL, 0);
	is_ok(_lwp_wait(b, NULL), "the next one is well");
}

static void
test_wait_detach(void)
{
	lwpid_t lid;

	is_err(_lwp_wait(NONE, NULL), ESRCH, "wait: no such LWP");
	is_err(_lwp_wait(-1, NULL), ESRCH, "wait: a negative id");
	is_err(_lwp_wait(main_lid, NULL), EDEADLK, "wait: oneself");
	atomic_store(&go, 0);
	lid = lwp_start(stacks[1], until_go, NULL, LWP_DETACHED);
	is_err(_lwp_wait(lid, NULL), EINVAL, "wait: a detached one");
	is_err(_lwp_detach(lid), EINVAL, "detach: a detached one");
	atomic_store(&go, 1);
	while (_lwp_kill(lid, 0) == 0)
		raw0(RAW_YIELD);
	is_err(_lwp_detach(NONE), ESRCH, "detach: no such LWP");
	lid = lwp_start(stacks[0], set_and_go, NULL, 0);
	while (_lwp_kill(lid, 0) == 0)
		raw0(RAW_YIELD);
	is_err(_lwp_kill(lid, 0), ESRCH, "a dead one cannot be signalled");
	is_err(_lwp_unpark(lid, NULL), ESRCH, "nor unparked");
	is_err(_lwp_suspend(lid), ESRCH, "nor suspended");
	is_err(_lwp_continue(lid), ESRCH, "nor continued");
	is_err(_lwp_wakeup(lid), ESRCH, "nor woken");
	is_err(_lwp_setname(lid, "x"), ESRCH, "nor named");
	is_ok(_lwp_detach(lid), "but detached: it is freed");
	is_err(_lwp_wait(lid, NULL), ESRCH, "and is gone");
	lid = lwp_start(stacks[0], set_and_go, NULL, 0);
	is_err(_lwp_wait(lid, hide(8)), EFAULT, "wait: id stored at a bad address");
	is_err(_lwp_wait(lid, NULL), ESRCH, "after it was collected");
}

static void
on_usr1(int sig)
{
	(void)sig;
	atomic_fetch_add(&seen, 1);
}

static void
signal_main(void *arg)
{
	(void)arg;
	usleep(20000);
	_lwp_kill(main_lid, SIGUSR1);
	lwp_until(&go, 1);
}

static void
test_signals(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	lwpid_t lid;

	is_err(_lwp_kill(NONE, 0), ESRCH, "kill: no such LWP");
	is_err(_lwp_kill(NONE, 65), EINVAL, "kill: no such signal");
	is_err(_lwp_kill(main_lid, -1), EINVAL, "kill: negative signal");
	is_ok(_lwp_kill(main_lid, 0), "kill: signal 0 only asks");
	sigaction(SIGUSR1, &sa, NULL);
	atomic_store(&seen, 0);
	is_ok(_lwp_kill(main_lid, SIGUSR1), "kill: a signal");
	is_int(atomic_load(&seen), 1, "comes");
	atomic_store(&go, 0);
	lid = lwp_start(stacks[0], signal_main, NULL, 0);
	is_err(_lwp_wait(lid, NULL), EINTR, "wait: a signal ends it");
	atomic_store(&go, 1);
	is_ok(_lwp_wait(lid, NULL), "and it can be begun again");
}

static void
test_private_names(void)
{
	char name[32];
	lwpid_t lid;

	ok(_lwp_getprivate() != NULL, "getprivate: the TLS base");
	is_err(_lwp_setprivate((void *)0xffff800000000000), EINVAL, "setprivate: a kernel address");
	is_ok(_lwp_setprivate(_lwp_getprivate()), "setprivate");
	is_ok(_lwp_setname(0, "first"), "setname of oneself");
	is_ok(_lwp_getname(0, name, sizeof(name)), "getname of oneself");
	ok(strcmp(name, "first") == 0, "as it was set");
	is_ok(_lwp_setname(main_lid, "a name that is too long"), "setname: a long one");
	_lwp_getname(main_lid, name, sizeof(name));
	ok(strcmp(name, "a name that is ") == 0, "is cut");
	is_ok(_lwp_getname(0, name, 4), "getname: little room");
	ok(strcmp(name, "a n") == 0, "is cut, too");
	is_err(_lwp_setname(NONE, "x"), ESRCH, "setname: no such LWP");
	is_err(_lwp_getname(NONE, name, 8), ESRCH, "getname: no such LWP");
	is_err(_lwp_setname(0, hide(8)), EFAULT, "setname: bad address");
	is_err(_lwp_getname(0, hide(8), 8), EFAULT, "getname: bad address");
	atomic_store(&go, 0);
	lid = lwp_start(stacks[0], until_go, NULL, 0);
	_lwp_setname(lid, "worker");
	_lwp_getname(lid, name, sizeof(name));
	ok(strcmp(name, "worker") == 0, "another LWP's name");
	atomic_store(&go, 1);
	_lwp_wait(lid, NULL);
	errno = 0;
	is_err(raw3(1041, 0, 0, 0) == -ENOSYS ? (errno = ENOSYS, -1) : 0, ENOSYS,
	    "behind _lwp_ctl there is nothing");
}

static void
exit_main(void *arg)
{
	(void)arg;
	_lwp_wait(main_lid, NULL);
	raw3(RAW_EXIT_GROUP, 5, 0, 0);
}

static int
main_exits(void *arg)
{
	(void)arg;
	main_lid = _lwp_self();
	lwp_start(stacks[0], exit_main, NULL, 0);
	_lwp_exit();
}

static int
last_exits(void *arg)
{
	(void)arg;
	_lwp_exit();
}

static int
leave_corpses(void *arg)
{
	int i;

	for (i = 0; i < 3; i++)
		lwp_start(stacks[i], set_and_go, NULL, 0);
	usleep(10000);
	if (arg != NULL) {
		execl(self_path(), self_path(), "--true", (char *)NULL);
		return 1;
	}
	return 3;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--true") == 0)
		return _lwp_wait(0, NULL) == -1 && errno == ESRCH ? 4 : 1;
	main_lid = _lwp_self();
	is_int(main_lid, getpid(), "_lwp_self of the first LWP is the PID");
	test_create();
	test_bad_store(arg_long(argc, argv, 1, 50));
	test_wait_detach();
	test_signals();
	test_private_names();
	is_exit(run_child(main_exits, NULL), 5, "the first LWP can be waited for, too");
	is_exit(
	    run_child(last_exits, NULL), 0, "the last LWP's end is the process's, with status 0");
	is_exit(run_child(leave_corpses, NULL), 3, "exit frees corpses that nobody waited for");
	is_exit(run_child(leave_corpses, "x"), 4, "exec, too");
	return tap_done();
}
