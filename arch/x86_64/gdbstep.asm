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

; A switched-out LWP that gdb steps: arch_switch() returns here in place of its caller.
	global	gdb_step_thunk:function
gdb_step_thunk:
	int3
	ud2
