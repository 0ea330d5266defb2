/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FPU state of user mode: x87, SSE, AVX. XSAVE where the processor has it, else FXSAVE (x87 and
 * SSE). The kernel's own code uses none of these registers, so an LWP's state stays in them
 * until arch_switch() (or a function here, asked to) saves it.
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/md.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#include "sigframe.h"

#define FCW_INITIAL        0x37fu
#define MXCSR_INITIAL      0x1f80u
#define MXCSR_MASK_DEFAULT 0xffbfu
#define XCR0_X87_SSE       3u

/* Places in the save area. */
#define AREA_MXCSR      24
#define AREA_MXCSR_MASK 28

uint8_t fpu_kind = FPU_FXSAVE;
static uint64_t xcr0;
static uint32_t mxcsr_mask = MXCSR_MASK_DEFAULT;
uint32_t fpu_mxcsr_invalid = ~MXCSR_MASK_DEFAULT;
uint64_t fpu_sw[3];
size_t fpu_frame_size = 512;
static size_t area_size = 512;
static uint8_t initial_state[FPU_AREA] __aligned(64);

void
fpu_area_init(void *area)
{
	uint16_t fcw = FCW_INITIAL;
	uint32_t mxcsr = MXCSR_INITIAL;

	memset(area, 0, FPU_AREA); /* no component is present: all load as initial */
	memcpy(area, &fcw, sizeof(fcw));
	memcpy((char *)area + AREA_MXCSR, &mxcsr, sizeof(mxcsr));
}

void
fpu_detect(void)
{
	struct cpuid d;

	fpu_area_init(initial_state);
	if ((cpuid(1, 0).ecx & 1u << 26) == 0)
		return;
	d = cpuid(0xd, 0);
	xcr0 = d.eax & XCR0_WANTED;
	KASSERT((xcr0 & XCR0_X87_SSE) == XCR0_X87_SSE);
	d = cpuid(0xd, 1);
	fpu_kind = d.eax & 1 ? FPU_XSAVEOPT : FPU_XSAVE;
}

void
fpu_enable(void)
{
	static uint8_t image[512] __aligned(16);
	uint32_t mask;

	if (fpu_kind != FPU_FXSAVE) {
		__asm volatile("xsetbv" : : "a"((uint32_t)xcr0), "d"(0), "c"(0));
		area_size = cpuid(0xd, 0).ebx; /* for what XCR0 enables now */
		if (area_size > FPU_AREA)
			panic("FPU state of %zu bytes", area_size);
		fpu_sw[0] = FP_XSTATE_MAGIC1 | (area_size + sizeof(uint32_t)) << 32;
		fpu_sw[1] = xcr0;
		fpu_sw[2] = area_size;
		fpu_frame_size = area_size + sizeof(uint32_t);
	}
	fpu_load_initial();
	__asm volatile("fxsave64 %0" : "=m"(image));
	memcpy(&mask, &image[AREA_MXCSR_MASK], sizeof(mask));
	if (mask != 0)
		mxcsr_mask = mask;
	fpu_mxcsr_invalid = ~mxcsr_mask;
}

size_t
fpu_area_size(void)
{
	return area_size;
}

uint64_t
fpu_features(void)
{
	return xcr0;
}

uint32_t
fpu_mxcsr_mask(void)
{
	return mxcsr_mask;
}

void
fpu_save(void *area)
{
	if (fpu_kind != FPU_FXSAVE)
		__asm volatile("xsave64 (%0)" : : "r"(area), "a"(XCR0_WANTED), "d"(0) : "memory");
	else
		__asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void
fpu_load(const void *area)
{
	if (fpu_kind != FPU_FXSAVE)
		__asm volatile("xrstor64 (%0)" : : "r"(area), "a"(XCR0_WANTED), "d"(0) : "memory");
	else
		__asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void
fpu_load_initial(void)
{
	fpu_load(initial_state);
}
