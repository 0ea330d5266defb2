; SPDX-License-Identifier: BSD-2-Clause
;
; From the boot loader's 32-bit protected mode, paging off, to arch_start() in 64-bit mode.
;
; The boot page tables map the first 4 GiB of physical memory three times, by pages of 2 MiB: at
; 0 (we run there), at the direct map, and the first GiB where the kernel image is linked.
; pmap_bootstrap() replaces them; after that only CPUs that start use them, on their way
; (trampoline.asm).
;
; EAX and EBX hold the magic number and the information of Multiboot2 or Multiboot; EDI and ESI
; keep them.

%include "assym.inc"

KERNEL_BASE	equ 0xffffffff80000000
%define PHYS(symbol) ((symbol) - KERNEL_BASE)

PTE_TABLE	equ 0x03	; present, writable
PTE_LARGE	equ 0x83	; same, 2 MiB
PML4_DIRECT	equ 256		; 0xffff800000000000
PML4_IMAGE	equ 511		; 0xffffffff80000000
PDPT_IMAGE	equ 510
GIBS		equ 4

CPUID_LM	equ 1 << 29
CPUID_NX	equ 1 << 20
EFLAGS_ID	equ 1 << 21
CR0_ON		equ 0x80010033	; PG WP NE ET MP PE
CR4_PAE		equ 0x20
MSR_EFER	equ 0xc0000080
EFER_ON		equ 0x901	; NXE LME SCE

	extern	arch_start, cpu0
	global	_start:function, boot_pml4:data, boot_stack:data, boot_stack_guard:data

	section .bss nobits alloc noexec write align=4096
boot_pml4:
	resb	4096
low_pdpt:
	resb	4096
image_pdpt:
	resb	4096
page_dirs:
	resb	4096 * GIBS
boot_stack_guard:		; not mapped once the kernel's page tables are loaded
	resb	4096
boot_stack:
	resb	KSTACK_SIZE

	section .boot.data progbits alloc noexec write align=8
boot_gdt:
	dq	0
	dq	0x00cf9b000000ffff	; SEL_KCODE32
	dq	0x00af9b000000ffff	; SEL_KCODE
	dq	0x00cf93000000ffff	; SEL_KDATA
boot_gdt_end:
boot_gdtr:
	dw	boot_gdt_end - boot_gdt - 1
	dd	boot_gdt

no_long_mode:
	db	"threadbare: this processor has no 64-bit mode with no-execute pages", 10, 0

	section .boot.text progbits alloc exec nowrite align=16
	bits 32
_start:
	cli
	cld
	mov	edi, eax
	mov	esi, ebx
	mov	esp, PHYS(boot_stack) + KSTACK_SIZE

	; CPUID is there when the flag that says so can be changed.
	pushfd
	pop	eax
	mov	ecx, eax
	xor	eax, EFLAGS_ID
	push	eax
	popfd
	pushfd
	pop	eax
	xor	eax, ecx
	test	eax, EFLAGS_ID
	jz	unfit
	mov	eax, 0x80000000
	cpuid
	cmp	eax, 0x80000001
	jb	unfit
	mov	eax, 0x80000001
	cpuid
	and	edx, CPUID_LM | CPUID_NX
	cmp	edx, CPUID_LM | CPUID_NX
	jne	unfit

	mov	eax, PHYS(low_pdpt) + PTE_TABLE
	mov	[PHYS(boot_pml4)], eax
	mov	[PHYS(boot_pml4) + 8 * PML4_DIRECT], eax
	mov	dword [PHYS(boot_pml4) + 8 * PML4_IMAGE], PHYS(image_pdpt) + PTE_TABLE
	mov	dword [PHYS(image_pdpt) + 8 * PDPT_IMAGE], PHYS(page_dirs) + PTE_TABLE
	mov	eax, PHYS(page_dirs) + PTE_TABLE
	xor	ecx, ecx
.pdpt:	mov	[PHYS(low_pdpt) + ecx * 8], eax
	add	eax, 4096
	inc	ecx
	cmp	ecx, GIBS
	jb	.pdpt
	mov	eax, PTE_LARGE
	xor	ecx, ecx
.pd:	mov	[PHYS(page_dirs) + ecx * 8], eax
	add	eax, 2 << 20
	inc	ecx
	cmp	ecx, 512 * GIBS
	jb	.pd

	mov	eax, CR4_PAE
	mov	cr4, eax
	mov	eax, PHYS(boot_pml4)
	mov	cr3, eax
	mov	ecx, MSR_EFER
	mov	eax, EFER_ON
	xor	edx, edx
	wrmsr
	mov	eax, CR0_ON
	mov	cr0, eax
	lgdt	[boot_gdtr]
	jmp	SEL_KCODE:long_mode

; Tells it on the first serial port and the debug console, and stops.
unfit:	mov	esi, no_long_mode
.next:	lodsb
	test	al, al
	jz	.stop
	out	0xe9, al
	mov	ah, al
	mov	dx, 0x3f8 + 5
	mov	ecx, 100000
.wait:	in	al, dx
	test	al, 0x20
	loopz	.wait
	mov	dx, 0x3f8
	mov	al, ah
	out	dx, al
	jmp	.next
.stop:	cli
	hlt
	jmp	.stop

	bits 64
long_mode:
	mov	rax, high
	jmp	rax

	section .text.entry progbits alloc exec nowrite align=16
high:	mov	rsp, boot_stack + KSTACK_SIZE
	mov	eax, SEL_KDATA
	mov	ss, eax
	mov	ds, eax
	mov	es, eax
	xor	eax, eax
	mov	fs, eax
	mov	gs, eax
	mov	ecx, MSR_GS_BASE
	mov	rax, cpu0
	mov	rdx, rax
	shr	rdx, 32
	wrmsr
	xor	ebp, ebp		; backtraces end here,
	push	rbp			; for gdb, too, which looks at a caller's frame
	push	rbp
	push	rbp
	jmp	arch_start		; EDI, ESI
