/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File types and modes, struct stat, directory entries: Linux's values and layouts.
 * layer: lib
 */
#ifndef ABI_STAT_H
#define ABI_STAT_H

#include <abi/time.h>

#define S_IFMT  0170000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFREG 0100000
#define S_IFIFO 0010000
#define S_IFLNK 0120000

#define S_ISDIR(m) (((m)&S_IFMT) == S_IFDIR)
#define S_ISCHR(m) (((m)&S_IFMT) == S_IFCHR)
#define S_ISREG(m) (((m)&S_IFMT) == S_IFREG)
#define S_ISLNK(m) (((m)&S_IFMT) == S_IFLNK)

#define DT_FIFO 1
#define DT_CHR  2
#define DT_DIR  4
#define DT_REG  8
#define DT_LNK  10

struct abi_stat {
	uint64_t st_dev;
	uint64_t st_ino;
	uint64_t st_nlink;
	uint32_t st_mode;
	uint32_t st_uid;
	uint32_t st_gid;
	uint32_t st_pad0;
	uint64_t st_rdev;
	int64_t st_size;
	int64_t st_blksize;
	int64_t st_blocks; /* of 512 bytes */
	struct abi_timespec st_atim, st_mtim, st_ctim;
	int64_t st_unused[3];
};
_Static_assert(sizeof(struct abi_stat) == 144, "struct stat");

struct abi_dirent64 { /* followed by the NUL-terminated name */
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};
#define DIRENT64_NAME_OFFSET 19

#define DEV(major, minor) ((uint64_t)(major) << 8 | (minor)) /* both below 256 */

#endif
