/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops and continues of a process that meanwhile sleeps and wakes (B41, B52), makes and loses threads (B48), execs,
 * exits, is killed (B58), or forks in a group that is killed (B59). Each stop that is asked for ends in a stop, each
 * continue in its going on, and nothing that was handed over is lost. docs/protocol.md 4.3: a stop.
 *
 * test: timeout=120 host=no
 * test: name=b41 smp=2,4 append="fp=sleep-queued-not-switched:200,woken-while-RUNNING:100,stop-not-taken:300" args="10" host=no timeout=120
 * test: name=b48 smp=2,4 append="fp=lwp-exit-begun:2000,zombie-before-switch:300,stopped-not-at-rest:500,exit-after-DEAD:200" args="10" host=no timeout=120
 * test: name=exec smp=2,4 append="fp=exec-commit:500,signal-not-taken:200,id-published-not-started:200" args="10" host=no timeout=120
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define LIMIT_MS  30000
#define RAW_TKILL 200

static struct {
	atomic_int ready, stop, failed;
	atomic_int ping, pong, forked;
} * sh;

static struct rng rnd;

/* The next status of pid, or -1: it says nothing for too long. */
static int
status_soon(pid_t pid, int options)
{
	long long end = now_ns() + LIMIT_MS * 1000000LL;
	int st;

	while (now_ns() < end) {
		if (waitpid(pid, &st, options | WNOHANG) == pid)
			return st;
		raw0(RAW_YIELD);
	}
	return -1;
}

/*
 * Stops and continues pid n times, or until it ends. Returns its last status if it has ended, 0 if it lives, -1 if
 * something was missing.
 */
static int
harass(pid_t pid, long n)
{
	for (long i = 0; i < n; i++) {
		int st;

		thr_spin(rng_below(&rnd, 3000));
		kill(pid, SIGSTOP);
		if (rng_below(&rnd, 3) == 0) { /* at once */
			kill(pid, SIGCONT);
			continue;
		}
		do
			st = status_soon(pid, WUNTRACED);
		while (st != -1 && WIFSTOPPED(st) && WSTOPSIG(st) != SIGSTOP);
		if (st == -1 || !WIFSTOPPED(st))
			return st;
		thr_spin(rng_below(&rnd, 3000));
		kill(pid, SIGCONT);
	}
	return 0;
}

/* --- B41, B52: sleepers ------------------------------------------------------------ */

#define PAIRS 2

static int pipes[PAIRS][2][2];

static void *
player(void *arg)
{
	long k = (long)arg;
	int in = pipes[k / 2][k % 2][0], out = pipes[k / 2][1 - k % 2][1];
	char c;

	while (!atomic_load(&sh->stop)) {
		if (read(in, &c, 1) != 1 || write(out, &c, 1) != 1)
			atomic_fetch_add(&sh->failed, 1);
	}
	return NULL;
}

static void *
waker(void *arg)
{
	atomic_int *mine = arg != NULL ? &sh->ping : &sh->pong;
	atomic_int *other = arg != NULL ? &sh->pong : &sh->ping;

	for (int n = 1; !atomic_load(&sh->stop); n++) {
		word_add(other, 1);
		while (!atomic_load(&sh->stop) && !word_wait_ms(mine, n, 1000))
			continue; /* it may have been stopped that long */
	}
	return NULL;
}

static int
sleepers(void *arg)
{
	pthread_t t[2 * PAIRS + 2];

	(void)arg;
	for (long k = 0; k < 2 * PAIRS; k++)
		pthread_create(&t[k], NULL, player, (void *)k);
	pthread_create(&t[2 * PAIRS], NULL, waker, NULL);
	pthread_create(&t[2 * PAIRS + 1], NULL, waker, sh);
	for (int k = 0; k < PAIRS; k++)
		write(pipes[k][0][1], "a", 1);
	word_add(&sh->ready, 1);
	word_wait(&sh->stop, 1);
	for (int k = 0; k < PAIRS; k++) { /* who waits goes on */
		write(pipes[k][0][1], "b", 1);
		write(pipes[k][1][1], "b", 1);
	}
	for (size_t k = 0; k < NELEM(t); k++)
		pthread_join(t[k], NULL);
	/* Three were written a pair, and each player has handed on what it took. */
	for (int k = 0; k < PAIRS; k++) {
		int left[2] = { 0 };

		ioctl(pipes[k][0][0], FIONREAD, &left[0]);
		ioctl(pipes[k][1][0], FIONREAD, &left[1]);
		if (left[0] + left[1] != 3)
			return 2;
	}
	return atomic_load(&sh->failed) != 0;
}

