/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls on scheduling classes and nice values: numbers, errors, what
 * children and threads inherit, threads in every state. By syscall(2),
 * because musl answers some of them itself.
 *
 * test: timeout=60
 * test: name=native args="native" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define RESET_ON_FORK 0x40000000
#define POLICY_IDLE   5
#define NOBODY        0x0fffffff

static long
set_policy(pid_t id, int policy, int pri)
{
	return syscall(SYS_sched_setscheduler, id, policy, &pri);
}

static long
set_param(pid_t id, int pri)
{
	return syscall(SYS_sched_setparam, id, &pri);
}

static int
get_param(pid_t id)
{
	int pri = -1;

	return syscall(SYS_sched_getparam, id, &pri) == -1 ? -1 : pri;
}

static long
policy_of(pid_t id)
{
	return syscall(SYS_sched_getscheduler, id);
}

/* The raw value, 20 - nice, so that an error is told from -1. */
static long
get_nice(int which, int who)
{
	return syscall(SYS_getpriority, which, who);
}

static long
set_nice(int which, int who, int nice)
{
	return syscall(SYS_setpriority, which, who, nice);
}

static void
test_ranges(void)
{
	static const int known[] = { SCHED_OTHER, SCHED_BATCH, POLICY_IDLE, 6 };
	int bad = 0;

	for (size_t i = 0; i < NELEM(known); i++)
		bad += syscall(SYS_sched_get_priority_min, known[i]) != 0 ||
		    syscall(SYS_sched_get_priority_max, known[i]) != 0;
	is_int(bad, 0, "priorities of time sharing: 0 to 0");
	bad += syscall(SYS_sched_get_priority_min, SCHED_FIFO) != 1;
	bad += syscall(SYS_sched_get_priority_max, SCHED_FIFO) != 99;
	bad += syscall(SYS_sched_get_priority_min, SCHED_RR) != 1;
	bad += syscall(SYS_sched_get_priority_max, SCHED_RR) != 99;
	is_int(bad, 0, "of real time: 1 to 99");
	is_err(syscall(SYS_sched_get_priority_min, 4), EINVAL, "no policy 4: EINVAL");
	is_err(syscall(SYS_sched_get_priority_max, -1), EINVAL, "no policy -1: EINVAL");
}

