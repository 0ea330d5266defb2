/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every legal change of an LWP's state (LWP_TRANSITIONS) is made: LWPs are born, sleep, are suspended and die while
 * their process is stopped, continued and held. The kernel counts the changes. B52's windows are open: those
 * between a sleep, a stop or a suspension and the switch, which take a second CPU to be hit.
 *
 * test: host=no smp=2,4 timeout=120 append="fp=rest-not-switched:300,sleep-queued-not-switched:200,id-published-not-started:100,stop-not-taken:200"
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define LIMIT_MS 90000

static char stacks[4][LWP_STACK] __attribute__((aligned(64)));
static atomic_int *word;

static void
brief(void *arg)
{
	(void)arg;
}

static void
mother(void *arg)
{
	lwpid_t lid;

	(void)arg;
	for (;;)
		if ((lid = lwp_start(stacks[1], brief, NULL, 0)) > 0)
			while (_lwp_wait(lid, NULL) != 0)
				continue;
}

/* Sleeps with others of another process on a word. */
static void
sleeper(void *arg)
{
	struct timespec ts = { 0, 300000 };

	(void)arg;
	for (;;) {
		raw6(RAW_FUTEX, (long)word, FUT_WAIT, 0, (long)&ts, 0, 0);
		raw0(RAW_YIELD);
	}
}

static int
actors(void *arg)
{
	lwpid_t lid;
	unsigned i;

	(void)arg;
	lwp_start(stacks[0], mother, NULL, 0);
	lwp_start(stacks[2], sleeper, NULL, 0);
	lid = lwp_start(stacks[3], sleeper, NULL, 0);
	for (i = 0;; i++) {
		_lwp_suspend(lid);
		thr_spin(i * 13 % 300);
		_lwp_continue(lid);
		thr_spin(i * 7 % 300);
	}
	return 0;
}

/* Is it stopped, in time? */
static int
stopped_soon(pid_t pid)
{
	int st, i;

	for (i = 0; i < 20000; i++) {
		if (waitpid(pid, &st, WUNTRACED | WNOHANG) == pid)
			return 1;
		usleep(1000);
	}
	return 0;
}

int
main(void)
{
	long long end = now_ns() + LIMIT_MS * 1000000LL;
	char hold[40];
	int missing, lost = 0;
	unsigned i;
	pid_t pid;

	word = shared_mem(PAGE);
	pid = spawn(actors, NULL);
	snprintf(hold, sizeof(hold), "hold %d 0", pid);
	do {
		for (i = 0; i < 100; i++) {
			kill(pid, SIGSTOP);
			thr_spin(i * 31 % 2000);
			futex(word, FUT_WAKE, 100, NULL, NULL, 0);
			if (i % 3 == 0 && !stopped_soon(pid))
				lost++;
			kill(pid, SIGCONT);
			thr_spin(i * 17 % 2000);
			if (i % 10 == 0)
				dbg_cmd(hold);
		}
		missing = dbg_cmd("ktest lwp-changes");
	} while (missing != 0 && lost == 0 && now_ns() < end);
	is_int(lost, 0, "each stop that is asked for comes");
	is_int(missing, 0, "each legal change of state was made");
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "and all can be killed");
	return tap_done();
}
