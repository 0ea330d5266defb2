/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of the PC: what the files about them offer to each other and to the start-up code.
 * layer: arch
 */
#ifndef ARCH_MACHINE_H
#define ARCH_MACHINE_H

#include <kernel/types.h>

struct bootinfo;
struct cpu;
struct trapframe;

/* Vectors. Devices have VEC_DEVICE to VEC_DEVICE_END - 1; ISA interrupt n has VEC_ISA + n. */
#define VEC_DEVICE     0x20
#define VEC_ISA        VEC_DEVICE
#define VEC_DEVICE_END 0xe0
#define VEC_TIMER      0xf0
#define VEC_RESCHED    0xf1
#define VEC_CALL       0xf2
#define VEC_DEBUG      0xf3 /* sent to oneself: debug_self_ipi() */
#define VEC_ERROR      0xfe
#define VEC_SPURIOUS   0xff

#define IRQ_SERIAL  4
#define IRQ_SERIAL2 3

/* ---- start-up, machine.c ---- */

/* ACPI, interrupt controllers, time, on the boot CPU. => interrupts off; pmem, pmap are up */
void machine_init(struct bootinfo *);
/* This CPU's interrupt controller and timer. => interrupts off, on each other CPU */
void machine_init_ap(void);
/* Every interrupt of VEC_DEVICE and up ends here; `user`: it interrupted user mode. => interrupts off */
void arch_irq(struct trapframe *, bool user);
/* Maps device registers (or, with `cached`, tables) for ever; any alignment. */
void *mmio_map(paddr_t, size_t, bool cached);

/* ---- bootload.c, mb2.c, mb1.c ---- */

/* Reads what the boot loader left. Panics when it is not there. => the direct map holds it */
void bootload_parse(uint32_t magic, paddr_t info, struct bootinfo *);
void mb2_parse(paddr_t info, struct bootinfo *);
void mb1_parse(paddr_t info, struct bootinfo *);
/* Adds usable memory, whole pages only, in ascending order, joined with what it touches. */
void bootram_add(struct bootinfo *, paddr_t start, paddr_t end);
/* Takes every page that [start,end) touches out of the usable memory. */
void bootram_cut(struct bootinfo *, paddr_t start, paddr_t end);

/* ---- acpi.c ---- */

struct acpi_ioapic {
	paddr_t address;
	uint32_t gsi_base;
};

/* How an ISA interrupt reaches the I/O APICs. */
struct acpi_irq {
	uint32_t gsi;
	bool level, active_low;
};

void acpi_init(paddr_t rsdp);
unsigned acpi_cpu_count(void);      /* usable CPUs; at least 1 */
uint32_t acpi_cpu_apicid(unsigned); /* index 0 = the boot CPU */
paddr_t acpi_lapic_address(void);
unsigned acpi_ioapic_count(void);
const struct acpi_ioapic *acpi_ioapic(unsigned);
struct acpi_irq acpi_isa_irq(unsigned irq);
/* Local interrupt line (0 or 1) that carries NMI on this CPU, or -1. */
int acpi_nmi_lint(uint32_t apicid);
uint16_t acpi_pm_timer_port(void); /* 0 = none */
bool acpi_pm_timer_32bit(void);
paddr_t acpi_hpet_address(void);     /* 0 = none */
uint8_t acpi_century_register(void); /* in the RTC's memory; 0 = none */
void acpi_poweroff(void);            /* returns if the machine does not obey */
void acpi_reset(void);               /* same */

/* ---- lapic.c ---- */

void lapic_init(void);     /* boot CPU */
void lapic_init_cpu(void); /* others */
uint32_t lapic_id(void);
void lapic_eoi(void);
void lapic_send_ipi(uint32_t apicid, uint32_t icr_low);
void lapic_send_ipi_nested(uint32_t apicid, uint32_t icr_low);
void lapic_send_init(uint32_t apicid);
void lapic_send_startup(uint32_t apicid, uint8_t page);
void lapic_timer_oneshot(uint32_t count); /* 0 stops it */
uint32_t lapic_timer_count(void);
void lapic_timer_deadline_mode(void);
void lapic_error(void); /* reports */

#define ICR_FIXED   0x000u
#define ICR_NMI     0x400u
#define ICR_INIT    0x500u
#define ICR_STARTUP 0x600u
#define ICR_ASSERT  0x4000u

/* ---- ioapic.c ---- */

void ioapic_init(void); /* all pins masked */
/* Sends ISA interrupt `irq` as `vector` to a CPU. 0 or -ENODEV. */
int ioapic_route_isa(unsigned irq, unsigned vector, uint32_t apicid);

/* ---- time.c ---- */

void time_init(void);     /* boot CPU, after lapic_init() */
void time_init_cpu(void); /* others: timer mode; panics if its clock is behind */
void time_stamp(void);    /* boot CPU, before it starts another: what that one's clock must reach */
void time_scale(uint64_t *base, uint64_t *to_ns); /* of struct timescale, timescale.h */
void time_delay_us(unsigned);

/* ---- explore.c ---- */

bool explore_rdtsc(struct trapframe *); /* after #GP in user mode. => interrupts on; may sleep */

/* ---- serial.c ---- */

void serial_init(void);
void serial_intr(void);

#endif