static void
test_set(void)
{
	struct timespec ts = { -1, -1 };
	void *wild = hide(16);
	int pri = 0;

	is_int(policy_of(0), SCHED_OTHER, "we begin in SCHED_OTHER");
	is_int(get_param(0), 0, "with priority 0");
	is_ok(set_policy(0, SCHED_FIFO, 10), "SCHED_FIFO 10");
	is_int(policy_of(0), SCHED_FIFO, "is SCHED_FIFO");
	is_int(policy_of(getpid()), SCHED_FIFO, "by id, too");
	is_int(get_param(0), 10, "is 10");
	is_ok(syscall(SYS_sched_rr_get_interval, 0, &ts), "interval of SCHED_FIFO");
	is_int(ts.tv_sec == 0 && ts.tv_nsec == 0, 1, "is 0");
	is_ok(set_param(0, 99), "sched_setparam 99");
	is_int(get_param(0), 99, "is 99");
	is_err(set_param(0, 0), EINVAL, "0 in SCHED_FIFO: EINVAL");
	is_err(set_param(0, 100), EINVAL, "100: EINVAL");
	is_err(set_param(0, -1), EINVAL, "-1: EINVAL");
	is_int(get_param(0), 99, "still 99");
	is_ok(set_policy(0, SCHED_RR, 1), "SCHED_RR 1");
	is_int(policy_of(0), SCHED_RR, "is SCHED_RR");
	is_ok(syscall(SYS_sched_rr_get_interval, 0, &ts), "interval of SCHED_RR");
	is_int(ts.tv_sec == 0 && ts.tv_nsec == 100000000, 1, "is 100 ms");
	is_ok(set_policy(0, SCHED_BATCH, 0), "SCHED_BATCH");
	is_int(policy_of(0), SCHED_BATCH, "is SCHED_BATCH");
	is_ok(set_policy(0, POLICY_IDLE, 0), "SCHED_IDLE");
	is_int(policy_of(0), POLICY_IDLE, "is SCHED_IDLE");
	is_ok(set_policy(0, SCHED_OTHER, 0), "SCHED_OTHER");
	is_err(set_param(0, 1), EINVAL, "priority 1 in SCHED_OTHER: EINVAL");
	is_ok(set_param(0, 0), "0: nothing changes");
	is_ok(syscall(SYS_sched_rr_get_interval, 0, &ts), "interval of SCHED_OTHER");
	is_int(ts.tv_sec == 0 && ts.tv_nsec >= 0 && ts.tv_nsec <= 100000000, 1, "is not long");

	is_err(set_policy(0, SCHED_OTHER, 1), EINVAL, "SCHED_OTHER 1: EINVAL");
	is_err(set_policy(0, SCHED_FIFO, 0), EINVAL, "SCHED_FIFO 0: EINVAL");
	is_err(set_policy(0, 4, 0), EINVAL, "policy 4: EINVAL");
	is_err(set_policy(0, 6, 0), EINVAL, "SCHED_DEADLINE without its data: EINVAL");
	is_err(set_policy(0, 7, 0), EINVAL, "policy 7: EINVAL");
	is_err(set_policy(0, -1, 0), EINVAL, "policy -1: EINVAL");
	is_err(set_policy(-1, SCHED_FIFO, 1), EINVAL, "id -1: EINVAL");
	is_err(set_policy(NOBODY, SCHED_FIFO, 1), ESRCH, "nobody: ESRCH");
	is_err(set_policy(NOBODY, SCHED_FIFO, 0), ESRCH, "nobody, bad priority: ESRCH");
	is_err(
	    syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, NULL), EINVAL, "no parameters: EINVAL");
	is_err(syscall(SYS_sched_setscheduler, NOBODY, SCHED_FIFO, wild), EFAULT,
	    "a bad address: EFAULT");
	is_err(syscall(SYS_sched_setparam, 0, NULL), EINVAL, "sched_setparam, none: EINVAL");
	is_err(syscall(SYS_sched_setparam, 0, wild), EFAULT, "bad address: EFAULT");
	is_err(set_param(-1, 0), EINVAL, "id -1: EINVAL");
	is_err(set_param(NOBODY, 0), ESRCH, "nobody: ESRCH");
	is_err(syscall(SYS_sched_getparam, 0, NULL), EINVAL, "sched_getparam, no place: EINVAL");
	is_err(syscall(SYS_sched_getparam, 0, wild), EFAULT, "bad address: EFAULT");
	is_err(syscall(SYS_sched_getparam, -1, &pri), EINVAL, "id -1: EINVAL");
	is_err(syscall(SYS_sched_getparam, NOBODY, wild), ESRCH, "nobody: ESRCH");
	is_err(policy_of(-1), EINVAL, "sched_getscheduler, id -1: EINVAL");
	is_err(policy_of(NOBODY), ESRCH, "nobody: ESRCH");
	is_err(syscall(SYS_sched_rr_get_interval, -1, &ts), EINVAL, "interval, id -1: EINVAL");
	is_err(syscall(SYS_sched_rr_get_interval, NOBODY, &ts), ESRCH, "nobody: ESRCH");
	is_err(syscall(SYS_sched_rr_get_interval, 0, wild), EFAULT, "bad address: EFAULT");
	is_int(policy_of(0), SCHED_OTHER, "after all that still SCHED_OTHER");
}

/* --- what is inherited ------------------------------------------------------------ */
static void *
look(void *arg)
{
	(void)arg;
	return (void *)(policy_of(0) << 16 | get_param(0) << 8 | get_nice(PRIO_PROCESS, 0));
}

static int
look_child(void *arg)
{
	return look(NULL) == arg ? 0 : 1;
}

