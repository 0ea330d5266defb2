/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clone and clone3: which flags go together, what the tid flags store, shared
 * and copied memory, and the exit signal.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define STK       16384
#define NR_CLONE3 435

struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};

static atomic_int ptid, ctid, word, seen_tid, seen_pid;
static char *stk;

static int
note(void *arg)
{
	atomic_store(&word, (int)(long)arg);
	atomic_store(&seen_tid, (int)raw0(RAW_GETTID));
	atomic_store(&seen_pid, (int)raw0(RAW_GETPID));
	return 17;
}

static int
ctid_is_me(void *arg)
{
	(void)arg;
	return atomic_load(&ctid) == (int)raw0(RAW_GETTID) ? 0 : 1;
}

static long
try(unsigned long flags)
{
	long r = thr_clone(flags, stk + STK, note, (void *)1, &ptid, &ctid, 0);

	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

static void
test_invalid(void)
{
	is_err(try(CLONE_SIGHAND), EINVAL, "SIGHAND without VM: EINVAL");
	is_err(try(CLONE_THREAD | CLONE_VM), EINVAL, "THREAD without SIGHAND: EINVAL");
	is_err(try(CLONE_THREAD), EINVAL, "THREAD alone: EINVAL");
	is_err(try(CLONE_THREAD | CLONE_SIGHAND), EINVAL, "THREAD and SIGHAND without VM: EINVAL");
	is_err(try(CLONE_FS | CLONE_NEWNS), EINVAL, "FS with NEWNS: EINVAL");
	errno = 0;
	is_err(syscall(NR_CLONE3, NULL, 0), EINVAL, "clone3 with size 0: EINVAL");
	is_err(syscall(NR_CLONE3, hide(8), 88), EFAULT, "clone3 with a bad pointer: EFAULT");
	is_err(waitpid(-1, NULL, 0), ECHILD, "no child came of these");
}

static void
test_thread(void)
{
	long tid;

	atomic_store(&ctid, -1);
	tid =
	    thr_clone(THR_FLAGS | CLONE_CHILD_SETTID, stk + STK, note, (void *)5, &ptid, &ctid, 0);
	ok(tid > 0, "a thread");
	is_int(atomic_load(&ptid), tid, "PARENT_SETTID stored its id before clone returned");
	while (atomic_load(&ctid) != 0)
		futex(&ctid, FUT_WAIT, atomic_load(&ctid), NULL, NULL, 0);
	ok(1, "CHILD_CLEARTID cleared and woke");
	is_int(atomic_load(&word), 5, "it ran on our memory");
	is_int(atomic_load(&seen_tid), tid, "its gettid() is what clone returned");
	is_int(atomic_load(&seen_pid), getpid(), "its getpid() is ours");
	is_err(waitpid((pid_t)tid, NULL, 0), ECHILD, "a thread is not waited for: ECHILD");
}

static void
test_process(void)
{
	long pid;
	int st;

	atomic_store(&word, 0);
	atomic_store(&ctid, 0);
	pid = thr_clone(CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | SIGCHLD, stk + STK, ctid_is_me,
	    NULL, &ptid, &ctid, 0);
	is_exit(reap((pid_t)pid), 0, "CHILD_SETTID is in the child's memory");
	is_int(atomic_load(&ctid), 0, "and not in the parent's");
	is_int(atomic_load(&ptid), pid, "PARENT_SETTID is in the parent's");

	pid = thr_clone(CLONE_VM | SIGCHLD, stk + STK, note, (void *)6, NULL, NULL, 0);
	is_exit(reap((pid_t)pid), 17, "a process that shares memory");
	is_int(atomic_load(&word), 6, "its write is visible");
	is_int(atomic_load(&seen_pid), pid, "it is a process of its own");

	pid =
	    thr_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, stk + STK, note, (void *)7, NULL, NULL, 0);
	is_int(atomic_load(&word), 7, "VM and VFORK: it has ended when clone returns");
	is_exit(reap((pid_t)pid), 17, "its status");

	pid =
	    thr_clone(CLONE_VM | CLONE_FILES | SIGCHLD, stk + STK, note, (void *)8, NULL, NULL, 0);
	is_exit(reap((pid_t)pid), 17, "VM and FILES without THREAD");

	pid = thr_clone(0, stk + STK, note, (void *)9, NULL, NULL, 0);
	is_err(waitpid((pid_t)pid, &st, 0), ECHILD, "no exit signal: a plain wait sees no child");
	is_int(waitpid((pid_t)pid, &st, __WALL), pid, "__WALL sees it");
	pid = thr_clone(0, stk + STK, note, (void *)9, NULL, NULL, 0);
	is_int(waitpid(-1, &st, __WCLONE), pid, "and so does __WCLONE");
	is_int(atomic_load(&word), 8, "a copy's write stays in the copy");
}

