/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX timers by the raw calls: clocks, kinds of notice, values and ids, order, overruns, what is left, absolute
 * times, blocked and ignored signals, threads, fork, exec, errors.
 *
 * test: timeout=60
 * test: name=late flavour=debug smp=2,4 append="fp=timer-fired-not-run:2000,timer-found-not-posted:2000"
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
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MS 1000000LL
#define RT (SIGRTMIN + 5)

struct event { /* the kernel's struct sigevent */
	union sigval value;
	int sig, notify, tid, pad[11];
};

static long
create(clockid_t clock, int notify, int sig, int value, int tid, int *id)
{
	struct event ev;

	memset(&ev, 0, sizeof(ev));
	ev.value.sival_int = value;
	ev.sig = sig;
	ev.notify = notify;
	ev.tid = tid;
	return syscall(SYS_timer_create, clock, &ev, id);
}

static struct itimerspec
spec(long long value, long long interval)
{
	return (struct itimerspec){ { interval / 1000000000, interval % 1000000000 },
		{ value / 1000000000, value % 1000000000 } };
}

static long
set(int id, int flags, long long value, long long interval)
{
	struct itimerspec it = spec(value, interval);

	return syscall(SYS_timer_settime, id, flags, &it, NULL);
}

static long long
left(int id)
{
	struct itimerspec it;

	if (syscall(SYS_timer_gettime, id, &it) != 0)
		return -1;
	return it.it_value.tv_sec * 1000000000LL + it.it_value.tv_nsec;
}

static long delete (int id)
{
	return syscall(SYS_timer_delete, id);
}

static long
await(int sig, siginfo_t *si, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * MS };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return syscall(SYS_rt_sigtimedwait, &set, si, &ts, 8);
}

static long long
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void
test_clocks(void)
{
	static const struct {
		clockid_t clock;
		const char *name;
	} clocks[] = { { CLOCK_REALTIME, "REALTIME" }, { CLOCK_MONOTONIC, "MONOTONIC" },
		{ CLOCK_BOOTTIME, "BOOTTIME" } };
	siginfo_t si;
	long long t;
	size_t i;
	int id;

	for (i = 0; i < NELEM(clocks); i++) {
		const char *name = clocks[i].name;

		is_int(
		    create(clocks[i].clock, SIGEV_SIGNAL, RT, 100, 0, &id), 0, "%s: create", name);
		ok(left(id) == 0 && await(RT, &si, 0) == -1, "%s: not set", name);
		t = now_ns();
		is_int(set(id, 0, 20 * MS, 0), 0, "%s: in 20 ms", name);
		ok(left(id) <= 20 * MS, "%s: what is left", name);
		is_int(await(RT, &si, 5000), RT, "%s: comes", name);
		ok(now_ns() - t >= 20 * MS, "%s: not early", name);
		ok(si.si_code == SI_TIMER && si.si_timerid == id && si.si_overrun == 0 &&
			si.si_value.sival_int == 100,
		    "%s: says which, and its value", name);
		ok(left(id) == 0 && await(RT, &si, 30) == -1, "%s: once", name);
		t = clock_ns(clocks[i].clock);
		set(id, TIMER_ABSTIME, t + 20 * MS, 0);
		is_int(await(RT, &si, 5000), RT, "%s: absolute", name);
		ok(clock_ns(clocks[i].clock) >= t + 20 * MS, "%s: absolute, not early", name);
		set(id, TIMER_ABSTIME, t / 2, 0);
		is_int(await(RT, &si, 5000), RT, "%s: in the past, at once", name);
		is_int(delete (id), 0, "%s: delete", name);
		is_err(delete (id), EINVAL, "%s: twice: EINVAL", name);
	}
}

static void
burn(int sig, siginfo_t *si)
{
	long long end = now_ns() + 20000 * MS;

	while (await(sig, si, 0) != sig && now_ns() < end)
		continue;
}

static void
test_cpu(clockid_t clock, const char *name)
{
	siginfo_t si;
	long long t;
	int id;

	is_int(create(clock, SIGEV_SIGNAL, RT, 0, 0, &id), 0, "%s: create", name);
	t = clock_ns(clock);
	is_int(set(id, 0, 40 * MS, 0), 0, "%s: 40 ms", name);
	ok(await(RT, &si, 100) == -1 && left(id) > 0, "%s: sleep does not count", name);
	memset(&si, 0, sizeof(si));
	burn(RT, &si);
	ok(si.si_code == SI_TIMER && si.si_timerid == id, "%s: work does", name);
	ok(clock_ns(clock) - t >= 40 * MS, "%s: not early", name);
	set(id, 0, 10 * MS, 10 * MS);
	burn(RT, &si);
	burn(RT, &si);
	is_int(delete (id), 0, "%s: delete while it runs", name);
}

