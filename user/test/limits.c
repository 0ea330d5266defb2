/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resource limits: each is inherited, holds, and lets go again what a call that
 * failed had counted (B1).  What counts for a user is tried as a user who has
 * nothing else on the machine.
 *
 * test: timeout=120
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MB (1024 * 1024L)

static uid_t user; /* one that nobody else has */
static atomic_int *gate;
static atomic_int *count;

static int
set(int resource, rlim_t cur, rlim_t max)
{
	struct rlimit rl = { cur, max };

	return setrlimit(resource, &rl);
}

/* --- LWPs of a user ----------------------------------------------------------- */

static void *
wait_at_gate(void *arg)
{
	(void)arg;
	word_wait(gate, 1);
	return NULL;
}

/* How many threads can be made, 20 at most; *error is what the next one gets. */
static int
fill_threads(int *error)
{
	pthread_attr_t attr;
	pthread_t t[20];
	int n = 0, i;

	*error = 0;
	atomic_store(gate, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	while (n < 20 && (*error = pthread_create(&t[n], &attr, wait_at_gate, NULL)) == 0)
		n++;
	word_add(gate, 1);
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	return n;
}

static int
child_threads(void *arg)
{
	int i, error;

	(void)arg;
	if (set(RLIMIT_NPROC, 5, 5) == -1 || setuid(user) == -1)
		return 1;
	for (i = 0; i < 20; i++) {
		int n, tries = 0;

		/* A thread that was joined may still be on its way out. */
		while ((n = fill_threads(&error)) < 4 && tries++ < 1000)
			sleep_ms(1);
		if (n != 4 || error != EAGAIN)
			return 2;
	}
	return 0;
}

static int
exit_now(void *arg)
{
	return (int)(long)arg;
}

static int
child_zombies(void *arg)
{
	pid_t pid;
	int i;

	(void)arg;
	if (set(RLIMIT_NPROC, 3, 3) == -1 || setuid(user) == -1)
		return 1;
	for (i = 0; i < 2; i++) {
		siginfo_t si;

		if ((pid = spawn(exit_now, NULL)) == -1 ||
		    waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == -1)
			return 2;
	}
	if (fork() != -1 || errno != EAGAIN)
		return 3;
	if (waitpid(-1, NULL, 0) == -1 || run_child(exit_now, NULL) != 0)
		return 4;
	return reap_all() == 1 ? 0 : 5;
}

static int
child_root(void *arg)
{
	int error;

	(void)arg;
	if (set(RLIMIT_NPROC, 1, 1) == -1)
		return 1;
	return fill_threads(&error) == 20 ? 0 : 2;
}

static int
stay_as_user(void *arg)
{
	(void)arg;
	if (setuid(user) == -1)
		return 1;
	word_add(count, 1);
	word_wait(gate, 1);
	return 0;
}

/* Linux lets the setuid be, and refuses the exec. */
static int
child_setuid_exec(void *arg)
{
	char *argv[] = { (char *)(long)self_path(), (char *)(long)"exit", (char *)(long)"7", NULL };
	pid_t a;
	int e;

	(void)arg;
	atomic_store(gate, 0);
	atomic_store(count, 0);
	if (set(RLIMIT_NPROC, 1, 1) == -1)
		return 1;
	a = spawn(stay_as_user, NULL);
	word_wait(count, 1);
	if (setuid(user) == -1)
		return 2;
	execv(argv[0], argv);
	e = errno;
	word_add(gate, 1);
	reap(a);
	if (e != EAGAIN)
		return 3;
	execv(argv[0], argv);
	return 4;
}

static void
test_nproc(void)
{
	is_exit(run_child(child_threads, NULL), 0,
	    "B1: RLIMIT_NPROC counts threads: EAGAIN, and as many the next time");
	is_exit(run_child(child_zombies, NULL), 0, "it counts zombies until they are collected");
	is_exit(run_child(child_root, NULL), 0, "the superuser is not held to it");
	is_exit(run_child(child_setuid_exec, NULL), 7,
	    "who becomes a user that has too many may not exec: EAGAIN");
}

/* --- memory ------------------------------------------------------------------- */

static void *
map(long size, int prot, int flags)
{
	return mmap(NULL, (size_t)size, prot, flags | MAP_ANONYMOUS, -1, 0);
}

static int
child_as(void *arg)
{
	void *p;

	(void)arg;
	if (set(RLIMIT_AS, 64 * MB, 64 * MB) == -1)
		return 1;
	if (map(128 * MB, PROT_NONE, MAP_PRIVATE) != MAP_FAILED || errno != ENOMEM)
		return 2;
	if ((p = map(8 * MB, PROT_READ, MAP_PRIVATE)) == MAP_FAILED)
		return 3;
	if (mremap(p, 8 * MB, 96 * MB, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM)
		return 4;
	if (sbrk(96 * MB) != (void *)-1 || errno != ENOMEM)
		return 5;
	return munmap(p, 8 * MB) == 0 ? 0 : 6;
}

static int
child_data(void *arg)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *p;

	(void)arg;
	if (set(RLIMIT_DATA, 24 * MB, 24 * MB) == -1)
		return 1;
	if (map(32 * MB, rw, MAP_PRIVATE) != MAP_FAILED || errno != ENOMEM)
		return 2;
	if (map(32 * MB, rw, MAP_SHARED) == MAP_FAILED)
		return 3;
	if ((p = map(32 * MB, PROT_READ, MAP_PRIVATE)) == MAP_FAILED)
		return 4;
	if (mprotect(p, 32 * MB, rw) != -1 || errno != ENOMEM)
		return 5;
	if (mprotect(p, 8 * MB, rw) == -1 || mprotect(p, 8 * MB, rw) == -1)
		return 6;
	if (map(20 * MB, rw, MAP_PRIVATE) != MAP_FAILED || errno != ENOMEM)
		return 7;
	if (mprotect(p, 8 * MB, PROT_READ) == -1 || map(20 * MB, rw, MAP_PRIVATE) == MAP_FAILED)
		return 8;
	if (sbrk(8 * MB) != (void *)-1 || errno != ENOMEM)
		return 9;
	return 0;
}

static int
use_stack(long kib)
{
	volatile char page[1024];

	page[0] = (char)kib;
	return kib == 0 ? 0 : use_stack(kib - 1) + page[0] - (char)kib;
}

static int
child_stack(void *arg)
{
	return set(RLIMIT_STACK, (rlim_t)(long)arg, RLIM_INFINITY) == -1 ? 1 : use_stack(1024);
}

static void
test_memory(void)
{
	is_exit(run_child(child_as, NULL), 0, "RLIMIT_AS: mmap, mremap, brk: ENOMEM");
	is_exit(run_child(child_data, NULL), 0,
	    "RLIMIT_DATA: private and writable, by mmap, mprotect or brk: ENOMEM");
	is_exit(run_child(child_stack, (void *)(4 * MB)), 0, "RLIMIT_STACK: the stack grows");
	is_killed(run_child(child_stack, (void *)(512 * 1024L)), SIGSEGV, "but not beyond");
}

/* --- descriptors, signals, time ------------------------------------------------- */

static int
child_nofile(void *arg)
{
	int fd, n = 0;

	(void)arg;
	if (set(RLIMIT_NOFILE, 10, 20) == -1)
		return 1;
	while ((fd = open("/dev/null", O_RDONLY)) != -1)
		n = fd;
	if (errno != EMFILE || n != 9)
		return 2;
	if (dup2(0, 10) != -1 || errno != EBADF)
		return 3;
	if (fcntl(0, F_DUPFD, 10) != -1 || errno != EINVAL)
		return 4;
	if (set(RLIMIT_NOFILE, 11, 20) == -1)
		return 5;
	return dup2(0, 10) == 10 ? 0 : 6;
}

static int
child_sigpending(void *arg)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	union sigval v = { .sival_int = 1 };
	struct timespec none = { 0, 0 };
	timer_t t, t2;
	sigset_t all;
	int i;

	(void)arg;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (set(RLIMIT_SIGPENDING, 4, 4) == -1 || setuid(user) == -1)
		return 1;
	if (timer_create(CLOCK_MONOTONIC, &ev, &t) == -1)
		return 2;
	for (i = 0; i < 3; i++)
		if (sigqueue(getpid(), SIGRTMIN, v) == -1)
			return 3;
	if (sigqueue(getpid(), SIGRTMIN, v) != -1 || errno != EAGAIN)
		return 4;
	if (timer_create(CLOCK_MONOTONIC, &ev, &t2) != -1 || errno != EAGAIN)
		return 5;
	if (kill(getpid(), SIGUSR1) == -1 || kill(getpid(), SIGRTMIN) == -1)
		return 6;
	while (sigtimedwait(&all, NULL, &none) != -1)
		;
	timer_delete(t);
	for (i = 0; i < 4; i++)
		if (sigqueue(getpid(), SIGRTMIN, v) == -1)
			return 7;
	return sigqueue(getpid(), SIGRTMIN, v) == -1 && errno == EAGAIN ? 0 : 8;
}

