/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RLIMIT_NPROC makes fork fail with EAGAIN, and a fork that fails leaves all
 * counts as they were: B1 (the error path leaked, until nobody could fork).
 * Root is not held to this limit, so the process becomes another user's first.
 *
 * test: timeout=60 host=no
 * test: name=stack smp=2,4 append="fp=stack-not-freed:500" args="100" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MAX 64

static atomic_int *gate;
static long tries;
static struct {
	long made, again, made_after, other, vfork_again;
} * rep;

static int
live(void *arg)
{
	(void)arg;
	word_wait(gate, 1);
	return 0;
}

/* Fork until it fails. */
static long
fill(void)
{
	pid_t pid;
	long n = 0;

	while (n < MAX && (pid = spawn(live, NULL)) != -1)
		n++;
	return n;
}

static int
limited(void *arg)
{
	struct rlimit rl = { (rlim_t)(long)arg, 1000 };
	pid_t pid;
	long i;

	if (setrlimit(RLIMIT_NPROC, &rl) == -1 || setuid(54321) == -1)
		return 1;
	rep->made = fill();
	for (i = 0; i < tries; i++) {
		pid = i % 4 == 3 ? vfork() : fork();
		if (pid == 0)
			_exit(0);
		if (pid == -1 && errno == EAGAIN)
			rep->again++;
		else
			rep->other++;
	}
	word_add(gate, 1);
	reap_all();
	atomic_store(gate, 0);
	rep->made_after = fill();
	word_add(gate, 1);
	reap_all();
	rl.rlim_cur = 1000;
	if (setrlimit(RLIMIT_NPROC, &rl) == -1)
		return 2;
	return run_child(live, NULL) == 0 ? 47 : 3;
}

int
main(int argc, char **argv)
{
	gate = shared_mem(PAGE);
	rep = shared_mem(PAGE);
	tries = 4;
	run_child(limited, (void *)12L); /* fill the kernel's caches and our shared pages */
	memset(rep, 0, sizeof(*rep));
	atomic_store(gate, 0);
	tries = arg_long(argc, argv, 1, 1000);
	is_int(dbg_cmd("ledger-begin"), 0, "take the ledger");
	is_exit(run_child(limited, (void *)12L), 47, "a process under a limit of twelve");
	is_int(rep->made, 11, "it could fork eleven: it counts itself");
	is_int(rep->again, tries, "B1: each further fork and vfork fails with EAGAIN");
	is_int(rep->other, 0, "and with nothing else");
	is_int(rep->made_after, rep->made, "B1: after them as many can be made as before");
	is_int(dbg_cmd("ledger-end"), 0, "B1: nothing was lost");
	return tap_done();
}
