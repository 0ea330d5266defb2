/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait4: selection, options, errors, status encodings, usage; any thread may
 * collect.  B21 (INT_MIN), B37 (child exits between scan and sleep).
 *
 * test: timeout=60
 * test: name=b37 flavour=debug smp=2,4 append="fp=wait-scan-to-sleep:2000" args="40"
 * test: name=b37-dead flavour=debug smp=2,4 append="fp=exit-after-DEAD:2000" args="40"
 * test: name=b37-wake flavour=debug smp=2,4 append="fp=exit-after-wake-before-switch:2000" args="40"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static atomic_int *gate;

static int
exit_at_gate(void *arg)
{
	word_wait(gate, 1);
	return (int)(long)arg;
}

/* Prove by WNOWAIT that pid can be collected, without collecting it. */
static void
until_dead(pid_t pid)
{
	siginfo_t si;

	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
}

static void
test_errors(void)
{
	int st;

	is_err(wait4(-1, &st, 0, NULL), ECHILD, "no children: ECHILD");
	is_err(wait4(-1, &st, WNOHANG, NULL), ECHILD, "no children, WNOHANG: ECHILD");
	is_err(wait4(getpid(), &st, 0, NULL), ECHILD, "waiting for oneself: ECHILD");
	is_err(wait4(-1, &st, 0x1000, NULL), EINVAL, "unknown option: EINVAL");
	is_err(wait4(-1, &st, (int)WNOWAIT, NULL), EINVAL, "WNOWAIT is not for wait4: EINVAL");
	is_err(wait4(INT_MIN, &st, 0, NULL), ESRCH, "pid INT_MIN: ESRCH");
	is_err(wait4(INT_MAX, &st, 0, NULL), ECHILD, "pid INT_MAX: ECHILD");
	is_err(wait4(-INT_MAX, &st, 0, NULL), ECHILD, "group INT_MAX: ECHILD");
}

static void
test_selection(void)
{
	pid_t a, b;
	int st = 77;

	atomic_store(gate, 0);
	a = spawn(exit_at_gate, (void *)1);
	b = spawn(exit_with, (void *)2);
	is_int(wait4(b, &st, 0, NULL), b, "waits for the child that was named");
	is_exit(st, 2, "and gives its status");
	is_err(wait4(b, &st, 0, NULL), ECHILD, "a collected child is gone");
	st = 77;
	is_int(wait4(a, &st, WNOHANG, NULL), 0, "WNOHANG with a living child: 0");
	is_int(st, 77, "and the status word is untouched");
	is_int(wait4(-1, &st, WNOHANG, NULL), 0, "WNOHANG for any child: 0");
	word_add(gate, 1);
	is_int(wait4(0, &st, 0, NULL), a, "pid 0 means the own process group");
	is_exit(st, 1, "status of the group member");
	a = spawn(exit_with, (void *)5);
	is_int(wait4(a, NULL, 0, NULL), a, "a NULL status is allowed");
	a = spawn(exit_with, (void *)5);
	is_int(wait4(-1, &st, __WALL, NULL), a, "__WALL");
}

static void
test_status(void)
{
	static const int sigs[] = { SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM,
		SIGTERM, SIGQUIT, SIGABRT, SIGSEGV, 64 };
	size_t i;
	int st;

	for (i = 0; i < NELEM(sigs); i++) {
		st = run_child(die_by, (void *)(long)sigs[i]);
		is_killed(st, sigs[i], "death by signal %d", sigs[i]);
	}
	st = run_child(exit_with, (void *)255);
	is_int(st, 0xff00, "exit(255) is 0xff00");
	st = run_child(exit_with, (void *)0x1234);
	is_int(st, 0x3400, "exit takes the low eight bits");
	st = run_child(die_by, (void *)SIGTERM);
	is_int(st, SIGTERM, "SIGTERM is 0x000f: no core bit");
}

/* Use 60 milliseconds of CPU, however busy the machine is. */
static int
burn(void *arg)
{
	struct timespec ts;

	(void)arg;
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < 60);
	return 0;
}

static int
grandchild_burns(void *arg)
{
	return run_child(burn, arg);
}