static void
on_xcpu(int sig)
{
	(void)sig;
	atomic_fetch_add(count, 1);
}

static int
child_cpu(void *arg)
{
	struct sigaction sa = { .sa_handler = on_xcpu };

	(void)arg;
	sigaction(SIGXCPU, &sa, NULL);
	if (set(RLIMIT_CPU, 1, 2) == -1)
		return 1;
	return run_child(exit_now, NULL) != 0 ? 2 : ({
		for (;;)
			__asm__ volatile("");
		0;
	});
}

/* A child has used nothing yet, but has the limit. */
static int
child_cpu_parent(void *arg)
{
	if (set(RLIMIT_CPU, 1, 10) == -1)
		return 1;
	return WTERMSIG(run_child(child_cpu, arg));
}

static void
test_others(void)
{
	is_exit(run_child(child_nofile, NULL), 0, "RLIMIT_NOFILE: open, dup2, fcntl");
	is_exit(run_child(child_sigpending, NULL), 0,
	    "RLIMIT_SIGPENDING: sigqueue and timer_create: EAGAIN; kill is not held to it");
	atomic_store(count, 0);
	is_exit(
	    run_child(child_cpu_parent, NULL), SIGKILL, "RLIMIT_CPU: SIGKILL at the hard limit");
	is_int(atomic_load(count), 1, "and SIGXCPU at the soft one");
}

