/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Program start.
 * layer: proc
 */
#ifndef KERNEL_EXEC_H
#define KERNEL_EXEC_H

#include <kernel/types.h>

struct inode;
struct vmspace;

/* Argument and environment strings, one NUL-terminated after the other, argv first. */
struct exec_args {
	char *buf; /* kernel memory of `size` bytes, or NULL */
	size_t size, used;
	unsigned argc, envc;
};

#define ARG_MAX_BYTES ((size_t)128 * 1024)
#define EXEC_PATH_MAX 256

struct elf_image {
	uintptr_t entry, phdr, base, end; /* `end`: first page behind the highest segment */
	unsigned phnum;
	uintptr_t vdso; /* 0 = none */
};

/* Maps the program's segments into vm. 0, -ENOEXEC, -ENOMEM, -EIO. */
int elf_load(struct vmspace *vm, struct inode *ino, struct elf_image *);

/* ---- the vDSO, docs/linux.md ---- */
void vdso_only_calls(void); /* from now on it asks for the time. => nobody reads it yet */
void vdso_init(void);       /* => boot, once memory and time are up */
#define VDSO_SIZE (2 * PAGE_SIZE)
/* Maps it at `base`; *image receives where its image is, or 0 if it is switched off. 0, -ENOMEM, -EEXIST */
int vdso_map(struct vmspace *, uintptr_t base, uintptr_t *image);
void vdso_set_wall(
    nsec_t); /* the wall clock when the monotonic one was 0. => one caller at a time */

/*
 * Replaces curlwp's process image. `path` and `args` are kernel memory.
 * Returns -errno with everything as it was, or 0: the registers are those of the new program.
 */
int do_execve(const char *path, const struct exec_args *args);

#endif
