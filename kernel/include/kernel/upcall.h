/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Upcalls: what lower layers call of higher ones. The headers of those layers include this one.
 * layer: core
 */
#ifndef KERNEL_UPCALL_H
#define KERNEL_UPCALL_H

#include <kernel/types.h>

struct filedesc;
struct inode;
struct lwp;
struct proc;
struct vmobj;

/* ---- sched calls sync; see sleepq.c ---- */

/* Ends an interruptible sleep of l (signal, exit, suspend). => l locked; unlocked on return */
void sleepq_unsleep(struct lwp *l);
/* Puts l behind its new equals after a change of its effective priority from `old`. => l locked */
void sleepq_changepri(struct lwp *l, int old);

/*
 * If l waits for a lock: its owner, and whom that waits for in turn, are lent what l has now. The caller has changed
 * l's priority. => l locked, and again on return: it may be let go between; p_lock held
 */
void turnstile_changepri(struct lwp *l);

/* ---- sched calls proc; see timers.c ---- */

/* The tick found an LWP of a process with timers by CPU time. => in the timer interrupt */
void timers_tick(struct proc *);

/* ---- mem calls proc: a page fault of user mode found no memory; see oom.c ---- */

/* Returns when the access is worth another try, or the current process is killed. => no lock held; sleeps */
void oom_fault(void);

/* ---- proc calls fs: descriptor tables; see fdtable.c ---- */

struct filedesc *fd_copy(struct filedesc *); /* fork; NULL = no memory */
struct filedesc *fd_ref(struct filedesc *);  /* CLONE_FILES */
void fd_unref(struct filedesc *);            /* last one closes all; may sleep */
/* exec: the table itself if nobody shares it, else a copy. NULL = no memory. => one LWP runs */
struct filedesc *fd_unshared(struct filedesc *);
void fd_close_on_exec(struct filedesc *); /* => not shared */

/* ---- proc calls fs: the program of execve; see inode.c and lookup.c ---- */

/*
 * The inode at `path`, seen from the directory `cwd` (NULL = root), with a reference.
 * => the path is shorter than PATH_MAX. -ENOENT -ENOTDIR -ELOOP -ENAMETOOLONG -ENOMEM
 */
int inode_lookup(struct inode *cwd, const char *path, struct inode **);
/*
 * Reads file bytes into kernel memory: bytes read (0 at the end), -EISDIR or -EINVAL. => does not
 * sleep
 */
ssize_t inode_read_kernel(struct inode *, void *, size_t, uint64_t off);
/* Of a regular file; a reference for the caller. */
struct vmobj *inode_vmobj(struct inode *);

/* A path from user memory: long ones are held in an allocation of their own. */
#define PATHBUF_SMALL 256
struct pathbuf {
	char *pb_path;
	char pb_small[PATHBUF_SMALL];
};
/* 0; -EFAULT -ENAMETOOLONG -ENOMEM, and nothing to free. */
int pathbuf_copyin(struct pathbuf *, uintptr_t upath);
void pathbuf_free(struct pathbuf *);

#endif
