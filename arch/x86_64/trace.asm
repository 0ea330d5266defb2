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
	mov	eax, 1
	lock xadd [rcx + TR_HEAD], rax
	lea	r8d, [rax + 1]		; the slot's sequence number
	and	rax, [rcx + TR_MASK]
	mov	r9d, eax
	shr	r9d, TRACE_CHUNK_SHIFT
	shl	eax, 5			; TE_SIZE
	mov	r9, [rcx + r9 * 8 + TR_CHUNK]
	mov	rcx, [gs:CI_CURLWP]
	add	r9, rax
	mov	[r9 + TE_WHAT], edi
	mov	ecx, [rcx + L_LID]
	mov	[r9 + TE_B], rdx
	mov	[r9 + TE_LID], ecx
	mov	ecx, [gs:CI_INTR_DEPTH]
	mov	[r9 + TE_A], esi
	mov	[r9 + TE_INTR], cl
	rdtsc
	mov	[r9 + TE_CYCLES], eax
	mov	[r9 + TE_CYCLES + 4], edx
	mov	[r9 + TE_SEQ], r8d
	ret
