/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one id space of processes and threads: the lead's id is the pid, ids of
 * live threads and processes never collide, a stale thread id is ESRCH and
 * never a stranger (B66), set_tid_address; and what each call that is given an
 * id says to that of a process, a thread, a dead one.
 *
 * test: timeout=90
 * test: name=b66 flavour=debug smp=2,4 append="fp=free-after-IDL-before-id:200" args="200"
 * test: name=b57 flavour=debug smp=2,4 append="fp=switch-before-clear-RUNNING:200" args="200"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

/* ---- whose id? ---- */

/* The caller; a child, one that is a zombie, one whose first thread has left; a grandchild; a thread of each. */
enum whose {
	SELF,
	THREAD,
	CHILD,
	CTHREAD,
	ZOMBIE,
	HEADLESS,
	HTHREAD,
	GRAND,
	GTHREAD,
	DEAD,
	NEVER,
	IDS
};
static atomic_int *ids;

#define LIFE 60 /* seconds: nothing is left behind if the test dies */

static void *
tell_and_wait(void *arg)
{
	atomic_store((atomic_int *)arg, gettid());
	while (pause() != 0)
		continue;
	return NULL;
}

static void *
tell(void *arg)
{
	atomic_store((atomic_int *)arg, gettid());
	return NULL;
}

static void
start_thread(enum whose who)
{
	pthread_t t;

	if (pthread_create(&t, NULL, tell_and_wait, &ids[who]) != 0)
		_exit(99);
	while (atomic_load(&ids[who]) == 0)
		sched_yield();
}

static int
lives(void *arg)
{
	enum whose thread = arg == NULL ? GTHREAD : CTHREAD;

	alarm(LIFE);
	if (thread == CTHREAD)
		atomic_store(&ids[GRAND], spawn(lives, NULL));
	start_thread(thread);
	while (pause() != 0)
		continue;
	return 0;
}

static int
loses_head(void *arg)
{
	(void)arg;
	alarm(LIFE);
	start_thread(HTHREAD);
	return (int)syscall(SYS_exit, 0);
}

static struct rlimit limit;
static struct sched_param param;
static struct timespec ts;
static cpu_set_t cpus;
static siginfo_t info;
static void *head;
static size_t head_size;

#define CPUTIME_OF(id, thread) ((clockid_t)(~(unsigned)(id) << 3 | 2 | ((thread) ? 4 : 0)))

static long
queueinfo(pid_t pid, pid_t tid)
{
	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	return tid == 0 ? syscall(SYS_rt_sigqueueinfo, pid, 0, &info)
			: syscall(SYS_rt_tgsigqueueinfo, pid, tid, 0, &info);
}

#define CALLS(X) \
	X(kill_0, kill(id, 0), "000000000SS") \
	X(kill_of_a_group, kill(-id, 0), "SSSSSSSSSSS") \
	X(kill_ignored, kill(id, SIGWINCH), "000000000SS") \
	X(tkill, syscall(SYS_tkill, id, 0), "000000000SS") \
	X(tkill_by_SIGCONT, syscall(SYS_tkill, id, SIGCONT), "000000000SS") \
	X(tkill_65, syscall(SYS_tkill, id, 65), "IIIIIIIIISS") \
	X(tgkill_of_the_caller, tgkill(getpid(), id, 0), "00SSSSSSSSS") \
	X(tgkill_of_the_child, tgkill(ids[CHILD], id, 0), "SS00SSSSSSS") \
	X(tgkill_of_itself, tgkill(id, id, 0), "0S0S00S0SSS") \
	X(rt_sigqueueinfo, queueinfo(id, 0), "000000000SS") \
	X(rt_tgsigqueueinfo, queueinfo(id, id), "0S0S00S0SSS") \
	X(prlimit64_get, syscall(SYS_prlimit64, id, RLIMIT_NOFILE, NULL, &limit), "000000000SS") \
	X(prlimit64_set, syscall(SYS_prlimit64, id, RLIMIT_NOFILE, &limit, NULL), "000000000SS") \
	X(getpgid, getpgid(id) == getpgrp() ? 0 : -1, "000000000SS") \
	X(getsid, getsid(id) == getsid(0) ? 0 : -1, "000000000SS") \
	X(setpgid, setpgid(id, getpgrp()), "0I0I00ISISS") \
	X(setpgid_to, setpgid(0, id), ".PPPPPPPPPP") \
	X(getpriority, (errno = 0, getpriority(PRIO_PROCESS, id), errno ? -1 : 0), "0000..000SS") \
	X(getpriority_of_a_group, (errno = 0, getpriority(PRIO_PGRP, id), errno ? -1 : 0), \
	    "SSSSSSSSSSS") \
	X(setpriority, setpriority(PRIO_PROCESS, id, 0), "0000..000SS") \
	X(sched_getscheduler, syscall(SYS_sched_getscheduler, id), "0000..000SS") \
	X(sched_setscheduler, syscall(SYS_sched_setscheduler, id, 0, &param), "0000..000SS") \
	X(sched_getparam, syscall(SYS_sched_getparam, id, &param), "0000..000SS") \
	X(sched_setparam, syscall(SYS_sched_setparam, id, &param), "0000..000SS") \
	X(sched_getaffinity, sched_getaffinity(id, sizeof(cpus), &cpus), "0000..000SS") \
	X(sched_setaffinity, sched_setaffinity(id, sizeof(cpus), &cpus), "0000..000SS") \
	X(sched_rr_get_interval, syscall(SYS_sched_rr_get_interval, id, &ts), "0000..000SS") \
	X(get_robust_list, syscall(SYS_get_robust_list, id, &head, &head_size), "0000..000SS") \
	X(waitid, waitid(P_PID, (id_t)id, &info, WEXITED | WNOHANG | WNOWAIT), "CC0C00CCCCC") \
	X(clock_of_a_process, clock_gettime(CPUTIME_OF(id, 0), &ts), "0I0I00I0III") \
	X(clock_of_a_thread, clock_gettime(CPUTIME_OF(id, 1), &ts), "00IIIIIIIII")

