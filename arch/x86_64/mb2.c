/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot2 boot information: memory map, modules, command line, RSDP. */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <kernel/bootinfo.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define MB2_MAGIC  0x36d76289u
#define LOW_MEMORY ((paddr_t)0x100000) /* firmware data, AP start code: never handed out */

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

extern char __kernel_phys_start[], __kernel_phys_end[]; /* linker script */

/* Adds usable memory, whole pages only, in ascending order, joined with what it touches. */
static void
ram_add(struct bootinfo *bi, paddr_t start, paddr_t end)
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
static void
ram_cut(struct bootinfo *bi, paddr_t start, paddr_t end)
{
	struct memrange old[BOOT_MAXRANGES];
	unsigned n = bi->bi_nram;

	start = trunc_page(start);
	end = round_page(end);
	memcpy(old, bi->bi_ram, n * sizeof(old[0]));
	bi->bi_nram = 0;
	for (unsigned i = 0; i < n; i++) {
		ram_add(bi, old[i].start, min(old[i].end, start));
		ram_add(bi, max(old[i].start, end), old[i].end);
	}
}

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
			ram_add(bi, e->base, e->base + e->length);
	}
	for (const char *p = map->entries; p + sizeof(*e) <= end; p += map->entry_size) {
		e = (const void *)p;
		if (e->type != MB2_RAM)
			ram_cut(bi, e->base, e->base + e->length);
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
mb2_parse(uint32_t magic, paddr_t info, struct bootinfo *bi)
{
	const struct mb2_info *head = arch_phys_to_virt(info);
	const struct mb2_tag *first, *t;
	bool map_seen = false, new_rsdp = false;

	if (magic != MB2_MAGIC)
		panic("the boot loader is not Multiboot2: it left %#x in place of %#x", magic,
		    MB2_MAGIC);
	memset(bi, 0, sizeof(*bi));
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

	ram_cut(bi, 0, LOW_MEMORY);
	ram_cut(bi, (paddr_t)(uintptr_t)__kernel_phys_start, (paddr_t)(uintptr_t)__kernel_phys_end);
	ram_cut(bi, info, info + head->total_size);
	for (t = first; t->type != MB2_END; t = next_tag(t)) {
		const struct mb2_module *m = (const void *)t;

		if (t->type == MB2_MODULE)
			ram_cut(bi, m->start, m->end);
	}
}
