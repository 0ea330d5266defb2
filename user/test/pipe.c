/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes and descriptors: end of file, SIGPIPE, O_NONBLOCK, atomic writes,
 * blocking in both directions, dup and fcntl, limits.
 *
 * test: timeout=60
 * test: name=fp flavour=debug smp=2,4 append="fp=sleep-queued-not-switched:300" groups=stress
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static int
read_all(void *arg)
{
	int *fd = arg;
	char b[512];
	long n, total = 0;

	close(fd[1]);
	while ((n = read(fd[0], b, sizeof(b))) > 0)
		total += n;
	return n == 0 && total == 200000 ? 0 : 1;
}

static int
close_later(void *arg)
{
	int *fd = arg;

	close(fd[0]);
	sleep_ms(60);
	return 0;
}

static void
test_basic(void)
{
	static char big[200000];
	char b[64];
	int fd[2];
	pid_t pid;

	is_int(pipe(fd), 0, "pipe");
	is_int(write(fd[1], "hello", 5), 5, "write");
	is_int(read(fd[0], b, 2), 2, "a short read");
	is_int(read(fd[0], b, sizeof(b)), 3, "gets the rest, not more");
	is_int(read(fd[0], b, 0), 0, "a read of nothing does not block");
	is_err(read(fd[1], b, 1), EBADF, "reading the write end: EBADF");
	is_err(write(fd[0], b, 1), EBADF, "writing the read end: EBADF");
	is_err(lseek(fd[0], 0, SEEK_SET), ESPIPE, "lseek: ESPIPE");
	is_err(pread(fd[0], b, 1, 0), ESPIPE, "pread: ESPIPE");
	pid = spawn(read_all, fd);
	close(fd[0]);
	is_int(write(fd[1], big, sizeof(big)), sizeof(big), "200,000 bytes in one blocking write");
	close(fd[1]);
	is_exit(reap(pid), 0, "all arrive, then end of file");

	pipe(fd);
	pid = spawn(close_later, fd);
	close(fd[1]);
	is_int(read(fd[0], b, 1), 0, "a blocked reader is woken by the last writer's end");
	reap(pid);
	close(fd[0]);
}

static void *
write_thread(void *arg)
{
	static char big[300000];
	long n = write(*(int *)arg, big, sizeof(big));

	return (void *)(long)(n == -1 ? -errno : n);
}

static int
die_of_pipe(void *arg)
{
	int fd[2];

	(void)arg;
	pipe(fd);
	close(fd[0]);
	write(fd[1], "x", 1);
	return 1;
}

static siginfo_t sigpipe;

static void
on_sigpipe(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	sigpipe = *info;
}

static void
test_broken(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigpipe, .sa_flags = SA_SIGINFO };
	int fd[2];
	pthread_t t;
	void *ret;

	is_killed(run_child(die_of_pipe, NULL), SIGPIPE, "no reader: SIGPIPE");
	sigaction(SIGPIPE, &sa, NULL);
	pipe(fd);
	close(fd[0]);
	is_err(write(fd[1], "x", 1), EPIPE, "SIGPIPE caught: EPIPE");
	ok(sigpipe.si_signo == SIGPIPE && sigpipe.si_code == SI_USER &&
		sigpipe.si_pid == getpid() && sigpipe.si_uid == getuid(),
	    "the handler is told that it comes from the writer");
	close(fd[1]);
	signal(SIGPIPE, SIG_IGN);
	pipe(fd);
	pthread_create(&t, NULL, write_thread, &fd[1]);
	sleep_ms(60);
	close(fd[0]);
	pthread_join(t, &ret);
	ok((long)ret == -EPIPE || (long)ret > 0,
	    "a blocked writer is woken when the reader closes");
	is_err(write(fd[1], "x", 1), EPIPE, "SIGPIPE ignored: EPIPE");
	close(fd[1]);
	signal(SIGPIPE, SIG_DFL);
}