#define X(name, call, want) \
	static long call_##name(pid_t id) \
	{ \
		return call; \
	}
CALLS(X)
#undef X

/* By whose it is: 0, a letter of an error, or a point where there is no answer to be had here (docs/linux.md). */
static const struct {
	const char *name;
	long (*fn)(pid_t id);
	const char *want;
} id_calls[] = {
#define X(name, call, want) { #name, call_##name, want },
	CALLS(X)
#undef X
};

static char
letter(long r)
{
	if (r != -1)
		return r == 0 ? '0' : '+';
	return errno == ESRCH ? 'S'
	    : errno == EINVAL ? 'I'
	    : errno == EPERM  ? 'P'
	    : errno == ECHILD ? 'C'
			      : '?';
}

/* In a child: it leads no group. */
static int
ask(void *arg)
{
	char(*got)[IDS + 1] = arg;
	pthread_t t;
	siginfo_t si;

	alarm(LIFE);
	atomic_store(&ids[SELF], getpid());
	start_thread(THREAD);
	atomic_store(&ids[CHILD], spawn(lives, &ids));
	atomic_store(&ids[ZOMBIE], spawn(nothing, NULL));
	atomic_store(&ids[HEADLESS], spawn(loses_head, NULL));
	pthread_create(&t, NULL, tell, &ids[DEAD]);
	pthread_join(t, NULL);
	atomic_store(&ids[NEVER], 0x0fffffff);
	waitid(P_PID, (id_t)ids[ZOMBIE], &si, WEXITED | WNOWAIT);
	while (ids[CTHREAD] == 0 || ids[GTHREAD] == 0 || ids[HTHREAD] == 0)
		sched_yield();
	/* The dead one's id answers for a moment. */
	while (tgkill(getpid(), ids[DEAD], 0) == 0)
		sched_yield();
	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (size_t i = 0; i < NELEM(id_calls); i++)
		for (int k = 0; k < IDS; k++)
			got[i][k] =
			    id_calls[i].want[k] == '.' ? '.' : letter(id_calls[i].fn(ids[k]));
	kill(ids[GRAND], SIGKILL);
	kill(ids[CHILD], SIGKILL);
	kill(ids[HEADLESS], SIGKILL);
	return reap_all() == 3 ? 0 : 1;
}

static void
test_whose(void)
{
	char(*got)[IDS + 1] = shared_mem(PAGE);

	ids = shared_mem(PAGE);
	is_exit(run_child(ask, got), 0, "ids of processes and threads, alive and dead");
	for (size_t i = 0; i < NELEM(id_calls); i++)
		if (!ok(strcmp(got[i], id_calls[i].want) == 0, "%s", id_calls[i].name))
			diag("got %s want %s", got[i], id_calls[i].want);
}

int
main(int argc, char **argv)
{
	become_reaper();
	is_int(gettid(), getpid(), "the lead thread's id is the pid");
	test_set_tid_address();
	test_unique();
	test_whose();
	test_stale(arg_rounds(argc, argv, 300));
	is_err(tgkill(getpid(), 0, 0), EINVAL, "tgkill tid 0: EINVAL");
	is_err(tgkill(0, gettid(), 0), EINVAL, "tgkill pid 0: EINVAL");
	is_err(tgkill(-1, gettid(), 0), EINVAL, "tgkill pid -1: EINVAL");
	is_err(tgkill(getpid(), gettid(), 65), EINVAL, "signal 65: EINVAL");
	is_err(tgkill(getpid(), 0x0fffffff, 0), ESRCH, "no such thread: ESRCH");
	is_err(tgkill(0x0fffffff, gettid(), 0), ESRCH, "no such process: ESRCH");
	return tap_done();
}
