/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define PATIENCE 4 /* for a host that is busy: what hangs, hangs for longer */

extern char **environ;

long long
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void
sleep_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

/* The affinity at the first question is the one unpin_cpu() restores. */
static cpu_set_t *
first_set(void)
{
	static cpu_set_t set;
	static int known;

	if (!known) {
		CPU_ZERO(&set);
		if (sched_getaffinity(0, sizeof(set), &set) == -1)
			CPU_SET(0, &set);
		known = 1;
	}
	return &set;
}

int
ncpu(void)
{
	return CPU_COUNT(first_set());
}

int
cpu_list(int *cpus, int max)
{
	int i, n = 0;

	for (i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, first_set()))
			cpus[n++] = i;
	return n;
}

int
pin_cpu(int cpu)
{
	cpu_set_t set;

	(void)first_set();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == -1 ? -errno : 0;
}

int
unpin_cpu(void)
{
	return sched_setaffinity(0, sizeof(cpu_set_t), first_set()) == -1 ? -errno : 0;
}

long
arg_long(int argc, char **argv, int i, long def)
{
	return i < argc && argv[i][0] != '\0' ? strtol(argv[i], NULL, 0) : def;
}

/* How often a test that counts on chance tries: argv[1], else def; $ROUNDS times as often. */
long
arg_rounds(int argc, char **argv, long def)
{
	const char *times = getenv("ROUNDS");

	return arg_long(argc, argv, 1, def) * (times != NULL ? strtol(times, NULL, 0) : 1);
}

void
rng_seed(struct rng *r, uint64_t seed)
{
	r->r_state = seed * 0x9e3779b97f4a7c15ULL + 0x2545f4914f6cdd1dULL;
}

/* xorshift64* */
uint32_t
rng_next(struct rng *r)
{
	uint64_t x = r->r_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->r_state = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dULL) >> 32);
}

uint32_t
rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((uint64_t)rng_next(r) * n) >> 32);
}

uint64_t
rng_arg(int argc, char **argv)
{
	uint64_t seed = (uint64_t)arg_long(argc, argv, 2, 1);

	diag("seed %llu", (unsigned long long)seed);
	return seed;
}

pid_t
spawn(child_fn fn, void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	return pid;
}

pid_t
spawn_ready(child_fn fn, void *arg, void *shared, size_t size, atomic_int *ready)
{
	pid_t pid;

	memset(shared, 0, size);
	pid = spawn(fn, arg);
	word_wait(ready, 1);
	return pid;
}

int
reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return status;
}

int
reap_ms(pid_t pid, int ms)
{
	long long end = now_ns() + PATIENCE * ms * 1000000LL;
	int status, i;
	pid_t r;

	for (i = 0; now_ns() < end; i++) {
		r = waitpid(pid, &status, WNOHANG);
		if (r == pid)
			return status;
		if (r == -1 && errno != EINTR)
			return -1;
		if (i < 20)
			sched_yield();
		else
			sleep_ms(1);
	}
	diag("process %d still lives after %d ms: killing it", (int)pid, PATIENCE * ms);
	kill(pid, SIGKILL);
	reap(pid);
	return -2;
}

int
run_child(child_fn fn, void *arg)
{
	pid_t pid = spawn(fn, arg);

	return pid == -1 ? -1 : reap(pid);
}

int
exit_with(void *arg)
{
	return (int)(long)arg;
}

int
die_by(void *arg)
{
	signal((int)(long)arg, SIG_DFL); /* a shell in the background has us ignore some */
	raise((int)(long)arg);
	return 1;
}

const char *
self_path(void)
{
	return (const char *)getauxval(AT_EXECFN);
}

pid_t
spawn_self(const char *role, const char *a, const char *b)
{
	char *argv[] = { (char *)self_path(), (char *)role, (char *)a, (char *)b, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execve(argv[0], argv, environ);
		_exit(127);
	}
	return pid;
}

void
become_reaper(void)
{
	if (getpid() != 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int
reap_all(void)
{
	int n = 0;

	for (;;) {
		if (waitpid(-1, NULL, 0) > 0)
			n++;
		else if (errno != EINTR)
			return n;
	}
}

static void *
any_mem(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail_out("mmap of %zu bytes: %s", size, strerror(errno));
	return p;
}

void *
shared_mem(size_t size)
{
	return any_mem(size, MAP_SHARED);
}

void *
private_mem(size_t size)
{
	return any_mem(size, MAP_PRIVATE);
}

long
futex(void *word, int op, int val, const struct timespec *to, void *word2, int val3)
{
	return syscall(SYS_futex, word, op, val, to, word2, val3);
}

void
word_wait(atomic_int *w, int n)
{
	int v;

	while ((v = atomic_load(w)) < n)
		futex(w, FUT_WAIT, v, NULL, NULL, 0);
}

int
word_wait_ms(atomic_int *w, int n, int ms)
{
	long long end = now_ns() + ms * 1000000LL, left;
	struct timespec ts;
	int v;

	while ((v = atomic_load(w)) < n) {
		left = end - now_ns();
		if (left <= 0)
			return 0;
		ts.tv_sec = left / 1000000000;
		ts.tv_nsec = left % 1000000000;
		futex(w, FUT_WAIT, v, &ts, NULL, 0);
	}
	return 1;
}

void
word_add(atomic_int *w, int n)
{
	atomic_fetch_add(w, n);
	futex(w, FUT_WAKE, INT_MAX, NULL, NULL, 0);
}

const char *
data_path(const char *name)
{
	static char b[4][256];
	static int turn;
	const char *env = getenv("TESTDATA");
	const char *dirs[] = { "/testdata", env != NULL ? env : "", "user/test/data" };
	char *p = b[turn++ % 4];
	size_t i;

	for (i = 0; i < NELEM(dirs); i++) {
		snprintf(p, sizeof(b[0]), "%s/%s", dirs[i], name);
		if (dirs[i][0] != '\0' && access(p, F_OK) == 0)
			return p;
	}
	snprintf(p, sizeof(b[0]), "/testdata/%s", name);
	return p;
}

/* In /proc/TID/stat, behind the name; 'S', after a while, where there is none. */
static char
linux_state(pid_t tid)
{
	char path[40], text[512], *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	if ((fd = open(path, O_RDONLY)) == -1) {
		sleep_ms(200);
		return 'S';
	}
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' ? end[2] : '?';
}

void
until_asleep(pid_t tid)
{
	char cmd[40];
	int e;

	snprintf(cmd, sizeof(cmd), "rests %d", (int)tid);
	while ((e = dbg_cmd(cmd)) != 0 && (e != -ENOSYS || linux_state(tid) != 'S'))
		sleep_ms(1);
}

int
dbg_cmd(const char *cmd)
{
	int fd, e = 0;

	fd = open("/dev/debug", O_RDWR);
	if (fd == -1)
		return -ENOSYS;
	if (write(fd, cmd, strlen(cmd)) == -1)
		e = -errno;
	close(fd);
	return e;
}

int
fp_arm(const char *name, unsigned usec)
{
	char b[80];

	snprintf(b, sizeof(b), "fp %s=%u", name, usec);
	return dbg_cmd(b);
}
