/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll, ppoll, select, pselect: what is ready, waiting for pipes, time limits, signals and masks, many
 * descriptors, errors; pollers that race with writers, and one that is killed; a herd of pollers, woken without
 * interrupts off for long.
 *
 * test: timeout=60 smp=1,4
 * test: name=herd flavour=debug smp=1 icount=yes args="herd" append="lock_hold=150" host=no
 * test: name=fp flavour=debug smp=4 append="fp=sleep-queued-not-switched:200" groups=stress
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MS     1000000LL
#define PIPES  12 /* more than the kernel has room for on its stack */
#define ROUNDS 150
#define MANY   300
#define HERD   200

static volatile int handled;

static void
on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void
catch_usr1(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	handled = 0;
	sigaction(SIGUSR1, &sa, NULL);
}

/* What poll tells of one descriptor, at once; -1 = nothing. */
static int
events(int fd, int want)
{
	struct pollfd p = { fd, (short)want, 0x55 };
	int n = poll(&p, 1, 0);

	return n == 1 ? p.revents : n == 0 && p.revents == 0 ? -1 : -2;
}

static void
test_states(void)
{
	static char full[65536];
	int fd[2], null = open("/dev/null", O_RDWR), file = open(data_path("text"), O_RDONLY);
	struct pollfd none[2] = { { -1, POLLIN, 7 }, { -5, POLLOUT, 7 } };
	char b;

	pipe2(fd, O_NONBLOCK);
	is_int(events(fd[0], POLLIN | POLLOUT), -1, "an empty pipe is not readable");
	is_int(events(fd[1], POLLIN | POLLOUT), POLLOUT, "but writable");
	while (write(fd[1], full, sizeof(full)) > 0)
		;
	is_int(events(fd[1], POLLOUT), -1, "a full one is not writable");
	is_int(events(fd[0], POLLIN | POLLRDNORM | POLLPRI), POLLIN | POLLRDNORM, "but readable");
	is_int(events(fd[0], 0), -1, "nothing is told that was not asked for");
	close(fd[1]);
	is_int(events(fd[0], POLLIN), POLLIN | POLLHUP, "bytes, and no writer");
	while (read(fd[0], full, sizeof(full)) > 0)
		;
	is_int(events(fd[0], 0), POLLHUP, "no writer, unasked");
	close(fd[0]);
	is_int(events(fd[0], POLLIN), POLLNVAL, "a closed descriptor");
	pipe(fd);
	close(fd[0]);
	is_int(events(fd[1], POLLOUT), POLLOUT | POLLERR, "no reader");
	close(fd[1]);
	is_int(events(null, POLLIN | POLLOUT), POLLIN | POLLOUT, "/dev/null is always ready");
	is_int(events(file, POLLIN | POLLOUT), POLLIN | POLLOUT, "and so is a file");
	is_int(read(null, &b, 1), 0, "as a read finds");
	is_int(poll(none, 2, 0), 0, "negative descriptors are left out");
	is_int(none[0].revents | none[1].revents, 0, "and have no events");
	close(null);
	close(file);
}

