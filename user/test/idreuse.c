/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An id is not issued again soon after it was freed (B38, B59, B66 hurt least
 * when a stale id means nobody): none within 1000 forks, whether processes or
 * threads take them.
 *
 * test: timeout=60 host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define STK 16384

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int
cmp(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

static void
check(pid_t *id, long n, const char *what)
{
	long i, dup = 0, wild = 0;

	qsort(id, (size_t)n, sizeof(*id), cmp);
	for (i = 0; i < n; i++) {
		wild += id[i] <= 1;
		dup += i > 0 && id[i] == id[i - 1];
	}
	is_int(dup, 0, "B38: %s: no id is given twice", what);
	is_int(wild, 0, "%s: each is above 1", what);
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 500);
	pid_t *id = calloc((size_t)n, sizeof(*id));
	char *stk = private_mem(STK);
	static atomic_int tid;

	for (i = 0; i < n; i++) {
		id[i] = spawn(nothing, NULL);
		reap(id[i]);
	}
	check(id, n, "one process after the other");

	for (i = 0; i < n; i++) {
		id[i] = (pid_t)thr_start(stk + STK, nothing, NULL, &tid);
		thr_join(&tid);
	}
	check(id, n, "one thread after the other");

	for (i = 0; i < n; i++) {
		if (i % 2 == 0) {
			id[i] = spawn(nothing, NULL);
			reap(id[i]);
		} else {
			id[i] = (pid_t)thr_start(stk + STK, nothing, NULL, &tid);
			thr_join(&tid);
		}
	}
	check(id, n, "processes and threads in turn");
	free(id);
	return tap_done();
}
