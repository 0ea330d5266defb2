/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes: sleep on the value of a user word.
 * layer: proc
 */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H

#include <abi/futex.h>
#include <kernel/cv.h>
#include <kernel/types.h>

struct lwp;

void futex_init(void);
void pifutex_init(void);

/*
 * All act on the 32-bit word at `addr` in the current address space. `shared`: waiters of other address spaces
 * that map the same memory count too. -EINVAL: misaligned, or one waits there for
 * futex_requeue_pi() only; -EFAULT: not a readable user address.
 * => no lock held; may fault, may sleep
 *
 * futex_wait: sleeps if the word is `val`. 0 woken by a wake that has one of `bits`; -EAGAIN another value;
 * -ETIMEDOUT (deadline on the monotonic clock, NSEC_FOREVER = none); -ERESTART, -EINTR interrupted.
 * futex_wake: wakes up to n waiters that have one of `bits`, real-time ones first, then the oldest; returns how many.
 * futex_requeue: wakes nwake waiters, and moves up to nmove more to addr2; returns the sum. With `cmp`: -EAGAIN if
 * the word is not *cmp.
 * futex_wake_op: changes the word at addr2 by `code` (abi/futex.h), wakes up to n waiters at addr, and n2 at addr2 if
 * the old word compares; returns the sum. -ENOSYS: unknown code.
 */
int futex_wait(uintptr_t addr, bool shared, uint32_t val, uint32_t bits, nsec_t deadline);
int futex_wake(uintptr_t addr, bool shared, unsigned n, uint32_t bits);
int futex_requeue(uintptr_t addr, uintptr_t addr2, bool shared, unsigned nwake, unsigned nmove,
    const uint32_t *cmp);
int futex_wake_op(
    uintptr_t addr, uintptr_t addr2, bool shared, unsigned n, unsigned n2, uint32_t code);

/*
 * Locks with priority inheritance, see pifutex.c: the word is the owner's id, with FUTEX_WAITERS and
 * FUTEX_OWNER_DIED.
 *
 * futex_lock_pi: 0 it is ours; -EDEADLK it was ours, or its owner waits for us; -ESRCH there is no such owner;
 * -EPERM it is a kernel thread; -EINVAL the word contradicts what the kernel knows; -EAGAIN (`try`) taken;
 * -ETIMEDOUT; -ERESTARTNOINTR, -EINTR interrupted; -ENOMEM.
 * futex_unlock_pi: 0; -EPERM it is not ours; -EINVAL, -EAGAIN the word contradicts or changed.
 *
 * futex_wait_requeue_pi: sleeps if the word at `addr` is `val`, until somebody's futex_requeue_pi() has moved us to the
 * lock at addr2 and it is ours: 0. -EAGAIN another value, or interrupted when moved already; -ETIMEDOUT;
 * -ERESTARTNOINTR, -EINTR interrupted before; -EINVAL the same word.
 * futex_requeue_pi: gives the lock at addr2 to the first waiter at `addr`, if it is free; it and up to nmove more wait for
 * the lock otherwise. Returns how many; or an error, perhaps after some: -EAGAIN the word at `addr` is not `cmp`; -EINVAL
 * one does not wait for this lock; those of futex_lock_pi for a waiter, which goes on waiting.
 * => as above
 */
int futex_lock_pi(uintptr_t addr, bool shared, nsec_t deadline, bool try);
int futex_unlock_pi(uintptr_t addr, bool shared);
int futex_wait_requeue_pi(
    uintptr_t addr, uintptr_t addr2, bool shared, uint32_t val, nsec_t deadline);
int futex_requeue_pi(uintptr_t addr, uintptr_t addr2, bool shared, unsigned nmove, uint32_t cmp);
/*
 * The current LWP leaves: the locks that it holds and others wait for go to the first of these each, and no more
 * come. => robust lists done; no lock held
 */
void pifutex_exit(void);

/* Wakes up to n waiters at `addr`, whichever kind of key they wait with; returns how many, or -errno. */
int futex_wake_addr(uintptr_t addr, unsigned n);

/*
 * What other threads expect of one that leaves its address space by exit or exec: robust locks that it holds are
 * marked and handed on, then the word of set_tid_address is zeroed and woken. Once: both are forgotten.
 * => l is curlwp and has its old id; no lock held; may fault, may sleep
 */
void lwp_release_user_state(struct lwp *);

#endif
