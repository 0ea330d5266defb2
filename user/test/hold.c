/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds, the single-threading modes NO_EXIT and ALLPROC (docs/protocol.md 4.3): who runs stands still, who sleeps
 * rests in its sleep and is not told, kills and exits win, stops and continues combine, and two holders take turns.
 *
 * test: host=no timeout=120
 * test: name=fp smp=2,4 append="fp=stop-not-taken:300,sleep-queued-not-switched:100,woken-while-RUNNING:50,lwp-exit-begun:200,exec-commit:200" args="15" host=no timeout=120
 * test: name=off smp=1,2,4 args="off" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define LIMIT_MS 30000

extern char **environ;

static struct shared {
	atomic_int ready, count, parks, got, handled, alive, begun, over, lid[4];
} * sh;

static char stacks[4][LWP_STACK] __attribute__((aligned(64)));
static int to_child[2];
static const char *garbage;

/* ---- what is held ---- */

static void
spinner(void *arg)
{
	(void)arg;
	atomic_store(&sh->lid[0], _lwp_self());
	atomic_fetch_add(&sh->ready, 1);
	for (;;)
		atomic_fetch_add(&sh->count, 1);
}

/* Nobody unparks it, and a park that is interrupted does not start again: it would be seen here. */
static void
parker(void *arg)
{
	(void)arg;
	atomic_store(&sh->lid[1], _lwp_self());
	atomic_fetch_add(&sh->ready, 1);
	for (;;) {
		_lwp_park(CLOCK_MONOTONIC, 0, NULL, 0, NULL, NULL);
		atomic_fetch_add(&sh->parks, 1);
	}
}

static void
reader(void *arg)
{
	char c;

	(void)arg;
	atomic_store(&sh->lid[2], _lwp_self());
	atomic_fetch_add(&sh->ready, 1);
	while (raw3(0, to_child[0], (long)&c, 1) == 1)
		atomic_fetch_add(&sh->got, 1);
	atomic_store(&sh->got, -1);
}

static void
handler(int sig)
{
	(void)sig;
	atomic_fetch_add(&sh->handled, 1);
}

static int
victim(void *arg)
{
	sigset_t set;
	(void)arg;

	signal(SIGUSR1, handler);
	lwp_start(stacks[0], spinner, NULL, 0);
	/* The others take no signal of the process. */
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	lwp_start(stacks[1], parker, NULL, 0);
	lwp_start(stacks[2], reader, NULL, 0);
	atomic_store(&sh->lid[3], _lwp_self());
	atomic_fetch_add(&sh->ready, 1);
	for (;;)
		pause();
	return 0;
}

/* ---- holders ---- */

struct holder {
	pthread_t thread;
	pid_t pid;
	int ms, result;
	atomic_int over;
};

static void *
holder_main(void *arg)
{
	struct holder *h = arg;
	char cmd[40];

	snprintf(cmd, sizeof(cmd), "hold %d %d", h->pid, h->ms);
	h->result = dbg_cmd(cmd);
	atomic_store(&h->over, 1);
	return NULL;
}

static void
holder_start(struct holder *h, pid_t pid, int ms)
{
	h->pid = pid;
	h->ms = ms;
	h->over = 0;
	pthread_create(&h->thread, NULL, holder_main, h);
}

static int
holder_end(struct holder *h)
{
	pthread_join(h->thread, NULL);
	return h->result;
}

/* As that, of one that would hold for long. */
#define LONG_MS 100000
static int
holder_cut(struct holder *h)
{
	while (!atomic_load(&h->over)) {
		pthread_kill(h->thread, SIGUSR2);
		sleep_ms(1);
	}
	return holder_end(h);
}

static void
ignore(int sig)
{
	(void)sig;
}

static void
until_rests(atomic_int *lid)
{
	char cmd[40];

	snprintf(cmd, sizeof(cmd), "rests %d", atomic_load(lid));
	while (dbg_cmd(cmd) != 0)
		sleep_ms(1);
}

