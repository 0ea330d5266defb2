/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Branches that are switched by changing the kernel's text: what is off costs one instruction that does
 * nothing, or not even that. See branch.c.
 * layer: arch
 */
#ifndef ARCH_BRANCH_MD_H
#define ARCH_BRANCH_MD_H

#include <kernel/types.h>

enum branch_kind {
	BRANCH_NOP, /* a 5-byte no-operation becomes a jump to the target */
	BRANCH_CALL /* a call goes to the target instead */
};

/* One place in the text. Made by the macros below, and by assembly: keep syscall.asm in step. */
struct branch_site {
	uintptr_t bs_site, bs_target;
	uint8_t bs_key;
	uint8_t bs_kind;     /* enum branch_kind */
	uint8_t bs_on;       /* state now */
	uint8_t bs_saved[5]; /* the bytes that were there */
};
_Static_assert(sizeof(struct branch_site) == 24, "struct branch_site");

/* False until arch_branches_set() says that `key`, a constant below 64, is on. */
static inline __attribute__((always_inline)) bool
arch_branch(unsigned key)
{
	__asm goto("1:	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\t"
		   ".pushsection set_branches, \"aw\", @progbits\n\t"
		   ".quad 1b, %l[on]\n\t"
		   ".byte %c0, 0, 0, 0, 0, 0, 0, 0\n\t"
		   ".popsection"
		   :
		   : "i"(key)
		   :
		   : on);
	return false;
on:
	return true;
}

/*
 * fn(x, y, z) without the compiler knowing of a call: a function whose branch does it stays as lean as
 * one without and needs no frame. `fn` is in assembly and changes no registers but those listed, or, for
 * the second, is any function.
 */
#define branch_call(fn, x, y, z, ...) \
	do { \
		uint64_t x_ = (uint64_t)(x), y_ = (uint64_t)(y), z_ = (uint64_t)(z); \
		__asm volatile("call %P3" \
			       : "+D"(x_), "+S"(y_), "+d"(z_) \
			       : "i"(fn) \
			       : "rax", "rcx", "r8", "r9", __VA_ARGS__ "memory", "cc"); \
	} while (0)
#define arch_branch_call(fn, x, y, z)   branch_call(fn, x, y, z, )
#define arch_branch_call_c(fn, x, y, z) branch_call(fn, x, y, z, "r10", "r11", )

#endif
