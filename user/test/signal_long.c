/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that move up to 2 GiB from a device that never ends: a signal ends them after what
 * is done, and SIGKILL ends the process in the middle of one.
 *
 * test: timeout=90 smp=1,2
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define PIECE   (2u << 20)
#define PIECES  1024
#define WINDOWS 256
#define LIMIT   10000 /* ms */

/* One long call; it needs memory for one piece only. */
struct source {
	const char *s_name;
	const char *s_path; /* NULL: getrandom() */
};

static const struct source sources[] = {
	{ "read of /dev/zero", "/dev/zero" },
	{ "read of /dev/urandom", "/dev/urandom" },
	{ "getrandom", NULL },
};

static volatile sig_atomic_t handled;

static void
on_usr1(int sig)
{
	(void)sig;
	handled = 1;
}

/* The same piece of shared memory, mapped again and again. */
static char *
windows(void)
{
	char *piece = shared_mem(PIECE);
	char *base = mmap(NULL, (size_t)WINDOWS * PIECE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (int i = 0; base != MAP_FAILED && i < WINDOWS; i++)
		if (mremap(piece, 0, PIECE, MREMAP_MAYMOVE | MREMAP_FIXED,
			base + (size_t)i * PIECE) == MAP_FAILED)
			return NULL;
	return base != MAP_FAILED ? base : NULL;
}

static ssize_t
transfer(const struct source *s, int fd, char *base, size_t *want)
{
	static struct iovec iov[PIECES];

	if (s->s_path == NULL) {
		*want = (size_t)WINDOWS * PIECE;
		return getrandom(base, *want, 0);
	}
	for (int i = 0; i < PIECES; i++)
		iov[i] = (struct iovec){ base, PIECE };
	*want = (size_t)PIECES * PIECE - PAGE; /* the most that one call moves */
	return readv(fd, iov, PIECES);
}

/* Calls until a signal has ended one, or for ever. */
static int
mover(void *arg)
{
	const struct source *s = arg;
	int fd = s->s_path != NULL ? open(s->s_path, O_RDONLY) : -1;
	char *base = windows();
	size_t want;
	ssize_t n;

	if (base == NULL || (s->s_path != NULL && fd < 0))
		return 2;
	do {
		n = transfer(s, fd, base, &want);
	} while (n == (ssize_t)want || (n < 0 && errno == EINTR));
	if (n <= 0)
		return 3;
	return handled ? 0 : 4;
}

static void
test_handler(const struct source *s)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	long long end = now_ns() + (long long)LIMIT * 1000000;
	int st = 0;
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	pid = spawn(mover, (void *)s);
	do {
		sleep_ms(50);
		kill(pid, SIGUSR1);
	} while (waitpid(pid, &st, WNOHANG) == 0 && now_ns() < end);
	if (now_ns() >= end)
		st = reap_ms(pid, 0);
	ok(st == 0, "a signal cuts a long %s short", s->s_name);
	if (st != 0)
		diag("why: %s", st == -2 ? "it takes for ever" : status_text(st));
}

static void
test_kill(const struct source *s)
{
	pid_t pid = spawn(mover, (void *)s);
	int st;

	sleep_ms(100);
	kill(pid, SIGKILL);
	st = reap_ms(pid, LIMIT / 2);
	ok(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL, "SIGKILL ends a long %s", s->s_name);
	if (st == -2)
		diag("why: not in %d ms", LIMIT / 2);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(sources); i++) {
		test_handler(&sources[i]);
		test_kill(&sources[i]);
	}
	return tap_done();
}