/* Is the spinner held, so that its count stands still? */
static int
still(void)
{
	int before;

	until_rests(&sh->lid[0]);
	before = atomic_load(&sh->count);
	sleep_ms(20);
	return atomic_load(&sh->count) == before;
}

static long long
limit(void)
{
	return now_ns() + LIMIT_MS * 1000000LL;
}

static int
more(atomic_int *w)
{
	long long end = limit();
	int before = atomic_load(w);

	while (atomic_load(w) == before && now_ns() < end)
		sleep_ms(1);
	return atomic_load(w) != before;
}

static int
moves(void)
{
	return more(&sh->count);
}

static int
soon(atomic_int *w, int n)
{
	long long end = limit();

	while (atomic_load(w) < n && now_ns() < end)
		sleep_ms(1);
	return atomic_load(w) == n;
}

static pid_t
victim_start(void)
{
	unsigned i;
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	pid = spawn(victim, NULL);
	lwp_until(&sh->ready, 4);
	for (i = 1; i < NELEM(sh->lid); i++) /* asleep, all but the spinner */
		until_rests(&sh->lid[i]);
	return pid;
}

static int
status_of(pid_t pid, int options)
{
	long long end = limit();
	int st;

	do {
		if (waitpid(pid, &st, options | WNOHANG) == pid)
			return st;
		sleep_ms(1);
	} while (now_ns() < end);
	return -1;
}

/* ---- rows ---- */

static void
test_allproc(void)
{
	pid_t pid = victim_start();
	struct holder h, h2;
	int i, bad = 0;

	holder_start(&h, pid, LONG_MS);
	ok(still(), "ALLPROC, in user mode: stands still");
	ok(write(to_child[1], "x", 1) == 1 && kill(pid, SIGUSR1) == 0,
	    "it is sent a byte and a signal");
	sleep_ms(20);
	ok(atomic_load(&sh->got) == 0 && atomic_load(&sh->handled) == 0,
	    "and takes neither while it is held");
	is_int(holder_cut(&h), -EINTR, "the holder is interrupted, and the hold ends");
	ok(moves(), "then it runs on");
	ok(soon(&sh->got, 1) && soon(&sh->handled, 1), "and takes both");
	for (i = 0; i < 30; i++) {
		holder_start(&h, pid, 0);
		holder_start(&h2, pid, 1);
		bad += holder_end(&h) != 0;
		bad += holder_end(&h2) != 0;
	}
	is_int(bad, 0, "two holders take turns");
	ok(moves(), "and it runs on");
	is_int(
	    atomic_load(&sh->parks), 0, "ALLPROC, asleep: rests in place, no call was interrupted");
	holder_start(&h, 0, 100);
	is_int(holder_end(&h), 0, "everybody is held, the tester too, and let go");
	ok(moves(), "all run on");
	is_int(atomic_load(&sh->parks), 0, "no call was interrupted");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "it can be killed");
	is_int(dbg_cmd("hold 4000000 1"), -ESRCH, "hold of nobody: ESRCH");
}

static void
test_kill(int sig)
{
	pid_t pid = victim_start();
	struct holder h;
	int st;

	holder_start(&h, pid, LONG_MS);
	still();
	kill(pid, sig);
	st = status_of(pid, 0);
	ok(!atomic_load(&h.over), "signal %d does not wait for the end of the hold", sig);
	is_killed(st, sig, "it has killed");
	is_int(holder_cut(&h), -EINTR, "the holder does not mind");
}

static void
test_stop(void)
{
	pid_t pid = victim_start();
	struct holder h;
	int st;

	holder_start(&h, pid, LONG_MS);
	still();
	kill(pid, SIGSTOP);
	is_int(holder_cut(&h), -EINTR, "held, then sent SIGSTOP");
	st = status_of(pid, WUNTRACED);
	ok(st != -1 && WIFSTOPPED(st), "it is stopped after the hold");
	holder_start(&h, pid, LONG_MS);
	sleep_ms(20); /* held, or not yet */
	kill(pid, SIGCONT);
	st = status_of(pid, WCONTINUED);
	ok(st != -1 && WIFCONTINUED(st), "stopped, held and continued: that is reported at once");
	ok(still(), "but it stands still as long as it is held");
	is_int(holder_cut(&h), -EINTR, "the hold ends");
	ok(moves(), "and it runs");
	holder_start(&h, pid, 0);
	kill(pid, SIGSTOP);
	holder_end(&h);
	st = status_of(pid, WUNTRACED);
	ok(st != -1 && WIFSTOPPED(st), "stop and hold at once: it is stopped");
	kill(pid, SIGCONT);
	ok(moves(), "and goes on");
	is_int(atomic_load(&sh->parks), 0, "no call was interrupted");
	kill(pid, SIGKILL);
	reap(pid);
}

