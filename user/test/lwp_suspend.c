/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Suspension of LWPs: what it does, its errors, and how it goes together with exit, exec, fork and signals.
 * B9 (runs on in user mode), B32 (suspend of a suspended one, or of itself, hangs), B52 (a sleeper loses its
 * wakeup), B58 (SIGKILL at each place). docs/protocol.md 4.3: a suspension.
 *
 * test: host=no timeout=60
 * test: name=b52 args="300" append="fp=sleep-queued-not-switched:100,woken-while-RUNNING:50,vfork-child-started:10000" smp=2,4 host=no timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define NONE 0x3ffffff

static char stacks[6][LWP_STACK] __attribute__((aligned(64)));
static atomic_int count, go, stop, result, word;
static lwpid_t main_lid;

static void
counter(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		atomic_fetch_add(&count, 1);
}

static int
frozen(void)
{
	int before = atomic_load(&count);

	usleep(5000);
	return atomic_load(&count) == before;
}

static void
test_freeze(long n)
{
	long i, bad = 0;
	lwpid_t lid;
	int seen;

	atomic_store(&stop, 0);
	lid = lwp_start(stacks[0], counter, NULL, 0);
	lwp_until(&count, 1);
	is_ok(_lwp_suspend(lid), "suspend one that runs in user mode");
	ok(frozen(), "it stands still when the call returns (B9)");
	is_ok(_lwp_suspend(lid), "suspend it again (B32)");
	is_ok(_lwp_kill(lid, 0), "it can be found");
	is_ok(_lwp_continue(lid), "continue");
	seen = atomic_load(&count);
	lwp_until(&count, seen + 1);
	ok(1, "it goes on");
	is_ok(_lwp_continue(lid), "continue one that is not suspended");
	for (i = 0; i < n; i++) {
		_lwp_suspend(lid);
		seen = atomic_load(&count);
		thr_spin(100);
		bad += atomic_load(&count) != seen;
		_lwp_continue(lid);
	}
	is_int(bad, 0, "and so on");
	is_err(_lwp_suspend(NONE), ESRCH, "suspend: no such LWP");
	is_err(_lwp_continue(NONE), ESRCH, "continue: no such LWP");
	atomic_store(&stop, 1);
	_lwp_wait(lid, NULL);
	is_err(_lwp_suspend(main_lid), EDEADLK, "suspend: oneself, alone");

	atomic_store(&stop, 0);
	atomic_store(&count, 0);
	lid = lwp_start(stacks[0], counter, NULL, LWP_SUSPENDED);
	usleep(5000);
	is_int(atomic_load(&count), 0, "created suspended: it has not begun");
	is_err(_lwp_suspend(main_lid), EDEADLK, "suspend: oneself, the others are suspended");
	_lwp_continue(lid);
	lwp_until(&count, 1);
	atomic_store(&stop, 1);
	_lwp_wait(lid, NULL);
}

static void
suspend_self(void *arg)
{
	(void)arg;
	atomic_store(&result, _lwp_suspend(_lwp_self()) == 0 ? 1 : -errno);
}

static void
sleeper(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		int v = atomic_load(&word);

		if (raw6(RAW_FUTEX, (long)&word, 0, v, 0, 0, 0) == 0)
			atomic_fetch_add(&count, 1);
	}
}

static void
napper(void *arg)
{
	struct timespec ts = { 0, 60000000 };

	(void)arg;
	atomic_store(&go, 1);
	atomic_store(&result, (int)raw3(35, (long)&ts, 0, 0));
}

