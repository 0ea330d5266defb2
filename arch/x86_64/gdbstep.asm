; SPDX-License-Identifier: BSD-2-Clause
;
; The stub's own breakpoint instructions. gdbtrap.c knows them by their address.

	bits 64

	section .text.nobreak progbits alloc exec nowrite align=16

; void arch_breakpoint(void)
	global	arch_breakpoint:function
arch_breakpoint:
	int3
	ret

; void arch_debug_halt(const cpuset_t *set, cpuset_t bit)
; Halts until an NMI comes, unless the bit is clear. One that comes between the look and the halt ends it, too:
; arch_debug_woken() then moves on the address to go on at.
	global	arch_debug_halt:function, debug_halt_end
arch_debug_halt:
	test	[rdi], rsi
	jz	debug_halt_end
	hlt
debug_halt_end:
	ret

; void gdb_unblock_nmi(void): as the end of the NMI handler would, and stays in it.
	global	gdb_unblock_nmi:function
gdb_unblock_nmi:
	pop	rdx
	mov	rax, rsp
	mov	ecx, ss
	push	rcx
	push	rax
	pushfq
	mov	ecx, cs
	push	rcx
	push	rdx
	iretq

; A switched-out LWP that gdb steps: arch_switch() returns here in place of its caller.
	global	gdb_step_thunk:function
gdb_step_thunk:
	int3
	ud2
