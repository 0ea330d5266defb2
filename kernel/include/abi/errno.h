/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error numbers: Linux's values. X(name, value, text)
 * layer: lib
 */
#ifndef ABI_ERRNO_H
#define ABI_ERRNO_H

#define ERRNOS(X) \
	X(EPERM, 1, "operation not permitted") \
	X(ENOENT, 2, "no such file or directory") \
	X(ESRCH, 3, "no such process") \
	X(EINTR, 4, "interrupted system call") \
	X(EIO, 5, "input/output error") \
	X(ENXIO, 6, "no such device or address") \
	X(E2BIG, 7, "argument list too long") \
	X(ENOEXEC, 8, "exec format error") \
	X(EBADF, 9, "bad file descriptor") \
	X(ECHILD, 10, "no child processes") \
	X(EAGAIN, 11, "resource temporarily unavailable") \
	X(ENOMEM, 12, "out of memory") \
	X(EACCES, 13, "permission denied") \
	X(EFAULT, 14, "bad address") \
	X(EBUSY, 16, "device or resource busy") \
	X(EEXIST, 17, "file exists") \
	X(EXDEV, 18, "cross-device link") \
	X(ENODEV, 19, "no such device") \
	X(ENOTDIR, 20, "not a directory") \
	X(EISDIR, 21, "is a directory") \
	X(EINVAL, 22, "invalid argument") \
	X(ENFILE, 23, "too many open files in system") \
	X(EMFILE, 24, "too many open files") \
	X(ENOTTY, 25, "not a terminal") \
	X(ETXTBSY, 26, "text file busy") \
	X(EFBIG, 27, "file too large") \
	X(ENOSPC, 28, "no space left on device") \
	X(ESPIPE, 29, "illegal seek") \
	X(EROFS, 30, "read-only file system") \
	X(EMLINK, 31, "too many links") \
	X(EPIPE, 32, "broken pipe") \
	X(EDOM, 33, "argument out of domain") \
	X(ERANGE, 34, "result out of range") \
	X(EDEADLK, 35, "deadlock avoided") \
	X(ENAMETOOLONG, 36, "file name too long") \
	X(ENOLCK, 37, "no locks available") \
	X(ENOSYS, 38, "function not implemented") \
	X(ENOTEMPTY, 39, "directory not empty") \
	X(ELOOP, 40, "too many symbolic links") \
	X(EOVERFLOW, 75, "value too large") \
	X(EOPNOTSUPP, 95, "operation not supported") \
	X(EALREADY, 114, "operation already in progress") \
	X(ETIMEDOUT, 110, "timed out") \
	X(EOWNERDEAD, 130, "owner died")

enum errno_value {
#define X(name, value, text) name = value,
	ERRNOS(X)
#undef X
};

#define EWOULDBLOCK EAGAIN

/* Inside the kernel only; never seen by user programs. */
#define ERESTART       512 /* restart the call unless a handler without SA_RESTART runs (then EINTR) */
#define ERESTARTNOHAND 513 /* restart unless any handler runs (then EINTR) */
#define ERESTARTNOINTR 515 /* restart always */
#define EJUSTRETURN    514 /* registers are set already: sigreturn, exec */

#endif
