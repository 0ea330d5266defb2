/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on descriptors: open openat close close_range dup dup2 dup3 pipe pipe2 fcntl ioctl; and fsync fdatasync
 * truncate ftruncate, which find that no file can be written to.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <arch/arch_if.h>
#include <kernel/file.h>
#include <kernel/pipe.h>
#include <kernel/sched.h>

#include "path.h"

#define CLOSES_IN_A_ROW 64

static int64_t
do_open(int dirfd, uintptr_t upath, uint32_t oflags)
{
	unsigned flags = 0;
	struct inode *ino;
	struct file *f;
	int fd, error;

	if ((oflags & O_TMPFILE) == O_TMPFILE)
		return (oflags & O_ACCMODE) == O_RDONLY ? -EINVAL : -EROFS;
	if ((oflags & O_CREAT) != 0 && (oflags & O_DIRECTORY) != 0)
		return -EINVAL;
	if ((oflags & O_PATH) != 0)
		oflags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if ((oflags & O_NOFOLLOW) != 0 || (oflags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		flags |= LOOKUP_NOFOLLOW;
	if ((oflags & O_CREAT) != 0)
		flags |= LOOKUP_CREATE;
	error = path_lookup(dirfd, upath, flags, false, &ino);
	if (error != 0)
		return error;
	error = file_open_inode(ino, oflags, &f);
	inode_unref(ino);
	if (error != 0)
		return error;
	fd = fd_alloc(0, (oflags & O_CLOEXEC) != 0, f);
	if (fd < 0)
		file_unref(f);
	return fd;
}

int64_t
sys_open(const uint64_t *a)
{
	return do_open(AT_FDCWD, a[0], (uint32_t)a[1]);
}

int64_t
sys_openat(const uint64_t *a)
{
	return do_open((int)a[0], a[1], (uint32_t)a[2]);
}

int64_t
sys_close(const uint64_t *a)
{
	return fd_close((int)a[0]);
}

/* (unsigned first, unsigned last, unsigned flags). A table that is shared stays so: no CLOSE_RANGE_UNSHARE. */
int64_t
sys_close_range(const uint64_t *a)
{
	uint32_t first = (uint32_t)a[0], last = (uint32_t)a[1], end = fd_bound();

	if ((a[2] & ~(uint64_t)CLOSE_RANGE_CLOEXEC) != 0 || first > last)
		return -EINVAL;
	for (uint32_t fd = first; fd < end && fd <= last; fd++) {
		/* What is not open needs nothing done. */
		if (a[2] != 0)
			(void)fd_set_cloexec((int)fd, true);
		else
			(void)fd_close((int)fd);
		if (fd % CLOSES_IN_A_ROW == CLOSES_IN_A_ROW - 1)
			preempt_point();
	}
	return 0;
}

int64_t
sys_dup(const uint64_t *a)
{
	return fd_dup((int)a[0], 0, false);
}

int64_t
sys_dup2(const uint64_t *a)
{
	int error;

	if ((int)a[0] == (int)a[1]) {
		error = fd_get_cloexec((int)a[0]);
		return error < 0 ? error : (int)a[0];
	}
	return fd_dup_to((int)a[0], (int)a[1], false);
}

int64_t
sys_dup3(const uint64_t *a)
{
	if ((a[2] & ~(uint64_t)O_CLOEXEC) != 0 || (int)a[0] == (int)a[1])
		return -EINVAL;
	return fd_dup_to((int)a[0], (int)a[1], (a[2] & O_CLOEXEC) != 0);
}

/* The descriptors show nothing before the caller has their numbers. */
static int64_t
do_pipe(uintptr_t ufds, uint32_t flags)
{
	bool cloexec = (flags & O_CLOEXEC) != 0;
	struct file *reader, *writer;
	int fds[2], error;

	if ((flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	error = pipe_create(flags & O_NONBLOCK, &reader, &writer);
	if (error != 0)
		return error;
	fds[0] = error = fd_alloc(0, cloexec, NULL);
	if (error < 0)
		goto close;
	fds[1] = error = fd_alloc(0, cloexec, NULL);
	if (error < 0)
		goto unreserve_first;
	error = arch_copyout(ufds, fds, sizeof(fds));
	if (error != 0)
		goto unreserve_second;
	fd_install(fds[0], reader);
	fd_install(fds[1], writer);
	return 0;
unreserve_second:
	fd_unreserve(fds[1]);
unreserve_first:
	fd_unreserve(fds[0]);
close:
	file_unref(reader);
	file_unref(writer);
	return error;
}

int64_t
sys_pipe(const uint64_t *a)
{
	return do_pipe(a[0], 0);
}

int64_t
sys_pipe2(const uint64_t *a)
{
	return do_pipe(a[0], (uint32_t)a[1]);
}

static void
change_flags(struct file *f, uint32_t mask, uint32_t flags)
{
	uint32_t old = atomic_load_relaxed(&f->f_flags);

	while (!atomic_cas(&f->f_flags, &old, (old & ~mask) | (flags & mask)))
		continue;
}

static int64_t
fcntl_file(struct file *f, int cmd, uint64_t arg)
{
	int64_t capacity;

	if (f->f_ops == &path_ops && cmd != F_GETFL)
		return -EBADF;
	switch (cmd) {
	case F_GETFL:
		return atomic_load_relaxed(&f->f_flags);
	case F_SETFL:
		change_flags(f, O_APPEND | O_NONBLOCK, (uint32_t)arg);
		return 0;
	case F_GETPIPE_SZ:
		return pipe_capacity(f);
	case F_SETPIPE_SZ: /* all have the greatest size: whoever asks for less gets more */
		capacity = pipe_capacity(f);
		if (capacity < 0)
			return capacity;
		return (uint32_t)arg == 0 ? -EINVAL : (uint32_t)arg > capacity ? -EPERM : capacity;
	default:
		return -EINVAL;
	}
}

int64_t
sys_fcntl(const uint64_t *a)
{
	int fd = (int)a[0], cmd = (int)a[1];
	struct fref r;
	int64_t n;

	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return fd_dup(fd, (unsigned)a[2], cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_get_cloexec(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, (a[2] & FD_CLOEXEC) != 0);
	default:
		break;
	}
	r = fd_get(fd);
	if (r.fr_file == NULL)
		return -EBADF;
	n = fcntl_file(r.fr_file, cmd, a[2]);
	fd_put(r);
	return n;
}

/* Nothing is ever to be written back. */
int64_t
sys_fsync(const uint64_t *a)
{
	struct fref r = fd_get((int)a[0]);
	int64_t n;

	if (r.fr_file == NULL)
		return -EBADF;
	if (r.fr_file->f_ops == &path_ops)
		n = -EBADF;
	else
		n = r.fr_file->f_ops == &regular_ops || r.fr_file->f_ops == &directory_ops
		    ? 0
		    : -EINVAL;
	fd_put(r);
	return n;
}

int64_t
sys_fdatasync(const uint64_t *a)
{
	return sys_fsync(a);
}

/* No descriptor is one of a regular file and writable. */
int64_t
sys_ftruncate(const uint64_t *a)
{
	struct fref r = fd_get((int)a[0]);
	int64_t n = -EINVAL;

	if (r.fr_file == NULL)
		return -EBADF;
	if (r.fr_file->f_ops == &path_ops && (int64_t)a[1] >= 0)
		n = -EBADF;
	fd_put(r);
	return n;
}

/* (const char *path, off_t size) */
int64_t
sys_truncate(const uint64_t *a)
{
	struct inode *ino;
	int error;

	if ((int64_t)a[1] < 0)
		return -EINVAL;
	if ((error = path_lookup(AT_FDCWD, a[0], 0, false, &ino)) != 0)
		return error;
	switch (ino->i_mode & S_IFMT) {
	case S_IFREG:
		error = -EROFS;
		break;
	case S_IFDIR:
		error = -EISDIR;
		break;
	default:
		error = -EINVAL;
		break;
	}
	inode_unref(ino);
	return error;
}

int64_t
sys_ioctl(const uint64_t *a)
{
	struct fref r = fd_get((int)a[0]);
	uint32_t cmd = (uint32_t)a[1], on;
	int64_t n = 0;

	if (r.fr_file == NULL)
		return -EBADF;
	if (r.fr_file->f_ops == &path_ops)
		n = -EBADF;
	else
		switch (cmd) {
		case FIOCLEX:
		case FIONCLEX:
			n = fd_set_cloexec((int)a[0], cmd == FIOCLEX);
			break;
		case FIONBIO:
			n = arch_ufetch_32(a[2], &on);
			if (n == 0)
				change_flags(r.fr_file, O_NONBLOCK, on != 0 ? O_NONBLOCK : 0);
			break;
		default:
			n = r.fr_file->f_ops->fo_ioctl != NULL
			    ? r.fr_file->f_ops->fo_ioctl(r.fr_file, cmd, a[2])
			    : -ENOTTY;
			break;
		}
	fd_put(r);
	return n;
}
