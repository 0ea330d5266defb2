; SPDX-License-Identifier: BSD-2-Clause
;
; Entry of exceptions and interrupts, and the way back to user mode.
;
; Every vector has a stub that completes the frame with an error code where the processor pushes
; none, and the vector. Three kinds of entry follow:
;
;  - exceptions and interrupts. From user mode they arrive on the kernel stack of the current
;    LWP, GS is the user's: SWAPGS. From kernel mode GS is ours. There is no third case: the
;    kernel runs with the user's GS only for a few instructions with interrupts off that cannot
;    fault. IRETQ to user mode is among them: its selectors and flags are constants or masked,
;    and user_exit looks at the address.
;  - NMI, double fault, machine check (and, with gdb, debug exceptions) come at any time, so nothing is concluded from the
;    interrupted code, and user mode may have put any value into GS base. They have stacks of
;    their own, above whose frame lies the address of this CPU's struct cpu; GS base is saved,
;    set, and put back.
;
; A frame from kernel mode gets a copy of the interrupted address and the interrupted RBP below
; it, as a call from there would have left them: so backtraces and gdb walk through. From user
; mode RBP is 0: the walk ends.

	default rel
	bits 64

%include "assym.inc"
%include "dwarf.inc"
%include "branch.inc"
%include "explore.inc"
%include "smap.inc"

	extern	debug_step_lwp, trap_user_traced, trap_kernel_traced, trap_user, trap_kernel, trap_ist, irq_user, irq_kernel, user_ast, user_bad_rip

; The frame below the vector number, see struct trapframe.
%macro PUSH_REGS 0
	push	rbp
	push	r15
	push	r14
	push	r13
	push	r12
	push	rbx
	push	r11
	push	rcx
	push	rax
	push	r9
	push	r8
	push	r10
	push	rdx
	push	rsi
	push	rdi
%endmacro

; Leaves RSP at the processor's part of the frame.
%macro POP_REGS 0
	pop	rdi
	pop	rsi
	pop	rdx
	pop	r10
	pop	r8
	pop	r9
	pop	rax
	pop	rcx
	pop	r11
	pop	rbx
	pop	r12
	pop	r13
	pop	r14
	pop	r15
	pop	rbp
	add	rsp, 16			; vector, error code
%endmacro

; What interrupted code may have left set: direction flag, access to user memory.
%macro CLEAN_FLAGS 0
	cld
	CLAC
%endmacro

	section .text.entry progbits alloc exec nowrite align=16
text_start:

; ---- stubs ----

%assign vector 0
%rep 256
	align	4
stub_%[vector]:
%if vector == T_DF || (vector >= T_TS && vector <= T_PF) || vector == T_AC || vector == T_CP
%else
	push	0			; no error code
%endif
	push	vector
%if vector == T_NMI || vector == T_DF || vector == T_MC
	jmp	ist_entry
%elif vector == T_DB
	jmp	debug_entry
%elif vector >= T_IRQ
	jmp	irq_entry
%else
	jmp	trap_entry
%endif
%assign vector vector + 1
%endrep

; ---- exceptions ----

	align	16
	global	trap_entry:function
trap_entry:
	PUSH_REGS
	CLEAN_FLAGS
	test	byte [rsp + TF_CS], 3
	mov	rdi, rsp
	jz	.kernel
	swapgs
	xor	ebp, ebp
.call_user:
	call	trap_user
	jmp	user_exit
.kernel:
	push	qword [rdi + TF_RIP]

; From here as if the interrupted code had called this.
	global	trap_kernel_frame:function, trap_kernel_ret
trap_kernel_frame:
	push	rbp
	mov	rbp, rsp
.call_kernel:
	call	trap_kernel
trap_kernel_ret:
	add	rsp, 16
	POP_REGS
	iretq

; ---- interrupts ----

	align	16
	global	irq_entry:function
irq_entry:
	PUSH_REGS
	CLEAN_FLAGS
	test	byte [rsp + TF_CS], 3
	mov	rdi, rsp
	jz	.kernel
	swapgs
	xor	ebp, ebp
	call	irq_user
	jmp	user_exit
.kernel:
	push	qword [rdi + TF_RIP]

	global	irq_kernel_frame:function, irq_kernel_ret