#define EXPECT_CLASS(policy, pri, nice) \
	((void *)((long)(policy) << 16 | (long)(pri) << 8 | (20 - (nice))))

static void
test_inherit(void)
{
	pthread_attr_t attr;
	pthread_t t;
	void *ret;

	set_policy(0, SCHED_FIFO, 7);
	set_nice(PRIO_PROCESS, 0, 3);
	is_exit(run_child(look_child, EXPECT_CLASS(SCHED_FIFO, 7, 3)), 0, "a child inherits all");
	pthread_create(&t, NULL, look, NULL);
	pthread_join(t, &ret);
	ok(ret == EXPECT_CLASS(SCHED_FIFO, 7, 3), "so does a thread");
	is_ok(set_policy(0, SCHED_FIFO | RESET_ON_FORK, 7), "SCHED_RESET_ON_FORK");
	is_int(policy_of(0), SCHED_FIFO | RESET_ON_FORK, "is told with the policy");
	is_ok(set_param(0, 8), "sched_setparam");
	is_int(policy_of(0), SCHED_FIFO | RESET_ON_FORK, "keeps it");
	is_exit(run_child(look_child, EXPECT_CLASS(SCHED_OTHER, 0, 0)), 0,
	    "a child is in SCHED_OTHER, with nice 0");
	set_policy(0, SCHED_BATCH | RESET_ON_FORK, 0);
	set_nice(PRIO_PROCESS, 0, -5);
	is_exit(run_child(look_child, EXPECT_CLASS(SCHED_BATCH, 0, 0)), 0,
	    "SCHED_BATCH is inherited, a nice value below 0 is not");
	set_nice(PRIO_PROCESS, 0, 5);
	is_exit(run_child(look_child, EXPECT_CLASS(SCHED_BATCH, 0, 5)), 0, "one above 0 is");
	set_policy(0, SCHED_OTHER, 0);
	is_int(policy_of(0), SCHED_OTHER, "set without it, it is gone");
	set_nice(PRIO_PROCESS, 0, 0);

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_RR);
	pthread_attr_setschedparam(&attr, &(struct sched_param){ .sched_priority = 21 });
	is_int(pthread_create(&t, &attr, look, NULL), 0, "a thread with a class of its own");
	pthread_join(t, &ret);
	ok(ret == EXPECT_CLASS(SCHED_RR, 21, 0), "has it from the start");
	pthread_attr_destroy(&attr);
}

/* --- nice ------------------------------------------------------------------------- */
static atomic_int *word; /* shared: 0 tid, 1 go, 2 state */

static void *
wait_go(void *arg)
{
	(void)arg;
	word_add(&word[0], (int)syscall(SYS_gettid));
	word_wait(&word[1], 1);
	return look(NULL);
}

static int
wait_child(void *arg)
{
	word_add(&word[2], 1);
	word_wait(&word[1], 1);
	return look(NULL) == arg ? 0 : 1;
}

static int
group_child(void *arg)
{
	setpgid(0, 0);
	return wait_child(arg);
}

