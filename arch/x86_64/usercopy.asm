; SPDX-License-Identifier: BSD-2-Clause
;
; User memory: <arch/arch_if.h>. Each instruction that touches it has an entry in the table
; .extable that tells the page-fault handler where to go on when the page cannot be had. The
; range is checked first.
;
; Bulk is moved by REP MOVSQ: the fewest instructions without vector registers, which are the
; user's. The bytes behind the last whole word are moved by one unaligned word that overlaps it.

	default rel
	bits 64

%include "assym.inc"
%include "smap.inc"
%include "usercopy.inc"

; COPY fixup: RDX bytes from RSI to RDI. Changes RAX, RCX, RSI, RDI, R8, R9.
%macro COPY 1
	cmp	rdx, 8
	jb	%%small
	mov	rcx, rdx
	shr	rcx, 3
	U %1, mov r8, [rsi + rdx - 8]
	lea	r9, [rdi + rdx - 8]
	U %1, rep movsq
	U %1, mov [r9], r8
	jmp	%%done
%%small:
	test	dl, 4
	jnz	%%four
	test	dl, 2
	jnz	%%two
	test	dl, dl
	jz	%%done
	U %1, mov al, [rsi]
	U %1, mov [rdi], al
	jmp	%%done
%%four:
	U %1, mov eax, [rsi]
	U %1, mov ecx, [rsi + rdx - 4]
	U %1, mov [rdi], eax
	U %1, mov [rdi + rdx - 4], ecx
	jmp	%%done
%%two:
	U %1, mov ax, [rsi]
	U %1, mov cx, [rsi + rdx - 2]
	U %1, mov [rdi], ax
	U %1, mov [rdi + rdx - 2], cx
%%done:
%endmacro

	section .text
text_start:

; int arch_copyin(void *dst, uintptr_t src, size_t n)
	align	16
	global	arch_copyin:function
arch_copyin:
	CHECK	rsi, rdx, fault
	STAC
	COPY	fault_open
	CLAC
	xor	eax, eax
	ret

; int arch_copyout(uintptr_t dst, const void *src, size_t n)
	align	16
	global	arch_copyout:function
arch_copyout:
	CHECK	rdi, rdx, fault
	STAC
	COPY	fault_open
	CLAC
	xor	eax, eax
	ret

; Common ends of all: user memory open to us, or not.
fault_open:
	CLAC
fault:	mov	eax, -EFAULT
	ret

; int arch_ufetch_32(uintptr_t addr, uint32_t *v)
	align	16
	global	arch_ufetch_32:function
arch_ufetch_32:
	mov	rax, USER_END - 4
	cmp	rdi, rax
	ja	fault
	STAC
	U fault_open, mov eax, [rdi]
	CLAC
	mov	[rsi], eax
	xor	eax, eax
	ret

; int arch_ustore_32(uintptr_t addr, uint32_t v)
	align	16
	global	arch_ustore_32:function
arch_ustore_32:
	mov	rax, USER_END - 4
	cmp	rdi, rax
	ja	fault
	STAC
	U fault_open, mov [rdi], esi
	CLAC
	xor	eax, eax
	ret

; int arch_ucas_32(uintptr_t addr, uint32_t expected, uint32_t v, uint32_t *seen)
	align	16
	global	arch_ucas_32:function
arch_ucas_32:
	mov	rax, USER_END - 4
	cmp	rdi, rax
	ja	fault
	mov	eax, esi
	STAC
	U fault_open, lock cmpxchg [rdi], edx
	CLAC
	mov	[rcx], eax
	xor	eax, eax
	ret

; int arch_ufetch_64(uintptr_t addr, uint64_t *v)
	align	16
	global	arch_ufetch_64:function
arch_ufetch_64:
	mov	rax, USER_END - 8
	cmp	rdi, rax
	ja	fault
	STAC
	U fault_open, mov rax, [rdi]
	CLAC
	mov	[rsi], rax
	xor	eax, eax
	ret

; int arch_ustore_64(uintptr_t addr, uint64_t v)
	align	16
	global	arch_ustore_64:function
arch_ustore_64:
	mov	rax, USER_END - 8
	cmp	rdi, rax
	ja	fault
	STAC
	U fault_open, mov [rdi], rsi
	CLAC
	xor	eax, eax
	ret

; int arch_uzero(uintptr_t dst, size_t n)
	align	16
	global	arch_uzero:function
arch_uzero:
	CHECK	rdi, rsi, fault
	xor	eax, eax
	cmp	rsi, 8
	jb	.bytes
	mov	rcx, rsi
	shr	rcx, 3
	lea	r9, [rdi + rsi - 8]
	STAC
	U fault_open, rep stosq
	U fault_open, mov [r9], rax
	CLAC
	ret
.bytes:	mov	ecx, esi
	STAC
	U fault_open, rep stosb
	CLAC
	ret

; ssize_t arch_copyinstr(char *dst, uintptr_t src, size_t size) By bytes up to a word boundary
; of the source, then by words that hold no zero byte while there is room for a whole one, then
; by bytes again. A word inside one boundary lies in one page: nothing is read too far.
	align	16
	global	arch_copyinstr:function
arch_copyinstr:
	mov	r11, USER_END
	cmp	rsi, r11
	jae	.fault
	sub	r11, rsi		; bytes that may be read
	xor	ecx, ecx		; bytes done
	cmp	r11, rdx
	jbe	.limited
	mov	r11, rdx
.limited:
	mov	r10, 0x0101010101010101
	mov	r9, r10
	shl	r9, 7			; 0x8080...
	STAC
.byte:	cmp	rcx, r11
	jae	.end
	U .fault_open, movzx eax, byte [rsi + rcx]
	mov	[rdi + rcx], al
	test	al, al
	jz	.found
	inc	rcx
	lea	eax, [rsi + rcx]
	test	al, 7
	jnz	.byte
.word:	lea	rax, [rcx + 8]
	cmp	rax, r11
	ja	.byte
	U .fault_open, mov rax, [rsi + rcx]
	mov	r8, rax
	sub	r8, r10
	not	rax
	and	r8, rax
	and	r8, r9			; not 0 iff a byte is 0
	jnz	.byte
	not	rax
	mov	[rdi + rcx], rax
	add	rcx, 8
	jmp	.word
.found:	CLAC
	mov	rax, rcx
	ret
.end:	CLAC
	cmp	rcx, rdx		; our limit, or the end of user memory?
	jb	.fault
	mov	rax, -ENAMETOOLONG
	ret
.fault_open:
	CLAC
.fault:	mov	rax, -EFAULT
	ret

; int arch_peek(uintptr_t addr, void *dst, size_t n): kernel addresses only
	align	16
	global	arch_peek:function
arch_peek:
	test	rdi, rdi
	jns	fault			; not in the upper half
	lea	rax, [rdi + rdx]
	cmp	rax, rdi
	jb	fault
	xchg	rdi, rsi
	COPY	peek_fault
	xor	eax, eax
	ret
	global	peek_fault		; the only fixup for faults on kernel addresses
peek_fault:
	mov	eax, -EFAULT
	ret

	SMAP_TABLE smap_sites_usercopy, text_start
