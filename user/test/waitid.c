/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waitid: what it selects and reports, WNOWAIT, and errors; two threads that
 * wait for one child: exactly one gets it (docs/protocol.md 4.6).
 *
 * test: timeout=60
 * test: name=fp flavour=debug smp=2,4 append="fp=wait-scan-to-sleep:1000" groups=stress args="30"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

static void
test_errors(void)
{
	siginfo_t si;

	is_err(waitid(P_ALL, 0, &si, WEXITED), ECHILD, "no children: ECHILD");
	is_err(waitid(P_ALL, 0, &si, 0), EINVAL, "no event class: EINVAL");
	is_err(waitid(P_ALL, 0, &si, WNOHANG), EINVAL, "WNOHANG alone: EINVAL");
	is_err(waitid(P_ALL, 0, &si, WEXITED | 0x1000), EINVAL, "unknown option: EINVAL");
	is_err(waitid((idtype_t)9, 0, &si, WEXITED), EINVAL, "unknown id type: EINVAL");
	is_err(waitid(P_PID, 0, &si, WEXITED), EINVAL, "P_PID 0: EINVAL");
	is_err(waitid(P_PID, (id_t)-1, &si, WEXITED), EINVAL, "P_PID -1: EINVAL");
	is_err(waitid(P_PGID, (id_t)-1, &si, WEXITED), EINVAL, "P_PGID -1: EINVAL");
	is_err(waitid(P_PID, (id_t)getpid(), &si, WEXITED), ECHILD, "P_PID self: ECHILD");
}

static void
test_report(void)
{
	struct rusage ru;
	siginfo_t si;
	pid_t pid;

	pid = spawn(exit_with, (void *)42);
	memset(&si, 0xff, sizeof(si));
	is_int(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0, "WNOWAIT reports");
	is_int(si.si_signo, SIGCHLD, "si_signo is SIGCHLD");
	is_int(si.si_code, CLD_EXITED, "si_code is CLD_EXITED");
	is_int(si.si_status, 42, "si_status is the exit code");
	ok(si.si_pid == pid, "si_pid is the child");
	is_int(si.si_uid, getuid(), "si_uid is its user");
	is_int(si.si_errno, 0, "si_errno is 0");
	memset(&si, 0, sizeof(si));
	is_int(waitid(P_ALL, 0, &si, WEXITED), 0, "and leaves the child collectable");
	ok(si.si_pid == pid && si.si_status == 42, "the same report again");
	is_err(waitid(P_PID, (id_t)pid, &si, WEXITED), ECHILD, "then it is gone");

	pid = spawn(die_by, (void *)SIGKILL);
	is_int(waitid(P_PGID, 0, &si, WEXITED), 0, "P_PGID 0 is the own group");
	is_int(si.si_code, CLD_KILLED, "CLD_KILLED");
	is_int(si.si_status, SIGKILL, "with the signal");

	pid = spawn(exit_with, (void *)1);
	is_int(syscall(SYS_waitid, P_PID, pid, NULL, WEXITED, &ru), 0, "no siginfo, but usage");
}

static void
test_nohang(void)
{
	siginfo_t si;
	pid_t pid;

	atomic_store(gate, 0);
	pid = spawn(exit_at_gate, (void *)1);
	memset(&si, 0xff, sizeof(si));
	is_int(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG), 0, "WNOHANG, nothing yet: 0");
	is_int(si.si_pid, 0, "with si_pid 0");
	is_int(si.si_signo, 0, "and si_signo 0");
	is_int(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WCONTINUED | WNOHANG), 0,
	    "other classes: nothing");
	word_add(gate, 1);
	is_err(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WCONTINUED), ECHILD,
	    "who asks for stops does not wait for a child that ends");
	is_err(waitid(P_ALL, 0, &si, WSTOPPED | WNOHANG), ECHILD, "nor sees the zombie");
	is_int(waitid(P_PID, (id_t)pid, &si, WEXITED), 0, "who asks for its end does");
}

/* --- two waiters, one child --------------------------------------------------- */
static atomic_int got, echild, odd;

static void *
racer(void *arg)
{
	pid_t pid = *(pid_t *)arg;
	int st;

	if (waitpid(pid, &st, 0) == pid)
		atomic_fetch_add(&got, 1);
	else if (errno == ECHILD)
		atomic_fetch_add(&echild, 1);
	else
		atomic_fetch_add(&odd, 1);
	return NULL;
}

static void
test_race(long n)
{
	pthread_t t[2];
	pid_t pid;
	long i;

	for (i = 0; i < n; i++) {
		atomic_store(gate, 0);
		pid = spawn(exit_at_gate, (void *)7);
		pthread_create(&t[0], NULL, racer, &pid);
		pthread_create(&t[1], NULL, racer, &pid);
		if (i & 1)
			sleep_ms(1);
		word_add(gate, 1);
		pthread_join(t[0], NULL);
		pthread_join(t[1], NULL);
	}
	is_int(atomic_load(&got), n, "two threads wait for one child: one gets it");
	is_int(atomic_load(&echild), n, "and the other ECHILD");
	is_int(atomic_load(&odd), 0, "and nothing else happens");
}

int
main(int argc, char **argv)
{
	gate = shared_mem(PAGE);
	test_errors();
	test_report();
	test_nohang();
	test_race(arg_rounds(argc, argv, 50));
	return tap_done();
}
