; SPDX-License-Identifier: BSD-2-Clause
;
; The context switch: docs/switch.md, <arch/lwp_types.h>.

	default rel
	bits 64

%include "assym.inc"
%include "dwarf.inc"

	extern	fpu_kind, cpu_fsgsbase, lwp_startup, user_exit

	section .text

; struct lwp *arch_switch(struct lwp *prev, struct lwp *next)
; => interrupts off
	align	16
	global	arch_switch:function
arch_switch:
	push	rbp
	mov	rbp, rsp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	mov	[rdi + L_RSP], rsp
	cmp	dword [rdi + L_HASUSER], 0
	je	.saved

	mov	rcx, [rdi + L_FPU]
	cmp	byte [fpu_kind], FPU_XSAVEOPT
	mov	eax, XCR0_WANTED
	mov	edx, 0			; leaves the flags alone
	jne	.save_old
	xsaveopt64 [rcx]
.fpu_saved:
	cmp	byte [cpu_fsgsbase], 0
	je	.saved			; only calls change the bases, and save them
	rdfsbase rax
	mov	[rdi + L_FSBASE], rax
	swapgs				; an NMI here sets GS base for itself
	rdgsbase rax
	swapgs
	mov	[rdi + L_GSBASE], rax

.saved:
	mov	rsp, [rsi + L_RSP]
	mov	[gs:CI_CURLWP], rsi
	mov	rax, [rsi + L_KSTACK]
	add	rax, KSTACK_SIZE
	mov	[gs:CI_KSTACK_TOP], rax
	mov	[gs:CI_TSS_RSP0], rax
	cmp	dword [rsi + L_HASUSER], 0
	je	.loaded
	mov	rcx, [gs:CI_SELF]
	cmp	[gs:CI_USER], rsi
	jne	.load
	cmp	[rsi + L_CPU_MD], rcx
	jne	.load

.loaded:
	mov	rax, rdi
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	ret

.load:	mov	[gs:CI_USER], rsi
	mov	[rsi + L_CPU_MD], rcx
	mov	eax, ds			; 64-bit code has no use for these, so nobody's are kept; but
	mov	ecx, es			; what one LWP leaves there is not for the next to see
	or	eax, ecx
	mov	ecx, fs
	or	eax, ecx
	mov	ecx, gs
	or	eax, ecx
	jnz	.clear_selectors
.cleared:
	mov	rcx, [rsi + L_FPU]
	cmp	byte [fpu_kind], FPU_XSAVE
	mov	eax, XCR0_WANTED
	mov	edx, 0
	jb	.load_old
	xrstor64 [rcx]
.fpu_loaded:
	cmp	byte [cpu_fsgsbase], 0
	je	.load_msr
	mov	rax, [rsi + L_FSBASE]
	wrfsbase rax
	mov	rax, [rsi + L_GSBASE]
	swapgs
	wrgsbase rax
	swapgs
	jmp	.loaded

.clear_selectors:
	xor	eax, eax
	mov	ds, eax
	mov	es, eax
	mov	fs, eax			; the bases, which this may change, come next
	swapgs
	mov	gs, eax
	swapgs
	jmp	.cleared

; ---- processors that have less ----

.save_old:
	cmp	byte [fpu_kind], FPU_XSAVE
	jne	.save_oldest
	xsave64	[rcx]
	jmp	.fpu_saved
.save_oldest:
	fxsave64 [rcx]
	jmp	.fpu_saved
.load_old:
	fxrstor64 [rcx]
	jmp	.fpu_loaded
.load_msr:
	mov	ecx, MSR_FS_BASE
	mov	eax, [rsi + L_FSBASE]
	mov	edx, [rsi + L_FSBASE + 4]
	wrmsr
	mov	ecx, MSR_USER_GS_BASE
	mov	eax, [rsi + L_GSBASE]
	mov	edx, [rsi + L_GSBASE + 4]
	wrmsr
	jmp	.loaded

; First code of a new LWP: RAX = the LWP that ran before, RBX = function, R12 = argument, RSP =
; its frame of user registers, see arch_lwp_init().
	align	16
	global	lwp_trampoline:function
lwp_trampoline:
	mov	rdi, rax
	call	lwp_startup		; turns interrupts on
	mov	rdi, r12
	call	rbx
	jmp	user_exit
text_end:

	CFI_OUTERMOST lwp_trampoline, text_end