static void
test_errors(void)
{
	struct pollfd p[2] = { { -1, 0, 0 } };
	struct timespec bad = { 0, 1000000000 }, zero = { 0, 0 };
	struct timeval badtv = { -1, 0 };
	struct rlimit rl, old;
	fd_set set;
	unsigned long *end;
	int null = open("/dev/null", O_RDWR);

	is_int(poll(NULL, 0, 0), 0, "poll of nothing");
	is_err(poll(hide(8), 1, 0), EFAULT, "a bad address: EFAULT");
	getrlimit(RLIMIT_NOFILE, &old);
	rl = old;
	rl.rlim_cur = 16;
	setrlimit(RLIMIT_NOFILE, &rl);
	is_err(poll(p, 17, 0), EINVAL, "more than RLIMIT_NOFILE: EINVAL");
	setrlimit(RLIMIT_NOFILE, &old);
	is_err(syscall(SYS_ppoll, p, 1, &bad, NULL, 8), EINVAL, "ppoll: a bad time: EINVAL");
	is_err(syscall(SYS_ppoll, p, 1, &zero, &set, 4), EINVAL, "a mask of a wrong size: EINVAL");
	is_err(syscall(SYS_ppoll, p, 1, &zero, hide(8), 8), EFAULT, "a bad mask: EFAULT");
	is_err(select(-1, NULL, NULL, NULL, NULL), EINVAL, "select of -1: EINVAL");
	is_err(syscall(SYS_select, 0, NULL, NULL, NULL, &badtv), EINVAL, "a bad time: EINVAL");
	is_err(syscall(SYS_select, 8, hide(8), NULL, NULL, NULL), EFAULT, "a bad set: EFAULT");
	FD_ZERO(&set);
	FD_SET(60, &set);
	is_err(select(61, &set, NULL, NULL, NULL), EBADF, "a closed descriptor in a set: EBADF");
	ok(FD_ISSET(60, &set), "which stays as it was");
	is_int(syscall(SYS_select, 60, &set, NULL, NULL, &(struct timeval){ 0, 0 }), 0,
	    "unless it is beyond the number given");
	end = (unsigned long *)(void *)((char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) +
	    PAGE);
	mprotect(end, PAGE, PROT_NONE);
	end -= sizeof(fd_set) / sizeof(*end);
	end[0] = 1ul << null;
	is_int((int)syscall(SYS_select, 60000, end, NULL, NULL, NULL), 1,
	    "sets are not touched beyond the table's size");
	close(null);
}

static int
write_late(void *arg)
{
	int *fd = arg;

	sleep_ms(40);
	return write(fd[1], "x", 1) == 1 ? 0 : 1;
}

static int
read_late(void *arg)
{
	static char b[65536];
	int *fd = arg;

	sleep_ms(40);
	return read(fd[0], b, sizeof(b)) > 0 ? 0 : 1;
}

static int
end_late(void *arg)
{
	(void)arg;
	sleep_ms(40);
	return 0;
}

static void
test_wait(void)
{
	static char full[65536];
	struct pollfd p[PIPES];
	int fd[PIPES][2], i;
	fd_set in, out;
	struct timeval tv;
	long long t0;
	pid_t pid;
	char b;

	for (i = 0; i < PIPES; i++) {
		pipe(fd[i]);
		p[i] = (struct pollfd){ fd[i][0], POLLIN, 0 };
	}
	pid = spawn(write_late, fd[PIPES - 1]);
	is_int(poll(p, PIPES, -1), 1, "poll waits for a writer");
	is_int(p[PIPES - 1].revents, POLLIN, "to the last pipe");
	is_int(p[0].revents, 0, "and not the first");
	read(fd[PIPES - 1][0], &b, 1);
	reap(pid);

	pid = spawn(write_late, fd[1]);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd[0][0], &in);
	FD_SET(fd[1][0], &in);
	FD_SET(fd[2][0], &out);
	is_int(select(fd[PIPES - 1][1] + 1, &in, &out, NULL, NULL), 1, "select waits, too");
	ok(FD_ISSET(fd[1][0], &in) && !FD_ISSET(fd[0][0], &in) && !FD_ISSET(fd[2][0], &out),
	    "and leaves in the sets what is ready");
	read(fd[1][0], &b, 1);
	reap(pid);

	fcntl(fd[3][1], F_SETFL, O_NONBLOCK);
	while (write(fd[3][1], full, sizeof(full)) > 0)
		;
	pid = spawn(read_late, fd[3]);
	p[3] = (struct pollfd){ fd[3][1], POLLOUT, 0 };
	is_int(poll(&p[3], 1, -1), 1, "poll waits for room");
	is_int(p[3].revents, POLLOUT, "and gets it");
	reap(pid);

	pid = spawn(end_late, NULL);
	close(fd[4][1]);
	is_int(poll(&p[4], 1, -1), 1, "poll waits for the last writer's end");
	is_int(p[4].revents, POLLHUP, "which is a hang-up");
	reap(pid);

	t0 = now_ns();
	is_int(poll(p, 3, 30), 0, "a time limit");
	ok(now_ns() - t0 >= 30 * MS, "is kept");
	tv = (struct timeval){ 0, 30000 };
	FD_ZERO(&in);
	FD_SET(fd[0][0], &in);
	is_int((int)syscall(SYS_select, fd[0][0] + 1, &in, NULL, NULL, &tv), 0, "of select, too");
	ok(tv.tv_sec == 0 && tv.tv_usec == 0 && !FD_ISSET(fd[0][0], &in),
	    "nothing of it is left, and the set is empty");
	for (i = 0; i < PIPES; i++) {
		close(fd[i][0]);
		if (i != 4)
			close(fd[i][1]);
	}
}

