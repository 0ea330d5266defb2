/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the different cache lines that an operation reads or writes, and those that it writes, its stack
 * left out. The designs are compiled with -fsanitize=thread, by which the compiler calls a function at
 * each access to memory; these are the functions, and no sanitizer is linked.
 */
#include "meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LINE  64
#define SLOTS (1u << 21) /* more than the lines of the largest growth */
#define STACK (1 << 16)  /* what is nearer to our own frame */

const char *const meter_units[METER_UNITS + 1] = { "lines", "dirty", NULL };

static struct meter counted;
struct meter *meter = &counted;

/* The lines of this operation, by open addressing. */
static struct slot {
	uintptr_t line;
	uint32_t epoch;
	bool dirty;
} slots[SLOTS];
static uint32_t epoch, count[METER_UNITS];
static bool on;

static void
access_to(const volatile void *address, bool write)
{
	uintptr_t a = (uintptr_t)address, line = a / LINE, here = (uintptr_t)&a;
	struct slot *s;

	if (!on || (a + STACK > here && a < here + STACK))
		return;
	for (s = &slots[line * 0x9e3779b97f4a7c15ull >> 43]; s->epoch == epoch && s->line != line;)
		if (++s == slots + SLOTS)
			s = slots;
	if (s->epoch != epoch) {
		*s = (struct slot){ .line = line, .epoch = epoch };
		count[0]++;
	}
	if (write && !s->dirty) {
		s->dirty = true;
		count[1]++;
	}
}

void
meter_reset(void)
{
	memset(meter, 0, sizeof(*meter));
}

void
meter_begin(void)
{
	epoch++;
	memset(count, 0, sizeof(count));
	on = true;
}

void
meter_end(void)
{
	on = false;
	meter->m_ops++;
	for (int i = 0; i < METER_UNITS; i++) {
		meter->m_sum[i] += count[i];
		if (count[i] > meter->m_most[i])
			meter->m_most[i] = count[i];
	}
}

int
meter_run(int (*work)(void))
{
	return work();
}

/* --- What the compiler calls ------------------------------------------------------- */

void __tsan_init(void);
void __tsan_func_entry(void *);
void __tsan_func_exit(void);

void
__tsan_init(void)
{
}

void
__tsan_func_entry(void *caller __attribute__((unused)))
{
}

void
__tsan_func_exit(void)
{
}

#define PLAIN(bytes) \
	void __tsan_read##bytes(void *); \
	void __tsan_write##bytes(void *); \
	void __tsan_read##bytes(void *a) \
	{ \
		access_to(a, false); \
	} \
	void __tsan_write##bytes(void *a) \
	{ \
		access_to(a, true); \
	}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *, size_t);
void __tsan_write_range(void *, size_t);

void
__tsan_read_range(void *a, size_t n)
{
	for (size_t i = 0; i < n; i += LINE)
		access_to((char *)a + i, false);
	access_to((char *)a + n - 1, false);
}

void
__tsan_write_range(void *a, size_t n)
{
	for (size_t i = 0; i < n; i += LINE)
		access_to((char *)a + i, true);
	access_to((char *)a + n - 1, true);
}

#define ATOMIC(bits, type) \
	type __tsan_atomic##bits##_load(const volatile type *, int); \
	void __tsan_atomic##bits##_store(volatile type *, type, int); \
	type __tsan_atomic##bits##_fetch_add(volatile type *, type, int); \
	type __tsan_atomic##bits##_fetch_sub(volatile type *, type, int); \
	int __tsan_atomic##bits##_compare_exchange_strong( \
	    volatile type *, type *, type, int, int); \
	type __tsan_atomic##bits##_load(const volatile type *a, int order __attribute__((unused))) \
	{ \
		access_to(a, false); \
		return __atomic_load_n(a, __ATOMIC_SEQ_CST); \
	} \
	void __tsan_atomic##bits##_store( \
	    volatile type *a, type v, int order __attribute__((unused))) \
	{ \
		access_to(a, true); \
		__atomic_store_n(a, v, __ATOMIC_SEQ_CST); \
	} \
	type __tsan_atomic##bits##_fetch_add( \
	    volatile type *a, type v, int order __attribute__((unused))) \
	{ \
		access_to(a, true); \
		return __atomic_fetch_add(a, v, __ATOMIC_SEQ_CST); \
	} \
	type __tsan_atomic##bits##_fetch_sub( \
	    volatile type *a, type v, int order __attribute__((unused))) \
	{ \
		access_to(a, true); \
		return __atomic_fetch_sub(a, v, __ATOMIC_SEQ_CST); \
	} \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile type *a, type *expected, \
	    type v, int order __attribute__((unused)), int failed __attribute__((unused))) \
	{ \
		access_to(a, true); \
		return __atomic_compare_exchange_n( \
		    a, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}

ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)