/* Has others of its process that can take a stop while one of them holds another process. */
static int
holds(void *arg)
{
	struct holder h;

	holder_start(&h, *(int *)arg, LONG_MS);
	atomic_store(&sh->begun, 1);
	return holder_end(&h);
}

/* A holder that stops lets go: if it held all, nobody could continue it. */
static void
test_stop_holder(void)
{
	int *victim_pid = shared_mem(sizeof(int)), st;
	pid_t pid;

	*victim_pid = victim_start();
	pid = spawn(holds, victim_pid);
	lwp_until(&sh->begun, 1);
	ok(still(), "held by a process of more LWPs");
	kill(pid, SIGSTOP);
	st = status_of(pid, WUNTRACED);
	ok(st != -1 && WIFSTOPPED(st), "which is stopped");
	ok(moves(), "and then does not hold any more");
	kill(pid, SIGCONT);
	ok(still(), "continued it holds again");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "it is killed");
	ok(moves(), "and holds no more");
	kill(*victim_pid, SIGKILL);
	reap(*victim_pid);
}

/* The other LWPs of the own process. */
static int
hold_self(void *arg)
{
	char cmd[40];

	(void)arg;
	lwp_start(stacks[0], spinner, NULL, 0);
	lwp_start(stacks[1], parker, NULL, 0);
	lwp_until(&sh->ready, 2);
	until_rests(&sh->lid[1]);
	snprintf(cmd, sizeof(cmd), "hold %d %d", getpid(), LONG_MS);
	atomic_store(&sh->begun, 1);
	if (dbg_cmd(cmd) != -EINTR)
		return 1;
	atomic_store(&sh->over, 1);
	return moves() && atomic_load(&sh->parks) == 0 ? 0 : 2;
}

static void
test_no_exit(void)
{
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	pid = spawn(hold_self, NULL);
	lwp_until(&sh->begun, 1);
	ok(still(), "NO_EXIT: the others stand still");
	while (!atomic_load(&sh->over)) {
		kill(pid, SIGUSR2);
		sleep_ms(1);
	}
	ok(1, "the holder does not, and takes a signal");
	is_exit(reap(pid), 0, "then they run on, and the sleeper has slept on");
}

/* ---- storms ---- */

static void *
exec_fails(void *arg)
{
	char *argv[] = { (char *)"x", NULL };

	(void)arg;
	for (;;) {
		if (execve("/no/such/file", argv, environ) != -1 || errno != ENOENT)
			_exit(1);
		if (execve(garbage, argv, environ) != -1 || errno != ENOEXEC)
			_exit(1);
		atomic_fetch_add(&sh->count, 1);
	}
	return NULL;
}

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void *
forks(void *arg)
{
	(void)arg;
	for (;;) {
		if (run_child(nothing, NULL) != 0)
			_exit(2);
		atomic_fetch_add(&sh->alive, 1);
	}
	return NULL;
}

static void *
none(void *arg)
{
	return arg;
}

static int
busy(void *arg)
{
	pthread_t t;

	(void)arg;
	pthread_create(&t, NULL, exec_fails, NULL);
	pthread_create(&t, NULL, exec_fails, NULL);
	pthread_create(&t, NULL, forks, NULL);
	for (;;) {
		if (pthread_create(&t, NULL, none, NULL) != 0)
			return 3;
		pthread_join(t, NULL);
		atomic_fetch_add(&sh->handled, 1);
	}
}

