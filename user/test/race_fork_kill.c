/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fatal signal comes for a process that forks.  To a vfork parent, before it
 * sleeps or while it does: it dies at once, whatever its child does (B54's
 * core).  To a group: no child escapes that a sibling of the thread that was
 * told forks meanwhile (B59).
 *
 * test: timeout=60
 * test: name=vfork smp=1,2,4 append="fp=vfork-child-started:3000" args="20" host=no
 * test: name=group smp=2,4 append="fp=signal-not-taken:3000" args="12" host=no
 * test: name=release flavour=release smp=2,4 args="50" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define LIMIT 5000

struct round {
	atomic_int r_started; /* the parent runs */
	atomic_int r_child;   /* pid of its vfork child */
};

static struct round *rd;

static int
vfork_parent(void *arg)
{
	pid_t pid;

	(void)arg;
	atomic_store(&rd->r_started, 1);
	pid = vfork();
	if (pid == 0) {
		atomic_store(&rd->r_child, (int)syscall(SYS_getpid));
		for (;;)
			pause();
	}
	return 0;
}

/* A process to be killed: never a failed fork's -1, which would name all there are. */
static pid_t
must_spawn(child_fn fn, void *arg)
{
	pid_t pid = spawn(fn, arg);

	if (pid <= 0)
		bail_out("fork failed");
	return pid;
}

/* The vfork child has come to us, if there is one; it may not yet have said who it is. */
static void
end_child(void)
{
	pid_t pid;

	while (waitpid(-1, NULL, WNOHANG) != -1) {
		pid = atomic_load(&rd->r_child);
		if (pid > 0)
			kill(pid, SIGKILL);
		sched_yield();
	}
}

static void
test_vfork(long n, int sig, struct rng *r, const char *what)
{
	long i, good = 0;
	long long end;
	pid_t pid;
	int st;

	for (i = 0; i < n; i++) {
		atomic_store(&rd->r_started, 0);
		atomic_store(&rd->r_child, 0);
		pid = must_spawn(vfork_parent, NULL);
		while (!atomic_load(&rd->r_started))
			continue;
		end = now_ns() + rng_below(r, 400) * 1000LL;
		while (now_ns() < end)
			continue;
		kill(pid, sig);
		st = reap_ms(pid, LIMIT);
		good += st >= 0 && WIFSIGNALED(st) && WTERMSIG(st) == sig;
		end_child();
		if (st < 0)
			break;
	}
	is_int(good, n, "%s", what);
}

/* --- groups ---------------------------------------------------------------------- */

static void *
fork_on(void *arg)
{
	(void)arg;
	for (;;) {
		/* The bare call: the C library's blocks signals around it. */
		if (syscall(SYS_fork) == 0)
			for (;;)
				pause();
		usleep(100);
	}
	return NULL;
}

static int
lead_group(void *arg)
{
	pthread_t t;

	setpgid(0, 0);
	pthread_create(&t, NULL, fork_on, NULL);
	atomic_store((atomic_int *)arg, 1);
	for (;;)
		pause();
	return 0;
}

/* Collect all; whether the group is gone before long. */
static int
group_ends(pid_t group)
{
	int i;

	for (i = 0; i < 20000; i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (kill(-group, 0) == -1 && errno == ESRCH)
			return 1;
		sleep_ms(1);
	}
	kill(-group, SIGKILL);
	reap_all();
	return 0;
}

static void
test_group(long n, int sig, struct rng *r, const char *what)
{
	long i, good = 0;
	pid_t pid;

	for (i = 0; i < n; i++) {
		atomic_store(&rd->r_started, 0);
		pid = must_spawn(lead_group, &rd->r_started);
		while (!atomic_load(&rd->r_started))
			sleep_ms(1);
		usleep(2000 + rng_below(r, 3000));
		kill(-pid, sig);
		good += group_ends(pid);
	}
	is_int(good, n, "%s", what);
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 20);
	struct rng r;

	rng_seed(&r, rng_arg(argc, argv));
	become_reaper();
	rd = shared_mem(PAGE);
	test_vfork(n, SIGKILL, &r, "SIGKILL ends a vfork parent");
	test_vfork(n, SIGTERM, &r, "so does SIGTERM by default");
	test_group(
	    n, SIGTERM, &r, "B59: SIGTERM to a group whose leader pauses and whose sibling forks");
	test_group(n, SIGKILL, &r, "B59: SIGKILL likewise");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
