/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults of user programs: the signal, its code and address, and death by
 * default.  Each runs in a child; nothing a program executes harms the kernel.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define NONCANON    0x0000900000000000UL
#define KERNEL_TEXT 0xffffffff80100000UL
#define KERNEL_LOW  0xffff800000000000UL

#define F_ADDR 1 /* si_addr must be f_addr */
#define F_MAY  2 /* machines differ: no fault is fine */

struct fault {
	const char *f_name;
	void (*f_do)(void);
	int f_sig, f_code;
	int f_flags;
	uintptr_t f_addr;
};

static char *rw_page, *ro_page, *none_page, *gone_page;
static struct seen {
	int s_sig, s_code;
	uintptr_t s_addr;
} * seen;

static void
do_read(uintptr_t a)
{
	__asm__ volatile("movb (%0), %%al" : : "r"(a) : "rax", "memory");
}

static void
do_write(uintptr_t a)
{
	__asm__ volatile("movb $1, (%0)" : : "r"(a) : "memory");
}

static void
do_jump(uintptr_t a)
{
	__asm__ volatile("call *%0" : : "r"(a) : "memory");
}

static void
f_null(void)
{
	do_read(0x10);
}
static void
f_null_write(void)
{
	do_write(0x10);
}
static void
f_unmapped(void)
{
	do_write((uintptr_t)gone_page);
}
static void
f_ro(void)
{
	do_write((uintptr_t)ro_page + 5);
}
static void
f_none(void)
{
	do_read((uintptr_t)none_page + 9);
}
static void
f_nx(void)
{
	do_jump((uintptr_t)rw_page);
}
static void
f_jump_unmapped(void)
{
	do_jump((uintptr_t)gone_page);
}
static void
f_kread(void)
{
	do_read(KERNEL_TEXT);
}
static void
f_kwrite(void)
{
	do_write(KERNEL_TEXT);
}
static void
f_klow(void)
{
	do_read(KERNEL_LOW);
}
static void
f_kjump(void)
{
	do_jump(KERNEL_TEXT);
}
static void
f_nc_read(void)
{
	do_read(NONCANON);
}
static void
f_nc_write(void)
{
	do_write(NONCANON);
}
static void
f_nc_jump(void)
{
	do_jump(NONCANON);
}
static void
f_nc_ret(void)
{
	__asm__ volatile("push %0; ret" : : "r"(NONCANON));
}
static void
f_nc_stack(void)
{
	__asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(NONCANON));
}
static void
f_div(void)
{
	__asm__ volatile("xor %%ecx,%%ecx; mov $1,%%eax; cltd; idiv %%ecx" ::: "rax", "rcx", "rdx");
}
static void
f_div_over(void)
{
	__asm__ volatile("mov $-1,%%ecx; mov $0x80000000,%%eax; cltd; idiv %%ecx" ::
			     : "rax", "rcx", "rdx");
}
static void
f_ud2(void)
{
	__asm__ volatile("ud2");
}
static void
f_int3(void)
{
	__asm__ volatile("int3");
}
static void
f_int_3(void)
{
	__asm__ volatile(".byte 0xcd, 3");
}
static void
f_hlt(void)
{
	__asm__ volatile("hlt");
}
static void
f_cli(void)
{
	__asm__ volatile("cli");
}
static void
f_out(void)
{
	__asm__ volatile("outb %%al, $0x80" ::: "rax");
}
static void
f_rdmsr(void)
{
	__asm__ volatile("mov $0xc0000080,%%ecx; rdmsr" ::: "rax", "rcx", "rdx");
}
static void
f_wrmsr(void)
{
	__asm__ volatile("mov $0xc0000102,%%ecx; xor %%eax,%%eax; xor %%edx,%%edx; wrmsr" ::
			     : "rax", "rcx", "rdx");
}
static void
f_cr3(void)
{
	__asm__ volatile("mov %%cr3, %%rax" ::: "rax");
}
static void
f_swapgs(void)
{
	__asm__ volatile("swapgs");
}
static void
f_lgdt(void)
{
	__asm__ volatile("lgdt (%0)" : : "r"(rw_page));
}
static void
f_iret(void)
{
	__asm__ volatile("push $0x10; push $0; push $0x202; push $8; push $0; iretq");
}
static void
f_badcs(void)
{
	__asm__ volatile("push $0xfff8; push $0; lretq");
}
static void
f_badds(void)
{
	__asm__ volatile("mov $0xfff8, %%eax; mov %%eax, %%ds" ::: "rax");
}
static void
f_ldt(void)
{
	__asm__ volatile("mov $0x1007, %%eax; mov %%eax, %%es" ::: "rax");
}
static void
f_int32(void)
{
	__asm__ volatile("int $0x20");
}
static void
f_int_ff(void)
{
	__asm__ volatile("int $0xff");
}
static void
f_int_nmi(void)
{
	__asm__ volatile("int $2");
}
static void
f_int_df(void)
{
	__asm__ volatile("int $8");
}
static void
f_int_pf(void)
{
	__asm__ volatile("int $14");
}
static void
f_int_mc(void)
{
	__asm__ volatile("int $18");
}
static void
f_x87(void)
{
	__asm__ volatile(
	    "fninit; push $0x0340; fldcw (%%rsp); fld1; fldz; fdivrp; fwait; pop %%rax" ::
		: "rax");
}
static void
f_movaps(void)
{
	__asm__ volatile("movaps %%xmm0, 1(%0)" : : "r"(rw_page) : "memory");
}
static void
f_ac(void)
{
	__asm__ volatile(
	    "pushf; orl $0x40000, (%%rsp); popf; mov 1(%0), %%eax; pushf; andl $~0x40000, (%%rsp); popf"
	    :
	    : "r"(rw_page)
	    : "rax", "memory", "cc");
}
static void
f_step(void)
{
	__asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop" ::: "memory", "cc");
}
static void
f_step_call(void)
{
	__asm__ volatile("mov $39,%%eax; pushf; orl $0x100, (%%rsp); popf; syscall; nop" ::
			     : "rax", "rcx", "r11", "memory", "cc");
}

