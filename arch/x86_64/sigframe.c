/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signal frames: Linux's rt_sigframe for x86-64, to the byte, for C libraries and run-time
 * systems look into it.
 *
 * From lower addresses up: struct rt_sigframe, at 8 modulo 16 as after a call; the FPU state in
 * XSAVE format, at a multiple of 64, whose reserved bytes tell its size; a closing magic
 * number; the 128 bytes below the old stack pointer that the interrupted function may use.
 *
 * Nothing of a frame that comes back is trusted: selectors must be ours, only flags that user
 * mode may change are taken, the address must be canonical, and the FPU state is checked for
 * what would make XRSTOR fault.
 */
#include <abi/errno.h>
#include <abi/lwp.h>
#include <arch/arch_if.h>
#include <arch/cpu_types.h>
#include <arch/md.h>
#include <kernel/lwp.h>
#include <kernel/string.h>

#include "sigframe.h"

#define RED_ZONE 128

/* FXSAVE's area, its last bytes used as Linux does; then XSAVE's header; then the components. */
struct fpstate {
	uint64_t fp_control; /* FCW, FSW, FTW, a reserved byte, FOP */
	uint64_t fp_ip, fp_dp;
	uint32_t fp_mxcsr, fp_mxcsr_mask;
	struct {
		uint64_t mantissa, exponent; /* exponent: 16 bits; the rest is reserved */
	} fp_st[8];
	uint64_t fp_xmm[16][2];
	uint64_t fp_reserved[6];
	uint32_t fp_magic1, fp_extended_size; /* size with the closing magic number */
	uint64_t fp_xfeatures;
	uint32_t fp_xstate_size;
	uint32_t fp_padding[7];
	uint64_t fp_xstate_bv, fp_xcomp_bv; /* XSAVE header */
	uint64_t fp_header_reserved[6];
	uint8_t fp_components[FPU_AREA - 576];
} __aligned(64);
_Static_assert(sizeof(struct fpstate) == FPU_AREA && offsetof(struct fpstate, fp_mxcsr) == 24 &&
	offsetof(struct fpstate, fp_magic1) == 464 && offsetof(struct fpstate, fp_xstate_bv) == 512,
    "struct fpstate");
#define FP_LEGACY_SIZE offsetof(struct fpstate, fp_xstate_bv)

/* ---- FPU state ---- */

/* Is it a complete XSAVE area, as its reserved bytes say? Else it is x87 and SSE state alone. */
static bool
fpstate_extended(const struct fpstate *fp, uintptr_t src)
{
	size_t size = fpu_area_size();
	uint32_t magic2;

	return fpu_features() != 0 && fp->fp_magic1 == FP_XSTATE_MAGIC1 &&
	    fp->fp_xstate_size == size && fp->fp_extended_size >= size + sizeof(magic2) &&
	    arch_ufetch_32(src + size, &magic2) == 0 && magic2 == FP_XSTATE_MAGIC2;
}

/* A state of any kind, by way of the kernel. */
static int __noinline
fpstate_copyin(uintptr_t src)
{
	struct fpstate fp;
	uint64_t features = fpu_features();

	fpu_area_init(&fp);
	if (arch_copyin(&fp, src, FP_LEGACY_SIZE) != 0)
		return -EFAULT;
	if (fpstate_extended(&fp, src)) {
		features &= fp.fp_xfeatures;
		if (arch_copyin((char *)&fp + FP_LEGACY_SIZE, src + FP_LEGACY_SIZE,
			fpu_area_size() - FP_LEGACY_SIZE) != 0)
			return -EFAULT;
		if (fp.fp_xcomp_bv != 0)
			return -EFAULT;
		for (unsigned i = 0; i < 6; i++)
			if (fp.fp_header_reserved[i] != 0)
				return -EFAULT;
		fp.fp_xstate_bv &= features;
	} else {
		fp.fp_xstate_bv = features & 3; /* x87, SSE */
	}
	if ((fp.fp_mxcsr & ~fpu_mxcsr_mask()) != 0)
		return -EFAULT;
	fpu_load(&fp);
	return 0;
}

/* => src may be 0: initial state */
static inline int
fpstate_in(uintptr_t src)
{
	int error = 1;

	if (unlikely(src == 0)) {
		fpu_load_initial();
		return 0;
	}
	if (likely(fpu_sw[1] != 0 && (src & 63) == 0 &&
		src < USER_END - sizeof(struct fpstate) - sizeof(uint32_t)))
		error = sigfpu_get(src);
	return likely(error <= 0) ? error : fpstate_copyin(src);
}

/* ---- delivery ---- */

