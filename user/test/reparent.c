/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Orphans: alive or already dead, they come to the reaper and are collected
 * there (B62); parents and children that exit together (B65, B26).
 *
 * test: timeout=90
 * test: name=b62 flavour=debug smp=2,4 append="fp=exit-after-DEAD:500" args="50"
 * test: name=b65 flavour=debug smp=2,4 append="fp=exit-after-wake-before-switch:500" args="50"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static atomic_int *gate, *seen;

static int
orphan(void *arg)
{
	pid_t before = getppid();

	(void)arg;
	word_add(seen, 1);
	word_wait(gate, 1);
	while (getppid() == before)
		sleep_ms(1);
	return 61;
}

static int
dead_at_once(void *arg)
{
	return (int)(long)arg;
}

static int
leave_orphans(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 5; i++)
		spawn(orphan, NULL);
	word_wait(seen, 5);
	return 60;
}

static int
leave_dead(void *arg)
{
	siginfo_t si;
	pid_t pid;
	int i;

	(void)arg;
	for (i = 0; i < 5; i++) {
		pid = spawn(dead_at_once, (void *)62);
		waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	}
	return 60;
}

static int
count_status(int code)
{
	int st, n = 0;

	while (waitpid(-1, &st, 0) > 0)
		n += WIFEXITED(st) && WEXITSTATUS(st) == code;
	return n;
}

static void
test_orphans(void)
{
	pid_t pid;

	pid = spawn(leave_orphans, NULL);
	is_exit(reap(pid), 60, "a parent exits before its five children");
	is_int(waitpid(-1, NULL, WNOHANG), 0, "they live, and are ours now");
	word_add(gate, 1);
	is_int(count_status(61), 5, "they see a new parent, and we collect them");
	pid = spawn(leave_dead, NULL);
	is_exit(reap(pid), 60, "B62: a parent exits with five dead children");
	is_int(count_status(62), 5, "the reaper collects them");
}

/* The reaper sleeps in wait when it inherits a child that is dead already. */
static int
late_leave_dead(void *arg)
{
	sleep_ms(60);
	return leave_dead(arg);
}

static void
test_sleeping_reaper(void)
{
	int st, n = 0, first;

	spawn(late_leave_dead, NULL);
	while (waitpid(-1, &st, 0) > 0)
		n++;
	first = n;
	is_int(first, 6, "B62: a reaper asleep in wait gets the dead ones too");
}

static int
tree(void *arg)
{
	long depth = (long)arg;
	int i;

	for (i = 0; depth > 0 && i < 3; i++)
		spawn(tree, (void *)(depth - 1));
	if (depth == 0)
		word_wait(gate, 1);
	return 0;
}

static void
test_together(long n)
{
	long i, total = 0;

	for (i = 0; i < n; i++) {
		atomic_store(gate, 0);
		spawn(tree, (void *)2L);
		if (i & 1)
			sleep_ms(1);
		word_add(gate, 1);
		total += reap_all();
	}
	is_int(
	    total, n * 13, "B65: parents and children that exit together: each is collected once");
}

static void *
fork_and_leave(void *arg)
{
	(void)arg;
	spawn(dead_at_once, (void *)63);
	return NULL;
}

static int
threads_with_children(void *arg)
{
	pthread_t t[4];
	int i;

	(void)arg;
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, fork_and_leave, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return count_status(63);
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 15);

	become_reaper();
	gate = shared_mem(PAGE);
	seen = gate + 16;
	test_orphans();
	test_sleeping_reaper();
	test_together(n);
	is_exit(
	    run_child(threads_with_children, NULL), 4, "children of threads belong to the process");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
