/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power off and reset by ACPI. The value that means "off" to the power registers stands in the DSDT as
 * the package \_S5. It is found by its name, without an interpreter, at boot: a panic then needs no tables.
 */
#include "acpi_tables.h"

#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define PM1_SCI_ENABLED      0x0001u
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK  (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP            (1u << 13)
#define WAIT_US              1000
#define WAITS                300

enum aml {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_PACKAGE = 0x12,
	AML_ROOT = 0x5c
};

/* All constant after acpi_power_init(). */
static bool have_s5;
static uint8_t s5_a, s5_b; /* sleep types for the two registers */
static uint16_t pm1a, pm1b, smi_port;
static uint8_t enable_value;
static struct acpi_address reset_register; /* address 0 = none */
static uint8_t reset_value;
static volatile uint8_t *reset_memory;

/* Reads a small integer of AML; false if it is none. */
static bool
aml_integer(const uint8_t **p, const uint8_t *end, uint8_t *v)
{
	if (*p < end && (**p == AML_ZERO || **p == AML_ONE)) {
		*v = *(*p)++;
		return true;
	}
	if (*p + 1 < end && **p == AML_BYTE) {
		*v = (*p)[1];
		*p += 2;
		return true;
	}
	return false;
}

/* `p` stands behind the name \_S5_: package, its length, element count, elements. */
static bool
parse_s5(const uint8_t *p, const uint8_t *end)
{
	if (p + 3 > end || *p++ != AML_PACKAGE)
		return false;
	p += 1 + (*p >> 6); /* the top bits count further length bytes */
	p++;
	return aml_integer(&p, end, &s5_a) && aml_integer(&p, end, &s5_b);
}

static void
find_s5(const struct acpi_header *dsdt)
{
	const uint8_t *start = (const uint8_t *)(dsdt + 1),
		      *end = (const uint8_t *)dsdt + dsdt->length;

	for (const uint8_t *p = start + 2; p + 4 <= end && !have_s5; p++) {
		if (memcmp(p, "_S5_", 4) == 0 &&
		    (p[-1] == AML_NAME || (p[-1] == AML_ROOT && p[-2] == AML_NAME)))
			have_s5 = parse_s5(p + 4, end);
	}
}

void
acpi_power_init(const struct acpi_fadt *f)
{
	const struct acpi_header *dsdt = NULL;

	pm1a = (uint16_t)f->pm1a_control;
	pm1b = (uint16_t)f->pm1b_control;
	smi_port = (uint16_t)f->smi_command;
	enable_value = f->acpi_enable;
	if ((f->flags & FADT_RESET) != 0 &&
	    f->header.length > offsetof(struct acpi_fadt, reset_value)) {
		reset_register = f->reset;
		reset_value = f->reset_value;
		if (reset_register.space == ACPI_SPACE_MEMORY)
			reset_memory = mmio_map(reset_register.address, 1, false);
	}
	if (f->header.length >= sizeof(*f))
		dsdt = acpi_map_table(f->x_dsdt, "DSDT");
	if (dsdt == NULL)
		dsdt = acpi_map_table(f->dsdt, "DSDT");
	if (dsdt != NULL)
		find_s5(dsdt);
	if (!have_s5 || pm1a == 0)
		kprintf("acpi: no way to turn the machine off was found\n");
}

static void
enter_acpi_mode(void)
{
	if (smi_port == 0 || enable_value == 0 || (inw(pm1a) & PM1_SCI_ENABLED) != 0)
		return;
	outb(smi_port, enable_value);
	for (int i = 0; i < WAITS && (inw(pm1a) & PM1_SCI_ENABLED) == 0; i++)
		time_delay_us(WAIT_US);
}

static void
sleep_by(uint16_t port, uint8_t type)
{
	if (port != 0)
		outw(port,
		    (uint16_t)((inw(port) & ~PM1_SLEEP_TYPE_MASK) |
			(unsigned)type << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP));
}

void
acpi_poweroff(void)
{
	if (!have_s5 || pm1a == 0)
		return;
	enter_acpi_mode();
	sleep_by(pm1a, s5_a);
	sleep_by(pm1b, s5_b);
	time_delay_us(WAIT_US * WAITS);
}

void
acpi_reset(void)
{
	if (reset_memory != NULL)
		*reset_memory = reset_value;
	else if (reset_register.space == ACPI_SPACE_IO && reset_register.address != 0)
		outb((uint16_t)reset_register.address, reset_value);
	else
		return;
	time_delay_us(WAIT_US * WAITS);
}
