/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bout SCENARIO... [times]: short pieces of process and thread life, without time limits and loops that
 * wait: for tools/explore, which runs them under many schedules.  The exit status is 0 if all was as it must be.
 * With `times` it is a stress of the same, which tells at each power of two how far it is.  "bout list" names the
 * scenarios.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "thr.h"
#include "util.h"

#define STK     16384
#define THREADS 3

static char stacks[THREADS][STK] __attribute__((aligned(16)));
static atomic_int tids[THREADS];
static int fds[2];

static void
start(int i, int (*fn)(void *), long arg)
{
	if (thr_start(stacks[i] + STK, fn, (void *)arg, &tids[i]) < 0)
		_exit(90);
}

static int
give(void *arg)
{
	return (int)(long)arg;
}

/* The last two threads leave at once. */
static int
child_exit(void *arg)
{
	(void)arg;
	start(0, give, 7);
	raw3(RAW_EXIT, 7, 0, 0);
	return 91;
}

static int
bout_exit(void)
{
	int status = run_child(child_exit, NULL);

	return !(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static int
group(void *arg)
{
	raw3(RAW_EXIT_GROUP, (long)arg, 0, 0);
	return 92;
}

/* Three ends of one process. */
static int
child_group(void *arg)
{
	(void)arg;
	start(0, group, 7);
	start(1, give, 7);
	raw3(RAW_EXIT_GROUP, 7, 0, 0);
	return 91;
}

static int
bout_group(void)
{
	int status = run_child(child_group, NULL);

	return !(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static int
yielding(void *arg)
{
	for (long i = (long)arg; i > 0; i--)
		raw0(RAW_YIELD);
	return 0;
}

/* exec with siblings that are busy. */
static int
child_exec(void *arg)
{
	(void)arg;
	start(0, yielding, 3);
	start(1, yielding, 6);
	execl(self_path(), "bout", "nothing", NULL);
	return 91;
}

static int
bout_exec(void)
{
	int status = run_child(child_exec, NULL);

	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* exec while a sibling ends the process. */
static int
child_execexit(void *arg)
{
	(void)arg;
	start(0, group, 0);
	execl(self_path(), "bout", "nothing", NULL);
	return 91;
}

static int
bout_execexit(void)
{
	int status = run_child(child_execexit, NULL);

	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Children that are waited for while they end. */
static int
bout_wait(void)
{
	pid_t a = spawn(give, (void *)3), b = spawn(give, (void *)4);
	int sa = reap(b), sb = reap(a);

	return !(WIFEXITED(sa) && WEXITSTATUS(sa) == 4 && WIFEXITED(sb) && WEXITSTATUS(sb) == 3);
}

/* A byte goes to and fro. */
static int
child_pipe(void *arg)
{
	char c;

	(void)arg;
	for (int i = 0; i < 3; i++)
		if (read(fds[0], &c, 1) != 1 || c != 'a' + i)
			return 1;
	return 0;
}

static int
bout_pipe(void)
{
	pid_t pid;
	int status;

	if (pipe(fds) != 0 || (pid = spawn(child_pipe, NULL)) < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		if (write(fds[1], &"abc"[i], 1) != 1)
			return 1;
	status = reap(pid);
	close(fds[0]);
	close(fds[1]);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Threads come and go: one takes the stack and the id of another. */
static int
bout_lwp(void)
{
	for (int i = 0; i < THREADS; i++)
		start(i, give, 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < THREADS; i++) {
			thr_join(&tids[i]);
			if (round == 0)
				start(i, give, 0);
		}
	return 0;
}

/* More LWPs than CPUs, queued and stolen. */
static int
bout_sched(void)
{
	pid_t pid[4];
	int bad = 0;

	for (int i = 0; i < 4; i++)
		pid[i] = spawn(yielding, (void *)(long)(3 + i));
	for (int i = 0; i < 4; i++)
		bad |= reap(pid[i]);
	return bad != 0;
}

static int
writer(void *arg)
{
	char c = 'x';

	(void)arg;
	raw3(SYS_write, fds[1], (long)&c, 1);
	return 0;
}

/* A thread writes to what another closes, both ends of it. */
static int
bout_close(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (pipe(fds) != 0)
		return 1;
	start(0, writer, 0);
	raw3(SYS_close, fds[1], 0, 0);
	raw3(SYS_close, fds[0], 0, 0);
	thr_join(&tids[0]);
	return 0;
}

static int
moving(void *arg)
{
	int cpus[CPU_MAX], n = cpu_list(cpus, CPU_MAX);

	for (long i = 0; i < 4; i++) {
		pin_cpu(cpus[((long)arg + i) % n]);
		raw0(RAW_YIELD);
	}
	return 0;
}

/* LWPs go from CPU to CPU, while others are stolen. */
static int
bout_move(void)
{
	pid_t pid[5];
	int bad = 0;

	for (int i = 0; i < 5; i++)
		pid[i] = spawn(i % 2 == 0 ? moving : yielding, (void *)(long)(i + 3));
	for (int i = 0; i < 5; i++)
		bad |= reap(pid[i]);
	return bad != 0;
}

/* The kernel's structures are looked at while threads come and go. */
static int
checker(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		dbg_cmd("fsck");
	return 0;
}

static int
bout_fsck(void)
{
	pid_t pid = spawn(checker, NULL);
	int status;

	bout_lwp();
	status = reap(pid);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a program can read of its machine that another run might answer otherwise: all of it, mixed. */
static atomic_ulong readings;

static void
reading(uint64_t v)
{
	readings = (readings ^ v) * 0x100000001b3;
}

static int
reader(void *arg)
{
	unsigned lo, hi, aux, cpu, a, b, c, d;
	struct timespec ts;
	uint64_t r;

	(void)arg;
	for (int i = 0; i < 4; i++) {
		__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
		reading((uint64_t)hi << 32 | lo);
		__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
		reading(((uint64_t)hi << 32 | lo) + aux);
		/* In the vDSO and not. */
		clock_gettime(i % 2 == 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ts);
		reading((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
		reading((uint64_t)sched_getcpu());
		raw3(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&ts, 0);
		reading((uint64_t)ts.tv_nsec);
		raw3(SYS_getcpu, (long)&cpu, 0, 0);
		reading(cpu);
		raw3(SYS_getrandom, (long)&r, sizeof(r), 0);
		reading(r);
		__cpuid(1, a, b, c, d);
		if (c & bit_RDRND) {
			__asm__ volatile("rdrand %0" : "=r"(r) : : "cc");
			reading(r);
		}
	}
	return 0;
}

static int
bout_readings(void)
{
	uint64_t r;

	memcpy(&r, (const void *)getauxval(AT_RANDOM), sizeof(r));
	readings = r;
	bout_lwp();
	memcpy(&r, (const void *)(getauxval(AT_RANDOM) + 8), sizeof(r));
	reading(r);
	start(0, reader, 0);
	reader(NULL);
	thr_join(&tids[0]);
	reading((uint64_t)(uintptr_t)&r); /* where the stack is */
	printf("readings %016lx\n", readings);
	return fflush(stdout);
}

static int
bout_nothing(void)
{
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(void);
} scenarios[] = {
	{ "exit", bout_exit },
	{ "group", bout_group },
	{ "exec", bout_exec },
	{ "execexit", bout_execexit },
	{ "wait", bout_wait },
	{ "pipe", bout_pipe },
	{ "lwp", bout_lwp },
	{ "sched", bout_sched },
	{ "close", bout_close },
	{ "move", bout_move },
	{ "fsck", bout_fsck },
	{ "readings", bout_readings },
	{ "nothing", bout_nothing },
};

static int
find(const char *name)
{
	for (size_t i = 0; i < NELEM(scenarios); i++)
		if (strcmp(name, scenarios[i].name) == 0)
			return (int)i;
	return -1;
}

int
main(int argc, char **argv)
{
	int which[16], count = 0, last = argc - 1;
	long times = 1;

	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (size_t i = 0; i < NELEM(scenarios); i++)
			puts(scenarios[i].name);
		return 0;
	}
	if (last > 1 && (times = arg_long(argc, argv, last, 0)) > 0)
		last--;
	else
		times = 1;
	for (int i = 1; i <= last; i++)
		if (i > 16 || (which[count++] = find(argv[i])) < 0) {
			fprintf(stderr, "bout: no scenario %s\n", argv[i]);
			return 2;
		}
	if (count == 0) {
		fprintf(stderr, "usage: bout SCENARIO... [times]\n");
		return 2;
	}
	for (long n = 1; n <= times; n++) {
		for (int i = 0; i < count; i++)
			if (scenarios[which[i]].fn() != 0) {
				fprintf(stderr, "bout: %s went wrong\n", scenarios[which[i]].name);
				return 1;
			}
		if (times > 1 && (n & (n - 1)) == 0)
			fprintf(stderr, "bout: %s %ld\n", argv[1], n);
	}
	return 0;
}
