/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bad pointers to every call that takes one: EFAULT each time, and nothing
 * else happens.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define P 0x600dL /* stands for the bad pointer in a row */

#define IN       0 /* the kernel reads there */
#define OUT      1 /* the kernel writes there: a read-only page is bad too */
#define NULL_OK  2 /* NULL has a meaning */
#define NO_SPLIT 4 /* a partial transfer is fine, or alignment is checked first */

struct row {
	const char *r_name;
	long r_nr;
	int r_flags;
	long r_arg[6];
};

static struct {
	struct timespec ts;
	struct iovec iov;
	char *argv[2];
	char path[8], buf[256];
	atomic_int word;
} * g;

struct bad {
	const char *b_name;
	uintptr_t b_ptr;
	int b_kind; /* 0 always, OUT only for outputs, NULL_OK and NO_SPLIT as above */
};
static struct bad bads[] = {
	{ "NULL", 0, NULL_OK },
	{ "address 8", 8, 0 },
	{ "kernel text", 0xffffffff80100000, 0 },
	{ "the lowest kernel address", 0xffff800000000000, 0 },
	{ "the last page", 0xfffffffffffff000, 0 },
	{ "a non-canonical address", 0x0000900000000000, 0 },
	{ "the end of user memory", 0x00007ffffffff000, 0 },
	{ "an unmapped page", 0, 0 },
	{ "a page without access", 0, 0 },
	{ "a read-only page", 0, OUT },
	{ "the end of a page", 0, NO_SPLIT },
};

static int fd, pfd[2];

static void
set_up(void)
{
	char *p = private_mem(3 * PAGE), *q = private_mem(PAGE);

	memset(p, 'a', PAGE);
	bads[7].b_ptr = (uintptr_t)p + PAGE;
	bads[8].b_ptr = (uintptr_t)mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(q, PAGE, PROT_READ);
	bads[9].b_ptr = (uintptr_t)q;
	bads[10].b_ptr = (uintptr_t)p + PAGE - 2;
	g = private_mem(PAGE);
	g->ts.tv_nsec = 1;
	g->argv[0] = g->path;
	g->path[0] = '/';
	fd = open(data_path("text"), O_RDONLY);
	if (fd == -1 || pipe(pfd) == -1)
		bail_out("no test data, or no pipe");
	munmap(p + PAGE, PAGE); /* last, so that nothing else is put into the gap */
	write(pfd[1], "0123456789", 10);
}

static int
applies(const struct row *r, const struct bad *b)
{
	switch (b->b_kind) {
	case NULL_OK:
		return !(r->r_flags & NULL_OK);
	case OUT:
		return (r->r_flags & OUT) != 0;
	case NO_SPLIT:
		return !(r->r_flags & NO_SPLIT);
	default:
		return 1;
	}
}

