/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths as system calls name them.
 * layer: syscall
 */
#ifndef SYSCALL_PATH_H
#define SYSCALL_PATH_H

#include <kernel/inode.h>

/*
 * The inode at a user's path, seen from the directory `dirfd` or AT_FDCWD, with a reference. With
 * `empty_ok` an empty path is the file of dirfd itself, which must have an inode. Errors of
 * inode_lookup(), -EFAULT, -EBADF, -ENOTDIR.
 */
int path_lookup(int dirfd, uintptr_t upath, unsigned flags, bool empty_ok, struct inode **);

#endif
