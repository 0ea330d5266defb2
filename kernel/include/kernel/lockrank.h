/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock order, written once. A lock may be taken only while every lock already held has a lower
 * rank; the debug build asserts it at each acquisition. The picture in docs/lwp.md is made from it (`make docs`).
 * layer: core
 */
#ifndef KERNEL_LOCKRANK_H
#define KERNEL_LOCKRANK_H

/* Adaptive mutexes: may be held over a sleep for another adaptive mutex or for memory. */
#define MUTEX_RANKS(X) \
	X(RANK_FILE, "file offset") \
	X(RANK_INODE, "inode, pipe, tty") \
	X(RANK_FDTABLE, "descriptor table") \
	X(RANK_LWPCTL, "lwpctl pages") \
	X(RANK_VMSPACE, "address space") \
	X(RANK_VMOBJ, "vm object, page tables") \
	X(RANK_PROC_LIST, "proc_lock") \
	X(RANK_PROC, "p_lock") \
	X(RANK_KMEM, "kernel memory")

#define SPIN_RANKS(X) \
	X(RANK_SLEEPQ, "sleep queue, futex bucket") \
	X(RANK_TURNSTILE, "turnstile chain") \
	X(RANK_LWPLOCK, "spc_lwplock") \
	X(RANK_RUNQ, "spc_mutex") \
	X(RANK_CALLOUT, "callout queue") \
	X(RANK_SPIN_LEAF, "leaf") \
	X(RANK_LOG, "kernel log")

#define LOCK_RANKS(X) MUTEX_RANKS(X) SPIN_RANKS(X)

enum lock_rank {
#define X(name, text) name,
	LOCK_RANKS(X)
#undef X
	    RANK_COUNT
};

#endif
