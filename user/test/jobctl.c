/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stop and continue: the signals, what wait and SIGCHLD tell of them, each once; sleeps, threads, pending
 * signals and kills across a stop.
 *
 * test: timeout=90
 * test: name=fp smp=2,4 append="fp=stop-not-taken:1000,stopped-not-at-rest:1000,sleep-queued-not-switched:200" host=no timeout=90
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static struct {
	atomic_int ready, gate, count, seen, threads[4];
	atomic_int early; /* the sleeper woke too early */
} * sh;

static int
sleep_for_ever(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	word_add(&sh->ready, 1);
	for (;;)
		pause();
	return 0;
}

static pid_t
start(child_fn fn, void *arg)
{
	return spawn_ready(fn, arg, sh, sizeof(*sh), &sh->ready);
}

/* Its stop, continue or end, as a status. */
static int
next_status(pid_t pid)
{
	int st = -1;

	return waitpid(pid, &st, WUNTRACED | WCONTINUED) == pid ? st : -1;
}

static void
stops(pid_t pid, int sig, const char *what)
{
	int st;

	kill(pid, sig);
	st = next_status(pid);
	ok(st != -1 && WIFSTOPPED(st) && WSTOPSIG(st) == sig, "%s", what);
}

static void
continues(pid_t pid, const char *what)
{
	int st;

	kill(pid, SIGCONT);
	st = next_status(pid);
	ok(st != -1 && WIFCONTINUED(st), "%s", what);
}

static void
finish(pid_t pid)
{
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "and is killed");
}

/* Nothing is to be told of pid. */
static int
silent(pid_t pid)
{
	int st;

	return waitpid(pid, &st, WUNTRACED | WCONTINUED | WNOHANG) == 0;
}

/* --- wait ------------------------------------------------------------------------ */
static void
test_wait(void)
{
	static const int sigs[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
	pid_t pid = start(sleep_for_ever, NULL);
	siginfo_t si;
	int st;

	ok(silent(pid), "a sleeper: nothing to tell");
	for (size_t i = 0; i < NELEM(sigs); i++) {
		stops(pid, sigs[i], "it is stopped, by the signal sent");
		ok(silent(pid), "which is told once");
		is_int(waitpid(pid, &st, WNOHANG), 0, "and not to a wait for the dead");
		continues(pid, "it is continued");
		ok(silent(pid), "which is told once");
	}
	kill(pid, SIGSTOP);
	memset(&si, 0xff, sizeof(si));
	is_int(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT), 0, "waitid WSTOPPED");
	is_int(si.si_signo, SIGCHLD, "si_signo");
	is_int(si.si_code, CLD_STOPPED, "si_code");
	is_int(si.si_status, SIGSTOP, "si_status");
	ok(si.si_pid == pid, "si_pid");
	is_int(waitid(P_PID, (id_t)pid, &si, WSTOPPED), 0, "WNOWAIT has left it");
	si.si_pid = 1;
	is_int(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOHANG), 0, "then it is taken");
	is_int(si.si_pid, 0, "so nothing is told");
	kill(pid, SIGCONT);
	is_int(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WCONTINUED | WNOWAIT), 0, "WCONTINUED");
	is_int(si.si_code, CLD_CONTINUED, "si_code");
	is_int(si.si_status, SIGCONT, "si_status");
	is_int(waitid(P_ALL, 0, &si, WCONTINUED), 0, "WNOWAIT has left it");
	ok(silent(pid), "then it is taken");
	stops(pid, SIGSTOP, "stopped again");
	kill(pid, SIGSTOP);
	kill(pid, SIGTSTP);
	ok(silent(pid), "a stop of what is stopped is nothing");
	continues(pid, "one continue undoes it");
	kill(pid, SIGSTOP);
	waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT);
	kill(pid, SIGCONT);
	st = next_status(pid);
	ok(st != -1 && WIFCONTINUED(st), "a stop that is over is not told");
	stops(pid, SIGSTOP, "stopped again");
	finish(pid);
}

/* --- SIGCHLD ---------------------------------------------------------------------- */
static volatile sig_atomic_t nchld;
static volatile int chld_code[8], chld_status[8];

static void
on_chld(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)uc;
	chld_code[nchld % 8] = si->si_code;
	chld_status[nchld % 8] = si->si_status;
	nchld++;
}

