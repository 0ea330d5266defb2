/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B28: who is told of an exit by SIGCHLD can collect that child at once, without waiting for it.
 *
 * test: timeout=60
 * test: name=b28 smp=1,2,4 append="fp=exit-after-DEAD:300,exit-after-wake-before-switch:300" args="50" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

static volatile sig_atomic_t seen, missed;

static int
late(void *arg)
{
	thr_spin((unsigned)(long)arg);
	return 0;
}

static void
collect(int sig)
{
	int st;

	(void)sig;
	if (waitpid(-1, &st, WNOHANG) > 0)
		seen++;
	else
		missed++;
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 120), bad = 0;
	struct timespec limit = { 30, 0 };
	siginfo_t si;
	sigset_t set, old;
	pid_t pid;
	int st;

	rng_arg(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (i = 0; i < n; i++) {
		pid = spawn(late, (void *)(i * 37 % 2000));
		if (sigtimedwait(&set, &si, &limit) != SIGCHLD || si.si_pid != pid ||
		    waitpid(pid, &st, WNOHANG) != pid)
			bad++;
		(void)waitpid(pid, &st, WNOHANG); /* in vain, unless that was bad */
	}
	is_int(bad, 0, "B28: a SIGCHLD that was waited for: WNOHANG collects the child");
	signal(SIGCHLD, collect);
	for (i = 0; i < n; i++) {
		pid = spawn(late, (void *)(i * 53 % 2000));
		while (seen + missed == (sig_atomic_t)i)
			sigsuspend(&old);
	}
	is_int(missed, 0, "in a handler, too");
	is_int(seen, n, "each child once");
	return tap_done();
}