static void
test_nonblock(void)
{
	static char b[PAGE];
	long n, total = 0;
	int fd[2];

	is_int(pipe2(fd, O_NONBLOCK), 0, "pipe2 with O_NONBLOCK");
	is_err(read(fd[0], b, 1), EAGAIN, "empty: EAGAIN");
	while ((n = write(fd[1], b, sizeof(b))) > 0)
		total += n;
	is_err(n, EAGAIN, "full: EAGAIN");
	is_int(total, 65536, "it holds 64 KB");
	is_int(read(fd[0], b, 100), 100, "make room for 100 bytes");
	is_err(write(fd[1], b, PIPE_BUF), EAGAIN, "a write of PIPE_BUF is all or nothing");
	is_int(fcntl(fd[0], F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK | O_RDONLY, "F_GETFL");
	is_int(fcntl(fd[0], F_SETFL, 0), 0, "F_SETFL");
	is_int(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0, "switches it off");
	is_int(fcntl(fd[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK, "for this end only");
	close(fd[0]);
	close(fd[1]);
	is_err(pipe2(fd, 0x1), EINVAL, "bad flags: EINVAL");
}

/* --- writes of up to PIPE_BUF are not mixed ------------------------------------------------ */
#define REC  64
#define RECS 200

static int
write_records(void *arg)
{
	int *a = arg, i;
	char r[REC];

	memset(r, 'A' + a[2], sizeof(r));
	for (i = 0; i < RECS; i++)
		if (write(a[1], r, sizeof(r)) != REC)
			return 1;
	return 0;
}

static void
test_atomic(void)
{
	int a[3], i, k, n, bad = 0, count[4] = { 0 };
	pid_t pid[4];
	char r[REC];

	pipe(a);
	for (i = 0; i < 4; i++) {
		a[2] = i;
		pid[i] = spawn(write_records, a);
	}
	close(a[1]);
	for (;;) {
		for (n = 0; n < REC; n += k)
			if ((k = (int)read(a[0], r + n, (size_t)(REC - n))) <= 0)
				break;
		if (n < REC)
			break;
		for (i = 1; i < REC; i++)
			bad += r[i] != r[0];
		if (r[0] >= 'A' && r[0] < 'E')
			count[r[0] - 'A']++;
	}
	is_int(bad, 0, "records of four writers are not mixed");
	ok(count[0] == RECS && count[1] == RECS && count[2] == RECS && count[3] == RECS,
	    "and none is lost");
	for (i = 0; i < 4; i++)
		reap(pid[i]);
	close(a[0]);
}

static void
test_dup(void)
{
	struct rlimit rl, old;
	struct stat st;
	int fd[2], n, first;

	pipe(fd);
	n = dup(fd[0]);
	ok(n > fd[1], "dup gives the lowest free number");
	is_int(close(n), 0, "close it");
	is_int(dup2(fd[0], 40), 40, "dup2");
	is_int(dup2(40, 40), 40, "dup2 on itself");
	is_err(dup2(39, 39), EBADF, "of nothing: EBADF");
	is_err(dup3(40, 40, 0), EINVAL, "dup3 on itself: EINVAL");
	is_int(dup3(fd[0], 41, O_CLOEXEC), 41, "dup3");
	is_int(fcntl(41, F_GETFD), FD_CLOEXEC, "with close-on-exec");
	is_int(fcntl(40, F_GETFD), 0, "dup2 without");
	is_int(fcntl(40, F_SETFD, FD_CLOEXEC), 0, "F_SETFD");
	is_int(fcntl(40, F_GETFD), FD_CLOEXEC, "sets it");
	is_int(fcntl(fd[0], F_DUPFD, 60), 60, "F_DUPFD from a number on");
	is_err(fcntl(fd[0], F_DUPFD, -1), EINVAL, "F_DUPFD of -1: EINVAL");
	is_err(fcntl(fd[0], 9999, 0), EINVAL, "unknown command: EINVAL");
	is_err(close(1000), EBADF, "close of nothing: EBADF");
	is_err(dup2(fd[0], -1), EBADF, "dup2 to -1: EBADF");
	ok(fstat(fd[0], &st) == 0 && S_ISFIFO(st.st_mode), "fstat tells a pipe");
	close(40);
	close(41);
	close(60);
	getrlimit(RLIMIT_NOFILE, &old);
	rl = old;
	rl.rlim_cur = 20;
	setrlimit(RLIMIT_NOFILE, &rl);
	for (first = n = 0; (n = dup(fd[0])) != -1; first++)
		;
	is_err(n, EMFILE, "RLIMIT_NOFILE: EMFILE");
	ok(first > 0 && first < 20, "after some");
	is_err(dup2(fd[0], 20), EBADF, "dup2 beyond it: EBADF");
	is_err(fcntl(fd[0], F_DUPFD, 20), EINVAL, "F_DUPFD beyond it: EINVAL");
	setrlimit(RLIMIT_NOFILE, &old);
	for (n = fd[0]; n < 20; n++)
		close(n);
}

int
main(void)
{
	test_basic();
	test_broken();
	test_nonblock();
	test_atomic();
	test_dup();
	return tap_done();
}