/* ---- signals ---- */

static int
signal_parent_late(void *arg)
{
	(void)arg;
	sleep_ms(40);
	return kill(getppid(), SIGUSR1);
}

static int
stop_and_continue(void *arg)
{
	sleep_ms(20);
	kill(*(pid_t *)arg, SIGSTOP);
	sleep_ms(20);
	return kill(*(pid_t *)arg, SIGCONT);
}

static int
poll_200(void *arg)
{
	long long t0 = now_ns();

	(void)arg;
	return poll(NULL, 0, 200) == 0 && now_ns() - t0 >= 200 * MS ? 0 : 1;
}

static void
test_signals(void)
{
	struct timespec ts = { 100, 0 };
	sigset_t block, empty, now;
	struct pollfd p;
	int fd[2], status;
	pid_t pid, stopper;

	pipe(fd);
	p = (struct pollfd){ fd[0], POLLIN, 0 };
	catch_usr1(SA_RESTART);
	pid = spawn(signal_parent_late, NULL);
	is_err(poll(&p, 1, -1), EINTR, "a handler ends poll, SA_RESTART or not");
	reap(pid);
	pid = spawn(signal_parent_late, NULL);
	is_err(syscall(SYS_ppoll, &p, 1, &ts, NULL, 8), EINTR, "and ppoll");
	ok(handled == 2 && ts.tv_sec < 100, "which tells what time is left");
	reap(pid);

	sigemptyset(&empty);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	kill(getpid(), SIGUSR1);
	is_int(poll(&p, 1, 10), 0, "a blocked signal does not");
	is_err(ppoll(&p, 1, NULL, &empty), EINTR, "it does once ppoll's mask lets it in");
	is_int(handled, 3, "and its handler runs");
	sigprocmask(SIG_SETMASK, NULL, &now);
	ok(sigismember(&now, SIGUSR1), "the old mask is back");
	kill(getpid(), SIGUSR1);
	is_err(pselect(0, NULL, NULL, NULL, NULL, &empty), EINTR, "so with pselect");
	kill(getpid(), SIGUSR1);
	is_err(ppoll(&p, 1, &(struct timespec){ 0, 0 }, &empty), EINTR, "even if it does not wait");
	write(fd[1], "x", 1);
	kill(getpid(), SIGUSR1);
	is_int(ppoll(&p, 1, NULL, &empty), 1, "unless something is ready");
	is_int(handled, 5, "then it stays pending");
	sigprocmask(SIG_SETMASK, NULL, &now);
	ok(sigismember(&now, SIGUSR1), "and blocked");
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	is_int(handled, 6, "until it is let in");

	pid = spawn(poll_200, NULL);
	stopper = spawn(stop_and_continue, &pid);
	waitpid(pid, &status, 0);
	is_exit(status, 0, "a stop does not lengthen or end a poll");
	reap(stopper);
	close(fd[0]);
	close(fd[1]);
}

/* ---- many, and races ---- */

static void
test_many(void)
{
	static struct pollfd p[MANY];
	static unsigned long in[16];
	int fd[2], i, n, high;
	pid_t pid;

	pipe(fd);
	for (i = 0; i < MANY; i++)
		p[i] = (struct pollfd){ dup(fd[0]), POLLIN, 0 };
	high = p[MANY - 1].fd;
	pid = spawn(write_late, fd);
	is_int(poll(p, MANY, -1), MANY, "%d descriptors of one pipe, all ready at once", MANY);
	reap(pid);
	for (i = 0; i < MANY; i++)
		in[p[i].fd / 64] |= 1ul << p[i].fd % 64;
	n = (int)syscall(SYS_select, high + 1, in, NULL, NULL, NULL);
	is_int(n, MANY, "and for select");
	for (i = 0; i < MANY; i++)
		close(p[i].fd);
	close(fd[0]);
	close(fd[1]);
}

struct race {
	int r_fd[4][2];
};

static int
writer(void *arg)
{
	struct race *r = arg;
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (write(r->r_fd[i % 4][1], "x", 1) != 1)
			return 1;
	return 0;
}

