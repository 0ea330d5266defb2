/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: from small numbers to open files.
 *
 * Changes are made under fd_lock. Lookups take no lock. If this LWP is the only one that can change
 * the table (one LWP in the process, no other process shares the table) it needs no reference
 * either, for nothing else can close the file before the call ends. Otherwise fd_get() raises the
 * file's count unless it is 0 and then looks again whether the slot still holds the file: memory of
 * files is type-stable, so the worst it can have touched is the count of another file, which it
 * gives back.
 *
 * The slots move when a table grows. Old ones stay allocated until the table goes, and the second
 * look is made in the present ones.
 */
#include "fd_internal.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/resource.h>
#include <kernel/bugs.h>
#include <kernel/explore.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/proc.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/vm.h>

/* ---- lookup ---- */

static struct file *
slot(const struct filedesc *fdt, uint32_t fd)
{
	const struct fdarray *fa = atomic_load_acquire(&fdt->fd_array);
	struct file *f;

	f = likely(fd < fa->fa_size) ? atomic_load_acquire(&fa->fa_file[fd]) : NULL;
	EXPLORE_POINT(ATOMIC, f);
	return f;
}

/* Raises the count of a file that may be closed, or even reused, meanwhile. */
static bool
try_ref(struct file *f)
{
	uint32_t refs = atomic_load_relaxed(&f->f_refs);

	while (refs != 0)
		if (atomic_cas(&f->f_refs, &refs, refs + 1))
			return true;
	return false;
}

static struct fref __noinline
fd_get_shared(const struct filedesc *fdt, uint32_t fd)
{
	struct file *f;

	while ((f = slot(fdt, fd)) != NULL) {
		if (!try_ref(f))
			continue;
		if (likely(slot(fdt, fd) == f))
			return (struct fref){ f, true };
		file_unref(f);
	}
	return (struct fref){ NULL, false };
}

struct fref
fd_get(int fd)
{
	const struct proc *p = curproc();
	const struct filedesc *fdt = p->p_fd;

	if (unlikely(atomic_load_relaxed(&p->p_nlwps) > 1 + BUG(refcount) ||
		atomic_load_relaxed(&fdt->fd_refs) != 1))
		return fd_get_shared(fdt, (uint32_t)fd);
	return (struct fref){ slot(fdt, (uint32_t)fd), false };
}

/* ---- change ---- */

static struct fdarray *
fdarray_alloc(uint32_t size)
{
	size_t bitmap = size / 8;
	size_t bytes = sizeof(struct fdarray) + size * sizeof(struct file *) + 2 * bitmap;
	char *p = user_alloc_ok(bytes) ? kmem_zalloc(bytes) : NULL;
	struct fdarray *fa = (struct fdarray *)(void *)p;

	if (p == NULL)
		return NULL;
	fa->fa_size = size;
	fa->fa_file = (struct file **)(void *)(p + sizeof(*fa));
	fa->fa_used = (uint64_t *)(void *)(fa->fa_file + size);
	fa->fa_cloexec = fa->fa_used + size / 64;
	return fa;
}

static void
fdarray_free(struct fdarray *fa)
{
	kmem_free(fa, sizeof(*fa) + fa->fa_size * sizeof(struct file *) + fa->fa_size / 4);
}

int
fd_grow(struct filedesc *fdt, uint32_t fd)
{
	struct fdarray *old, *new;
	uint32_t size = FD_SMALL;

	KASSERT(mutex_owned(&fdt->fd_lock) && fd < FD_MAX);
	while (size <= fd)
		size *= 2;
	mutex_unlock(&fdt->fd_lock);
	new = fdarray_alloc(size);
	mutex_lock(&fdt->fd_lock);
	if (new == NULL)
		return -ENOMEM;
	old = fdt->fd_array;
	if (old->fa_size >= size) { /* another LWP was quicker */
		fdarray_free(new);
		return 0;
	}
	memcpy(new->fa_file, old->fa_file, old->fa_size * sizeof(struct file *));
	memcpy(new->fa_used, old->fa_used, old->fa_size / 8);
	memcpy(new->fa_cloexec, old->fa_cloexec, old->fa_size / 8);
	new->fa_prev = old;
	atomic_store_release(&fdt->fd_array, new);
	return 0;
}

