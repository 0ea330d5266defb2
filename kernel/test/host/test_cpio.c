/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpio archives: members of whole ones, then archives that were cut, damaged, or never were any.
 * The archive lies in an allocation of its exact size, so the sanitizer sees every read outside of
 * it.
 *
 * sources: kernel/fs/cpio.c
 */
#include "hosttest.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <kernel/cpio.h>
#include <kernel/string.h>

#define ROUNDS 200000

int snprintf(char *, size_t, const char *, ...);

static uint8_t buf[8192];
static size_t len;

static void
pad(void)
{
	while (len % 4 != 0)
		buf[len++] = 0;
}

static void
add(const char *name, uint32_t mode, const void *data, size_t size)
{
	static uint32_t number;

	len += (size_t)snprintf((char *)buf + len, sizeof(buf) - len,
	    "070701%08x%08x%08x%08x%08X%08x%08zx%08x%08x%08x%08x%08zx%08x", ++number, mode, 0, 0, 1,
	    0x12345678, size, 8, 1, 0, 0, strlen(name) + 1, 0);
	memcpy(buf + len, name, strlen(name) + 1);
	len += strlen(name) + 1;
	pad();
	if (size > 0)
		memcpy(buf + len, data, size);
	len += size;
	pad();
}

static void
make(void)
{
	len = 0;
	add("bin", S_IFDIR | 0755, NULL, 0);
	add("bin/a", S_IFREG | 0755, "12345", 5);
	add("bin/empty", S_IFREG | 0644, NULL, 0);
	add("link", S_IFLNK | 0777, "bin/a", 5);
	add("odd-name", S_IFREG | 0600, "abcdefgh", 8);
	add("TRAILER!!!", 0, NULL, 0);
}

/*
 * Reads all members of a copy of exactly n bytes; the last result of cpio_next(), *count members
 * before it.
 */
static int
read_all(const uint8_t *bytes, size_t n, unsigned *count)
{
	uint8_t *copy = malloc(n == 0 ? 1 : n);
	volatile uint8_t sink = 0;
	struct cpio_member m;
	size_t pos = 0, before = 0;
	int r;

	memcpy(copy, bytes, n);
	*count = 0;
	while ((r = cpio_next(copy, n, &pos, &m)) == 1) {
		++*count;
		QUIET_CHECK(pos > before && pos <= n);
		before = pos;
		/* Everything that was reported can be read. */
		for (size_t i = 0; i <= m.namelen; i++)
			sink = (uint8_t)(sink + m.name[i]);
		QUIET_CHECK(strlen(m.name) == m.namelen);
		for (size_t i = 0; i < m.size; i++)
			sink = (uint8_t)(sink + m.data[i]);
	}
	free(copy);
	return r;
}

static void
test_members(void)
{
	struct cpio_member m;
	size_t pos = 0;

	make();
	CHECK(cpio_next(buf, len, &pos, &m) == 1 && strcmp(m.name, "bin") == 0 && S_ISDIR(m.mode) &&
	    m.size == 0);
	CHECK(cpio_next(buf, len, &pos, &m) == 1 && strcmp(m.name, "bin/a") == 0 && m.namelen == 5);
	CHECK(m.mode == (S_IFREG | 0755) && m.size == 5 && memcmp(m.data, "12345", 5) == 0);
	CHECK(m.ino == 2 && m.nlink == 1 && m.mtime == 0x12345678 && m.devmajor == 8 &&
	    m.devminor == 1);
	CHECK(cpio_next(buf, len, &pos, &m) == 1 && m.size == 0);
	CHECK(cpio_next(buf, len, &pos, &m) == 1 && S_ISLNK(m.mode) &&
	    memcmp(m.data, "bin/a", 5) == 0);
	CHECK(cpio_next(buf, len, &pos, &m) == 1 && m.size == 8);
	CHECK(cpio_next(buf, len, &pos, &m) == 0);
}

/* Cut anywhere: whole members in front, then an error; the trailer may lack its padding only. */
static void
test_cut(void)
{
	unsigned count, bad = 0;

	make();
	for (size_t n = 0; n < len; n++) {
		int r = read_all(buf, n, &count);

		bad += r == 0 ? n < len - 3 : r != -EINVAL;
	}
	CHECK_NAMED(bad == 0, "an archive that was cut off is found out");
}

static void
test_fields(void)
{
	/*
	 * Offset, what is put there. Sizes that wrap, names without an end or with two, no digits,
	 * other formats.
	 */
	static const struct {
		size_t at;
		const char *text;
	} rows[] = {
		{ 0, "070702" },
		{ 0, "070707" },
		{ 54, "ffffffff" },
		{ 54, "fffffffd" },
		{ 54, "7fffffff" },
		{ 94, "ffffffff" },
		{ 94, "fffffffe" },
		{ 94, "00000000" },
		{ 94, "00000001" },
		{ 94, "00000003" },
		{ 94, "00000005" },
		{ 14, "0000g000" },
		{ 14, "000-0000" },
		{ 54, " 0000000" },
		{ 54, "0x000000" },
	};
	unsigned count;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make();
		memcpy(buf + rows[i].at, rows[i].text, strlen(rows[i].text));
		QUIET_CHECK(read_all(buf, len, &count) == -EINVAL && count == 0);
	}
	CHECK_NAMED(host_failures == 0, "bad fields");
}

/* Ends always, reads nothing outside, whatever the bytes. */
static void
test_random(void)
{
	static const char likely[] = "0123456789abcdefF07\0/.T";
	uint64_t x = 88172645463325252u;
	unsigned count, members = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		make();
		for (unsigned n = 1 + round % 5; n > 0; n--) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			buf[x % len] = (x >> 40 & 1) != 0
			    ? (uint8_t)(x >> 32)
			    : (uint8_t)likely[(x >> 32) % (sizeof(likely) - 1)];
		}
		read_all(buf, (x >> 50 & 3) == 0 ? (x >> 20) % (len + 1) : len, &count);
		members += count;
	}
	CHECK_NAMED(host_failures == 0 && members > 0, "damaged archives");
}

int
main(void)
{
	test_members();
	test_cut();
	test_fields();
	test_random();
	return host_done();
}
