/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptor table, for fdtable.c and fdproc.c.
 * layer: fs
 */
#ifndef FS_FD_INTERNAL_H
#define FS_FD_INTERNAL_H

#include <kernel/fdmap.h>
#include <kernel/file.h>

#define FD_SMALL 64u /* descriptors of the table within struct filedesc */

/*
 * struct fdarray, field locks: (t) fd_lock (c) constant (r) written under fd_lock, read without
 * A bit in fa_used without a file is a descriptor that is reserved.
 */
struct fdarray {
	uint32_t fa_size;        /* (c) a multiple of 64 */
	struct file **fa_file;   /* (c) the slots: (r) */
	uint64_t *fa_used;       /* (c) bits: (t) */
	uint64_t *fa_cloexec;    /* (c) bits: (t) only of used ones */
	struct fdarray *fa_prev; /* (t) outgrown ones, kept for readers until the table goes */
};

/*
 * struct filedesc, field locks: (t) fd_lock (a) atomic (r) written under fd_lock, read without
 * In the cache all slots and bits are zero.
 */
struct filedesc {
	struct mutex fd_lock;
	uint32_t fd_refs;                /* (a) processes */
	uint32_t fd_lowfree;             /* (t) every descriptor below it is used */
	struct fdarray *fd_array;        /* (r) */
	struct fdarray fd_small;         /* (t) */
	struct file *fd_slots[FD_SMALL]; /* (r) */
	uint64_t fd_used, fd_cloexec;    /* (t) */
};

/*
 * Makes room for descriptor `fd`; the lock may be dropped and taken again. -ENOMEM. => fd_lock held
 */
int fd_grow(struct filedesc *, uint32_t fd);
void fd_shrink(struct filedesc *); /* frees all but the small array. => nobody uses the table */

#endif