/* => the table is unused */
void
fd_shrink(struct filedesc *fdt)
{
	struct fdarray *fa;

	while ((fa = fdt->fd_array) != &fdt->fd_small) {
		fdt->fd_array = fa->fa_prev;
		fdarray_free(fa);
	}
}

static uint32_t
fd_limit(void)
{
	uint64_t cur = atomic_load_relaxed(&curproc()->p_rlimit[RLIMIT_NOFILE].cur);

	return (uint32_t)min(cur, (uint64_t)FD_MAX);
}

int
fd_alloc(unsigned from, bool cloexec, struct file *f)
{
	struct filedesc *fdt = curproc()->p_fd;
	uint32_t limit = fd_limit(), fd;
	struct fdarray *fa;

	mutex_lock(&fdt->fd_lock);
	for (;;) {
		fa = fdt->fd_array;
		fd = fdmap_find_clear(fa->fa_used, fa->fa_size, max(from, fdt->fd_lowfree));
		fd = max(fd, from); /* `from` may lie behind the table's end */
		if (fd >= limit) {
			mutex_unlock(&fdt->fd_lock);
			return -EMFILE;
		}
		if (likely(fd < fa->fa_size))
			break;
		if (fd_grow(fdt, fd) != 0) {
			mutex_unlock(&fdt->fd_lock);
			return -ENOMEM;
		}
	}
	fdmap_set(fa->fa_used, fd);
	if (cloexec)
		fdmap_set(fa->fa_cloexec, fd);
	if (f != NULL)
		atomic_store_release(&fa->fa_file[fd], f);
	if (from <= fdt->fd_lowfree)
		fdt->fd_lowfree = fd + 1;
	mutex_unlock(&fdt->fd_lock);
	return (int)fd;
}

void
fd_install(int fd, struct file *f)
{
	struct filedesc *fdt = curproc()->p_fd;

	mutex_lock(&fdt->fd_lock);
	KASSERT(
	    fdmap_test(fdt->fd_array->fa_used, (uint32_t)fd) && fdt->fd_array->fa_file[fd] == NULL);
	atomic_store_release(&fdt->fd_array->fa_file[fd], f);
	mutex_unlock(&fdt->fd_lock);
}

/* Takes a used descriptor out; its file or NULL. => fd_lock held */
static struct file *
clear_slot(struct filedesc *fdt, uint32_t fd)
{
	struct fdarray *fa = fdt->fd_array;
	struct file *f = fa->fa_file[fd];

	atomic_store_relaxed(&fa->fa_file[fd], NULL);
	fdmap_clear(fa->fa_used, fd);
	fdmap_clear(fa->fa_cloexec, fd);
	if (fd < fdt->fd_lowfree)
		fdt->fd_lowfree = fd;
	return f;
}

void
fd_unreserve(int fd)
{
	struct filedesc *fdt = curproc()->p_fd;
	struct file *f;

	mutex_lock(&fdt->fd_lock);
	f = clear_slot(fdt, (uint32_t)fd);
	mutex_unlock(&fdt->fd_lock);
	KASSERT(f == NULL);
	(void)f;
}

/* The file in a slot, NULL for a bad descriptor and one that is only reserved. => fd_lock held */
static struct file *
file_at(const struct filedesc *fdt, int fd)
{
	return (uint32_t)fd < fdt->fd_array->fa_size ? fdt->fd_array->fa_file[fd] : NULL;
}

