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

.avx:	vmovups	[rbp - 32], ymm0
	vmovups	[rbp - 64], ymm1
	vmovups	[rbp - 96], ymm2
	vmovups	[rbp - 128], ymm3
%assign off 0
%rep PAGE_SIZE / 128
	vmovaps	ymm0, [rsi + off]
	vmovaps	ymm1, [rsi + off + 32]
	vmovaps	ymm2, [rsi + off + 64]
	vmovaps	ymm3, [rsi + off + 96]
	vmovaps	[rdi + off], ymm0
	vmovaps	[rdi + off + 32], ymm1
	vmovaps	[rdi + off + 64], ymm2
	vmovaps	[rdi + off + 96], ymm3
%assign off off + 128
%endrep
	vmovups	ymm0, [rbp - 32]
	vmovups	ymm1, [rbp - 64]
	vmovups	ymm2, [rbp - 96]
	vmovups	ymm3, [rbp - 128]
	popfq
	leave
	ret

	align	16
.sse:	movups	[rbp - 32], xmm0
	movups	[rbp - 64], xmm1
	movups	[rbp - 96], xmm2
	movups	[rbp - 128], xmm3
%assign off 0
%rep PAGE_SIZE / 64
	movaps	xmm0, [rsi + off]
	movaps	xmm1, [rsi + off + 16]
	movaps	xmm2, [rsi + off + 32]
	movaps	xmm3, [rsi + off + 48]
	movaps	[rdi + off], xmm0
	movaps	[rdi + off + 16], xmm1
	movaps	[rdi + off + 32], xmm2
	movaps	[rdi + off + 48], xmm3
%assign off off + 64
%endrep
	movups	xmm0, [rbp - 32]
	movups	xmm1, [rbp - 64]
	movups	xmm2, [rbp - 96]
	movups	xmm3, [rbp - 128]
	popfq
	leave
	ret

	align	16
.plain:	mov	ecx, PAGE_SIZE / 8
	rep movsq
	leave
	ret
