; SPDX-License-Identifier: BSD-2-Clause
;
; Writing an event of the trace: kernel/core/trace.c has the theory, <kernel/trace.h> the layout.
; In assembly, because a traced fork storm writes millions and trace points want few registers
; changed.

	default rel
	bits 64

%include "assym.inc"

	section .text

; void trace_write(what, a, b) => any context. Changes RAX, RCX, RDX, R8, R9 and flags only.
	align	64
	global	trace_write:function
trace_write:
	mov	rcx, [gs:CI_TRACE]
	test	rcx, rcx
	jz	.off
	mov	eax, 1
	lock xadd [rcx + TR_HEAD], rax
	lea	r8d, [rax + 1]		; the slot's sequence number
	and	rax, [rcx + TR_MASK]
	mov	r9d, eax
	shr	r9d, TRACE_CHUNK_SHIFT
	and	eax, (1 << TRACE_CHUNK_SHIFT) - 1
	shl	eax, 5			; TE_SIZE
	add	rax, [rcx + r9 * 8 + TR_CHUNK]
	mov	rcx, [gs:CI_CURLWP]
	mov	dword [rax + TE_SEQ], 0
	mov	[rax + TE_WHAT], edi
	mov	ecx, [rcx + L_LID]
	mov	[rax + TE_B], rdx
	mov	[rax + TE_LID], ecx
	mov	ecx, [gs:CI_INTR_DEPTH]
	mov	[rax + TE_A], esi
	mov	[rax + TE_INTR], cl
	mov	rcx, rax
	rdtsc
	mov	[rcx + TE_CYCLES], eax
	mov	[rcx + TE_CYCLES + 4], edx
	mov	[rcx + TE_SEQ], r8d
.off:	ret
