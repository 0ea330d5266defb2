/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo: processes that fork, run threads on every CPU, and end in each way.
 *
 * Children note who and where they are in shared memory and never print; the
 * parent collects them with wait and prints the tables.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

#define SHOWN_MAX 8     /* CPUs that get a row */
#define LIMIT     60000 /* primes are counted up to here */

/* What one thread tells about itself. */
struct note {
	pid_t n_pid;
	pid_t n_lid;
	int n_cpu;
	int n_primes;
};

/* Shared by all processes of one scene, cleared before each. */
struct scene {
	atomic_int s_here; /* threads that are in place */
	atomic_int s_lead_gone;
	struct note s_notes[SHOWN_MAX + 1];
};

static struct scene *scene;
static int cpus[SHOWN_MAX], shown;
static int processes, threads;

/* --- Printing ---------------------------------------------------------------- */

static void
heading(const char *title, const char *what, const char *status)
{
	printf("\n%s\n    PID     LID  CPU  %-33s %s\n", title, what, status);
}

static void
row(const struct note *n, const char *what, const char *status)
{
	printf("%7d %7d %4d  %-33s %s\n", n->n_pid, n->n_lid, n->n_cpu, what, status);
}

static const char *
signal_name(int sig)
{
	switch (sig) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGFPE:
		return "SIGFPE";
	case SIGTERM:
		return "SIGTERM";
	default:
		return "unexpected";
	}
}

static const char *
decode(int status)
{
	static char b[40];

	if (WIFEXITED(status))
		snprintf(b, sizeof(b), "exited with %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(b, sizeof(b), "killed by %d (%s)", WTERMSIG(status),
		    signal_name(WTERMSIG(status)));
	else
		snprintf(b, sizeof(b), "unexpected 0x%x", (unsigned)status);
	return b;
}

/* --- What children do ---------------------------------------------------------- */

static void
note(struct note *n)
{
	n->n_pid = getpid();
	n->n_lid = gettid();
	n->n_cpu = sched_getcpu();
}

/* The first number of a CPU's share. */
static int
share_start(int i)
{
	return LIMIT / shown * i;
}

static int
primes_in_share(int share)
{
	int found = 0, i, d;

	for (i = share_start(share); i < share_start(share + 1); i++) {
		for (d = 2; d * d <= i && i % d != 0; d++)
			;
		found += i > 1 && d * d > i;
	}
	return found;
}

/* Go to one CPU, wait for the others to be on theirs, and work. */
static void
work_on_cpu(int i, int all)
{
	struct note *n = &scene->s_notes[i];

	pin_cpu(cpus[i]);
	word_add(&scene->s_here, 1);
	word_wait(&scene->s_here, all);
	n->n_primes = primes_in_share(i);
	note(n);
}

static void *
work_thread(void *arg)
{
	work_on_cpu((int)(long)arg, shown);
	return NULL;
}

static void *
idle_thread(void *arg)
{
	pin_cpu(cpus[(long)arg % shown]);
	word_add(&scene->s_here, 1);
	for (;;)
		pause();
	return NULL;
}

static void *
outlive_lead(void *arg)
{
	(void)arg;
	word_wait(&scene->s_lead_gone, 1);
	sleep_ms(10);
	note(&scene->s_notes[1]);
	exit(5);
}

static void
start(pthread_t *t, void *(*fn)(void *), long arg)
{
	int error = pthread_create(t, NULL, fn, (void *)arg);

	if (error != 0) {
		fprintf(stderr, "demo: pthread_create: %s\n", strerror(error));
		exit(1);
	}
}

/* --- The ways to end; what returns here returns from main ----------------------- */

static int
by_return(void)
{
	return 7;
}

static int
by_exit_group(void)
{
	pthread_t t;
	long i;

	for (i = 0; i < 8; i++)
		start(&t, idle_thread, i);
	word_wait(&scene->s_here, 8);
	syscall(SYS_exit_group, 8);
	return 1;
}

static int
by_lead_first(void)
{
	pthread_t t;

	start(&t, outlive_lead, 0);
	word_add(&scene->s_lead_gone, 1);
	syscall(SYS_exit, 0);
	return 1;
}

static int
by_fault(void)
{
	*(volatile int *)hide(16) = 1;
	return 1;
}

static int
by_division(void)
{
	int zero = 0;

	__asm__ volatile("cltd; idivl %0" : : "r"(zero), "a"(1) : "edx", "cc");
	return 1;
}

static int
by_signal(void)
{
	word_add(&scene->s_here, 1);
	pause();
	return 1;
}

static int
by_exec(void)
{
	execl("/bin/echo", "echo", "-n", "hello", (char *)NULL);
	return 127;
}

