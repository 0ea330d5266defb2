/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B16: a thread never runs on a CPU that its affinity forbids, under load,
 * across yields and sleeps, and while threads that may go anywhere are stolen.
 *
 * test: timeout=60
 * test: name=kernel args="kernel" host=no
 * test: name=b16 smp=2,4 append="fp=steal-between-count-and-lock:300" args="20" host=no
 * test: name=wake smp=2,4 append="fp=sleep-queued-not-switched:200,woken-while-RUNNING:200,lend-restart:50" args="20" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define PINNERS 4
#define LOOKS   30

static int cpu[CPU_MAX], ncpus;
static atomic_int stop, beats;
static long rounds;

/* Load that moves: burns a while, sleeps a little, wakes anywhere. */
static void *
load(void *arg)
{
	struct rng r;

	rng_seed(&r, (uint64_t)(uintptr_t)arg);
	while (!atomic_load(&stop)) {
		volatile int i, n = (int)rng_below(&r, 20000);

		for (i = 0; i < n; i++)
			;
		atomic_fetch_add(&beats, 1);
		if (rng_below(&r, 4) == 0)
			usleep(rng_below(&r, 500));
		else
			sched_yield();
	}
	return NULL;
}

/* Pin to a CPU and look around; the number of times we were elsewhere. */
static long
stay_on(int c, struct rng *r)
{
	long i, bad = 0;
	cpu_set_t set;

	if (pin_cpu(c) != 0)
		return 1000000;
	bad += sched_getcpu() != c; /* it holds as soon as the call returns */
	CPU_ZERO(&set);
	bad += sched_getaffinity(0, sizeof(set), &set) == -1 || CPU_COUNT(&set) != 1 ||
	    !CPU_ISSET(c, &set);
	for (i = 0; i < LOOKS; i++) {
		if (rng_below(r, 3) == 0)
			sched_yield();
		else if (rng_below(r, 8) == 0)
			usleep(100);
		bad += sched_getcpu() != c;
	}
	return bad;
}

static void *
pinner(void *arg)
{
	struct rng r;
	long i, bad = 0;

	rng_seed(&r, 50 + (uint64_t)(uintptr_t)arg);
	for (i = 0; i < rounds; i++)
		bad += stay_on(cpu[rng_below(&r, (uint32_t)ncpus)], &r);
	return (void *)bad;
}

static int
child_stays(void *arg)
{
	int c = (int)(long)arg, i;

	for (i = 0; i < 20; i++) {
		if (sched_getcpu() != c)
			return 1;
		sched_yield();
	}
	return 0;
}

/* Threads of the kernel, idle ones among them, have low ids; Linux lets root move some of them. */
static int
kernel_threads(void)
{
	int refused = 0, other = 0;
	cpu_set_t set;
	pid_t id;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	for (id = 2; id < 20; id++)
		if (sched_setaffinity(id, sizeof(set), &set) == 0)
			other++;
		else if (errno == EPERM)
			refused++;
		else if (errno != ESRCH)
			other++;
	ok(refused > 0, "threads of the kernel cannot be moved: EPERM");
	is_int(other, 0, "or are not found");
	return tap_done();
}

int
main(int argc, char **argv)
{
	pthread_t t[2 * CPU_MAX], p[PINNERS];
	long i, bad = 0, was;
	struct rng r;
	cpu_set_t set;
	void *ret;

	if (argc > 1 && strcmp(argv[1], "kernel") == 0)
		return kernel_threads();
	rounds = arg_rounds(argc, argv, 25);
	rng_seed(&r, rng_arg(argc, argv));
	ncpus = cpu_list(cpu, CPU_MAX);
	ok(ncpus > 0, "there are CPUs to run on");
	for (i = 0; i < 2 * ncpus; i++)
		pthread_create(&t[i], NULL, load, (void *)i);
	for (i = 0; i < ncpus * 3; i++)
		bad += stay_on(cpu[i % ncpus], &r);
	is_int(bad, 0, "B16: pinned to each CPU in turn beside a load: never elsewhere");
	for (i = bad = 0; i < ncpus; i++) {
		pin_cpu(cpu[i]);
		bad += run_child(child_stays, (void *)(long)cpu[i]) != 0;
	}
	is_int(bad, 0, "a child inherits the affinity");
	unpin_cpu();
	for (i = 0; i < PINNERS; i++)
		pthread_create(&p[i], NULL, pinner, (void *)i);
	for (i = bad = 0; i < PINNERS; i++) {
		pthread_join(p[i], &ret);
		bad += (long)ret;
	}
	is_int(bad, 0, "B16: four threads pin themselves here and there at once");

	was = atomic_load(&beats);
	for (i = 0; i < 20000 && atomic_load(&beats) < was + 2 * ncpus; i++)
		sleep_ms(5);
	ok(i < 20000, "the load goes on");
	atomic_store(&stop, 1);
	for (i = 0; i < 2 * ncpus; i++)
		pthread_join(t[i], NULL);
	CPU_ZERO(&set);
	is_err(sched_setaffinity(0, sizeof(set), &set), EINVAL, "an empty set: EINVAL");
	return tap_done();
}