static void
test_overrun(void)
{
	siginfo_t si;
	long long t, gone, begun;
	int id;

	create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT, 0, 0, &id);
	t = now_ns();
	set(id, 0, 10 * MS, 10 * MS);
	sleep_ms(105);
	ok(left(id) > 0 && left(id) <= 10 * MS, "pending: what is left of the running period");
	begun = now_ns();
	is_int(await(RT, &si, 0), RT, "a period that nobody took is pending");
	gone = (now_ns() - t) / (10 * MS);
	ok(si.si_overrun >= 8 && si.si_overrun < gone, "the others are overruns");
	is_int(syscall(SYS_timer_getoverrun, id), si.si_overrun, "timer_getoverrun says the same");
	is_int(await(RT, &si, 5000), RT, "the next comes");
	ok(si.si_overrun <= (now_ns() - begun) / (10 * MS) + 1, "and begins to count again");
	set(id, 0, 1, 1000);
	sleep_ms(20);
	is_int(await(RT, &si, 5000), RT, "a period of a microsecond");
	ok(si.si_overrun > 10000, "costs nothing but a number");
	set(id, 0, 0, 5);
	is_int(left(id), 0, "stopped");
	ok(await(RT, &si, 30) == -1, "is quiet");
	set(id, 0, 1, 0);
	sleep_ms(20);
	set(id, 0, 0, 0);
	ok(await(RT, &si, 0) == -1, "what was pending is gone");
	delete (id);
}

static int
is_pending(int sig)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, sig);
}

static void
test_many(void)
{
	int ids[50], good = 0, i, j;
	long long base, ahead = 50 * MS;
	siginfo_t si;

	for (i = 0; i < 50; i++)
		if (create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT, i, 0, &ids[i]) == 0)
			good++;
	is_int(good, 50, "fifty timers");
	for (i = good = 0; i < 50; i++)
		for (j = 0; j < i; j++)
			good += ids[i] != ids[j];
	is_int(good, 50 * 49 / 2, "have different ids");
	do { /* until all are set before the first is over */
		base = now_ns() + ahead;
		for (i = 0; i < 50; i++)
			set(ids[i], TIMER_ABSTIME, base + (50 - i) * MS, 0);
		ahead *= 2;
		if (now_ns() < base)
			break;
		for (i = 0; i < 50; i++)
			set(ids[i], 0, 0, 0);
		while (await(RT, &si, 0) == RT)
			continue;
	} while (ahead < 10000 * MS);
	for (i = good = 0; i < 50; i++)
		if (await(RT, &si, 5000) == RT && si.si_value.sival_int == 49 - i)
			good++;
	is_int(good, 50, "come in the order of their times, each with its value");
	for (i = good = 0; i < 50; i += 2)
		good += delete (ids[i]) == 0;
	for (i = 1; i < 50; i += 2)
		good += delete (ids[i]) == 0;
	is_int(good, 50, "are deleted");
	create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1, 0, &ids[0]);
	create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 2, 0, &ids[1]);
	set(ids[0], 0, 1, 0);
	while (!is_pending(SIGUSR1))
		sleep_ms(1);
	set(ids[1], 0, 1, 0);
	sleep_ms(20);
	ok(await(SIGUSR1, &si, 5000) == SIGUSR1 && si.si_value.sival_int == 1 &&
		await(SIGUSR1, &si, 5000) == SIGUSR1 && si.si_value.sival_int == 2,
	    "two with one standard signal: both count");
	delete (ids[0]);
	delete (ids[1]);
}

static volatile int count;

static void
on_sig(int sig)
{
	(void)sig;
	count++;
}

