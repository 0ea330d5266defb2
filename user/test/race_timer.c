/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers that expire while they are set, deleted, left to an exec or an exit, or while the thread that they
 * signal ends: nothing that was freed may be used (B43), and no timer outlives its process.
 *
 * test: timeout=120
 * test: name=fp flavour=debug smp=2,4 timeout=120 append="fp=timer-fired-not-run:100,timer-found-not-posted:200"
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define ROUNDS  150
#define THREADS 3

struct event { /* the kernel's struct sigevent */
	union sigval value;
	int sig, notify, tid, pad[11];
};

static volatile int count, limit;
static char stacks[THREADS][16384] __attribute__((aligned(16)));
static atomic_int tids[THREADS];

/* After `limit` signals they stay blocked: a machine that is slower than the timers must get on, too. */
static void
on_sig(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	if (++count > limit)
		sigfillset(&((ucontext_t *)uc)->uc_sigmask);
}

static void
handle_all(void)
{
	struct sigaction sa = { .sa_sigaction = on_sig, .sa_flags = SA_RESTART | SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
}

/* Raw calls only: threads without a C library use it too. A timer that comes in `ns`, and every 50 us; its id. */
static int
start_timer(int notify, int tid, long ns)
{
	struct event ev = { .sig = SIGRTMIN + 1, .notify = notify, .tid = tid };
	struct itimerspec it = { { 0, 50000 }, { 0, ns } };
	int id = -1;

	if (raw3(SYS_timer_create, CLOCK_MONOTONIC, (long)&ev, (long)&id) != 0)
		return -1;
	raw6(SYS_timer_settime, id, 0, (long)&it, 0, 0, 0);
	return id;
}

static int
toggle(void *arg)
{
	struct rng r;
	int i, bad = 0;

	rng_seed(&r, (uint64_t)(uintptr_t)arg);
	for (i = 0; i < ROUNDS; i++) {
		int id = start_timer(
		    i % 2 != 0 ? 4 : 0, (int)raw0(RAW_GETTID), 1 + rng_below(&r, 60000));

		bad += id < 0;
		thr_spin(rng_below(&r, 3000));
		bad += raw3(SYS_timer_delete, id, 0, 0) != 0;
	}
	return bad;
}

static void
test_delete(void)
{
	int i;

	limit = 20 * THREADS * ROUNDS;
	for (i = 0; i < THREADS; i++)
		thr_start(
		    stacks[i] + sizeof(stacks[i]), toggle, (void *)(uintptr_t)(i + 1), &tids[i]);
	is_int(
	    toggle((void *)9), 0, "timers are set and deleted by four threads while they expire");
	for (i = 0; i < THREADS; i++)
		thr_join(&tids[i]);
	ok(count > 0, "some did");
}

static int
leave(void *arg)
{
	(void)arg;
	start_timer(4, (int)raw0(RAW_GETTID), 20000);
	start_timer(0, 0, 20000);
	thr_spin(2000);
	return 0;
}

static int
busy_child(void *arg)
{
	char *argv[] = { (char *)(uintptr_t)self_path(), (char *)(uintptr_t) "after-exec", NULL };
	struct itimerval it = { { 0, 200 }, { 0, 100 } };
	int how = *(int *)arg, i;

	count = 0;
	limit = 200;
	setitimer(ITIMER_REAL, &it, NULL);
	setitimer(ITIMER_PROF, &it, NULL);
	for (i = 0; i < 8; i++)
		start_timer(0, 0, 10000 + i * 20000);
	for (i = 0; i < THREADS; i++)
		thr_start(stacks[i] + sizeof(stacks[i]), leave, NULL, &tids[i]);
	if (how == 0)
		return 7;
	if (how == 1) {
		signal(SIGALRM, SIG_IGN);
		signal(SIGPROF, SIG_IGN);
		execv(argv[0], argv);
		return 99;
	}
	kill(getpid(), SIGKILL);
	return 98;
}

static void
test_end(void)
{
	int how, i, good[3] = { 0, 0, 0 }, status;

	for (i = 0; i < ROUNDS / 3; i++)
		for (how = 0; how < 3; how++) {
			status = run_child(busy_child, &how);
			if (how == 2 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
				     : WIFEXITED(status) && WEXITSTATUS(status) == 7)
				good[how]++;
		}
	is_int(good[0], ROUNDS / 3, "B43: exit while timers expire");
	is_int(good[1], ROUNDS / 3, "exec while timers expire");
	is_int(good[2], ROUNDS / 3, "B43: SIGKILL while timers expire");
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "after-exec") == 0)
		return 7;
	handle_all();
	test_delete();
	test_end();
	return tap_done();
}
