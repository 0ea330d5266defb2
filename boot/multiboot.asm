; SPDX-License-Identifier: BSD-2-Clause
;
; The Multiboot2 header: what we want of the boot loader. No framebuffer tag: the display stays
; as it is. Behind it the Multiboot header, for `qemu -kernel`, which takes no 64-bit ELF file for
; one, but what the header says of the file's layout: all that is loaded lies in one piece.

MAGIC		equ 0xe85250d6
ARCH_I386	equ 0		; entry in 32-bit protected mode
TAG_END		equ 0
TAG_INFO	equ 1
TAG_ALIGN	equ 6		; modules on page boundaries
INFO_CMDLINE	equ 1
INFO_MODULES	equ 3
INFO_MMAP	equ 6
INFO_RSDP_OLD	equ 14
INFO_RSDP_NEW	equ 15
OPTIONAL	equ 1

MAGIC1		equ 0x1badb002
FLAGS1		equ 0x10003	; modules on page boundaries, memory map, addresses below

	extern	_start, __kernel_phys_start, __kernel_phys_data_end, __kernel_phys_end

	section .boot.header progbits alloc noexec nowrite align=8
header:
	dd	MAGIC, ARCH_I386, header_end - header
	dd	0x100000000 - (MAGIC + ARCH_I386 + (header_end - header))

info:	dw	TAG_INFO, 0
	dd	info_end - info
	dd	INFO_CMDLINE, INFO_MODULES, INFO_MMAP
info_end:
	align	8
optional_info:
	dw	TAG_INFO, OPTIONAL
	dd	optional_info_end - optional_info
	dd	INFO_RSDP_OLD, INFO_RSDP_NEW
optional_info_end:
	align	8
	dw	TAG_ALIGN, 0
	dd	8
	dw	TAG_END, 0
	dd	8
header_end:

	align	4
header1:
	dd	MAGIC1, FLAGS1, 0x100000000 - (MAGIC1 + FLAGS1)
	dd	header1, __kernel_phys_start, __kernel_phys_data_end, __kernel_phys_end, _start
