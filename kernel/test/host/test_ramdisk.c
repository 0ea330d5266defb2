/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAM disks and path lookup: a tree is unpacked, replaced in part, walked by paths of all kinds;
 * then damaged archives and archives of random members are unpacked, with and without enough
 * memory. All trees stay reachable, so what the leak checker finds was lost.
 *
 * sources: kernel/fs/ramdisk.c kernel/fs/inode.c kernel/fs/lookup.c kernel/fs/cpio.c
 * sources: kernel/lib/rb.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h
 * cflags: -include kernel/test/host/vm/physmap.h -Iarch/x86_64/include
 */
#include <hosttest.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <arch/arch_if.h>
#include <kernel/cpu.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/pipe.h>
#include <kernel/pmem.h>
#include <kernel/string.h>
#include <kernel/vm.h>

#define RAM_PAGES 8192
#define ROUNDS    3000

int snprintf(char *, size_t, const char *, ...);

static char ram[RAM_PAGES * PAGE_SIZE] __aligned(4096);
static struct page pages[RAM_PAGES];
char *host_ram = ram;
struct cpu *host_cpu;
struct lwp *host_lwp;
struct page *pmem_pages = pages;
static int fail_after = -1; /* allocations until they fail; -1 = never */
static int nobjs;

static bool
out_of_memory(void)
{
	if (fail_after > 0)
		fail_after--;
	return fail_after == 0;
}

/* ---- what the code under test calls ---- */

struct page *
page_alloc(enum page_kind kind)
{
	if (out_of_memory())
		return NULL;
	for (size_t i = 0; i < RAM_PAGES; i++)
		if (pages[i].pg_refs == 0) {
			pages[i].pg_refs = 1;
			pages[i].pg_kind = (uint8_t)kind;
			return &pages[i];
		}
	return NULL;
}

void
page_free_last(struct page *pg)
{
	pg->pg_refs = 0;
}

void *
kmem_alloc(size_t size)
{
	return out_of_memory() ? NULL : malloc(size);
}

void *
kmem_zalloc(size_t size)
{
	return out_of_memory() ? NULL : calloc(1, size);
}

void
kmem_free(void *p, size_t size)
{
	memset(p, 0x5a, size); /* the sanitizer checks the size */
	free(p);
}

struct vmobj {
	struct page **vo_pages;
	int vo_refs;
	unsigned vo_visit; /* of check_tree() */
};

struct vmobj *
vmobj_create_file(struct page **pgs, size_t size __unused)
{
	struct vmobj *obj = kmem_alloc(sizeof(*obj));

	if (obj != NULL) {
		*obj = (struct vmobj){ pgs, 1, 0 };
		nobjs++;
	}
	return obj;
}

void
vmobj_ref(struct vmobj *obj)
{
	obj->vo_refs++;
}

void
vmobj_unref(struct vmobj *obj)
{
	if (--obj->vo_refs == 0) {
		nobjs--;
		free(obj);
	}
}

ssize_t
arch_copyinstr(char *dst, uintptr_t src, size_t size)
{
	size_t n = strnlen((const char *)src, size);

	memcpy(dst, (const char *)src, n == size ? n : n + 1);
	return n == size ? -ENAMETOOLONG : (ssize_t)n;
}

void
file_init(void)
{
}

void
fd_init(void)
{
}

void
pipe_init(void)
{
}

void
devices_init(void)
{
	fail_after = -1;
	QUIET_CHECK(inode_add_device("null", 0666, DEV(1, 3), NULL) == 0);
}

/* ---- archives ---- */

static uint8_t buf[1 << 16];
static size_t len;
static uint32_t next_ino;

static void
add_member(
    const char *name, uint32_t mode, const char *data, size_t size, uint32_t ino, uint32_t nlink)
{
	len += (size_t)snprintf((char *)buf + len, sizeof(buf) - len,
	    "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ino, mode, 0, 0, nlink,
	    77, size, 0, 0, 0, 0, strlen(name) + 1, 0);
	memcpy(buf + len, name, strlen(name) + 1);
	len += strlen(name) + 1;
	while (len % 4 != 0)
		buf[len++] = 0;
	if (size > 0)
		memcpy(buf + len, data, size);
	len += size;
	while (len % 4 != 0)
		buf[len++] = 0;
}

static void
add(const char *name, uint32_t mode, const char *text)
{
	add_member(name, mode, text, strlen(text), ++next_ino, 1);
}

static int
load(void)
{
	add("TRAILER!!!", 0, "");
	return ramdisk_load(buf, len);
}

/* ---- looking at the tree ---- */

static int
look(const char *path, unsigned flags, struct inode **ino)
{
	return inode_lookup_flags(NULL, path, flags, ino);
}

