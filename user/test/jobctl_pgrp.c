/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process groups and sessions: every error of setpgid, getpgid, setsid and getsid, and the effect of each that
 * succeeds (B22); orphaned groups: SIGHUP and SIGCONT for one with stopped members, and no stop by a terminal's
 * signals. Counts stay right when all of it happens at random (B23, by fsck at the end).
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define NOBODY 0x3ffffff

static struct {
	atomic_int ready, gate, hup, cont, wrong;
	atomic_int pid;
} * sh;

static int
wait_at_gate(void *arg)
{
	if (arg != NULL)
		setpgid(0, 0);
	word_add(&sh->ready, 1);
	word_wait(&sh->gate, 1);
	return 0;
}

static int
lead_session(void *arg)
{
	int bad = 0;

	(void)arg;
	bad |= setsid() != getpid();
	bad |= (getsid(0) != getpid() || getpgrp() != getpid()) << 1;
	bad |= (setsid() != -1 || errno != EPERM) << 2;
	bad |= (setpgid(0, 0) != -1 || errno != EPERM) << 3;
	word_add(&sh->ready, 1);
	word_wait(&sh->gate, 1);
	return bad;
}

static int
leave_session(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	return setsid() == -1 && errno == EPERM ? 0 : 1; /* a group has our PID */
}

static void
test_errors(void)
{
	pid_t a, b, s, x, home = getpgrp();

	memset(sh, 0, sizeof(*sh));
	a = spawn(wait_at_gate, sh);
	word_wait(&sh->ready, 1);
	b = spawn(wait_at_gate, NULL);
	word_wait(&sh->ready, 2);
	s = spawn(lead_session, NULL);
	word_wait(&sh->ready, 3);
	x = spawn_self("pause", NULL, NULL);
	for (int i = 0; i < 20000 && setpgid(x, 0) == 0; i++)
		sleep_ms(1);

	is_err(setpgid(0, -1), EINVAL, "setpgid to a negative group: EINVAL");
	is_err(setpgid(NOBODY, 0), ESRCH, "of nobody: ESRCH");
	is_err(setpgid(getppid() != 0 ? getppid() : NOBODY, 0), ESRCH, "of no child: ESRCH");
	is_err(setpgid(b, NOBODY), EPERM, "to no group: EPERM");
	is_err(setpgid(a, b), EPERM, "to a PID that is no group: EPERM");
	is_err(setpgid(s, 0), EPERM, "of a session leader: EPERM");
	is_err(setpgid(b, s), EPERM, "to a group of another session: EPERM");
	is_err(setpgid(x, 0), EACCES, "of a child that has exec'ed: EACCES");
	is_int(setpgid(b, a), 0, "to a group of the session: 0");
	ok(getpgid(b) == a, "and the child is there");
	is_int(setpgid(b, b), 0, "to a group of its own: 0");
	ok(getpgid(b) == b, "and it leads it");
	is_int(setpgid(b, b), 0, "again: 0");
	is_int(setpgid(b, home), 0, "and back: 0");
	ok(getpgid(b) == home, "and it is back");
	is_int(setpgid(a, a), 0, "of a leader to its own: 0");
	is_int(setpgid(a, home), 0, "a leader may leave its group");
	is_err(setpgid(b, a), EPERM, "which is gone then: EPERM");
	is_err(kill(-a, 0), ESRCH, "for kill, too");
	ok(getpgid(0) == home && getpgrp() == home, "getpgid of oneself");
	ok(getsid(0) == getsid(a), "a child is in our session");
	ok(getsid(s) == s && getpgid(s) == s, "a leader in its own");
	is_err(getpgid(NOBODY), ESRCH, "getpgid of nobody: ESRCH");
	is_err(getsid(NOBODY), ESRCH, "getsid of nobody: ESRCH");
	is_err(getpgid(-1), ESRCH, "getpgid of -1: ESRCH");
	word_add(&sh->gate, 1);
	is_exit(reap(a), 0, "one ends");
	is_exit(reap(b), 0, "another");
	is_exit(reap(s), 0, "setsid makes a session and a group, once");
	kill(x, SIGKILL);
	reap(x);
	is_exit(run_child(leave_session, NULL), 0, "setsid of a group's leader: EPERM");
}

/* --- orphaned groups -------------------------------------------------------------- */

static void
on_hup(int sig)
{
	(void)sig;
	atomic_fetch_add(&sh->hup, 1);
}

static void
on_cont(int sig)
{
	(void)sig;
	atomic_fetch_add(&sh->cont, 1);
}

static int
member(void *arg)
{
	signal(SIGHUP, on_hup);
	signal(SIGCONT, on_cont);
	atomic_store(&sh->pid, getpid());
	word_add(&sh->ready, 1);
	if (arg != NULL)
		raise(SIGSTOP);
	word_wait_ms(&sh->gate, 1, 100000);
	return 0;
}