static void
told(int n, int code, int status, const char *what)
{
	for (int i = 0; i < 20000 && nchld < n; i++)
		sleep_ms(1);
	is_int(nchld, n, "SIGCHLD: %s", what);
	is_int(chld_code[(n - 1) % 8], code, "its code");
	is_int(chld_status[(n - 1) % 8], status, "its status");
}

static void
test_sigchld(void)
{
	struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART };
	pid_t pid = start(sleep_for_ever, NULL);

	sigaction(SIGCHLD, &sa, NULL);
	nchld = 0;
	kill(pid, SIGTSTP);
	told(1, CLD_STOPPED, SIGTSTP, "a stop");
	kill(pid, SIGCONT);
	told(2, CLD_CONTINUED, SIGCONT, "a continue");
	next_status(pid);
	sa.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
	stops(pid, SIGSTOP, "SA_NOCLDSTOP: wait tells of a stop");
	continues(pid, "and of a continue");
	sleep_ms(20);
	is_int(nchld, 2, "but no SIGCHLD");
	signal(SIGCHLD, SIG_IGN);
	stops(pid, SIGSTOP, "SIGCHLD ignored: wait tells of a stop");
	continues(pid, "and of a continue");
	signal(SIGCHLD, SIG_DFL);
	finish(pid);
}

/* --- pending signals ---------------------------------------------------------------- */
static void
on_signal(int sig)
{
	atomic_fetch_add(&sh->seen, sig);
}

static void
block(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(how, &set, NULL);
}

static int
is_pending(int sig)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, sig);
}

static int
discards(void *arg)
{
	int bad = 0;

	(void)arg;
	setpgid(0, 0);
	block(SIG_BLOCK, SIGTSTP);
	block(SIG_BLOCK, SIGCONT);
	raise(SIGTSTP);
	bad |= !is_pending(SIGTSTP);
	raise(SIGCONT);
	bad |= is_pending(SIGTSTP) << 1;
	bad |= !is_pending(SIGCONT) << 2;
	raise(SIGTSTP);
	bad |= is_pending(SIGCONT) << 3;
	raise(SIGCONT);
	block(SIG_UNBLOCK, SIGTSTP);
	return bad;
}

static int
catches(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	signal(SIGTSTP, on_signal);
	signal(SIGTTIN, SIG_IGN);
	raise(SIGTTIN);
	raise(SIGTSTP);
	return atomic_load(&sh->seen) == SIGTSTP ? 0 : 1;
}

static int
blocked_then_stopped(void *arg)
{
	setpgid(0, 0);
	block(SIG_BLOCK, SIGTSTP);
	if (arg != NULL)
		signal(SIGTSTP, on_signal);
	raise(SIGTSTP);
	signal(SIGTSTP, SIG_DFL);
	word_add(&sh->ready, 1);
	block(SIG_UNBLOCK, SIGTSTP); /* stops here */
	return 5;
}

static int
catch_cont(void *arg)
{
	int how = (int)(long)arg;

	setpgid(0, 0);
	if (how == 0)
		signal(SIGCONT, on_signal);
	else if (how == 1)
		signal(SIGCONT, SIG_IGN);
	else
		block(SIG_BLOCK, SIGCONT);
	word_add(&sh->ready, 1);
	word_wait(&sh->gate, 1);
	return atomic_load(&sh->seen) + is_pending(SIGCONT);
}

static void
test_pending(void)
{
	static const int want[] = { SIGCONT, 0, 1 };
	struct sigaction sa = { .sa_handler = on_signal };
	pid_t pid;

	is_err(sigaction(SIGSTOP, &sa, NULL), EINVAL, "SIGSTOP cannot be caught");
	memset(sh, 0, sizeof(*sh));
	is_exit(run_child(discards, NULL), 0, "SIGCONT and stop signals take each other away");
	is_exit(run_child(catches, NULL), 0, "a caught or ignored stop signal stops nobody");
	for (long i = 0; i < 2; i++) {
		int st;

		pid = start(blocked_then_stopped, i != 0 ? sh : NULL);
		st = next_status(pid);
		ok(WIFSTOPPED(st) && WSTOPSIG(st) == SIGTSTP, "a blocked one stops when unblocked");
		kill(pid, SIGCONT);
		is_exit(reap(pid), 5, "and it goes on there");
	}
	for (long i = 0; i < 3; i++) {
		pid = start(catch_cont, (void *)i);
		stops(pid, SIGSTOP, "stopped");
		continues(pid, "continued, whatever its action for SIGCONT");
		word_add(&sh->gate, 1);
		is_exit(reap(pid), want[i], "caught, ignored, or left pending");
	}
}

