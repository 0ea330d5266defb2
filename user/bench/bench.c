/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench [prefix]: what system calls, processes, threads, memory and signals
 * cost. See bench.h for what is printed.
 *
 * The program stays small, for fork copies it: no stdio, no malloc.  Threads
 * made by thr_start() make raw calls only.  Everything runs on one CPU.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "thr.h"

#define PAGE     4096
#define TOUCHED  256 /* pages of a first-touch batch */
#define CROWD    64  /* threads that exit_group ends */
#define FUT_WAIT 128 /* private */
#define FUT_WAKE 129

static const char *path; /* of this program */
static char stack[PAGE] __attribute__((aligned(16)));
static char quit[] = "--exit";

static char *
map_pages(long n, int flags)
{
	long p = raw6(SYS_mmap, 0, n * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	return p < 0 && p > -PAGE ? NULL : (char *)p;
}

/* Collect a child that must have exited with 0. */
static int
collect(long pid)
{
	int status = -1;

	return pid > 0 && raw6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0) == pid && status == 0;
}

/* --- System calls ------------------------------------------------------------- */

/* The loop is the same with and without the system call instruction. */
#define CALL_LOOP(nr, rounds, insn) \
	do { \
		long rounds_ = (rounds); \
		__asm__ volatile("1:\n\t" \
				 ".rept 8\n\t" \
				 "mov	%1, %%eax\n\t" insn "\n\t" \
				 ".endr\n\t" \
				 "dec	%0\n\t" \
				 "jnz	1b" \
				 : "+r"(rounds_) \
				 : "i"(nr) \
				 : "rax", "rcx", "r11", "memory", "cc"); \
	} while (0)

#define CALL_BATCH(nr, n) \
	({ \
		long t0_, empty_, full_; \
		t0_ = now(); \
		CALL_LOOP(nr, (n) / UNROLL, ""); \
		empty_ = now() - t0_; \
		t0_ = now(); \
		CALL_LOOP(nr, (n) / UNROLL, "syscall"); \
		full_ = now() - t0_; \
		full_ - empty_; \
	})

static long
null_syscall(long n)
{
	return CALL_BATCH(RAW_GETPPID, n);
}

static long
getpid_syscall(long n)
{
	return CALL_BATCH(RAW_GETPID, n);
}

static long
clock_libc(long n)
{
	struct timespec ts;
	long t0 = now();

	while (n-- > 0)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	return since(t0);
}

static long
clock_call(long n)
{
	struct timespec ts;
	long t0 = now();

	while (n-- > 0)
		raw3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&ts, 0);
	return since(t0);
}

/* --- Processes ---------------------------------------------------------------- */

static long
fork_raw(long n)
{
	long t0 = now(), pid;

	while (n-- > 0) {
		pid = raw0(SYS_fork);
		if (pid == 0)
			raw3(RAW_EXIT_GROUP, 0, 0, 0);
		if (!collect(pid))
			return -1;
	}
	return since(t0);
}

static long
fork_libc(long n)
{
	long t0 = now();
	pid_t pid;
	int status;

	while (n-- > 0) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (pid == -1 || waitpid(pid, &status, 0) != pid || status != 0)
			return -1;
	}
	return since(t0);
}

/* The parent has TOUCHED more pages. */
static long
fork_1m(long n)
{
	char *p = map_pages(TOUCHED, MAP_PRIVATE | MAP_POPULATE);
	long ns, i;

	if (p == NULL)
		return -1;
	for (i = 0; i < TOUCHED; i++)
		p[i * PAGE] = 1;
	ns = fork_raw(n);
	raw3(SYS_munmap, (long)p, TOUCHED * PAGE, 0);
	return ns;
}

static void
exec_self(void)
{
	char *argv[] = { (char *)path, quit, NULL }, *envp[] = { NULL };

	raw3(SYS_execve, (long)path, (long)argv, (long)envp);
	raw3(RAW_EXIT_GROUP, 127, 0, 0);
}

static long
fork_exec(long n)
{
	long t0 = now(), pid;

	while (n-- > 0) {
		pid = raw0(SYS_fork);
		if (pid == 0)
			exec_self();
		if (!collect(pid))
			return -1;
	}
	return since(t0);
}

/* By itself, for a function that returns twice keeps no variable in a register. */
static __attribute__((noinline)) pid_t
vfork_self(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		exec_self();
	return pid;
}

static long
vfork_exec(long n)
{
	long t0 = now();

	while (n-- > 0)
		if (!collect(vfork_self()))
			return -1;
	return since(t0);
}

/* --- Threads ------------------------------------------------------------------ */

static int
thread_quit(void *arg)
{
	(void)arg;
	return 0;
}

static long
clone_thread(long n)
{
	atomic_int tid;
	long t0 = now();

	while (n-- > 0) {
		if (thr_start(stack + sizeof(stack), thread_quit, NULL, &tid) < 0)
			return -1;
		thr_join(&tid);
	}
	return since(t0);
}