static const struct fault faults[] = {
	{ "read near 0", f_null, SIGSEGV, SEGV_MAPERR, F_ADDR, 0x10 },
	{ "write near 0", f_null_write, SIGSEGV, SEGV_MAPERR, F_ADDR, 0x10 },
	{ "write to an unmapped page", f_unmapped, SIGSEGV, SEGV_MAPERR, F_ADDR, 3 },
	{ "write to a read-only page", f_ro, SIGSEGV, SEGV_ACCERR, F_ADDR, 1 },
	{ "read of a PROT_NONE page", f_none, SIGSEGV, SEGV_ACCERR, F_ADDR, 2 },
	{ "execution of data", f_nx, SIGSEGV, SEGV_ACCERR, F_ADDR, 4 },
	{ "jump to an unmapped page", f_jump_unmapped, SIGSEGV, SEGV_MAPERR, F_ADDR, 3 },
	{ "read of kernel text", f_kread, SIGSEGV, 0, F_ADDR, KERNEL_TEXT },
	{ "write to kernel text", f_kwrite, SIGSEGV, 0, F_ADDR, KERNEL_TEXT },
	{ "read of the lowest kernel address", f_klow, SIGSEGV, 0, F_ADDR, KERNEL_LOW },
	{ "jump into the kernel", f_kjump, SIGSEGV, 0, F_ADDR, KERNEL_TEXT },
	{ "read of a non-canonical address", f_nc_read, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "write to a non-canonical address", f_nc_write, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "call of a non-canonical address", f_nc_jump, SIGSEGV, 0, 0, 0 },
	{ "return to a non-canonical address", f_nc_ret, SIGSEGV, 0, 0, 0 },
	{ "push with a non-canonical stack", f_nc_stack, 0, 0, 0, 0 },
	{ "division by zero", f_div, SIGFPE, FPE_INTDIV, 0, 0 },
	{ "division overflow", f_div_over, SIGFPE, FPE_INTDIV, 0, 0 },
	{ "ud2", f_ud2, SIGILL, ILL_ILLOPN, 0, 0 },
	{ "int3", f_int3, SIGTRAP, SI_KERNEL, 0, 0 },
	{ "int 3 in two bytes", f_int_3, SIGTRAP, SI_KERNEL, 0, 0 },
	{ "hlt", f_hlt, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "cli", f_cli, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "out to a port", f_out, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "rdmsr", f_rdmsr, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "wrmsr", f_wrmsr, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "read of cr3", f_cr3, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "swapgs", f_swapgs, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "lgdt", f_lgdt, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "iret to ring 0", f_iret, SIGSEGV, 0, 0, 0 },
	{ "far return to a bad segment", f_badcs, SIGSEGV, 0, 0, 0 },
	{ "load of a bad data segment", f_badds, SIGSEGV, 0, 0, 0 },
	{ "load of a segment of the local table", f_ldt, SIGSEGV, SI_KERNEL, F_ADDR, 0 },
	{ "int 0x20", f_int32, SIGSEGV, SI_KERNEL, 0, 0 },
	{ "int 0xff", f_int_ff, SIGSEGV, SI_KERNEL, 0, 0 },
	{ "int 2", f_int_nmi, SIGSEGV, SI_KERNEL, 0, 0 },
	{ "int 8", f_int_df, SIGSEGV, SI_KERNEL, 0, 0 },
	{ "int 14", f_int_pf, SIGSEGV, SI_KERNEL, 0, 0 },
	{ "int 18", f_int_mc, SIGSEGV, SI_KERNEL, 0, 0 },
	{ "x87 division by zero, unmasked", f_x87, SIGFPE, FPE_FLTDIV, 0, 0 },
	{ "misaligned movaps", f_movaps, SIGSEGV, 0, F_MAY, 0 },
	{ "alignment check", f_ac, SIGBUS, 0, F_MAY, 0 },
	{ "single step", f_step, SIGTRAP, TRAP_TRACE, 0, 0 },
	{ "single step over a system call", f_step_call, SIGTRAP, TRAP_TRACE, 0, 0 },
};

