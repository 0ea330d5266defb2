/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one id space of processes and threads: the lead's id is the pid, ids of
 * live threads and processes never collide, a stale thread id is ESRCH and
 * never a stranger (B66), set_tid_address.
 *
 * test: timeout=90
 * test: name=b66 flavour=debug smp=2,4 append="fp=free-after-IDL-before-id:200" args="200"
 * test: name=b57 flavour=debug smp=2,4 append="fp=switch-before-clear-RUNNING:200" args="200"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define NT 100
#define NP 20

static atomic_int ready, go;
static pid_t tids[NT];

static int
tgkill(pid_t pid, pid_t tid, int sig)
{
	return (int)syscall(SYS_tgkill, pid, tid, sig);
}

static void *
hold(void *arg)
{
	tids[(long)arg] = gettid();
	word_add(&ready, 1);
	word_wait(&go, 1);
	return NULL;
}

static int
wait_go(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

static int
cmp(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

static void
test_unique(void)
{
	pid_t all[NT + NP + 1];
	pthread_t t[NT];
	int i, n = 0, dup = 0, bad = 0;

	for (i = 0; i < NT; i++) {
		pthread_create(&t[i], NULL, hold, (void *)(long)i);
		if (i % 5 == 0)
			all[n++] = spawn(wait_go, NULL);
	}
	word_wait(&ready, NT);
	for (i = 0; i < NT; i++) {
		bad += tgkill(getpid(), tids[i], 0) != 0;
		all[n++] = tids[i];
	}
	is_int(bad, 0, "every thread is found by its id");
	for (i = bad = 0; i < NP; i++)
		bad += tgkill(getpid(), all[i], 0) != -1 || errno != ESRCH;
	is_int(bad, 0, "other processes are not found as threads of this one");
	for (i = 0; i < NP; i++) {
		kill(all[i], SIGKILL);
		reap(all[i]);
	}
	all[n++] = getpid();
	qsort(all, (size_t)n, sizeof(all[0]), cmp);
	for (i = 1; i < n; i++)
		dup += all[i] == all[i - 1];
	is_int(dup, 0, "100 threads and 21 processes: all ids differ");
	word_add(&go, 1);
	for (i = 0; i < NT; i++)
		pthread_join(t[i], NULL);
}

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void
on_usr1(int sig)
{
	(void)sig;
	abort();
}

/* B66: signal ids of threads that have ended while others come and go. */
static void
test_stale(long n)
{
	enum { STK = 16384 };
	char *stk = private_mem(STK);
	atomic_int tid, *forks = shared_mem(PAGE);
	long i, id, bad = 0;
	pid_t pid;

	signal(SIGUSR1, on_usr1);
	pid = fork();
	if (pid == 0) {
		signal(SIGUSR1, on_usr1);
		for (;;) {
			run_child(nothing, NULL);
			atomic_fetch_add(forks, 1);
		}
	}
	for (i = 0; i < n; i++) {
		id = thr_start(stk + STK, nothing, NULL, &tid);
		if (id < 0)
			bail_out("thread %ld: %ld", i, id);
		thr_join(&tid);
		/* The word is cleared a little before the id is free: it may answer until then. */
		while (tgkill(getpid(), (pid_t)id, 0) == 0)
			sched_yield();
		bad += tgkill(getpid(), (pid_t)id, SIGUSR1) != -1 || errno != ESRCH;
		bad += (int)syscall(SYS_tkill, id, 0) == 0 && tgkill(getpid(), (pid_t)id, 0) == 0;
	}
	is_int(bad, 0, "B66: a stale thread id is ESRCH, nobody else is hit");
	is_int(waitpid(pid, NULL, WNOHANG), 0, "the process that forks all the time lives");
	kill(pid, SIGKILL);
	reap(pid);
	reap_all();
}

static atomic_int addr_word;

static int
set_addr(void *arg)
{
	(void)arg;
	return raw3(SYS_set_tid_address, (long)&addr_word, 0, 0) == raw0(RAW_GETTID) ? 0 : 1;
}

static void
test_set_tid_address(void)
{
	char *stk = private_mem(16384);
	atomic_int tid;

	is_int(
	    syscall(SYS_set_tid_address, &addr_word), gettid(), "set_tid_address returns the id");
	atomic_store(&addr_word, 1);
	atomic_store(&tid, 1);
	thr_start(stk + 16384, set_addr, NULL, &tid);
	while (atomic_load(&addr_word) != 0)
		futex(&addr_word, FUT_WAIT, 1, NULL, NULL, 0);
	ok(1, "the new address is cleared and woken");
	ok(atomic_load(&tid) != 0, "and the old one is left alone");
}

int
main(int argc, char **argv)
{
	become_reaper();
	is_int(gettid(), getpid(), "the lead thread's id is the pid");
	test_set_tid_address();
	test_unique();
	test_stale(arg_rounds(argc, argv, 300));
	is_err(tgkill(getpid(), 0, 0), EINVAL, "tgkill tid 0: EINVAL");
	is_err(tgkill(0, gettid(), 0), EINVAL, "tgkill pid 0: EINVAL");
	is_err(tgkill(-1, gettid(), 0), EINVAL, "tgkill pid -1: EINVAL");
	is_err(tgkill(getpid(), gettid(), 65), EINVAL, "signal 65: EINVAL");
	is_err(tgkill(getpid(), 0x0fffffff, 0), ESRCH, "no such thread: ESRCH");
	is_err(tgkill(0x0fffffff, gettid(), 0), ESRCH, "no such process: ESRCH");
	return tap_done();
}