static void *
pthread_quit(void *arg)
{
	return arg;
}

static long
pthread_cycle(long n)
{
	pthread_t t;
	long t0 = now();

	while (n-- > 0)
		if (pthread_create(&t, NULL, pthread_quit, NULL) != 0 || pthread_join(t, NULL) != 0)
			return -1;
	return since(t0);
}

/* --- Switches between two threads or processes -------------------------------- */

static atomic_int turn; /* who may run: 0 or 1 */
static atomic_int stop;
static atomic_long yields; /* of the second thread */
static int ping[2], pong[2];

static void
hand_over(int to)
{
	atomic_store(&turn, to);
	raw3(RAW_FUTEX, (long)&turn, FUT_WAKE, 1);
	while (atomic_load(&turn) == to)
		raw6(RAW_FUTEX, (long)&turn, FUT_WAIT, to, 0, 0, 0);
}

static int
futex_peer(void *arg)
{
	long n = (long)arg;

	while (atomic_load(&turn) == 0)
		raw6(RAW_FUTEX, (long)&turn, FUT_WAIT, 0, 0, 0, 0);
	while (--n > 0)
		hand_over(0);
	atomic_store(&turn, 0);
	raw3(RAW_FUTEX, (long)&turn, FUT_WAKE, 1);
	return 0;
}

static long
futex_switch(long n)
{
	atomic_int tid;
	long t0, ns, i, rounds = n / 2;

	atomic_store(&turn, 0);
	if (thr_start(stack + sizeof(stack), futex_peer, (void *)(rounds + 1), &tid) < 0)
		return -1;
	hand_over(1);
	t0 = now();
	for (i = 0; i < rounds; i++)
		hand_over(1);
	ns = since(t0);
	thr_join(&tid);
	return ns;
}

static int
pipe_peer(void *arg)
{
	long n = (long)arg;
	char c;

	while (n-- > 0)
		if (raw3(SYS_read, ping[0], (long)&c, 1) != 1 ||
		    raw3(SYS_write, pong[1], (long)&c, 1) != 1)
			return 1;
	return 0;
}

static int
pipe_round(void)
{
	char c = 0;

	return raw3(SYS_write, ping[1], (long)&c, 1) == 1 &&
	    raw3(SYS_read, pong[0], (long)&c, 1) == 1;
}

/* A byte goes to a thread, or a child process, and comes back. */
static long
pipe_switch(long n, int process)
{
	atomic_int tid = 0;
	long t0, ns = -1, i, rounds = n / 2, pid = 0;

	if (pipe(ping) == -1)
		return -1;
	if (pipe(pong) == -1)
		goto close_ping;
	if (process) {
		pid = raw0(SYS_fork);
		if (pid == 0)
			raw3(RAW_EXIT_GROUP, pipe_peer((void *)(rounds + 1)), 0, 0);
	} else {
		pid = thr_start(stack + sizeof(stack), pipe_peer, (void *)(rounds + 1), &tid);
	}
	if (pid < 0)
		goto close_both;
	pipe_round();
	t0 = now();
	for (i = 0; i < rounds && pipe_round(); i++)
		;
	ns = i == rounds ? since(t0) : -1;
	if (process)
		ns = collect(pid) ? ns : -1;
	else
		thr_join(&tid);
close_both:
	close(pong[0]);
	close(pong[1]);
close_ping:
	close(ping[0]);
	close(ping[1]);
	return ns;
}

static long
pipe_threads(long n)
{
	return pipe_switch(n, 0);
}

static long
pipe_processes(long n)
{
	return pipe_switch(n, 1);
}

static int
yield_peer(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&yields, 1);
		raw0(RAW_YIELD);
	}
	return 0;
}

/* Two threads yield to each other until both together did so n times. */
static long
yield_switch(long n)
{
	atomic_int tid;
	long t0, ns, mine = 0;

	atomic_store(&stop, 0);
	atomic_store(&yields, 0);
	if (thr_start(stack + sizeof(stack), yield_peer, NULL, &tid) < 0)
		return -1;
	while (atomic_load(&yields) == 0)
		raw0(RAW_YIELD);
	atomic_store(&yields, 0);
	t0 = now();
	while (mine + atomic_load(&yields) < n) {
		mine++;
		raw0(RAW_YIELD);
	}
	ns = since(t0);
	atomic_store(&stop, 1);
	thr_join(&tid);
	return ns;
}

/* --- Memory ------------------------------------------------------------------- */

static long
page_touch(long n)
{
	char *p = map_pages(n, MAP_PRIVATE);
	long t0, ns, i;

	if (p == NULL)
		return -1;
	raw3(SYS_madvise, (long)p, n * PAGE, MADV_NOHUGEPAGE);
	t0 = now();
	for (i = 0; i < n; i++)
		*(volatile char *)&p[i * PAGE] = 1;
	ns = since(t0);
	raw3(SYS_munmap, (long)p, n * PAGE, 0);
	return ns;
}

