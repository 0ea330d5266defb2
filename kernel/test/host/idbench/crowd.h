/* SPDX-License-Identifier: BSD-2-Clause */
/* A crowd: a space with so many threads in it, their ids well mixed. */
#ifndef IDBENCH_CROWD_H
#define IDBENCH_CROWD_H

#include "ids.h"

struct crowd {
	const struct design *c_design;
	void *c_space;
	uint32_t c_number;
	struct object *c_object; /* all live; one more, not live, follows */
	uint64_t c_seed;
};

void crowd_make(struct crowd *, const struct design *, uint32_t number);
void crowd_destroy(struct crowd *);
uint32_t crowd_random(struct crowd *, uint32_t below);
/* Frees random members and gives them new ids, so many times. */
void crowd_churn(struct crowd *, uint64_t times);
/* An id that nobody has, in the range of those that are given out. */
int32_t crowd_absent(struct crowd *);
struct object *crowd_objects(uint32_t number);
void die(const char *what) __attribute__((noreturn));

/* "1e4" */
const char *number_name(uint32_t);

#endif
