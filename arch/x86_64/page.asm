; SPDX-License-Identifier: BSD-2-Clause
;
; arch_zero_page, arch_copy_page: with the widest loads and stores of the CPU.
;
; The vector registers hold the current LWP's user state, which is saved only when it is switched out. So
; those used here are saved on the stack, and interrupts are off while they hold other values: no switch
; can mix the two up, and a kernel thread, whose registers are never saved, can call this as well.
; AVX instructions are used only while AVX-512 is not enabled, for they would clear the upper halves of
; registers; SSE instructions leave upper parts alone.

	default rel
	bits 64

	extern	page_isa		; see page.c
PAGE_ISA_SSE	equ 1
PAGE_ISA_AVX	equ 2

PAGE_SIZE	equ 4096

	section .text

; void arch_zero_page(void *page)
	global	arch_zero_page:function
	align	16
arch_zero_page:
	push	rbp
	mov	rbp, rsp
	cmp	byte [page_isa], PAGE_ISA_SSE
	jb	.plain
	lea	rsp, [rsp - 32]		; lea, pushfq and cli leave the result of cmp alone
	pushfq
	cli
	je	.sse

.avx:	vmovups	[rbp - 32], ymm0
	vxorps	xmm0, xmm0, xmm0
%assign off 0
%rep PAGE_SIZE / 32
	vmovaps	[rdi + off], ymm0
%assign off off + 32
%endrep
	vmovups	ymm0, [rbp - 32]
	popfq
	leave
	ret

	align	16
.sse:	movups	[rbp - 32], xmm0
	xorps	xmm0, xmm0
%assign off 0
%rep PAGE_SIZE / 16
	movaps	[rdi + off], xmm0
%assign off off + 16
%endrep
	movups	xmm0, [rbp - 32]
	popfq
	leave
	ret

	align	16
.plain:	xor	eax, eax
	mov	ecx, PAGE_SIZE / 8
	rep stosq
	leave
	ret

; The page by four registers of %4 bytes each; they are kept below rbp, and the flags below them.
; copy_by unaligned move, aligned move, register, bytes of it
%macro copy_by 4
  %assign i 0
  %rep 4
	%1	[rbp - (i + 1) * 32], %3 %+ i
    %assign i i + 1
  %endrep
  %assign off 0
  %rep PAGE_SIZE / (4 * %4)
    %assign i 0
    %rep 4
	%2	%3 %+ i, [rsi + off + i * %4]
      %assign i i + 1
    %endrep
    %assign i 0
    %rep 4
	%2	[rdi + off + i * %4], %3 %+ i
      %assign i i + 1
    %endrep
    %assign off off + 4 * %4
  %endrep
  %assign i 0
  %rep 4
	%1	%3 %+ i, [rbp - (i + 1) * 32]
    %assign i i + 1
  %endrep
	popfq
	leave
	ret
%endmacro

; void arch_copy_page(void *restrict dst, const void *restrict src)
	global	arch_copy_page:function
	align	16
arch_copy_page:
	push	rbp
	mov	rbp, rsp
	cmp	byte [page_isa], PAGE_ISA_SSE
	jb	.plain
	lea	rsp, [rsp - 128]
	pushfq
	cli
	je	.sse

.avx:	copy_by	vmovups, vmovaps, ymm, 32

	align	16
.sse:	copy_by	movups, movaps, xmm, 16

	align	16
.plain:	mov	ecx, PAGE_SIZE / 8
	rep movsq
	leave
	ret