static long
mmap_munmap(long n)
{
	long t0 = now();
	char *p;

	while (n-- > 0) {
		p = map_pages(1, MAP_PRIVATE);
		if (p == NULL || raw3(SYS_munmap, (long)p, PAGE, 0) != 0)
			return -1;
	}
	return since(t0);
}

/* --- Signals and exit ----------------------------------------------------------- */

static volatile long handled;

static void
on_signal(int sig)
{
	(void)sig;
	handled = handled + 1;
}

static long
signal_self(long n)
{
	struct sigaction sa = { .sa_handler = on_signal };
	long t0, ns, i, pid = getpid(), tid = raw0(RAW_GETTID);

	if (sigaction(SIGUSR1, &sa, NULL) == -1)
		return -1;
	handled = 0;
	t0 = now();
	for (i = 0; i < n; i++)
		raw3(SYS_tgkill, pid, tid, SIGUSR1);
	ns = since(t0);
	return handled == n ? ns : -1;
}

struct crowd {
	atomic_long c_start; /* when exit_group was called */
	atomic_int c_here;
	atomic_int c_tids[CROWD];
};

static int
crowd_thread(void *arg)
{
	struct crowd *c = arg;
	atomic_int never = 0;

	atomic_fetch_add(&c->c_here, 1);
	for (;;)
		raw6(RAW_FUTEX, (long)&never, FUT_WAIT, 0, 0, 0, 0);
	return 0;
}

static void
crowd_process(struct crowd *c)
{
	char *stacks = map_pages(CROWD, MAP_PRIVATE);
	int i;

	for (i = 0; stacks != NULL && i < CROWD; i++)
		if (thr_start(stacks + (i + 1) * PAGE, crowd_thread, c, &c->c_tids[i]) < 0)
			break;
	if (i != CROWD)
		raw3(RAW_EXIT_GROUP, 1, 0, 0);
	/* The last to arrive need a moment to fall asleep. */
	while (atomic_load(&c->c_here) < CROWD)
		raw0(RAW_YIELD);
	for (i = 0; i < CROWD; i++)
		raw0(RAW_YIELD);
	atomic_store(&c->c_start, now());
	raw3(RAW_EXIT_GROUP, 0, 0, 0);
}

/* From the call of exit_group to the return of the parent's wait. */
static long
exit_crowd(long n)
{
	struct crowd *c = (struct crowd *)map_pages(1, MAP_SHARED);
	long pid, ns = 0;

	if (c == NULL)
		return -1;
	for (; n > 0 && ns >= 0; n--) {
		memset(c, 0, sizeof(*c));
		pid = raw0(SYS_fork);
		if (pid == 0)
			crowd_process(c);
		ns = collect(pid) ? ns + since(atomic_load(&c->c_start)) : -1;
	}
	raw3(SYS_munmap, (long)c, PAGE, 0);
	return ns;
}

/* --- Running them --------------------------------------------------------------- */

static const struct bench benches[] = {
	{ "null-syscall", null_syscall, 4000 },
	{ "getpid", getpid_syscall, 4000 },
	{ "clock-gettime", clock_libc, 1000 },
	{ "clock-gettime-call", clock_call, 1000 },
	{ "fork-exit-wait", fork_raw, 20 },
	{ "fork-exit-wait-libc", fork_libc, 20 },
	{ "fork-exit-wait-1MiB", fork_1m, 20 },
	{ "fork-exec-exit-wait", fork_exec, 10 },
	{ "vfork-exec-exit-wait", vfork_exec, 10 },
	{ "clone-thread-join", clone_thread, 50 },
	{ "pthread-create-join", pthread_cycle, 50 },
	{ "futex-switch", futex_switch, 400 },
	{ "pipe-switch", pipe_threads, 400 },
	{ "pipe-switch-process", pipe_processes, 400 },
	{ "yield-switch", yield_switch, 400 },
	{ "page-first-touch", page_touch, TOUCHED },
	{ "mmap-munmap", mmap_munmap, 200 },
	{ "signal-handler", signal_self, 200 },
	{ "exit-64-threads", exit_crowd, 2 },
};

int
main(int argc, char **argv)
{
	const char *prefix = argc > 1 ? argv[1] : "";
	const char *paths[] = { argv[0], "/bench/bench", "/init" };
	size_t i;

	if (strcmp(prefix, quit) == 0)
		raw3(RAW_EXIT_GROUP, 0, 0, 0);
	for (i = 0; i < 3 && path == NULL; i++)
		if (access(paths[i], X_OK) == 0)
			path = paths[i];
	if (path == NULL)
		path = argv[0];
	return bench_run(benches, sizeof(benches) / sizeof(benches[0]), prefix);
}
