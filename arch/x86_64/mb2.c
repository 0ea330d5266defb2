/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot2 boot information: memory map, modules, command line, RSDP. */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <kernel/bootinfo.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/string.h>

enum mb2_tag_type {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_RSDP_OLD = 14,
	MB2_RSDP_NEW = 15
};
#define MB2_RAM 1

struct mb2_info {
	uint32_t total_size, reserved;
};

struct mb2_tag {
	uint32_t type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end;
	char string[];
};

struct mb2_mmap_entry {
	uint64_t base, length;
	uint32_t type, reserved;
};

struct mb2_mmap {
	struct mb2_tag tag;
	uint32_t entry_size, version;
	char entries[];
};

static const struct mb2_tag *
next_tag(const struct mb2_tag *t)
{
	return (const void *)((const char *)t + roundup(t->size, 8u));
}

/* First the memory, then what lies in the way: other kinds of memory in the map may overlap it. */
static void
parse_mmap(const struct mb2_mmap *map, struct bootinfo *bi)
{
	const char *end = (const char *)map + map->tag.size;
	const struct mb2_mmap_entry *e;

	for (const char *p = map->entries; p + sizeof(*e) <= end; p += map->entry_size) {
		e = (const void *)p;
		if (e->type == MB2_RAM)
			bootram_add(bi, e->base, e->base + e->length);
	}
	for (const char *p = map->entries; p + sizeof(*e) <= end; p += map->entry_size) {
		e = (const void *)p;
		if (e->type != MB2_RAM)
			bootram_cut(bi, e->base, e->base + e->length);
	}
}

static void
parse_module(const struct mb2_module *m, struct bootinfo *bi)
{
	if (strcmp(m->string, "ramdisk") == 0) {
		bi->bi_ramdisk = m->start;
		bi->bi_ramdisk_end = m->end;
	} else {
		kprintf("boot module '%s' is not used\n", m->string);
	}
}

void
mb2_parse(paddr_t info, struct bootinfo *bi)
{
	const struct mb2_info *head = arch_phys_to_virt(info);
	const struct mb2_tag *first, *t;
	bool map_seen = false, new_rsdp = false;

	first = (const void *)(head + 1);
	for (t = first; t->type != MB2_END; t = next_tag(t)) {
		paddr_t body = arch_virt_to_phys(t + 1);

		switch (t->type) {
		case MB2_CMDLINE:
			strlcpy(bi->bi_cmdline, (const char *)(t + 1), sizeof(bi->bi_cmdline));
			break;
		case MB2_MODULE:
			parse_module((const void *)t, bi);
			break;
		case MB2_MMAP:
			parse_mmap((const void *)t, bi);
			map_seen = true;
			break;
		case MB2_RSDP_OLD:
			if (!new_rsdp)
				bi->bi_rsdp = body;
			break;
		case MB2_RSDP_NEW:
			bi->bi_rsdp = body;
			new_rsdp = true;
			break;
		}
	}
	if (!map_seen)
		panic("the boot loader gave no memory map");

	bootram_cut(bi, info, info + head->total_size);
	for (t = first; t->type != MB2_END; t = next_tag(t)) {
		const struct mb2_module *m = (const void *)t;

		if (t->type == MB2_MODULE)
			bootram_cut(bi, m->start, m->end);
	}
}
