/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Features of the processor: found once on the boot CPU, turned on on every CPU. Those that
 * protect (SMEP, SMAP, UMIP) and those that save work (FSGSBASE, XSAVE) are used where present;
 * nothing but long mode with no-execute pages is required, which the boot code has checked.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/md.h>
#include <kernel/cpu.h>
#include <kernel/lwp.h>
#include <kernel/printf.h>
#include <kernel/string.h>

_Static_assert(offsetof(struct cpu, ci_self) == 0 && offsetof(struct cpu, ci_curlwp) == 8,
    "arch_curcpu() and arch_curlwp()");
_Static_assert(offsetof(struct cpu, ci_md.md_tss) % 8 == 4, "alignment of tss_rsp");
_Static_assert(sizeof(struct lwp) % CACHE_LINE == 0, "the FPU save area follows");

#define HWCAP2_FSGSBASE 0x2u

const char arch_platform[] = "x86_64";
bool cpu_has_fsgsbase;
uint8_t cpu_fsgsbase;
static uint64_t cr4_bits = CR4_OSFXSR | CR4_OSXMMEXCPT;
static uint32_t hwcap;

/* Places of STAC and CLAC, smap.inc: address, instruction of three bytes; ends with 0. */
extern const uint64_t smap_sites_entry[], smap_sites_usercopy[], smap_sites_sigcopy[];

static void
smap_patch(const uint64_t *site)
{
	for (; site[0] != 0; site += 2)
		memcpy((void *)site[0], &site[1], 3);
}

void
cpu_detect(void)
{
	struct cpuid c1 = cpuid(1, 0), c7 = cpuid(7, 0);

	hwcap = c1.edx;
	if (c1.edx & 1u << 7)
		cr4_bits |= CR4_MCE; /* without it a machine check is a reset */
	if (c1.ecx & 1u << 26)
		cr4_bits |= CR4_OSXSAVE;
	if (c7.ebx & 1u << 0) {
		cr4_bits |= CR4_FSGSBASE;
		cpu_has_fsgsbase = true;
		cpu_fsgsbase = 1;
	}
	if (c7.ebx & 1u << 7)
		cr4_bits |= CR4_SMEP;
	if (c7.ebx & 1u << 20) {
		cr4_bits |= CR4_SMAP;
		smap_patch(smap_sites_entry);
		smap_patch(smap_sites_usercopy);
		smap_patch(smap_sites_sigcopy);
	}
	if (c7.ecx & 1u << 2)
		cr4_bits |= CR4_UMIP;
	fpu_detect();
}

/* What SYSCALL clears: no interrupt before the stack is ours, no user mode's flag in the kernel. */
#define SYSCALL_FLAGS \
	(RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC)

void
cpu_enable(void)
{
	uint64_t cr0, cr4;

	__asm volatile("movq %%cr0, %0" : "=r"(cr0));
	cr0 = (cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE;
	__asm volatile("movq %0, %%cr0" : : "r"(cr0));
	__asm volatile("movq %%cr4, %0" : "=r"(cr4));
	__asm volatile("movq %0, %%cr4" : : "r"(cr4 | cr4_bits));
	fpu_enable();

	wrmsr(MSR_STAR, (uint64_t)SEL_UCODE32 << 48 | (uint64_t)SEL_KCODE << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
	wrmsr(MSR_CSTAR, 0); /* there is no 32-bit code segment for user mode */
	wrmsr(MSR_FMASK, SYSCALL_FLAGS);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_USER_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
}

uint64_t
arch_hwcap(void)
{
	return hwcap;
}

uint64_t
arch_hwcap2(void)
{
	return cpu_has_fsgsbase ? HWCAP2_FSGSBASE : 0;
}
