/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways back to user mode that can go wrong: a system call at the very end
 * of user memory (sysret to a non-canonical address), and signal frames that
 * were changed by hand.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define NONCANON 0x0000800000000000UL

/* --- system call in the last two bytes of a page ----------------------------------- */
static int
call_at_end(void *arg)
{
	static const unsigned char insn[2] = { 0x0f, 0x05 };
	char *page = arg, *p;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	p = mmap(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
	if (p == MAP_FAILED)
		return 33; /* not ours to have: fine */
	memcpy(p + PAGE - 2, insn, 2);
	__asm__ volatile("jmp *%0"
			 :
			 : "r"(p + PAGE - 2), "a"(SYS_getppid)
			 : "rcx", "r11", "memory");
	return 34;
}

static void
test_edge(uintptr_t page, const char *what)
{
	int st = run_child(call_at_end, (void *)page);

	if (!ok((WIFEXITED(st) && WEXITSTATUS(st) == 33) ||
		    (WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV),
		"%s", what))
		diag("why: expected no mapping or SIGSEGV, got %s", status_text(st));
}

/* --- changed signal frames ----------------------------------------------------------- */
enum change {
	C_NONE,
	C_RIP,
	C_RIP_KERNEL,
	C_RSP,
	C_CS,
	C_CS_KERNEL,
	C_SS,
	C_FLAGS,
	C_NT,
	C_TF,
	C_FPNULL,
	C_FPBAD,
	C_MXCSR,
	C_XSTATE,
	C_MASK,
	C_COUNT
};
static const char *const change_name[C_COUNT] = {
	"unchanged",
	"non-canonical RIP",
	"RIP in the kernel",
	"non-canonical RSP",
	"CS of nothing",
	"CS of ring 0",
	"SS of nothing",
	"IOPL 3 and interrupts off",
	"nested task flag",
	"trap flag",
	"no FPU state",
	"FPU state at a bad address",
	"reserved MXCSR bits",
	"bad XSAVE header",
	"every signal blocked",
};
static volatile enum change change;

static void
on_usr1(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;
	unsigned char *fp = (unsigned char *)uc->uc_mcontext.fpregs;
	uint64_t w;

	(void)sig;
	(void)si;
	switch (change) {
	case C_RIP:
		g[REG_RIP] = (greg_t)NONCANON;
		break;
	case C_RIP_KERNEL:
		g[REG_RIP] = (greg_t)0xffffffff80100000UL;
		break;
	case C_RSP:
		g[REG_RSP] = (greg_t)NONCANON;
		break;
	case C_CS:
		g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffL) | 0xfff8;
		break;
	case C_CS_KERNEL:
		g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffL) | 0x10;
		break;
	case C_SS:
		g[REG_CSGSFS] = (g[REG_CSGSFS] & 0xffffffffffffL) | (greg_t)(0xfff8UL << 48);
		break;
	case C_FLAGS:
		g[REG_EFL] = (g[REG_EFL] | 0x3000) & ~0x200;
		break;
	case C_NT:
		g[REG_EFL] |= 0x4000;
		break;
	case C_TF:
		g[REG_EFL] |= 0x100;
		break;
	case C_FPNULL:
		uc->uc_mcontext.fpregs = NULL;
		break;
	case C_FPBAD:
		uc->uc_mcontext.fpregs = hide(NONCANON);
		break;
	case C_MXCSR:
		memset(fp + 24, 0xff, 4);
		break;
	case C_XSTATE:
		w = ~0UL; /* XSTATE_BV of the extended area */
		memcpy(fp + 512, &w, 8);
		break;
	case C_MASK:
		sigfillset(&uc->uc_sigmask);
		break;
	default:
		break;
	}
}

static int
return_through(void *arg)
{
	struct sigaction sa = { .sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO };
	unsigned long flags;

	sigaction(SIGUSR1, &sa, NULL);
	change = (enum change)(long)arg;
	kill(getpid(), SIGUSR1);
	__asm__ volatile("pushf; pop %0" : "=r"(flags));
	if ((flags & 0x3000) != 0 || !(flags & 0x200))
		return 5; /* privilege was gained */
	return 44;
}

/* Each either ends by a fault signal or goes on as if nothing had happened. */
static void
test_frames(void)
{
	int c, st, good;

	for (c = 0; c < C_COUNT; c++) {
		st = run_child(return_through, (void *)(long)c);
		good = (WIFEXITED(st) && WEXITSTATUS(st) == 44) ||
		    (WIFSIGNALED(st) &&
			(WTERMSIG(st) == SIGSEGV || WTERMSIG(st) == SIGTRAP ||
			    WTERMSIG(st) == SIGBUS));
		if (c == C_NONE || c == C_MASK || c == C_FLAGS)
			good = st == 44 << 8;
		if (c == C_RIP || c == C_RIP_KERNEL)
			good = st == SIGSEGV;
		if (!ok(good, "signal frame with %s", change_name[c]))
			diag("why: got %s", status_text(st));
	}
}

static int
bare_sigreturn(void *arg)
{
	__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" : : "r"(arg) : "memory");
	return 0;
}

static int
no_restorer(void *arg)
{
	/* The kernel's own layout: handler, flags, restorer, mask. */
	struct {
		void (*handler)(int);
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} ksa = { (void (*)(int))(uintptr_t)arg, 0, NULL, 0 };

	if (syscall(SYS_rt_sigaction, SIGUSR1, &ksa, NULL, 8) != 0)
		return 1;
	kill(getpid(), SIGUSR1);
	return 2;
}

static void
nop_handler(int sig)
{
	(void)sig;
}

static int
no_room(void *arg)
{
	struct sigaction sa = { .sa_handler = nop_handler };

	sigaction(SIGUSR1, &sa, NULL);
	/* kill(getpid(), SIGUSR1) with a stack pointer where no frame can be built */
	__asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi; mov $10, %%esi;"
			 "mov $62, %%eax; syscall; ud2"
			 :
			 : "r"(arg)
			 : "memory");
	return 0;
}

int
main(void)
{
	char *page = private_mem(2 * PAGE);

	munmap(page + PAGE, PAGE);
	test_edge((uintptr_t)page, "system call in the last bytes before an unmapped page");
	test_edge(0x7fffffffe000, "system call in the last page but one of the lower half");
	test_edge(0x7ffffffff000, "system call in the last page of the lower half");
	test_frames();
	is_killed(run_child(bare_sigreturn, hide(8)), SIGSEGV, "sigreturn with a bad stack");
	is_killed(run_child(bare_sigreturn, hide(NONCANON)), SIGSEGV, "and a non-canonical one");
	is_killed(
	    run_child(bare_sigreturn, hide(0xffffffff80100000)), SIGSEGV, "and one in the kernel");
	is_killed(run_child(no_restorer, (void *)(uintptr_t)nop_handler), SIGSEGV,
	    "a handler without a restorer");
	is_killed(run_child(no_restorer, hide(NONCANON)), SIGSEGV, "a handler at a bad address");
	is_killed(run_child(no_room, hide(4096)), SIGSEGV, "no room for the frame");
	is_killed(run_child(no_room, hide(0xffffffff80100000)), SIGSEGV, "a stack in the kernel");
	return tap_done();
}