static bool
has(const char *path, const char *text)
{
	struct inode *ino;
	char got[64] = { 0 };

	return look(path, 0, &ino) == 0 && inode_is_file(ino) && ino->i_size == strlen(text) &&
	    inode_read_kernel(ino, got, sizeof(got), 0) == (ssize_t)strlen(text) &&
	    strcmp(got, text) == 0;
}

static int
error_of(const char *path, unsigned flags)
{
	struct inode *ino;

	return look(path, flags, &ino);
}

/* Files below a directory, each counted once, and their pages; checks parents and link counts. */
static unsigned nfiles, npages, visit;

static void
check_dir(const struct inode *dir, unsigned depth)
{
	unsigned subdirs = 0;

	QUIET_CHECK(depth < 100);
	for (uint32_t i = 0; i < dir->i_count; i++) {
		const struct dirent *de = dir->i_list[i];
		const struct inode *ino = de->de_inode;

		QUIET_CHECK(dir_lookup(dir, de->de_name, de->de_len) == de);
		if (inode_is_dir(ino)) {
			QUIET_CHECK(ino->i_parent == dir && ino->i_self == de);
			subdirs++;
			check_dir(ino, depth + 1);
		} else if (inode_is_file(ino)) {
			QUIET_CHECK(ino->i_nlink > 0 && ino->i_obj != NULL &&
			    ino->i_obj->vo_pages == ino->i_pages);
			if (ino->i_obj->vo_visit != visit) {
				ino->i_obj->vo_visit = visit;
				nfiles++;
				npages += (unsigned)(round_page(ino->i_size) >> PAGE_SHIFT);
			}
		} else if (S_ISLNK(ino->i_mode))
			QUIET_CHECK(
			    strlen(ino->i_target) == ino->i_targetlen && ino->i_targetlen > 0);
	}
	QUIET_CHECK(dir->i_nlink == subdirs + 2);
}

/* The whole tree; it holds every page and object that was allocated. */
static void
check_tree(void)
{
	visit++;
	nfiles = npages = 0;
	check_dir(inode_root(), 0);
	QUIET_CHECK(nobjs == (int)nfiles);
	for (size_t i = 0; i < RAM_PAGES; i++)
		npages -= pages[i].pg_refs != 0;
	QUIET_CHECK(npages == 0);
}

static struct inode *old_roots[2 * ROUNDS + 2];
static unsigned nroots;

static void
new_tree(void)
{
	memset(pages, 0, sizeof(pages));
	nobjs = 0;
	len = 0;
	next_ino = 0;
	fs_init(NULL, 0);
	old_roots[nroots++] = inode_root();
}

/* ---- tests ---- */

static void
test_tree(void)
{
	static char big[3 * PAGE_SIZE + 100];
	struct inode *ino;
	char path[64];

	new_tree();
	memset(big, 'b', sizeof(big));
	add(".", S_IFDIR | 0700, "");
	add("bin", S_IFDIR | 0711, "");
	add("bin/sh", S_IFREG | 0755, "shell");
	add("./a//b/c/file", S_IFREG | 0644, "deep");
	add("/abs", S_IFREG | 0644, "absolute");
	add("empty", S_IFREG | 0644, "");
	add("lnk", S_IFLNK | 0777, "bin");
	add("a/up", S_IFLNK | 0777, "../bin/sh");
	add("a/abs", S_IFLNK | 0777, "/bin/");
	add("loop", S_IFLNK | 0777, "loop");
	add("dead", S_IFLNK | 0777, "nowhere");
	add("fifo", S_IFIFO | 0666, "");
	add_member("big", S_IFREG | 0600, big, sizeof(big), 900, 1);
	add_member("hard1", S_IFREG | 0600, "", 0, 901, 2);
	add_member("hard2", S_IFREG | 0600, "linked", 6, 901, 2);
	CHECK(load() == 0);
	CHECK(inode_root()->i_mode == (S_IFDIR | 0700));
	CHECK(has("/bin/sh", "shell") && has("bin//sh", "shell") && has("/a/b/c/file", "deep") &&
	    has("abs", "absolute"));
	CHECK(has("/empty", "") && has("/hard1", "linked") && has("/hard2", "linked"));
	CHECK(look("/hard1", 0, &ino) == 0 && ino->i_nlink == 2);
	CHECK(look("/bin/sh", 0, &ino) == 0 && (ino->i_mode & 0111) != 0 && ino->i_mtime == 77);
	CHECK(look("/big", 0, &ino) == 0 && (ino->i_mode & 0111) == 0 &&
	    inode_read_kernel(ino, path, 64, PAGE_SIZE - 10) == 64);
	CHECK(inode_read_kernel(ino, path, 64, sizeof(big) - 5) == 5 &&
	    inode_read_kernel(ino, path, 64, sizeof(big)) == 0);
	CHECK(((char *)page_to_virt(ino->i_pages[3]))[100] == 0);

	CHECK(has("/lnk/sh", "shell") && has("/a/up", "shell") && has("a/abs/sh", "shell") &&
	    has("/a/b/../up", "shell"));
	CHECK(look("/lnk", LOOKUP_NOFOLLOW, &ino) == 0 && S_ISLNK(ino->i_mode));
	CHECK(look("/lnk/", LOOKUP_NOFOLLOW, &ino) == 0 && inode_is_dir(ino));
	CHECK(error_of("/loop", 0) == -ELOOP && error_of("/loop/x", 0) == -ELOOP &&
	    error_of("loop", LOOKUP_NOFOLLOW) == 0);
	CHECK(error_of("/dead", 0) == -ENOENT && error_of("/none/x", 0) == -ENOENT &&
	    error_of("", 0) == -ENOENT);
	CHECK(error_of("/bin/sh/", 0) == -ENOTDIR && error_of("/bin/sh/..", 0) == -ENOTDIR &&
	    error_of("a/up/", 0) == -ENOTDIR);
	CHECK(error_of("/../../bin/./sh", 0) == 0 && error_of("///", 0) == 0 &&
	    error_of("/.", 0) == 0);
	CHECK(error_of("/new", LOOKUP_CREATE) == -EROFS &&
	    error_of("/no/new", LOOKUP_CREATE) == -ENOENT);
	CHECK(error_of("/fifo", 0) == -ENOENT);
	CHECK(look("/a/b", 0, &ino) == 0 && inode_dir_path(ino, path, sizeof(path)) == 5 &&
	    strcmp(path, "/a/b") == 0);
	CHECK(inode_dir_path(ino, path, 5) == 5 && inode_dir_path(ino, path, 4) == -ERANGE);
	CHECK(inode_dir_path(inode_root(), path, 2) == 2 && strcmp(path, "/") == 0);
	check_tree();
}

