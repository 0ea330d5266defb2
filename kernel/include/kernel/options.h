/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel options: `key=value` words. An unknown key is reported and ignored; a bad value names the legal
 * ones and stops the boot.
 * layer: lib
 */
#ifndef KERNEL_OPTIONS_H
#define KERNEL_OPTIONS_H

#include <kernel/types.h>

struct option {
	const char *key;
	const char *help;              /* legal values */
	int (*set)(const char *value); /* 0 or -EINVAL */
};

/* Placed into a linker set: OPTION(smp, "1..64", set_smp) */
#define OPTION(name, text, fn) \
	static const struct option option_##name \
	    __attribute__((used, aligned(8), section("set_options"))) = { #name, text, fn }

void options_parse(char *words); /* changes the string */
int option_u64(const char *value, uint64_t lo, uint64_t hi, uint64_t *);

#endif
