/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files. A struct file is shared by all descriptors that fork and dup made from one open; the
 * last reference closes it. Offsets move under f_lock, which a read or write holds from beginning
 * to end, so that two readers of one file never get the same bytes. f_flags changes by F_SETFL
 * only, as one word.
 */
#include <kernel/file.h>

#include <kernel/cred.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <kernel/explore.h>
#include <kernel/kmem.h>
#include <kernel/string.h>
#include <kernel/uio.h>

static struct kmem_cache *file_cache;

static void
file_ctor(void *p)
{
	struct file *f = p;

	memset(f, 0, sizeof(*f));
	mutex_init(&f->f_lock, "file", RANK_FILE);
}

void
file_init(void)
{
	file_cache =
	    kmem_cache_create("file", sizeof(struct file), 8, KC_TYPESTABLE | KC_USER, file_ctor);
}

struct file *
file_alloc(const struct file_ops *ops, uint32_t mode, uint32_t flags)
{
	struct file *f = kmem_cache_alloc(file_cache);

	if (f == NULL)
		return NULL;
	KASSERT(f->f_refs == 0);
	f->f_ops = ops;
	f->f_mode = mode;
	f->f_flags = flags;
	f->f_inode = NULL;
	f->f_offset = 0;
	atomic_store_release(&f->f_refs, 1); /* from now on fd_get() may believe in it */
	return f;
}

void
file_discard(struct file *f)
{
	/* Not just freed: a late fd_get() may hold a reference for a moment. */
	f->f_ops = &path_ops;
	f->f_inode = NULL;
	file_unref(f);
}

void
file_unref(struct file *f)
{
	KASSERT(atomic_load_relaxed(&f->f_refs) > 0);
	EXPLORE_POINT(ATOMIC, &f->f_refs);
	if (atomic_sub(&f->f_refs, 1) > 1)
		return;
	if (f->f_ops->fo_close != NULL)
		f->f_ops->fo_close(f);
	else if (f->f_inode != NULL)
		inode_unref(f->f_inode);
	kmem_cache_free(file_cache, f);
}

/* Which operations an inode has, or why it cannot be opened so. */
static int
choose_ops(const struct inode *ino, uint32_t oflags, const struct file_ops **ops)
{
	static const uint32_t want[4] = { 4, 2, 6, 6 };
	uint32_t type = ino->i_mode & S_IFMT;
	bool writes = (oflags & O_ACCMODE) != O_RDONLY;

	if ((oflags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (type == S_IFLNK && (oflags & O_PATH) == 0)
		return -ELOOP;
	if ((oflags & O_DIRECTORY) != 0 && type != S_IFDIR)
		return -ENOTDIR;
	if ((oflags & O_PATH) != 0) {
		*ops = &path_ops;
		return 0;
	}
	if (!cred_may_access(ino->i_mode, want[oflags & O_ACCMODE], false))
		return -EACCES;
	switch (type) {
	case S_IFDIR:
		*ops = &directory_ops;
		return writes || (oflags & O_CREAT) != 0 ? -EISDIR : 0;
	case S_IFCHR:
		*ops = ino->i_ops;
		return 0;
	default:
		*ops = &regular_ops;
		return writes || (oflags & O_TRUNC) != 0 ? -EROFS : 0;
	}
}

int
file_open_inode(struct inode *ino, uint32_t oflags, struct file **result)
{
	static const uint32_t modes[4] = { FREAD, FWRITE, FREAD | FWRITE, 0 };
	const uint32_t transient = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
	const struct file_ops *ops;
	struct file *f;
	int error = choose_ops(ino, oflags, &ops);

	if (error != 0)
		return error;
	if ((oflags & O_PATH) != 0)
		oflags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	else
		oflags |= O_LARGEFILE;
	f = file_alloc(ops, ops == &path_ops ? 0 : modes[oflags & O_ACCMODE], oflags & ~transient);
	if (f == NULL)
		return -ENOMEM;
	f->f_inode = ino;
	inode_ref(ino);
	if (ops->fo_open != NULL && (error = ops->fo_open(f)) != 0) {
		file_unref(f);
		return error;
	}
	*result = f;
	return 0;
}

int64_t
file_read(struct file *f, struct uio *u)
{
	int64_t n;

	if ((f->f_mode & FREAD) == 0)
		return -EBADF;
	if (f->f_ops->fo_read == NULL)
		return -EINVAL;
	if (f->f_ops->fo_seek != SEEKS_FILE)
		return f->f_ops->fo_read(f, u, NULL);
	mutex_lock(&f->f_lock);
	n = f->f_ops->fo_read(f, u, &f->f_offset);
	mutex_unlock(&f->f_lock);
	return n;
}

int64_t
file_write(struct file *f, struct uio *u)
{
	if ((f->f_mode & FWRITE) == 0)
		return -EBADF;
	if (f->f_ops->fo_write == NULL)
		return -EINVAL;
	return f->f_ops->fo_write(f, u, NULL);
}

int64_t
file_pread(struct file *f, struct uio *u, uint64_t off)
{
	if ((int64_t)off < 0)
		return -EINVAL;
	if (f->f_ops->fo_seek == SEEKS_NOT)
		return (f->f_ops == &path_ops) ? -EBADF : -ESPIPE;
	if ((f->f_mode & FREAD) == 0)
		return -EBADF;
	return f->f_ops->fo_read(f, u, &off);
}

int64_t
file_pwrite(struct file *f, struct uio *u, uint64_t off)
{
	if ((int64_t)off < 0)
		return -EINVAL;
	if (f->f_ops->fo_seek == SEEKS_NOT)
		return (f->f_ops == &path_ops) ? -EBADF : -ESPIPE;
	return file_write(f, u);
}

/*
 * Where an offset of `whence` counts from; data and hole: files have no holes but the one behind
 * their end.
 */
static int
seek_base(const struct file *f, int64_t off, int whence, int64_t *base)
{
	int64_t size = (int64_t)inode_size(f->f_inode);

	*base = 0;
	switch (whence) {
	case SEEK_SET:
		return 0;
	case SEEK_CUR:
		*base = (int64_t)f->f_offset;
		return 0;
	case SEEK_END:
		*base = size;
		return inode_is_file(f->f_inode) ? 0 : -EINVAL;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (!inode_is_file(f->f_inode))
			return -EINVAL;
		if (off < 0 || off >= size)
			return -ENXIO;
		*base = whence == SEEK_HOLE ? size - off : 0;
		return 0;
	default:
		return -EINVAL;
	}
}

int64_t
file_seek(struct file *f, int64_t off, int whence)
{
	int64_t base = 0, result = 0;
	int error;

	if (f->f_ops == &path_ops)
		return -EBADF;
	if (whence < SEEK_SET || whence > SEEK_HOLE)
		return -EINVAL;
	if (f->f_ops->fo_seek != SEEKS_FILE)
		return f->f_ops->fo_seek == SEEKS_ZERO ? 0 : -ESPIPE;
	mutex_lock(&f->f_lock);
	error = seek_base(f, off, whence, &base);
	if (error == 0 && __builtin_add_overflow(base, off, &result))
		error = -EOVERFLOW;
	if (error == 0 && result < 0)
		error = -EINVAL;
	if (error == 0)
		f->f_offset = (uint64_t)result;
	mutex_unlock(&f->f_lock);
	return error != 0 ? error : result;
}

void
file_stat(struct file *f, struct abi_stat *st)
{
	if (f->f_ops->fo_stat != NULL)
		f->f_ops->fo_stat(f, st);
	else
		inode_stat(f->f_inode, st);
}
