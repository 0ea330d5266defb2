/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: numbers, dup, flags, limits, sharing, and threads that open, close and use one table at once.
 *
 * test: timeout=120
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define NR_CLOSE_RANGE 436

static void
test_numbers(void)
{
	int a = dup(0), b = dup(0), c = dup(0);

	ok(b == a + 1 && c == a + 2, "numbers follow each other");
	close(a);
	close(b);
	is_int(dup(0), a, "the lowest free one is taken");
	is_int(fcntl(0, F_DUPFD, c), c + 1, "F_DUPFD searches from its argument");
	is_int(dup2(0, a + 50), a + 50, "dup2 to any number");
	is_int(dup2(0, 700), 700, "and to one that is far away");
	is_int(fcntl(0, F_DUPFD, 500), 500, "F_DUPFD far away");
	is_int(dup(0), b, "still the lowest");
	is_int(dup2(b, b), b, "dup2 to itself");
	is_err(dup2(600, 600), EBADF, "dup2 of a closed one to itself: EBADF");
	is_err(dup3(b, b, 0), EINVAL, "dup3 to itself: EINVAL");
	is_err(syscall(SYS_dup3, 0, 9, 1), EINVAL, "dup3: bad flags: EINVAL");
	is_err(dup(600), EBADF, "dup of a closed one: EBADF");
	is_err(dup2(0, -1), EBADF, "dup2 to -1: EBADF");
	is_err(dup2(0, 1 << 20), EBADF, "dup2 beyond the limit: EBADF");
	is_err(fcntl(0, F_DUPFD, -1), EINVAL, "F_DUPFD from -1: EINVAL");
	is_err(fcntl(0, F_DUPFD, 1 << 20), EINVAL, "F_DUPFD beyond the limit: EINVAL");
	is_err(fcntl(0, 999), EINVAL, "fcntl: a bad command: EINVAL");
	is_err(fcntl(600, F_GETFD), EBADF, "fcntl of a closed one: EBADF");
	for (int fd = a; fd <= 700; fd++)
		close(fd);
}

static void
test_range(void)
{
	int a = dup(0), n = 0;

	for (int fd = a + 1; fd <= a + 100; fd++)
		dup2(0, fd);
	close(a + 50);
	is_int(syscall(NR_CLOSE_RANGE, a + 40, a + 60, 0), 0, "close_range, with a gap in it");
	for (int fd = a; fd <= a + 100; fd++)
		n += fcntl(fd, F_GETFD) == 0;
	is_int(n, 80, "closes those and no others");
	is_int(syscall(NR_CLOSE_RANGE, a + 90, -1, 4), 0, "CLOSE_RANGE_CLOEXEC, to the end");
	is_int(fcntl(a + 89, F_GETFD), 0, "the one before is as it was");
	is_int(fcntl(a + 90, F_GETFD), FD_CLOEXEC, "the first is marked");
	is_int(fcntl(a + 100, F_GETFD), FD_CLOEXEC, "and the last");
	is_err(syscall(NR_CLOSE_RANGE, a + 1, a, 0), EINVAL, "close_range backwards: EINVAL");
	is_err(syscall(NR_CLOSE_RANGE, a, a, 64), EINVAL, "close_range: bad flags: EINVAL");
	is_int(syscall(NR_CLOSE_RANGE, a, -1, 0), 0, "close_range to the end");
	is_int(dup(0), a, "all are closed");
	close(a);
}

static void
test_flags(void)
{
	int p[2], d;

	pipe2(p, O_CLOEXEC);
	is_int(fcntl(p[0], F_GETFD), FD_CLOEXEC, "O_CLOEXEC");
	d = dup(p[0]);
	is_int(fcntl(d, F_GETFD), 0, "dup clears it");
	fcntl(d, F_SETFD, FD_CLOEXEC);
	is_int(fcntl(d, F_GETFD), FD_CLOEXEC, "F_SETFD");
	fcntl(d, F_SETFD, 0);
	is_int(fcntl(d, F_GETFD), 0, "and back");
	fcntl(p[0], F_SETFL, O_NONBLOCK | O_WRONLY | O_CREAT);
	ok((fcntl(d, F_GETFL) & O_NONBLOCK) != 0, "F_SETFL: status flags are the file's");
	is_int(fcntl(d, F_GETFL) & (O_ACCMODE | O_CREAT), O_RDONLY, "and the access mode stays");
	close(p[0]);
	close(p[1]);
	close(d);
}

