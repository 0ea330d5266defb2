/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork: the child gets 0, its own pid and a copy of memory; only the calling
 * thread is copied; open files are shared, and thread-local storage is kept.
 * Signals that come more often than the memory can be copied do not keep it
 * from its end.
 *
 * test: timeout=60
 * test: name=alarms args="alarms" smp=1 icount=yes timeout=60
 * test: name=fp smp=2,4 flavour=debug append="fp=id-published-not-started:300" groups=stress
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static int global_word = 1;
static __thread int tls_word = 7;
static atomic_int *shared;

struct report {
	pid_t r_pid, r_ppid, r_tid, r_seen;
};
static struct report *rep;

static int
report_ids(void *arg)
{
	(void)arg;
	rep->r_pid = getpid();
	rep->r_ppid = getppid();
	rep->r_tid = gettid();
	return 3;
}

static int
change_memory(void *arg)
{
	int *stack_word = arg;

	if (global_word != 1 || *stack_word != 5 || tls_word != 7)
		return 1;
	global_word = 2;
	*stack_word = 6;
	tls_word = 8;
	word_add(shared, 1);
	word_wait(shared, 2); /* the parent has written its copy */
	return global_word == 2 && *stack_word == 6 && tls_word == 8 ? 0 : 2;
}

static void
test_ids(void)
{
	int status;
	pid_t pid;

	pid = spawn(report_ids, NULL);
	status = reap(pid);
	is_exit(status, 3, "the child's return value is its status");
	ok(rep->r_pid == pid, "the child's getpid() is what fork() returned");
	ok(rep->r_tid == pid, "the child's first thread has the pid as its id");
	ok(rep->r_ppid == getpid(), "the child's getppid() is the parent");
}

static void
test_memory(void)
{
	int stack_word = 5;
	pid_t pid;

	atomic_store(shared, 0);
	pid = spawn(change_memory, &stack_word);
	word_wait(shared, 1);
	ok(global_word == 1 && stack_word == 5 && tls_word == 7,
	    "data, stack and thread-local storage of the parent are untouched by the child");
	global_word = 11;
	stack_word = 15;
	tls_word = 17;
	word_add(shared, 1);
	is_exit(reap(pid), 0, "and those of the child by the parent");
	global_word = 1;
	tls_word = 7;
}

static void *
idle_thread(void *arg)
{
	(void)arg;
	word_wait(shared, 1);
	return NULL;
}

static int
alone(void *arg)
{
	(void)arg;
	/* With no sibling left, ending the only thread ends the process. */
	syscall(SYS_exit, 9);
	return 0;
}

static void *
fork_from_thread(void *arg)
{
	*(int *)arg = run_child(report_ids, NULL);
	rep->r_seen = gettid();
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t[4];
	int i, status = 0;

	atomic_store(shared, 0);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, idle_thread, NULL);
	is_exit(run_child(alone, NULL), 9, "only the calling thread is copied");
	word_add(shared, 1);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);

	pthread_create(&t[0], NULL, fork_from_thread, &status);
	pthread_join(t[0], NULL);
	is_exit(status, 3, "a thread that does not lead can fork");
	ok(rep->r_pid == rep->r_tid && rep->r_ppid == getpid(),
	    "its child leads a process of its own, whose parent is the process");
	ok(rep->r_seen != getpid(), "(and it did not lead)");
}

static int
write_pipe(void *arg)
{
	return write(((int *)arg)[1], "x", 1) == 1 ? 0 : 1;
}

static void
test_files(void)
{
	int fd[2];
	char c = 0;

	is_int(pipe(fd), 0, "pipe");
	is_exit(run_child(write_pipe, fd), 0, "the child writes to the inherited pipe");
	ok(read(fd[0], &c, 1) == 1 && c == 'x', "the parent reads it");
	close(fd[0]);
	close(fd[1]);
}

static int
nest(void *arg)
{
	long depth = (long)arg;
	int status;

	if (depth == 0)
		return 1;
	status = run_child(nest, (void *)(depth - 1));
	return WIFEXITED(status) ? WEXITSTATUS(status) + 1 : 200;
}

/* --- a timer that is shorter than the fork takes -------------------------------------- */
#define MEMORY      ((size_t)64 << 20)
#define ALARMS_MANY 300

static volatile sig_atomic_t alarms;

static void
on_alarm(int sig)
{
	static const struct itimerval off;

	(void)sig;
	if (++alarms == ALARMS_MANY)
		setitimer(ITIMER_REAL, &off, NULL);
}

/* By the bare call, for C libraries may block signals meanwhile. Returns the time until the child's pid is there. */
static long long
timed_fork(int *status)
{
	long long t = now_ns();
	pid_t pid = (pid_t)syscall(SYS_fork);

	if (pid == 0)
		_exit(5);
	t = now_ns() - t;
	*status = reap(pid);
	return t;
}

static void
test_alarms(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval it = { 0 }, off = { 0 };
	char *p = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long long t, least = 1000000000;
	int i, status;
	size_t at;

	if (p == MAP_FAILED)
		bail_out("no memory");
	for (at = 0; at < MEMORY; at += PAGE)
		p[at] = 1;
	for (i = 0; i < 3; i++)
		if ((t = timed_fork(&status)) < least)
			least = t;
	it.it_value.tv_usec = (suseconds_t)(least / 4000) + 100;
	it.it_interval = it.it_value;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	timed_fork(&status);
	setitimer(ITIMER_REAL, &off, NULL);
	diag("fork takes %lld us, a timer of %ld us came %d times", least / 1000,
	    (long)it.it_value.tv_usec, (int)alarms);
	ok(alarms < ALARMS_MANY, "a fork ends that takes longer than the period of a timer");
	is_exit(status, 5, "its child is there");
	signal(SIGALRM, SIG_DFL);
	munmap(p, MEMORY);
}

int
main(int argc, char **argv)
{
	pid_t pid[16];
	int i, good = 0, status;

	if (argc > 1 && strcmp(argv[1], "alarms") == 0) {
		test_alarms();
		return tap_done();
	}
	shared = shared_mem(PAGE);
	rep = (struct report *)(shared + 16);
	test_ids();
	test_memory();
	test_threads();
	test_files();
	is_exit(run_child(nest, (void *)20L), 21, "twenty generations, each waits for the next");

	for (i = 0; i < 16; i++)
		pid[i] = spawn(report_ids, NULL);
	for (i = 15; i >= 0; i--) {
		status = reap(pid[i]);
		good += WIFEXITED(status) && WEXITSTATUS(status) == 3;
	}
	is_int(good, 16, "sixteen children, collected in the opposite order");
	return tap_done();
}
