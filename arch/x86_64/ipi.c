/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts from one CPU to another. The upcalls are made by arch_irq() and the NMI handler. */
#include <arch/arch_if.h>
#include <arch/machine.h>
#include <kernel/cpu.h>
#include <kernel/explore.h>
#include <kernel/trace.h>

void
arch_ipi_resched(struct cpu *ci)
{
	TRACE(IPI, TRI_RESCHED, ci->ci_index, 0);
	if (EXPLORING) {
		explore_ipi(ci, XI_RESCHED);
		return;
	}
	lapic_send_ipi(ci->ci_hwid, ICR_FIXED | ICR_ASSERT | VEC_RESCHED);
}

void
arch_ipi_call(struct cpu *ci)
{
	TRACE(IPI, TRI_CALL, ci->ci_index, 0);
	if (EXPLORING) {
		explore_ipi(ci, XI_CALL);
		return;
	}
	lapic_send_ipi(ci->ci_hwid, ICR_FIXED | ICR_ASSERT | VEC_CALL);
}

void
arch_ipi_nmi(struct cpu *ci)
{
	TRACE(IPI, TRI_NMI, ci->ci_index, 0);
	lapic_send_ipi_nested(ci->ci_hwid, ICR_NMI | ICR_ASSERT);
}
