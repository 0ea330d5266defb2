/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of the boot CPU: from boot/entry.asm, with the boot page tables, on the stack of lwp0.
 * Descriptor tables come first, so that any fault from then on ends in a panic that can be
 * read.
 */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <arch/md.h>
#include <arch/pmap_md.h>
#include <kernel/bootinfo.h>
#include <kernel/cpu.h>
#include <kernel/kasan.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/san.h>

static struct bootinfo bootinfo;
/* One stack for NMI, double fault and machine check until kernel stacks can be had. */
static char early_ist[KSTACK_SIZE] __aligned(16);

void NO_KASAN
arch_start(uint32_t magic, uint32_t info)
{
	uintptr_t ist[IST_COUNT];

	arch_kasan_boot();
	for (unsigned i = 0; i < IST_COUNT; i++)
		ist[i] = (uintptr_t)early_ist;
	lwp0.l_kstack = boot_stack;
	gdt_init(&cpu0, ist);
	idt_init();
	idt_load();
	cpu_detect();
	cpu_enable();
	bootload_parse(magic, info, &bootinfo);
	kernel_main(&bootinfo);
}

void
arch_init(struct bootinfo *bi)
{
	uintptr_t ist[IST_COUNT];

	arch_page_init();
	if (gdt_alloc_ist(ist) != 0)
		panic("arch_init: no memory for stacks");
	gdt_set_ist(&cpu0, ist);
	machine_init(bi);
	cpu0.ci_hwid = acpi_cpu_apicid(0);
}
