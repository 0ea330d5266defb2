/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks and sleeps, and the calls that describe the system.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static void
test_clocks(void)
{
	static const int clocks[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct timespec a, b;
	struct timeval tv;
	clockid_t id;
	size_t i, bad = 0;

	for (i = 0; i < NELEM(clocks); i++) {
		bad += syscall(SYS_clock_gettime, clocks[i], &a) != 0 || a.tv_nsec < 0 ||
		    a.tv_nsec > 999999999;
		bad += syscall(SYS_clock_gettime, clocks[i], &b) != 0;
		bad += b.tv_sec < a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec < a.tv_nsec);
		bad +=
		    syscall(SYS_clock_getres, clocks[i], &a) != 0 || a.tv_sec != 0 || a.tv_nsec < 1;
	}
	is_int((long)bad, 0, "eight clocks run forward");
	is_err(syscall(SYS_clock_gettime, 99, &a), EINVAL, "a bad clock: EINVAL");
	is_err(syscall(SYS_clock_getres, 99, NULL), EINVAL, "clock_getres: EINVAL");
	gettimeofday(&tv, NULL);
	clock_gettime(CLOCK_REALTIME, &a);
	ok(a.tv_sec > 1500000000 && a.tv_sec - tv.tv_sec <= 1, "the wall clock is in this century");
	ok(syscall(SYS_time, NULL) - a.tv_sec <= 1, "time agrees");
	is_int(clock_getcpuclockid(getpid(), &id), 0, "a process's CPU clock");
	ok(clock_gettime(id, &a) == 0, "can be read");
	ok(clock_getcpuclockid(999999, &id) != 0, "that of none cannot");
	ok(times(NULL) > 0, "times");
}

static void
test_sleep(void)
{
	struct timespec ts = { 0, 50000000 }, rem = { 9, 9 }, abs;
	long long t = now_ns();

	is_int(nanosleep(&ts, &rem), 0, "nanosleep of 50 ms");
	t = now_ns() - t;
	ok(t >= 50000000 && t < 60000000000, "takes at least that");
	ok(rem.tv_sec == 9, "and leaves the rest alone");
	ts.tv_nsec = 1000000000;
	is_err(nanosleep(&ts, NULL), EINVAL, "a second in nanoseconds: EINVAL");
	ts.tv_nsec = -1;
	is_err(nanosleep(&ts, NULL), EINVAL, "a negative number: EINVAL");
	ts = (struct timespec){ -1, 0 };
	is_err(nanosleep(&ts, NULL), EINVAL, "negative seconds: EINVAL");
	ts = (struct timespec){ 0, 0 };
	is_int(nanosleep(&ts, NULL), 0, "no time at all");
	clock_gettime(CLOCK_MONOTONIC, &abs);
	abs.tv_nsec += 30000000;
	if (abs.tv_nsec >= 1000000000) {
		abs.tv_nsec -= 1000000000;
		abs.tv_sec++;
	}
	is_int(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, NULL), 0, "an absolute sleep");
	ok(now_ns() >= abs.tv_sec * 1000000000LL + abs.tv_nsec, "ends when it should");
	is_int(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, NULL), 0,
	    "one that is over already");
	clock_gettime(CLOCK_REALTIME, &abs);
	abs.tv_sec--;
	is_int(
	    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &abs, NULL), 0, "one of the wall clock");
	is_int(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EINVAL,
	    "by one's own CPU time: EINVAL");
	is_int(clock_nanosleep(99, 0, &ts, NULL), EINVAL, "by a bad clock: EINVAL");
}

static void
nothing(int sig)
{
	(void)sig;
}

static int
interrupter(void *arg)
{
	sleep_ms(100);
	kill(getppid(), (int)(intptr_t)arg);
	return 0;
}

