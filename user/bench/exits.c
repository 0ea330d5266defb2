/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exits [jobs]: what the end of processes and threads costs, in the mode of
 * exit that the kernel was booted with (docs/exitmodes.md). `make bench-exit`
 * runs it in each. Two workers a CPU, as of a build by `make -j`.
 *
 *	exit-to-wait		from the child's call to the return of the parent's wait (median)
 *	job, build-job		fork, exec, touch memory, exit; the latter computes, too: time for one
 *	thread			clone, exit, join: time for one
 *
 * With the job lines go, for each exit: switches, and what was freed on another
 * CPU than the one where it died, from /dev/stats.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "thr.h"

#define PAGE       4096
#define JOB_PAGES  64
#define COMPUTE    200000 /* instructions of a build job, about */
#define LATENCIES  201
#define MAXWORKERS 64

static const char *path;

struct shared {
	atomic_int start;
	long exit_at;
};
static struct shared *shared;

static void *
map(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static char *
put_text(char *b, const char *s)
{
	return stpcpy(b, s);
}

static char *
put_number(char *b, long v)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		*b++ = digits[--n];
	return b;
}

/* `hundredths` = 1: the value has two decimals. */
static void
report(const char *name, const char *what, long value, int hundredths, const char *unit, long count)
{
	char line[128], *p = put_text(put_text(line, name), what);

	*p++ = ' ';
	p = put_number(p, hundredths ? value / 100 : value);
	if (hundredths) {
		*p++ = '.';
		*p++ = (char)('0' + value / 10 % 10);
		*p++ = (char)('0' + value % 10);
	}
	*p++ = ' ';
	p = put_text(p, unit);
	*p++ = ' ';
	p = put_number(p, count);
	*p++ = '\n';
	(void)!write(1, line, (size_t)(p - line));
}

/* --- counters ------------------------------------------------------------------ */

static const char *const counter_name[] = { "exits", "switches", "remote_lwps", "remote_stacks",
	"remote_pages" };
#define NCOUNTERS 5

static int
read_counters(long *counters)
{
	char text[1024], *line;
	int fd = open("/dev/stats", O_RDONLY), i;
	ssize_t n;

	if (fd == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	for (i = 0; i < NCOUNTERS; i++) {
		if ((line = strstr(text, counter_name[i])) == NULL)
			return -1;
		counters[i] = atol(line + strlen(counter_name[i]));
	}
	return 0;
}

/* --- latency ------------------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return x < y ? -1 : x > y;
}

static int
latency(const char *name, long pages)
{
	static long took[LATENCIES];
	char *mem = map((size_t)(pages + 1) * PAGE, MAP_PRIVATE);
	int i, st;
	pid_t pid;

	for (i = 0; i < LATENCIES; i++) {
		pid = fork();
		if (pid == 0) {
			for (long k = 0; k < pages; k++)
				mem[k * PAGE] = 1;
			shared->exit_at = now();
			_exit(0);
		}
		if (pid == -1 || waitpid(pid, &st, 0) != pid || st != 0)
			return -1;
		took[i] = now() - shared->exit_at;
	}
	munmap(mem, (size_t)(pages + 1) * PAGE);
	qsort(took, LATENCIES, sizeof(took[0]), by_value);
	report(name, "", took[LATENCIES / 2], 0, "ns", LATENCIES);
	return 0;
}

/* --- loads --------------------------------------------------------------------- */

static int
job(const char *compute)
{
	char *mem = map(JOB_PAGES * PAGE, MAP_PRIVATE);
	long n = atol(compute);

	for (long i = 0; i < JOB_PAGES; i++)
		mem[i * PAGE] = 1;
	while (n-- > 0)
		__asm__ volatile("" : : : "memory");
	return 0;
}

static int
run_jobs(long n, const char *compute)
{
	char *argv[] = { (char *)(long)path, (char *)(long)"--job", (char *)(long)compute, NULL };
	int st;

	while (n-- > 0) {
		pid_t pid = fork();

		if (pid == 0) {
			execv(path, argv);
			_exit(1);
		}
		if (pid == -1 || waitpid(pid, &st, 0) != pid || st != 0)
			return -1;
	}
	return 0;
}

static int
thread(void *arg)
{
	(void)arg;
	return 0;
}

static int
run_threads(long n, const char *unused)
{
	static char stack[PAGE] __attribute__((aligned(16)));
	atomic_int tid;

	(void)unused;
	while (n-- > 0) {
		if (thr_start(stack + sizeof(stack), thread, NULL, &tid) < 0)
			return -1;
		thr_join(&tid);
	}
	return 0;
}

/* Runs `run(n)` in that many processes, and says what one of all those took. */
static int
load(const char *name, int (*run)(long, const char *), long n, const char *arg, int workers)
{
	long before[NCOUNTERS], after[NCOUNTERS], t0, ns;
	int i, st, bad = 0, counted;
	pid_t pid;

	atomic_store(&shared->start, 0);
	for (i = 0; i < workers; i++) {
		pid = fork();
		if (pid == -1)
			return -1;
		if (pid == 0) {
			while (atomic_load(&shared->start) == 0)
				sched_yield();
			_exit(run(n, arg) != 0);
		}
	}
	counted = read_counters(before) == 0;
	t0 = now();
	atomic_store(&shared->start, 1);
	for (i = 0; i < workers; i++)
		bad |= wait(&st) == -1 || st != 0;
	ns = now() - t0;
	counted = counted && read_counters(after) == 0;
	if (bad)
		return -1;
	report(name, "", ns / (n * workers), 0, "ns", n * workers);
	for (i = 1; counted && i < NCOUNTERS; i++)
		report(name,
		    i == 1       ? ".switches"
			: i == 2 ? ".remote-lwps"
			: i == 3 ? ".remote-stacks"
				 : ".remote-pages",
		    (after[i] - before[i]) * 100 / (after[0] - before[0]), 1, "each",
		    after[0] - before[0]);
	return 0;
}

int
main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 100;
	char compute[24];
	cpu_set_t set;
	int workers;

	if (argc > 2 && strcmp(argv[1], "--job") == 0)
		return job(argv[2]);
	path = argv[0];
	shared = map(PAGE, MAP_SHARED);
	if (shared == NULL || sched_getaffinity(0, sizeof(set), &set) == -1)
		return 1;
	workers = 2 * CPU_COUNT(&set) < MAXWORKERS ? 2 * CPU_COUNT(&set) : MAXWORKERS;
	*put_number(compute, COMPUTE / 2) = '\0';
	if (run_jobs(10, "0") != 0 || run_threads(10, NULL) != 0) /* fill the caches */
		return 1;
	return latency("exit-to-wait", 0) != 0 || latency("exit-to-wait-1MiB", 256) != 0 ||
	    load("job", run_jobs, n, "0", workers) != 0 ||
	    load("build-job", run_jobs, n, compute, workers) != 0 ||
	    load("thread", run_threads, n * 5, NULL, workers) != 0;
}
