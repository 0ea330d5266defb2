/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inode tree. Built by the boot CPU while it is alone; constant afterwards, so it needs no
 * locks. A directory keeps its names twice: in a tree for lookups and in an array whose index is
 * the position that getdents reports, which therefore never shifts.
 */
#include <kernel/inodetree.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define FS_DEV     1 /* st_dev of the tree */
#define FIRST_ROOM 8

static struct inode *root;     /* constant after boot */
static uint64_t inode_numbers; /* (a) */

uint64_t
inode_new_number(void)
{
	return atomic_add(&inode_numbers, 1) + 1;
}

struct inode *
inode_create(uint32_t mode)
{
	struct inode *ino = kmem_zalloc(sizeof(*ino));

	if (ino == NULL)
		return NULL;
	ino->i_mode = mode;
	ino->i_nlink = S_ISDIR(mode) ? 2 : 1;
	ino->i_ino = inode_new_number();
	DEBUG_ONLY(ino->i_refs = 1);
	return ino;
}

void
inode_tree_init(void)
{
	root = inode_create(S_IFDIR | 0755);
	if (root == NULL)
		panic("fs: no memory for the root directory");
	root->i_parent = root;
}

struct inode *
inode_root(void)
{
	return root;
}

static int
name_compare(const char *a, size_t alen, const char *b, size_t blen)
{
	int c = memcmp(a, b, min(alen, blen));

	return c != 0 ? c : (alen > blen) - (alen < blen);
}

struct dirent *
dir_lookup(const struct inode *dir, const char *name, size_t len)
{
	struct rb_node *n = dir->i_names.root;

	while (n != NULL) {
		struct dirent *de = container_of(n, struct dirent, de_node);
		int c = name_compare(name, len, de->de_name, de->de_len);

		if (c == 0)
			return de;
		n = c < 0 ? n->left : n->right;
	}
	return NULL;
}

static int
dir_make_room(struct inode *dir)
{
	uint32_t room = dir->i_room == 0 ? FIRST_ROOM : 2 * dir->i_room;
	struct dirent **list;

	if (dir->i_count < dir->i_room)
		return 0;
	list = kmem_alloc(room * sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	if (dir->i_room != 0) {
		memcpy(list, dir->i_list, dir->i_count * sizeof(*list));
		kmem_free(dir->i_list, dir->i_room * sizeof(*list));
	}
	dir->i_list = list;
	dir->i_room = room;
	return 0;
}

int
dir_enter(struct inode *dir, const char *name, size_t len, struct inode *ino)
{
	struct rb_node **link = &dir->i_names.root, *parent = NULL;
	struct dirent *de;

	KASSERT(inode_is_dir(dir) && len > 0);
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	while (*link != NULL) {
		const struct dirent *at = container_of(*link, struct dirent, de_node);
		int c = name_compare(name, len, at->de_name, at->de_len);

		if (c == 0)
			return -EEXIST;
		parent = *link;
		link = c < 0 ? &parent->left : &parent->right;
	}
	if (dir_make_room(dir) != 0 || (de = kmem_zalloc(sizeof(*de) + len)) == NULL)
		return -ENOMEM;
	de->de_inode = ino;
	de->de_len = (uint32_t)len;
	memcpy(de->de_name, name, len);
	rb_insert(&dir->i_names, parent, link, &de->de_node);
	dir->i_list[dir->i_count++] = de;
	if (inode_is_dir(ino)) {
		ino->i_parent = dir;
		ino->i_self = de;
		dir->i_nlink++;
	}
	return 0;
}

int
inode_add_device(const char *name, uint32_t perm, uint64_t rdev, const struct file_ops *ops)
{
	struct dirent *de = dir_lookup(root, "dev", 3);
	struct inode *dev, *ino;
	int error;

	if (de == NULL) {
		dev = inode_create(S_IFDIR | 0755);
		if (dev == NULL || dir_enter(root, "dev", 3, dev) != 0)
			return -ENOMEM;
	} else
		dev = de->de_inode;
	if (!inode_is_dir(dev))
		return -ENOTDIR;
	ino = inode_create(S_IFCHR | perm);
	if (ino == NULL)
		return -ENOMEM;
	ino->i_ops = ops;
	ino->i_rdev = rdev;
	error = dir_enter(dev, name, strlen(name), ino);
	if (error != 0)
		kmem_free(ino, sizeof(*ino));
	return error;
}

ssize_t
inode_read_kernel(struct inode *ino, void *dst, size_t n, uint64_t off)
{
	char *d = dst;
	size_t done = 0;

	if (!inode_is_file(ino))
		return inode_is_dir(ino) ? -EISDIR : -EINVAL;
	if (off >= ino->i_size)
		return 0;
	n = min(n, ino->i_size - off);
	while (done < n) {
		size_t in_page = (off + done) & PAGE_MASK;
		size_t chunk = min(n - done, PAGE_SIZE - in_page);

		memcpy(d + done,
		    (char *)page_to_virt(ino->i_pages[(off + done) >> PAGE_SHIFT]) + in_page,
		    chunk);
		done += chunk;
	}
	return (ssize_t)done;
}

struct vmobj *
inode_vmobj(struct inode *ino)
{
	KASSERT(inode_is_file(ino));
	vmobj_ref(ino->i_obj);
	return ino->i_obj;
}

void
inode_stat(const struct inode *ino, struct abi_stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = FS_DEV;
	st->st_ino = ino->i_ino;
	st->st_nlink = ino->i_nlink;
	st->st_mode = ino->i_mode;
	st->st_blksize = PAGE_SIZE;
	st->st_atim.tv_sec = st->st_mtim.tv_sec = st->st_ctim.tv_sec = ino->i_mtime;
	switch (ino->i_mode & S_IFMT) {
	case S_IFREG:
		st->st_size = (int64_t)ino->i_size;
		st->st_blocks = (int64_t)(round_page(ino->i_size) / 512);
		break;
	case S_IFLNK:
		st->st_size = ino->i_targetlen;
		break;
	case S_IFCHR:
		st->st_rdev = ino->i_rdev;
		break;
	default:
		break;
	}
}
