/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace is switched on and off, whole or in part, while processes are
 * made and killed, threads wake each other and system calls run on all CPUs:
 * the text that changes under them must be good at every moment.  Afterwards
 * the kernel checks itself.
 *
 * test: timeout=120
 * test: name=on timeout=120 append="trace=all,state trace_size=512"
 * test: name=fp smp=2,4 timeout=120 append="fp=switch-before-clear-RUNNING:50,sleep-queued-not-switched:50" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define STORMERS 3

static const char *const settings[] = { "trace all", "trace off", "trace state,syscall",
	"trace fault", "trace all,state", "trace sched", "trace off", "trace life,wake,lock,ipi" };
static atomic_int *stop, *forks;

static void *
yielder(void *arg)
{
	int i;

	for (i = 0; i < 20; i++)
		sched_yield();
	return arg;
}

static int
child(void *arg)
{
	pthread_t t;

	(void)arg;
	if (pthread_create(&t, NULL, yielder, NULL) == 0)
		pthread_join(t, NULL);
	return 7;
}

/* Forks until told to stop; 1 if a child came to another end than it should. */
static int
stormer(void *arg)
{
	int status;

	(void)arg;
	while (!atomic_load(stop)) {
		status = run_child(child, NULL);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
			return 1;
		atomic_fetch_add(forks, 1);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	long rounds = arg_rounds(argc, argv, 24);
	pid_t pids[STORMERS];
	int i, error = 0, good = 0;
	long r;

	stop = shared_mem(sizeof(*stop));
	forks = shared_mem(sizeof(*forks));
	plan(5);
	is_int(dbg_cmd("trace nonsense"), dbg_cmd("trace off") == -ENOSYS ? -ENOSYS : -EINVAL,
	    "a class that is not there is refused");
	for (i = 0; i < STORMERS; i++)
		pids[i] = spawn(stormer, NULL);
	for (r = 0; r < rounds && error == 0; r++) {
		error = dbg_cmd(settings[r % NELEM(settings)]);
		if (error == -ENOSYS)
			error = 0;
		sleep_ms(3);
	}
	atomic_store(stop, 1);
	for (i = 0; i < STORMERS; i++)
		good += is_exit(reap(pids[i]), 0, "a storm under the switch");
	diag("%d children, %ld switches", atomic_load(forks), r);
	error = error == 0 ? dbg_cmd("fsck") : error;
	ok(good == STORMERS && (error == 0 || error == -ENOSYS),
	    "the kernel finds itself in order");
	return tap_done();
}
