; SPDX-License-Identifier: BSD-2-Clause
;
; The vDSO's image, as the Makefile has linked it from vdso/.

	section .rodata
	align	16
	global	vdso_image, vdso_image_end
vdso_image:
	incbin	"vdso.so"
vdso_image_end:
