/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on paths: stat lstat fstat newfstatat access faccessat faccessat2 readlink
 * readlinkat chdir fchdir getcwd umask getdents64. Whoever finds a directory may search it.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <arch/arch_if.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/cred.h>
#include <kernel/sched.h>
#include <kernel/string.h>

#include "path.h"

static bool
has_inode(const struct file *f)
{
	return f->f_ops != &pipe_read_ops && f->f_ops != &pipe_write_ops;
}

/* The inode behind a descriptor, with a reference. */
static int
inode_of_fd(int fd, struct inode **result)
{
	struct fref r = fd_get(fd);
	int error = 0;

	if (r.fr_file == NULL)
		return -EBADF;
	if (has_inode(r.fr_file)) {
		*result = r.fr_file->f_inode;
		inode_ref(*result);
	} else
		error = -ENOTDIR;
	fd_put(r);
	return error;
}

/* The current directory, with a reference. */
static struct inode *
current_dir(void)
{
	struct inode *cwd = atomic_load_relaxed(&curproc()->p_cwd); /* inodes never go away */

	if (cwd == NULL)
		cwd = inode_root();
	inode_ref(cwd);
	return cwd;
}

int
path_lookup(int dirfd, uintptr_t upath, unsigned flags, bool empty_ok, struct inode **result)
{
	struct inode *dir = NULL;
	struct pathbuf pb;
	const char *path;
	int error = pathbuf_copyin(&pb, upath);

	if (error != 0)
		return error;
	path = pb.pb_path;
	if (path[0] != '/' && (path[0] != '\0' || empty_ok)) {
		if (dirfd == AT_FDCWD)
			dir = current_dir();
		else
			error = inode_of_fd(dirfd, &dir);
	}
	if (error == 0) {
		if (path[0] == '\0' && empty_ok) {
			*result = dir;
			dir = NULL;
		} else if (dir != NULL && !inode_is_dir(dir))
			error = -ENOTDIR;
		else
			error = inode_lookup_flags(dir, path, flags, result);
	}
	if (dir != NULL)
		inode_unref(dir);
	pathbuf_free(&pb);
	return error;
}

/* ---- stat ---- */

static int64_t
stat_path(int dirfd, uintptr_t upath, uintptr_t ubuf, uint32_t atflags)
{
	struct abi_stat st;
	struct inode *ino;
	int error =
	    path_lookup(dirfd, upath, (atflags & AT_SYMLINK_NOFOLLOW) != 0 ? LOOKUP_NOFOLLOW : 0,
		(atflags & AT_EMPTY_PATH) != 0, &ino);

	if (error != 0)
		return error;
	inode_stat(ino, &st);
	inode_unref(ino);
	return arch_copyout(ubuf, &st, sizeof(st));
}

static int64_t
stat_fd(int fd, uintptr_t ubuf)
{
	struct fref r = fd_get(fd);
	struct abi_stat st;

	if (r.fr_file == NULL)
		return -EBADF;
	file_stat(r.fr_file, &st);
	fd_put(r);
	return arch_copyout(ubuf, &st, sizeof(st));
}

int64_t
sys_stat(const uint64_t *a)
{
	return stat_path(AT_FDCWD, a[0], a[1], 0);
}

int64_t
sys_lstat(const uint64_t *a)
{
	return stat_path(AT_FDCWD, a[0], a[1], AT_SYMLINK_NOFOLLOW);
}

int64_t
sys_fstat(const uint64_t *a)
{
	return stat_fd((int)a[0], a[1]);
}

int64_t
sys_newfstatat(const uint64_t *a)
{
	uint32_t flags = (uint32_t)a[3];
	char first[1];

	if ((flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	/* The descriptor itself, which may be a pipe and have no inode. */
	if ((flags & AT_EMPTY_PATH) != 0 && (int)a[0] != AT_FDCWD &&
	    arch_copyinstr(first, a[1], sizeof(first)) == 0)
		return stat_fd((int)a[0], a[2]);
	return stat_path((int)a[0], a[1], a[2], flags);
}

/* ---- access ---- */

static int64_t
do_access(int dirfd, uintptr_t upath, uint32_t mode, uint32_t flags)
{
	struct inode *ino;
	int error;

	if ((mode & ~(uint32_t)(R_OK | W_OK | X_OK)) != 0 ||
	    (flags & ~(uint32_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	error = path_lookup(dirfd, upath, flags & AT_SYMLINK_NOFOLLOW ? LOOKUP_NOFOLLOW : 0,
	    (flags & AT_EMPTY_PATH) != 0, &ino);
	if (error != 0)
		return error;
	if (!cred_may_access(ino->i_mode, inode_is_dir(ino) ? mode & (R_OK | W_OK) : mode,
		(flags & AT_EACCESS) == 0))
		error = -EACCES;
	else if ((mode & W_OK) != 0 && !S_ISCHR(ino->i_mode))
		error = -EROFS;
	inode_unref(ino);
	return error;
}

int64_t
sys_access(const uint64_t *a)
{
	return do_access(AT_FDCWD, a[0], (uint32_t)a[1], 0);
}

int64_t
sys_faccessat(const uint64_t *a)
{
	return do_access((int)a[0], a[1], (uint32_t)a[2], 0);
}

int64_t
sys_faccessat2(const uint64_t *a)
{
	return do_access((int)a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]);
}

/* ---- links ---- */

static int64_t
do_readlink(int dirfd, uintptr_t upath, uintptr_t ubuf, int64_t size)
{
	struct inode *ino;
	int64_t n;
	int error;

	if ((int)size <= 0)
		return -EINVAL;
	error = path_lookup(dirfd, upath, LOOKUP_NOFOLLOW, false, &ino);
	if (error != 0)
		return error;
	n = -EINVAL;
	if (S_ISLNK(ino->i_mode)) {
		n = min((int64_t)(int)size, (int64_t)ino->i_targetlen);
		if (arch_copyout(ubuf, ino->i_target, (size_t)n) != 0)
			n = -EFAULT;
	}
	inode_unref(ino);
	return n;
}

int64_t
sys_readlink(const uint64_t *a)
{
	return do_readlink(AT_FDCWD, a[0], a[1], (int64_t)a[2]);
}

int64_t
sys_readlinkat(const uint64_t *a)
{
	return do_readlink((int)a[0], a[1], a[2], (int64_t)a[3]);
}

/* ---- directories ---- */

/* Consumes the reference. */
static int64_t
set_cwd(struct inode *dir)
{
	struct proc *p = curproc();
	struct inode *old;

	if (!inode_is_dir(dir)) {
		inode_unref(dir);
		return -ENOTDIR;
	}
	mutex_lock(&p->p_lock);
	old = p->p_cwd;
	atomic_store_relaxed(&p->p_cwd, dir);
	mutex_unlock(&p->p_lock);
	if (old != NULL)
		inode_unref(old);
	return 0;
}

int64_t
sys_chdir(const uint64_t *a)
{
	struct inode *dir;
	int error = path_lookup(AT_FDCWD, a[0], 0, false, &dir);

	return error != 0 ? error : set_cwd(dir);
}

int64_t
sys_fchdir(const uint64_t *a)
{
	struct inode *dir;
	int error = inode_of_fd((int)a[0], &dir);

	return error != 0 ? error : set_cwd(dir);
}

int64_t
sys_getcwd(const uint64_t *a)
{
	struct inode *cwd;
	ssize_t n;
	char *buf = kmem_alloc(PATH_MAX);

	if (buf == NULL)
		return -ENOMEM;
	cwd = current_dir();
	n = inode_dir_path(cwd, buf, PATH_MAX);
	inode_unref(cwd);
	if (n == -ERANGE)
		n = -ENAMETOOLONG;
	else if ((uint64_t)n > a[1])
		n = -ERANGE;
	else if (arch_copyout(a[0], buf, (size_t)n) != 0)
		n = -EFAULT;
	kmem_free(buf, PATH_MAX);
	return n;
}

int64_t
sys_umask(const uint64_t *a)
{
	struct proc *p = curproc();
	uint32_t old;

	mutex_lock(&p->p_lock);
	old = p->p_umask;
	p->p_umask = (uint32_t)a[0] & 0777;
	mutex_unlock(&p->p_lock);
	return old;
}

int64_t
sys_getdents64(const uint64_t *a)
{
	struct fref r = fd_get((int)a[0]);
	int64_t n;

	if (r.fr_file == NULL)
		return -EBADF;
	n = file_getdents(r.fr_file, a[1], min((size_t)(uint32_t)a[2], MAX_RW));
	fd_put(r);
	return n;
}
