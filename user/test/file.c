/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the RAM disk: open, read, seek, stat, shared offsets and errors.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static int
read_some(void *arg)
{
	char b[100];

	return read(*(int *)arg, b, sizeof(b)) == 100 ? 0 : 1;
}

static void
test_read(int fd)
{
	struct iovec v[3];
	char b[64], c[8], d[8];

	is_int(read(fd, b, 8), 8, "read 8 bytes");
	ok(memcmp(b, "0000000\n", 8) == 0, "the first ones");
	is_int(read(fd, b, 8), 8, "and 8 more");
	ok(memcmp(b, "0000008\n", 8) == 0, "the next");
	is_int(pread(fd, b, 8, 800), 8, "pread");
	ok(memcmp(b, "0000800\n", 8) == 0, "at its place");
	is_int(lseek(fd, 0, SEEK_CUR), 16, "which does not move the offset");
	is_int(lseek(fd, -8, SEEK_END), 9992, "SEEK_END");
	is_int(read(fd, b, 64), 8, "a read near the end is short");
	is_int(read(fd, b, 64), 0, "and then 0");
	is_int(lseek(fd, 20000, SEEK_SET), 20000, "seeking beyond the end works");
	is_int(read(fd, b, 64), 0, "and reads nothing");
	is_err(lseek(fd, -1, SEEK_SET), EINVAL, "a negative place: EINVAL");
	is_err(lseek(fd, 0, 99), EINVAL, "unknown base: EINVAL");
	is_err(pread(fd, b, 8, -1), EINVAL, "pread at -1: EINVAL");
	lseek(fd, 0, SEEK_SET);
	v[0] = (struct iovec){ c, 8 };
	v[1] = (struct iovec){ NULL, 0 };
	v[2] = (struct iovec){ d, 8 };
	is_int(readv(fd, v, 3), 16, "readv");
	ok(memcmp(c, "0000000\n", 8) == 0 && memcmp(d, "0000008\n", 8) == 0, "fills in order");
	is_exit(run_child(read_some, &fd), 0, "a child reads on the same open file");
	is_int(lseek(fd, 0, SEEK_CUR), 116, "and moves the parent's offset");
	is_err(write(fd, b, 1), EBADF, "write to a file open for reading: EBADF");
	is_err(ioctl(fd, TIOCGWINSZ, b), ENOTTY, "ioctl: ENOTTY");
}

static void
test_stat(const char *path, int fd)
{
	struct stat a, b;

	is_int(stat(path, &a), 0, "stat");
	is_int(a.st_size, 10000, "size");
	ok(S_ISREG(a.st_mode), "a regular file");
	is_int(a.st_mode & 0777, 0644, "its mode");
	is_int(fstat(fd, &b), 0, "fstat");
	ok(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size, "the same file");
	is_int(fstatat(AT_FDCWD, path, &b, 0), 0, "fstatat");
	is_int(syscall(SYS_newfstatat, fd, "", &b, AT_EMPTY_PATH), 0, "with AT_EMPTY_PATH");
	is_int(b.st_size, 10000, "its size");
	is_int(stat("/", &a), 0, "stat of the root");
	ok(S_ISDIR(a.st_mode), "a folder");
	is_int(access(path, R_OK), 0, "access: readable");
	is_int(access(path, F_OK), 0, "access: there");
	is_err(access(path, X_OK), EACCES, "access: not executable, EACCES");
	is_err(access(path, 99), EINVAL, "access: bad mode, EINVAL");
	is_int(access(self_path(), X_OK), 0, "access: a program is executable");
}

