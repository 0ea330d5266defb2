/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the machine. The exit status goes to whoever started it as the last line of the log; then each
 * way to turn the machine off is tried, the quickest first.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/panic.h>
#include <kernel/printf.h>

#define DEBUG_EXIT_PORT       0xf4 /* QEMU's isa-debug-exit: reads as 0; a write ends QEMU */
#define RESET_CONTROL_PORT    0xcf9
#define KEYBOARD_COMMAND_PORT 0x64
#define KEYBOARD_RESET        0xfe
#define RESET_WAIT_US         100000

void
arch_halt(void)
{
	for (;;)
		__asm volatile("cli; hlt" ::: "memory");
}

/* An interrupt without a table of handlers resets the processor. */
static void
triple_fault(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm volatile("lidt %0; int3" : : "m"(none) : "memory");
}

void
arch_poweroff(int status)
{
	arch_intr_disable();
	kprintf("exit: status=%d\n", status);
	arch_console_flush();
	if (inl(DEBUG_EXIT_PORT) == 0)
		outl(DEBUG_EXIT_PORT, (uint32_t)status);
	acpi_poweroff();
	triple_fault();
	arch_halt();
}

void
arch_reboot(void)
{
	arch_intr_disable();
	arch_console_flush();
	acpi_reset();
	outb(RESET_CONTROL_PORT, 0x02);
	outb(RESET_CONTROL_PORT, 0x06);
	time_delay_us(RESET_WAIT_US);
	outb(KEYBOARD_COMMAND_PORT, KEYBOARD_RESET);
	time_delay_us(RESET_WAIT_US);
	triple_fault();
	arch_halt();
}
