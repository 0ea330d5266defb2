/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmap, munmap, mprotect, mremap, madvise, brk, msync, mlock and mincore: placement, zeroing, splits,
 * what is in memory, file mappings, errors.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define HUGE ((size_t)16 << 40)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static int
all_bytes(const void *p, size_t n, int c)
{
	const unsigned char *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		if (b[i] != c)
			return 0;
	return 1;
}

/* Does a write (or read) of *p fault?  Tried in a child. */
static int
try_write(void *arg)
{
	*(volatile char *)arg = 1;
	return 0;
}

static int
try_read(void *arg)
{
	return *(volatile char *)arg & 0;
}

static int
try_exec(void *arg)
{
	((void (*)(void))arg)();
	return 0;
}

static void
test_map(void)
{
	char *p, *q;

	p = mmap(NULL, 64 * PAGE, RW, ANON, -1, 0);
	ok(p != MAP_FAILED && ((uintptr_t)p & (PAGE - 1)) == 0, "a mapping, page-aligned");
	ok(all_bytes(p, 64 * PAGE, 0), "filled with zeros");
	memset(p, 0x5a, 64 * PAGE);
	is_int(munmap(p + 16 * PAGE, 16 * PAGE), 0, "unmap a hole in the middle");
	ok(all_bytes(p, 16 * PAGE, 0x5a) && all_bytes(p + 32 * PAGE, 32 * PAGE, 0x5a),
	    "both sides are kept");
	is_killed(run_child(try_read, p + 16 * PAGE), SIGSEGV, "the hole is gone");
	q = mmap(p + 16 * PAGE, 16 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	ok(q == p + 16 * PAGE && all_bytes(q, 16 * PAGE, 0), "MAP_FIXED fills it with zeros");
	q = mmap(p + 8 * PAGE, 16 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	ok(q == p + 8 * PAGE && all_bytes(q, 16 * PAGE, 0), "MAP_FIXED replaces what is there");
	ok(all_bytes(p, 8 * PAGE, 0x5a) && all_bytes(p + 24 * PAGE, 8 * PAGE, 0), "and only that");
	q = mmap(p, PAGE, RW, ANON, -1, 0);
	ok(q != MAP_FAILED && q != p, "a hint in use: placed elsewhere");
	munmap(q, PAGE);
	munmap(p, 64 * PAGE);
	q = mmap(p, PAGE, RW, ANON, -1, 0);
	ok(q == p, "a free hint: placed there");
	is_int(munmap(p, 64 * PAGE), 0, "unmapping a range that is partly unmapped works");
	is_int(munmap(p, 64 * PAGE), 0, "also when nothing is there");
	p = mmap(NULL, 100, RW, ANON, -1, 0);
	ok(p != MAP_FAILED && all_bytes(p, PAGE, 0), "a length is rounded up to a page");
	munmap(p, 1);
	is_killed(run_child(try_read, p), SIGSEGV, "in munmap as well");
}

static void
test_map_errors(void)
{
	int fd = open(data_path("text"), O_RDONLY);

	errno = 0;
	is_err((long)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL, "length 0: EINVAL");
	is_err((long)mmap(hide(1), PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL,
	    "odd MAP_FIXED: EINVAL");
	is_err((long)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL, "no sharing type: EINVAL");
	is_err((long)mmap(NULL, PAGE, RW, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL,
	    "both sharing types, and no file: EINVAL");
	is_err((long)mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF, "no file: EBADF");
	is_err(
	    (long)syscall(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, fd, 1), EINVAL, "odd offset: EINVAL");
	is_err((long)mmap(NULL, (size_t)1 << 47, RW, ANON, -1, 0), ENOMEM, "too long: ENOMEM");
	is_err(syscall(SYS_mmap, 0, -1L, RW, ANON, -1, 0), ENOMEM, "length -1: ENOMEM");
	is_err((long)mmap(hide(0xffff800000000000), PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM,
	    "MAP_FIXED in the kernel: ENOMEM");
	is_err((long)mmap(hide(0x7fffffffe000), 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM,
	    "MAP_FIXED across the end of user memory: ENOMEM");
	is_err(munmap(hide(1), PAGE), EINVAL, "odd munmap: EINVAL");
	is_err(munmap(hide(PAGE), 0), EINVAL, "munmap of nothing: EINVAL");
	is_err(munmap(hide(0xffff800000000000), PAGE), EINVAL, "munmap of kernel memory: EINVAL");
	is_err((long)mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES,
	    "shared and writable, file open for reading: EACCES");
	close(fd);
}

static void
test_protect(void)
{
	char *p = mmap(NULL, 3 * PAGE, RW, ANON, -1, 0);
	static const unsigned char ret_insn = 0xc3;

	p[PAGE] = 7;
	is_int(mprotect(p + PAGE, PAGE, PROT_READ), 0, "make the middle page read-only");
	ok(p[PAGE] == 7, "it can be read");
	is_killed(run_child(try_write, p + PAGE), SIGSEGV, "and not be written");
	is_exit(run_child(try_write, p + 2 * PAGE), 0, "the next one can");
	is_int(mprotect(p, 3 * PAGE, PROT_NONE), 0, "no access to all three");
	is_killed(run_child(try_read, p), SIGSEGV, "not even to read");
	is_int(mprotect(p, 3 * PAGE, RW), 0, "and back");
	ok(p[PAGE] == 7, "the contents are kept");
	is_exit(run_child(try_write, p + PAGE), 0, "it can be written again");
	p[0] = (char)ret_insn;
	is_killed(run_child(try_exec, p), SIGSEGV, "data is not executable");
	is_int(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0, "made executable");
	is_exit(run_child(try_exec, p), 0, "it runs");
	is_err(syscall(SYS_mprotect, p + 1, PAGE, RW), EINVAL, "odd address: EINVAL");
	munmap(p + PAGE, PAGE);
	is_err(mprotect(p, 3 * PAGE, PROT_READ), ENOMEM, "a hole in the range: ENOMEM");
	is_int(mprotect(p, 0, PROT_READ), 0, "length 0: nothing to do");
	munmap(p, 3 * PAGE);
	p = mmap(NULL, HUGE, PROT_NONE, ANON, -1, 0);
	is_err(mprotect(p, HUGE, RW), ENOMEM, "more than there is cannot become writable: ENOMEM");
	is_int(mprotect(p + HUGE / 2, PAGE, RW), 0, "a page of it can");
	munmap(p, HUGE);
}

static void
test_remap(void)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0), *q, *block;

	memset(p, 3, 4 * PAGE);
	q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
	ok(q == p && all_bytes(p, 2 * PAGE, 3), "mremap shrinks in place");
	is_killed(run_child(try_read, p + 2 * PAGE), SIGSEGV, "the tail is gone");
	block = mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	is_err((long)mremap(p, 2 * PAGE, 8 * PAGE, 0), ENOMEM, "no room to grow: ENOMEM");
	q = mremap(p, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && q != p, "it may move");
	ok(all_bytes(q, 2 * PAGE, 3) && all_bytes(q + 2 * PAGE, 6 * PAGE, 0),
	    "the contents move along, the rest is zero");
	is_killed(run_child(try_read, p), SIGSEGV, "the old place is gone");
	is_err(
	    (long)mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT, "mremap of nothing: EFAULT");
	is_err((long)mremap(q + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL, "odd address: EINVAL");
	is_err((long)mremap(q, PAGE, 0, MREMAP_MAYMOVE), EINVAL, "new length 0: EINVAL");
	munmap(q, 8 * PAGE);
	munmap(block, PAGE);

	/* Page by page this would take a minute, and nobody could end it. */
	p = mmap(NULL, HUGE + PAGE, RW, ANON | MAP_NORESERVE, -1, 0);
	munmap(p + HUGE, PAGE);
	block = mmap(p + HUGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
	p[0] = 4;
	p[HUGE - 1] = 5;
	q = mremap(p, HUGE, HUGE + PAGE, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && q != p && q[0] == 4 && q[HUGE - 1] == 5 && q[HUGE] == 0,
	    "sixteen nearly empty terabytes move as quickly");
	munmap(q, HUGE + PAGE);
	munmap(block, PAGE);
}

static void
test_advise(void)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);

	memset(p, 9, 4 * PAGE);
	is_int(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED");
	ok(all_bytes(p + PAGE, 2 * PAGE, 0), "the pages are zero again");
	ok(all_bytes(p, PAGE, 9) && all_bytes(p + 3 * PAGE, PAGE, 9), "their neighbours are not");
	is_int(madvise(p, 4 * PAGE, MADV_NORMAL), 0, "MADV_NORMAL");
	is_err(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL, "odd address: EINVAL");
	is_err(madvise(p, PAGE, 9999), EINVAL, "unknown advice: EINVAL");
	munmap(p + PAGE, PAGE);
	is_err(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM, "a hole in the range: ENOMEM");
	munmap(p, 4 * PAGE);
}

/* How many of n pages are in memory; -1 with errno. */
static int
in_core(void *p, int n)
{
	unsigned char vec[600];
	int count = 0;

	if (mincore(p, (size_t)n * PAGE, vec) == -1)
		return -1;
	for (int i = 0; i < n; i++)
		count += vec[i] & 1;
	return count;
}

static int
locked_fork(void *arg)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);

	(void)arg;
	return in_core(p, 4);
}

static void
test_lock(void)
{
	char *p = mmap(NULL, 600 * PAGE, RW, ANON, -1, 0), *s = shared_mem(4 * PAGE), *q;
	char *none = mmap(NULL, 3 * PAGE, PROT_NONE, ANON, -1, 0), *b;

	is_int(in_core(p, 600), 0, "mincore: nothing is in memory yet");
	p[5 * PAGE] = p[300 * PAGE] = 1;
	is_int(in_core(p, 600), 2, "what was touched is");
	is_int(madvise(p + 5 * PAGE, PAGE, MADV_DONTNEED), 0, "until");
	is_int(in_core(p, 600), 1, "it is given up");
	s[PAGE] = 1;
	q = mremap(s, 0, 4 * PAGE, MREMAP_MAYMOVE);
	is_int(
	    q == MAP_FAILED ? 1 : in_core(q, 4), 1, "a page of a shared mapping, seen by another");
	is_int(mlock(p + 7, 2 * PAGE), 0, "mlock of a part of three pages");
	is_int(in_core(p, 10), 3, "brings all three");
	is_int(mlock2(p + 10 * PAGE, PAGE, MLOCK_ONFAULT), 0, "MLOCK_ONFAULT");
	is_int(in_core(p + 10 * PAGE, 1), 0, "brings none");
	is_int(mlock(p, 0), 0, "mlock of nothing");
	is_int(munlock(p, 3 * PAGE), 0, "munlock");
	is_int(msync(p, 10 * PAGE, MS_SYNC), 0, "msync");
	is_err(mlock(none, PAGE), ENOMEM, "mlock without access: ENOMEM");
	munmap(none + PAGE, PAGE);
	is_err(mlock(none, 3 * PAGE), ENOMEM, "mlock of a hole: ENOMEM");
	is_err(munlock(none, 3 * PAGE), ENOMEM, "munlock of a hole: ENOMEM");
	is_err(msync(none, 3 * PAGE, MS_ASYNC), ENOMEM, "msync of a hole: ENOMEM");
	is_err(in_core(none, 3), ENOMEM, "mincore of a hole: ENOMEM");
	is_err(msync(p + 1, PAGE, MS_SYNC), EINVAL, "msync of an odd address: EINVAL");
	is_err(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "two ways to msync: EINVAL");
	is_err(msync(p, PAGE, 64), EINVAL, "an unknown one: EINVAL");
	is_err(in_core(p + 1, 1), EINVAL, "mincore of an odd address: EINVAL");
	is_err(mincore(p, PAGE, hide(8)), EFAULT, "mincore to a bad address: EFAULT");
	is_err(mlock2(p, PAGE, 2), EINVAL, "mlock2: bad flags: EINVAL");
	is_err(mlockall(0), EINVAL, "mlockall: no flags: EINVAL");
	is_err(mlockall(MCL_ONFAULT), EINVAL, "mlockall: only MCL_ONFAULT: EINVAL");

	is_int(mlockall(MCL_CURRENT), 0, "mlockall of what there is");
	is_int(in_core(p, 600), 600, "brings all of it");
	q = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
	is_int(in_core(q, 4), 0, "but not what comes later");
	is_int(mlockall(MCL_FUTURE), 0, "mlockall of that, too");
	q = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
	is_int(in_core(q, 4), 4, "a mapping is in memory at once");
	b = (char *)syscall(SYS_brk, 0);
	b += -(uintptr_t)b & (PAGE - 1);
	syscall(SYS_brk, b);
	syscall(SYS_brk, b + 4 * PAGE);
	is_int(in_core(b, 4), 4, "and the heap's growth");
	syscall(SYS_brk, b);
	is_exit(run_child(locked_fork, NULL), 0, "a child inherits none of this");
	is_int(munlockall(), 0, "munlockall");
	q = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
	is_int(in_core(q, 4), 0, "ends it");
}

static void
test_brk(void)
{
	char *b = (char *)syscall(SYS_brk, 0), *n;

	n = (char *)syscall(SYS_brk, b + 10 * PAGE);
	ok(n == b + 10 * PAGE, "brk grows");
	ok(all_bytes(b, 10 * PAGE, 0), "with zeros");
	memset(b, 1, 10 * PAGE);
	n = (char *)syscall(SYS_brk, b);
	ok(n == b, "and shrinks");
	n = (char *)syscall(SYS_brk, b + 10 * PAGE);
	ok(n == b + 10 * PAGE && b[5 * PAGE] == 0, "and grows with zeros again");
	ok((char *)syscall(SYS_brk, 8) == n, "brk below the start changes nothing");
	ok((char *)syscall(SYS_brk, 0xffff800000000000) == n, "nor does one in the kernel");
	syscall(SYS_brk, b);
}

static void
test_file(void)
{
	int fd = open(data_path("text"), O_RDONLY);
	char buf[16], *p, *q;

	p = mmap(NULL, 10000, RW, MAP_PRIVATE, fd, 0);
	q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	close(fd);
	ok(p != MAP_FAILED && memcmp(p, "0000000\n", 8) == 0, "a private file mapping");
	ok(q != MAP_FAILED && memcmp(q, "0004096\n", 8) == 0, "a shared one, at an offset");
	ok(memcmp(p + 9992, "0009992\n", 8) == 0, "its last bytes");
	ok(all_bytes(p + 10000, 3 * PAGE - 10000, 0),
	    "beyond the end of the file the page is zero");
	p[4096] = 'X';
	ok(q[0] == '0', "a write to the private one is private");
	fd = open(data_path("text"), O_RDONLY);
	ok(pread(fd, buf, 8, 4096) == 8 && buf[0] == '0', "and does not reach the file");
	munmap(q, PAGE);
	q = mmap(NULL, 5 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	is_killed(
	    run_child(try_read, q + 4 * PAGE), SIGBUS, "a page wholly beyond the end: SIGBUS");
	munmap(q, 5 * PAGE);
	munmap(p, 10000);
}

int
main(void)
{
	test_map();
	test_map_errors();
	test_protect();
	test_remap();
	test_advise();
	test_lock();
	test_brk();
	test_file();
	return tap_done();
}
