/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two thousand live processes: the id table grows (B4, B5), each can be found
 * and signalled, all end at one word, and nothing is left.
 *
 * test: timeout=180 mem=512 smp=4 host=no
 * test: name=grow timeout=180 mem=512 smp=4 append="fp=id-grow-unlocked:5000" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static atomic_int *gate, *present;

static int
live(void *arg)
{
	word_add(present, 1);
	word_wait(gate, 1);
	return (int)((long)arg % 100);
}

static int
cmp(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

int
main(int argc, char **argv)
{
	long i, n = arg_long(argc, argv, 1, 2000), made, bad = 0, sum = 0, want = 0;
	pid_t *pid = calloc((size_t)n, sizeof(*pid));
	long long t0 = now_ns();
	int st;

	gate = shared_mem(PAGE);
	present = gate + 16;
	for (made = 0; made < n; made++) {
		pid[made] = spawn(live, (void *)made);
		if (pid[made] == -1) {
			diag("why: fork %ld: %s", made, strerror(errno));
			break;
		}
		want += made % 100;
	}
	is_int(made, n, "that many processes live at once");
	ok(word_wait_ms(present, (int)made, 60000), "each of them runs");
	diag("%lld ms to make them", (now_ns() - t0) / 1000000);
	for (i = 0; i < made; i++)
		bad += kill(pid[i], 0) != 0;
	is_int(bad, 0, "each is found by its id");
	qsort(pid, (size_t)made, sizeof(*pid), cmp);
	for (i = 1, bad = 0; i < made; i++)
		bad += pid[i] == pid[i - 1];
	is_int(bad, 0, "all ids differ");
	is_int(waitpid(-1, &st, WNOHANG), 0, "nobody has ended");
	word_add(gate, 1);
	for (i = 0; waitpid(-1, &st, 0) > 0; i++)
		sum += WIFEXITED(st) ? WEXITSTATUS(st) : 1000;
	is_int(i, made, "all end at the word and are collected");
	is_int(sum, want, "with their own statuses");
	for (i = bad = 0; i < made; i++)
		bad += kill(pid[i], 0) != -1 || errno != ESRCH;
	is_int(bad, 0, "no id is found any more");
	diag("%lld ms in all", (now_ns() - t0) / 1000000);
	return tap_done();
}
