/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader of cpio archives in the "newc" format.
 * layer: lib
 */
#ifndef KERNEL_CPIO_H
#define KERNEL_CPIO_H

#include <kernel/types.h>

struct cpio_member {
	const char *name; /* inside the archive, terminated */
	size_t namelen;
	const uint8_t *data; /* inside the archive */
	size_t size;
	uint32_t mode, ino, nlink, mtime, devmajor, devminor;
};

/*
 * The member at *pos, which is advanced; start with 0. 1 = member, 0 = end of the archive, -EINVAL
 * = malformed or cut off. Any bytes may be given: nothing outside of the archive is read.
 */
int cpio_next(const void *archive, size_t size, size_t *pos, struct cpio_member *);

#endif
