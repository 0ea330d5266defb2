/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Orphans: alive or already dead, they come to the reaper and are collected
 * there (B62), or to a subreaper, and may be told; parents and children that exit together (B65, B26).
 *
 * test: timeout=90
 * test: name=b62 flavour=debug smp=2,4 append="fp=exit-after-DEAD:500" args="50"
 * test: name=b65 flavour=debug smp=2,4 append="fp=exit-after-wake-before-switch:500" args="50"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static atomic_int *gate, *seen;

static int
orphan(void *arg)
{
	pid_t before = getppid();

	(void)arg;
	word_add(seen, 1);
	word_wait(gate, 1);
	while (getppid() == before)
		sleep_ms(1);
	return 61;
}

static int
dead_at_once(void *arg)
{
	return (int)(long)arg;
}

static int
leave_orphans(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 5; i++)
		spawn(orphan, NULL);
	word_wait(seen, 5);
	return 60;
}

static int
leave_dead(void *arg)
{
	siginfo_t si;
	pid_t pid;
	int i;

	(void)arg;
	for (i = 0; i < 5; i++) {
		pid = spawn(dead_at_once, (void *)62);
		waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	}
	return 60;
}

static int
count_status(int code)
{
	int st, n = 0;

	while (waitpid(-1, &st, 0) > 0)
		n += WIFEXITED(st) && WEXITSTATUS(st) == code;
	return n;
}

static void
test_orphans(void)
{
	pid_t pid;

	pid = spawn(leave_orphans, NULL);
	is_exit(reap(pid), 60, "a parent exits before its five children");
	is_int(waitpid(-1, NULL, WNOHANG), 0, "they live, and are ours now");
	word_add(gate, 1);
	is_int(count_status(61), 5, "they see a new parent, and we collect them");
	pid = spawn(leave_dead, NULL);
	is_exit(reap(pid), 60, "B62: a parent exits with five dead children");
	is_int(count_status(62), 5, "the reaper collects them");
}

/* The reaper sleeps in wait when it inherits a child that is dead already. */
static int
late_leave_dead(void *arg)
{
	sleep_ms(60);
	return leave_dead(arg);
}

static void
test_sleeping_reaper(void)
{
	int st, n = 0, first;

	spawn(late_leave_dead, NULL);
	while (waitpid(-1, &st, 0) > 0)
		n++;
	first = n;
	is_int(first, 6, "B62: a reaper asleep in wait gets the dead ones too");
}

/* ---- subreapers, and who is told of his parent's end ---- */

static int
is_child_of(void *arg)
{
	word_add(seen, 1);
	word_wait(gate, 1);
	while (getppid() != *(pid_t *)arg)
		sleep_ms(1);
	return 71;
}

/* A family of three generations: the middle one goes. */
static int
middle(void *arg)
{
	spawn(is_child_of, arg);
	spawn(dead_at_once, (void *)72);
	word_wait(seen, 1);
	return 70;
}

static int
subreaper(void *arg)
{
	pid_t me = getpid();
	int st, on = -1, n71 = 0, n72 = 0;

	prctl(PR_SET_CHILD_SUBREAPER, (long)arg, 0, 0, 0);
	if (prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0) != 0 || on != ((long)arg != 0))
		return 1;
	if (run_child(middle, &me) != 70 << 8)
		return 2;
	word_add(gate, 1);
	while (wait(&st) > 0) {
		n71 += st == 71 << 8;
		n72 += st == 72 << 8;
	}
	return 10 * n71 + n72;
}

/* Between the subreaper and the parent that goes there is one more, who inherits nothing. */
static int
far_middle(void *arg)
{
	if (run_child(middle, arg) != 70 << 8)
		return 1;
	word_add(gate, 1);
	return waitpid(-1, NULL, WNOHANG) == -1 ? 73 : 2;
}

static int
far_subreaper(void *arg)
{
	pid_t me = getpid();
	int st, n = 0, sum = 0;

	(void)arg;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	spawn(far_middle, &me);
	for (; wait(&st) > 0; n++)
		sum += WEXITSTATUS(st);
	return n == 3 && sum == 71 + 72 + 73 ? 5 : 6;
}

static int
told(void *arg)
{
	sigset_t set;
	siginfo_t si;
	int sig = -1;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0);
	word_add(seen, 1);
	sigwaitinfo(&set, &si);
	return sig == SIGUSR1 && si.si_code == SI_USER && si.si_pid == *(pid_t *)arg ? 81 : 82;
}

static int
killed_with_parent(void *arg)
{
	pid_t pid;
	int sig = -1;

	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if ((pid = fork()) == 0) {
		prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0);
		_exit(sig);
	}
	if (reap(pid) == 0) /* a child inherits none */
		word_add(seen, 1);
	for (;;)
		pause();
}

static int
other_user(void *arg)
{
	int sig = -1;

	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (setgid(1234) != 0 || setuid(1234) != 0)
		return 1;
	prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0);
	return sig;
}

static int
leave_told(void *arg)
{
	static pid_t me;

	(void)arg;
	me = getpid();
	spawn(told, &me);
	spawn(killed_with_parent, NULL);
	word_wait(seen, 2);
	return 80;
}

static void
test_subreaper(void)
{
	int st, n81 = 0, nkill = 0;

	atomic_store(seen, 0);
	atomic_store(gate, 0);
	is_exit(
	    run_child(subreaper, (void *)1), 11, "a subreaper gets the living and the dead orphan");
	atomic_store(seen, 0);
	atomic_store(gate, 0);
	is_exit(run_child(far_subreaper, NULL), 5, "also from further down, past who is none");
	is_err(waitpid(-1, NULL, WNOHANG), ECHILD, "nothing came to us");

	atomic_store(seen, 0);
	is_exit(run_child(leave_told, NULL), 80, "a parent of two who want to be told");
	while (wait(&st) > 0) {
		n81 += WIFEXITED(st) && WEXITSTATUS(st) == 81;
		nkill += WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
	}
	is_int(n81, 1, "one gets the signal from him");
	is_int(nkill, 1, "the other dies of it");
	is_exit(run_child(other_user, NULL), 0, "who becomes another user is not told");
	is_err(prctl(PR_SET_PDEATHSIG, 65, 0, 0, 0), EINVAL, "no such signal: EINVAL");
	is_err(prctl(PR_GET_PDEATHSIG, hide(8), 0, 0, 0), EFAULT, "a bad address: EFAULT");
}

static int
tree(void *arg)
{
	long depth = (long)arg;
	int i;

	for (i = 0; depth > 0 && i < 3; i++)
		spawn(tree, (void *)(depth - 1));
	if (depth == 0)
		word_wait(gate, 1);
	return 0;
}

static void
test_together(long n)
{
	long i, total = 0;

	for (i = 0; i < n; i++) {
		atomic_store(gate, 0);
		spawn(tree, (void *)2L);
		if (i & 1)
			sleep_ms(1);
		word_add(gate, 1);
		total += reap_all();
	}
	is_int(
	    total, n * 13, "B65: parents and children that exit together: each is collected once");
}

static void *
fork_and_leave(void *arg)
{
	(void)arg;
	spawn(dead_at_once, (void *)63);
	return NULL;
}

static int
threads_with_children(void *arg)
{
	pthread_t t[4];
	int i;

	(void)arg;
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, fork_and_leave, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return count_status(63);
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 15);

	become_reaper();
	gate = shared_mem(PAGE);
	seen = gate + 16;
	test_orphans();
	test_sleeping_reaper();
	test_subreaper();
	test_together(n);
	is_exit(
	    run_child(threads_with_children, NULL), 4, "children of threads belong to the process");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
