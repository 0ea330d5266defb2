; SPDX-License-Identifier: BSD-2-Clause
;
; System calls: SYSCALL comes here with interrupts off and user mode's RSP and GS base; the
; processor has put RIP into RCX, RFLAGS into R11, and cleared what IA32_FMASK names.
;
; The fast way back is SYSRET. It loads RIP from RCX and must not meet an address that is not
; canonical: it would fault in kernel mode on the user's stack. RIP here is the one that SYSCALL
; stored, the end of an instruction below USER_END, or that moved back to the instruction's
; start by a restart. Whoever puts anything else into the frame (exec, rt_sigreturn, a signal
; handler's start) has l_ast set, to AST_FULL if there is nothing else to do, and with l_ast the
; way back is that of traps, user_exit, which looks at RIP and loads every register.
;
; Called functions keep RBX and R12-R15 for us, RBP is put back; R8-R10, RDI, RSI, RDX are the
; user's to keep, too.

	default rel
	bits 64

%include "assym.inc"
%include "dwarf.inc"
%include "branch.inc"
%include "explore.inc"

	extern	syscall_dispatch, syscall_dispatch_traced, user_exit

	section .text.entry progbits alloc exec nowrite align=16

	align	64
	global	syscall_entry:function
syscall_entry:
	swapgs
	mov	[gs:CI_USER_RSP], rsp
	mov	rsp, [gs:CI_KSTACK_TOP]
	push	SEL_UDATA
	push	qword [gs:CI_USER_RSP]
	push	r11			; RFLAGS
	push	SEL_UCODE
	push	rcx			; RIP
	push	0
	push	rax			; tf_trapno: the number, for a restart
	push	rbp
	push	r15
	push	r14
	push	r13
	push	r12
	push	rbx
	sub	rsp, TF_RBX - TF_RAX	; tf_r11, tf_rcx, tf_rax: only .slow needs them
	push	r9
	push	r8
	push	r10
	push	rdx
	push	rsi
	push	rdi
	xor	ebp, ebp		; backtraces end here
	mov	rdi, rax
	mov	rsi, rsp		; the six arguments come first in the frame
	sti
.call_dispatch:
	call	syscall_dispatch

	cli
	EXPLORE_BRANCH .slow
	mov	rcx, [gs:CI_CURLWP]
	cmp	dword [rcx + L_AST], 0
	jne	.slow
	mov	rdi, [rsp + TF_RDI]
	mov	rsi, [rsp + TF_RSI]
	mov	rdx, [rsp + TF_RDX]
	mov	r10, [rsp + TF_R10]
	mov	r8, [rsp + TF_R8]
	mov	r9, [rsp + TF_R9]
	mov	rbp, [rsp + TF_RBP]
	mov	rcx, [rsp + TF_RIP]
	mov	r11, [rsp + TF_RFLAGS]
	mov	rsp, [rsp + TF_RSP]
	swapgs
	o64 sysret
.slow:
	cmp	rax, -EJUSTRETURN	; the frame has the result already
	je	user_exit
	mov	[rsp + TF_RAX], rax
	mov	rcx, [rsp + TF_RIP]	; what SYSCALL has left there
	mov	[rsp + TF_RCX], rcx
	mov	r11, [rsp + TF_RFLAGS]
	mov	[rsp + TF_R11], r11
	jmp	user_exit
text_end:

	CFI_OUTERMOST syscall_entry, text_end

	BRANCH_CALL_SITE TRC_SYSCALL, syscall_entry.call_dispatch, syscall_dispatch_traced
