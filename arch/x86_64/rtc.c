/* SPDX-License-Identifier: BSD-2-Clause */
/* The battery-backed clock, read once at boot. It is taken to run on UTC. */
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/string.h>

#include "refclock.h"

#define RTC_INDEX   0x70
#define RTC_DATA    0x71
#define NMI_ENABLED 0x00

enum {
	REG_SECOND = 0,
	REG_MINUTE = 2,
	REG_HOUR = 4,
	REG_DAY = 7,
	REG_MONTH = 8,
	REG_YEAR = 9,
	REG_A = 10,
	REG_B = 11
};
#define A_UPDATING 0x80
#define B_24_HOURS 0x02
#define B_BINARY   0x04
#define HOUR_PM    0x80
#define PATIENCE   1000000u

struct rtc {
	uint8_t second, minute, hour, day, month, year, century;
};

static uint8_t
cmos(uint8_t reg)
{
	outb(RTC_INDEX, NMI_ENABLED | reg);
	return inb(RTC_DATA);
}

static struct rtc
read_once(void)
{
	uint8_t century = acpi_century_register();

	for (unsigned n = 0; n < PATIENCE && (cmos(REG_A) & A_UPDATING) != 0; n++)
		continue;
	return (struct rtc){ cmos(REG_SECOND), cmos(REG_MINUTE), cmos(REG_HOUR), cmos(REG_DAY),
		cmos(REG_MONTH), cmos(REG_YEAR), century != 0 ? cmos(century) : 0 };
}

static unsigned
decode(uint8_t v, bool binary)
{
	return binary ? v : (v >> 4) * 10u + (v & 15u);
}

/* Days from 1970-01-01 to a day of the Gregorian calendar; years begin in March, so the leap day is last. */
static uint64_t
days_since_1970(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month <= 2 ? year - 1 : year;
	unsigned m = month <= 2 ? month + 9 : month - 3;

	return (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

nsec_t
rtc_read(void)
{
	struct rtc a = read_once(), b;
	unsigned hour, year, century;
	uint8_t mode = cmos(REG_B);
	bool binary = (mode & B_BINARY) != 0;

	/* Two equal readings: no update came between. */
	for (unsigned n = 0; n < PATIENCE; n++) {
		b = read_once();
		if (memcmp(&a, &b, sizeof(a)) == 0)
			break;
		a = b;
	}
	hour = decode(a.hour & (uint8_t)~HOUR_PM, binary);
	if ((mode & B_24_HOURS) == 0)
		hour = hour % 12 + ((a.hour & HOUR_PM) != 0 ? 12 : 0);
	year = decode(a.year, binary);
	century = decode(a.century, binary);
	if (century < 19 || century > 30)
		century = year < 70 ? 20 : 19;
	year += century * 100;
	return (((days_since_1970(year, decode(a.month, binary), decode(a.day, binary)) * 24 +
		     hour) *
			60 +
		    decode(a.minute, binary)) *
		       60 +
		   decode(a.second, binary)) *
	    1000000000ul;
}
