/* SPDX-License-Identifier: BSD-2-Clause */
/* Start-up of the PC's devices, and where interrupts go. */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <arch/pmap_md.h>
#include <arch/trapframe.h>
#include <kernel/bootinfo.h>
#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/panic.h>
#include <kernel/printf.h>

#define PIC1     0x20
#define PIC2     0xa0
#define PIC_INIT 0x11
#define PIC_8086 0x01
#define PIC_ALL  0xff

/* => boot; panics when there is no memory for page tables. */
void *
mmio_map(paddr_t pa, size_t size, bool cached)
{
	void *va = pmap_map_phys(pa, size, !cached);

	if (va == NULL)
		panic("no room to map %#lx bytes at %#lx", size, pa);
	return va;
}

/* The old interrupt controllers: out of the way of the processor's traps, then silent. */
static void
pic_disable(void)
{
	outb(PIC1, PIC_INIT);
	outb(PIC2, PIC_INIT);
	outb(PIC1 + 1, VEC_ISA);
	outb(PIC2 + 1, VEC_ISA + 8);
	outb(PIC1 + 1, 1 << 2);
	outb(PIC2 + 1, 2);
	outb(PIC1 + 1, PIC_8086);
	outb(PIC2 + 1, PIC_8086);
	outb(PIC1 + 1, PIC_ALL);
	outb(PIC2 + 1, PIC_ALL);
}

void
machine_init(struct bootinfo *bi)
{
	serial_init();
	acpi_init(bi->bi_rsdp);
	pic_disable();
	lapic_init();
	ioapic_init();
	time_init();
}

void
machine_init_ap(void)
{
	lapic_init_cpu();
	time_init_cpu();
}

static void
stray(unsigned vector)
{
	static uint64_t seen[4]; /* (a) a bit for each vector that was reported */
	uint64_t bit = (uint64_t)1 << vector % 64;

	if ((__atomic_fetch_or(&seen[vector / 64], bit, __ATOMIC_RELAXED) & bit) == 0)
		kprintf(
		    "cpu%u: interrupt %#x, which no device has\n", arch_curcpu()->ci_index, vector);
}

void
arch_irq(struct trapframe *tf, bool user)
{
	unsigned vector = (unsigned)tf->tf_trapno;

	arch_curcpu()->ci_nintr++;
	if (vector == VEC_SPURIOUS)
		return; /* wants no end-of-interrupt */
	/* Interrupts are off, so a new one of this kind can only wait until this one is done. */
	lapic_eoi();
	switch (vector) {
	case VEC_TIMER:
		timer_intr(user);
		break;
	case VEC_RESCHED:
		sched_ipi();
		break;
	case VEC_CALL:
		cpu_call_ipi();
		break;
	case VEC_ISA + IRQ_SERIAL:
		serial_intr();
		break;
	case VEC_ISA + IRQ_SERIAL2:
		debug_fresh(arch_curcpu()->ci_index);
		debug_input(tf);
		break;
	case VEC_DEBUG:
		debug_fresh(arch_curcpu()->ci_index);
		debug_self_ipi(tf);
		break;
	case VEC_ERROR:
		lapic_error();
		break;
	default:
		stray(vector);
	}
}