static void
test_second(void)
{
	len = 0;
	add("bin/sh", S_IFREG | 0644, "other shell");
	add("hard1", S_IFREG | 0600, "alone");
	add("lnk", S_IFREG | 0600, "was a link");
	add("big", S_IFLNK | 0777, "abs");
	add("dev", S_IFDIR | 0700, "");
	CHECK(load() == 0);
	CHECK(has("/bin/sh", "other shell") && has("/hard1", "alone") && has("/hard2", "linked") &&
	    has("/lnk", "was a link"));
	CHECK(has("/big", "absolute") && error_of("/dev/null", 0) == 0);
	len = 0;
	add("bin", S_IFREG | 0644, "no");
	CHECK(load() == -EEXIST);
	len = 0;
	add("dev/null", S_IFREG | 0644, "no");
	CHECK(load() == -EEXIST);
	len = 0;
	add("abs/below", S_IFREG | 0644, "no");
	CHECK(load() == -ENOTDIR);
	len = 0;
	add("a/../../etc", S_IFREG | 0644, "no");
	CHECK(load() == -EINVAL);
	len = 0;
	add("badlink", S_IFLNK | 0777, "");
	CHECK(load() == -EINVAL && error_of("/badlink", LOOKUP_NOFOLLOW) == -ENOENT);
	check_tree();
}

static uint64_t rng = 88172645463325252u;

static uint32_t
rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 33) % n;
}

static void
add_random(void)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, 0 };
	static const char *const parts[] = { "a", "b", "c", "dev", "null", ".", "..", "" };
	static char data[9000];
	char name[64] = "";
	uint32_t type = types[rnd(ARRAY_SIZE(types))];
	size_t n = 0;

	for (unsigned k = 1 + rnd(4); k > 0; k--)
		n += (size_t)snprintf(name + n, sizeof(name) - n, "%s%s",
		    parts[rnd(rnd(20) == 0 ? 8 : 5)], k > 1 ? "/" : "");
	memset(data, 'a' + (int)rnd(26), sizeof(data));
	add_member(name, type | 0755, data,
	    type == S_IFDIR    ? 0
		: rnd(10) == 0 ? rnd(9000)
			       : rnd(12),
	    rnd(6), 1 + rnd(3));
}

/* Trees of random members, some of them damaged, some out of memory. */
static void
test_random(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		new_tree();
		for (unsigned half = 0; half < 2; half++) {
			len = 0;
			for (unsigned n = rnd(20); n > 0; n--)
				add_random();
			add("TRAILER!!!", 0, "");
			if (round % 4 == 1)
				for (unsigned n = 1 + rnd(4); n > 0; n--)
					buf[rnd((uint32_t)len)] ^= (uint8_t)(1 + rnd(255));
			if (round % 4 == 2)
				fail_after = 1 + (int)rnd(60);
			(void)ramdisk_load(buf, round % 8 == 3 ? rnd((uint32_t)len + 1) : len);
			fail_after = -1;
			check_tree();
		}
	}
	CHECK_NAMED(host_failures == 0, "random trees");
}

int
main(void)
{
	test_tree();
	test_second();
	test_random();
	return host_done();
}
