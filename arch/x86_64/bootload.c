/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader left: from GRUB by Multiboot2 (mb2.c), from QEMU's own loader, which is half a
 * second sooner, by Multiboot (mb1.c). Both tell it with bootram_add() and bootram_cut().
 */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <kernel/bootinfo.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define MB1_MAGIC  0x2badb002u
#define MB2_MAGIC  0x36d76289u
#define LOW_MEMORY ((paddr_t)0x100000) /* firmware data, AP start code: never handed out */

extern char __kernel_phys_start[], __kernel_phys_end[]; /* linker script */

/* Adds usable memory, whole pages only, in ascending order, joined with what it touches. */
void
bootram_add(struct bootinfo *bi, paddr_t start, paddr_t end)
{
	struct memrange *r = bi->bi_ram;
	unsigned i, last;

	start = round_page(start);
	end = trunc_page(end);
	if (start >= end)
		return;
	for (i = 0; i < bi->bi_nram && r[i].end < start; i++)
		continue;
	for (last = i; last < bi->bi_nram && r[last].start <= end; last++) {
		start = min(start, r[last].start);
		end = max(end, r[last].end);
	}
	if (last == i) {
		if (bi->bi_nram == BOOT_MAXRANGES) {
			kprintf("memory map: too many ranges, %#lx-%#lx is not used\n", start, end);
			return;
		}
		memmove(&r[i + 1], &r[i], (bi->bi_nram - i) * sizeof(r[0]));
		bi->bi_nram++;
	} else {
		memmove(&r[i + 1], &r[last], (bi->bi_nram - last) * sizeof(r[0]));
		bi->bi_nram -= last - i - 1;
	}
	r[i] = (struct memrange){ start, end };
}

/* Takes every page that [start,end) touches out of the usable memory. */
void
bootram_cut(struct bootinfo *bi, paddr_t start, paddr_t end)
{
	struct memrange old[BOOT_MAXRANGES];
	unsigned n = bi->bi_nram;

	start = trunc_page(start);
	end = round_page(end);
	memcpy(old, bi->bi_ram, n * sizeof(old[0]));
	bi->bi_nram = 0;
	for (unsigned i = 0; i < n; i++) {
		bootram_add(bi, old[i].start, min(old[i].end, start));
		bootram_add(bi, max(old[i].start, end), old[i].end);
	}
}

void
bootload_parse(uint32_t magic, paddr_t info, struct bootinfo *bi)
{
	memset(bi, 0, sizeof(*bi));
	if (magic == MB2_MAGIC)
		mb2_parse(info, bi);
	else if (magic == MB1_MAGIC)
		mb1_parse(info, bi);
	else
		panic("the boot loader is not Multiboot2: it left %#x in place of %#x", magic,
		    MB2_MAGIC);
	bootram_cut(bi, 0, LOW_MEMORY);
	bootram_cut(
	    bi, (paddr_t)(uintptr_t)__kernel_phys_start, (paddr_t)(uintptr_t)__kernel_phys_end);
	bootram_cut(bi, bi->bi_ramdisk, bi->bi_ramdisk_end);
}