static int
count_usr1(void *arg)
{
	(void)arg;
	setpgid(0, 0);
	signal(SIGUSR1, on_signal);
	word_add(&sh->ready, 1);
	while (atomic_load(&sh->seen) == 0)
		sleep_ms(1);
	return 0;
}

static void
test_kill(void)
{
	pid_t pid = start(count_usr1, NULL);
	int st;

	stops(pid, SIGSTOP, "stopped");
	kill(pid, SIGUSR1);
	sleep_ms(20);
	is_int(atomic_load(&sh->seen), 0, "a stopped process runs no handler");
	kill(pid, SIGCONT);
	is_exit(reap(pid), 0, "it does when it is continued");

	pid = start(sleep_for_ever, NULL);
	stops(pid, SIGSTOP, "stopped");
	kill(pid, SIGTERM);
	sleep_ms(20);
	is_int(waitpid(pid, &st, WNOHANG), 0, "SIGTERM does not end what is stopped");
	kill(pid, SIGCONT);
	is_killed(reap(pid), SIGTERM, "until it is continued");

	pid = start(sleep_for_ever, NULL);
	stops(pid, SIGSTOP, "stopped");
	finish(pid);
	pid = start(sleep_for_ever, NULL);
	kill(pid, SIGSTOP);
	finish(pid);
}

/* --- sleeps ---------------------------------------------------------------------------- */
static int fds[2];

static int
sleep_and_read(void *arg)
{
	long long t0 = now_ns();
	struct timespec ts = { 0, 150000000 };
	char c = 0;

	(void)arg;
	setpgid(0, 0);
	word_add(&sh->ready, 1);
	if (nanosleep(&ts, NULL) != 0 || now_ns() - t0 < 150000000)
		return 1;
	word_add(&sh->ready, 1);
	if (read(fds[0], &c, 1) != 1 || c != 'x')
		return 2;
	word_add(&sh->ready, 1);
	word_wait(&sh->gate, 1);
	return 0;
}

static void
test_sleeps(void)
{
	pid_t pid;

	if (pipe(fds) != 0)
		bail_out("pipe");
	pid = start(sleep_and_read, NULL);
	stops(pid, SIGSTOP, "stopped in nanosleep");
	continues(pid, "continued");
	word_wait(&sh->ready, 2);
	sleep_ms(5);
	stops(pid, SIGSTOP, "stopped in read");
	is_int(write(fds[1], "x", 1), 1, "what it waits for comes");
	sleep_ms(20);
	is_int(atomic_load(&sh->ready), 2, "it stays stopped");
	continues(pid, "continued");
	word_wait(&sh->ready, 3);
	stops(pid, SIGSTOP, "stopped in a futex wait");
	word_add(&sh->gate, 1);
	is_int(waitpid(pid, NULL, WNOHANG), 0, "woken, it stays stopped");
	kill(pid, SIGCONT);
	is_exit(reap(pid), 0, "no call failed");
}

/* --- threads ------------------------------------------------------------------------------ */
static void *
spin(void *arg)
{
	atomic_int *n = arg;

	for (;;)
		atomic_fetch_add(n, 1);
	return NULL;
}

static void *
nap(void *arg)
{
	atomic_int *n = arg;

	for (;;) {
		sleep_ms(1);
		atomic_fetch_add(n, 1);
	}
	return NULL;
}

static void *
read_for_ever(void *arg)
{
	atomic_int *n = arg;
	char c;

	while (read(fds[0], &c, 1) == 1)
		atomic_fetch_add(n, 1);
	atomic_store(&sh->early, 1);
	return NULL;
}

