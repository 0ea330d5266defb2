/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment descriptors and the TSS, one set for each CPU. There is no 32-bit segment for user
 * mode: the selector exists only as the base from which SYSRET counts.
 */
#include <abi/errno.h>
#include <arch/md.h>
#include <kernel/cpu.h>
#include <kernel/kmem.h>

#define GDT_KCODE32 0x00cf9b000000fffful
#define GDT_KCODE   0x00af9b000000fffful
#define GDT_KDATA   0x00cf93000000fffful
#define GDT_UDATA   0x00cff3000000fffful
#define GDT_UCODE   0x00affb000000fffful
#define GDT_CPU     0x0040f10000000000ul /* read-only data */
#define GDT_TSS     0x0000890000000000ul

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* The address of struct cpu lies above the first frame on each IST stack: see entry.asm. */
#define IST_TOP_GAP 16

void
gdt_set_ist(struct cpu *ci, const uintptr_t ist[])
{
	for (unsigned i = IST_NMI; i < IST_COUNT; i++) {
		uintptr_t top = ist[i] + KSTACK_SIZE - IST_TOP_GAP;

		*(struct cpu **)top = ci;
		ci->ci_md.md_tss.tss_ist[i - 1] = top;
		if (i == IST_NMI) {
			/* Its lower half serves an NMI that comes during another, see gdbarch.c. */
			*(struct cpu **)(top - KSTACK_SIZE / 2) = ci;
			ci->ci_md.md_nmi_tops = 2 * top - KSTACK_SIZE / 2;
		}
	}
}

/* => interrupts off; GS base is set, its selector is 0 already */
void
gdt_init(struct cpu *ci, uintptr_t ist[])
{
	uint64_t *gdt = ci->ci_md.md_gdt;
	uint64_t tss = (uintptr_t)&ci->ci_md.md_tss;
	struct table_pointer p = { sizeof(ci->ci_md.md_gdt) - 1, (uintptr_t)gdt };

	gdt_set_ist(ci, ist);
	ci->ci_md.md_tss.tss_iomap = sizeof(struct tss); /* none: no port is the user's */
	gdt[SEL_KCODE32 >> 3] = GDT_KCODE32;
	gdt[SEL_KCODE >> 3] = GDT_KCODE;
	gdt[SEL_KDATA >> 3] = GDT_KDATA;
	gdt[SEL_UDATA >> 3] = GDT_UDATA;
	gdt[SEL_UCODE >> 3] = GDT_UCODE;
	gdt[SEL_CPU >> 3] = GDT_CPU | ci->ci_index;
	gdt[SEL_TSS >> 3] =
	    GDT_TSS | (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	gdt[(SEL_TSS >> 3) + 1] = tss >> 32;

	__asm volatile("lgdt %0\n\t"
		       "pushq %1\n\t"
		       "leaq 1f(%%rip), %%rax\n\t"
		       "pushq %%rax\n\t"
		       "lretq\n"
		       "1:\tmovl %2, %%eax\n\t"
		       "movl %%eax, %%ss\n\t"
		       "movl %%eax, %%ds\n\t"
		       "movl %%eax, %%es\n\t"
		       "movl %3, %%eax\n\t"
		       "ltr %%ax\n\t"
		       "xorl %%eax, %%eax\n\t"
		       "lldt %%ax" /* after a reset it describes the lowest 64 KiB */
		       :
		       : "m"(p), "i"(SEL_KCODE), "i"(SEL_KDATA), "i"(SEL_TSS)
		       : "rax", "memory");
}

int
gdt_alloc_ist(uintptr_t ist[])
{
	for (unsigned i = IST_NMI; i < IST_COUNT; i++) {
		ist[i] = (uintptr_t)kstack_alloc();
		if (ist[i] == 0) {
			while (--i >= IST_NMI)
				kstack_free((void *)ist[i]);
			return -ENOMEM;
		}
	}
	return 0;
}
