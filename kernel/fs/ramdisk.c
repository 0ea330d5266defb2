/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacks RAM disks into the inode tree. Contents are copied into pages of their own, which
 * programs later map as they are. A second archive adds to the first: a file replaces the file of
 * that name, a directory takes over the new mode. Boot only, before the first program.
 */
#include <kernel/file.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <kernel/cpio.h>
#include <kernel/kmem.h>
#include <kernel/pipe.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/string.h>
#include <kernel/vm.h>

/*
 * A file with several names: the members have one number, and the contents come with one of them.
 */
struct hardlink {
	struct hardlink *next;
	struct inode *ino;
	uint32_t cpio_ino, devmajor, devminor;
};

struct loader {
	struct hardlink *links;
};

/* ---- contents ---- */

static void
free_pages(struct page **pages, size_t npages)
{
	for (size_t i = 0; i < npages; i++)
		if (pages[i] != NULL)
			page_unref(pages[i]);
	if (npages != 0)
		kmem_free(pages, npages * sizeof(*pages));
}

static void
file_drop_content(struct inode *ino)
{
	if (ino->i_obj != NULL)
		vmobj_unref(ino->i_obj);
	free_pages(ino->i_pages, round_page(ino->i_size) >> PAGE_SHIFT);
}

/* Replaces a file's contents, or leaves them as they are: -ENOMEM. */
static int
file_set_content(struct inode *ino, const uint8_t *data, size_t size)
{
	size_t npages = round_page(size) >> PAGE_SHIFT;
	struct page **pages = NULL;
	struct vmobj *obj;

	if (npages != 0 && (pages = kmem_zalloc(npages * sizeof(*pages))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < npages; i++) {
		size_t chunk = min(size - i * PAGE_SIZE, PAGE_SIZE);
		char *va;

		pages[i] = page_alloc(PG_OBJ);
		if (pages[i] == NULL)
			goto fail;
		va = page_to_virt(pages[i]);
		memcpy(va, data + i * PAGE_SIZE, chunk);
		memset(va + chunk, 0, PAGE_SIZE - chunk);
	}
	obj = vmobj_create_file(pages, size);
	if (obj == NULL)
		goto fail;
	file_drop_content(ino);
	ino->i_pages = pages;
	ino->i_size = size;
	ino->i_obj = obj;
	return 0;
fail:
	free_pages(pages, npages);
	return -ENOMEM;
}

static int
link_set_target(struct inode *ino, const uint8_t *data, size_t size)
{
	if (size == 0 || size >= PATH_MAX || strnlen((const char *)data, size) != size)
		return -EINVAL;
	ino->i_target = kmem_alloc(size + 1);
	if (ino->i_target == NULL)
		return -ENOMEM;
	memcpy(ino->i_target, data, size);
	ino->i_target[size] = '\0';
	ino->i_targetlen = (uint32_t)size;
	return 0;
}

/* A name of it is gone. */
static void
inode_unlink(struct inode *ino)
{
	if (--ino->i_nlink > 0)
		return;
	if (inode_is_file(ino))
		file_drop_content(ino);
	else if (ino->i_target != NULL)
		kmem_free(ino->i_target, ino->i_targetlen + 1);
	kmem_free(ino, sizeof(*ino));
}

/* ---- members ---- */

/* The directory `name` of `dir`, made if it is not there. */
static int
make_dir(struct inode *dir, const char *name, size_t len, uint32_t perm, struct inode **result)
{
	struct dirent *de = dir_lookup(dir, name, len);
	struct inode *ino;
	int error;

	if (de != NULL) {
		*result = de->de_inode;
		return inode_is_dir(de->de_inode) ? 0 : -ENOTDIR;
	}
	ino = inode_create(S_IFDIR | perm);
	if (ino == NULL)
		return -ENOMEM;
	error = dir_enter(dir, name, len, ino);
	if (error != 0)
		kmem_free(ino, sizeof(*ino));
	else
		*result = ino;
	return error;
}

/*
 * Walks to the directory of a member, making those that are missing; *name and *len become the last
 * component, *len 0 for the root itself. Links are not followed, and `..` is not accepted.
 */
static int
find_parent(const char **name, size_t *len, struct inode **parent)
{
	struct inode *dir = inode_root();
	const char *p = *name, *end;
	int error;

	for (;;) {
		size_t n;

		while (*p == '/')
			p++;
		for (end = p; *end != '\0' && *end != '/'; end++)
			continue;
		n = (size_t)(end - p);
		if (n == 1 && p[0] == '.') {
			p = end;
			continue;
		}
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return -EINVAL;
		*name = p;
		*len = n;
		*parent = dir;
		for (p = end; *p == '/'; p++)
			continue;
		if (*p == '\0')
			return 0;
		error = make_dir(dir, *name, n, 0755, &dir);
		if (error != 0)
			return error;
	}
}

/* The inode that an earlier name of this member made, or a new one. */
static int
leaf_inode(struct loader *ld, const struct cpio_member *m, struct inode **result)
{
	bool linked = S_ISREG(m->mode) && m->nlink > 1;
	struct hardlink *h = linked ? ld->links : NULL;
	struct inode *ino;

	while (h != NULL &&
	    (h->cpio_ino != m->ino || h->devmajor != m->devmajor || h->devminor != m->devminor))
		h = h->next;
	if (h != NULL) {
		h->ino->i_nlink++;
		*result = h->ino;
		return 0;
	}
	if (linked && (h = kmem_alloc(sizeof(*h))) == NULL)
		return -ENOMEM;
	ino = inode_create(m->mode & (S_IFMT | 07777));
	if (ino == NULL) {
		if (linked)
			kmem_free(h, sizeof(*h));
		return -ENOMEM;
	}
	if (linked) {
		*h = (struct hardlink){ ld->links, ino, m->ino, m->devmajor, m->devminor };
		ino->i_nlink++; /* the list's */
		ld->links = h;
	}
	*result = ino;
	return 0;
}

/* A file or a symbolic link; it replaces one that has its name. */
static int
add_leaf(
    struct loader *ld, const struct cpio_member *m, struct inode *dir, const char *name, size_t len)
{
	struct dirent *de = dir_lookup(dir, name, len);
	struct inode *ino, *old;
	int error;

	if (de != NULL && !S_ISREG(de->de_inode->i_mode) && !S_ISLNK(de->de_inode->i_mode))
		return -EEXIST;
	error = leaf_inode(ld, m, &ino);
	if (error != 0)
		return error;
	ino->i_mtime = m->mtime;
	if (S_ISLNK(m->mode))
		error = link_set_target(ino, m->data, m->size);
	else if (ino->i_obj == NULL || (m->size != 0 && ino->i_size == 0))
		error = file_set_content(ino, m->data, m->size);
	if (error == 0 && de == NULL)
		error = dir_enter(dir, name, len, ino);
	if (error != 0) {
		inode_unlink(ino);
		return error;
	}
	if (de != NULL) {
		old = de->de_inode;
		de->de_inode = ino;
		inode_unlink(old);
	}
	return 0;
}

static int
add_member(struct loader *ld, const struct cpio_member *m)
{
	struct inode *dir;
	const char *name = m->name;
	size_t len;
	int error = find_parent(&name, &len, &dir);

	if (error != 0)
		return error;
	switch (m->mode & S_IFMT) {
	case S_IFDIR:
		if (len != 0 && (error = make_dir(dir, name, len, 0, &dir)) != 0)
			return error;
		dir->i_mode = S_IFDIR | (m->mode & 07777);
		dir->i_mtime = m->mtime;
		return 0;
	case S_IFREG:
	case S_IFLNK:
		return len == 0 ? -EINVAL : add_leaf(ld, m, dir, name, len);
	default:
		kprintf("ramdisk: /%s: neither file nor folder nor link, left out\n", m->name);
		return 0;
	}
}

int
ramdisk_load(const void *cpio, size_t size)
{
	struct loader ld = { .links = NULL };
	struct cpio_member m;
	size_t pos = 0, at = 0;
	int error;

	while ((error = cpio_next(cpio, size, &pos, &m)) == 1) {
		error = add_member(&ld, &m);
		if (error != 0) {
			kprintf("ramdisk: /%s: error %d\n", m.name, -error);
			break;
		}
		at = pos;
	}
	if (error == -EINVAL)
		kprintf("ramdisk: malformed or cut off at byte %zu of %zu\n", at, size);
	while (ld.links != NULL) {
		struct hardlink *h = ld.links;

		ld.links = h->next;
		inode_unlink(h->ino); /* the list's own */
		kmem_free(h, sizeof(*h));
	}
	return error;
}

void
fs_init(const void *ramdisk, size_t size)
{
	inode_tree_init();
	file_init();
	fd_init();
	pipe_init();
	devices_init();
	if (ramdisk != NULL && ramdisk_load(ramdisk, size) != 0)
		kprintf("ramdisk: some of its files are missing\n");
}
