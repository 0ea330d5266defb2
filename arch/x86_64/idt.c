/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupt descriptor table, one for all CPUs. */
#include <arch/cpu_types.h>
#include <arch/md.h>

#define GATE_INTERRUPT 0x8e /* present, interrupts off on entry */
#define GATE_USER      0x60 /* INT n may be used by user mode */

static struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, zero;
} __attribute__((packed)) idt[256];
_Static_assert(sizeof(struct gate) == 16, "struct gate");

void
idt_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uintptr_t entry = trap_vectors[i];

		idt[i] = (struct gate){
			.offset0 = (uint16_t)entry,
			.selector = SEL_KCODE,
			.ist = i == T_NMI ? IST_NMI
			    : i == T_DF   ? IST_DF
			    : i == T_MC   ? IST_MC
			    : i == T_DB   ? IST_DB
					  : IST_NONE,
			.type = GATE_INTERRUPT | (i == T_BP || i == T_OF ? GATE_USER : 0),
			.offset1 = (uint16_t)(entry >> 16),
			.offset2 = (uint32_t)(entry >> 32),
		};
	}
}

void
idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) p = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm volatile("lidt %0" : : "m"(p));
}
