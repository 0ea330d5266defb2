/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the system says about itself and the process: uname, sysinfo, limits,
 * usage, users, random bytes, thread pointer; unknown calls.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static void
test_system(void)
{
	struct utsname u;
	struct sysinfo si;

	is_int(uname(&u), 0, "uname");
	ok(strcmp(u.machine, "x86_64") == 0, "the machine is x86_64");
	ok(u.sysname[0] != '\0' && u.release[0] != '\0' && u.nodename[0] != '\0', "it has names");
	is_int(sysinfo(&si), 0, "sysinfo");
	ok(si.totalram > 0 && si.freeram > 0 && si.freeram < si.totalram && si.mem_unit > 0,
	    "memory is told");
	ok(si.procs >= 1, "there is at least one process");
	ok(si.uptime < 100000000, "uptime");
	is_err(syscall(SYS_reboot, 1, 2, 3, 0), EINVAL, "reboot without the magic: EINVAL");
	is_err(syscall(1000), ENOSYS, "call 1000: ENOSYS");
	is_err(syscall(-1L), ENOSYS, "call -1: ENOSYS");
	is_err(syscall(0x7fffffffL), ENOSYS, "a huge call number: ENOSYS");
}

static void
test_users(void)
{
	is_int(getuid(), geteuid(), "real and effective user agree");
	is_int(getgid(), getegid(), "and the groups");
	ok(getppid() >= 0, "getppid");
	is_int(getpid(), syscall(SYS_getpid), "getpid is the kernel's");
}

static void
test_limits(void)
{
	struct rlimit rl, old;

	is_int(getrlimit(RLIMIT_NOFILE, &old), 0, "RLIMIT_NOFILE");
	ok(old.rlim_cur >= 64 && old.rlim_max >= old.rlim_cur, "is sane");
	rl.rlim_cur = 30;
	rl.rlim_max = old.rlim_max;
	is_int(setrlimit(RLIMIT_NOFILE, &rl), 0, "set it");
	is_int(getrlimit(RLIMIT_NOFILE, &rl), 0, "read it back");
	is_int((long)rl.rlim_cur, 30, "it is set");
	is_int(setrlimit(RLIMIT_NOFILE, &old), 0, "and back");
	rl.rlim_cur = 31;
	rl.rlim_max = 30;
	is_err(setrlimit(RLIMIT_NOFILE, &rl), EINVAL, "soft above hard: EINVAL");
	is_err(getrlimit(99, &rl), EINVAL, "unknown limit: EINVAL");
	is_int(getrlimit(RLIMIT_STACK, &rl), 0, "RLIMIT_STACK");
	is_int(getrlimit(RLIMIT_NPROC, &rl), 0, "RLIMIT_NPROC");
	is_int(syscall(SYS_prlimit64, getpid(), RLIMIT_STACK, NULL, &rl), 0, "prlimit by pid");
	is_err(
	    syscall(SYS_prlimit64, 0x0fffffff, RLIMIT_STACK, NULL, &rl), ESRCH, "of nobody: ESRCH");
}

/* Use so many milliseconds of CPU, however busy the machine is. */
static int
burn(void *arg)
{
	struct timespec ts;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < (long)arg);
	return 0;
}

static long
cpu_us(int who)
{
	struct rusage ru;

	if (getrusage(who, &ru) == -1)
		return -1;
	return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000L + ru.ru_utime.tv_usec +
	    ru.ru_stime.tv_usec;
}

static void
test_usage(void)
{
	struct rusage ru;
	struct tms a, b;
	long us;

	us = cpu_us(RUSAGE_SELF);
	times(&a);
	burn((void *)(60L + us / 1000));
	ok(cpu_us(RUSAGE_SELF) - us > 5000, "RUSAGE_SELF counts what we burn");
	times(&b);
	ok(b.tms_utime + b.tms_stime > a.tms_utime + a.tms_stime, "times as well");
	us = cpu_us(RUSAGE_CHILDREN);
	run_child(burn, (void *)60L);
	ok(cpu_us(RUSAGE_CHILDREN) - us > 5000, "RUSAGE_CHILDREN what a collected child burned");
	ok(cpu_us(RUSAGE_THREAD) >= 0, "RUSAGE_THREAD");
	is_err(getrusage(99, &ru), EINVAL, "unknown kind: EINVAL");
}

static void
test_random(void)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 };

	is_int(getrandom(a, sizeof(a), 0), 64, "getrandom");
	is_int(getrandom(b, sizeof(b), GRND_NONBLOCK), 64, "again");
	ok(memcmp(a, b, sizeof(a)) != 0, "gives other bytes");
	is_int(getrandom(a, 0, 0), 0, "none: 0");
	is_err(getrandom(a, 1, 0x80), EINVAL, "bad flags: EINVAL");
}

static void
test_prctl(void)
{
	unsigned long fs = 0, again = 0;

	is_int(syscall(SYS_arch_prctl, 0x1003, &fs), 0, "arch_prctl: get the thread pointer");
	ok(fs != 0, "musl has set one");
	is_int(syscall(SYS_arch_prctl, 0x1002, fs), 0, "set it to the same");
	syscall(SYS_arch_prctl, 0x1003, &again);
	ok(again == fs, "it is the same");
	is_err(
	    syscall(SYS_arch_prctl, 0x1002, 0xffff800000000000), EPERM, "one in the kernel: EPERM");
	is_err(
	    syscall(SYS_arch_prctl, 0x1002, 0x900000000000), EPERM, "a non-canonical one: EPERM");
	is_err(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL, "unknown code: EINVAL");
}

int
main(void)
{
	test_system();
	test_users();
	test_limits();
	test_usage();
	test_random();
	test_prctl();
	return tap_done();
}
