/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every allocation may fail: a child goes through fork, exec, threads, signals, timers, files and mappings again and
 * again, and each time another of the allocations that it causes fails, until there is none left to fail.  Whatever
 * becomes of the child, it must end, the kernel must be in order, and nothing may be lost.
 *
 * args: the step from one N to the next, the first N.
 *
 * test: smp=1,2 timeout=120 args="5 1" host=no
 * test: name=all smp=1,4 timeout=3600 args="1 1" groups=soak host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define LIMIT_MS 20000

static volatile sig_atomic_t caught;

static void
handler(int sig)
{
	caught = sig;
}

static void *
thread(void *arg)
{
	sched_yield();
	return arg;
}

static void
mappings(void)
{
	char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *q, *s;

	s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s != MAP_FAILED) {
		s[0] = s[3 * PAGE] = 1;
		munmap(s, 4 * PAGE);
	}
	if (p == MAP_FAILED)
		return;
	p[0] = p[10 * PAGE] = p[63 * PAGE] = 1;
	mprotect(p + 8 * PAGE, PAGE, PROT_READ);
	munmap(p + 32 * PAGE, 2 * PAGE);
	q = mremap(p, 8 * PAGE, 128 * PAGE, MREMAP_MAYMOVE);
	if (q != MAP_FAILED)
		munmap(q, 128 * PAGE);
	munmap(p, 64 * PAGE);
}

static void
files(void)
{
	char buf[100];
	int fd[2], other;

	if (pipe(fd) == 0) {
		if (write(fd[1], buf, sizeof(buf)) > 0)
			(void)!read(fd[0], buf, sizeof(buf));
		other = fcntl(fd[0], F_DUPFD, 200);
		if (other >= 0)
			close(other);
		close(fd[0]);
		close(fd[1]);
	}
	other = open("/bin/true", O_RDONLY);
	if (other >= 0) {
		(void)!read(other, buf, sizeof(buf));
		close(other);
	}
}

static void
signals(void)
{
	struct sigaction sa = { .sa_handler = handler };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	timer_t id;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 1 });
	if (timer_create(CLOCK_MONOTONIC, &ev, &id) == 0)
		timer_delete(id);
}

static void
threads(void)
{
	pthread_t t[3];
	int made[3];

	for (int i = 0; i < 3; i++)
		made[i] = pthread_create(&t[i], NULL, thread, NULL) == 0;
	for (int i = 0; i < 3; i++)
		if (made[i])
			pthread_join(t[i], NULL);
}

static void
processes(void)
{
	char *argv[] = { "true", "an argument", NULL };
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		execv("/bin/true", argv);
		_exit(1);
	}
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	pid = vfork();
	if (pid == 0) {
		execv("/bin/true", argv);
		_exit(1);
	}
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
}

static int
workload(void *arg)
{
	long n = *(long *)arg;
	char cmd[40];

	snprintf(cmd, sizeof(cmd), "fault alloc:%ld", n);
	if (n != 0 && dbg_cmd(cmd) != 0)
		return 99;
	mappings();
	files();
	signals();
	threads();
	processes();
	return 0;
}

int
main(int argc, char **argv)
{
	long step = arg_long(argc, argv, 1, 11), n = 0, runs = 0;
	int fired = 1, st, hung = 0, broken = 0, leaks = 0, strange = 0;

	if (dbg_cmd("fault off") == -ENOSYS) {
		plan(1);
		skip("a debug kernel is needed", "every allocation may fail");
		return tap_done();
	}
	/* What is made once, and what is cached, is there from now on. */
	for (int i = 0; i < 3; i++)
		is_exit(run_child(workload, &n), 0, "without a fault, time %d", i + 1);
	(void)dbg_cmd("ledger-begin");
	for (n = arg_long(argc, argv, 2, 1); fired; n += step) {
		st = reap_ms(spawn(workload, &n), LIMIT_MS);
		fired = dbg_cmd("fault off") == 0;
		runs++;
		if (st == -2) {
			diag("with N = %ld it did not end", n);
			hung++;
		} else if (!(WIFEXITED(st) && WEXITSTATUS(st) != 99) && !WIFSIGNALED(st)) {
			diag("with N = %ld it %s", n, status_text(st));
			strange++;
		}
		broken += dbg_cmd("fsck") != 0;
		if (dbg_cmd("ledger-end-all") != 0) {
			diag("with N = %ld something was lost", n);
			leaks++;
			(void)dbg_cmd("ledger-begin");
		}
	}
	diag("%ld runs, the last with N = %ld", runs, n - step);
	ok(runs > 3, "allocations were made to fail");
	is_int(hung, 0, "every child ended");
	is_int(strange, 0, "in a way that makes sense");
	is_int(broken, 0, "the kernel's invariants held after each");
	is_int(leaks, 0, "and nothing was lost");
	return tap_done();
}
