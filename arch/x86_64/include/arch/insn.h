/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that C has no words for, and their encoding.
 * layer: arch
 */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

#include <kernel/types.h>

static inline uint8_t
inb(uint16_t port)
{
	uint8_t v;

	__asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void
outb(uint16_t port, uint8_t v)
{
	__asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint16_t
inw(uint16_t port)
{
	uint16_t v;

	__asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void
outw(uint16_t port, uint16_t v)
{
	__asm volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint32_t
inl(uint16_t port)
{
	uint32_t v;

	__asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void
outl(uint16_t port, uint32_t v)
{
	__asm volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint64_t
rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void
wrmsr(uint32_t msr, uint64_t v)
{
	__asm volatile("wrmsr" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr) : "memory");
}

/* The time-stamp counter, not read before earlier loads are done. */
static inline uint64_t
rdtsc(void)
{
	uint32_t lo, hi;

	__asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

/* All zero for a leaf that the processor has not. */
static inline struct cpuid
cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm volatile("cpuid"
		       : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		       : "a"(leaf & 0x80000000), "c"(0));
	if (r.eax < leaf)
		return (struct cpuid){ 0, 0, 0, 0 };
	__asm volatile("cpuid"
		       : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		       : "a"(leaf), "c"(subleaf));
	return r;
}

/* The high half of a 128-bit product. */
static inline uint64_t
mul_high(uint64_t a, uint64_t b)
{
	return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* May this byte stand before the opcode of a 64-bit instruction? */
static inline bool
insn_is_prefix(uint8_t b)
{
	switch (b) {
	case 0x26: /* segments */
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66: /* sizes */
	case 0x67:
	case 0xf0: /* LOCK REPNE REP */
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return (b & 0xf0) == 0x40; /* REX */
	}
}

#endif
