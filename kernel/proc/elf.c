/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static ELF64 executables: checks every field that is used before it is used.
 */
#include <kernel/exec.h>

#include <abi/elf.h>
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/inode.h>
#include <kernel/string.h>
#include <kernel/upcall.h>
#include <kernel/vm.h>

#define PIE_BASE  ((uintptr_t)0x555555554000)
#define PHNUM_MAX 32

static int
seg_prot(uint32_t flags)
{
	return (flags & PF_R ? PROT_R : 0) | (flags & PF_W ? PROT_W : 0) |
	    (flags & PF_X ? PROT_X : 0);
}

/* One PT_LOAD: file pages private, then zeroes. */
static int
load_segment(struct vmspace *vm, struct vmobj *obj, uint64_t fsize, const struct elf_phdr *ph,
    uintptr_t base)
{
	static const char zero[256];
	uintptr_t start = base + ph->p_vaddr, fileend = start + ph->p_filesz,
		  end = start + ph->p_memsz;
	vaddr_t va = trunc_page(start);
	int prot = seg_prot(ph->p_flags), error;

	if (ph->p_filesz > ph->p_memsz || ph->p_offset > fsize ||
	    ph->p_filesz > fsize - ph->p_offset || ((ph->p_offset ^ ph->p_vaddr) & PAGE_MASK) != 0)
		return -ENOEXEC;
	if (start < VM_MIN_ADDRESS || end < start || end > USER_END - VM_STACK_GAP)
		return -ENOEXEC;
	if (ph->p_filesz != 0) {
		error = vm_map(vm, &va, round_page(fileend) - va, prot, PROT_R | PROT_W | PROT_X,
		    VM_FIXED | VM_NOREPLACE, obj, trunc_page(ph->p_offset));
		if (error != 0)
			return error == -EEXIST ? -ENOEXEC : error;
		va = round_page(fileend);
	}
	if (end > va) {
		error = vm_map(vm, &va, round_page(end) - va, prot, PROT_R | PROT_W | PROT_X,
		    VM_FIXED | VM_NOREPLACE, NULL, 0);
		if (error != 0)
			return error == -EEXIST ? -ENOEXEC : error;
	}
	/* The rest of the last file page belongs to the zeroes. */
	if ((prot & PROT_W) && ph->p_memsz > ph->p_filesz)
		while ((fileend & PAGE_MASK) != 0 && fileend < end) {
			size_t n = min(PAGE_SIZE - (fileend & PAGE_MASK), end - fileend);

			n = min(n, sizeof(zero));

			if ((error = vm_write(vm, fileend, zero, n)) != 0)
				return error;
			fileend += n;
		}
	return 0;
}

int
elf_load(struct vmspace *vm, struct inode *ino, struct elf_image *im)
{
	struct elf_ehdr eh;
	struct elf_phdr ph[PHNUM_MAX];
	struct vmobj *obj;
	uint64_t fsize = inode_size(ino);
	size_t phsize;
	int error = -ENOEXEC;

	if (inode_read_kernel(ino, &eh, sizeof(eh), 0) != sizeof(eh))
		return -ENOEXEC;
	if (memcmp(eh.e_ident, "\177ELF\2\1\1", 7) != 0 || eh.e_machine != EM_X86_64 ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(ph[0]) ||
	    eh.e_phnum == 0 || eh.e_phnum > PHNUM_MAX)
		return -ENOEXEC;
	phsize = eh.e_phnum * sizeof(ph[0]);
	if (inode_read_kernel(ino, ph, phsize, eh.e_phoff) != (ssize_t)phsize)
		return -ENOEXEC;
	*im = (struct elf_image){ .base = eh.e_type == ET_DYN ? PIE_BASE : 0, .phnum = eh.e_phnum };
	im->entry = im->base + eh.e_entry;
	if ((obj = inode_vmobj(ino)) == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		uintptr_t end;

		if (ph[i].p_type == PT_INTERP)
			goto out; /* dynamically linked */
		if (ph[i].p_type != PT_LOAD || ph[i].p_memsz == 0)
			continue;
		if ((error = load_segment(vm, obj, fsize, &ph[i], im->base)) != 0)
			goto out;
		end = round_page(im->base + ph[i].p_vaddr + ph[i].p_memsz);
		if (end > im->end)
			im->end = end;
		if (eh.e_phoff >= ph[i].p_offset &&
		    eh.e_phoff + phsize <= ph[i].p_offset + ph[i].p_filesz)
			im->phdr = im->base + ph[i].p_vaddr + (eh.e_phoff - ph[i].p_offset);
	}
	error = im->end == 0 || im->entry >= USER_END ? -ENOEXEC : 0;
out:
	vmobj_unref(obj);
	return error;
}
