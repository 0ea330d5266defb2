/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals that are waited for and signals that are queued: rt_sigtimedwait, rt_sigqueueinfo,
 * rt_tgsigqueueinfo; order, values, ignored and fatal actions, time limits, waits among threads, errors.
 *
 * test: timeout=60
 * test: name=not-taken flavour=debug smp=2,4 append="fp=signal-not-taken:300,sleep-queued-not-switched:100"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define RT     (SIGRTMIN + 3)
#define MS     1000000LL
#define ROUNDS 500

static volatile int count;

static void
on_sig(int sig)
{
	(void)sig;
	count++;
}

static void
handle(int sig, void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static sigset_t
set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b != 0)
		sigaddset(&set, b);
	return set;
}

static void
block(int a, int b)
{
	sigset_t set = set_of(a, b);

	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The raw call: C libraries wait on after EINTR. ms < 0: for ever. */
static long
await(sigset_t set, siginfo_t *si, long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * MS };

	return syscall(SYS_rt_sigtimedwait, &set, si, ms < 0 ? NULL : &ts, 8);
}

static long
queue_info(pid_t pid, int sig, int code, int value)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	si.si_code = code;
	si.si_pid = getpid();
	si.si_value.sival_int = value;
	return syscall(SYS_rt_sigqueueinfo, pid, sig, &si);
}

static void
test_pending(void)
{
	union sigval v = { .sival_int = 77 };
	siginfo_t si;
	sigset_t set;
	int i, good = 0;

	block(SIGUSR1, RT);
	block(RT + 1, 0);
	is_err(await(set_of(SIGUSR1, 0), &si, 0), EAGAIN, "nothing pending, no time: EAGAIN");
	kill(getpid(), SIGUSR1);
	memset(&si, -1, sizeof(si));
	is_int(await(set_of(SIGUSR1, RT), &si, 0), SIGUSR1, "a pending signal is the result");
	ok(si.si_signo == SIGUSR1 && si.si_code == SI_USER && si.si_pid == getpid() &&
		si.si_uid == getuid(),
	    "with who sent it");
	sigpending(&set);
	ok(!sigismember(&set, SIGUSR1), "and is pending no more");
	ok(sigqueue(getpid(), SIGUSR1, v) == 0 && sigqueue(getpid(), SIGUSR1, v) == 0,
	    "sigqueue of a standard signal, twice");
	is_int(await(set_of(SIGUSR1, 0), &si, 0), SIGUSR1, "is pending");
	ok(si.si_code == SI_QUEUE && si.si_value.sival_int == 77, "with its value");
	is_err(await(set_of(SIGUSR1, 0), &si, 0), EAGAIN, "once");
	for (i = 0; i < 6; i++) {
		v.sival_int = i;
		sigqueue(getpid(), i % 2 != 0 ? RT : RT + 1, v);
	}
	for (i = 0; i < 6; i++) {
		int want = i < 3 ? i * 2 + 1 : (i - 3) * 2;

		if (await(set_of(RT, RT + 1), &si, 0) == (i < 3 ? RT : RT + 1) &&
		    si.si_value.sival_int == want)
			good++;
	}
	is_int(good, 6, "real-time signals: the lowest first, each in the order it was sent");
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), RT + 1);
	kill(getpid(), RT);
	is_int(await(set_of(RT, RT + 1), &si, 0), RT + 1, "the thread's own before the process's");
	is_int(si.si_code, SI_TKILL, "si_code of tgkill");
	is_int(await(set_of(RT, RT + 1), NULL, 0), RT, "then that, with nowhere to tell about it");
}

static void
test_time(void)
{
	long long t = now_ns();
	siginfo_t si;

	is_err(await(set_of(SIGUSR1, 0), &si, 30), EAGAIN, "time is over: EAGAIN");
	ok(now_ns() - t >= 30 * MS, "not early");
	handle(SIGALRM, SIG_DFL);
}

static int
send_later(void *arg)
{
	int *what = arg;

	sleep_ms(what[1]);
	if (what[2] != 0)
		return queue_info(getppid(), what[0], SI_QUEUE, what[2]) != 0;
	return kill(getppid(), what[0]) != 0;
}

