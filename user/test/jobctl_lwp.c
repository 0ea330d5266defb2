/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stop and the LWPs of the native calls: one that is suspended stays so over SIGCONT, park keeps its token and its
 * time, a vfork parent can be stopped (B54), SIGKILL ends all of them wherever they rest (B58); init is not stopped.
 * docs/protocol.md 4.3: a stop.
 *
 * test: host=no timeout=60
 * test: name=fp host=no timeout=60 smp=2,4 append="fp=vfork-child-started:2000,vfork-release:1000,stop-not-taken:500"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define RAW_NANOSLEEP 35

static char stacks[4][LWP_STACK] __attribute__((aligned(64)));
static struct {
	atomic_int ready, gate, count, parked, late;
} * sh;

static int
next_status(pid_t pid)
{
	int st = -1;

	return waitpid(pid, &st, WUNTRACED | WCONTINUED) == pid ? st : -1;
}

static void
stop_and_continue(pid_t pid, const char *what)
{
	int st;

	kill(pid, SIGSTOP);
	st = next_status(pid);
	ok(st != -1 && WIFSTOPPED(st), "%s: stopped", what);
	is_int(dbg_cmd("fsck"), 0, "the invariants hold");
	kill(pid, SIGCONT);
	st = next_status(pid);
	ok(st != -1 && WIFCONTINUED(st), "%s: continued", what);
}

static pid_t
start(child_fn fn, void *arg)
{
	return spawn_ready(fn, arg, sh, sizeof(*sh), &sh->ready);
}

/* --- suspended, parked ------------------------------------------------------------- */

static void
counter(void *arg)
{
	(void)arg;
	for (;;)
		atomic_fetch_add(&sh->count, 1);
}

static void
parker(void *arg)
{
	struct timespec ts = { 0, 200000000 };

	(void)arg;
	while (_lwp_park(CLOCK_MONOTONIC, 0, &ts, 0, NULL, NULL) != 0 && errno == EINTR)
		continue;
	atomic_store(&sh->late, errno == ETIMEDOUT);
	atomic_fetch_add(&sh->parked, 1);
	while (_lwp_park(CLOCK_MONOTONIC, 0, NULL, 0, NULL, NULL) != 0)
		continue;
	atomic_fetch_add(&sh->parked, 1);
	_lwp_exit();
}

static int
with_suspended(void *arg)
{
	lwpid_t s = lwp_start(stacks[0], counter, NULL, 0), p;

	(void)arg;
	lwp_until(&sh->count, 1);
	p = lwp_start(stacks[1], parker, NULL, 0);
	_lwp_suspend(s);
	word_add(&sh->ready, 1);
	word_wait(&sh->gate, 1);
	_lwp_unpark(p, NULL);
	_lwp_wait(p, NULL);
	_lwp_continue(s);
	word_wait(&sh->gate, 2);
	return 0;
}

static void
test_suspended(void)
{
	pid_t pid = start(with_suspended, NULL);
	int n, parked, st;

	kill(pid, SIGSTOP);
	st = next_status(pid);
	ok(WIFSTOPPED(st), "a process with a suspended and a parked LWP is stopped");
	n = atomic_load(&sh->count);
	parked = atomic_load(&sh->parked); /* 1 where the host was so slow that its time was over */
	sleep_ms(300);
	is_int(atomic_load(&sh->parked), parked, "the parked one stays, though its time is over");
	kill(pid, SIGCONT);
	st = next_status(pid);
	ok(WIFCONTINUED(st), "continued");
	lwp_until(&sh->parked, 1);
	is_int(atomic_load(&sh->late), 1, "the parked one learns that its time is over");
	sleep_ms(5);
	is_int(atomic_load(&sh->count), n, "the suspended one stays suspended");
	stop_and_continue(pid, "with one parked for ever");
	word_add(&sh->gate, 1);
	lwp_until(&sh->count, n + 1);
	is_int(atomic_load(&sh->parked), 2, "unparked, it went on");
	kill(pid, SIGSTOP);
	next_status(pid);
	n = atomic_load(&sh->count);
	sleep_ms(5);
	is_int(atomic_load(&sh->count), n, "the other one, continued, stops like all");
	kill(pid, SIGCONT);
	next_status(pid);
	word_add(&sh->gate, 1);
	is_exit(reap(pid), 0, "it ends");
}

static void
toggler(void *arg)
{
	lwpid_t lid = (lwpid_t)(long)arg;

	for (;;) {
		_lwp_suspend(lid);
		_lwp_continue(lid);
	}
}