static void
on_fault(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	seen->s_sig = sig;
	seen->s_code = si->si_code;
	seen->s_addr = (uintptr_t)si->si_addr;
	_exit(77);
}

static int
caught(void *arg)
{
	static char alt[16384];
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	size_t i;

	sigaltstack(&ss, NULL);
	for (i = 0; i < NELEM(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
	((const struct fault *)arg)->f_do();
	return 0;
}

static int
by_default(void *arg)
{
	((const struct fault *)arg)->f_do();
	return 0;
}

static int
blocked(void *arg)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGSEGV, SIG_IGN);
	((const struct fault *)arg)->f_do();
	return 0;
}

static uintptr_t
want_addr(const struct fault *f)
{
	switch (f->f_addr) {
	case 1:
		return (uintptr_t)ro_page + 5;
	case 2:
		return (uintptr_t)none_page + 9;
	case 3:
		return (uintptr_t)gone_page;
	case 4:
		return (uintptr_t)rw_page;
	default:
		return f->f_addr;
	}
}

static void
try(const struct fault *f)
{
	int st, good;

	memset(seen, 0, sizeof(*seen));
	st = run_child(caught, (void *)(uintptr_t)f);
	good = WIFEXITED(st) && WEXITSTATUS(st) == 77;
	/* A stack fault may be SIGSEGV or SIGBUS. */
	good &= seen->s_sig == f->f_sig || f->f_sig == 0;
	good &= f->f_code == 0 || seen->s_code == f->f_code;
	good &= !(f->f_flags & F_ADDR) || seen->s_addr == want_addr(f);
	if ((f->f_flags & F_MAY) && st == 0)
		good = 1;
	if (!ok(good, "%s: signal, code and address", f->f_name))
		diag("why: expected signal %d code %d address 0x%lx, got %d %d 0x%lx, %s", f->f_sig,
		    f->f_code, (unsigned long)want_addr(f), seen->s_sig, seen->s_code,
		    (unsigned long)seen->s_addr, status_text(st));
	st = run_child(by_default, (void *)(uintptr_t)f);
	good = WIFSIGNALED(st) && (WTERMSIG(st) == f->f_sig || f->f_sig == 0);
	if ((f->f_flags & F_MAY) && st == 0)
		good = 1;
	if (!ok(good, "%s: death by default", f->f_name))
		diag("why: expected signal %d, got %s", f->f_sig, status_text(st));
}

int
main(void)
{
	size_t i;

	seen = shared_mem(PAGE);
	rw_page = private_mem(PAGE);
	memset(rw_page, 0, PAGE);
	ro_page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	none_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	gone_page = private_mem(PAGE);
	munmap(gone_page, PAGE);
	for (i = 0; i < NELEM(faults); i++)
		try(&faults[i]);
	is_killed(run_child(blocked, (void *)(uintptr_t)&faults[0]), SIGSEGV,
	    "a blocked and ignored fault kills all the same");
	return tap_done();
}
