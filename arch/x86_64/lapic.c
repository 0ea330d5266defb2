/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC of each CPU: interrupts between CPUs, the timer, the end of each interrupt.
 *
 * With x2APIC the registers are MSRs: one instruction sends an interrupt. Otherwise they are memory, the
 * same address on every CPU. The mode is chosen by the boot CPU for all.
 *
 * Each CPU touches only its own, with interrupts off where two writes belong together.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/cpu.h>
#include <kernel/panic.h>
#include <kernel/printf.h>

/* Offsets of the memory form; MSR number is 0x800 + offset / 16. */
enum {
	REG_ID = 0x20,
	REG_VERSION = 0x30,
	REG_TPR = 0x80,
	REG_EOI = 0xb0,
	REG_LDR = 0xd0,
	REG_DFR = 0xe0,
	REG_SVR = 0xf0,
	REG_ESR = 0x280,
	REG_ICR = 0x300,
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_THERMAL = 0x330,
	REG_LVT_PERF = 0x340,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0
};

#define MSR_APIC_BASE     0x1b
#define APIC_BASE_ENABLE  (1ul << 11)
#define APIC_BASE_X2APIC  (1ul << 10)
#define MSR_X2APIC        0x800u
#define CPUID1_ECX_X2APIC (1u << 21)

#define SVR_ENABLE         0x100u
#define LVT_MASKED         0x10000u
#define LVT_NMI            0x400u
#define LVT_TSC_DEADLINE   0x40000u
#define TIMER_DIVIDE_BY_1  0xbu
#define ICR_PENDING        0x1000u
#define VERSION_MAX_LVT(v) ((v) >> 16 & 0xff)
#define LAPIC_PAGE         0x1000

static bool x2apic;                   /* constant after lapic_init() */
static volatile uint32_t *lapic_regs; /* same */

static inline uint32_t
lapic_read(unsigned reg)
{
	if (x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
	return lapic_regs[reg / 4];
}

static inline void
lapic_write(unsigned reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, v);
	else
		lapic_regs[reg / 4] = v;
}

uint32_t
lapic_id(void)
{
	uint32_t id = lapic_read(REG_ID);

	return x2apic ? id : id >> 24;
}

void
lapic_eoi(void)
{
	lapic_write(REG_EOI, 0);
}

/*
 * Sends what `low`, the lower half of the command register, says.
 * => any context; the target sees all stores that came before
 */
void
lapic_send_ipi(uint32_t apicid, uint32_t low)
{
	bool on;

	if (x2apic) {
		/* This write does not wait for earlier stores by itself. */
		__asm volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC + REG_ICR / 16, (uint64_t)apicid << 32 | low);
		return;
	}
	on = arch_intr_disable();
	while ((lapic_regs[REG_ICR / 4] & ICR_PENDING) != 0)
		arch_cpu_relax();
	lapic_regs[REG_ICR_HIGH / 4] = apicid << 24;
	lapic_regs[REG_ICR / 4] = low;
	arch_intr_restore(on);
}

/*
 * The same for who may have interrupted another's sending between its two writes, as an NMI or a breakpoint does: the
 * register's upper half is left as it was, else what the other sends went to our target.
 */
void
lapic_send_ipi_nested(uint32_t apicid, uint32_t low)
{
	uint32_t high = x2apic ? 0 : lapic_regs[REG_ICR_HIGH / 4];

	lapic_send_ipi(apicid, low);
	if (x2apic)
		return;
	while ((lapic_regs[REG_ICR / 4] & ICR_PENDING) != 0)
		arch_cpu_relax();
	lapic_regs[REG_ICR_HIGH / 4] = high;
}

void
lapic_send_init(uint32_t apicid)
{
	lapic_send_ipi(apicid, ICR_INIT | ICR_ASSERT);
}

/* `page`: physical page number of the start code, below 1 MiB. */
void
lapic_send_startup(uint32_t apicid, uint8_t page)
{
	time_stamp();
	lapic_send_ipi(apicid, ICR_STARTUP | ICR_ASSERT | page);
}

void
lapic_timer_oneshot(uint32_t count)
{
	lapic_write(REG_TIMER_INITIAL, count);
}

uint32_t
lapic_timer_count(void)
{
	return lapic_read(REG_TIMER_CURRENT);
}

/* From now on the deadline MSR rules this CPU's timer. */
void
lapic_timer_deadline_mode(void)
{
	lapic_write(REG_LVT_TIMER, LVT_TSC_DEADLINE | VEC_TIMER);
	__asm volatile("mfence" ::: "memory"); /* before the first write of the MSR */
}

void
lapic_error(void)
{
	lapic_write(REG_ESR, 0); /* latches what has happened */
	kprintf("cpu%u: local APIC error %#x\n", arch_curcpu()->ci_index, lapic_read(REG_ESR));
}

static void
setup_nmi_lines(void)
{
	int lint = acpi_nmi_lint(lapic_id());

	lapic_write(REG_LVT_LINT0, lint == 0 ? LVT_NMI : LVT_MASKED);
	lapic_write(REG_LVT_LINT1, lint == 1 ? LVT_NMI : LVT_MASKED);
}

void
lapic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	unsigned max_lvt;

	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	else if ((base & APIC_BASE_X2APIC) != 0)
		panic("cpu%u: x2APIC is on but the boot CPU has it not", arch_curcpu()->ci_index);

	lapic_write(REG_SVR, SVR_ENABLE | VEC_SPURIOUS);
	lapic_write(REG_TPR, 0);
	max_lvt = VERSION_MAX_LVT(lapic_read(REG_VERSION));
	lapic_write(REG_LVT_TIMER, VEC_TIMER);
	lapic_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	if (max_lvt >= 4)
		lapic_write(REG_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		lapic_write(REG_LVT_THERMAL, LVT_MASKED);
	setup_nmi_lines();
	lapic_write(REG_ESR, 0);
	lapic_write(REG_LVT_ERROR, VEC_ERROR);
	lapic_eoi(); /* of anything the firmware left */
}

void
lapic_init(void)
{
	x2apic = (cpuid(1, 0).ecx & CPUID1_ECX_X2APIC) != 0;
	if (!x2apic)
		lapic_regs = mmio_map(acpi_lapic_address(), LAPIC_PAGE, false);
	lapic_init_cpu();
}
