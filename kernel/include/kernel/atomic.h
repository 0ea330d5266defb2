/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Atomic access to shared words. Every intended race in the kernel goes through these, so that a
 * plain access to shared memory is either covered by a lock or a bug.
 * layer: lib
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#define atomic_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_swap(p, v)          __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define atomic_add(p, v)           __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL) /* returns the old value */
#define atomic_sub(p, v)           __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL) /* returns the old value */
#define atomic_or(p, v)            __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL) /* returns the old value */
#define atomic_and(p, v)           __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL) /* returns the old value */
/* Strong compare-and-swap; on failure *expected is set to the value seen. Returns success. */
#define atomic_cas(p, expected, v) \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
/* Counts up a word that only its owner writes and others read at any time; no locked instruction. */
#define atomic_count(p)     atomic_store_relaxed((p), *(p) + 1)
#define atomic_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define compiler_barrier()  __asm volatile("" ::: "memory")

#endif
