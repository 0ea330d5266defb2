/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's part of an LWP: its first stack, its user registers, FPU state and TLS bases.
 *
 * The kernel stack of an LWP, from the top:
 *	struct trapframe	user registers; only user LWPs use it
 *	frames of what runs	first, of a new LWP, what arch_switch() pops
 */
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/md.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/gdbstub.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#include <abi/errno.h>

struct trapframe *
arch_user_frame(const struct lwp *l)
{
	return (struct trapframe *)((uintptr_t)l->l_kstack + KSTACK_SIZE) - 1;
}

size_t
arch_lwp_extra_size(void)
{
	return FPU_AREA;
}

void
arch_lwp_ctor(struct lwp *l)
{
	l->l_md = (struct arch_lwp){ .md_fpu = l + 1 };
	KASSERT(((uintptr_t)l->l_md.md_fpu & 63) == 0);
	fpu_area_init(l->l_md.md_fpu);
}

void
arch_lwp_init(struct lwp *l, void (*fn)(void *), void *arg)
{
	struct switch_frame *sf = (struct switch_frame *)(void *)arch_user_frame(l) - 1;

	*sf = (struct switch_frame){
		.sf_rbx = (uintptr_t)fn,
		.sf_r12 = (uintptr_t)arg,
		.sf_rip = (uintptr_t)lwp_trampoline,
	};
	l->l_md.md_rsp = (uintptr_t)sf;
}

/* ---- bases of FS and GS in user mode ---- */

uintptr_t
user_fsbase(void)
{
	uintptr_t base;

	if (!cpu_has_fsgsbase)
		return arch_curlwp()->l_md.md_fsbase;
	__asm volatile("rdfsbase %0" : "=r"(base));
	return base;
}

void
user_set_fsbase(uintptr_t base)
{
	bool on;

	if (cpu_has_fsgsbase) {
		__asm volatile("wrfsbase %0" : : "r"(base));
		return;
	}
	on = arch_intr_disable();
	arch_curlwp()->l_md.md_fsbase = base;
	wrmsr(MSR_FS_BASE, base);
	arch_intr_restore(on);
}

uintptr_t
user_gsbase(void)
{
	uintptr_t base;
	bool on;

	if (!cpu_has_fsgsbase)
		return arch_curlwp()->l_md.md_gsbase;
	on = arch_intr_disable();
	__asm volatile("swapgs; rdgsbase %0; swapgs" : "=r"(base));
	arch_intr_restore(on);
	return base;
}

void
user_set_gsbase(uintptr_t base)
{
	bool on = arch_intr_disable();

	if (cpu_has_fsgsbase) {
		__asm volatile("swapgs; wrgsbase %0; swapgs" : : "r"(base));
	} else {
		arch_curlwp()->l_md.md_gsbase = base;
		wrmsr(MSR_USER_GS_BASE, base);
	}
	arch_intr_restore(on);
}

int
arch_set_tls(uintptr_t base)
{
	if (base >= USER_END)
		return -EPERM;
	user_set_fsbase(base);
	return 0;
}

uintptr_t
arch_get_tls(void)
{
	return user_fsbase();
}

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

int
arch_prctl(int code, uintptr_t addr)
{
	switch (code) {
	case ARCH_SET_GS:
		if (addr >= USER_END)
			return -EPERM;
		user_set_gsbase(addr);
		return 0;
	case ARCH_SET_FS:
		return arch_set_tls(addr);
	case ARCH_GET_FS:
		return arch_ustore_64(addr, user_fsbase());
	case ARCH_GET_GS:
		return arch_ustore_64(addr, user_gsbase());
	default:
		return -EINVAL;
	}
}

/* ---- birth, new program, death ---- */

/* => child runs nowhere, its kernel stack is there; tls < USER_END, else the switch would fault */
void
arch_lwp_fork(struct lwp *child, uintptr_t stack, bool set_tls, uintptr_t tls)
{
	struct lwp *l = arch_curlwp();
	struct trapframe *tf = arch_user_frame(child);

	KASSERT(l->l_md.md_hasuser && child != l && (!set_tls || tls < USER_END));
	*tf = *arch_user_frame(l);
	if (unlikely(atomic_load_relaxed(&debug_step_lwp) == l))
		tf->tf_rflags &= ~RFLAGS_TF; /* gdb steps the parent only */
	tf->tf_rax = 0;
	tf->tf_rcx = tf->tf_rip; /* a system call's frame leaves these two to us */
	tf->tf_r11 = tf->tf_rflags;
	if (stack != 0)
		tf->tf_rsp = stack;
	fpu_save(child->l_md.md_fpu); /* one instruction: no switch can come between */
	child->l_md.md_fsbase = set_tls ? tls : user_fsbase();
	child->l_md.md_gsbase = user_gsbase();
	child->l_md.md_cpu = NULL;
	child->l_md.md_hasuser = 1;
	child->l_md.md_trapno = 0;
	child->l_md.md_err = child->l_md.md_cr2 = 0;
}

void
frame_return_full(void)
{
	uint32_t none = 0;

	(void)atomic_cas(&arch_curlwp()->l_ast, &none, AST_FULL);
}

/* => l is the current LWP; it may have been a kernel thread until now */
void
arch_lwp_exec(struct lwp *l, uintptr_t entry, uintptr_t sp)
{
	struct trapframe *tf = arch_user_frame(l);
	struct cpu *ci;
	bool on;

	KASSERT(l == arch_curlwp());
	memset(tf, 0, sizeof(*tf));
	tf->tf_rip = entry;
	tf->tf_cs = SEL_UCODE;
	tf->tf_rflags = RFLAGS_IF | RFLAGS_FIXED;
	tf->tf_rsp = sp;
	tf->tf_ss = SEL_UDATA;

	on = arch_intr_disable();
	ci = arch_curcpu();
	ci->ci_md.md_user = l;
	l->l_md.md_cpu = ci;
	l->l_md.md_hasuser = 1;
	l->l_md.md_trapno = 0;
	l->l_md.md_err = l->l_md.md_cr2 = 0;
	fpu_load_initial();
	__asm volatile("movl %0, %%ds; movl %0, %%es; movl %0, %%fs\n\t"
		       "swapgs; movl %0, %%gs; swapgs"
		       :
		       : "r"(0));
	user_set_fsbase(0);
	user_set_gsbase(0);
	arch_intr_restore(on);
	frame_return_full();
}

void
arch_fpu_discard(struct lwp *l)
{
	l->l_md.md_hasuser = 0;
}

/* ---- the frame, for machine-independent code ---- */

uintptr_t
arch_frame_pc(const struct trapframe *tf)
{
	return tf->tf_rip;
}

bool
arch_frame_user(const struct trapframe *tf)
{
	return tf_user(tf);
}

bool
arch_frame_intr(const struct trapframe *tf)
{
	return (tf->tf_rflags & RFLAGS_IF) != 0;
}

uintptr_t
arch_frame_sp(const struct trapframe *tf)
{
	return tf->tf_rsp;
}

void
arch_frame_set_result(struct trapframe *tf, int64_t result)
{
	tf->tf_rax = (uint64_t)result;
}

#define SYSCALL_INSN_SIZE 2

void
arch_frame_restart_syscall(struct trapframe *tf)
{
	tf->tf_rip -= SYSCALL_INSN_SIZE;
	tf->tf_rax = tf->tf_trapno;
}
