/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files and directories of the tree. Both are read-only, and their contents constant.
 */
#include <kernel/file.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <arch/arch_if.h>
#include <kernel/pmem.h>
#include <kernel/string.h>
#include <kernel/uio.h>

static int64_t
regular_read(struct file *f, struct uio *u, uint64_t *off)
{
	const struct inode *ino = f->f_inode;
	uint64_t at = *off;
	size_t done = 0;

	while (u->u_resid > 0 && at < ino->i_size) {
		size_t in_page = at & PAGE_MASK;
		size_t chunk = min(min(u->u_resid, PAGE_SIZE - in_page), ino->i_size - at);
		size_t n = uio_put(
		    u, (const char *)page_to_virt(ino->i_pages[at >> PAGE_SHIFT]) + in_page, chunk);

		at += n;
		done += n;
		if (n < chunk) {
			if (done == 0)
				return -EFAULT;
			break;
		}
	}
	*off = at;
	return (int64_t)done;
}

static int64_t
regular_ioctl(struct file *f, uint32_t cmd, uintptr_t arg)
{
	uint64_t left;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&f->f_lock);
	left = f->f_inode->i_size - min(f->f_offset, f->f_inode->i_size);
	mutex_unlock(&f->f_lock);
	return arch_ustore_32(arg, (uint32_t)left);
}

const struct file_ops regular_ops = {
	.fo_seek = SEEKS_FILE,
	.fo_read = regular_read,
	.fo_ioctl = regular_ioctl,
};

static int64_t
directory_read(struct file *f __unused, struct uio *u __unused, uint64_t *off __unused)
{
	return -EISDIR;
}

const struct file_ops directory_ops = {
	.fo_seek = SEEKS_FILE,
	.fo_read = directory_read,
};

/* O_PATH: names a place and does nothing else. */
const struct file_ops path_ops = {
	.fo_seek = SEEKS_NOT,
};

/*
 * ---- getdents: positions 0 and 1 are `.` and `..`, the names follow in the order of i_list ----
 */

static uint8_t
dirent_type(const struct inode *ino)
{
	switch (ino->i_mode & S_IFMT) {
	case S_IFDIR:
		return DT_DIR;
	case S_IFCHR:
		return DT_CHR;
	case S_IFLNK:
		return DT_LNK;
	default:
		return DT_REG;
	}
}

/* Copies one entry out. The bytes used, 0: does not fit. */
static int64_t
put_dirent(uintptr_t ubuf, size_t room, uint64_t pos, const struct inode *ino, const char *name,
    size_t len)
{
	size_t reclen = roundup(DIRENT64_NAME_OFFSET + len + 1, (size_t)8);
	union {
		struct abi_dirent64 d;
		char bytes[roundup(DIRENT64_NAME_OFFSET + NAME_MAX + 1, 8)];
	} rec;

	if (reclen > room)
		return 0;
	memset(rec.bytes + reclen - 8, 0, 8);
	rec.d.d_ino = ino->i_ino;
	rec.d.d_off = (int64_t)pos + 1;
	rec.d.d_reclen = (uint16_t)reclen;
	rec.d.d_type = dirent_type(ino);
	memcpy(rec.bytes + DIRENT64_NAME_OFFSET, name, len);
	return arch_copyout(ubuf, rec.bytes, reclen) != 0 ? -EFAULT : (int64_t)reclen;
}

int64_t
file_getdents(struct file *f, uintptr_t ubuf, size_t size)
{
	const struct inode *dir = f->f_inode;
	int64_t done = 0, n = 0;
	uint64_t pos;

	if (f->f_ops != &directory_ops)
		return f->f_ops == &path_ops ? -EBADF : -ENOTDIR;
	mutex_lock(&f->f_lock);
	for (pos = f->f_offset; pos < (uint64_t)dir->i_count + 2; pos++) {
		const struct dirent *de = pos < 2 ? NULL : dir->i_list[pos - 2];
		size_t room = size - (size_t)done;

		if (pos == 0)
			n = put_dirent(ubuf + (uintptr_t)done, room, pos, dir, ".", 1);
		else if (pos == 1)
			n = put_dirent(ubuf + (uintptr_t)done, room, pos, dir->i_parent, "..", 2);
		else
			n = put_dirent(ubuf + (uintptr_t)done, room, pos, de->de_inode, de->de_name,
			    de->de_len);
		if (n <= 0) {
			if (done == 0)
				done = n == 0 ? -EINVAL : n;
			break;
		}
		done += n;
	}
	f->f_offset = pos;
	mutex_unlock(&f->f_lock);
	return done;
}