static void
test_sleepers(long n)
{
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	for (int k = 0; k < PAIRS; k++)
		if (pipe(pipes[k][0]) != 0 || pipe(pipes[k][1]) != 0)
			bail_out("pipe");
	pid = spawn(sleepers, NULL);
	word_wait(&sh->ready, 1);
	is_int(harass(pid, n), 0, "B41: sleepers that are woken are stopped and continued");
	kill(pid, SIGCONT);
	word_add(&sh->stop, 1);
	is_exit(status_soon(pid, 0), 0, "B52: no wakeup was lost, no call failed");
}

/* --- B48: threads come and go -------------------------------------------------------- */

static void *
leave(void *arg)
{
	thr_spin((unsigned)(uintptr_t)arg);
	return NULL;
}

static void *
churn(void *arg)
{
	pthread_t t[3];

	for (unsigned i = 0; !atomic_load(&sh->stop); i++) {
		int made = 0;

		for (size_t k = 0; k < NELEM(t); k++)
			made += pthread_create(
				    &t[made], NULL, leave, (void *)(uintptr_t)(i % 700)) == 0;
		for (int k = 0; k < made; k++)
			pthread_join(t[k], NULL);
	}
	return arg;
}

static int
churning(void *arg)
{
	pthread_t t[2];

	(void)arg;
	for (size_t k = 0; k < NELEM(t); k++)
		pthread_create(&t[k], NULL, churn, NULL);
	word_add(&sh->ready, 1);
	for (size_t k = 0; k < NELEM(t); k++)
		pthread_join(t[k], NULL);
	return 4;
}

static void
test_churn(long n)
{
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	pid = spawn(churning, NULL);
	word_wait(&sh->ready, 1);
	is_int(harass(pid, n), 0, "B48: a stop does not wait for threads that exit");
	kill(pid, SIGCONT);
	word_add(&sh->stop, 1);
	is_exit(status_soon(pid, 0), 4, "and it ends as it wants to");
}

/* --- exec, exit, kill ------------------------------------------------------------------ */

static int
exec_chain(long left)
{
	char text[24];
	pthread_t t;

	if (left == 0)
		return 9;
	for (int k = 0; k < 2; k++)
		pthread_create(&t, NULL, k == 0 ? churn : leave, (void *)300UL);
	snprintf(text, sizeof(text), "%ld", left - 1);
	execl(self_path(), self_path(), "chain", text, (char *)NULL);
	return 98;
}

static int
start_chain(void *arg)
{
	return exec_chain((long)arg);
}

static int
threads_then_exit(void *arg)
{
	pthread_t t[3];

	for (size_t k = 0; k < NELEM(t); k++)
		pthread_create(&t[k], NULL, k == 0 ? churn : leave, (void *)400UL);
	thr_spin((unsigned)(uintptr_t)arg);
	exit(11);
}

static void
test_ends(long n)
{
	long good = 0, killed = 0, chains = n / 10 + 1;
	int st;

	for (long i = 0; i < chains; i++) {
		pid_t pid = spawn(start_chain, (void *)12L);

		st = harass(pid, 200);
		if (st == 0)
			st = status_soon(pid, 0);
		good += st != -1 && WIFEXITED(st) && WEXITSTATUS(st) == 9;
	}
	is_int(good, chains, "programs that exec under stops come to their end");
	good = 0;
	for (long i = 0; i < n; i++) {
		pid_t pid;

		memset(sh, 0, sizeof(*sh));
		pid = spawn(threads_then_exit, (void *)(uintptr_t)rng_below(&rnd, 20000));
		st = harass(pid, 4);
		if (st == 0)
			st = status_soon(pid, 0);
		good += st != -1 && WIFEXITED(st) && WEXITSTATUS(st) == 11;
	}
	is_int(good, n, "processes that exit under stops do exit");
	for (long i = 0; i < n; i++) {
		pid_t pid;

		memset(sh, 0, sizeof(*sh));
		pid = spawn(churning, NULL);
		word_wait(&sh->ready, 1);
		kill(pid, SIGSTOP);
		thr_spin(rng_below(&rnd, 4000));
		if (i % 2 != 0)
			status_soon(pid, WUNTRACED);
		if (i % 3 == 0)
			kill(pid, SIGCONT);
		kill(pid, SIGKILL);
		do
			st = status_soon(pid, WUNTRACED);
		while (st != -1 && WIFSTOPPED(st));
		killed += st != -1 && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
	}
	is_int(killed, n, "B58: SIGKILL ends what stops or is stopped");
}

