/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user memory of a read or write: a vector of buffers and how far we are in it.
 * layer: fs
 */
#ifndef KERNEL_UIO_H
#define KERNEL_UIO_H

#include <abi/fcntl.h>
#include <kernel/types.h>

#define UIO_SMALL 8

/* struct uio, field locks: (o) the LWP that runs the call */
struct uio {
	const struct iovec *u_iov;       /* (o) present buffer */
	size_t u_off;                    /* (o) bytes of it that are done */
	size_t u_resid;                  /* (o) bytes to go in all */
	uint32_t u_alloc;                /* (o) entries of u_vec if it was allocated */
	struct iovec *u_vec;             /* (o) */
	struct iovec u_small[UIO_SMALL]; /* (o) */
};

/* One buffer. -EFAULT if it is not in user space. */
int uio_single(struct uio *, uintptr_t buf, size_t len);
/* readv and its relatives. -EINVAL -EFAULT -ENOMEM; 0 needs uio_free() */
int uio_vector(struct uio *, uintptr_t uvec, uint64_t count);
void uio_free(struct uio *);

/*
 * Kernel to user, user to kernel, zeros to user: up to n bytes; returns how many were moved. Less
 * than both n and u_resid means a bad address, or of uio_zero(), after some, lwp_interrupted().
 * => may fault: no spin lock, no lock of rank RANK_VMSPACE or above held
 */
size_t uio_put(struct uio *, const void *, size_t n);
size_t uio_get(struct uio *, void *, size_t n);
size_t uio_zero(struct uio *, size_t n);

#endif
