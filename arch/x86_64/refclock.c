/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference clocks, best first: HPET, ACPI power-management timer, PIT channel 2. Used by the boot CPU
 * during the boot only.
 */
#include "refclock.h"

#include <arch/insn.h>
#include <arch/machine.h>

#define PM_TIMER_HZ 3579545
#define PIT_HZ      1193182

#define PIT_CHANNEL2    0x42
#define PIT_COMMAND     0x43
#define PIT_LOAD2_MODE2 0xb4
#define PIT_LATCH2      0x80
#define PIT_GATE        0x61
#define PIT_GATE_ON     0x01
#define PIT_SPEAKER     0x02

#define HPET_SIZE         0x400
#define HPET_CAPABILITIES (0x00 / 8)
#define HPET_CONFIG       (0x10 / 8)
#define HPET_COUNTER      (0xf0 / 8)
#define HPET_64BIT        (1ul << 13)
#define HPET_RUN          1ul
#define HPET_SLOWEST_FS   100000000ul /* longest period that the specification allows */
#define FS_PER_SEC        1000000000000000ul

static volatile uint64_t *hpet;
static struct refclock chosen;

static uint64_t
hpet_read(void)
{
	return hpet[HPET_COUNTER];
}

static uint64_t
pm_timer_read(void)
{
	return inl(acpi_pm_timer_port());
}

static uint64_t
pit_read(void)
{
	unsigned low;

	outb(PIT_COMMAND, PIT_LATCH2);
	low = inb(PIT_CHANNEL2);
	return 0x10000 - (inb(PIT_CHANNEL2) << 8 | low); /* it counts down */
}

static bool
choose_hpet(void)
{
	uint64_t capabilities, period;

	if (acpi_hpet_address() == 0)
		return false;
	hpet = mmio_map(acpi_hpet_address(), HPET_SIZE, false);
	capabilities = hpet[HPET_CAPABILITIES];
	period = capabilities >> 32;
	if (period == 0 || period > HPET_SLOWEST_FS)
		return false;
	hpet[HPET_CONFIG] |= HPET_RUN;
	chosen = (struct refclock){ "HPET", hpet_read,
		(capabilities & HPET_64BIT) != 0 ? UINT64_MAX : UINT32_MAX, FS_PER_SEC / period };
	return true;
}

static void
choose_pit(void)
{
	outb(PIT_GATE, (uint8_t)((inb(PIT_GATE) & ~PIT_SPEAKER) | PIT_GATE_ON));
	outb(PIT_COMMAND, PIT_LOAD2_MODE2);
	outb(PIT_CHANNEL2, 0);
	outb(PIT_CHANNEL2, 0);
	chosen = (struct refclock){ "PIT", pit_read, 0xffff, PIT_HZ };
}

const struct refclock *
refclock_choose(void)
{
	if (choose_hpet())
		return &chosen;
	if (acpi_pm_timer_port() != 0)
		chosen = (struct refclock){ "ACPI timer", pm_timer_read,
			acpi_pm_timer_32bit() ? UINT32_MAX : 0xffffff, PM_TIMER_HZ };
	else
		choose_pit();
	return &chosen;
}
