; SPDX-License-Identifier: BSD-2-Clause
;
; Contexts of kernel functions, for the exploration's image of the machine: <arch/arch_if.h>.

	default rel
	bits 64

%include "assym.inc"

CR4_PGE		equ 0x80

	section .text
%ifdef DEBUG
	extern	pmap_kernel_cr3

; bool arch_context_save(struct arch_context *)
	align	16
	global	arch_context_save:function
arch_context_save:
	mov	[rdi], rbx
	mov	[rdi + 8], rbp
	mov	[rdi + 16], r12
	mov	[rdi + 24], r13
	mov	[rdi + 32], r14
	mov	[rdi + 40], r15
	lea	rax, [rsp + 8]
	mov	[rdi + 48], rax
	mov	rax, [rsp]
	mov	[rdi + 56], rax
	mov	rax, cr3
	mov	[rdi + 64], rax
	xor	eax, eax
	ret

; void arch_context_resume(const struct arch_context *)
; The page tables may have changed under all translations, the global ones too.
	align	16
	global	arch_context_resume:function
arch_context_resume:
	mov	rax, [rdi + 64]
	mov	cr3, rax
	mov	rax, cr4
	mov	rcx, rax
	and	rcx, ~CR4_PGE
	mov	cr4, rcx
	mov	cr4, rax
	mov	rbx, [rdi]
	mov	rbp, [rdi + 8]
	mov	r12, [rdi + 16]
	mov	r13, [rdi + 24]
	mov	r14, [rdi + 32]
	mov	r15, [rdi + 40]
	mov	rsp, [rdi + 48]
	mov	eax, 1
	jmp	[rdi + 56]

; void arch_call_on_stack(void *top, void (*fn)(void))
	align	16
	global	arch_call_on_stack:function
arch_call_on_stack:
	mov	rbx, rdi
	mov	r12, rsi
	call	pmap_kernel_cr3
	mov	cr3, rax
	mov	rsp, rbx
	xor	ebp, ebp
	call	r12
	ud2
%endif