static int
hold_other(void *arg)
{
	char cmd[40];
	int i;

	lwp_until(&sh->begun, 1);
	snprintf(cmd, sizeof(cmd), "hold %d 0", *(int *)arg);
	for (i = 0; i < 20; i++)
		if (dbg_cmd(cmd) != 0)
			return 1;
	return 0;
}

static void
test_storm(long n)
{
	int *pids = shared_mem(2 * sizeof(int)), bad = 0, seen;
	char cmd[40];
	pid_t pid;
	long i;

	memset(sh, 0, sizeof(*sh));
	pid = spawn(busy, NULL);
	snprintf(cmd, sizeof(cmd), "hold %d 1", pid);
	for (i = 0; i < n; i++) {
		bad += dbg_cmd(i % 3 == 2 ? "hold 0 1" : cmd) != 0;
		bad += dbg_cmd("fsck") != 0;
		thr_spin((unsigned)(i * 97 % 3000));
	}
	is_int(bad, 0, "a process that execs in vain, forks and makes threads is held");
	ok(moves(), "its execs fail, and all go on");
	ok(more(&sh->alive), "it forks");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "and can be killed");

	pids[0] = spawn(hold_other, &pids[1]);
	pids[1] = spawn(hold_other, &pids[0]);
	atomic_store(&sh->begun, 1);
	seen = reap_ms(pids[0], LIMIT_MS);
	bad = reap_ms(pids[1], LIMIT_MS);
	/* Who is through first leaves the other nobody to hold. */
	ok(WIFEXITED(seen) && WIFEXITED(bad), "two processes hold each other in turn");

	for (i = bad = 0; i < n; i++) {
		pid = spawn(victim, NULL);
		snprintf(cmd, sizeof(cmd), "hold %d 0", pid);
		thr_spin((unsigned)(i * 331 % 5000));
		kill(pid, i % 2 ? SIGKILL : SIGTERM);
		seen = dbg_cmd(cmd);
		bad += (seen != 0 && seen != -ESRCH) || !WIFSIGNALED(reap(pid));
	}
	is_int(bad, 0, "held while it dies");
}

/* Its LWPs suspend and continue each other: who is continued while it is held is held as the others. */
static int
suspends(void *arg)
{
	lwpid_t lid = lwp_start(stacks[0], spinner, NULL, 0);

	(void)arg;
	lwp_start(stacks[1], parker, NULL, 0);
	for (;;) {
		_lwp_suspend(lid);
		_lwp_continue(lid);
		atomic_fetch_add(&sh->alive, 1);
	}
	return 0;
}

static void
test_suspend(long n)
{
	struct holder h;
	pid_t pid;
	long i;
	int bad = 0;

	memset(sh, 0, sizeof(*sh));
	pid = spawn(suspends, NULL);
	lwp_until(&sh->ready, 2);
	for (i = 0; i < n && bad == 0; i++) {
		holder_start(&h, pid, 0);
		if (!soon(&h.over, 1)) {
			kill(pid, SIGKILL);
			bad++;
		}
		bad += holder_end(&h) != 0;
		thr_spin((unsigned)(i * 97 % 3000));
	}
	is_int(bad, 0, "a process whose LWPs suspend and continue each other is held");
	ok(more(&sh->alive) && moves(), "they go on");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "and can be killed");
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = ignore };
	struct holder h;

	sh = shared_mem(sizeof(*sh));
	garbage = data_path("garbage");
	sigaction(SIGUSR2, &sa, NULL);
	if (pipe(to_child) != 0)
		return 1;
	if (argc > 1 && strcmp(argv[1], "off") == 0) {
		victim_start();
		ok(moves(), "power off while others run");
		holder_start(&h, getpid(), 0);
		tap_done();
		reboot(RB_POWER_OFF);
		return 1;
	}
	test_allproc();
	test_kill(SIGKILL);
	test_kill(SIGTERM);
	test_stop();
	test_stop_holder();
	test_no_exit();
	test_suspend(arg_long(argc, argv, 1, 40) * 2);
	test_storm(arg_long(argc, argv, 1, 40));
	return tap_done();
}
