/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The string functions, byte by byte, for all short lengths and alignments.
 * sources: kernel/lib/string.c
 * cflags: -Dmemcpy=k_memcpy -Dmemmove=k_memmove -Dmemset=k_memset -Dmemcmp=k_memcmp
 * cflags: -Dstrlen=k_strlen -Dstrnlen=k_strnlen -Dstrcmp=k_strcmp -Dstrncmp=k_strncmp
 * cflags: -Dstrchr=k_strchr -Dstrrchr=k_strrchr -Dstrlcpy=k_strlcpy -fno-builtin -Iarch/x86_64/include
 */
#include <hosttest.h>
#include <kernel/string.h>

#define MAXLEN 300
#define GUARD  16

static uint8_t a[MAXLEN + 4 * GUARD], b[MAXLEN + 4 * GUARD], ref[MAXLEN + 4 * GUARD];

static void
fill(uint8_t *p, unsigned seed)
{
	for (size_t i = 0; i < sizeof(a); i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static bool
equal(const uint8_t *p, const uint8_t *q)
{
	for (size_t i = 0; i < sizeof(a); i++) {
		if (p[i] != q[i])
			return false;
	}
	return true;
}

static void
test_copy(void)
{
	for (size_t n = 0; n <= MAXLEN; n++) {
		for (size_t off = 0; off < 8; off++) {
			fill(a, 3);
			fill(b, 101);
			fill(ref, 101);
			for (size_t i = 0; i < n; i++)
				ref[GUARD + off + i] = a[GUARD + i];
			QUIET_CHECK(memcpy(b + GUARD + off, a + GUARD, n) == b + GUARD + off);
			QUIET_CHECK(equal(b, ref));
		}
	}
	CHECK_NAMED(host_failures == 0, "memcpy");
}

static void
test_move(void)
{
	static const int shifts[] = { -16, -9, -8, -7, -1, 0, 1, 2, 7, 8, 9, 15, 16 };

	for (size_t n = 0; n <= MAXLEN; n++) {
		for (size_t k = 0; k < sizeof(shifts) / sizeof(shifts[0]); k++) {
			uint8_t *src = a + GUARD, *dst = src + shifts[k];

			fill(a, 5);
			fill(b, 5);
			fill(ref, 5);
			for (size_t i = 0; i < n; i++)
				ref[(size_t)(dst - a) + i] = b[GUARD + i];
			QUIET_CHECK(memmove(dst, src, n) == dst);
			QUIET_CHECK(equal(a, ref));
		}
	}
	CHECK_NAMED(host_failures == 0, "memmove");
}

static void
test_set_and_compare(void)
{
	for (size_t n = 0; n <= MAXLEN; n++) {
		for (size_t off = 0; off < 8; off++) {
			fill(a, 9);
			fill(ref, 9);
			for (size_t i = 0; i < n; i++)
				ref[GUARD + off + i] = 0xa5;
			QUIET_CHECK(memset(a + GUARD + off, 0x1a5, n) == a + GUARD + off);
			QUIET_CHECK(equal(a, ref));
		}
		fill(a, 1);
		fill(b, 1);
		QUIET_CHECK(memcmp(a + 1, b + 1, n) == 0);
		for (size_t i = 0; i < n; i++) {
			b[1 + i] = (uint8_t)(a[1 + i] + 1);
			QUIET_CHECK((memcmp(a + 1, b + 1, n) < 0) == (b[1 + i] != 0));
			QUIET_CHECK((memcmp(b + 1, a + 1, n) < 0) == (b[1 + i] == 0));
			b[1 + i] = a[1 + i];
		}
	}
	CHECK_NAMED(host_failures == 0, "memset, memcmp");
}

int
main(void)
{
	char buf[8];
	static const char text[] = "one two one";

	test_copy();
	test_move();
	test_set_and_compare();

	CHECK(strlen("") == 0 && strlen("abc") == 3);
	CHECK(strnlen("abc", 2) == 2 && strnlen("abc", 9) == 3 && strnlen("x", 0) == 0);
	CHECK(strcmp("a", "a") == 0 && strcmp("a", "b") < 0 && strcmp("ab", "a") > 0);
	CHECK(strcmp("\xff", "a") > 0);
	CHECK(strncmp("abc", "abd", 2) == 0 && strncmp("abc", "abd", 3) < 0 &&
	    strncmp("a", "b", 0) == 0);
	CHECK(strncmp("a", "a\0b", 3) == 0);
	CHECK(strchr(text, 't') == text + 4 && strchr(text, 'z') == NULL);
	CHECK(strchr(text, '\0') == text + 11);
	CHECK(strrchr(text, 'o') == text + 8 && strrchr(text, 'z') == NULL &&
	    strrchr(text, '\0') == text + 11);
	CHECK(strlcpy(buf, "1234567", sizeof(buf)) == 7 && strcmp(buf, "1234567") == 0);
	CHECK(strlcpy(buf, "123456789", sizeof(buf)) == 9 && strcmp(buf, "1234567") == 0);
	CHECK(strlcpy(buf, "x", 1) == 1 && buf[0] == '\0');
	return host_done();
}