static void
test_events(void)
{
	struct sigaction sa = { .sa_handler = on_sig };
	siginfo_t si;
	sigset_t unblock;
	int id;

	is_int(create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0, &id), 0, "SIGEV_NONE");
	set(id, 0, 20 * MS, 0);
	ok(left(id) <= 20 * MS, "runs");
	sleep_ms(30);
	is_int(left(id), 0, "and is over");
	set(id, 0, 20 * MS, 10 * MS);
	sleep_ms(30);
	ok(left(id) > 0 && left(id) <= 10 * MS, "or goes on");
	delete (id);
	is_int(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id), 0, "no event");
	set(id, 0, 1, 0);
	is_int(await(SIGALRM, &si, 5000), SIGALRM, "is SIGALRM");
	is_int(si.si_value.sival_int, id, "with the id as its value");
	delete (id);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGUSR2, &sa, NULL);
	create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 0, 0, &id);
	sigemptyset(&unblock);
	sigaddset(&unblock, SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &unblock, NULL);
	set(id, 0, 2 * MS, 2 * MS);
	while (count < 5)
		sleep_ms(1);
	ok(count >= 5, "a handler runs each period");
	signal(SIGUSR2, SIG_IGN);
	sleep_ms(20);
	count = 0;
	sigaction(SIGUSR2, &sa, NULL);
	while (count < 3)
		sleep_ms(1);
	ok(count >= 3, "and again after the signal was ignored for a while");
	delete (id);
}

static atomic_int tid, stop, thread_got;

static void *
target(void *arg)
{
	siginfo_t si;

	(void)arg;
	atomic_store(&tid, (int)syscall(SYS_gettid));
	while (!atomic_load(&stop))
		if (await(RT + 1, &si, 100) == RT + 1 && si.si_code == SI_TIMER)
			atomic_fetch_add(&thread_got, 1);
	return NULL;
}

static void
test_thread(void)
{
	pthread_t t;
	siginfo_t si;
	int id, wrong = 0;

	pthread_create(&t, NULL, target, NULL);
	while (atomic_load(&tid) == 0)
		sleep_ms(1);
	is_int(create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, RT + 1, 0, tid, &id), 0, "SIGEV_THREAD_ID");
	set(id, 0, 2 * MS, 2 * MS);
	while (atomic_load(&thread_got) < 5 && wrong == 0)
		wrong += await(RT + 1, &si, 5) == RT + 1;
	is_int(wrong, 0, "only the thread gets it");
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	ok(await(RT + 1, &si, 30) == -1, "when it is gone nobody does");
	is_int(delete (id), 0, "delete");
	is_err(create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, RT, 0, 99999, &id), EINVAL,
	    "a thread that is not there: EINVAL");
}

static int
child_none(void *arg)
{
	return syscall(SYS_timer_gettime, *(int *)arg, &(struct itimerspec){ 0 }) == 0;
}

static int
child_exec(void *arg)
{
	char *argv[] = { (char *)(uintptr_t)self_path(), (char *)(uintptr_t) "after-exec", NULL };
	int id;

	(void)arg;
	if (create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT, 0, 0, &id) != 0 || set(id, 0, 1, MS) != 0)
		return 98;
	sleep_ms(10);
	execv(argv[0], argv);
	return 99;
}

static int
after_exec(void)
{
	siginfo_t si;
	int i;

	for (i = 0; i < 1000; i++)
		if (syscall(SYS_timer_gettime, i, &(struct itimerspec){ 0 }) == 0)
			return 2;
	return await(RT, &si, 30) == RT;
}

static void
test_family(void)
{
	int id;

	create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT, 0, 0, &id);
	set(id, 0, 60000 * MS, 0);
	is_exit(run_child(child_none, &id), 0, "fork: the child has no timers");
	is_exit(run_child(child_exec, NULL), 0, "exec deletes them and what they sent");
	ok(left(id) > 50000 * MS, "the parent has its own");
	delete (id);
}

static int
child_limit(void *arg)
{
	struct rlimit rl = { 10, 10 };
	int i, id;

	(void)arg;
	setrlimit(RLIMIT_SIGPENDING, &rl);
	for (i = 0; i < 1000; i++)
		if (create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT, 0, 0, &id) != 0)
			return errno != EAGAIN;
	return 2;
}

static volatile int shots;

static void
on_signal(int sig)
{
	(void)sig;
	shots++;
}

/* Sets a thousand timers that are always over; its signal is ignored. */
static int
crowd(void *arg)
{
	int id;

	for (int i = 0; i < 1000; i++)
		if (create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT + 2, 0, 0, &id) != 0 ||
		    set(id, 0, 1, 1) != 0)
			return 1;
	word_add(arg, 1);
	for (;;)
		;
}

