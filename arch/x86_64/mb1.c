/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot boot information, as `qemu -kernel` leaves it: memory map and one module, the RAM
 * disk. There is no RSDP in it: the BIOS has it where all look. The command line is not for us, it
 * begins with a file's name; options come by fw_cfg.
 */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <kernel/bootinfo.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#define MB1_HAS_MODULES 0x08u
#define MB1_HAS_MMAP    0x40u
#define MB1_RAM         1

#define RSDP_START ((paddr_t)0xe0000) /* on 16 bytes, in the BIOS */
#define RSDP_END   ((paddr_t)0x100000)
#define RSDP_MAGIC "RSD PTR "

struct mb1_info {
	uint32_t flags, lower, upper, boot_device, cmdline, nmodules, modules, symbols[4];
	uint32_t mmap_length, mmap;
};

struct mb1_module {
	uint32_t start, end, string, reserved;
};

struct mb1_mmap_entry {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

/* One pass over the memory map: for memory, or for what lies in its way. */
static void
parse_mmap(const struct mb1_info *info, bool ram, struct bootinfo *bi)
{
	const struct mb1_mmap_entry *e;

	for (uint32_t at = 0; at + sizeof(*e) <= info->mmap_length;
	     at += e->size + sizeof(e->size)) {
		e = arch_phys_to_virt(info->mmap + at);
		if (ram && e->type == MB1_RAM)
			bootram_add(bi, e->base, e->base + e->length);
		else if (!ram && e->type != MB1_RAM)
			bootram_cut(bi, e->base, e->base + e->length);
	}
}

static paddr_t
find_rsdp(void)
{
	for (paddr_t pa = RSDP_START; pa < RSDP_END; pa += 16)
		if (memcmp(arch_phys_to_virt(pa), RSDP_MAGIC, strlen(RSDP_MAGIC)) == 0)
			return pa;
	return 0;
}

void
mb1_parse(paddr_t pa, struct bootinfo *bi)
{
	const struct mb1_info *info = arch_phys_to_virt(pa);

	if ((info->flags & MB1_HAS_MMAP) == 0)
		panic("the boot loader gave no memory map");
	parse_mmap(info, true, bi);
	parse_mmap(info, false, bi);
	if ((info->flags & MB1_HAS_MODULES) != 0 && info->nmodules > 0) {
		const struct mb1_module *m = arch_phys_to_virt(info->modules);

		bi->bi_ramdisk = m->start;
		bi->bi_ramdisk_end = m->end;
	}
	bi->bi_rsdp = find_rsdp();
}