static int
close_it(void *arg)
{
	return raw3(SYS_close, (long)arg, 0, 0) == 0 ? 0 : 1;
}

static void
test_files(void)
{
	long pid;

	/* With FILES the child's close is the parent's close. */
	pid = thr_clone(CLONE_VM | CLONE_FILES | SIGCHLD, stk + STK, close_it,
	    (void *)(long)dup2(1, 50), NULL, NULL, 0);
	reap((pid_t)pid);
	is_err(dup(50), EBADF, "FILES: a close in the child closes ours");
	dup2(1, 50);
	pid = thr_clone(SIGCHLD, stk + STK, close_it, (void *)50L, NULL, NULL, 0);
	reap((pid_t)pid);
	is_int(close(50), 0, "without it our descriptor stays");
}

static void
on_signal(int sig)
{
	(void)sig;
}

static void
test_clone3(void)
{
	struct clone3_args a;
	long pid;
	int st;

	memset(&a, 0, sizeof(a));
	a.exit_signal = SIGCHLD;
	a.flags = CLONE_PARENT_SETTID;
	a.parent_tid = (uintptr_t)&ptid;
	pid = syscall(NR_CLONE3, &a, sizeof(a));
	if (pid == 0)
		_exit(23);
	ok(pid > 0 && atomic_load(&ptid) == pid, "clone3 as fork, with PARENT_SETTID");
	is_int(waitpid((pid_t)pid, &st, 0), pid, "its child is waited for");
	is_exit(st, 23, "its status");
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, on_signal);
	a.flags = 0x100000000; /* CLONE_CLEAR_SIGHAND */
	pid = syscall(NR_CLONE3, &a, sizeof(a));
	if (pid == 0)
		_exit((signal(SIGUSR1, SIG_DFL) == SIG_IGN) +
		    2 * (signal(SIGUSR2, SIG_IGN) == SIG_DFL));
	is_exit(reap((pid_t)pid), 3,
	    "CLEAR_SIGHAND: caught signals have their default, ignored ones stay so");
	ok(signal(SIGUSR2, SIG_DFL) == on_signal, "the parent's are as they were");
	signal(SIGUSR1, SIG_DFL);
	a.flags |= CLONE_VM | CLONE_SIGHAND;
	is_err(syscall(NR_CLONE3, &a, sizeof(a)), EINVAL, "CLEAR_SIGHAND and SIGHAND: EINVAL");
	memset(&a, 0, sizeof(a));
	a.exit_signal = 0x1ff;
	is_err(syscall(NR_CLONE3, &a, sizeof(a)), EINVAL, "clone3: bad exit signal: EINVAL");
	a.exit_signal = SIGCHLD;
	a.stack = 4096;
	is_err(syscall(NR_CLONE3, &a, sizeof(a)), EINVAL, "clone3: stack without size: EINVAL");
	memset(&a, 0, sizeof(a));
	a.exit_signal = SIGCHLD;
	a.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	is_err(
	    syscall(NR_CLONE3, &a, sizeof(a)), EINVAL, "clone3: THREAD with exit signal: EINVAL");
}

int
main(void)
{
	stk = private_mem(STK);
	test_invalid();
	test_thread();
	test_process();
	test_files();
	test_clone3();
	return tap_done();
}
