/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exact costs of an operation. Two programs are made of one scenario: with meter_step.c it counts
 * instructions, with meter_lines.c the cache lines of data.
 */
#ifndef IDBENCH_METER_H
#define IDBENCH_METER_H

#include <stdint.h>

#define METER_UNITS 2

struct meter {
	uint64_t m_ops;
	uint64_t m_sum[METER_UNITS], m_most[METER_UNITS];
};

/* Names of what is counted; NULL after the last. */
extern const char *const meter_units[METER_UNITS + 1];

/* What was counted since meter_reset(), of the operations between begin and end. Only inside meter_run(). */
extern struct meter *meter;
void meter_reset(void);
void meter_begin(void);
void meter_end(void);

/* Calls work(); => its result */
int meter_run(int (*work)(void));

#endif
