/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers. Option `seed=N` makes both streams the same in each run.
 * layer: core
 */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include <kernel/types.h>

/* Quick numbers for tests and jitter; may be guessed. => any context */
uint64_t krandom(void);
/* Numbers nobody can guess (unless `seed=` is given or the machine has no source). => no leaf lock held */
void random_bytes(void *, size_t);
/* What the option does. => nobody asks for numbers meanwhile */
void random_restart(uint64_t seed);

#endif
