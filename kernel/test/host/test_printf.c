/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted output against the host's own snprintf, over all flags, widths and lengths.
 * sources: kernel/lib/printf.c
 * cflags: -Dsnprintf=k_snprintf -Dvsnprintf=k_vsnprintf -Wno-format -Wno-format-security -fno-builtin
 */
#include <hosttest.h>
#include <kernel/printf.h>
#include <kernel/string.h>

/* The host's function, by its real name. */
int host_snprintf(char *, size_t, const char *, ...) __asm("snprintf");

static unsigned compared;

#define SAME(fmt, ...) \
	do { \
		char x[128], y[128]; \
		int nx = snprintf(x, sizeof(x), fmt, ##__VA_ARGS__); \
		int ny = host_snprintf(y, sizeof(y), fmt, ##__VA_ARGS__); \
		compared++; \
		if (nx != ny || strcmp(x, y) != 0) { \
			CHECK_NAMED(false, "same as the host's"); \
			printf("# %s: '%s' %d, not '%s' %d\n", fmt, x, nx, y, ny); \
		} \
	} while (0)

static void
test_integers(void)
{
	static const char *const flags[] = { "", "-", "0", "#", "+", " ", "-#", "0#", "+0", "-+",
		"-0" };
	static const char *const widths[] = { "", "1", "5", "12", ".0", ".3", "8.3", "3.8",
		"12.0" };
	static const char *const lengths[] = { "hh", "h", "", "l", "ll", "z", "t", "j" };
	static const int64_t values[] = { 0, 1, -1, 7, 8, 127, 128, 255, 256, -32768, 65535,
		2147483647, -2147483648LL, INT64_MAX, INT64_MIN, 0x123456789abcdef };
	static const char convs[] = "diuxXo";

	for (size_t f = 0; f < ARRAY_SIZE(flags); f++)
		for (size_t w = 0; w < ARRAY_SIZE(widths); w++)
			for (size_t l = 0; l < ARRAY_SIZE(lengths); l++)
				for (const char *c = convs; *c != '\0'; c++)
					for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
						char fmt[32];

						host_snprintf(fmt, sizeof(fmt), "<%%%s%s%s%c>",
						    flags[f], widths[w], lengths[l], *c);
						if (l <= 2)
							SAME(fmt, (int)values[v]);
						else
							SAME(fmt, values[v]);
					}
}

int
main(void)
{
	char buf[8];

	test_integers();
	SAME("plain");
	SAME("%s %10s %-10s %.2s %10.2s|", "abc", "abc", "abc", "abc", "abc");
	SAME("%c%5c%-5c|", 'a', 'b', 'c');
	SAME("%%");
	SAME("%*d %-*d %*d|", 6, 1, 6, 2, -6, 3);
	SAME("%.*s %.*d|", 2, "abcdef", 4, 7);
	SAME("%p", (void *)buf);
	SAME("%d %s %lx", 1, "two", 3L);
	CHECK_NAMED(host_failures == 0, "same as the host's");
	printf("# %u formats compared\n", compared);

	CHECK(snprintf(buf, sizeof(buf), "%s", "123456789") == 9 && strcmp(buf, "1234567") == 0);
	CHECK(snprintf(buf, 1, "abc") == 3 && buf[0] == '\0');
	buf[0] = 'x';
	CHECK(snprintf(buf, 0, "abc") == 3 && buf[0] == 'x');
	CHECK(snprintf(NULL, 0, "%d", 1234) == 4);
	CHECK(snprintf(buf, sizeof(buf), "%s", (char *)NULL) == 6 && strcmp(buf, "(null)") == 0);
	CHECK(snprintf(buf, sizeof(buf), "%y") == 2 && strcmp(buf, "%y") == 0);
	CHECK(snprintf(buf, sizeof(buf), "%") == 1 && strcmp(buf, "%") == 0);
	return host_done();
}
