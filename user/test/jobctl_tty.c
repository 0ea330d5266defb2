/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console as a controlling terminal: whose it is, its foreground group, signals by typed characters, reads and
 * writes from the background, the end of the session's leader. The debug device types.
 *
 * test: append="stdin=tty" timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static struct {
	atomic_int ready, gate, hup, cont, sig;
} * sh;

static struct termios modes;

static void
type(const char *hex)
{
	char cmd[80];

	snprintf(cmd, sizeof(cmd), "type %s", hex);
	if (dbg_cmd(cmd) != 0)
		bail_out("cannot type");
}

static void
set_lflag(tcflag_t lflag)
{
	modes.c_lflag = lflag;
	tcsetattr(0, TCSANOW, &modes);
}

static int
next_status(pid_t pid)
{
	int st = -1;

	return waitpid(pid, &st, WUNTRACED) == pid ? st : -1;
}

static int
stopped_by(pid_t pid, int sig)
{
	int st = next_status(pid);

	return st != -1 && WIFSTOPPED(st) && WSTOPSIG(st) == sig;
}

static pid_t
start(child_fn fn, void *arg)
{
	return spawn_ready(fn, arg, sh, sizeof(*sh), &sh->ready);
}

static int
job(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	word_add(&sh->ready, 1);
	for (;;)
		pause();
	return 0;
}

/* --- who has it ------------------------------------------------------------------------ */

static int
outsider(void *arg)
{
	pid_t sid;
	int id = 1, bad = 0;

	(void)arg;
	sid = setsid();
	bad |= (tcgetpgrp(0) != -1 || errno != ENOTTY) << 0;
	bad |= (tcsetpgrp(0, sid) != -1 || errno != ENOTTY) << 1;
	bad |= (ioctl(0, TIOCGSID, &id) != -1 || errno != ENOTTY) << 2;
	bad |= (open("/dev/tty", O_RDWR) != -1 || errno != ENXIO) << 3;
	bad |= (ioctl(0, TIOCSCTTY, 0) != -1 || errno != EPERM) << 4; /* it is another's */
	bad |= (ioctl(0, TIOCNOTTY) != -1 || errno != ENOTTY) << 5;
	bad |= (ioctl(0, TCGETS, &modes) != 0) << 6; /* it is a terminal all the same */
	return bad;
}

static int
resigns(void *arg)
{
	int fd = open("/dev/tty", O_RDWR), bad = 0;

	(void)arg;
	bad |= fd == -1;
	bad |= (tcgetpgrp(fd) != getpgrp()) << 1;
	bad |= (ioctl(0, TIOCSCTTY, 0) != -1 || errno != EPERM) << 2; /* leads no session */
	bad |= (ioctl(0, TIOCNOTTY) != 0) << 3;
	bad |= (tcgetpgrp(fd) != -1 || errno != ENOTTY) << 4;
	bad |= (open("/dev/tty", O_RDWR) != -1 || errno != ENXIO) << 5;
	return bad;
}

static void
test_owner(void)
{
	pid_t other = start(job, NULL);
	int id = 0;

	is_int(tcgetpgrp(0), getpgrp(), "init's group is in the foreground");
	is_int(ioctl(0, TIOCGSID, &id), 0, "TIOCGSID");
	is_int(id, getsid(0), "it is the terminal of our session");
	is_int(ioctl(0, TIOCSCTTY, 0), 0, "to take what one has: 0");
	is_err(tcsetpgrp(0, -1), EINVAL, "a negative group: EINVAL");
	is_err(tcsetpgrp(0, 0x3ffffff), ESRCH, "no group: ESRCH");
	is_int(tcsetpgrp(0, other), 0, "a child's group comes to the foreground");
	is_int(tcgetpgrp(0), other, "and is there");
	signal(SIGTTOU, SIG_IGN);
	is_int(tcsetpgrp(0, getpgrp()), 0, "and back, with SIGTTOU ignored");
	signal(SIGTTOU, SIG_DFL);
	tcsetpgrp(0, other);
	is_err(tcsetpgrp(0, getpgrp()), ENOTTY, "not ignored, in an orphaned group: ENOTTY");
	signal(SIGTTOU, SIG_IGN);
	kill(other, SIGKILL);
	reap(other);
	is_int(tcgetpgrp(0), 0, "a foreground group that is gone: 0");
	tcsetpgrp(0, getpgrp());
	is_exit(
	    run_child(outsider, NULL), 0, "another session has no terminal, and cannot get this");
	is_exit(run_child(resigns, NULL), 0, "/dev/tty is there, until it is given up");
	is_int(tcgetpgrp(0), getpgrp(), "by that process alone");
}

