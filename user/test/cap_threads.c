/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ten thousand live threads in one process, with stacks of 16 KiB: each runs,
 * has an id of its own, sleeps, and ends at one wake.  B4, B5, B45; and exit
 * of a process that has as many (B44: in bounded time).
 *
 * test: timeout=240 mem=512 smp=4 groups=large host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define STK   16384
#define LIMIT 60000

static atomic_int present, gate;
static atomic_int *tid;
static pid_t *id;
static char *stk;

static int
live(void *arg)
{
	id[(long)arg] = (pid_t)raw0(RAW_GETTID);
	atomic_fetch_add(&present, 1);
	while (atomic_load(&gate) == 0)
		raw6(RAW_FUTEX, (long)&gate, FUT_WAIT | FUT_PRIVATE, 0, 0, 0, 0);
	return 0;
}

static int
cmp(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* Make n threads; how many came into being. */
static long
make(long n)
{
	long i, r = 0;

	for (i = 0; i < n; i++) {
		r = thr_start(stk + (i + 1) * STK, live, (void *)i, &tid[i]);
		if (r < 0)
			break;
	}
	if (r < 0)
		diag("why: thread %ld: %s", i, strerror((int)-r));
	return i;
}

static int
all_present(long n, int ms)
{
	long long end = now_ns() + ms * 1000000LL;

	while (atomic_load(&present) < n && now_ns() < end)
		sleep_ms(5);
	return atomic_load(&present) == n;
}

/* A process that ends with all of them alive. */
static int
leave_with_all(void *arg)
{
	long n = (long)arg;

	atomic_store(&present, 0);
	atomic_store(&gate, 0);
	if (make(n) != n || !all_present(n, LIMIT))
		return 1;
	return 46;
}

int
main(int argc, char **argv)
{
	long i, n = arg_long(argc, argv, 1, 10000), made, bad = 0;
	long long t0 = now_ns();

	tid = private_mem((size_t)n * sizeof(*tid));
	id = private_mem((size_t)n * sizeof(*id));
	stk = private_mem((size_t)n * STK);
	made = make(n);
	is_int(made, n, "that many threads are made");
	ok(all_present(made, LIMIT), "each of them runs");
	diag("%lld ms to make them", (now_ns() - t0) / 1000000);
	for (i = 0; i < made; i++)
		bad +=
		    syscall(SYS_tgkill, getpid(), id[i], 0) != 0 || atomic_load(&tid[i]) != id[i];
	is_int(bad, 0, "each is found by its id");
	atomic_store(&gate, 1);
	futex(&gate, FUT_WAKE | FUT_PRIVATE, INT_MAX, NULL, NULL, 0);
	for (i = 0; i < made; i++)
		thr_join(&tid[i]);
	ok(1, "all end at one wake");
	qsort(id, (size_t)made, sizeof(*id), cmp);
	for (i = 1, bad = 0; i < made; i++)
		bad += id[i] == id[i - 1];
	is_int(bad, 0, "all ids differ");
	diag("%lld ms until all have ended", (now_ns() - t0) / 1000000);
	is_exit(reap_ms(spawn(leave_with_all, (void *)(n / 4)), LIMIT), 46,
	    "B44: a process ends with a quarter as many alive");
	diag("%lld ms in all", (now_ns() - t0) / 1000000);
	return tap_done();
}
