/* SPDX-License-Identifier: BSD-2-Clause */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
die(const char *what)
{
	fprintf(stderr, "idbench: %s\n", what);
	exit(1);
}

struct object *
crowd_objects(uint32_t number)
{
	size_t bytes = number * sizeof(struct object);
	struct object *o = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);

	if (o == NULL)
		die("out of memory");
	memset(o, 0, bytes);
	return o;
}

uint32_t
crowd_random(struct crowd *c, uint32_t below)
{
	c->c_seed ^= c->c_seed << 13;
	c->c_seed ^= c->c_seed >> 7;
	c->c_seed ^= c->c_seed << 17;
	return (uint32_t)(c->c_seed >> 33) % below;
}

void
crowd_churn(struct crowd *c, uint64_t times)
{
	while (times-- > 0) {
		struct object *o = &c->c_object[crowd_random(c, c->c_number)];

		c->c_design->d_free(c->c_space, o);
		c->c_design->d_alloc(c->c_space, o);
	}
}

void
crowd_make(struct crowd *c, const struct design *d, uint32_t number)
{
	*c = (struct crowd){ .c_design = d, .c_number = number, .c_seed = 88172645463325252ull };
	c->c_space = d->d_make();
	c->c_object = crowd_objects(number + 1);
	if (c->c_space == NULL)
		die("out of memory");
	for (uint32_t i = 0; i < number; i++)
		if (d->d_alloc(c->c_space, &c->c_object[i]) < 0)
			die("the space is full too early");
	crowd_churn(c, number < 10000 ? 20000 : 2ull * number);
}

void
crowd_destroy(struct crowd *c)
{
	const char *wrong = c->c_design->d_check(c->c_space);

	if (wrong != NULL)
		die(wrong);
	c->c_design->d_destroy(c->c_space);
	free(c->c_object);
}

int32_t
crowd_absent(struct crowd *c)
{
	/* That of one who was here a moment ago: the usual case of a stale id. */
	struct object *o = &c->c_object[c->c_number];
	int32_t id = c->c_design->d_alloc(c->c_space, o);

	c->c_design->d_free(c->c_space, o);
	return id;
}

const char *
number_name(uint32_t number)
{
	return number == 100 ? "1e2" : number == 10000 ? "1e4" : number == 1000000 ? "1e6" : "few";
}
