; SPDX-License-Identifier: BSD-2-Clause
;
; Signal frames, between the registers and the user's stack: see sigframe.c for what is in them.
;
; Everything is stored where it belongs, and fetched from there, within one opening of user memory;
; the FPU state by XSAVE and XRSTOR themselves. What these do not write was the user's before, so
; nothing of the kernel's gets out. While a frame comes in, other threads may change it: each word is
; fetched once, checked, and kept; XRSTOR faults if its header or MXCSR has become invalid since it was
; looked at, and goes on at sigfpu_fault.

	default rel
	bits 64

%include "assym.inc"
%include "smap.inc"
%include "usercopy.inc"

	extern	fpu_kind, fpu_sw, fpu_mxcsr_invalid

FP_MXCSR	equ 24
FP_SW		equ 464			; the reserved bytes that software uses
FP_HEADER	equ 512

	section .text
text_start:

; PUT offset in the frame, offset in the trap frame; GET the same, the other way.
%macro PUT 2
	mov	rax, [rsi + %2]
	U fault, mov [rdi + %1], rax
%endmacro
%macro GET 2
	U fault, mov rax, [rdi + %1]
	mov	[rsi + %2], rax
%endmacro

%macro EACH_REGISTER 1
	%1	SC_R8, TF_R8
	%1	SC_R9, TF_R9
	%1	SC_R10, TF_R10
	%1	SC_R11, TF_R11
	%1	SC_R12, TF_R12
	%1	SC_R13, TF_R13
	%1	SC_R14, TF_R14
	%1	SC_R15, TF_R15
	%1	SC_RDI, TF_RDI
	%1	SC_RSI, TF_RSI
	%1	SC_RBP, TF_RBP
	%1	SC_RBX, TF_RBX
	%1	SC_RDX, TF_RDX
	%1	SC_RAX, TF_RAX
	%1	SC_RCX, TF_RCX
%endmacro

; int sigframe_put(uintptr_t frame, const struct trapframe *tf, const siginfo_t *info,
;	const stack_t *ss, uint64_t restorer, sigset_t oldmask)
; => from the frame to the end of the FPU state all is below USER_END; frame + SF_FPSTATE at 64
	align	16
	global	sigframe_put:function
sigframe_put:
	mov	r10, rdx
	lea	r11, [rdi + SF_FPSTATE]
	STAC
	U fault, mov [rdi + SF_RESTORER], r8
	mov	r8d, UC_FLAGS_LESS
	cmp	byte [fpu_kind], FPU_XSAVE
	jb	.fxsave
	xor	eax, eax
%assign i 0
%rep 8
	U fault, mov [r11 + FP_HEADER + i], rax
%assign i i + 8
%endrep
	mov	eax, XCR0_WANTED
	xor	edx, edx
	U fault, xsave64 [r11]
	mov	rax, [fpu_sw]
	mov	r8, [fpu_sw + 8]
	mov	edx, [fpu_sw + 16]
	U fault, mov [r11 + FP_SW], rax
	U fault, mov [r11 + FP_SW + 8], r8
	U fault, mov [r11 + FP_SW + 16], rdx
	xor	eax, eax
	U fault, mov [r11 + FP_SW + 24], rax
	U fault, mov [r11 + FP_SW + 32], rax
	U fault, mov [r11 + FP_SW + 40], rax
	U fault, mov dword [r11 + rdx], FP_XSTATE_MAGIC2
	mov	r8d, UC_FLAGS_LESS | UC_FP_XSTATE
.saved:
	U fault, mov [rdi + SF_UC_FLAGS], r8
	U fault, mov [rdi + SF_UC_LINK], rax
	mov	r8, [rcx + SS_SP]
	mov	edx, [rcx + SS_FLAGS]	; with the hole behind it
	mov	rcx, [rcx + SS_SIZE]
	U fault, mov [rdi + SF_UC_STACK + SS_SP], r8
	U fault, mov [rdi + SF_UC_STACK + SS_FLAGS], rdx
	U fault, mov [rdi + SF_UC_STACK + SS_SIZE], rcx
%assign i SIGINFO_USED
%rep (128 - SIGINFO_USED) / 8
	U fault, mov [rdi + SF_INFO + i], rax
%assign i i + 8
%endrep
%assign i 0
%rep SIGINFO_USED / 8
	mov	rax, [r10 + i]
	U fault, mov [rdi + SF_INFO + i], rax