/* --- one thread stops, another execs ------------------------------------------------------- */

static void *
spin(void *arg)
{
	atomic_store(&sh->ping, (int)raw0(RAW_GETTID));
	while (!atomic_load(&sh->stop))
		continue;
	return arg;
}

static void *
vforks(void *arg)
{
	while (!atomic_load(&sh->stop)) {
		pid_t pid = vfork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return arg;
}

/* Tries to become what is no program: the threads park each time, and go on. */
static int
failing_exec(void *arg)
{
	pthread_t t[2];

	(void)arg;
	pthread_create(&t[0], NULL, spin, NULL);
	pthread_create(&t[1], NULL, vforks, NULL);
	word_add(&sh->ready, 1);
	while (!atomic_load(&sh->stop))
		if (execl(data_path("garbage"), "x", (char *)NULL) != -1 || errno != ENOEXEC)
			return 1;
	for (size_t k = 0; k < NELEM(t); k++)
		pthread_join(t[k], NULL);
	return 12;
}

static void
test_execs(long n)
{
	long good = 0;
	pid_t pid;
	int st;

	memset(sh, 0, sizeof(*sh));
	pid = spawn(failing_exec, NULL);
	word_wait(&sh->ready, 1);
	while (atomic_load(&sh->ping) == 0)
		raw0(RAW_YIELD);
	for (long i = 0; i < n; i++) {
		thr_spin(rng_below(&rnd, 3000));
		raw3(RAW_TKILL, atomic_load(&sh->ping), SIGSTOP, 0);
		st = status_soon(pid, WUNTRACED);
		if (st == -1 || !WIFSTOPPED(st))
			break;
		kill(pid, SIGCONT);
		good++;
	}
	is_int(good, n, "a thread stops its process while another one execs");
	atomic_store(&sh->stop, 1);
	if (good < n)
		kill(pid, SIGKILL);
	is_exit(status_soon(pid, 0), 12, "and it goes on");
}

/* --- B59: a group that forks ----------------------------------------------------------------- */

#define FORKS 40 /* in a round, no more */

static int
fork_on(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	word_add(&sh->ready, 1);
	while (atomic_fetch_add(&sh->forked, 1) < FORKS) {
		pid_t pid = fork();

		if (pid > 0 && atomic_load(&sh->forked) % 4 == 0)
			_exit(0);
	}
	for (;;)
		pause();
	return 0;
}

static void
test_group(long n)
{
	long good = 0;

	for (long i = 0; i < n; i++) {
		int st, errors = 0;
		pid_t pid;

		memset(sh, 0, sizeof(*sh));
		pid = spawn(fork_on, NULL);
		word_wait(&sh->ready, 1);
		thr_spin(rng_below(&rnd, 20000));
		kill(-pid, SIGSTOP);
		thr_spin(rng_below(&rnd, 2000));
		if (i % 2 != 0)
			kill(-pid, SIGCONT);
		kill(-pid, SIGKILL);
		while (waitpid(-1, &st, 0) != -1)
			errors += WIFSIGNALED(st) && WTERMSIG(st) != SIGKILL;
		good += errors == 0 && kill(-pid, 0) == -1 && errno == ESRCH;
	}
	is_int(good, n, "B59: a group that forks, is stopped and killed has no survivor");
}

int
main(int argc, char **argv)
{
	long n;

	sh = shared_mem(PAGE);
	if (argc > 2 && strcmp(argv[1], "chain") == 0)
		return exec_chain(atol(argv[2]));
	n = arg_rounds(argc, argv, 20);
	rng_seed(&rnd, rng_arg(argc, argv));
	become_reaper();
	test_sleepers(n);
	test_churn(n);
	test_ends(n / 3);
	test_execs(n);
	test_group(n / 10 + 1);
	return tap_done();
}
