/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From paths to inodes. The walk is a loop: at a symbolic link, the link's target and the rest of
 * the path become the path to walk, in a buffer that is allocated at the first link.
 */
#include <kernel/inodetree.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <arch/arch_if.h>
#include <kernel/kmem.h>
#include <kernel/string.h>

#define LINKS_MAX 40

struct walk {
	struct inode *dir; /* where we are */
	const char *path;  /* what is to be walked */
	char *buf;         /* PATH_MAX bytes that hold `path`, or NULL */
	unsigned links;    /* followed so far */
};

/* Puts the target of a link in front of `rest`, which is empty or begins with a slash. */
static int
follow(struct walk *w, const struct inode *link, const char *rest)
{
	size_t restlen = strlen(rest);

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (link->i_targetlen == 0)
		return -ENOENT;
	if (link->i_targetlen + restlen + 1 > PATH_MAX)
		return -ENAMETOOLONG;
	if (w->buf == NULL && (w->buf = kmem_alloc(PATH_MAX)) == NULL)
		return -ENOMEM;
	memmove(w->buf + link->i_targetlen, rest, restlen + 1);
	memcpy(w->buf, link->i_target, link->i_targetlen);
	w->path = w->buf;
	if (w->path[0] == '/')
		w->dir = inode_root();
	return 0;
}

/* The inode that a directory has under a name, or NULL. */
static struct inode *
step(struct inode *dir, const char *name, size_t len)
{
	struct dirent *de;

	if (len == 1 && name[0] == '.')
		return dir;
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return dir->i_parent;
	de = dir_lookup(dir, name, len);
	return de != NULL ? de->de_inode : NULL;
}

static int
walk(struct walk *w, unsigned flags, struct inode **result)
{
	for (;;) {
		const char *name = w->path, *end, *next;
		struct inode *ino;
		int error;

		while (*name == '/')
			name++;
		if (*name == '\0') { /* only slashes were left */
			*result = w->dir;
			return 0;
		}
		for (end = name; *end != '\0' && *end != '/'; end++)
			continue;
		for (next = end; *next == '/'; next++)
			continue;
		if (!inode_is_dir(w->dir))
			return -ENOTDIR;
		if (end - name > NAME_MAX)
			return -ENAMETOOLONG;
		ino = step(w->dir, name, (size_t)(end - name));
		if (ino == NULL)
			return *next == '\0' && (flags & LOOKUP_CREATE) != 0 ? -EROFS : -ENOENT;
		/* A slash behind a link asks for what it points to. */
		if (S_ISLNK(ino->i_mode) && (*end != '\0' || (flags & LOOKUP_NOFOLLOW) == 0)) {
			error = follow(w, ino, end);
			if (error != 0)
				return error;
			continue;
		}
		if (*next == '\0') {
			if (*end == '/' && !inode_is_dir(ino))
				return -ENOTDIR;
			*result = ino;
			return 0;
		}
		w->dir = ino;
		w->path = next;
	}
}

int
inode_lookup_flags(struct inode *cwd, const char *path, unsigned flags, struct inode **result)
{
	struct walk w = { .dir = cwd, .path = path };
	int error;

	if (path[0] == '\0')
		return -ENOENT;
	KASSERT(strnlen(path, PATH_MAX) < PATH_MAX);
	if (cwd == NULL || path[0] == '/')
		w.dir = inode_root();
	error = walk(&w, flags, result);
	if (error == 0)
		inode_ref(*result);
	if (w.buf != NULL)
		kmem_free(w.buf, PATH_MAX);
	return error;
}

int
inode_lookup(struct inode *cwd, const char *path, struct inode **result)
{
	return inode_lookup_flags(cwd, path, 0, result);
}

/* Written from the end of the buffer to the front, then moved. */
ssize_t
inode_dir_path(const struct inode *dir, char *buf, size_t size)
{
	size_t at = size;

	if (size < 2)
		return -ERANGE;
	buf[--at] = '\0';
	for (; dir->i_self != NULL; dir = dir->i_parent) {
		size_t len = dir->i_self->de_len;

		if (at < len + 1)
			return -ERANGE;
		at -= len;
		memcpy(buf + at, dir->i_self->de_name, len);
		buf[--at] = '/';
	}
	if (at == size - 1)
		buf[--at] = '/';
	memmove(buf, buf + at, size - at);
	return (ssize_t)(size - at);
}

int
pathbuf_copyin(struct pathbuf *pb, uintptr_t upath)
{
	ssize_t len = arch_copyinstr(pb->pb_small, upath, sizeof(pb->pb_small));

	pb->pb_path = pb->pb_small;
	if (len != -ENAMETOOLONG)
		return len < 0 ? (int)len : 0;
	pb->pb_path = kmem_alloc(PATH_MAX);
	if (pb->pb_path == NULL)
		return -ENOMEM;
	len = arch_copyinstr(pb->pb_path, upath, PATH_MAX);
	if (len < 0) {
		kmem_free(pb->pb_path, PATH_MAX);
		return (int)len;
	}
	return 0;
}

void
pathbuf_free(struct pathbuf *pb)
{
	if (pb->pb_path != pb->pb_small)
		kmem_free(pb->pb_path, PATH_MAX);
}
