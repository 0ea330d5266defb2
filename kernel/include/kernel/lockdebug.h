/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lockdebug, of the debug build: what is wrong about the use of locks, docs/sanitizers.md. Nothing in a release build.
 * layer: core
 */
#ifndef KERNEL_LOCKDEBUG_H
#define KERNEL_LOCKDEBUG_H

#include <kernel/types.h>

struct lwp;
struct mutex;
struct rwlock;
struct spinlock;

#if defined(DEBUG) && !__STDC_HOSTED__

/*
 * A lock is about to be taken, and waited for, by who holds others: learns the order and panics if it closes a circle.
 * => interrupts off (spin), or curlwp's own lists (mutex, rwlock in either mode)
 */
void lockdebug_spin(struct spinlock *, uintptr_t pc);
void lockdebug_mutex(struct mutex *, uintptr_t pc);
void lockdebug_rw(struct rwlock *, uintptr_t pc);
/* Spinning for `m` since long: panics if the CPUs wait for each other in a circle. => interrupts off */
void lockdebug_spinning(const struct spinlock *m);
/*
 * About to sleep for `lock`, a mutex or rwlock; l_lockwait or l_rwwait, and its WAITERS set: panics if the owners wait in a
 * circle. Those that read are not known. => chain lock held
 */
void lockdebug_waiting(const void *lock);
/* Tells who waits for which mutex or rwlock, its owner and where he took it; for all LWPs. => all is at rest */
void lockdebug_print_waits(void);
/* `l` waits for a lock whose owner waits, ... for a lock of l: panics. => the owners cannot go on */
void lockdebug_circle(const struct lwp *l, const void *obj) __attribute__((noreturn));
/* Panics if curlwp holds any lock; `where`: "return to user mode". */
void lockdebug_none(const char *where);
/* Memory is about to be freed: panics if curlwp holds a lock in it. => any context */
void lockdebug_freed(const void *, size_t);
/* A spin lock that is held longer than `lockdebug_hold` cycles ends in a panic when it is released; 0 = never. */
extern uint64_t lockdebug_hold;
void lockdebug_released(const struct spinlock *);
extern bool lockdebug_learning; /* off: only for tests of what comes behind */
/* Entry i of the table of edges, from 0 to LOCKDEBUG_EDGES: who is held, or NULL; *to: who is taken meanwhile. */
#define LOCKDEBUG_EDGES 1024u
const char *lockdebug_edge(unsigned i, const char **to, uintptr_t *held_at, uintptr_t *taken_at);

#else

#define lockdebug_none(where) ((void)0)
#define lockdebug_freed(p, n) ((void)(p), (void)(n))

#endif

#endif
