/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exact [most]: what the operations of both designs cost, as the meter counts it; with the meter of
 * instructions also what does not depend on a meter, bytes and reuse. The lines are
 * `operation-number-design value unit count`, of which the mean is the value; -most is the dearest.
 */
#include "crowd.h"
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES      100
#define GROW_STEPS   10000 /* the largest growth that is followed step by step */
#define FEW          20    /* live ids */
#define REUSE_ALLOCS 2500000

static uint32_t most = 1000000;
static const struct design *const designs[] = { &design_table, &design_bitmap,
	&design_bitmap_wide };
static uint64_t empty[METER_UNITS]; /* what is counted of an operation that does nothing */

static void
print(const char *operation, const char *more, uint32_t number, const struct design *d,
    double value, const char *unit, uint64_t count)
{
	printf("%s-%s-%s%s %.1f %s %lu\n", operation, number_name(number), d->d_name, more, value,
	    unit, (unsigned long)count);
}

static void
report(const char *operation, uint32_t number, const struct design *d, bool and_most)
{
	for (int i = 0; meter_units[i] != NULL; i++) {
		uint64_t ops = meter->m_ops;

		print(operation, "", number, d,
		    (double)(meter->m_sum[i] - ops * empty[i]) / (double)ops, meter_units[i], ops);
		if (and_most)
			print(operation, "-most", number, d, (double)(meter->m_most[i] - empty[i]),
			    meter_units[i], ops);
	}
	meter_reset();
}

/* --- The operations, all called in the same way ------------------------------------ */

static struct object *found;

static void
op_nothing(const struct design *d __attribute__((unused)), void *space __attribute__((unused)),
    struct object *o __attribute__((unused)), int32_t id __attribute__((unused)))
{
}

static void
op_alloc(const struct design *d, void *space, struct object *o, int32_t id __attribute__((unused)))
{
	d->d_alloc(space, o);
}

static void
op_free(const struct design *d, void *space, struct object *o, int32_t id __attribute__((unused)))
{
	d->d_free(space, o);
}

static void
op_find(const struct design *d, void *space, struct object *o __attribute__((unused)), int32_t id)
{
	found = d->d_find(space, id);
}

static void
op_find_locked(const struct design *d __attribute__((unused)), void *space,
    struct object *o __attribute__((unused)), int32_t id)
{
	found = table_find_locked(space, id);
}

static void
op_get(const struct design *d, void *space, struct object *o __attribute__((unused)), int32_t id)
{
	found = d->d_get(space, id);
	if (found != NULL)
		host_unlock(&found->o_lock);
}

static void
op_process(
    const struct design *d, void *space, struct object *o, int32_t id __attribute__((unused)))
{
	d->d_fork(space, o);
	d->d_exit(space, o);
	d->d_collect(space, o);
}

static void
op_worst(const struct design *d, void *space, struct object *o, int32_t id __attribute__((unused)))
{
	d->d_worst(space, o);
}

typedef void operation(const struct design *, void *, struct object *, int32_t);

static __attribute__((noinline)) void
metered(operation *op, const struct crowd *c, struct object *o, int32_t id)
{
	meter_begin();
	op(c->c_design, c->c_space, o, id);
	meter_end();
}

static void
calibrate(void)
{
	const struct crowd c = { .c_design = &design_table };

	meter_reset();
	metered(op_nothing, &c, NULL, 0);
	memcpy(empty, meter->m_sum, sizeof(empty));
	meter_reset();
}

/* --- The rows -------------------------------------------------------------------- */

static void
find_rows(struct crowd *c, const char *name, operation *op, bool hit)
{
	for (int i = 0; i < SAMPLES; i++) {
		struct object *o = &c->c_object[crowd_random(c, c->c_number)];

		metered(op, c, o, hit ? o->o_id : crowd_absent(c));
		if (found != (hit ? o : NULL))
			die("a lookup went wrong");
	}
	report(name, c->c_number, c->c_design, false);
}

