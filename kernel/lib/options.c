/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel options: splits the words and hands each value to the option of that key. */
#include <kernel/options.h>

#include <abi/errno.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/string.h>

extern const struct option __start_set_options[], __stop_set_options[]; /* linker set */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
option_apply(const char *key, const char *value)
{
	size_t n = ((uintptr_t)__stop_set_options - (uintptr_t)__start_set_options) /
	    sizeof(struct option);

	for (const struct option *o = __start_set_options; n-- > 0; o++) {
		if (strcmp(o->key, key) != 0)
			continue;
		if (o->set(value) != 0)
			panic("option %s=%s: legal values: %s", key, value, o->help);
		return;
	}
	kprintf("option %s is unknown and ignored\n", key);
}

/*
 * options_parse: apply the `key=value` words of a string in their order. A word without `=` has the value "".
 * => boot, one CPU; panics at a bad value. The string is changed.
 */
void
options_parse(char *words)
{
	char *p = words;

	for (;;) {
		char *key, *value;
		bool last;

		while (is_space(*p))
			p++;
		if (*p == '\0')
			return;
		key = p;
		while (*p != '\0' && !is_space(*p))
			p++;
		last = *p == '\0';
		*p = '\0';
		value = strchr(key, '=');
		if (value != NULL)
			*value++ = '\0';
		option_apply(key, value != NULL ? value : "");
		if (last)
			return;
		p++;
	}
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* option_u64: a decimal or 0x number from lo to hi. Errors: -EINVAL, *result unchanged. */
int
option_u64(const char *value, uint64_t lo, uint64_t hi, uint64_t *result)
{
	uint64_t v = 0;
	unsigned base = 10;

	if (value[0] == '0' && (value[1] == 'x' || value[1] == 'X')) {
		base = 16;
		value += 2;
	}
	if (*value == '\0')
		return -EINVAL;
	for (; *value != '\0'; value++) {
		unsigned d = (unsigned)digit(*value);

		if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			return -EINVAL;
	}
	if (v < lo || v > hi)
		return -EINVAL;
	*result = v;
	return 0;
}
