; SPDX-License-Identifier: BSD-2-Clause
;
; Start of every CPU but the first: real mode, at the page that the start-up interrupt named.
; The code between the linker script's __trampoline_start and __trampoline_end is copied there,
; see arch/x86_64/smp.c; it goes to 64-bit mode in the boot page tables, and claims its start
; before it touches anything else.

%include "assym.inc"

PAGE		equ 0x8000	; where it is copied to; mb2_parse() keeps the first MiB free
KERNEL_BASE	equ 0xffffffff80000000

CR0_PE		equ 0x1
CR0_ON		equ 0x80010033	; PG WP NE ET MP PE; caches on
CR4_PAE		equ 0x20
MSR_EFER	equ 0xc0000080
EFER_ON		equ 0x901	; NXE LME SCE
AP_CLAIMED	equ 0xfffffffe	; smp.c

	extern	boot_pml4, ap_claim, ap_cr3, ap_stack, ap_cpu, ap_main
	global	trampoline_page:data

%define AT(label) (PAGE + label - trampoline)

	section .trampoline progbits alloc noexec nowrite align=16
	bits 16
trampoline:
	cli
	cld
	mov	ax, cs
	mov	ds, ax
	o32 lgdt [gdtr - trampoline]
	mov	eax, CR0_PE
	mov	cr0, eax
	jmp	dword SEL_KCODE32:AT(protected)

	bits 32
protected:
	mov	eax, SEL_KDATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	eax, CR4_PAE
	mov	cr4, eax
	mov	eax, boot_pml4 - KERNEL_BASE
	mov	cr3, eax
	mov	ecx, MSR_EFER
	mov	eax, EFER_ON
	xor	edx, edx
	wrmsr
	mov	eax, CR0_ON
	mov	cr0, eax
	jmp	SEL_KCODE:AT(long_mode)

	bits 64
long_mode:
	mov	rax, ap_entry
	jmp	rax

	align	8
gdt:	dq	0
	dq	0x00cf9b000000ffff	; SEL_KCODE32
	dq	0x00af9b000000ffff	; SEL_KCODE
	dq	0x00cf93000000ffff	; SEL_KDATA
gdtr:	dw	gdtr - gdt - 1
	dd	AT(gdt)

	section .rodata
	align	4
trampoline_page:
	dd	PAGE

; In the kernel image, with the boot page tables. Which CPU are we? Its APIC id is in EDX of the
; x2APIC leaf, or on older processors in the top byte of EBX of leaf 1.
	section .text.entry progbits alloc exec nowrite align=16
	default rel
ap_entry:
	xor	eax, eax
	cpuid
	cmp	eax, 0x0b
	jb	.old_id
	mov	eax, 0x0b
	xor	ecx, ecx
	cpuid
	test	ebx, ebx
	mov	eax, edx
	jnz	.claim
.old_id:
	mov	eax, 1
	cpuid
	shr	ebx, 24
	mov	eax, ebx
.claim:	mov	ecx, AP_CLAIMED
	lock cmpxchg [ap_claim], ecx
	jne	.late

	mov	rax, [ap_cr3]
	mov	cr3, rax
	mov	rsp, [ap_stack]
	xor	eax, eax
	mov	fs, eax
	mov	gs, eax
	mov	ecx, MSR_GS_BASE
	mov	rdi, [ap_cpu]
	mov	rax, rdi
	mov	rdx, rax
	shr	rdx, 32
	wrmsr
	xor	ebp, ebp		; backtraces end here,
	push	rbp			; for gdb, too, which looks at a caller's frame
	push	rbp
	push	rbp
	jmp	ap_main
.late:	cli
	hlt
	jmp	.late