static void
test_sleepers(long n)
{
	long i;
	lwpid_t lid;

	atomic_store(&result, 0);
	lid = lwp_start(stacks[0], suspend_self, NULL, 0);
	usleep(5000);
	is_int(atomic_load(&result), 0, "suspend oneself: the call does not return (B32)");
	while (atomic_load(&result) == 0) { /* it may be late */
		_lwp_continue(lid);
		raw0(RAW_YIELD);
	}
	_lwp_wait(lid, NULL);
	is_int(atomic_load(&result), 1, "until one is continued, then with 0");

	atomic_store(&go, 0);
	lid = lwp_start(stacks[0], napper, NULL, 0);
	lwp_until(&go, 1);
	usleep(2000);
	for (i = 0; i < 20; i++) {
		_lwp_suspend(lid);
		_lwp_continue(lid);
	}
	_lwp_wait(lid, NULL);
	is_int(atomic_load(&result), 0, "a sleep goes on after a suspension");

	atomic_store(&stop, 0);
	atomic_store(&count, 0);
	lid = lwp_start(stacks[0], sleeper, NULL, 0);
	for (i = 0; i < n; i++) {
		_lwp_suspend(lid);
		atomic_fetch_add(&word, 1);
		raw3(RAW_FUTEX, (long)&word, 1, 1);
		_lwp_continue(lid);
		if (i % 2)
			thr_spin(200);
	}
	atomic_store(&stop, 1);
	atomic_fetch_add(&word, 1);
	raw3(RAW_FUTEX, (long)&word, 1, 1);
	is_ok(_lwp_wait(lid, NULL), "no wakeup of a sleeper is lost (B52)");
}

/* Two that suspend each other: one rests, the other can continue it. */
static _Atomic(lwpid_t) pair[2];
static atomic_int met, done;

static void
suspend_other(void *arg)
{
	long i = (long)arg;

	thr_meet(&met, 2);
	(void)_lwp_suspend(atomic_load(&pair[!i]));
	_lwp_continue(atomic_load(&pair[!i]));
	atomic_fetch_add(&done, 1);
}

static void
test_mutual(long n)
{
	long i, k;

	for (i = 0; i < n; i++) {
		atomic_store(&met, 0);
		atomic_store(
		    &pair[0], lwp_start(stacks[0], suspend_other, (void *)0, LWP_SUSPENDED));
		atomic_store(
		    &pair[1], lwp_start(stacks[1], suspend_other, (void *)1, LWP_SUSPENDED));
		_lwp_continue(atomic_load(&pair[0]));
		_lwp_continue(atomic_load(&pair[1]));
		for (k = 0; k < 2; k++)
			while (_lwp_wait(atomic_load(&pair[k]), NULL) == -1 && errno == EINTR)
				continue;
	}
	is_int(atomic_load(&done), 2 * n, "two suspend each other: both come through");
}

/* --- the end of a process with suspended LWPs --------------------------------- */
static void
suspend_some(void)
{
	int i;

	atomic_store(&stop, 0);
	atomic_store(&count, 0);
	lwp_start(stacks[0], counter, NULL, LWP_SUSPENDED);
	lwp_start(stacks[1], suspend_self, NULL, 0);
	_lwp_suspend(lwp_start(stacks[2], counter, NULL, 0));
	for (i = 0; i < 10; i++)
		raw0(RAW_YIELD);
}

static int
exits(void *arg)
{
	(void)arg;
	suspend_some();
	return 6;
}

static int
execs(void *arg)
{
	(void)arg;
	suspend_some();
	execl(self_path(), self_path(), "--true", (char *)NULL);
	return 1;
}

/* The suspended ones count as parked for an exec, and stay suspended when it fails. */
static int
exec_fails(void *arg)
{
	lwpid_t lid;

	(void)arg;
	atomic_store(&stop, 0);
	atomic_store(&count, 0);
	lid = lwp_start(stacks[0], counter, NULL, LWP_SUSPENDED);
	execl(data_path("badphdr"), "x", (char *)NULL);
	execl("/nothing", "x", (char *)NULL);
	if (!frozen())
		return 1;
	_lwp_continue(lid);
	lwp_until(&count, 1);
	atomic_store(&stop, 1);
	return _lwp_wait(lid, NULL) == 0 ? 8 : 2;
}

static int
all_rest(void *arg)
{
	(void)arg;
	suspend_some();
	lwp_start(stacks[3], counter, NULL, 0);
	_lwp_suspend(_lwp_self());
	return 1;
}

static int
main_leaves(void *arg)
{
	(void)arg;
	lwp_start(stacks[0], counter, NULL, LWP_SUSPENDED);
	_lwp_exit();
}

static int
forks(void *arg)
{
	pid_t pid;
	int st;

	(void)arg;
	suspend_some();
	pid = fork();
	if (pid == 0)
		_exit(_lwp_wait(0, NULL) == -1 && errno == ESRCH ? 9 : 1);
	waitpid(pid, &st, 0);
	return WEXITSTATUS(st);
}

