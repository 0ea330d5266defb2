/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APICs, which turn device interrupt lines into vectors of a CPU. All pins are masked until a
 * driver asks for its line.
 *
 * Locking: ioapic_lock, since each register is reached by two accesses.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <kernel/spinlock.h>

#define REG_VERSION     0x01
#define REG_PIN(n)      (0x10 + 2 * (n))
#define VERSION_PINS(v) (((v) >> 16 & 0xff) + 1)
#define PIN_ACTIVE_LOW  0x2000u
#define PIN_LEVEL       0x8000u
#define PIN_MASKED      0x10000u
#define SELECT          (0x00 / 4)
#define WINDOW          (0x10 / 4)
#define REGS_SIZE       0x20
#define MAX_IOAPICS     8

static struct spinlock ioapic_lock = SPINLOCK_INIT("ioapic", RANK_SPIN_LEAF);
static struct {
	volatile uint32_t *regs; /* under ioapic_lock */
	uint32_t gsi, npins;     /* constant */
} ioapics[MAX_IOAPICS];
static unsigned nioapics; /* constant after ioapic_init() */

static uint32_t
ioapic_read(unsigned i, uint32_t reg)
{
	ioapics[i].regs[SELECT] = reg;
	return ioapics[i].regs[WINDOW];
}

static void
ioapic_write(unsigned i, uint32_t reg, uint32_t v)
{
	ioapics[i].regs[SELECT] = reg;
	ioapics[i].regs[WINDOW] = v;
}

void
ioapic_init(void)
{
	nioapics = min(acpi_ioapic_count(), (unsigned)MAX_IOAPICS);
	for (unsigned i = 0; i < nioapics; i++) {
		const struct acpi_ioapic *a = acpi_ioapic(i);

		ioapics[i].regs = mmio_map(a->address, REGS_SIZE, false);
		ioapics[i].gsi = a->gsi_base;
		ioapics[i].npins = VERSION_PINS(ioapic_read(i, REG_VERSION));
		for (uint32_t pin = 0; pin < ioapics[i].npins; pin++) {
			ioapic_write(i, REG_PIN(pin), PIN_MASKED);
			ioapic_write(i, REG_PIN(pin) + 1, 0);
		}
	}
}

int
ioapic_route_isa(unsigned irq, unsigned vector, uint32_t apicid)
{
	struct acpi_irq line = acpi_isa_irq(irq);
	uint32_t low =
	    vector | (line.level ? PIN_LEVEL : 0) | (line.active_low ? PIN_ACTIVE_LOW : 0);

	for (unsigned i = 0; i < nioapics; i++) {
		uint32_t pin = line.gsi - ioapics[i].gsi;

		if (line.gsi < ioapics[i].gsi || pin >= ioapics[i].npins)
			continue;
		spin_lock(&ioapic_lock);
		ioapic_write(i, REG_PIN(pin) + 1, apicid << 24);
		ioapic_write(i, REG_PIN(pin), low);
		spin_unlock(&ioapic_lock);
		return 0;
	}
	return -ENODEV;
}
