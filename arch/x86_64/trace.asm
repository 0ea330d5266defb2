; SPDX-License-Identifier: BSD-2-Clause
;
; Writing an event of the trace: kernel/core/trace.c has the theory, <kernel/trace.h> the layout.
; In assembly, because a traced fork storm writes millions and trace points want few registers
; changed.

	default rel
	bits 64

%include "assym.inc"

	extern	syscall_dispatch, trap_user

	section .text

; EVENT what, a, b [, intr]: 32, 32, 64 bits, not in what is changed: RAX, RCX, RDX (b may be that), R8, R9, flags.
; Without `intr` it is known that no interrupt is being handled.
%macro EVENT 3-4
	mov	rcx, [gs:CI_TRACE]
	mov	r9d, 1
	lock xadd [rcx + TR_HEAD], r9
	lea	r8d, [r9 + 1]		; the slot's sequence number
	and	r9, [rcx + TR_MASK]
	shl	r9, 5			; TE_SIZE
	add	r9, [rcx + TR_SLOTS]
	mov	rcx, [gs:CI_CURLWP]
	mov	dword [r9 + TE_WHAT], %1
	mov	ecx, [rcx + L_LID]
	mov	[r9 + TE_B], %3
	mov	[r9 + TE_LID], ecx
	mov	[r9 + TE_A], %2
%if %0 == 4
	mov	ecx, [gs:CI_INTR_DEPTH]
	mov	[r9 + TE_INTR], cl
%endif
	rdtsc
	mov	[r9 + TE_CYCLES], eax
	mov	[r9 + TE_CYCLES + 4], edx
	mov	[r9 + TE_SEQ], r8d
%endmacro

; void trace_write(what, a, b) => any context. Changes RAX, RCX, RDX, R8, R9 and flags only.
	align	64
	global	trace_write:function
trace_write:
	EVENT	edi, esi, rdx, intr
	ret

; int64_t syscall_dispatch_traced(nr, args): syscall_entry calls this one while system calls are traced.
	align	16
	global	syscall_dispatch_traced:function
syscall_dispatch_traced:
	push	rbp
	mov	rbp, rsp
	push	rdi
	push	rdi			; alignment
	mov	rdx, [rsi]
	EVENT	TR_SYSCALL, edi, rdx
	call	syscall_dispatch
	mov	rdx, rax
	mov	esi, [rbp - 8]
	push	rax
	EVENT	TR_SYSRET, esi, rdx
	pop	rax
	leave
	ret

; void trap_user_traced(struct trapframe *): trap_entry calls this one while faults are traced.
	align	16
	global	trap_user_traced:function
trap_user_traced:
	push	rbp
	mov	rbp, rsp
	push	rdi
	push	rdi			; alignment
	mov	rdx, [rdi + TF_RIP]
	mov	esi, [rdi + TF_ERR]
	mov	edi, [rdi + TF_TRAPNO]
	cmp	edi, T_PF
	jne	.what
	mov	rdx, cr2
.what:	shl	edi, 8
	or	edi, TR_FAULT
	EVENT	edi, esi, rdx
	mov	rdi, [rbp - 8]
	call	trap_user
	xor	edx, edx
	EVENT	TR_FAULT_END, edx, rdx
	leave
	ret