/* --- typed signals --------------------------------------------------------------------- */

static void
on_signal(int sig)
{
	atomic_fetch_or(&sh->sig, 1 << sig);
}

static void
test_typed(void)
{
	pid_t pid = start(job, NULL);

	signal(SIGINT, on_signal);
	tcsetpgrp(0, pid);
	type("1a");
	ok(stopped_by(pid, SIGTSTP), "^Z stops the foreground group");
	kill(-pid, SIGCONT);
	waitpid(pid, NULL, WCONTINUED);
	type("03");
	is_killed(reap(pid), SIGINT, "^C ends it");
	pid = start(job, NULL);
	tcsetpgrp(0, pid);
	type("1c");
	is_killed(reap(pid), SIGQUIT, "^\\ ends it");
	is_int(atomic_load(&sh->sig), 0, "and not us");
	tcsetpgrp(0, getpgrp());
	type("03");
	for (int i = 0; i < 20000 && atomic_load(&sh->sig) == 0; i++)
		sleep_ms(1);
	is_int(atomic_load(&sh->sig), 1 << SIGINT, "in the foreground, we get it");
	set_lflag(ICANON);
	type("03 0a");
	sleep_ms(20);
	{
		char c[4] = { 0 };

		is_int(read(0, c, sizeof(c)), 2, "without ISIG it is a character");
		is_int(c[0], 3, "which can be read");
	}
	set_lflag(ISIG | ICANON);
	modes.c_cc[VINTR] = 'i';
	set_lflag(ISIG | ICANON);
	atomic_store(&sh->sig, 0);
	type("61 62 69 63 0a"); /* ab, i, c */
	for (int i = 0; i < 20000 && atomic_load(&sh->sig) == 0; i++)
		sleep_ms(1);
	is_int(atomic_load(&sh->sig), 1 << SIGINT, "VINTR may be any character");
	{
		char c[4] = { 0 };

		is_int(read(0, c, sizeof(c)), 2, "what was typed before it is dropped");
		is_int(c[0], 'c', "not what follows");
	}
	modes.c_cc[VINTR] = 3;
	set_lflag(ISIG | ICANON);
	signal(SIGINT, SIG_DFL);
}

/* --- the background ---------------------------------------------------------------------- */

static int
reads(void *arg)
{
	int how = (int)(long)arg;
	char c[8];
	ssize_t n;

	setpgid(0, 0);
	if (how == 1)
		signal(SIGTTIN, SIG_IGN);
	if (how == 2) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGTTIN);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	if (how == 3) {
		struct sigaction sa = { .sa_handler = on_signal }; /* no SA_RESTART */

		sigaction(SIGTTIN, &sa, NULL);
	}
	word_add(&sh->ready, 1);
	n = read(0, c, sizeof(c));
	return n == -1 ? errno : (int)n;
}

static int
writes(void *arg)
{
	int how = (int)(long)arg;

	setpgid(0, 0);
	signal(SIGTTOU, how == 1 ? SIG_IGN : SIG_DFL);
	word_add(&sh->ready, 1);
	if (how == 2)
		return tcsetpgrp(0, getpgrp()) == 0 ? 12 : errno;
	if (how == 3)
		return tcsetattr(0, TCSANOW, &modes) == 0 ? 13 : errno;
	return write(1, "# from the background\n", 22) == 22 ? 11 : errno;
}

/* A group whose leader ends, in a session that has the terminal: nobody would continue a reader. */
static int
orphan_reads(void *arg)
{
	char c;

	(void)arg;
	setpgid(0, 0);
	if (fork() != 0) {
		word_wait(&sh->ready, 1);
		return 0;
	}
	word_add(&sh->ready, 1);
	while (getppid() != 1)
		sleep_ms(1);
	atomic_store(&sh->sig, read(0, &c, 1) == -1 ? errno : 0);
	word_add(&sh->gate, 1);
	return 0;
}

