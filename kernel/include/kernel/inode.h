/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes: the tree of the RAM disk and its devices.
 *
 * The tree is built during the boot and never changes afterwards, so it is read without locks and
 * inodes live for ever. References are counted in the debug build only, where a count that falls
 * below zero is caught. This header tells what an inode is, for processes hold some; what is done
 * to the tree is in <kernel/inodetree.h>.
 * layer: core
 */
#ifndef KERNEL_INODE_H
#define KERNEL_INODE_H

#include <abi/stat.h>
#include <kernel/atomic.h>
#include <kernel/panic.h>
#include <kernel/rb.h>
#include <kernel/types.h>

struct file_ops;
struct page;
struct vmobj;

/* struct dirent, field locks: (c) constant after boot */
struct dirent {
	struct rb_node de_node; /* (c) of the directory's tree, by name */
	struct inode *de_inode; /* (c) */
	uint32_t de_len;        /* (c) of the name */
	char de_name[];         /* (c) not terminated */
};

/* struct inode, field locks: (c) constant after boot (a) atomic */
struct inode {
	uint32_t i_mode;  /* (c) type and permissions */
	uint32_t i_nlink; /* (c) */
	uint64_t i_ino;   /* (c) */
	int64_t i_mtime;  /* (c) seconds since 1970 */
#ifdef DEBUG
	uint32_t i_refs; /* (a) */
#endif
	union {
		struct {                        /* directory */
			struct rb_tree i_names; /* (c) */
			struct dirent **i_list; /* (c) in the order in which they were made */
			uint32_t i_count;       /* (c) */
			uint32_t i_room;        /* (c) of i_list */
			struct inode *i_parent; /* (c) the root's is itself */
			struct dirent *i_self;  /* (c) its name in the parent; NULL = root */
		};
		struct {                       /* file */
			struct page **i_pages; /* (c) the rest of the last one is zero */
			uint64_t i_size;       /* (c) */
			struct vmobj *i_obj;   /* (c) the same pages, for mappings */
		};
		struct {                      /* symbolic link */
			char *i_target;       /* (c) terminated */
			uint32_t i_targetlen; /* (c) */
		};
		struct {                              /* device */
			const struct file_ops *i_ops; /* (c) */
			uint64_t i_rdev;              /* (c) */
		};
	};
};

static inline void
inode_ref(struct inode *ino __unused)
{
	DEBUG_ONLY(atomic_add(&ino->i_refs, 1));
}

static inline void
inode_unref(struct inode *ino __unused)
{
	DEBUG_ONLY(uint32_t was = atomic_sub(&ino->i_refs, 1));
	DEBUG_ONLY(
	    KASSERTMSG(was > 1, "inode %lu", ino->i_ino)); /* the tree's own reference stays */
}

static inline bool
inode_is_dir(const struct inode *ino)
{
	return S_ISDIR(ino->i_mode);
}

static inline bool
inode_is_file(const struct inode *ino)
{
	return S_ISREG(ino->i_mode);
}

static inline uint64_t
inode_size(const struct inode *ino)
{
	return S_ISREG(ino->i_mode) ? ino->i_size : 0;
}

#endif