static void
test_ignored(void)
{
	atomic_int *ready;
	pid_t child;
	int id = -1, i;

	signal(RT + 2, SIG_IGN);
	is_int(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT + 2, 0, 0, &id), 0,
	    "a timer of an ignored signal");
	set(id, 0, MS, MS);
	sleep_ms(5);
	ok(left(id) > 0 && left(id) <= MS, "it goes on");
	signal(RT + 2, on_signal);
	for (i = 0; i < 20000 && shots < 3; i++)
		sleep_ms(1);
	ok(shots >= 3, "its signals come once it has a handler");
	delete (id);

	signal(RT + 2, SIG_IGN);
	ready = shared_mem(sizeof(*ready));
	child = spawn(crowd, ready);
	word_wait(ready, 1);
	sleep_ms(5);
	kill(child, SIGKILL);
	is_int(reap(child), SIGKILL, "a thousand whose signal is ignored leave others their time");
}

static void
test_errors(void)
{
	struct itimerspec it = spec(1, 0);
	int id = -1;

	is_err(create(99, SIGEV_SIGNAL, RT, 0, 0, &id), EINVAL, "unknown clock: EINVAL");
	is_err(create(CLOCK_MONOTONIC_COARSE, SIGEV_SIGNAL, RT, 0, 0, &id), EOPNOTSUPP,
	    "coarse clock: EOPNOTSUPP");
	is_err(create(CLOCK_MONOTONIC_RAW, SIGEV_SIGNAL, RT, 0, 0, &id), EOPNOTSUPP,
	    "raw clock: EOPNOTSUPP");
	is_err(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 0, 0, 0, &id), EINVAL, "signal 0: EINVAL");
	is_err(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 65, 0, 0, &id), EINVAL, "signal 65: EINVAL");
	is_err(create(CLOCK_MONOTONIC, 7, RT, 0, 0, &id), EINVAL, "unknown notice: EINVAL");
	is_err(syscall(SYS_timer_create, CLOCK_MONOTONIC, hide(8), &id), EFAULT, "event: EFAULT");
	is_err(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, hide(8)), EFAULT, "id: EFAULT");
	is_int(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, RT, 0, 0, &id), 0, "a good one");
	is_err(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL, "no value: EINVAL");
	is_err(syscall(SYS_timer_settime, id, 0, hide(8), NULL), EFAULT, "value: EFAULT");
	is_err(syscall(SYS_timer_settime, id, 0, &it, hide(8)), EFAULT, "old value: EFAULT");
	is_err(syscall(SYS_timer_settime, id + 1, 0, &it, NULL), EINVAL, "no such timer: EINVAL");
	it.it_value.tv_nsec = 1000000000;
	is_err(syscall(SYS_timer_settime, id, 0, &it, NULL), EINVAL, "10^9 ns: EINVAL");
	it = spec(1, 0);
	it.it_interval.tv_sec = -1;
	is_err(syscall(SYS_timer_settime, id, 0, &it, NULL), EINVAL, "-1 s: EINVAL");
	is_err(syscall(SYS_timer_gettime, id + 1, &it), EINVAL, "gettime: EINVAL");
	is_err(syscall(SYS_timer_gettime, id, hide(8)), EFAULT, "gettime: EFAULT");
	is_err(syscall(SYS_timer_getoverrun, -1), EINVAL, "getoverrun: EINVAL");
	is_int(delete (id), 0, "delete");
	is_exit(run_child(child_limit, NULL), 0, "RLIMIT_SIGPENDING: EAGAIN");
}

int
main(int argc, char **argv)
{
	sigset_t all;

	if (argc > 1 && strcmp(argv[1], "after-exec") == 0)
		return after_exec();
	sigemptyset(&all);
	sigaddset(&all, RT);
	sigaddset(&all, RT + 1);
	sigaddset(&all, SIGUSR1);
	sigaddset(&all, SIGALRM);
	sigprocmask(SIG_BLOCK, &all, NULL);
	test_clocks();
	test_cpu(CLOCK_PROCESS_CPUTIME_ID, "PROCESS_CPUTIME");
	test_cpu(CLOCK_THREAD_CPUTIME_ID, "THREAD_CPUTIME");
	test_overrun();
	test_many();
	test_events();
	test_thread();
	test_family();
	test_ignored();
	test_errors();
	return tap_done();
}
