/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals and threads: aimed at one thread, aimed at the process, masks of
 * new threads, faults of one thread, and a storm that loses nothing (B10: a
 * wakeup is not lost to a signal or a time-out).
 *
 * test: timeout=90
 * test: name=b10 flavour=debug smp=2,4 append="fp=woken-while-RUNNING:100" args="300" groups=stress
 * test: name=b10-sleep flavour=debug smp=2,4 append="fp=sleep-queued-not-switched:100" args="300" groups=stress
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static atomic_int ready, stop, hits, who, go;

static int
tgkill(pid_t pid, pid_t tid, int sig)
{
	return (int)syscall(SYS_tgkill, pid, tid, sig);
}

static void
on_sig(int sig)
{
	int e = errno;

	(void)sig;
	atomic_store(&who, gettid());
	atomic_fetch_add(&hits, 1);
	errno = e;
}

static void
mask(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	if (sig != 0)
		sigaddset(&set, sig);
	pthread_sigmask(how, &set, NULL);
}

static pid_t ids[4];

static void *
sleeper(void *arg)
{
	long me = (long)arg;

	ids[me] = gettid();
	mask(me == 2 ? SIG_UNBLOCK : SIG_BLOCK, SIGUSR2);
	word_add(&ready, 1);
	while (atomic_load(&stop) == 0)
		futex(&stop, FUT_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

static void *
spinner(void *arg)
{
	ids[(long)arg] = gettid();
	word_add(&ready, 1);
	while (atomic_load(&stop) == 0)
		;
	return NULL;
}

static int
until_hits(int n)
{
	int i;

	for (i = 0; i < 20000 && atomic_load(&hits) < n; i++)
		sleep_ms(1);
	return atomic_load(&hits) >= n;
}

static void
test_aim(void)
{
	struct sigaction sa = { .sa_handler = on_sig };
	pthread_t t[4];
	sigset_t set;
	long i;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	mask(SIG_BLOCK, SIGUSR2);
	for (i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, sleeper, (void *)i);
	pthread_create(&t[3], NULL, spinner, (void *)3L);
	word_wait(&ready, 4);
	for (i = 0; i < 4; i++) {
		atomic_store(&hits, 0);
		is_int(tgkill(getpid(), ids[i], SIGUSR1), 0, "tgkill of thread %ld", i);
		ok(until_hits(1) && atomic_load(&who) == ids[i], "its handler runs in that thread");
	}
	atomic_store(&hits, 0);
	kill(getpid(), SIGUSR2);
	ok(until_hits(1) && atomic_load(&who) == ids[2],
	    "a signal for the process goes to the thread that does not block it");
	is_err(tgkill(getppid() > 0 ? getppid() : 0x0ffffff0, ids[0], 0), ESRCH,
	    "tgkill with another process's pid: ESRCH");
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	ok(sigismember(&set, SIGUSR2), "the mask is the thread's own");
	mask(SIG_SETMASK, 0);
	word_add(&stop, 1);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void *
mask_of(void *arg)
{
	sigset_t set;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	return (void *)(long)(sigismember(&set, SIGHUP) && !sigismember(&set, SIGUSR1));
}

/* --- B10: a counting semaphore with time-outs under a rain of signals ----------------- */
static atomic_int tokens, taken, phase, tids[4];

static void *
consumer(void *arg)
{
	struct timespec ts = { 0, 300000 };
	int v;

	atomic_store(&tids[(long)arg], gettid());
	word_add(&ready, 1);
	while (atomic_load(&phase) == 0 || atomic_load(&tokens) > 0) {
		v = atomic_load(&tokens);
		if (v > 0) {
			if (atomic_compare_exchange_strong(&tokens, &v, v - 1))
				word_add(&taken, 1);
			continue;
		}
		/* Half of the waits are without limit: a lost wakeup hangs them. */
		futex(&tokens, FUT_WAIT, 0, (long)arg & 1 ? &ts : NULL, NULL, 0);
	}
	return NULL;
}

static void *
rain(void *arg)
{
	unsigned i = 0;

	(void)arg;
	while (atomic_load(&phase) == 0) {
		tgkill(getpid(), atomic_load(&tids[i++ % 4]), SIGUSR1);
		if (i % 16 == 0)
			sleep_ms(1);
	}
	return NULL;
}

static void
test_tokens(long n)
{
	pthread_t t[5];
	long i;

	atomic_store(&ready, 0);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, consumer, (void *)i);
	word_wait(&ready, 4);
	pthread_create(&t[4], NULL, rain, NULL);
	for (i = 0; i < n; i++) {
		atomic_fetch_add(&tokens, 1);
		futex(&tokens, FUT_WAKE, 1, NULL, NULL, 0);
		/* Each token must be taken before the next one is made. */
		if (!word_wait_ms(&taken, (int)i + 1, 20000))
			break;
	}
	is_int(i, n, "B10: every wake is served under signals and time-outs");
	atomic_store(&phase, 1);
	atomic_fetch_add(&tokens, 0);
	for (i = 0; i < 4; i++) {
		while (pthread_tryjoin_np(t[i], NULL) == EBUSY) {
			tgkill(getpid(), atomic_load(&tids[i]), SIGUSR1);
			sleep_ms(1);
		}
	}
	pthread_join(t[4], NULL);
}

/* --- exit, exec and fork with handlers pending ------------------------------------------ */
static void *
pelt(void *arg)
{
	pid_t pid = *(pid_t *)arg;

	while (kill(pid, SIGUSR1) == 0 && atomic_load(&go) == 0)
		;
	return NULL;
}

static int
endure(void *arg)
{
	struct sigaction sa = { .sa_handler = on_sig };
	long i;

	sigaction(SIGUSR1, &sa, NULL);
	mask(SIG_UNBLOCK, SIGUSR1);
	for (i = 0; i < (long)arg; i++)
		getppid();
	return 66;
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 200);
	pthread_t t;
	void *ret;
	pid_t pid;

	test_aim();
	mask(SIG_BLOCK, SIGHUP);
	pthread_create(&t, NULL, mask_of, NULL);
	pthread_join(t, &ret);
	ok(ret != NULL, "a new thread inherits the mask of its creator");
	mask(SIG_SETMASK, 0);
	test_tokens(n);
	mask(SIG_BLOCK, SIGUSR1);
	pid = spawn(endure, (void *)(n * 20));
	mask(SIG_UNBLOCK, SIGUSR1);
	pthread_create(&t, NULL, pelt, &pid);
	is_exit(reap(pid), 66, "a process under a rain of handled signals ends as it wants");
	atomic_store(&go, 1);
	pthread_join(t, NULL);
	return tap_done();
}