static int
session_of_orphan(void *arg)
{
	setsid();
	if (ioctl(0, TIOCSCTTY, 1) != 0)
		return 1;
	reap(spawn(orphan_reads, arg));
	word_wait(&sh->gate, 1);
	return 0;
}

static void
test_background(void)
{
	char hold[4];
	pid_t pid;

	pid = start(reads, (void *)0L);
	ok(stopped_by(pid, SIGTTIN), "a read from the background: SIGTTIN");
	tcsetpgrp(0, pid);
	kill(pid, SIGCONT);
	type("68 69 0a");
	is_exit(reap(pid), 3, "in the foreground it reads on");
	tcsetpgrp(0, getpgrp());
	is_exit(reap(start(reads, (void *)1L)), EIO, "SIGTTIN ignored: EIO");
	is_exit(reap(start(reads, (void *)2L)), EIO, "blocked: EIO");
	is_exit(reap(start(reads, (void *)3L)), EINTR, "caught: EINTR");

	/* In the foreground, waiting, it is stopped, and continued in the background. */
	pid = spawn(reads, (void *)0L);
	word_wait(&sh->ready, 2);
	stopped_by(pid, SIGTTIN);
	tcsetpgrp(0, pid);
	kill(pid, SIGCONT);
	waitpid(pid, NULL, WCONTINUED);
	type("1a");
	ok(stopped_by(pid, SIGTSTP), "a reader is stopped by ^Z");
	tcsetpgrp(0, getpgrp());
	kill(pid, SIGCONT);
	ok(stopped_by(pid, SIGTTIN), "continued in the background, it may not read");
	type("6b 0a");
	is_int(read(0, hold, sizeof(hold)), 2, "we may");
	kill(pid, SIGKILL);
	reap(pid);

	is_exit(reap(start(writes, (void *)0L)), 11, "a write from the background: is written");
	set_lflag(ISIG | ICANON | TOSTOP);
	pid = start(writes, (void *)0L);
	ok(stopped_by(pid, SIGTTOU), "with TOSTOP: SIGTTOU");
	set_lflag(ISIG | ICANON);
	kill(pid, SIGCONT);
	is_exit(reap(pid), 11, "without it, it is written");
	set_lflag(ISIG | ICANON | TOSTOP);
	is_exit(reap(start(writes, (void *)1L)), 11, "with TOSTOP and SIGTTOU ignored, too");
	set_lflag(ISIG | ICANON);
	for (long i = 2; i <= 3; i++) {
		pid = start(writes, (void *)i);
		ok(stopped_by(pid, SIGTTOU), "tcsetpgrp, tcsetattr from the background: SIGTTOU");
		tcsetpgrp(0, pid);
		kill(pid, SIGCONT);
		is_exit(reap(pid), 10 + (int)i, "in the foreground they work");
		tcsetpgrp(0, getpgrp());
	}
}

/* Reads a line that comes while it waits; says so. */
static int
waits_for_line(void *arg)
{
	char c[8];

	setpgid(0, 0);
	word_add(&sh->ready, 1);
	(void)arg;
	return read(0, c, sizeof(c)) == 2 ? c[0] : 1;
}

static pid_t
asleep(child_fn fn)
{
	pid_t pid = start(fn, NULL);
	char cmd[40];

	if (fn == waits_for_line) { /* stopped on its way in, for it was in the background */
		stopped_by(pid, SIGTTIN);
		tcsetpgrp(0, pid);
		kill(pid, SIGCONT);
		waitpid(pid, NULL, WCONTINUED);
	}
	snprintf(cmd, sizeof(cmd), "rests %d", pid);
	while (dbg_cmd(cmd) != 0)
		sleep_ms(1);
	return pid;
}

/* One line wakes one reader: one that may not have it lets the next one know. */
static void
test_readers(void)
{
	pid_t first = asleep(waits_for_line), second = asleep(waits_for_line);

	type("70 0a");
	is_exit(reap_ms(second, 20000), 'p',
	    "two wait, the first is in the background by now: the other gets the line");
	tcsetpgrp(0, getpgrp());
	kill(first, SIGKILL);
	reap(first);
}

