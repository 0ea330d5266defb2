/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process makes its group anew while the last member of the old one leaves it: setpgid() succeeds
 * whether it finds the group or not (B6), returns success and has its effect (B22). The group's id is not
 * given out while a member lives on without its leader.
 *
 * test: smp=1,2,4
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static struct {
	atomic_int step; /* the two meet here: an even number each time */
	atomic_long failed, strange;
} * shared;

static void
meet(int *n)
{
	*n += 2;
	atomic_fetch_add(&shared->step, 1);
	while (atomic_load(&shared->step) < *n)
		sched_yield();
}

static void
leader(pid_t home, int rounds)
{
	int n = 0;

	for (int i = 0; i < rounds; i++) {
		if (setpgid(0, 0) != 0)
			atomic_fetch_add(&shared->failed, 1);
		meet(&n); /* the member joins */
		meet(&n);
		if (setpgid(0, home) != 0)
			atomic_fetch_add(&shared->failed, 1);
		meet(&n); /* now the member leaves, and at the same time: */
		if (setpgid(0, 0) != 0)
			atomic_fetch_add(&shared->failed, 1);
		if (getpgid(0) != getpid())
			atomic_fetch_add(&shared->strange, 1);
		meet(&n);
		if (setpgid(0, home) != 0)
			atomic_fetch_add(&shared->failed, 1);
		meet(&n);
	}
}

static void
member(pid_t lead, pid_t home, int rounds)
{
	int n = 0;

	for (int i = 0; i < rounds; i++) {
		meet(&n);
		if (setpgid(0, lead) != 0)
			atomic_fetch_add(&shared->failed, 1);
		if (getpgid(0) != lead)
			atomic_fetch_add(&shared->strange, 1);
		meet(&n);
		meet(&n);
		if (setpgid(0, home) != 0)
			atomic_fetch_add(&shared->failed, 1);
		meet(&n);
		meet(&n);
	}
}

int
main(int argc, char **argv)
{
	int rounds = (int)arg_rounds(argc, argv, 120), st;
	pid_t home = getpgid(0), lead, other, group;
	long reused = 0;

	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if ((lead = fork()) == 0) {
		leader(home, rounds);
		_exit(0);
	}
	if ((other = fork()) == 0) {
		member(lead, home, rounds);
		_exit(0);
	}
	waitpid(lead, &st, 0);
	waitpid(other, &st, 0);
	is_int(atomic_load(&shared->failed), 0, "B6: each setpgid succeeds");
	is_int(atomic_load(&shared->strange), 0, "B22: and has its effect");

	/* The leader dies, a member stays: its id is the group's and nobody else's. */
	if ((group = fork()) == 0) {
		setpgid(0, 0);
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
	waitpid(group, &st, 0);
	for (int i = 0; i < 500; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		reused += pid == group;
		waitpid(pid, &st, 0);
	}
	is_int(reused, 0, "the id of a group without its leader is not given out");
	is_int(kill(-group, 0), 0, "the group is there");
	is_int(kill(-group, SIGKILL), 0, "and can be killed");
	return tap_done();
}