static int
toggled(void *arg)
{
	lwpid_t lid = lwp_start(stacks[0], counter, NULL, 0);

	(void)arg;
	lwp_start(stacks[1], toggler, (void *)(long)lid, 0);
	word_add(&sh->ready, 1);
	while (atomic_load(&sh->gate) == 0)
		continue;
	return 0;
}

/* Who is continued while its process begins to stop, having been suspended when it began, stops with it. */
static void
test_toggled(long n)
{
	pid_t pid = start(toggled, NULL);
	long i;
	int st, count;

	for (i = 0; i < n; i++) {
		long long end = now_ns() + 10000000000LL;

		thr_spin((unsigned)(i * 37 % 5000));
		kill(pid, SIGSTOP);
		while (waitpid(pid, &st, WUNTRACED | WNOHANG) != pid && now_ns() < end)
			raw0(RAW_YIELD);
		count = atomic_load(&sh->count);
		thr_spin(2000);
		if (now_ns() >= end || atomic_load(&sh->count) != count)
			break;
		kill(pid, SIGCONT);
	}
	is_int(i, n, "a process stops while one LWP suspends and continues another");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "it ends");
}

/* --- vfork --------------------------------------------------------------------------- */

static void
nap(void)
{
	struct timespec ts = { 0, 1000000 };

	raw3(RAW_NANOSLEEP, (long)&ts, 0, 0);
}

static int
vforks(void *arg)
{
	int st = 0;
	pid_t pid;

	if (arg != NULL)
		lwp_start(stacks[0], counter, NULL, 0);
	pid = vfork();
	if (pid == 0) {
		atomic_store(&sh->parked, getpid());
		word_add(&sh->ready, 1);
		while (atomic_load(&sh->gate) == 0)
			nap();
		_exit(6);
	}
	waitpid(pid, &st, 0);
	return WEXITSTATUS(st);
}

static void
test_vfork(void)
{
	for (long i = 0; i < 2; i++) {
		pid_t pid = start(vforks, i != 0 ? sh : NULL);

		stop_and_continue(pid, "B54: a vfork parent");
		kill(pid, SIGSTOP);
		next_status(pid);
		word_add(&sh->gate, 1);
		sleep_ms(10);
		ok(waitpid(pid, NULL, WNOHANG) == 0, "its child ends; it stays stopped");
		kill(pid, SIGCONT);
		is_exit(reap(pid), 6, "then it goes on");
	}
}

static int
vforks_group(void *arg)
{
	setpgid(0, 0);
	return vforks(arg);
}

/* --- SIGKILL --------------------------------------------------------------------------- */

static void
test_kill(long n)
{
	long killed = 0;

	for (long i = 0; i < n; i++) {
		pid_t pid =
		    start(i % 3 == 0 ? with_suspended : vforks_group, i % 3 == 1 ? sh : NULL);
		int st;

		kill(pid, SIGSTOP);
		if (i % 2 != 0)
			next_status(pid);
		else
			thr_spin((unsigned)i * 100);
		if (i % 3 != 0)
			kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		do
			st = next_status(pid);
		while (st != -1 && WIFSTOPPED(st));
		killed += st != -1 && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
		while (waitpid(-1, NULL, 0) != -1)
			continue;
	}
	is_int(killed, n, "B58: SIGKILL ends a stopped process, whatever its LWPs do");
}

static int
stop_init(void *arg)
{
	(void)arg;
	return kill(1, SIGSTOP) == 0 && kill(1, SIGTSTP) == 0 && kill(1, SIGCONT) == 0 ? 0 : 1;
}

static void
nothing(int sig)
{
	(void)sig;
}

static int
join_init(void *arg)
{
	pid_t pid;

	(void)arg;
	setpgid(0, 0);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	if (setpgid(pid, getpgid(1)) != 0)
		return 1;
	atomic_store(&sh->late, pid);
	word_add(&sh->ready, 1);
	word_wait(&sh->gate, 1);
	return 0;
}

/* A stop signal that was not to stop when it was sent, to init, in a group that is not orphaned. */
static void
test_init(void)
{
	pid_t pid = start(join_init, NULL);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	signal(SIGTSTP, nothing);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(1, SIGTSTP);
	signal(SIGTSTP, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	ok(getpid() == 1, "nor by a signal that had a handler once");
	kill(atomic_load(&sh->late), SIGKILL);
	word_add(&sh->gate, 1);
	is_exit(reap(pid), 0, "its group was not orphaned");
	reap_all();
}

int
main(int argc, char **argv)
{
	sh = shared_mem(PAGE);
	become_reaper();
	test_suspended();
	test_toggled(60);
	test_vfork();
	test_kill(arg_rounds(argc, argv, 12));
	is_exit(run_child(stop_init, NULL), 0, "init is not stopped");
	test_init();
	return tap_done();
}