static const struct way {
	const char *w_text;
	int (*w_run)(void);
	const char *w_thread; /* of a second row */
	int w_signal;         /* sent once the child is in place */
	int w_piped;          /* its output is shown */
} ways[] = {
	{ "returns from main", by_return, NULL, 0, 0 },
	{ "exit_group with 8 threads alive", by_exit_group, NULL, 0, 0 },
	{ "the lead thread exits first, ...", by_lead_first, "... the other exits later", 0, 0 },
	{ "writes to address 16", by_fault, NULL, 0, 0 },
	{ "divides by zero", by_division, NULL, 0, 0 },
	{ "sleeps until a signal comes", by_signal, NULL, SIGTERM, 0 },
	{ "execs /bin/echo", by_exec, NULL, 0, 1 },
};

/* --- Scenes ---------------------------------------------------------------------- */

static pid_t
fork_child(void)
{
	pid_t pid = fork();

	if (pid == -1) {
		perror("demo: fork");
		exit(1);
	}
	processes += pid > 0;
	threads += pid > 0;
	return pid;
}

static void
work_row(int i, const char *status)
{
	char what[40];

	snprintf(what, sizeof(what), "found %d primes from %d on", scene->s_notes[i].n_primes,
	    share_start(i));
	row(&scene->s_notes[i], what, status);
}

static void
show_processes(void)
{
	pid_t pids[SHOWN_MAX];
	int i;

	heading("fork: a process on each CPU", "did", "status");
	for (i = 0; i < shown; i++) {
		pids[i] = fork_child();
		if (pids[i] == 0) {
			work_on_cpu(i, shown);
			_exit(i);
		}
	}
	for (i = 0; i < shown; i++)
		work_row(i, decode(reap(pids[i])));
}

static void
show_threads(void)
{
	pthread_t t[SHOWN_MAX];
	pid_t pid;
	int i, status;

	memset(scene, 0, sizeof(*scene));
	heading("pthread_create: one process, a thread on each CPU", "did", "status");
	pid = fork_child();
	if (pid == 0) {
		for (i = 0; i < shown; i++)
			start(&t[i], work_thread, i);
		for (i = 0; i < shown; i++)
			pthread_join(t[i], NULL);
		note(&scene->s_notes[SHOWN_MAX]);
		_exit(0);
	}
	status = reap(pid);
	threads += shown;
	for (i = 0; i < shown; i++)
		work_row(i, "joined");
	row(&scene->s_notes[SHOWN_MAX], "the lead thread joined them", decode(status));
}

/* Run one child; returns -1 in the parent, the status for main in the child. */
static int
show_way(const struct way *w)
{
	int fds[2] = { -1, -1 }, status;
	char said[16] = "", what[48];
	pid_t pid;

	memset(scene, 0, sizeof(*scene));
	if (w->w_piped && pipe(fds) == -1)
		perror("demo: pipe");
	pid = fork_child();
	if (pid == 0) {
		note(&scene->s_notes[0]);
		if (fds[1] != -1)
			dup2(fds[1], STDOUT_FILENO);
		return w->w_run();
	}
	snprintf(what, sizeof(what), "%s", w->w_text);
	if (fds[0] != -1) {
		close(fds[1]);
		if (read(fds[0], said, sizeof(said) - 1) > 0)
			snprintf(what, sizeof(what), "%s: \"%s\"", w->w_text, said);
		close(fds[0]);
	}
	if (w->w_signal != 0) {
		word_wait(&scene->s_here, 1);
		kill(pid, w->w_signal);
	}
	status = reap(pid);
	row(&scene->s_notes[0], what, w->w_thread == NULL ? decode(status) : "(process lives on)");
	if (w->w_thread != NULL)
		row(&scene->s_notes[1], w->w_thread, decode(status));
	threads += w->w_thread != NULL ? 1 : w->w_run == by_exit_group ? 8 : 0;
	return -1;
}

int
main(void)
{
	struct note me;
	size_t i;
	int r;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	scene = shared_mem(sizeof(*scene));
	shown = cpu_list(cpus, SHOWN_MAX);
	note(&me);
	printf("%d CPU%s; this is process %d, its only thread LWP %d, on CPU %d.\n", ncpu(),
	    ncpu() == 1 ? "" : "s", me.n_pid, me.n_lid, me.n_cpu);
	show_processes();
	show_threads();
	heading("exit: every way out", "does", "status");
	for (i = 0; i < NELEM(ways); i++) {
		r = show_way(&ways[i]);
		if (r != -1)
			return r;
	}
	if (wait(NULL) == -1 && errno == ECHILD)
		printf("\n%d processes and %d threads came and went; none is left.\n", processes,
		    threads);
	return 0;
}
