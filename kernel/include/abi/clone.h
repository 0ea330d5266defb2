/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clone and clone3: Linux's values.
 * layer: lib
 */
#ifndef ABI_CLONE_H
#define ABI_CLONE_H

#include <kernel/types.h>

#define CLONE_SIGNAL_MASK    0x000000ff
#define CLONE_VM             0x00000100
#define CLONE_FS             0x00000200
#define CLONE_FILES          0x00000400
#define CLONE_SIGHAND        0x00000800
#define CLONE_VFORK          0x00004000
#define CLONE_THREAD         0x00010000
#define CLONE_SYSVSEM        0x00040000
#define CLONE_SETTLS         0x00080000
#define CLONE_PARENT_SETTID  0x00100000
#define CLONE_CHILD_CLEARTID 0x00200000
#define CLONE_DETACHED       0x00400000
#define CLONE_UNTRACED       0x00800000
#define CLONE_CHILD_SETTID   0x01000000
#define CLONE_IO             0x80000000u
#define CLONE_CLEAR_SIGHAND  0x100000000ul /* clone3 only */

struct abi_clone3 {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};
#define CLONE3_SIZE_VER0 64

#endif
