/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel options.
 * sources: kernel/lib/options.c
 */
#include <hosttest.h>
#include <kernel/options.h>
#include <kernel/string.h>

#include <abi/errno.h>

static char seen[64];
static uint64_t number;

static int
set_word(const char *value)
{
	memcpy(seen, value, min(strlen(value) + 1, sizeof(seen)));
	seen[sizeof(seen) - 1] = '\0';
	return strcmp(value, "bad") == 0 ? -EINVAL : 0;
}
OPTION(word, "anything but bad", set_word);

static int
set_number(const char *value)
{
	return option_u64(value, 1, 64, &number);
}
OPTION(number, "1..64", set_number);

static void
parse(const char *words)
{
	char buf[128];

	seen[0] = '\0';
	number = 0;
	memcpy(buf, words, strlen(words) + 1);
	options_parse(buf);
}

int
main(void)
{
	uint64_t v = 5;

	parse("");
	parse("  \t\n ");
	CHECK(seen[0] == '\0' && number == 0);
	parse("word=one");
	CHECK(strcmp(seen, "one") == 0);
	parse("  word=one\tnumber=7  ");
	CHECK(strcmp(seen, "one") == 0 && number == 7);
	parse("word=a=b");
	CHECK(strcmp(seen, "a=b") == 0);
	parse("number=1 word=x number=64");
	CHECK(number == 64);
	parse("word");
	CHECK(seen[0] == '\0');
	parse("wor=1 words=2 nothing word=last =");
	CHECK(strcmp(seen, "last") == 0);
	HOST_EXPECT_PANIC(parse("word=bad"));
	HOST_EXPECT_PANIC(parse("number=65"));
	HOST_EXPECT_PANIC(parse("number"));

	CHECK(option_u64("0", 0, 9, &v) == 0 && v == 0);
	CHECK(option_u64("0x1F", 0, 99, &v) == 0 && v == 31);
	CHECK(option_u64("18446744073709551615", 0, UINT64_MAX, &v) == 0 && v == UINT64_MAX);
	v = 5;
	CHECK(option_u64("18446744073709551616", 0, UINT64_MAX, &v) == -EINVAL);
	CHECK(option_u64("99999999999999999999999", 0, UINT64_MAX, &v) == -EINVAL);
	CHECK(option_u64("", 0, 9, &v) == -EINVAL && option_u64("0x", 0, 9, &v) == -EINVAL);
	CHECK(option_u64("1a", 0, 99, &v) == -EINVAL && option_u64("-1", 0, 99, &v) == -EINVAL);
	CHECK(option_u64("1", 2, 3, &v) == -EINVAL && option_u64("4", 2, 3, &v) == -EINVAL);
	CHECK(v == 5);
	return host_done();
}