/* Takes what is there until all pipes have ended; a wakeup that is lost leaves it asleep. */
static void *
reader(void *arg)
{
	struct race *r = arg;
	struct pollfd p[4];
	int i, ended = 0;
	long got = 0;
	char b;

	for (i = 0; i < 4; i++)
		p[i] = (struct pollfd){ r->r_fd[i][0], POLLIN, 0 };
	while (ended < 4) {
		poll(p, 4, -1);
		for (i = ended = 0; i < 4; i++) {
			if ((p[i].revents & POLLIN) != 0)
				while (read(p[i].fd, &b, 1) == 1)
					got++;
			ended += p[i].revents == POLLHUP;
		}
	}
	return (void *)got;
}

static int
sleeper(void *arg)
{
	return poll(arg, 1, -1);
}

static void
test_races(void)
{
	struct race r;
	struct pollfd p;
	pthread_t t[2];
	pid_t pid[3];
	void *got;
	long total = 0;
	int i, good = 1;

	for (i = 0; i < 4; i++)
		pipe2(r.r_fd[i], O_NONBLOCK);
	for (i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, reader, &r);
	for (i = 0; i < 3; i++)
		pid[i] = spawn(writer, &r);
	for (i = 0; i < 3; i++)
		good &= reap(pid[i]) == 0;
	ok(good, "three writers wrote all");
	for (i = 0; i < 4; i++)
		close(r.r_fd[i][1]);
	for (i = 0; i < 2; i++) {
		pthread_join(t[i], &got);
		total += (long)got;
	}
	is_int(total, 3 * ROUNDS, "two pollers got it, and saw the end");
	for (i = 0; i < 4; i++)
		close(r.r_fd[i][0]);

	pipe(r.r_fd[0]);
	p = (struct pollfd){ r.r_fd[0][0], POLLIN, 0 };
	pid[0] = spawn(sleeper, &p);
	sleep_ms(20);
	kill(pid[0], SIGKILL);
	is_killed(reap(pid[0]), SIGKILL, "a poller is killed");
	is_int(write(r.r_fd[0][1], "x", 1), 1, "the pipe has forgotten it");
	close(r.r_fd[0][0]);
	close(r.r_fd[0][1]);
}

static int herd_fd[2];
static atomic_int herd_size;

static void *
herd_one(void *arg)
{
	struct pollfd p[PIPES];

	(void)arg;
	for (int i = 0; i < PIPES; i++)
		p[i] = (struct pollfd){ herd_fd[0], POLLIN, 0 };
	atomic_fetch_add(&herd_size, 1);
	return poll(p, PIPES, -1) == PIPES ? arg : NULL;
}

/* All wait for one pipe, and one write wakes them. */
static void
test_herd(void)
{
	static pthread_t t[HERD];
	pthread_attr_t attr;
	int i, n = 0;
	void *got;

	pipe(herd_fd);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (i = 0; i < HERD; i++)
		pthread_create(&t[i], &attr, herd_one, herd_fd);
	while (atomic_load(&herd_size) < HERD)
		sleep_ms(1);
	sleep_ms(20);
	write(herd_fd[1], "x", 1);
	for (i = 0; i < HERD; i++) {
		pthread_join(t[i], &got);
		n += got == herd_fd;
	}
	is_int(n, HERD, "%d pollers are woken by one write", HERD);
	close(herd_fd[0]);
	close(herd_fd[1]);
}

static void
test_zero(void)
{
	int fd = open("/dev/zero", O_RDWR);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	ok(p != MAP_FAILED && s != MAP_FAILED, "/dev/zero can be mapped");
	ok(p[7] == 0 && s[7] == 0, "and is zero");
	p[7] = s[7] = 1;
	if (fork() == 0) {
		p[7] = s[7] = 2;
		_exit(0);
	}
	wait(NULL);
	ok(p[7] == 1 && s[7] == 2, "private, or shared with children");
	munmap(p, PAGE);
	munmap(s, PAGE);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "herd") == 0) {
		test_herd();
		return tap_done();
	}
	test_states();
	test_errors();
	test_wait();
	test_signals();
	test_many();
	test_races();
	test_herd();
	test_zero();
	return tap_done();
}
