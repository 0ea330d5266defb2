; SPDX-License-Identifier: BSD-2-Clause
;
; The call of a switched branch: see <arch/branch_md.h>.

	default rel
	bits 64

	section .text

; RAX(RDI, RSI, RDX), and no register changes.
	align	16
	global	arch_call_saving:function
arch_call_saving:
	push	rbp
	mov	rbp, rsp
	push	rax
	push	rcx
	push	rdx
	push	rsi
	push	rdi
	push	r8
	push	r9
	push	r10
	push	r11
	mov	rcx, rsp
	and	rsp, -16
	push	rcx
	push	rcx
	call	rax
	pop	rsp
	pop	r11
	pop	r10
	pop	r9
	pop	r8
	pop	rdi
	pop	rsi
	pop	rdx
	pop	rcx
	pop	rax
	pop	rbp
	ret
