/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switched branches: see <arch/branch_md.h>.
 *
 * The table of places is collected by the linker. A change is written through the direct map, where the
 * image's pages are writable and not executable; the text's own mapping stays read-only. The other CPUs are
 * parked meanwhile in an interrupt, so each of them is before or behind the changed instruction, never
 * inside, and it leaves by IRETQ, which makes it fetch the text again. This CPU changes all places with interrupts off, for a place is written in pieces; no NMI handler runs through one. What gdb's
 * stub has put into the text is taken out meanwhile, so that neither saves what the other wrote.
 */
#include <arch/arch_if.h>
#include <arch/branch_md.h>
#include <arch/insn.h>
#include <kernel/gdbstub.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#define SITE_LEN  5
#define INSN_JMP  0xe9
#define INSN_CALL 0xe8

extern struct branch_site __start_set_branches[], __stop_set_branches[]; /* linker script */

static const uint8_t nop5[SITE_LEN] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

static void
put_relative(uint8_t insn[SITE_LEN], uint8_t opcode, uintptr_t site, uintptr_t target)
{
	int32_t rel = (int32_t)(target - (site + SITE_LEN));

	insn[0] = opcode;
	memcpy(&insn[1], &rel, sizeof(rel));
}

static void
set_site(struct branch_site *s, bool on)
{
	uint8_t *text = arch_phys_to_virt(arch_virt_to_phys((const void *)s->bs_site));
	uint8_t insn[SITE_LEN];

	if (on) {
		if ((s->bs_kind == BRANCH_NOP && memcmp(text, nop5, SITE_LEN) != 0) ||
		    (s->bs_kind == BRANCH_CALL && text[0] != INSN_CALL))
			panic("branch at %#lx: the text is not what it was", s->bs_site);
		memcpy(s->bs_saved, text, SITE_LEN);
		put_relative(insn, s->bs_kind == BRANCH_CALL ? INSN_CALL : INSN_JMP, s->bs_site,
		    s->bs_target);
	} else
		memcpy(insn, s->bs_saved, SITE_LEN);
	memcpy(text, insn, SITE_LEN);
	s->bs_on = on;
}

/*
 * Turns the branches on whose bit is set in `keys`, and all others off.
 * => the other CPUs are parked by cpu_stop_others(false), or there are none; one caller at a time
 */
void
arch_branches_set(uint64_t keys)
{
	bool intr = arch_intr_disable();

	debug_text_change(true);
	for (struct branch_site *s = __start_set_branches; s < __stop_set_branches; s++) {
		bool on = (keys >> s->bs_key & 1) != 0;

		if (on != s->bs_on)
			set_site(s, on);
	}
	debug_text_change(false);
	(void)cpuid(0, 0); /* fetches anew what follows */
	arch_intr_restore(intr);
}
