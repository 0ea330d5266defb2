/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking the frames of a kernel stack by RBP. Entry code pushes the interrupted address and
 * RBP as a call would, so a walk goes through traps, from one stack to another if need be, and
 * ends at a frame from user mode, where RBP was made 0. Every word is read by arch_peek(): a
 * broken chain ends the walk.
 */
#include <arch/arch_if.h>
#include <arch/md.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>

/* Words below the saved RBP in what arch_switch() pushes: R15 to R12, RBX. */
#define SWITCH_RBP (5 * sizeof(uint64_t))

void
arch_walk_start(struct arch_walk *w, const struct lwp *l)
{
	const uintptr_t *frame = __builtin_frame_address(0);

	w->trap = false;
	if (l == NULL) {
		w->fp = frame[0]; /* ours is gone when we return */
		w->pc = frame[1];
	} else {
		w->fp = l->l_kstack != NULL ? l->l_md.md_rsp + SWITCH_RBP : 0;
		w->pc = 0;
	}
}

void
arch_walk_frame(struct arch_walk *w, const struct trapframe *tf)
{
	w->trap = false;
	w->fp = tf_user(tf) ? 0 : tf->tf_rbp;
	w->pc = tf->tf_rip;
}

bool
arch_walk_next(struct arch_walk *w)
{
	uintptr_t frame[2];

	if (w->fp == 0 || (w->fp & 7) != 0 || arch_peek(w->fp, frame, sizeof(frame)) != 0)
		return false;
	w->trap = w->pc == (uintptr_t)trap_kernel_ret || w->pc == (uintptr_t)irq_kernel_ret ||
	    w->pc == (uintptr_t)trap_ist_ret;
	w->pc = frame[1];
	/* A call's frame lies above its callee's, on the same stack. */
	if (!w->trap && (frame[0] <= w->fp || frame[0] - w->fp >= KSTACK_SIZE))
		frame[0] = 0;
	w->fp = frame[0];
	return w->pc != 0;
}