/* Blank lines, for it cannot be done without. */
static int
writes_for_long(void *arg)
{
	static char much[1 << 20];
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	ssize_t n;

	(void)arg;
	memset(much, '\n', sizeof(much));
	sigaction(SIGUSR1, &sa, NULL);
	word_add(&sh->ready, 1);
	n = write(1, much, sizeof(much));
	atomic_store(&sh->gate, 1);
	return n > 0 && n < (ssize_t)sizeof(much) ? 21 : 22;
}

static int
writes_on(void *arg)
{
	(void)arg;
	word_add(&sh->ready, 1);
	for (;;)
		if (write(1, "\n", 1) != 1)
			return 1;
}

static void
test_long_write(void)
{
	pid_t writer = start(writes_for_long, NULL), waiter = spawn(writes_on, NULL);
	int killed, over, ended = -1;
	char cmd[40];

	word_wait(&sh->ready, 2);
	snprintf(cmd, sizeof(cmd), "rests %d", waiter);
	while (atomic_load(&sh->gate) == 0 && dbg_cmd(cmd) != 0)
		continue;
	kill(waiter, SIGTERM);
	killed = reap(waiter);
	over = atomic_load(&sh->gate);
	while (waitpid(writer, &ended, WNOHANG) == 0) {
		kill(writer, SIGUSR1);
		sleep_ms(1);
	}
	/* What we have to say would have waited, too. */
	is_killed(killed, SIGTERM, "who waits to write can be killed");
	is_int(over, 0, "while the other writes on");
	is_exit(ended, 21, "whose long write a signal ends before it is done");
}

static void
test_orphan(void)
{
	memset(sh, 0, sizeof(*sh));
	is_exit(run_child(session_of_orphan, NULL), 0, "a session takes the terminal");
	is_int(atomic_load(&sh->sig), EIO, "a read from the background, in an orphaned group: EIO");
	reap_all();
	is_int(ioctl(0, TIOCSCTTY, 0), 0, "we take it back");
}

/* --- the leader's end ------------------------------------------------------------------------ */

static void
on_hup(int sig)
{
	atomic_fetch_add(sig == SIGHUP ? &sh->hup : &sh->cont, 1);
}

static int
foreground_of_session(void *arg)
{
	setpgid(0, 0);
	signal(SIGHUP, on_hup);
	signal(SIGCONT, on_hup);
	word_add(&sh->ready, 1);
	if (arg != NULL)
		raise(SIGSTOP);
	word_wait_ms(&sh->gate, 1, 100000);
	return 0;
}

static int
session(void *arg)
{
	siginfo_t si;
	pid_t pid;

	setsid();
	if (ioctl(0, TIOCSCTTY, 1) != 0) /* taken from init's session */
		return 1;
	pid = spawn(foreground_of_session, arg);
	word_wait(&sh->ready, 1);
	if (arg != NULL)
		waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT);
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(0, pid) != 0 || tcgetpgrp(0) != pid)
		return 2;
	return 7;
}

static void
test_leader(void)
{
	for (long i = 0; i < 2; i++) {
		memset(sh, 0, sizeof(*sh));
		is_exit(run_child(session, i != 0 ? sh : NULL), 7,
		    "a session takes the terminal and ends");
		for (int k = 0; k < 20000 && atomic_load(&sh->hup) == 0; k++)
			sleep_ms(1);
		ok(atomic_load(&sh->hup) >= 1, "its foreground group gets SIGHUP");
		ok(atomic_load(&sh->cont) >= 1, "and SIGCONT");
		word_add(&sh->gate, 1);
		is_int(reap_all(), 1, "and can go on");
		is_err(tcgetpgrp(0), ENOTTY, "the terminal is nobody's");
		is_int(ioctl(0, TIOCSCTTY, 0), 0, "so we can take it");
		is_int(tcgetpgrp(0), getpgrp(), "and are in the foreground");
	}
}

int
main(void)
{
	sh = shared_mem(PAGE);
	become_reaper();
	if (tcgetattr(0, &modes) != 0)
		bail_out("no terminal");
	set_lflag(ISIG | ICANON); /* no echo among the results */
	test_owner();
	test_typed();
	test_background();
	test_readers();
	test_long_write();
	test_orphan();
	test_leader();
	return tap_done();
}
