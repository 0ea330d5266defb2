/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measuring instructions per operation.
 *
 * Under QEMU's -icount shift=0 an instruction takes a nanosecond of virtual
 * time, so CLOCK_MONOTONIC counts instructions, user's and kernel's alike.
 * Anywhere else the unit printed is ns.  Each line `name value unit count` is
 * the least of five batches of count operations, after one to warm up.
 */
#ifndef USER_BENCH_H
#define USER_BENCH_H

#include <stddef.h>
#include <time.h>

#define UNROLL 8 /* operations in the body of an assembly loop */

struct bench {
	const char *b_name;
	long (*b_batch)(long n); /* ns that n operations took, -1 if one failed */
	long b_count;
};

extern long bench_clock_cost; /* of reading the clock, within a batch */

/* Runs those whose names begin with the prefix, on one CPU; 0 if there was one and none failed. */
int bench_run(const struct bench *, size_t n, const char *prefix);

/* Write a text, or a number that is not negative, at b, without a NUL; return what is behind it. */
char *put_text(char *b, const char *s);
char *put_number(char *b, long v);

static inline long
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static inline long
since(long start)
{
	return now() - start - bench_clock_cost;
}

#endif /* USER_BENCH_H */
