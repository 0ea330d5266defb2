/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of inodes and path lookup. What exec needs of it stands in <kernel/upcall.h>.
 * layer: fs
 */
#ifndef KERNEL_INODETREE_H
#define KERNEL_INODETREE_H

#include <kernel/inode.h>
#include <kernel/upcall.h>

struct inode *inode_root(void);
void inode_stat(const struct inode *, struct abi_stat *);

/* ---- the tree; see inode.c ---- */

struct dirent *dir_lookup(const struct inode *dir, const char *name, size_t len);
/* Boot only. -EEXIST -ENOMEM -ENAMETOOLONG */
int dir_enter(struct inode *dir, const char *name, size_t len, struct inode *);
struct inode *inode_create(uint32_t mode); /* NULL = no memory */
void inode_tree_init(void);
uint64_t inode_new_number(void); /* for pipes too */
/* Boot only: a device under /dev. */
int inode_add_device(const char *name, uint32_t perm, uint64_t rdev, const struct file_ops *);

/* ---- path lookup; see lookup.c ---- */

#define LOOKUP_NOFOLLOW 1 /* a symbolic link as last component is the result */
#define LOOKUP_CREATE   2 /* a missing last component in a directory that exists is -EROFS */

/* As inode_lookup(), with LOOKUP_*. */
int inode_lookup_flags(struct inode *cwd, const char *path, unsigned flags, struct inode **);
/* Path of a directory; bytes with the NUL, or -ERANGE. */
ssize_t inode_dir_path(const struct inode *dir, char *buf, size_t size);

#endif
