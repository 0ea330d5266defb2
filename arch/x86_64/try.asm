; SPDX-License-Identifier: BSD-2-Clause
;
; A call that a fault of the kernel's own ends: for the monitor, which follows pointers that may be
; broken. One CPU at a time, with interrupts off. Calls nest: each keeps the stack pointer of the one
; around it below its saved registers.

	default rel
	bits 64

%include "assym.inc"

	section .text

; int arch_try(void (*fn)(void *), void *arg)
	align	16
	global	arch_try:function
arch_try:
	push	rbp
	mov	rbp, rsp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	push	qword [try_sp]
	sub	rsp, 8			; the stack is aligned again
	mov	[try_sp], rsp
	mov	rax, [gs:CI_SELF]
	mov	[try_cpu], rax
	mov	rax, rdi
	mov	rdi, rsi
	call	rax
	xor	eax, eax
.leave:
	add	rsp, 8
	pop	qword [try_sp]
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	ret

; Where trap.c goes on after a fault, with RSP from try_sp and EAX the error.
	global	try_fault
try_fault:
	cld
	jmp	arch_try.leave

	section .bss
	align	8
	global	try_sp, try_cpu
try_sp:	resq	1
try_cpu: resq	1