static bool
on_stack(uintptr_t sp, const stack_t *ss)
{
	return (ss->ss_flags & SS_DISABLE) == 0 && sp > ss->ss_sp && sp - ss->ss_sp <= ss->ss_size;
}

/* Where the frame goes, or 0 when the alternate stack is too small; the FPU state at SF_FPSTATE of it. */
static uintptr_t
frame_place(const struct trapframe *tf, const struct k_sigaction *act, const stack_t *ss)
{
	bool alternate = on_stack(tf->tf_rsp, ss);
	uintptr_t sp = tf->tf_rsp - RED_ZONE;

	if ((act->sa_flags & SA_ONSTACK) != 0 && (ss->ss_flags & SS_DISABLE) == 0 && !alternate) {
		sp = ss->ss_sp + ss->ss_size;
		alternate = true;
	}
	sp = ((sp - fpu_frame_size) & ~(uintptr_t)63) - SF_FPSTATE;
	return alternate && !on_stack(sp, ss) ? 0 : sp;
}

/* => the current LWP's frame, in user_return(): after that all registers are loaded from it */
int
arch_sendsig(struct trapframe *tf, const struct k_sigaction *act, const siginfo_t *info,
    sigset_t oldmask, const stack_t *altstack)
{
	uintptr_t sp;

	if ((act->sa_flags & SA_RESTORER) == 0)
		return -EFAULT; /* as Linux: nothing else could call rt_sigreturn */
	sp = frame_place(tf, act, altstack);
	if (sp == 0 || sp > USER_END - SF_FPSTATE - fpu_frame_size ||
	    sigframe_put(sp, tf, info, altstack, act->sa_restorer, oldmask) != 0)
		return -EFAULT;

	fpu_load_initial();
	tf->tf_rdi = (uint64_t)info->si_signo;
	tf->tf_rsi = sp + offsetof(struct rt_sigframe, sf_info);
	tf->tf_rdx = sp + offsetof(struct rt_sigframe, sf_uc);
	tf->tf_rax = 0;
	tf->tf_rip = act->sa_handler;
	tf->tf_rsp = sp;
	tf->tf_rflags &= ~(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
	return 0;
}

/* ---- return ---- */

static void
load_registers(struct trapframe *tf, const struct sigcontext *sc)
{
	tf->tf_r8 = sc->sc_r8;
	tf->tf_r9 = sc->sc_r9;
	tf->tf_r10 = sc->sc_r10;
	tf->tf_r11 = sc->sc_r11;
	tf->tf_r12 = sc->sc_r12;
	tf->tf_r13 = sc->sc_r13;
	tf->tf_r14 = sc->sc_r14;
	tf->tf_r15 = sc->sc_r15;
	tf->tf_rdi = sc->sc_rdi;
	tf->tf_rsi = sc->sc_rsi;
	tf->tf_rbp = sc->sc_rbp;
	tf->tf_rbx = sc->sc_rbx;
	tf->tf_rdx = sc->sc_rdx;
	tf->tf_rax = sc->sc_rax;
	tf->tf_rcx = sc->sc_rcx;
	tf->tf_rsp = sc->sc_rsp;
	tf->tf_rip = sc->sc_rip;
	tf->tf_rflags = (tf->tf_rflags & ~RFLAGS_USER) | (sc->sc_rflags & RFLAGS_USER);
}

int
arch_sigreturn(struct trapframe *tf, sigset_t *mask, stack_t *ss)
{
	/* The handler's return took the address of the restorer. */
	uintptr_t frame = tf->tf_rsp - sizeof(uint64_t), fpstate;

	frame_return_full();
	if (frame > USER_END - sizeof(struct rt_sigframe) ||
	    sigframe_get(frame + offsetof(struct rt_sigframe, sf_uc), tf, mask, ss, &fpstate) != 0)
		return -EFAULT;
	return fpstate_in(fpstate);
}

/* ---- _lwp_create ---- */

int
arch_lwp_context(struct lwp *child, uintptr_t uctx, sigset_t *mask)
{
	struct ucontext uc;
	uintptr_t tls;

	if (arch_copyin(&uc, uctx, sizeof(uc)) != 0)
		return -EFAULT;
	if ((uc.uc_flags & _UC_CPU) == 0 || uc.uc_mcontext.sc_rip >= USER_END ||
	    uc.uc_mcontext.sc_rsp >= USER_END)
		return -EINVAL;
	load_registers(arch_user_frame(child), &uc.uc_mcontext);
	if (uc.uc_flags & _UC_TLSBASE) {
		tls = uc.uc_mcontext.sc_reserved[0];
		if (tls >= USER_END)
			return -EINVAL;
		child->l_md.md_fsbase = tls;
	}
	if (uc.uc_flags & _UC_SIGMASK)
		*mask = uc.uc_sigmask;
	return 0;
}