static void
test_sleep(void)
{
	siginfo_t si;
	int usr1[] = { SIGUSR1, 20, 0 }, rt[] = { RT, 20, 4711 }, usr2[] = { SIGUSR2, 20, 0 };
	int chld[] = { SIGURG, 20, 0 };
	pid_t pid;
	sigset_t set;

	pid = spawn(send_later, usr1);
	is_int(await(set_of(SIGUSR1, 0), &si, -1), SIGUSR1,
	    "a wait ends with a signal whose action is the end");
	is_int(si.si_pid, pid, "from the child");
	reap(pid);
	handle(SIGUSR1, SIG_IGN);
	pid = spawn(send_later, usr1);
	is_int(await(set_of(SIGUSR1, 0), &si, 5000), SIGUSR1, "and with one that is ignored");
	reap(pid);
	handle(SIGUSR1, SIG_DFL);
	block(SIGURG, 0);
	pid = spawn(send_later, chld);
	is_int(await(set_of(SIGURG, 0), &si, 5000), SIGURG, "and with one ignored by default");
	reap(pid);
	pid = spawn(send_later, rt);
	is_int(await(set_of(RT, 0), &si, 5000), RT, "and with a queued one");
	ok(si.si_code == SI_QUEUE && si.si_value.sival_int == 4711, "and its value");
	reap(pid);
	handle(SIGUSR2, on_sig);
	count = 0;
	pid = spawn(send_later, usr2);
	is_err(await(set_of(SIGUSR1, 0), &si, 5000), EINTR, "another's handler ends it: EINTR");
	is_int(count, 1, "which ran once");
	reap(pid);
	count = 0;
	pid = spawn(send_later, usr2);
	is_int(
	    await(set_of(SIGUSR2, 0), &si, 5000), SIGUSR2, "a signal with a handler, not blocked");
	is_int(count, 0, "is the result, and the handler does not run");
	reap(pid);
	sigprocmask(SIG_BLOCK, NULL, &set);
	ok(sigismember(&set, SIGUSR1) && !sigismember(&set, SIGUSR2), "the mask is as before");
}

static int
fatal_open(void *arg)
{
	sigset_t set = set_of(SIGTERM, 0);
	siginfo_t si;

	(void)arg;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	await(set, &si, 5000);
	return 3;
}

static void
test_fatal(void)
{
	pid_t pid = spawn(fatal_open, NULL);

	sleep_ms(30);
	kill(pid, SIGTERM);
	is_killed(reap(pid), SIGTERM, "a fatal signal that is not blocked kills who waits for it");
	pid = spawn(fatal_open, NULL);
	sleep_ms(30);
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "SIGKILL too");
}

static atomic_int got, wrong, ready;

static void *
waiter(void *arg)
{
	siginfo_t si;
	long r;

	(void)arg;
	atomic_fetch_add(&ready, 1);
	for (;;) {
		r = await(set_of(RT, RT + 1), &si, 60000);
		if (r == RT + 1)
			return NULL;
		if (r == -1 && errno == EINTR)
			continue; /* Linux may wake two for one signal */
		if (r != RT)
			atomic_fetch_add(&wrong, 1);
		word_add(&got, 1);
	}
}

