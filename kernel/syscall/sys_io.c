/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that move bytes: read write readv writev pread64 pwrite64 preadv pwritev lseek.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <kernel/file.h>
#include <kernel/uio.h>

typedef int64_t transfer_fn(struct file *, struct uio *);
typedef int64_t ptransfer_fn(struct file *, struct uio *, uint64_t off);

static inline int64_t
transfer(const uint64_t *a, transfer_fn *fn)
{
	struct fref r = fd_get((int)a[0]);
	struct uio u;
	int64_t n;

	if (unlikely(r.fr_file == NULL))
		return -EBADF;
	n = uio_single(&u, a[1], a[2]);
	if (likely(n == 0))
		n = fn(r.fr_file, &u);
	/* The mode is looked at before the address, as Linux does. */
	else if ((r.fr_file->f_mode & (fn == file_read ? FREAD : FWRITE)) == 0)
		n = -EBADF;
	fd_put(r);
	return n;
}

int64_t
sys_read(const uint64_t *a)
{
	return transfer(a, file_read);
}

int64_t
sys_write(const uint64_t *a)
{
	return transfer(a, file_write);
}

static int64_t
vtransfer(const uint64_t *a, transfer_fn *fn)
{
	struct fref r = fd_get((int)a[0]);
	struct uio u;
	int64_t n;

	if (r.fr_file == NULL)
		return -EBADF;
	if ((r.fr_file->f_mode & (fn == file_read ? FREAD : FWRITE)) == 0)
		n = -EBADF;
	else if ((n = uio_vector(&u, a[1], a[2])) == 0) {
		n = u.u_resid == 0 ? 0 : fn(r.fr_file, &u);
		uio_free(&u);
	}
	fd_put(r);
	return n;
}

int64_t
sys_readv(const uint64_t *a)
{
	return vtransfer(a, file_read);
}

int64_t
sys_writev(const uint64_t *a)
{
	return vtransfer(a, file_write);
}

static int64_t
ptransfer(const uint64_t *a, ptransfer_fn *fn, bool vector)
{
	struct fref r = fd_get((int)a[0]);
	struct uio u;
	int64_t n;

	if (r.fr_file == NULL)
		return -EBADF;
	n = vector ? uio_vector(&u, a[1], a[2]) : uio_single(&u, a[1], a[2]);
	if (n == 0) {
		n = fn(r.fr_file, &u, a[3]);
		uio_free(&u);
	}
	fd_put(r);
	return n;
}

int64_t
sys_pread64(const uint64_t *a)
{
	return ptransfer(a, file_pread, false);
}

int64_t
sys_pwrite64(const uint64_t *a)
{
	return ptransfer(a, file_pwrite, false);
}

/* The offset comes in two halves, of which the first holds all of it on a 64-bit machine. */
int64_t
sys_preadv(const uint64_t *a)
{
	return ptransfer(a, file_pread, true);
}

int64_t
sys_pwritev(const uint64_t *a)
{
	return ptransfer(a, file_pwrite, true);
}

int64_t
sys_lseek(const uint64_t *a)
{
	struct fref r = fd_get((int)a[0]);
	int64_t n;

	if (r.fr_file == NULL)
		return -EBADF;
	n = file_seek(r.fr_file, (int64_t)a[1], (int)a[2]);
	fd_put(r);
	return n;
}
