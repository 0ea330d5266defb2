/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B51: exec right after threads were made or have left, so that their stacks
 * and the words they clear at their end are unmapped under them; also munmap
 * of a stack in the moment its thread says it is done.  B46 at user level.
 * docs/protocol.md 4.3: EXIT.
 *
 * test: timeout=60
 * test: name=b51 smp=2,4 append="fp=switch-before-clear-RUNNING:300,zombie-before-switch:300" args="12" host=no
 * test: name=commit smp=2,4 append="fp=exec-commit:500" args="12" host=no
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define NT    8
#define STK   16384
#define LIMIT 15000

extern char **environ;
static unsigned mode;

/* Some leave at once, some later, some never. */
static int
part(void *arg)
{
	volatile char deep[4096];
	long k = (long)arg;
	unsigned i;

	for (i = 0; i < sizeof(deep); i += 64)
		deep[i] = (char)k;
	if (mode == 0)
		return 0;
	if (mode == 1)
		thr_spin((unsigned)k * 500);
	else
		for (;;)
			for (i = 0; i < sizeof(deep); i += 64)
				deep[i] ^= 1;
	return 0;
}

static int
exec_soon(void *arg)
{
	char *argv[] = { (char *)self_path(), (char *)"role-check", (char *)"0123456789abcdef",
		NULL };
	char *stk = private_mem(NT * STK);
	atomic_int *tid = private_mem(PAGE);
	long i;

	(void)arg;
	for (i = 0; i < NT; i++)
		if (thr_start(stk + (i + 1) * STK, part, (void *)i, &tid[i]) < 0)
			return 99;
	execve(argv[0], argv, environ);
	return 98;
}

/* The new image: its arguments are whole and its memory is its own. */
static int
role_check(char **argv)
{
	enum { SIZE = 32 * PAGE };
	unsigned char *p = private_mem(SIZE);
	int i, k;

	if (strcmp(argv[2], "0123456789abcdef") != 0)
		return 1;
	for (i = 0; i < SIZE; i++)
		if (p[i] != 0)
			return 2;
	memset(p, 0x5a, SIZE);
	for (k = 0; k < 20; k++) {
		for (i = 0; i < SIZE; i += 64)
			if (p[i] != 0x5a)
				return 3;
		raw0(RAW_YIELD);
	}
	return 44;
}

/* Unmap each stack as soon as the kernel has cleared the word. */
static int
unmap_at_once(void *arg)
{
	static atomic_int tid;
	long i, n = (long)arg;
	char *stk;

	mode = 0;
	for (i = 0; i < n; i++) {
		stk = private_mem(STK);
		if (thr_start(stk + STK, part, (void *)i, &tid) < 0)
			return 99;
		while (atomic_load(&tid) != 0)
			thr_spin(1);
		if (munmap(stk, STK) == -1)
			return 98;
	}
	return 45;
}

int
main(int argc, char **argv)
{
	long i, n, good;
	int st;

	if (argc > 2 && strcmp(argv[1], "role-check") == 0)
		return role_check(argv);
	n = arg_rounds(argc, argv, 24);
	rng_arg(argc, argv);
	for (mode = 0; mode < 3; mode++) {
		static const char *const what[] = { "leave at once", "leave soon", "never leave" };

		for (i = good = 0; i < n / 3 + 1; i++) {
			st = reap_ms(spawn(exec_soon, NULL), LIMIT);
			if (st >= 0 && WIFEXITED(st) && WEXITSTATUS(st) == 44)
				good++;
			else if (i - good < 3)
				diag(
				    "why: round %ld: %s", i, st < 0 ? "it hangs" : status_text(st));
			if (st < 0)
				break;
		}
		is_int(good, n / 3 + 1, "B51: exec right after eight threads that %s", what[mode]);
	}
	st = reap_ms(spawn(unmap_at_once, (void *)(n * 5)), LIMIT * 2);
	is_exit(st, 45, "B46: a stack is unmapped as its thread ends");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