static void
test_usage(void)
{
	struct rusage ru;
	long long us;
	pid_t pid;
	int st;

	memset(&ru, 0xff, sizeof(ru));
	pid = spawn(burn, NULL);
	is_int(wait4(pid, &st, 0, &ru), pid, "wait4 with usage");
	us = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000LL + ru.ru_utime.tv_usec +
	    ru.ru_stime.tv_usec;
	ok(us > 5000 && us < 60000000, "usage counts the time that the child burned");
	memset(&ru, 0, sizeof(ru));
	pid = spawn(grandchild_burns, NULL);
	wait4(pid, &st, 0, &ru);
	us = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000LL + ru.ru_utime.tv_usec +
	    ru.ru_stime.tv_usec;
	ok(us > 5000, "and that of the grandchildren it waited for");
}

static void *
thread_wait(void *arg)
{
	int st;

	return (
	    void *)(long)(waitpid(*(pid_t *)arg, &st, 0) == *(pid_t *)arg ? WEXITSTATUS(st) : -1);
}

static void *
thread_fork(void *arg)
{
	*(pid_t *)arg = spawn(exit_with, (void *)21);
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t;
	void *ret;
	pid_t pid;
	int st;

	pid = spawn(exit_with, (void *)20);
	pthread_create(&t, NULL, thread_wait, &pid);
	pthread_join(t, &ret);
	is_int((long)ret, 20, "a thread collects the child of another");
	pthread_create(&t, NULL, thread_fork, &pid);
	pthread_join(t, NULL);
	is_int(waitpid(pid, &st, 0), pid, "the child outlives the thread that forked it");
	is_exit(st, 21, "and is collected by another");
}

static void
on_usr1(int sig)
{
	(void)sig;
}

static int
poke_parent(void *arg)
{
	sleep_ms(50);
	kill((pid_t)(long)arg, SIGUSR1);
	word_wait(gate, 1);
	return 0;
}

static void
test_eintr(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	pid_t pid;
	int st;

	sigaction(SIGUSR1, &sa, NULL);
	atomic_store(gate, 0);
	pid = spawn(poke_parent, (void *)(long)getpid());
	is_err(waitpid(pid, &st, 0), EINTR, "a handled signal ends the wait: EINTR");
	word_add(gate, 1);
	is_int(waitpid(pid, &st, 0), pid, "the child is still there to collect");

	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	atomic_store(gate, 1);
	pid = spawn(poke_parent, (void *)(long)getpid());
	is_int(waitpid(pid, &st, 0), pid, "SA_RESTART: the wait goes on");
	signal(SIGUSR1, SIG_DFL);
}

static void
test_nocldwait(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };
	int st;

	sigaction(SIGCHLD, &sa, NULL);
	spawn(exit_with, (void *)1);
	spawn(exit_with, (void *)2);
	is_err(
	    waitpid(-1, &st, 0), ECHILD, "SIGCHLD ignored: wait until all are gone, then ECHILD");
	sa.sa_handler = SIG_DFL;
	sa.sa_flags = SA_NOCLDWAIT;
	sigaction(SIGCHLD, &sa, NULL);
	spawn(exit_with, (void *)3);
	is_err(waitpid(-1, &st, 0), ECHILD, "SA_NOCLDWAIT: the same");
	signal(SIGCHLD, SIG_DFL);
}

int
main(int argc, char **argv)
{
	long i, n = arg_long(argc, argv, 1, 200), good = 0;
	pid_t pid;
	int st;

	gate = shared_mem(PAGE);
	test_errors();
	test_selection();
	test_status();
	test_usage();
	test_threads();
	test_eintr();
	test_nocldwait();

	for (i = 0; i < n; i++) {
		pid = spawn(exit_with, (void *)(i & 0x7f));
		good += waitpid(i & 1 ? pid : -1, &st, 0) == pid && WEXITSTATUS(st) == (i & 0x7f);
	}
	is_int(good, n, "no exit is missed between scan and sleep");
	pid = spawn(exit_with, (void *)6);
	until_dead(pid);
	is_int(
	    wait4(pid, &st, WNOHANG, NULL), pid, "a child reported dead is collected by WNOHANG");
	return tap_done();
}