static void
test_limit(void)
{
	struct rlimit old, rl;
	int n = 0, fd, high = -1;

	getrlimit(RLIMIT_NOFILE, &old);
	rl = old;
	rl.rlim_cur = 200;
	is_ok(setrlimit(RLIMIT_NOFILE, &rl), "setrlimit");
	while ((fd = dup(0)) != -1) {
		high = fd;
		n++;
	}
	is_err(fd, EMFILE, "too many: EMFILE");
	is_int(high, 199, "the highest is below the limit");
	is_err(pipe((int[2]){ 0, 0 }), EMFILE, "pipe: EMFILE");
	while (n-- > 0)
		close(high--);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	for (n = 0; n < 1000 && dup(0) != -1;)
		n++;
	is_int(n, 1000, "a thousand open files");
	for (fd = 3; n > 0; fd++)
		n -= close(fd) == 0;
	rl.rlim_cur = rl.rlim_max + 1;
	is_err(setrlimit(RLIMIT_NOFILE, &rl), EINVAL, "a limit above its maximum: EINVAL");
	setrlimit(RLIMIT_NOFILE, &old);
}

static int
child_of_many(void *arg)
{
	int i, n = (int)(intptr_t)arg, bad = 0;

	for (i = 10; i < 10 + n; i++)
		bad += fcntl(i, F_GETFD) != (i % 3 == 0 ? FD_CLOEXEC : 0);
	close(10);
	return bad != 0;
}

static void
test_fork(void)
{
	int i, bad = 0;

	for (i = 10; i < 310; i++)
		dup3(0, i, i % 3 == 0 ? O_CLOEXEC : 0);
	is_exit(run_child(child_of_many, (void *)300), 0, "a child inherits 300 descriptors");
	for (i = 10; i < 310; i++)
		bad += close(i) != 0;
	is_int(bad, 0, "and closes only its own");
}

/* A process that shares the table. */
static int
share(void *arg)
{
	int *fd = arg;

	*fd = (int)raw6(SYS_dup, 0, 0, 0, 0, 0, 0);
	raw6(SYS_close, 0, 0, 0, 0, 0, 0);
	return 0;
}

static void
test_share(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	int fd = -1, zero = dup(0), st;
	pid_t pid = (pid_t)thr_clone(
	    CLONE_VM | CLONE_FILES | SIGCHLD, stack + sizeof(stack), share, &fd, NULL, NULL, 0);

	waitpid(pid, &st, 0);
	ok(fd > 0 && fcntl(fd, F_GETFD) == 0, "CLONE_FILES: what the child opens is open here");
	is_err(fcntl(0, F_GETFD), EBADF, "what it closes is closed");
	dup2(zero, 0);
	close(zero);
	close(fd);
}

/* --- threads: open, close, dup2 and use against each other --- */
#define N 4
static atomic_int stop, wrong;
static int p[2];

static int
churn(void *arg)
{
	long me = (long)arg, i, fd;

	for (i = 0; !atomic_load(&stop); i++) {
		fd = raw6(SYS_dup, p[1], 0, 0, 0, 0, 0);
		if (fd < 0)
			wrong++;
		if (i % 3 == 0)
			raw6(SYS_dup3, p[1], 40 + me % 2, 0, 0, 0, 0);
		if (i % 64 == 0)
			raw6(SYS_dup3, p[1], 100 + (i / 64) % 300, 0, 0, 0, 0);
		raw6(SYS_close, 40 + (i & 1), 0, 0, 0, 0, 0);
		raw6(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	return 0;
}

static int
use(void *arg)
{
	char c = 'x';
	struct stat st;
	long i, r;

	for (i = 0; !atomic_load(&stop); i++) {
		r = raw6(SYS_fstat, 40 + (i & 1), (long)&st, 0, 0, 0, 0);
		if (r == 0 ? !S_ISFIFO(st.st_mode) : r != -EBADF)
			wrong++;
		r = raw6(SYS_write, 40 + (i & 1), (long)&c, 1, 0, 0, 0);
		if (r == 1)
			raw6(SYS_read, p[0], (long)&c, 1, 0, 0, 0);
		else if (r != -EBADF)
			wrong++;
	}
	(void)arg;
	return 0;
}

static void
test_threads(void)
{
	static char stacks[N][16384] __attribute__((aligned(16)));
	atomic_int tid[N];
	long i;

	pipe(p);
	for (i = 0; i < N; i++)
		thr_start(stacks[i] + sizeof(stacks[i]), i % 2 ? churn : use, (void *)i, &tid[i]);
	sleep_ms(1000);
	atomic_store(&stop, 1);
	for (i = 0; i < N; i++)
		thr_join(&tid[i]);
	is_int(wrong, 0, "threads that open, close and use at once");
	for (i = 3; i < 500; i++)
		close((int)i);
}

int
main(void)
{
	close(3); /* what the host may have left open */
	close(4);
	close(5);
	test_numbers();
	test_range();
	test_flags();
	test_limit();
	test_fork();
	test_share();
	test_threads();
	return tap_done();
}