static void
test_nice(void)
{
	pid_t child, grouped;
	pthread_t t;
	void *ret;
	int tid;

	is_int(get_nice(PRIO_PROCESS, 0), 20, "nice is 0 at first");
	is_ok(set_nice(PRIO_PROCESS, 0, 5), "set it to 5");
	is_int(get_nice(PRIO_PROCESS, 0), 15, "is 5");
	is_ok(set_nice(PRIO_PROCESS, getpid(), 100), "100");
	is_int(get_nice(PRIO_PROCESS, getpid()), 1, "is 19");
	is_ok(set_nice(PRIO_PROCESS, 0, -100), "-100");
	is_int(get_nice(PRIO_PROCESS, 0), 40, "is -20");
	errno = 0;
	is_int(getpriority(PRIO_PROCESS, 0), -20, "getpriority of the C library agrees");
	is_ok(set_nice(PRIO_PROCESS, 0, 0), "0 again");
	is_int(nice(4), 4, "nice(4)");
	is_int(nice(-4), 0, "nice(-4)");
	is_err(get_nice(3, 0), EINVAL, "a bad kind: EINVAL");
	is_err(get_nice(-1, 0), EINVAL, "another: EINVAL");
	is_err(set_nice(3, 0, 0), EINVAL, "to set: EINVAL");
	is_err(get_nice(PRIO_PROCESS, NOBODY), ESRCH, "nobody: ESRCH");
	is_err(set_nice(PRIO_PROCESS, NOBODY, 0), ESRCH, "to set: ESRCH");
	is_err(get_nice(PRIO_PGRP, NOBODY), ESRCH, "no such group: ESRCH");
	is_err(set_nice(PRIO_PGRP, NOBODY, 0), ESRCH, "to set: ESRCH");
	is_err(get_nice(PRIO_USER, NOBODY), ESRCH, "no such user: ESRCH");
	is_err(set_nice(PRIO_USER, NOBODY, 0), ESRCH, "to set: ESRCH");
	ok(get_nice(PRIO_USER, 0) >= 20, "the best of our user's is ours or better");

	pthread_create(&t, NULL, wait_go, NULL);
	while ((tid = atomic_load(&word[0])) == 0)
		sleep_ms(1);
	is_ok(set_nice(PRIO_PROCESS, tid, 7), "nice of one thread");
	is_int(get_nice(PRIO_PROCESS, tid), 13, "is 7");
	is_int(get_nice(PRIO_PROCESS, 0), 20, "ours is 0 still");
	is_ok(set_policy(tid, SCHED_RR, 33), "class of one thread");
	is_int(policy_of(tid), SCHED_RR, "is SCHED_RR");
	is_int(policy_of(0), SCHED_OTHER, "ours is SCHED_OTHER still");

	setpgid(0, 0);
	child = spawn(wait_child, EXPECT_CLASS(SCHED_OTHER, 0, 9));
	grouped = spawn(group_child, EXPECT_CLASS(SCHED_OTHER, 0, 2));
	word_wait(&word[2], 2);
	is_ok(set_nice(PRIO_PGRP, 0, 9), "nice of our group");
	is_int(get_nice(PRIO_PROCESS, child), 11, "a child of the group has it");
	is_int(get_nice(PRIO_PROCESS, tid), 11, "each thread has it");
	is_int(get_nice(PRIO_PROCESS, grouped), 20, "a child of another group has not");
	is_ok(set_nice(PRIO_PGRP, grouped, 2), "nice of the other group");
	is_int(get_nice(PRIO_PGRP, grouped), 18, "is 2");
	is_ok(set_nice(PRIO_PROCESS, 0, 5), "ours alone");
	is_int(get_nice(PRIO_PGRP, 0), 15, "the best of our group is ours");
	word_add(&word[1], 1);
	pthread_join(t, &ret);
	ok(ret == EXPECT_CLASS(SCHED_RR, 33, 9), "the thread agrees");
	is_exit(reap(child), 0, "so does the child");
	is_exit(reap(grouped), 0, "and the other");
	set_nice(PRIO_PGRP, 0, 0);
}

/* --- changes in every state, at random ------------------------------------------------- */
static atomic_int stop, sink;
static atomic_int tids[6];
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;

static void *
busy(void *arg)
{
	struct timespec ts = { 0, 50000 };
	int fd[2], k = (int)(long)arg;
	char c = 0;

	if (pipe(fd) == -1)
		return (void *)1;
	atomic_store(&tids[k], (int)syscall(SYS_gettid));
	while (!atomic_load(&stop)) {
		switch (k % 6) {
		case 0: /* runs */
			atomic_fetch_add(&sink, 1);
			break;
		case 1: /* yields */
			sched_yield();
			break;
		case 2: /* sleeps for a time */
			nanosleep(&ts, NULL);
			break;
		case 3: /* sleeps on a lock */
		case 4:
			pthread_mutex_lock(&mtx);
			nanosleep(&ts, NULL);
			pthread_mutex_unlock(&mtx);
			break;
		default: /* in and out of the kernel */
			if (write(fd[1], &c, 1) != 1 || read(fd[0], &c, 1) != 1)
				return (void *)1;
		}
	}
	close(fd[0]);
	close(fd[1]);
	return NULL;
}