static int
threads(void *arg)
{
	static void *(*const fn[])(void *) = { spin, spin, nap, read_for_ever };
	pthread_t t;

	(void)arg;
	setpgid(0, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t, NULL, fn[i], &sh->threads[i]);
	while (atomic_load(&sh->threads[0]) == 0 || atomic_load(&sh->threads[1]) == 0)
		sleep_ms(1);
	word_add(&sh->ready, 1);
	for (;;)
		pause();
	return 0;
}

static void
test_threads(long n)
{
	pid_t pid = start(threads, NULL);
	int frozen = 0, ran = 0, was[4], st, good = 0;

	for (long i = 0; i < n; i++) {
		kill(pid, i & 1 ? SIGSTOP : SIGTSTP);
		st = next_status(pid);
		good += WIFSTOPPED(st);
		for (int k = 0; k < 4; k++)
			was[k] = atomic_load(&sh->threads[k]);
		good += write(fds[1], "y", 1) == 1;
		sleep_ms(3);
		frozen++;
		for (int k = 0; k < 4; k++)
			frozen -= k == 0 && was[k] != atomic_load(&sh->threads[k]);
		for (int k = 1; k < 4; k++)
			good -= was[k] != atomic_load(&sh->threads[k]);
		kill(pid, SIGCONT);
		st = next_status(pid);
		good += WIFCONTINUED(st);
		for (int k = 0; k < 4; k++)
			for (int ms = 0; was[k] == atomic_load(&sh->threads[k]) && ms < 10000; ms++)
				sleep_ms(1);
		for (int k = 0; k < 4; k++)
			ran += was[k] != atomic_load(&sh->threads[k]);
	}
	is_int(good, 3 * n, "five threads stop and are continued, told each time");
	is_int(frozen, n, "none runs while the process is stopped");
	is_int(ran, 4 * n, "each goes on");
	is_int(atomic_load(&sh->threads[3]), n, "the reader has read each byte");
	is_int(atomic_load(&sh->early), 0, "and no error");
	kill(pid, SIGSTOP);
	next_status(pid);
	finish(pid);
}

/* --- a wakeup for one of two, of which the first is stopped --------------------------- */

static int pipe_ends[2];

static int
read_one(void *arg)
{
	char c;

	(void)arg;
	word_add(&sh->ready, 1);
	if (read(pipe_ends[0], &c, 1) == 1)
		word_add(&sh->count, 1);
	return 0;
}

static int
wait_one(void *arg)
{
	(void)arg;
	word_add(&sh->ready, 1);
	futex(&sh->gate, FUT_WAIT, 0, NULL, NULL, 0);
	word_add(&sh->count, 1);
	return 0;
}

static void *
waiter(void *arg)
{
	((child_fn)arg)(NULL);
	return NULL;
}

/* Another thread takes the stop signal; the waiter stops where it sleeps. */
static int
in_thread(void *arg)
{
	pthread_t t;

	pthread_create(&t, NULL, waiter, arg);
	for (;;)
		pause();
	return 0;
}

static void
wake_one(child_fn fn)
{
	if (fn == read_one)
		write(pipe_ends[1], "x", 1);
	else
		futex(&sh->gate, FUT_WAKE, 1, NULL, NULL, 0);
}

static void
test_wakeup(child_fn fn, const char *what)
{
	pid_t first = start(in_thread, (void *)fn), second;
	int st;

	sleep_ms(20);
	second = spawn(fn, NULL);
	word_wait(&sh->ready, 2);
	sleep_ms(20);
	kill(first, SIGSTOP);
	waitpid(first, &st, WUNTRACED);
	wake_one(fn);
	is_int(
	    word_wait_ms(&sh->count, 1, 60000), 1, "%s: a wakeup passes over who is stopped", what);
	kill(first, SIGCONT);
	sleep_ms(20);
	wake_one(fn);
	is_int(word_wait_ms(&sh->count, 2, 60000), 1, "%s: continued, he gets the next", what);
	kill(first, SIGKILL);
	kill(second, SIGKILL);
	reap_all();
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 10);

	sh = shared_mem(PAGE);
	test_wait();
	test_sigchld();
	test_pending();
	test_kill();
	test_sleeps();
	test_threads(n);
	if (pipe(pipe_ends) != 0)
		bail_out("pipe");
	test_wakeup(read_one, "pipe");
	test_wakeup(wait_one, "futex");
	return tap_done();
}
