/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of the other CPUs, one after the other.
 *
 * A CPU starts in real mode in the first MiB, so boot/trampoline.asm is copied to a page there;
 * it goes through the boot page tables, the only ones that map low addresses, to ap_entry and
 * ap_main() below. `ap_claim` holds the APIC id of the CPU that is being started: it swaps
 * itself for AP_CLAIMED, or, when we have lost patience, we swap it for AP_NONE; only one can
 * win, so a CPU that comes too late halts and touches nothing.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <arch/md.h>
#include <arch/pmap_md.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define AP_NONE          0xffffffffu
#define AP_CLAIMED       0xfffffffeu
#define AP_PATIENCE      ((nsec_t)5000000000) /* for the CPU to come at all */
#define INIT_DELAY_US    10000
#define STARTUP_DELAY_US 200

extern const char __trampoline_start[], __trampoline_end[]; /* linker script */
extern const uint32_t trampoline_page; /* boot/trampoline.asm: its physical address */

/* Read by boot/trampoline.asm. */
extern uint32_t ap_claim;
extern uint64_t ap_cr3;
extern uintptr_t ap_stack;
extern struct cpu *ap_cpu;
uint32_t ap_claim = AP_NONE; /* (a) */
uint64_t ap_cr3;
uintptr_t ap_stack;
struct cpu *ap_cpu;

static uintptr_t ap_ist[IST_COUNT];

/* On its idle LWP's stack, GS base set. */
void
ap_main(struct cpu *ci)
{
	gdt_init(ci, ap_ist);
	idt_load();
	pmap_cpu_init();
	cpu_enable();
	machine_init_ap();
	debug_cpu_init();
	atomic_or(&cpu_online_set, CPU_BIT(ci));
	atomic_store_release(&ci->ci_online, 1);
	cpu_main_ap(ci);
}

static bool
wait_word(const uint32_t *word, uint32_t value, nsec_t patience)
{
	nsec_t end = arch_time_ns() + patience;

	while (atomic_load_acquire(word) != value) {
		if (arch_time_ns() >= end)
			return false;
		arch_cpu_relax();
	}
	return true;
}

/* Everything the CPU needs is in place. Returns whether it has come. */
static bool
wake(uint32_t apicid)
{
	uint32_t expected = apicid;
	uint8_t page = (uint8_t)(trampoline_page >> PAGE_SHIFT);

	time_stamp();
	atomic_store_release(&ap_claim, apicid);
	lapic_send_init(apicid);
	time_delay_us(INIT_DELAY_US);
	lapic_send_startup(apicid, page);
	time_delay_us(STARTUP_DELAY_US);
	if (atomic_load_acquire(&ap_claim) != AP_CLAIMED)
		lapic_send_startup(apicid, page);
	if (wait_word(&ap_claim, AP_CLAIMED, AP_PATIENCE))
		return true;
	return !atomic_cas(&ap_claim, &expected, AP_NONE);
}

static bool
start_cpu(uint32_t apicid)
{
	struct cpu *ci = kmem_zalloc(round_page(sizeof(*ci)));
	struct lwp *idle;

	if (ci == NULL)
		return false;
	ci->ci_self = ci;
	ci->ci_index = ncpu;
	ci->ci_hwid = apicid;
	if (gdt_alloc_ist(ap_ist) != 0)
		goto free_cpu;
	cpus[ci->ci_index] = ci;
	idle = cpu_prepare_ap(ci);
	if (idle == NULL)
		goto free_ist;
	ncpu++;
	ap_cpu = ci;
	ap_stack = (uintptr_t)arch_user_frame(idle);
	if (!wake(apicid))
		return false; /* it stays in the table, never online */
	/* It runs our code, which ends in a panic or here. */
	while (atomic_load_acquire(&ci->ci_online) == 0)
		arch_cpu_relax();
	time_stamp(); /* nor is its counter ahead of ours */
	return true;

free_ist:
	cpus[ci->ci_index] = NULL;
	for (unsigned i = IST_NMI; i < IST_COUNT; i++)
		kstack_free((void *)ap_ist[i]);
free_cpu:
	kmem_free(ci, round_page(sizeof(*ci)));
	return false;
}

/* => interrupts on, boot CPU */
void
arch_start_cpus(void)
{
	unsigned found = acpi_cpu_count();

	memcpy(arch_phys_to_virt(trampoline_page), __trampoline_start,
	    (size_t)(__trampoline_end - __trampoline_start));
	ap_cr3 = pmap_kernel_cr3();
	for (unsigned i = 1; i < found; i++) {
		if (ncpu == MAXCPUS) {
			kprintf("smp: %u CPUs, of which %u are used\n", found, ncpu);
			break;
		}
		if (!start_cpu(acpi_cpu_apicid(i)))
			kprintf("smp: the CPU with APIC id %u did not start\n", acpi_cpu_apicid(i));
	}
}