%assign i i + 8
%endrep
	mov	rcx, [gs:CI_CURLWP]
	mov	eax, [rcx + L_TRAPNO]
	mov	rdx, [rcx + L_ERR]
	mov	rcx, [rcx + L_CR2]
	U fault, mov [rdi + SF_SC + SC_TRAPNO], rax
	U fault, mov [rdi + SF_SC + SC_ERR], rdx
	U fault, mov [rdi + SF_SC + SC_CR2], rcx
	mov	rax, SEL_UCODE | SEL_UDATA << 48
	U fault, mov [rdi + SF_SC + SC_CS], rax
	U fault, mov [rdi + SF_SC + SC_FPSTATE], r11
	U fault, mov [rdi + SF_SC + SC_OLDMASK], r9
	U fault, mov [rdi + SF_UC_SIGMASK], r9
	add	rdi, SF_SC
	EACH_REGISTER PUT
	PUT	SC_RSP, TF_RSP
	PUT	SC_RIP, TF_RIP
	PUT	SC_RFLAGS, TF_RFLAGS
	CLAC
	xor	eax, eax
	ret
.fxsave:
	U fault, fxsave64 [r11]
	xor	eax, eax
	jmp	.saved

fault:	CLAC
	mov	eax, -EFAULT
	ret

; int sigframe_get(uintptr_t uc, struct trapframe *tf, sigset_t *mask, stack_t *ss, uintptr_t *fpstate)
; => the whole struct ucontext at `uc` is below USER_END
	align	16
	global	sigframe_get:function
sigframe_get:
	STAC
	U fault, movzx eax, word [rdi + UC_SC + SC_CS]
	or	eax, 3
	cmp	eax, SEL_UCODE
	jne	fault
	U fault, test dword [rdi + UC_FLAGS], UC_SIGCONTEXT_SS
	jz	.selectors
	U fault, movzx eax, word [rdi + UC_SC + SC_CS + 6]
	or	eax, 3
	cmp	eax, SEL_UDATA
	jne	fault
.selectors:
	U fault, mov rax, [rdi + UC_SIGMASK]
	mov	[rdx], rax
	U fault, mov rax, [rdi + UC_STACK + SS_SP]
	mov	[rcx + SS_SP], rax
	U fault, mov rax, [rdi + UC_STACK + SS_FLAGS]
	mov	[rcx + SS_FLAGS], rax
	U fault, mov rax, [rdi + UC_STACK + SS_SIZE]
	mov	[rcx + SS_SIZE], rax
	add	rdi, UC_SC
	U fault, mov rax, [rdi + SC_FPSTATE]
	mov	[r8], rax
	U fault, mov r8, [rdi + SC_RIP]
	mov	rax, USER_END
	cmp	r8, rax
	jae	fault
	U fault, mov r9, [rdi + SC_RSP]
	U fault, mov rcx, [rdi + SC_RFLAGS]
	EACH_REGISTER GET
	and	ecx, RFLAGS_USER
	mov	rax, [rsi + TF_RFLAGS]
	and	rax, ~RFLAGS_USER
	or	rax, rcx
	mov	[rsi + TF_RFLAGS], rax
	mov	[rsi + TF_RSP], r9
	mov	[rsi + TF_RIP], r8
	CLAC
	xor	eax, eax
	ret

; int sigfpu_get(uintptr_t fpstate): 0; -EFAULT; 1: not a complete state as sigframe_put() makes it,
; another way must be found.
; => the processor has XSAVE; `fpstate` at 64, FPU_AREA + 4 bytes below USER_END
	align	16
	global	sigfpu_get:function
sigfpu_get:
	mov	r8d, [fpu_sw + 16]	; size
	mov	rax, [fpu_sw]
	mov	r9, [fpu_sw + 8]	; XCR0
	STAC
	U fault, cmp [rdi + FP_SW], rax
	jne	.other
	U fault, cmp [rdi + FP_SW + 8], r9
	jne	.other
	U fault, cmp [rdi + FP_SW + 16], r8d
	jne	.other
	U fault, cmp dword [rdi + r8], FP_XSTATE_MAGIC2
	jne	.other
	not	r9
	U fault, test [rdi + FP_HEADER], r9
	jnz	.other
	U fault, mov rax, [rdi + FP_HEADER + 8]
%assign i 16
%rep 6
	U fault, or rax, [rdi + FP_HEADER + i]
%assign i i + 8
%endrep
	test	rax, rax
	jnz	fault
	U fault, mov eax, [rdi + FP_MXCSR]
	test	eax, [fpu_mxcsr_invalid]
	jnz	fault
	mov	eax, XCR0_WANTED
	xor	edx, edx
	U sigfpu_fault, xrstor64 [rdi]
	CLAC
	xor	eax, eax
	ret
.other:	CLAC
	mov	eax, 1
	ret
	global	sigfpu_fault
sigfpu_fault:
	CLAC
	mov	eax, -EFAULT
	ret

	SMAP_TABLE smap_sites_sigcopy, text_start
