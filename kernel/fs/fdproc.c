/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor tables in the life of processes: birth, fork, sharing, exec, exit.
 */
#include "fd_internal.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <kernel/explore.h>
#include <kernel/kmem.h>
#include <kernel/string.h>

static struct kmem_cache *filedesc_cache;

static void
filedesc_ctor(void *p)
{
	struct filedesc *fdt = p;

	memset(fdt, 0, sizeof(*fdt));
	mutex_init(&fdt->fd_lock, "fdtable", RANK_FDTABLE);
	fdt->fd_small = (struct fdarray){
		.fa_size = FD_SMALL,
		.fa_file = fdt->fd_slots,
		.fa_used = &fdt->fd_used,
		.fa_cloexec = &fdt->fd_cloexec,
	};
	fdt->fd_array = &fdt->fd_small;
}

void
fd_init(void)
{
	filedesc_cache = kmem_cache_create(
	    "filedesc", sizeof(struct filedesc), 8, KC_TYPESTABLE | KC_USER, filedesc_ctor);
}

static struct filedesc *
filedesc_alloc(void)
{
	struct filedesc *fdt = kmem_cache_alloc(filedesc_cache);

	if (fdt != NULL) {
		KASSERT(
		    fdt->fd_array == &fdt->fd_small && fdt->fd_used == 0 && fdt->fd_cloexec == 0);
		fdt->fd_refs = 1;
		fdt->fd_lowfree = 0;
	}
	return fdt;
}

int
fd_init_console(struct filedesc **result)
{
	struct filedesc *fdt = filedesc_alloc();
	struct inode *ino;
	struct file *f;
	int error;

	if (fdt == NULL)
		return -ENOMEM;
	error = inode_lookup(NULL, "/dev/console", &ino);
	if (error == 0) {
		error = file_open_inode(ino, O_RDWR, &f);
		inode_unref(ino);
	}
	if (error != 0) {
		kmem_cache_free(filedesc_cache, fdt);
		return error;
	}
	file_ref(f);
	file_ref(f);
	for (unsigned fd = 0; fd < 3; fd++)
		fdt->fd_slots[fd] = f;
	fdt->fd_used = 7;
	fdt->fd_lowfree = 3;
	*result = fdt;
	return 0;
}

struct filedesc *
fd_copy(struct filedesc *from)
{
	struct filedesc *to = filedesc_alloc();
	const struct fdarray *fa;
	uint32_t end;

	if (to == NULL)
		return NULL;
	mutex_lock(&from->fd_lock);
	/*
	 * Room first. The rank allows one table's lock at a time, but `to` is ours alone and needs
	 * none.
	 */
	for (;;) {
		fa = from->fd_array;
		end = fdmap_end(fa->fa_used, fa->fa_size);
		if (end <= to->fd_array->fa_size)
			break;
		mutex_unlock(&from->fd_lock);
		mutex_lock(&to->fd_lock);
		if (fd_grow(to, end - 1) != 0) {
			mutex_unlock(&to->fd_lock);
			fd_unref(to);
			return NULL;
		}
		mutex_unlock(&to->fd_lock);
		mutex_lock(&from->fd_lock);
	}
	for (uint32_t w = 0; w * 64 < end; w++) {
		uint64_t used = fa->fa_used[w];

		for (uint64_t left = used; left != 0; left &= left - 1) {
			uint32_t fd = w * 64 + (uint32_t)__builtin_ctzll(left);
			struct file *f = fa->fa_file[fd];

			if (unlikely(f ==
				NULL)) { /* reserved by another LWP, which is just opening it */
				used &= ~(left & -left);
				continue;
			}
			file_ref(f);
			to->fd_array->fa_file[fd] = f;
		}
		to->fd_array->fa_used[w] = used;
		to->fd_array->fa_cloexec[w] = fa->fa_cloexec[w] & used;
	}
	mutex_unlock(&from->fd_lock);
	return to;
}

struct filedesc *
fd_ref(struct filedesc *fdt)
{
	atomic_add(&fdt->fd_refs, 1);
	return fdt;
}

void
fd_unref(struct filedesc *fdt)
{
	struct fdarray *fa;

	EXPLORE_POINT(ATOMIC, &fdt->fd_refs);
	if (atomic_load_acquire(&fdt->fd_refs) != 1 && atomic_sub(&fdt->fd_refs, 1) > 1)
		return;
	fa = fdt->fd_array;
	for (uint32_t w = 0; w < fa->fa_size / 64; w++) {
		for (uint64_t left = fa->fa_used[w]; left != 0; left &= left - 1) {
			uint32_t fd = w * 64 + (uint32_t)__builtin_ctzll(left);
			struct file *f = fa->fa_file[fd];

			fa->fa_file[fd] = NULL;
			KASSERT(f != NULL); /* no LWP is left that opens files */
			file_unref(f);
		}
		fa->fa_used[w] = fa->fa_cloexec[w] = 0;
	}
	if (unlikely(fa != &fdt->fd_small)) {
		fd_shrink(fdt);
		/* What stands in the small array was copied out of it, and is closed. */
		memset(fdt->fd_slots, 0, sizeof(fdt->fd_slots));
		fdt->fd_used = fdt->fd_cloexec = 0;
	}
	kmem_cache_free(filedesc_cache, fdt);
}

struct filedesc *
fd_unshared(struct filedesc *fdt)
{
	return atomic_load_acquire(&fdt->fd_refs) == 1 ? fdt : fd_copy(fdt);
}

void
fd_close_on_exec(struct filedesc *fdt)
{
	struct fdarray *fa = fdt->fd_array;

	for (uint32_t w = 0; w < fa->fa_size / 64; w++) {
		uint64_t left = fa->fa_cloexec[w];

		if (left == 0)
			continue;
		fa->fa_used[w] &= ~left;
		fa->fa_cloexec[w] = 0;
		for (; left != 0; left &= left - 1) {
			uint32_t fd = w * 64 + (uint32_t)__builtin_ctzll(left);
			struct file *f = fa->fa_file[fd];

			fa->fa_file[fd] = NULL;
			fdt->fd_lowfree = min(fdt->fd_lowfree, fd);
			file_unref(f);
		}
	}
}
