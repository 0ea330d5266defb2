/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader said, in a form without a boot protocol in it.
 * layer: core
 */
#ifndef KERNEL_BOOTINFO_H
#define KERNEL_BOOTINFO_H

#include <kernel/types.h>

struct memrange {
	paddr_t start, end;
};

#define BOOT_MAXRANGES 64

struct bootinfo {
	struct memrange
	    bi_ram[BOOT_MAXRANGES]; /* usable, page-aligned; kernel image and modules cut out */
	unsigned bi_nram;
	paddr_t bi_ramdisk, bi_ramdisk_end; /* 0 = none */
	paddr_t bi_rsdp;                    /* physical address of a copy of the RSDP, or 0 */
	char bi_cmdline[1024];
};

/* Kernel options, from the command line, then fw_cfg: key=value words. <kernel/options.h> */

#endif
