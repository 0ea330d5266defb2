/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files and descriptor tables.
 * layer: fs
 */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H

#include <abi/stat.h>
#include <kernel/inodetree.h>
#include <kernel/mutex.h>
#include <kernel/types.h>
#include <kernel/upcall.h>

struct file;
struct filedesc;
struct pipe;
struct pollhead;
struct uio;
struct vmobj;

/* What lseek does. */
enum seek_kind {
	SEEKS_NOT,  /* -ESPIPE; no pread either */
	SEEKS_ZERO, /* devices of memory: the offset has no meaning, and stays 0 */
	SEEKS_FILE  /* f_offset counts, under f_lock */
};

/*
 * Operations on open files; NULL where there is nothing to do.
 * read, write: bytes moved, or -errno; `off` is NULL unless the file seeks, and is advanced by the
 * callee.
 * => no lock held, except f_lock where `off` is &f_offset; may sleep
 */
struct file_ops {
	enum seek_kind fo_seek;
	int (*fo_open)(struct file *);
	int64_t (*fo_read)(struct file *, struct uio *, uint64_t *off);
	int64_t (*fo_write)(struct file *, struct uio *, uint64_t *off);
	int64_t (*fo_ioctl)(struct file *, uint32_t cmd, uintptr_t arg); /* NULL = -ENOTTY */
	void (*fo_stat)(struct file *, struct abi_stat *);               /* NULL = the inode's */
	void (*fo_close)(struct file *); /* the last reference is gone */
	/*
	 * The POLL* that are the case, and who is to be told of changes. NULL = always readable and writable.
	 * => no spin lock held
	 */
	uint32_t (*fo_poll)(struct file *, struct pollhead **);
};

#define FREAD  1u
#define FWRITE 2u

/*
 * struct file, field locks:
 *   (c) constant while f_refs > 0    (a) atomic    (f) f_lock
 * Memory is type-stable: fd_get() may raise f_refs of a file that has just been closed, and finds
 * out.
 */
struct file {
	const struct file_ops *f_ops; /* (c) */
	uint32_t f_refs;              /* (a) descriptors and calls in progress; 0 = free */
	uint32_t f_mode;              /* (c) FREAD, FWRITE */
	uint32_t f_flags;             /* (a) O_*, as F_GETFL shows them */
	union {
		struct inode *f_inode; /* (c) all but pipes */
		struct pipe *f_pipe;   /* (c) */
	};
	struct mutex f_lock; /* also: one read at a time moves the offset */
	uint64_t f_offset;   /* (f) */
};

void file_init(void);
/* A file with one reference, opened; `ino` gains a reference. NULL: no memory. */
struct file *file_alloc(const struct file_ops *, uint32_t mode, uint32_t flags);
/*
 * open(2) on an inode that was found; checks flags against its type. -EISDIR -ENOTDIR -EROFS -ELOOP
 * -ENXIO -ENOMEM
 */
int file_open_inode(struct inode *, uint32_t oflags, struct file **);
void file_unref(struct file *);
void file_discard(struct file *); /* one that was never opened */
int64_t file_read(struct file *, struct uio *);
int64_t file_write(struct file *, struct uio *);
int64_t file_pread(struct file *, struct uio *, uint64_t off);
int64_t file_pwrite(struct file *, struct uio *, uint64_t off);
int64_t file_seek(struct file *, int64_t off, int whence);
int64_t file_getdents(struct file *, uintptr_t ubuf, size_t size);
void file_stat(struct file *, struct abi_stat *);
extern const struct file_ops regular_ops, directory_ops, path_ops, null_ops, zero_ops, full_ops,
    random_ops, debug_ops, console_ops, tty_ops, pipe_read_ops, pipe_write_ops;
void devices_init(void);

static inline void
file_ref(struct file *f)
{
	atomic_add(&f->f_refs, 1);
}

/* ---- descriptors; see fdtable.c ---- */

#define FD_MAX 65536u /* highest RLIMIT_NOFILE */

/*
 * A file found by its descriptor. A table that nobody else can change until we return to user mode
 * needs no reference; fr_counted tells whether one was taken.
 */
struct fref {
	struct file *fr_file; /* NULL: bad descriptor */
	bool fr_counted;
};
struct fref fd_get(int fd);

static inline void
fd_put(struct fref r)
{
	if (unlikely(r.fr_counted))
		file_unref(r.fr_file);
}

/* All: on the current process's table. => no lock of rank RANK_FDTABLE or above held */
/*
 * Takes the lowest free descriptor that is not below `from`, for `f`, whose reference it consumes;
 * with NULL it shows no file until fd_install(). -EMFILE -ENOMEM: the reference is the caller's.
 */
int fd_alloc(unsigned from, bool cloexec, struct file *f);
void fd_install(int fd, struct file *); /* consumes the reference */
void fd_unreserve(int fd);
int fd_close(int fd); /* 0 or -EBADF */
int fd_dup(int fd, unsigned from, bool cloexec);
int fd_dup_to(int fd, int to, bool cloexec); /* dup3; fd != to */
int fd_get_cloexec(int fd);                  /* 0, 1 or -EBADF */
int fd_set_cloexec(int fd, bool on);
unsigned fd_bound(void); /* descriptors from here on are not open, or come just now */
/*
 * mmap: the object behind a descriptor, with a reference; *accmode O_RDONLY 0, O_WRONLY 1,
 * O_RDWR 2. NULL: /dev/zero, of which a mapping is an anonymous one. -EBADF -ENODEV
 */
int fd_get_vmobj(int fd, int *accmode, struct vmobj **);

/* ---- tables of processes; the rest is in <kernel/upcall.h> ---- */

void fd_init(void);
int fd_init_console(struct filedesc **); /* table with 0, 1, 2 on /dev/console */

/* ---- start ---- */

/* Root tree with the RAM disk's files and the devices. => once, at boot, after vm_init() */
void fs_init(const void *ramdisk, size_t size);
/*
 * Adds an archive (newc) to the tree; files replace those of the same name. -EINVAL, -ENOMEM,
 * logged. => boot
 */
int ramdisk_load(const void *cpio, size_t size);

#endif