/* Nobody of them may keep the CPU from us: we are more urgent, and rest often. */
static void
test_states(void)
{
	static const int policies[] = { SCHED_OTHER, SCHED_BATCH, POLICY_IDLE, SCHED_FIFO,
		SCHED_RR };
	pthread_t t[6];
	cpu_set_t set;
	struct rng r;
	void *ret;
	long bad = 0;
	int cpu[CPU_MAX], n = cpu_list(cpu, CPU_MAX);

	rng_seed(&r, 7);
	is_ok(set_policy(0, SCHED_FIFO | RESET_ON_FORK, 90), "we are more urgent");
	for (long i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, busy, (void *)i);
	for (int i = 0; i < 6; i++)
		while (atomic_load(&tids[i]) == 0)
			sleep_ms(1);
	for (int i = 0; i < 600; i++) {
		int tid = atomic_load(&tids[rng_below(&r, 6)]);
		int p = policies[rng_below(&r, NELEM(policies))];
		int pri = p == SCHED_FIFO || p == SCHED_RR ? 1 + (int)rng_below(&r, 20) : 0;

		switch (rng_below(&r, 3)) {
		case 0:
			bad += set_nice(PRIO_PROCESS, tid, (int)rng_below(&r, 40) - 20) != 0;
			break;
		case 1:
			CPU_ZERO(&set);
			for (int c = 0; c < n; c++)
				if (rng_below(&r, 2) || c == i % n)
					CPU_SET(cpu[c], &set);
			bad += sched_setaffinity(tid, sizeof(set), &set) != 0;
			break;
		default:
			bad += set_policy(tid, p, pri) != 0;
			bad += policy_of(tid) != p || get_param(tid) != pri;
		}
		if (i % 4 == 0)
			usleep(200);
		if (i % 300 == 0)
			(void)dbg_cmd("fsck");
	}
	is_int(bad, 0, "classes, nice values and CPUs of busy threads change at random");
	atomic_store(&stop, 1);
	for (int i = 0; i < 6; i++) {
		set_policy(atomic_load(&tids[i]), SCHED_OTHER, 0);
		pthread_join(t[i], &ret);
		bad += ret != NULL;
	}
	is_int(bad, 0, "and they end well");
	set_policy(0, SCHED_OTHER, 0);
}

/* Threads of the kernel, whose ids are low, are not changed, but told of. */
static int
native(void)
{
	int refused = 0, shown = 0, other = 0;
	pid_t id;

	for (id = 2; id < 20; id++) {
		if (set_policy(id, SCHED_FIFO, 1) == 0)
			other++;
		else if (errno == EPERM)
			refused++;
		else if (errno != ESRCH)
			other++;
		if (set_nice(PRIO_PROCESS, id, 1) == 0)
			other++;
		shown += policy_of(id) == SCHED_FIFO && get_param(id) == 99;
	}
	ok(refused > 0, "threads of the kernel keep their class: EPERM");
	is_int(other, 0, "or are not found");
	is_int(shown, refused, "they look like SCHED_FIFO 99");
	is_int(get_nice(PRIO_USER, 0), 20, "they are no user's");
	return tap_done();
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "native") == 0)
		return native();
	word = shared_mem(PAGE);
	if (set_policy(0, SCHED_FIFO, 1) == -1)
		bail_out("no right to real-time priorities here: errno %d", errno);
	set_policy(0, SCHED_OTHER, 0);
	set_nice(PRIO_PROCESS, 0, 0);
	test_ranges();
	test_set();
	test_inherit();
	test_nice();
	test_states();
	return tap_done();
}
