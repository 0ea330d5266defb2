/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex(2) and robust lists: Linux's numbers and structures.
 * layer: lib
 */
#ifndef ABI_FUTEX_H
#define ABI_FUTEX_H

#include <kernel/types.h>

#define FUTEX_WAIT            0
#define FUTEX_WAKE            1
#define FUTEX_REQUEUE         3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAKE_OP         5
#define FUTEX_LOCK_PI         6
#define FUTEX_UNLOCK_PI       7
#define FUTEX_TRYLOCK_PI      8
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAKE_BITSET     10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI  12
#define FUTEX_LOCK_PI2        13
#define FUTEX_PRIVATE_FLAG    128
#define FUTEX_CLOCK_REALTIME  256
#define FUTEX_CMD_MASK        (~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))
#define FUTEX_BITSET_ANY      0xffffffffu

/* FUTEX_WAKE_OP: bits 28-30 operation, 31 its argument is a shift count, 24-27 comparison, 12-23 and 0-11 arguments. */
#define FUTEX_OP_SET       0
#define FUTEX_OP_ADD       1
#define FUTEX_OP_OR        2
#define FUTEX_OP_ANDN      3
#define FUTEX_OP_XOR       4
#define FUTEX_OP_ARG_SHIFT 8
#define FUTEX_OP_CMP_EQ    0
#define FUTEX_OP_CMP_NE    1
#define FUTEX_OP_CMP_LT    2
#define FUTEX_OP_CMP_LE    3
#define FUTEX_OP_CMP_GT    4
#define FUTEX_OP_CMP_GE    5

/* The word of a lock that its owner may leave behind. */
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu

#define ROBUST_LIST_LIMIT 2048 /* entries that are looked at */
#define ROBUST_PI         1    /* low bit of an entry's address: a priority-inheriting lock */

struct robust_list_head {
	uint64_t
	    rl_next; /* first entry, or the head itself; each entry begins with the next one's address */
	int64_t rl_offset;   /* from an entry to its futex word */
	uint64_t rl_pending; /* entry being added or removed, or 0 */
};
_Static_assert(sizeof(struct robust_list_head) == 24, "struct robust_list_head");

#endif