/* Leads a group, whose member stops or not, and ends. */
static int
lead_group(void *arg)
{
	siginfo_t si;
	pid_t pid;

	setpgid(0, 0);
	pid = spawn(member, arg);
	word_wait(&sh->ready, 1);
	if (arg != NULL)
		waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT);
	return 0;
}

static int
orphaning_session(void *arg)
{
	int st;
	pid_t pid;

	setsid();
	pid = spawn(lead_group, arg);
	waitpid(pid, &st, 0);
	/* Its member's parent is in another session now. */
	for (int i = 0; i < 3000 && arg != NULL && atomic_load(&sh->cont) == 0; i++)
		sleep_ms(10);
	sleep_ms(20);
	word_add(&sh->gate, 1);
	return 0;
}

static int
in_orphan(void *arg)
{
	(void)arg;
	setsid(); /* its only group has no parent in the session */
	raise(SIGTSTP);
	raise(SIGTTIN);
	raise(SIGTTOU);
	word_add(&sh->ready, 1);
	raise(SIGSTOP);
	return 3;
}

static void
test_orphans(void)
{
	pid_t pid;
	int st;

	memset(sh, 0, sizeof(*sh));
	is_exit(run_child(orphaning_session, sh), 0, "a leader ends, a member is stopped");
	is_int(atomic_load(&sh->hup), 1, "the orphaned group gets SIGHUP");
	is_int(atomic_load(&sh->cont), 1, "and SIGCONT");
	is_int(reap_all(), 1, "the member ends");
	memset(sh, 0, sizeof(*sh));
	is_exit(run_child(orphaning_session, NULL), 0, "a leader ends, no member is stopped");
	is_int(reap_all(), 1, "the member ends");
	is_int(atomic_load(&sh->hup) + atomic_load(&sh->cont), 0, "it got no signal");

	memset(sh, 0, sizeof(*sh));
	pid = spawn(in_orphan, NULL);
	waitpid(pid, &st, WUNTRACED);
	ok(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP,
	    "SIGSTOP stops a member of an orphaned group");
	is_int(atomic_load(&sh->ready), 1, "a terminal's stop signals do not");
	kill(pid, SIGCONT);
	is_exit(reap(pid), 3, "it goes on");
}

/* --- all at random ----------------------------------------------------------------- */

static uint64_t seed;

static int
walk(void *arg)
{
	long depth = (long)arg;
	struct rng r;
	pid_t kid[3] = { 0 };

	rng_seed(&r, seed + (uint64_t)getpid());
	signal(SIGHUP, SIG_IGN);
	for (int i = 0; i < 12; i++) {
		int k = (int)rng_below(&r, NELEM(kid));

		switch (rng_below(&r, 7)) {
		case 0:
			if (kid[k] == 0 && depth > 0)
				kid[k] = spawn(walk, (void *)(depth - 1));
			break;
		case 1:
			setpgid(0, rng_below(&r, 2) ? 0 : getppid());
			break;
		case 2:
			if (kid[k] > 0)
				setpgid(kid[k], rng_below(&r, 2) ? 0 : getpgrp());
			break;
		case 3:
			if (kid[k] > 0)
				kill(kid[k], SIGSTOP);
			break;
		case 4:
			if (kid[k] > 0)
				kill(kid[k], rng_below(&r, 2) ? SIGTSTP : SIGCONT);
			break;
		case 5:
			if (rng_below(&r, 6) == 0)
				setsid();
			break;
		default:
			while (waitpid(-1, NULL, WNOHANG | WUNTRACED | WCONTINUED) > 0)
				continue;
		}
	}
	for (size_t k = 0; k < NELEM(kid); k++)
		if (kid[k] > 0)
			kill(kid[k], SIGCONT);
	return 0;
}

static int
reap_stopped(void)
{
	int n = 0, st;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, &st, WUNTRACED);
		if (pid == -1)
			return n;
		if (WIFSTOPPED(st))
			kill(pid, SIGCONT);
		else
			n++;
	}
}

static void
test_random(long n)
{
	int all = 0;

	/* A walker may join this process's own group, and leave it orphaned with a stopped member. */
	signal(SIGHUP, SIG_IGN);
	for (long i = 0; i < n; i++) {
		for (int k = 0; k < 3; k++)
			spawn(walk, (void *)2L);
		all += reap_stopped();
		dbg_cmd("fsck");
	}
	ok(all >= 3 * n, "B23: trees that fork, move, stop, continue and leave: all end");
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "pause") == 0)
		for (;;)
			pause();
	become_reaper();
	sh = shared_mem(PAGE);
	test_errors();
	test_orphans();
	seed = rng_arg(argc, argv);
	test_random(arg_rounds(argc, argv, 12));
	return tap_done();
}
