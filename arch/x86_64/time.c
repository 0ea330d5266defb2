/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time and the timer of each CPU.
 *
 * The clock is the time-stamp counter, which all CPUs read alike. Its rate, and that of the local APIC's
 * timer, are measured at boot (calibrate.c) against the best reference there is (HPET, ACPI timer, PIT). Conversions are
 * multiplications by a fixed-point factor; 128-bit products keep them exact.
 *
 * The timer is one-shot: TSC deadline where the processor has that, else the APIC's counter. A time in the
 * past becomes the shortest interval, so an event is never lost; an interval too long for the counter
 * ends early, and timer_intr() then finds nothing due and sets it again.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/explore.h>
#include <kernel/panic.h>
#include <kernel/printf.h>

#include "calibrate.h"
#include "refclock.h"
#include "timescale.h"

#define NSEC_PER_SEC     1000000000ul
#define LONGEST_COUNT_NS ((nsec_t)1 << 32)
#define NEVER            ((nsec_t)-1)                /* NSEC_FOREVER */
#define EXPLORE_WALL     (1735689600 * NSEC_PER_SEC) /* 1 January 2025 */

#define MSR_TSC_DEADLINE        0x6e0
#define CPUID1_ECX_TSC_DEADLINE (1u << 24)

/* Constant after time_init(). */
static struct timescale scale;
static uint64_t tsc_hz;      /* the counter's rate */
static uint64_t ns_to_count; /* of the APIC's timer: counts = ns * this >> 32 */
static bool deadline;
static nsec_t wall_at_boot;

static uint64_t tsc_reached; /* (a) a count that every CPU must have passed */

nsec_t
arch_time_ns(void)
{
	if (EXPLORING)
		return explore_time();
	return ticks_to_ns(&scale, rdtsc());
}

void
arch_cycles_scale(uint64_t *hz, uint64_t *base)
{
	*hz = tsc_hz;
	*base = scale.ts_base;
}

void
time_scale(uint64_t *base, uint64_t *to_ns)
{
	*base = scale.ts_base;
	*to_ns = scale.ts_to_ns;
}

nsec_t
arch_time_wall_at_boot(void)
{
	return EXPLORING ? EXPLORE_WALL : wall_at_boot;
}

void
arch_timer_set(nsec_t when)
{
	nsec_t now;
	uint64_t count;

	if (EXPLORING) {
		explore_timer_set(when);
		return;
	}
	if (deadline) {
		wrmsr(MSR_TSC_DEADLINE, when == NEVER ? 0 : ns_to_ticks(&scale, when, rdtsc()));
		return;
	}
	count = 0;
	if (when != NEVER) {
		now = arch_time_ns();
		count = 1;
		if (when > now)
			count += scale32(min(when - now, LONGEST_COUNT_NS), ns_to_count);
		count = min(count, (uint64_t)UINT32_MAX);
	}
	lapic_timer_oneshot((uint32_t)count);
}

static uint64_t
read_tsc(void)
{
	return rdtsc();
}

static void
restart_count(void)
{
	lapic_timer_oneshot(UINT32_MAX);
}

void
time_init(void)
{
	const struct refclock *r = refclock_choose();
	const struct counters counters = { r, read_tsc, restart_count, lapic_timer_count };
	struct rates rates = calibrate(&counters);
	uint64_t count_hz = rates.r_count_hz;

	lapic_timer_oneshot(0);
	tsc_hz = rates.r_tsc_hz;
	if (tsc_hz <= NSEC_PER_SEC >> TSC_SHIFT || count_hz == 0)
		panic("time: by the %s the TSC runs at %lu Hz, the APIC timer at %lu Hz", r->name,
		    tsc_hz, count_hz);
	scale.ts_to_ticks = ratio(tsc_hz, 32, NSEC_PER_SEC) + 1;
	ns_to_count = ratio(count_hz, 32, NSEC_PER_SEC);
	scale.ts_base = rdtsc();
	scale.ts_to_ns = ratio(NSEC_PER_SEC, 64 - TSC_SHIFT, tsc_hz);
	wall_at_boot = rtc_read();
	deadline = (cpuid(1, 0).ecx & CPUID1_ECX_TSC_DEADLINE) != 0;
	if (deadline)
		lapic_timer_deadline_mode();
	kprintf("time: TSC %lu.%03lu MHz, APIC timer %lu.%03lu MHz by the %s, timer by %s\n",
	    tsc_hz / 1000000, tsc_hz / 1000 % 1000, count_hz / 1000000, count_hz / 1000 % 1000,
	    r->name, deadline ? "TSC deadline" : "APIC count");
	if (!rates.r_sure)
		kprintf(
		    "time: no two of %u measurements agree: clocks may be wrong\n", rates.r_tries);
}

/* Panics if this CPU's counter is behind what another's has shown. */
static void
check_tsc(void)
{
	uint64_t reached = atomic_load_acquire(&tsc_reached), now = rdtsc();

	if (now < reached)
		panic("cpu%u: its TSC is %lu ticks behind another CPU's", arch_curcpu()->ci_index,
		    reached - now);
	atomic_store_release(&tsc_reached, now);
}

void
time_stamp(void)
{
	check_tsc();
}

void
time_init_cpu(void)
{
	check_tsc();
	if (deadline)
		lapic_timer_deadline_mode();
}

/* => any context; before time_init() it takes the TSC for a fast one and waits longer than asked. */
void
time_delay_us(unsigned us)
{
	uint64_t ticks = scale.ts_to_ns != 0 ? scale32((uint64_t)us * 1000, scale.ts_to_ticks)
					     : (uint64_t)us * 4000;
	uint64_t start = rdtsc();

	while (rdtsc() - start < ticks)
		arch_cpu_relax();
}
