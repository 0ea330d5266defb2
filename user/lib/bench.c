/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs benchmarks and prints their lines. No stdio and no malloc: a program
 * that measures fork stays small.
 */
#include "bench.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "thr.h"

#define BATCHES 5

long bench_clock_cost;

char *
put_text(char *b, const char *s)
{
	size_t n = strlen(s);

	memcpy(b, s, n);
	return b + n;
}

char *
put_number(char *b, long v)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		*b++ = digits[--n];
	return b;
}

/* Whether an instruction takes a nanosecond; no real division is that fast. */
static int
counts_instructions(void)
{
	long rounds = 1000, t0 = now(), ns, insns = rounds * (3 * UNROLL + 2);

	__asm__ volatile("1:\n\t"
			 ".rept 8\n\t"
			 "or	$1, %%eax\n\t"
			 "xor	%%edx, %%edx\n\t"
			 "div	%%rax\n\t"
			 ".endr\n\t"
			 "dec	%0\n\t"
			 "jnz	1b"
			 : "+r"(rounds)
			 :
			 : "rax", "rdx", "cc");
	ns = since(t0);
	return ns > insns - insns / 50 && ns < insns + insns / 50;
}

static int
run(const struct bench *b, const char *unit)
{
	long best = -1, ns;
	char line[128], *p;
	int i;

	for (i = 0; i <= BATCHES; i++) {
		ns = b->b_batch(b->b_count);
		if (ns <= 0) { /* 0: the clock stands still */
			p = put_text(put_text(put_text(line, "bench: "), b->b_name), " failed\n");
			return write(2, line, (size_t)(p - line)), -1;
		}
		if (i > 0 && (best < 0 || ns < best))
			best = ns;
	}
	p = put_text(put_text(line, b->b_name), " ");
	p = put_text(put_number(p, (best + b->b_count / 2) / b->b_count), " ");
	p = put_text(put_text(p, unit), " ");
	p = put_text(put_number(p, b->b_count), "\n");
	return write(1, line, (size_t)(p - line)) == p - line ? 0 : -1;
}

/* To the first CPU that we may use. */
static void
pin_to_one(void)
{
	unsigned long set[16] = { 0 };
	size_t i;

	raw3(SYS_sched_getaffinity, 0, sizeof(set), (long)set);
	for (i = 0; i < 16 && set[i] == 0; i++)
		;
	if (i < 16) {
		set[i] &= -set[i];
		memset(set + i + 1, 0, sizeof(set) - (i + 1) * sizeof(set[0]));
		raw3(SYS_sched_setaffinity, 0, sizeof(set), (long)set);
	}
}

static void
find_clock_cost(void)
{
	long t0, ns, least = -1;
	int i;

	for (i = 0; i < 100; i++) {
		t0 = now();
		ns = now() - t0;
		if (least < 0 || ns < least)
			least = ns;
	}
	bench_clock_cost = least;
}

int
bench_run(const struct bench *b, size_t n, const char *prefix)
{
	const char *unit;
	int failed = 0, found = 0;

	pin_to_one();
	find_clock_cost();
	unit = counts_instructions() ? "insn" : "ns";
	for (; n > 0; n--, b++) {
		if (strncmp(b->b_name, prefix, strlen(prefix)) != 0)
			continue;
		found = 1;
		failed |= run(b, unit);
	}
	return failed || !found;
}