static int
killed(child_fn fn, int ms)
{
	pid_t pid = spawn(fn, NULL);

	sleep_ms(ms);
	kill(pid, SIGKILL);
	return reap_ms(pid, 10000);
}

static void
test_ends(long n)
{
	long i, good = 0;

	is_exit(run_child(exits, NULL), 6, "exit of a process with suspended LWPs");
	is_exit(run_child(execs, NULL), 7, "its exec");
	is_exit(run_child(exec_fails, NULL), 8, "an exec that fails leaves them suspended");
	is_exit(run_child(forks, NULL), 9, "fork copies only the caller");
	for (i = 0; i < n; i++) {
		good += killed(all_rest, (int)(i % 4) * 2) == SIGKILL;
		good += killed(main_leaves, (int)(i % 4) * 2) == SIGKILL;
	}
	is_int(good, 2 * n, "SIGKILL ends a process whose LWPs are suspended (B58)");
}

/* --- signals of the process ---------------------------------------------------- */
static atomic_int *sent; /* shared with the sender */
static atomic_int handled;

static void
handle(int sig)
{
	if (sig == SIGUSR1)
		atomic_fetch_add(&handled, 1);
}

/* Sends the next one when the last was taken. */
static int
sender(void *arg)
{
	(void)arg;
	for (;;) {
		word_wait(&sent[1], atomic_load(&sent[0]));
		if (kill(getppid(), SIGUSR1) != 0)
			return 1;
		atomic_fetch_add(&sent[0], 1);
	}
	return 0;
}

static void
suspender(void *arg)
{
	long i, n = (long)arg, lost = 0;
	int s;

	for (i = 0; i < n && lost == 0; i++) {
		_lwp_suspend(main_lid);
		s = atomic_load(&sent[0]);
		raw0(RAW_YIELD);
		if (atomic_load(&handled) < s) {
			/* Main is about to enter its handler. Or is it pending still, and we take it by the way? */
			_lwp_kill(_lwp_self(), SIGUSR2);
			lost = atomic_load(&handled) >= s;
		}
		_lwp_continue(main_lid);
		lwp_until(&handled, s);
		atomic_store(&sent[1], s);
		futex(&sent[1], FUT_WAKE, 1, NULL, NULL, 0);
		thr_spin((unsigned)(i * 37 % 500));
	}
	atomic_store(&result, lost ? -1 : 1);
	atomic_store(&stop, 1);
}

/* One that was to take a signal of the process may be suspended instead: another takes it then. */
static void
test_signal(long n)
{
	lwpid_t lid;
	pid_t pid;

	sent = shared_mem(PAGE);
	atomic_store(&stop, 0);
	signal(SIGUSR1, handle);
	signal(SIGUSR2, handle);
	pid = spawn(sender, NULL);
	lid = lwp_start(stacks[0], suspender, (void *)n, 0);
	while (!atomic_load(&stop))
		continue;
	while (_lwp_wait(lid, NULL) == -1 && errno == EINTR)
		continue;
	kill(pid, SIGKILL);
	reap(pid);
	is_int(
	    atomic_load(&result), 1, "a signal of the process does not wait for a suspended LWP");
}

/* Nor for one that waits for its vfork child, or is about to: here the child for the handler's run. */
static void
test_vfork(int n)
{
	volatile int i, taken = 0;
	lwpid_t volatile lid;
	pid_t pid;

	atomic_store(&stop, 0);
	lid = lwp_start(stacks[0], counter, NULL, 0);
	for (i = 0; i < n && taken == i; i++) {
		atomic_store(&handled, 0);
		pid = vfork();
		if (pid == 0) {
			kill(getppid(), SIGUSR1);
			for (int k = 0; k < 10000 && atomic_load(&handled) == 0; k++)
				usleep(1000);
			taken += atomic_load(&handled);
			_exit(0);
		}
		reap(pid);
	}
	atomic_store(&stop, 1);
	while (_lwp_wait(lid, NULL) == -1 && errno == EINTR)
		continue;
	is_int(taken, n, "nor for one that waits in vfork");
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 40);

	if (argc > 1 && strcmp(argv[1], "--true") == 0)
		return 7;
	main_lid = _lwp_self();
	test_freeze(n);
	test_sleepers(n * 2);
	test_mutual(n / 4);
	test_ends(n / 20);
	test_signal(300);
	test_vfork(8);
	dbg_cmd("fsck");
	return tap_done();
}