static void
try(const struct row *r)
{
	size_t i, k, bad = 0;
	long a[6], ret;

	for (i = 0; i < NELEM(bads); i++) {
		if (!applies(r, &bads[i]))
			continue;
		for (k = 0; k < 6; k++)
			a[k] = r->r_arg[k] == P ? (long)bads[i].b_ptr : r->r_arg[k];
		memset((char *)bads[10].b_ptr, 'a', 2); /* an output may have cut it */
		errno = 0;
		ret = syscall(r->r_nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (ret == -1 && errno == EFAULT)
			continue;
		if (bad++ == 0)
			ok(0, "%s", r->r_name);
		diag("why: %s: expected -1 EFAULT(14), got %ld errno %d", bads[i].b_name, ret,
		    errno);
	}
	if (bad == 0)
		ok(1, "%s", r->r_name);
}

static void
try_all(void)
{
	const long G = (long)g, BUF = (long)g->buf, PATH = (long)g->path, CW = AT_FDCWD;
	const struct row rows[] = {
		{ "read", SYS_read, OUT | NO_SPLIT, { fd, P, 8 } },
		{ "read of a pipe", SYS_read, OUT | NO_SPLIT, { pfd[0], P, 8 } },
		{ "pread64", SYS_pread64, OUT | NO_SPLIT, { fd, P, 8, 0 } },
		{ "write to a pipe", SYS_write, IN | NO_SPLIT, { pfd[1], P, 8 } },
		{ "readv: vector", SYS_readv, IN, { fd, P, 1 } },
		{ "writev: vector", SYS_writev, IN, { pfd[1], P, 1 } },
		{ "open", SYS_open, IN, { P, O_RDONLY } },
		{ "openat", SYS_openat, IN, { CW, P, O_RDONLY } },
		{ "access", SYS_access, IN, { P, F_OK } },
		{ "stat: path", SYS_stat, IN, { P, BUF } },
		{ "stat: result", SYS_stat, OUT, { PATH, P } },
		{ "fstat", SYS_fstat, OUT, { fd, P } },
		{ "newfstatat: path", SYS_newfstatat, IN, { CW, P, BUF, 0 } },
		{ "newfstatat: result", SYS_newfstatat, OUT, { CW, PATH, P, 0 } },
		{ "pipe", SYS_pipe, OUT, { P } },
		{ "pipe2", SYS_pipe2, OUT, { P, O_CLOEXEC } },
		{ "execve: path", SYS_execve, IN, { P, (long)g->argv, (long)g->argv } },
		{ "execve: arguments", SYS_execve, NULL_OK,
		    { (long)self_path(), P, (long)&g->argv[1] } },
		{ "execve: environment", SYS_execve, NULL_OK,
		    { (long)self_path(), (long)g->argv, P } },
		{ "uname", SYS_uname, OUT, { P } },
		{ "prlimit64: new", SYS_prlimit64, NULL_OK, { 0, RLIMIT_NOFILE, P, 0 } },
		{ "prlimit64: old", SYS_prlimit64, OUT | NULL_OK, { 0, RLIMIT_NOFILE, 0, P } },
		{ "getrusage", SYS_getrusage, OUT, { RUSAGE_SELF, P } },
		{ "times", SYS_times, OUT | NULL_OK, { P } },
		{ "sysinfo", SYS_sysinfo, OUT, { P } },
		{ "futex: word", SYS_futex, NO_SPLIT, { P, 0, 1, G } },
		{ "futex: time", SYS_futex, NULL_OK, { (long)&g->word, 0, 0, P } },
		{ "futex: requeue target", SYS_futex, NO_SPLIT, { (long)&g->word, 4, 1, 1, P, 0 } },
		{ "get_robust_list: head", SYS_get_robust_list, OUT, { 0, P, BUF } },
		{ "get_robust_list: length", SYS_get_robust_list, OUT, { 0, BUF, P } },
		{ "sched_getaffinity", SYS_sched_getaffinity, OUT, { 0, 128, P } },
		{ "sched_setaffinity", SYS_sched_setaffinity, IN, { 0, 128, P } },
		{ "getcpu", SYS_getcpu, OUT | NULL_OK, { P, 0, 0 } },
		{ "rt_sigaction: new", SYS_rt_sigaction, NULL_OK, { SIGUSR1, P, 0, 8 } },
		{ "rt_sigaction: old", SYS_rt_sigaction, OUT | NULL_OK, { SIGUSR1, 0, P, 8 } },
		{ "rt_sigprocmask: new", SYS_rt_sigprocmask, NULL_OK, { SIG_BLOCK, P, 0, 8 } },
		{ "rt_sigprocmask: old", SYS_rt_sigprocmask, OUT | NULL_OK,
		    { SIG_BLOCK, 0, P, 8 } },
		{ "sigaltstack: new", SYS_sigaltstack, NULL_OK, { P, 0 } },
		{ "sigaltstack: old", SYS_sigaltstack, OUT | NULL_OK, { 0, P } },
		{ "nanosleep", SYS_nanosleep, IN, { P, 0 } },
		{ "clock_nanosleep", SYS_clock_nanosleep, IN, { CLOCK_MONOTONIC, 0, P, 0 } },
		{ "clock_gettime", SYS_clock_gettime, OUT, { CLOCK_MONOTONIC, P } },
		{ "clock_getres", SYS_clock_getres, OUT | NULL_OK, { CLOCK_MONOTONIC, P } },
		{ "gettimeofday", SYS_gettimeofday, OUT | NULL_OK, { P, 0 } },
		{ "time", SYS_time, OUT | NULL_OK, { P } },
		{ "arch_prctl: get FS", SYS_arch_prctl, OUT, { 0x1003, P } },
		{ "getrandom", SYS_getrandom, OUT | NO_SPLIT, { P, 8, 0 } },
		{ "clone3", 435, IN, { P, 88 } },
		{ "mincore", SYS_mincore, OUT | NO_SPLIT, { (long)g, 1, P } },
		{ "truncate", SYS_truncate, IN, { P, 0 } },
		{ "prctl: PR_GET_PDEATHSIG", SYS_prctl, OUT, { 2, P } },
	};
	size_t i;

	for (i = 0; i < NELEM(rows); i++)
		try(&rows[i]);
}

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* wait4 has collected the child when it finds the bad pointer; the child is gone. */
static void
test_wait(void)
{
	size_t i, bad = 0;
	siginfo_t si;
	pid_t pid;

	for (i = 1; i < NELEM(bads); i++) {
		pid = spawn(nothing, NULL);
		waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
		bad += syscall(SYS_wait4, pid, bads[i].b_ptr, 0, NULL) != -1 || errno != EFAULT;
		waitpid(pid, NULL, WNOHANG);
		pid = spawn(nothing, NULL);
		bad += syscall(SYS_wait4, pid, NULL, 0, bads[i].b_ptr) != -1 || errno != EFAULT;
		waitpid(pid, NULL, WNOHANG);
		pid = spawn(nothing, NULL);
		bad += syscall(SYS_waitid, P_PID, pid, bads[i].b_ptr, WEXITED, 0) != -1 ||
		    errno != EFAULT;
		waitpid(pid, NULL, WNOHANG);
	}
	is_int((long)bad, 0, "wait4 and waitid");
	is_err(waitpid(-1, NULL, 0), ECHILD, "no child is left behind");
}

static void
test_vectors(void)
{
	struct iovec v[2] = { { g->buf, 4 }, { hide(8), 4 } };
	size_t i, bad = 0;

	is_int(readv(fd, v, 2), 4, "readv: a bad second buffer gives the length of the first");
	for (i = 0; i < NELEM(bads) - 1; i++) {
		v[0].iov_base = hide(bads[i].b_ptr);
		bad += readv(fd, v, 1) != -1 || errno != EFAULT;
		if (bads[i].b_kind != OUT)
			bad += writev(pfd[1], v, 1) != -1 || errno != EFAULT;
	}
	is_int((long)bad, 0, "readv and writev: bad buffers");
	v[0].iov_len = (size_t)-1;
	is_err(readv(fd, v, 1), EINVAL, "readv: a negative length: EINVAL");
	is_err(readv(fd, v, -1), EINVAL, "readv: a negative count: EINVAL");
	is_err(readv(fd, v, 1025), EINVAL, "readv: 1025 vectors: EINVAL");
	is_int(readv(fd, v, 0), 0, "readv: none: 0");
}

int
main(void)
{
	char c[16];

	set_up();
	try_all();
	is_int(read(pfd[0], c, sizeof(c)), 10, "the pipe still holds what it held");
	write(pfd[1], "01234567", 8);
	test_wait();
	test_vectors();
	return tap_done();
}