static void
test_interrupted(void)
{
	struct timespec ts = { 5, 0 }, rem = { 0, 0 };
	long long t;
	pid_t pid;

	signal(SIGUSR1, nothing);
	pid = spawn(interrupter, (void *)(intptr_t)SIGUSR1);
	is_err(nanosleep(&ts, &rem), EINTR, "a handler ends a sleep: EINTR");
	ok(rem.tv_sec == 4 && rem.tv_nsec > 0, "with the rest");
	reap(pid);
	/* A signal that does nothing (SIGCHLD) does not lengthen it either. */
	ts = (struct timespec){ 0, 300000000 };
	pid = spawn(interrupter, (void *)(intptr_t)SIGCHLD);
	t = now_ns();
	is_int(nanosleep(&ts, NULL), 0, "an ignored signal does not");
	t = now_ns() - t;
	ok(t >= 300000000, "it takes its time");
	reap(pid);
}

static void
test_system(void)
{
	struct utsname u;
	struct sysinfo si;
	struct rusage ru;
	struct tms tms;
	cpu_set_t set;
	char name[20] = { 0 }, b[64] = { 0 };
	unsigned cpu = 99, node = 99, i, zeros = 0;
	volatile unsigned spin;

	ok(uname(&u) == 0 && strcmp(u.machine, "x86_64") == 0 && u.release[0] >= '3', "uname");
	ok(sysinfo(&si) == 0 && si.totalram * si.mem_unit > 8 << 20 && si.freeram <= si.totalram &&
		si.procs > 0,
	    "sysinfo");
	for (spin = 0; spin < 300000000; spin++)
		if ((spin & 0xfffff) == 0 && times(&tms) > 0 && tms.tms_utime > 5)
			break;
	ok(getrusage(RUSAGE_SELF, &ru) == 0 && ru.ru_utime.tv_usec + ru.ru_utime.tv_sec > 0 &&
		ru.ru_maxrss > 0,
	    "getrusage");
	is_err(getrusage(5, &ru), EINVAL, "of somebody else: EINVAL");
	ok(getrusage(RUSAGE_CHILDREN, &ru) == 0 && getrusage(RUSAGE_THREAD, &ru) == 0,
	    "of children and the thread");
	is_ok(prctl(PR_SET_NAME, "a name that is too long"), "PR_SET_NAME");
	prctl(PR_GET_NAME, name);
	ok(strcmp(name, "a name that is ") == 0, "PR_GET_NAME: cut to 15 bytes");
	is_err(prctl(12345, 0), EINVAL, "prctl: EINVAL");
	is_int(getrandom(b, 64, 0), 64, "getrandom");
	for (i = 0; i < 64; i++)
		zeros += b[i] == 0;
	ok(zeros < 10, "is random");
	is_err(getrandom(b, 64, 0xff), EINVAL, "getrandom: bad flags: EINVAL");
	{
		long n = syscall(SYS_sched_getaffinity, 0, sizeof(set), &set);

		ok(n > 0 && n % 8 == 0, "sched_getaffinity: a whole number of words");
	}
	is_err(syscall(SYS_sched_getaffinity, 0, 0, &set), EINVAL, "into nothing: EINVAL");
	is_err(syscall(SYS_sched_getaffinity, 0, 9, &set), EINVAL, "into 9 bytes: EINVAL");
	is_err(sched_getaffinity(999999, sizeof(set), &set), ESRCH, "of nobody: ESRCH");
	CPU_ZERO(&set);
	is_err(sched_setaffinity(0, sizeof(set), &set), EINVAL, "to no CPU: EINVAL");
	ok(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu < 64 && node < 64, "getcpu");
	is_int(sched_yield(), 0, "sched_yield");
	is_err(syscall(1000), ENOSYS, "a call that does not exist: ENOSYS");
	is_err(syscall(-1), ENOSYS, "nor does this: ENOSYS");
	ok(getuid() == geteuid() && getgid() == getegid(), "users and groups");
}

int
main(void)
{
	test_clocks();
	test_sleep();
	test_interrupted();
	test_system();
	return tap_done();
}