/* --- the calls ------------------------------------------------------------------ */

static int
child_user(void *arg)
{
	struct rlimit rl;
	pid_t root = (pid_t)(long)arg;

	if (set(RLIMIT_CORE, 5, 20) == -1)
		return 1;
	if (setgid(user) == -1 || setuid(user) == -1)
		return 2;
	if (set(RLIMIT_CORE, 20, 20) == -1 || set(RLIMIT_CORE, 0, 10) == -1)
		return 3;
	if (set(RLIMIT_CORE, 0, 11) != -1 || errno != EPERM)
		return 4;
	if (prlimit(root, RLIMIT_CORE, NULL, &rl) != -1 || errno != EPERM)
		return 5;
	if (prlimit(0, RLIMIT_CORE, NULL, &rl) == -1 || rl.rlim_cur != 0 || rl.rlim_max != 10)
		return 6;
	return 0;
}

static int
child_inherit(void *arg)
{
	char *argv[] = { (char *)(long)self_path(), (char *)(long)"show", NULL };

	(void)arg;
	if (set(RLIMIT_FSIZE, 77, RLIM_INFINITY) == -1)
		return 1;
	execv(argv[0], argv);
	return 2;
}

static void
test_calls(void)
{
	struct rlimit rl = { 2, 1 };
	pid_t pid;

	is_err(setrlimit(RLIMIT_CORE, &rl), EINVAL, "soft above hard: EINVAL");
	is_err(getrlimit(16, &rl), EINVAL, "no such resource: EINVAL");
	is_err(prlimit(0x3fffffff, RLIMIT_CORE, NULL, &rl), ESRCH, "no such process: ESRCH");
	is_exit(run_child(child_user, (void *)(long)getpid()), 0,
	    "only the superuser raises a hard limit, or looks at another's");
	is_exit(run_child(child_inherit, NULL), 77, "fork and exec keep limits");
	atomic_store(gate, 0);
	pid = spawn((child_fn)(uintptr_t)wait_at_gate, NULL);
	rl.rlim_cur = 3;
	rl.rlim_max = 9;
	is_int(prlimit(pid, RLIMIT_CORE, &rl, NULL), 0, "prlimit sets a child's");
	memset(&rl, 0, sizeof(rl));
	is_int(prlimit(pid, RLIMIT_CORE, NULL, &rl), 0, "and reads it");
	ok(rl.rlim_cur == 3 && rl.rlim_max == 9, "as it was set");
	word_add(gate, 1);
	reap(pid);
}

int
main(int argc, char **argv)
{
	struct rlimit rl;

	if (argc > 2 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	if (argc > 1 && strcmp(argv[1], "show") == 0)
		return getrlimit(RLIMIT_FSIZE, &rl) == 0 ? (int)rl.rlim_cur : 1;
	user = 54321 + (uid_t)getpid();
	gate = shared_mem(PAGE);
	count = shared_mem(PAGE);
	test_nproc();
	test_memory();
	test_others();
	test_calls();
	return tap_done();
}
