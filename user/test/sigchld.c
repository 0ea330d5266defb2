/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGCHLD: what comes with it, parents that want no zombies, and orphans that
 * are dead already when they come to the reaper (B62).  The row "adopt" ends
 * while the kernel still collects a child that nobody waits for: that is no
 * leak.
 *
 * test: timeout=60
 * test: name=adopt smp=4 append="fp=exit-after-wake-before-switch:900000" args="adopt" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define LIMIT 10000

static atomic_int caught, code, status_seen, pid_seen;
static atomic_int *gate;

static void
on_chld(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)uc;
	atomic_store(&code, si->si_code);
	atomic_store(&status_seen, si->si_status);
	atomic_store(&pid_seen, si->si_pid);
	atomic_fetch_add(&caught, 1);
}

static void
catch_chld(int flags)
{
	struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | flags };

	atomic_store(&caught, 0);
	sigaction(SIGCHLD, &sa, NULL);
}

/* Whether the handler has run n times, or does before long. */
static int
caught_soon(int n)
{
	int i;

	for (i = 0; i < LIMIT && atomic_load(&caught) < n; i++)
		sleep_ms(1);
	return atomic_load(&caught) == n;
}

static int
leave(void *arg)
{
	_exit((int)(long)arg);
}

static void
test_info(void)
{
	pid_t pid;

	catch_chld(SA_RESTART);
	pid = spawn(leave, (void *)(256L + 3));
	is_exit(reap(pid), 3, "a child exits with 256 + 3");
	ok(caught_soon(1), "one SIGCHLD comes");
	is_int(atomic_load(&pid_seen), pid, "it names the child");
	is_int(atomic_load(&code), CLD_EXITED, "which has exited");
	is_int(atomic_load(&status_seen), 3, "with the low eight bits");
	signal(SIGCHLD, SIG_DFL);
}

static void
test_nocldwait(void)
{
	pid_t pid;

	catch_chld(SA_RESTART | SA_NOCLDWAIT);
	pid = spawn(leave, (void *)5L);
	ok(caught_soon(1), "SA_NOCLDWAIT keeps no SIGCHLD from the handler");
	is_int(atomic_load(&status_seen), 5, "it has the status");
	is_err(waitpid(pid, NULL, 0), ECHILD, "there is no zombie");
	signal(SIGCHLD, SIG_DFL);
}

/* The clone call alone: a child that ends without a signal. */
static void
test_silent(void)
{
	int st = 0;
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	pid = (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
	if (pid == 0)
		_exit(6);
	sleep_ms(50);
	is_int(waitpid(pid, &st, __WALL), pid,
	    "a child with another exit signal is waited for though SIGCHLD is ignored");
	is_exit(st, 6, "it has its status");
	signal(SIGCHLD, SIG_DFL);
}

/* --- waits for one child that will be collected by the kernel, while another lives --- */

static int
live(void *arg)
{
	(void)arg;
	word_wait(gate, 2);
	return 0;
}

static int
leave_late(void *arg)
{
	if (arg != NULL)
		setpgid(0, 0);
	word_add(gate, 1);
	sleep_ms(50);
	return 0;
}

static int
wait_for_one(void *arg)
{
	pid_t pid;
	int r;

	signal(SIGCHLD, SIG_IGN);
	spawn(live, NULL);
	pid = spawn(leave_late, arg);
	word_wait(gate, 1);
	r = waitpid(arg != NULL ? -pid : pid, NULL, 0);
	r = r == -1 && errno == ECHILD ? 7 : 8;
	word_add(gate, 1);
	return r;
}

static void
test_wait_one(void)
{
	atomic_store(gate, 0);
	is_exit(reap_ms(spawn(wait_for_one, NULL), LIMIT), 7,
	    "waitpid of a child that the kernel collects: ECHILD at its end");
	atomic_store(gate, 2); /* the one that lives */
	reap_all();
	atomic_store(gate, 0);
	is_exit(reap_ms(spawn(wait_for_one, gate), LIMIT), 7, "of its group: the same");
	atomic_store(gate, 2);
	reap_all();
}

/* --- orphans ------------------------------------------------------------------- */

static int
leave_zombie(void *arg)
{
	siginfo_t si;
	pid_t pid;

	signal(SIGCHLD, SIG_DFL);
	pid = spawn(leave, (void *)9L);
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	atomic_store((atomic_int *)arg, pid);
	return 10;
}

/* Keeps its zombies and lives on, so that only the one above is our child's end. */
static int
middle(void *arg)
{
	spawn(leave_zombie, arg);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
	word_wait(gate, 1);
	return 11;
}

static void
test_orphan(void)
{
	atomic_int *orphan = gate + 1;
	pid_t pid;

	atomic_store(gate, 0);
	catch_chld(SA_RESTART);
	pid = spawn(middle, orphan);
	ok(caught_soon(1), "B62: SIGCHLD comes for an orphan that is dead already");
	is_int(atomic_load(&pid_seen), atomic_load(orphan), "it names the orphan");
	is_int(atomic_load(&status_seen), 9, "and its status");
	is_exit(reap(atomic_load(orphan)), 9, "the reaper collects it");
	word_add(gate, 1);
	is_exit(reap(pid), 11, "then the one between");

	atomic_store(gate, 0);
	signal(SIGCHLD, SIG_IGN);
	pid = spawn(leave_zombie, orphan);
	is_err(waitpid(pid, NULL, 0), ECHILD, "SIGCHLD is ignored: the parent leaves no zombie");
	is_err(waitpid(atomic_load(orphan), NULL, 0), ECHILD, "nor does the orphan that it had");
	signal(SIGCHLD, SIG_DFL);
}

int
main(int argc, char **argv)
{
	become_reaper();
	gate = shared_mem(PAGE);
	if (argc > 1 && strcmp(argv[1], "adopt") == 0) {
		signal(SIGCHLD, SIG_IGN);
		spawn(leave, NULL);
		sleep_ms(20);
		is_int(reap_all(), 0, "there is nobody to wait for");
		return tap_done();
	}
	test_info();
	test_nocldwait();
	test_silent();
	test_wait_one();
	test_orphan();
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
