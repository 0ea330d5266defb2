/* SPDX-License-Identifier: BSD-2-Clause */
/* Layout of the ACPI tables that are read; ACPI specification 6.4, chapter 5. */
#ifndef ARCH_X86_64_ACPI_TABLES_H
#define ARCH_X86_64_ACPI_TABLES_H

#include <kernel/types.h>

#define __packed __attribute__((packed))

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from here on: revision 2 */
	uint64_t xsdt;
	uint8_t checksum2, reserved[3];
} __packed;
#define ACPI_RSDP_V1_SIZE 20
_Static_assert(sizeof(struct acpi_rsdp) == 36, "struct acpi_rsdp");

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __packed;
_Static_assert(sizeof(struct acpi_header) == 36, "struct acpi_header");

struct acpi_address {
	uint8_t space, width, offset, access;
	uint64_t address;
} __packed;
#define ACPI_SPACE_MEMORY 0
#define ACPI_SPACE_IO     1

struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0,
	    gpe1;
	uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
	uint8_t gpe0_length, gpe1_length, gpe1_base, cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
} __packed;
_Static_assert(offsetof(struct acpi_fadt, century) == 108, "FADT century");
_Static_assert(offsetof(struct acpi_fadt, reset) == 116, "FADT reset register");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "FADT X_DSDT");
#define FADT_TIMER_32BIT (1u << 8)
#define FADT_RESET       (1u << 10)

struct acpi_hpet {
	struct acpi_header header;
	uint32_t block;
	struct acpi_address base;
} __packed;

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address, flags;
} __packed;

enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10
};

struct madt_entry {
	uint8_t type, length;
} __packed;

struct madt_lapic {
	struct madt_entry e;
	uint8_t uid, apicid;
	uint32_t flags;
} __packed;
#define MADT_CPU_ENABLED 1u

struct madt_ioapic {
	struct madt_entry e;
	uint8_t id, reserved;
	uint32_t address, gsi_base;
} __packed;

struct madt_override {
	struct madt_entry e;
	uint8_t bus, source;
	uint32_t gsi;
	uint16_t flags;
} __packed;
#define MADT_POLARITY   3u
#define MADT_ACTIVE_LOW 3u
#define MADT_TRIGGER    0xcu
#define MADT_LEVEL      0xcu

struct madt_lapic_nmi {
	struct madt_entry e;
	uint8_t uid;
	uint16_t flags;
	uint8_t lint;
} __packed;

struct madt_lapic_address {
	struct madt_entry e;
	uint16_t reserved;
	uint64_t address;
} __packed;

struct madt_x2apic {
	struct madt_entry e;
	uint16_t reserved;
	uint32_t apicid, flags, uid;
} __packed;

struct madt_x2apic_nmi {
	struct madt_entry e;
	uint16_t flags;
	uint32_t uid;
	uint8_t lint, reserved[3];
} __packed;

const struct acpi_header *acpi_map_table(paddr_t, const char *signature);
void acpi_power_init(const struct acpi_fadt *);

#endif
