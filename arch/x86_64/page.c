/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choice of the instructions that arch_zero_page() and arch_copy_page() use; see page.asm.
 */
#include <arch/md.h>
#include <arch/pmap_md.h>

enum { PAGE_ISA_PLAIN, PAGE_ISA_SSE, PAGE_ISA_AVX };

extern uint8_t page_isa;
uint8_t page_isa = PAGE_ISA_PLAIN;

#define XCR0_AVX    0x06u /* SSE and AVX state */
#define XCR0_AVX512 0xe0u

void
arch_page_init(void)
{
	uint64_t cr4 = pmap_read_cr4();
	uint32_t lo, hi;

	if ((cr4 & CR4_OSFXSR) == 0)
		return;
	page_isa = PAGE_ISA_SSE;
	if ((cr4 & CR4_OSXSAVE) == 0)
		return;
	__asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	if ((lo & XCR0_AVX) == XCR0_AVX && (lo & XCR0_AVX512) == 0)
		page_isa = PAGE_ISA_AVX;
}