static void
crowd_rows(const struct design *d, uint32_t number)
{
	struct meter frees = { 0 };
	struct crowd c;

	crowd_make(&c, d, number);
	for (int i = 0; i < SAMPLES; i++) {
		struct object *o = &c.c_object[crowd_random(&c, number)];

		metered(op_free, &c, o, 0);
		d->d_alloc(c.c_space, o);
	}
	frees = *meter;
	meter_reset();
	for (int i = 0; i < SAMPLES; i++) {
		struct object *o = &c.c_object[crowd_random(&c, number)];

		d->d_free(c.c_space, o);
		metered(op_alloc, &c, o, 0);
	}
	report("alloc", number, d, true);
	*meter = frees;
	report("free", number, d, false);
	find_rows(&c, "find-hit", op_find, true);
	find_rows(&c, "find-miss", op_find, false);
	if (d == &design_table)
		find_rows(&c, "find-locked", op_find_locked, true);
	find_rows(&c, "get", op_get, true);
	if (number <= 10000) {
		for (int i = 0; i < SAMPLES + 1; i++) {
			metered(op_process, &c, &c.c_object[number], 0);
			if (i == 0) /* its first thread is new */
				meter_reset();
		}
		report("process", number, d, false);
	}
	crowd_destroy(&c);
}

static void
worst_rows(const struct design *d, uint32_t number)
{
	struct crowd c = { .c_design = d, .c_object = crowd_objects(2 * number) };

	c.c_space = d->d_make_worst(number, c.c_object);
	metered(op_worst, &c, &c.c_object[2 * number - 1], 0);
	report("worst", number, d, false);
	d->d_destroy(c.c_space);
	free(c.c_object);
}

static void
byte_rows(const struct design *d, uint32_t number)
{
	struct crowd c;

	crowd_make(&c, d, number);
	print("memory", "", number, d,
	    (double)d->d_bytes(c.c_space) / number + (double)d->d_bytes_object, "bytes/id", number);
	crowd_destroy(&c);
}

/* After how many allocations an id came back, at the least, beside so many threads. */
static void
reuse_rows(const struct design *d, uint32_t live, bool processes)
{
	static uint32_t last[1u << 28 >> 6]; /* by id */
	uint32_t nearest = UINT32_MAX;
	struct object *o;
	struct crowd c;

	crowd_make(&c, d, live);
	memset(last, 0, sizeof(last));
	for (uint32_t n = 1; n <= REUSE_ALLOCS; n++) {
		uint32_t id;

		if (processes) {
			o = &c.c_object[c.c_number];
			d->d_fork(c.c_space, o);
			id = (uint32_t)o->o_id;
			d->d_exit(c.c_space, o);
			d->d_collect(c.c_space, o);
		} else {
			o = &c.c_object[crowd_random(&c, c.c_number)];
			d->d_free(c.c_space, o);
			id = (uint32_t)d->d_alloc(c.c_space, o);
		}
		if (id >= sizeof(last) / sizeof(last[0]))
			die("an id is too large for the array of last uses");
		if (last[id] != 0 && n - last[id] < nearest)
			nearest = n - last[id];
		last[id] = n;
	}
	printf("reuse-%s-%u-%s %u ids %d\n", processes ? "process" : "thread", live, d->d_name,
	    nearest, REUSE_ALLOCS);
	crowd_destroy(&c);
}

static int
work(void)
{
	bool steps = strcmp(meter_units[0], "insn") == 0;

	calibrate();
	for (uint32_t number = 100; number <= most; number *= 100)
		for (int i = 0; i < 3; i++) {
			/* With fewer ids than buckets the width makes no difference. */
			if (designs[i] == &design_bitmap_wide && number < 1000000)
				continue;
			crowd_rows(designs[i], number);
			if (!steps || number <= GROW_STEPS || designs[i] != &design_table)
				worst_rows(designs[i], number);
			if (steps)
				byte_rows(designs[i], number);
		}
	if (steps && most > 10000) {
		for (int i = 0; i < 4; i++)
			reuse_rows(designs[i / 2], FEW, i % 2 != 0);
		reuse_rows(&design_bitmap_random, FEW, true);
		/* As many as a table of a power of two holds before it grows, and half as many. */
		for (uint32_t size = 128; size <= 65536; size *= 16) {
			reuse_rows(&design_table, size / 2 + 1, true);
			reuse_rows(&design_table, size - 4, true);
			reuse_rows(&design_bitmap, size - 4, true);
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		most = (uint32_t)atoi(argv[1]);
	return meter_run(work);
}
