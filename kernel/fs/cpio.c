/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpio archives, "newc": each member is a header of 110 characters (a magic number and 13 fields of
 * 8 hexadecimal digits), the name with its NUL, and the contents; name and contents are padded so
 * that the next part begins at a multiple of 4. A member called TRAILER!!! ends the archive.
 */
#include <kernel/cpio.h>

#include <abi/errno.h>
#include <kernel/string.h>

#define HEADER_SIZE 110
#define MAGIC       "070701"
#define MAGIC_SIZE  6
#define TRAILER     "TRAILER!!!"

enum field {
	F_INO,
	F_MODE,
	F_UID,
	F_GID,
	F_NLINK,
	F_MTIME,
	F_SIZE,
	F_DEVMAJOR,
	F_DEVMINOR,
	F_RDEVMAJOR,
	F_RDEVMINOR,
	F_NAMESIZE,
	F_CHECK,
	F_COUNT
};
_Static_assert(MAGIC_SIZE + 8 * F_COUNT == HEADER_SIZE, "newc header");

static int
parse_field(const uint8_t *p, uint32_t *value)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint8_t c = p[i];

		if (c >= '0' && c <= '9')
			c = (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			c = (uint8_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			c = (uint8_t)(c - 'A' + 10);
		else
			return -EINVAL;
		v = v << 4 | c;
	}
	*value = v;
	return 0;
}

/*
 * Takes n bytes at *pos and the padding behind them, which may be missing at the very end. NULL:
 * not there.
 */
static const uint8_t *
take(const uint8_t *archive, size_t size, size_t *pos, size_t n)
{
	size_t at = *pos;

	if (n > size - at)
		return NULL;
	*pos = min(roundup(at + n, (size_t)4), size);
	return archive + at;
}

int
cpio_next(const void *archive, size_t size, size_t *pos, struct cpio_member *m)
{
	uint32_t f[F_COUNT];
	const uint8_t *p;
	size_t at = *pos;

	/* Header and name together: only their end is aligned. */
	if (at > size || size - at < HEADER_SIZE)
		return -EINVAL;
	p = (const uint8_t *)archive + at;
	if (memcmp(p, MAGIC, MAGIC_SIZE) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < F_COUNT; i++)
		if (parse_field(p + MAGIC_SIZE + 8 * i, &f[i]) != 0)
			return -EINVAL;
	if (f[F_NAMESIZE] < 2 ||
	    take(archive, size, &at, HEADER_SIZE + (size_t)f[F_NAMESIZE]) == NULL)
		return -EINVAL;
	m->name = (const char *)p + HEADER_SIZE;
	m->namelen = f[F_NAMESIZE] - 1;
	/* The name ends where it says, and nowhere before. */
	if (strnlen(m->name, f[F_NAMESIZE]) != m->namelen)
		return -EINVAL;
	if (strcmp(m->name, TRAILER) == 0)
		return 0;
	m->size = f[F_SIZE];
	m->data = take(archive, size, &at, m->size);
	if (m->data == NULL)
		return -EINVAL;
	m->mode = f[F_MODE];
	m->ino = f[F_INO];
	m->nlink = f[F_NLINK];
	m->mtime = f[F_MTIME];
	m->devmajor = f[F_DEVMAJOR];
	m->devminor = f[F_DEVMINOR];
	*pos = at;
	return 1;
}