static void
test_errors(const char *path)
{
	char b[300], deep[512], name[300];
	struct stat st;
	int fd;

	memset(name, 'n', sizeof(name) - 1);
	name[0] = '/';
	name[299] = '\0';
	snprintf(deep, sizeof(deep), "%s/x", path);
	is_err(open("/no/such", O_RDONLY), ENOENT, "no such file: ENOENT");
	is_err(open("", O_RDONLY), ENOENT, "empty path: ENOENT");
	is_err(open(deep, O_RDONLY), ENOTDIR, "below a file: ENOTDIR");
	snprintf(deep, sizeof(deep), "%s/", path);
	is_err(open(deep, O_RDONLY), ENOTDIR, "a file with a slash: ENOTDIR");
	is_err(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY of a file: ENOTDIR");
	is_err(open("/", O_WRONLY), EISDIR, "writing a folder: EISDIR");
	is_err(open(name, O_RDONLY), ENAMETOOLONG, "a name of 298 bytes: ENAMETOOLONG");
	is_err(stat("/no/such", &st), ENOENT, "stat: ENOENT");
	is_err(access("/no/such", F_OK), ENOENT, "access: ENOENT");
	is_err(openat(1000, "x", O_RDONLY), EBADF, "openat from nothing: EBADF");
	fd = open(path, O_RDONLY);
	is_err(openat(fd, "x", O_RDONLY), ENOTDIR, "openat from a file: ENOTDIR");
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	ok(fd >= 0, "the root can be opened");
	is_err(read(fd, b, 1), EISDIR, "reading it: EISDIR");
	close(fd);
	is_err(read(fd, b, 1), EBADF, "a closed descriptor: EBADF");
	is_err(fstat(-1, &st), EBADF, "fstat of -1: EBADF");
	snprintf(deep, sizeof(deep), "//%s", path);
	fd = open(deep, O_RDONLY);
	ok(fd >= 0, "doubled slashes count once");
	close(fd);
}

static void
test_openat(const char *path)
{
	char dir[256], up[600], *slash;
	int d, fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	d = open(dir, O_RDONLY | O_DIRECTORY);
	ok(d >= 0, "open the folder");
	fd = openat(d, slash + 1, O_RDONLY);
	ok(fd >= 0, "openat within it");
	close(fd);
	snprintf(up, sizeof(up), "./../%s/./%s", strrchr(dir, '/') + 1, slash + 1);
	fd = openat(d, up, O_RDONLY);
	ok(fd >= 0, "dots in a path");
	close(fd);
	fd = open("/../..", O_RDONLY);
	ok(fd >= 0, "above the root is the root");
	close(fd);
	fd = openat(d, path, O_RDONLY | O_CLOEXEC);
	is_int(path[0] == '/' ? fcntl(fd, F_GETFD) : FD_CLOEXEC, FD_CLOEXEC, "O_CLOEXEC");
	close(fd);
	close(d);
}

/* Nothing can be written, so there is nothing to write back. */
static void
test_sync(int fd)
{
	int p[2], null = open("/dev/null", O_RDWR);

	pipe(p);
	is_int(fsync(fd), 0, "fsync of a file");
	is_int(fdatasync(fd), 0, "fdatasync");
	is_err(fsync(p[1]), EINVAL, "fsync of a pipe: EINVAL");
	is_err(fsync(null), EINVAL, "of a device: EINVAL");
	is_err(fsync(600), EBADF, "of no file: EBADF");
	is_err(ftruncate(fd, 0), EINVAL, "ftruncate of a file open for reading: EINVAL");
	is_err(ftruncate(p[1], 0), EINVAL, "of a pipe: EINVAL");
	is_err(ftruncate(null, 0), EINVAL, "of a device: EINVAL");
	is_err(ftruncate(600, 0), EBADF, "of no file: EBADF");
	is_err(truncate("/dev", 0), EISDIR, "truncate of a directory: EISDIR");
	is_err(truncate("/dev/null", 0), EINVAL, "of a device: EINVAL");
	is_err(truncate("/nowhere", 0), ENOENT, "of no file: ENOENT");
	is_err(truncate("/dev/null", -1), EINVAL, "to less than nothing: EINVAL");
	close(p[0]);
	close(p[1]);
	close(null);
}

int
main(void)
{
	const char *path = data_path("text");
	int fd = open(path, O_RDONLY);

	if (fd == -1)
		bail_out("no test data: %s", path);
	test_read(fd);
	test_stat(path, fd);
	test_errors(path);
	test_openat(path);
	test_sync(fd);
	if (getpid() == 1)
		is_err(open(path, O_RDWR), EROFS, "the disk is read-only: EROFS");
	else
		skip("the host's disk is writable", "the disk is read-only: EROFS");
	return tap_done();
}
