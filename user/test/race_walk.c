/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B42: walks over all processes and over a group meet none that is freed, and end, while processes are born
 * and die. The walkers are kill(-1), kill(0), the priorities of a group, holds and fsck.
 *
 * test: timeout=90 host=no
 * test: name=b42 smp=2,4 append="fp=exit-after-DEAD:200,exit-after-wake-before-switch:200,free-after-IDL-before-id:200" args="30" host=no timeout=90
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define BREEDERS 3

static atomic_int *born, *stop;

static int
short_life(void *arg)
{
	(void)arg;
	return 0;
}

static int
breed(void *arg)
{
	(void)arg;
	while (!atomic_load(stop)) {
		pid_t a = spawn(short_life, NULL), b = spawn(short_life, NULL);

		if (a < 0 || b < 0)
			return 1;
		if (reap(b) != 0 || reap(a) != 0)
			return 2;
		atomic_fetch_add(born, 2);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 80), bad = 0, least;
	pid_t pids[BREEDERS];

	rng_arg(argc, argv);
	born = shared_mem(PAGE);
	stop = born + 1;
	for (i = 0; i < BREEDERS; i++)
		pids[i] = spawn(breed, NULL);
	word_wait_ms(born, 1, 1);
	for (i = 0; i < n; i++) {
		bad += kill(-1, 0) != 0;
		bad += kill(0, 0) != 0;
		errno = 0;
		bad += getpriority(PRIO_PGRP, 0) == -1 && errno != 0;
		if (i % 4 == 0)
			bad += dbg_cmd("hold 0 0") != 0;
		if (i % 8 == 0)
			bad += dbg_cmd("fsck") != 0;
		thr_spin((unsigned)(i * 71 % 4000));
	}
	least = atomic_load(born) + 2;
	for (i = 0; i < 30000 && atomic_load(born) < least; i++)
		sleep_ms(1);
	atomic_store(stop, 1);
	is_int(bad, 0, "B42: each walk found its processes and ended");
	ok(atomic_load(born) >= least, "while processes were born and died");
	for (i = bad = 0; i < BREEDERS; i++)
		bad += reap(pids[i]) != 0;
	is_int(bad, 0, "whose parents missed none");
	return tap_done();
}