static void
test_threads(void)
{
	union sigval v = { .sival_int = 0 };
	pthread_t t[3];
	size_t i;

	for (i = 0; i < NELEM(t); i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	for (i = 0; i < ROUNDS; i++) {
		if (sigqueue(getpid(), RT, v) != 0)
			atomic_fetch_add(&wrong, 1);
		if (i % 8 == 0)
			word_wait_ms(&got, (int)i + 1, 60000);
	}
	word_wait_ms(&got, ROUNDS, 60000);
	is_int(got, ROUNDS, "three threads take what is sent to the process, each signal once");
	for (i = 0; i < NELEM(t); i++)
		sigqueue(getpid(), RT + 1, v);
	for (i = 0; i < NELEM(t); i++)
		pthread_join(t[i], NULL);
	is_int(wrong, 0, "and nothing else");
}

static atomic_int once_got, once_ready;

static void *
wait_once(void *arg)
{
	long long end = now_ns() + 30000 * MS;
	long r;

	(void)arg;
	atomic_fetch_add(&once_ready, 1);
	do
		r = await(set_of(RT, 0), NULL, 30000);
	while (r == -1 && errno == EINTR && now_ns() < end);
	if (r == RT)
		atomic_fetch_add(&once_got, 1);
	return NULL;
}

/* Both may be meant for the same thread, which takes one only and leaves. */
static void
test_hand_on(void)
{
	union sigval v = { .sival_int = 0 };
	pthread_t t[2];
	int i, good = 1;

	for (i = 0; i < 20 && good; i++) {
		once_got = once_ready = 0;
		pthread_create(&t[0], NULL, wait_once, NULL);
		pthread_create(&t[1], NULL, wait_once, NULL);
		while (atomic_load(&once_ready) < 2)
			sleep_ms(1);
		sleep_ms(5);
		sigqueue(getpid(), RT, v);
		sigqueue(getpid(), RT, v);
		pthread_join(t[0], NULL);
		pthread_join(t[1], NULL);
		good = once_got == 2;
	}
	is_int(good, 1, "two signals for two threads that take one each");
}

static void
test_errors(void)
{
	struct timespec bad = { 0, 1000000000 }, neg = { -1, 0 };
	sigset_t set = set_of(SIGUSR1, 0);
	siginfo_t si;
	pid_t pid;

	memset(&si, 0, sizeof(si));
	si.si_code = SI_QUEUE;
	is_err(syscall(SYS_rt_sigtimedwait, &set, &si, NULL, 4), EINVAL, "size of the set: EINVAL");
	is_err(syscall(SYS_rt_sigtimedwait, hide(8), &si, NULL, 8), EFAULT, "no set: EFAULT");
	is_err(syscall(SYS_rt_sigtimedwait, &set, &si, hide(8), 8), EFAULT, "no time: EFAULT");
	is_err(syscall(SYS_rt_sigtimedwait, &set, &si, &bad, 8), EINVAL, "10^9 ns: EINVAL");
	is_err(syscall(SYS_rt_sigtimedwait, &set, &si, &neg, 8), EINVAL, "-1 s: EINVAL");
	kill(getpid(), SIGUSR1);
	is_err(syscall(SYS_rt_sigtimedwait, &set, hide(8), NULL, 8), EFAULT, "no room: EFAULT");
	is_int(queue_info(getpid(), 0, SI_QUEUE, 1), 0, "signal 0 asks whether there is somebody");
	is_err(queue_info(getpid(), 65, SI_QUEUE, 1), EINVAL, "signal 65: EINVAL");
	is_err(queue_info(getpid(), -1, SI_QUEUE, 1), EINVAL, "signal -1: EINVAL");
	is_err(queue_info(0, SIGUSR1, SI_QUEUE, 1), ESRCH, "pid 0: ESRCH");
	is_err(queue_info(-1, SIGUSR1, SI_QUEUE, 1), ESRCH, "pid -1: ESRCH");
	is_err(queue_info(INT_MIN, SIGUSR1, SI_QUEUE, 1), ESRCH, "pid INT_MIN: ESRCH");
	is_err(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, hide(8)), EFAULT, "no info: EFAULT");
	pid = spawn(fatal_open, NULL);
	is_err(queue_info(pid, SIGUSR1, SI_USER, 1), EPERM, "as if by kill, to another: EPERM");
	is_err(queue_info(pid, SIGUSR1, SI_KERNEL, 1), EPERM, "as if by the kernel: EPERM");
	is_err(queue_info(pid, SIGUSR1, SI_TKILL, 1), EPERM, "as if by tkill: EPERM");
	is_int(queue_info(pid, SIGTERM, SI_MESGQ, 1), 0, "another negative code may be sent");
	is_killed(reap(pid), SIGTERM, "and works");
	is_err(queue_info(pid, SIGUSR1, SI_QUEUE, 1), ESRCH, "to nobody: ESRCH");
	is_int(queue_info(getpid(), SIGUSR1, SI_USER, 5), 0, "to oneself any code goes");
	is_int(await(set, &si, 0), SIGUSR1, "and arrives");
	is_int(si.si_code, SI_USER, "as it was");
	si.si_code = SI_QUEUE;
	si.si_value.sival_int = 9;
	is_err(syscall(SYS_rt_tgsigqueueinfo, 0, getpid(), RT, &si), EINVAL, "tgid 0: EINVAL");
	is_err(syscall(SYS_rt_tgsigqueueinfo, getpid(), -1, RT, &si), EINVAL, "tid -1: EINVAL");
	is_err(syscall(SYS_rt_tgsigqueueinfo, getppid() + 1, 99999, RT, &si), ESRCH, "ESRCH");
	is_int(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), RT, &si), 0,
	    "rt_tgsigqueueinfo to oneself");
	memset(&si, 0, sizeof(si));
	is_int(await(set_of(RT, 0), &si, 0), RT, "arrives");
	ok(si.si_code == SI_QUEUE && si.si_value.sival_int == 9, "with its value");
}

int
main(void)
{
	test_pending();
	test_time();
	test_sleep();
	test_fatal();
	test_threads();
	test_hand_on();
	test_errors();
	return tap_done();
}