int
fd_close(int fd)
{
	struct filedesc *fdt = curproc()->p_fd;
	struct file *f;

	mutex_lock(&fdt->fd_lock);
	f = file_at(fdt, fd);
	if (f != NULL)
		clear_slot(fdt, (uint32_t)fd);
	mutex_unlock(&fdt->fd_lock);
	if (f == NULL)
		return -EBADF;
	file_unref(f);
	return 0;
}

int
fd_dup(int fd, unsigned from, bool cloexec)
{
	struct fref r = fd_get(fd);
	int new;

	if (r.fr_file == NULL)
		return -EBADF;
	if (from != 0 && from >= fd_limit())
		new = -EINVAL;
	else {
		file_ref(r.fr_file);
		new = fd_alloc(from, cloexec, r.fr_file);
		if (new < 0)
			file_unref(r.fr_file);
	}
	fd_put(r);
	return new;
}

int
fd_dup_to(int fd, int to, bool cloexec)
{
	struct filedesc *fdt = curproc()->p_fd;
	struct file *f, *old;
	int error = -EBADF;

	if (to < 0 || (uint32_t)to >= fd_limit())
		return -EBADF;
	mutex_lock(&fdt->fd_lock);
	if (file_at(fdt, fd) == NULL)
		goto fail;
	if ((uint32_t)to >= fdt->fd_array->fa_size && (error = fd_grow(fdt, (uint32_t)to)) != 0)
		goto fail;
	f = file_at(fdt, fd); /* again: growing drops the lock */
	old = file_at(fdt, to);
	error = f == NULL ? -EBADF : -EBUSY;
	if (f == NULL || (old == NULL && fdmap_test(fdt->fd_array->fa_used, (uint32_t)to)))
		goto fail; /* busy: another LWP is just opening it */
	file_ref(f);
	fdmap_set(fdt->fd_array->fa_used, (uint32_t)to);
	if (cloexec)
		fdmap_set(fdt->fd_array->fa_cloexec, (uint32_t)to);
	else
		fdmap_clear(fdt->fd_array->fa_cloexec, (uint32_t)to);
	atomic_store_release(&fdt->fd_array->fa_file[to], f);
	mutex_unlock(&fdt->fd_lock);
	if (old != NULL)
		file_unref(old);
	return to;
fail:
	mutex_unlock(&fdt->fd_lock);
	return error;
}

int
fd_get_cloexec(int fd)
{
	struct filedesc *fdt = curproc()->p_fd;
	int result = -EBADF;

	mutex_lock(&fdt->fd_lock);
	if (file_at(fdt, fd) != NULL)
		result = fdmap_test(fdt->fd_array->fa_cloexec, (uint32_t)fd);
	mutex_unlock(&fdt->fd_lock);
	return result;
}

int
fd_set_cloexec(int fd, bool on)
{
	struct filedesc *fdt = curproc()->p_fd;
	int error = 0;

	mutex_lock(&fdt->fd_lock);
	if (file_at(fdt, fd) == NULL)
		error = -EBADF;
	else if (on)
		fdmap_set(fdt->fd_array->fa_cloexec, (uint32_t)fd);
	else
		fdmap_clear(fdt->fd_array->fa_cloexec, (uint32_t)fd);
	mutex_unlock(&fdt->fd_lock);
	return error;
}

unsigned
fd_bound(void)
{
	return atomic_load_acquire(&curproc()->p_fd->fd_array)->fa_size;
}

int
fd_get_vmobj(int fd, int *accmode, struct vmobj **obj)
{
	struct fref r = fd_get(fd);
	int error = 0;

	if (r.fr_file == NULL)
		return -EBADF;
	if (r.fr_file->f_ops == &path_ops)
		error = -EBADF;
	else if (r.fr_file->f_ops != &regular_ops && r.fr_file->f_ops != &zero_ops)
		error = -ENODEV;
	else {
		*accmode = (int)(r.fr_file->f_flags & O_ACCMODE);
		*obj = r.fr_file->f_ops == &zero_ops ? NULL : inode_vmobj(r.fr_file->f_inode);
	}
	fd_put(r);
	return error;
}