irq_kernel_frame:
	push	rbp
	mov	rbp, rsp
	call	irq_kernel
irq_kernel_ret:
	add	rsp, 16
	POP_REGS
	iretq

; ---- back to user mode, with all registers from the frame that RSP points at ----

	align	16
	global	user_exit:function
user_exit:
	cli
	EXPLORE_USER_EXIT
	mov	rcx, [gs:CI_CURLWP]
	cmp	dword [rcx + L_AST], 0
	jne	.ast
	mov	rax, [rsp + TF_RIP]
	shr	rax, 47
	jnz	.bad_rip
	POP_REGS
	swapgs
	iretq
.ast:
	cmp	dword [rcx + L_AST], AST_FULL
	jne	.work
	cmp	qword [debug_step_lwp], 0	; gdb would like to know
	jne	.work
	mov	eax, AST_FULL
	xor	edx, edx
	lock cmpxchg [rcx + L_AST], edx	; another CPU may be setting AST_WORK
	je	user_exit
.work:	sti
	mov	rdi, rsp
	call	user_ast
	jmp	user_exit
.bad_rip:				; IRETQ to there would fault in kernel mode
	sti
	call	user_bad_rip
	jmp	user_exit

; ---- debug exception ----
;
; One that gdb's debug registers cause comes anywhere in the kernel, as an NMI does, and is treated as one. From
; user mode it becomes an ordinary exception, on the kernel stack. The debug registers are silent until the stub
; puts them into force again, so that none of this code runs into another.

	align	16
debug_entry:
	PUSH_REGS
	xor	eax, eax
	mov	dr7, rax
	CLEAN_FLAGS
	test	byte [rsp + TF_CS], 3
	jz	ist_saved
	swapgs
	mov	rsi, rsp
	mov	rdi, [gs:CI_KSTACK_TOP]
	sub	rdi, TF_SIZE
	mov	rsp, rdi
	mov	ecx, TF_SIZE / 8
	rep movsq
	mov	rdi, rsp
	xor	ebp, ebp
	call	trap_user
	jmp	user_exit

; ---- NMI, double fault, machine check ----

	align	16
ist_entry:
	PUSH_REGS
	CLEAN_FLAGS
ist_saved:
	mov	rdi, rsp
	xor	r13d, r13d
	test	byte [rsp + TF_CS], 3
	jz	.gs
	swapgs				; from user mode: as any entry does, so that the user's base
	inc	r13d			; is where the stub looks for it
.gs:	mov	ecx, MSR_GS_BASE
	rdmsr
	mov	ebx, eax		; the interrupted GS base stays in R12:RBX
	mov	r12d, edx
	mov	rax, [rsp + TF_SIZE]	; struct cpu, see gdt_set_ist()
	mov	rdx, rax
	shr	rdx, 32
	wrmsr
	push	qword [rdi + TF_RIP]

	global	trap_ist_frame:function, trap_ist_ret
trap_ist_frame:
	push	rbp
	mov	rbp, rsp
	call	trap_ist
trap_ist_ret:
	add	rsp, 16
	mov	ecx, MSR_GS_BASE
	mov	eax, ebx
	mov	edx, r12d
	wrmsr
	test	r13d, r13d
	jz	.out
	swapgs
.out:	POP_REGS
	iretq
text_end:

; ---- tables ----

	section .rodata
	align	8
	global	trap_vectors
trap_vectors:
%assign vector 0
%rep 256
	dq	stub_%[vector]
%assign vector vector + 1
%endrep

	CFI_OUTERMOST trap_entry, trap_kernel_frame
	CFI_TRAP trap_kernel_frame, irq_entry
	CFI_OUTERMOST irq_entry, irq_kernel_frame
	CFI_TRAP irq_kernel_frame, user_exit
	CFI_OUTERMOST user_exit, ist_saved
	CFI_TRAP trap_ist_frame, text_end

	SMAP_TABLE smap_sites_entry, text_start

	BRANCH_CALL_SITE TRC_FAULT, trap_entry.call_user, trap_user_traced
	BRANCH_CALL_SITE TRC_FAULT, trap_kernel_frame.call_kernel, trap_kernel_traced
