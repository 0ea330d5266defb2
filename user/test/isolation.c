/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What user mode may not do, beyond the faults of fault.c and the frames of sysret.c: the rest of the privileged
 * instructions, strings of ports, segment bases in the kernel, a stack that grows past its end; each ends the
 * process that tries it, and nothing else.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

struct
try {
	const char *t_name;
	void (*t_do)(void);
};

#define TRY(name, text, ...) \
	static void name(void) \
	{ \
		__asm__ volatile(text \
				 : \
				 : "r"(buffer) \
				 : "rax", "rcx", "rdx", "memory", ##__VA_ARGS__); \
	}

static char buffer[64] __attribute__((aligned(64)));

TRY(do_cr0, "mov %%rax, %%cr0")
TRY(do_cr3, "mov %%rax, %%cr3")
TRY(do_cr4, "mov %%rax, %%cr4")
TRY(do_cr8, "mov %%rax, %%cr8")
TRY(do_dr, "mov %%rax, %%dr0")
TRY(do_dr7, "mov %%dr7, %%rax")
TRY(do_clts, "clts")
TRY(do_lmsw, "lmsw %%ax")
TRY(do_lidt, "lidt (%0)")
TRY(do_lldt, "xor %%eax, %%eax; lldt %%ax")
TRY(do_ltr, "mov $0x40, %%eax; ltr %%ax")
TRY(do_invlpg, "invlpg (%0)")
TRY(do_invd, "invd")
TRY(do_wbinvd, "wbinvd")
TRY(do_sysret, "sysretq")
TRY(do_sti, "sti")
TRY(do_in, "mov $0x3f8, %%edx; inb %%dx, %%al")
TRY(do_ins, "mov $0x3f8, %%edx; mov %0, %%rdi; insb", "rdi")
TRY(do_outs, "mov $0x3f8, %%edx; mov %0, %%rsi; outsb", "rsi")
TRY(do_xsetbv, "xor %%ecx, %%ecx; mov $3, %%eax; xor %%edx, %%edx; xsetbv")
TRY(do_kss, "mov $0x18, %%eax; mov %%eax, %%ss")
TRY(do_kds,
    "mov $0x18, %%eax; mov %%eax, %%ds; mov %%ds, %%eax; test $3, %%eax; jnz 1f; ud2; 1: ud2")
TRY(do_farkernel, "push $0x10; push $0; lretq")
TRY(do_fs,
    "mov $158, %%eax; mov $0x1002, %%edi; mov $-1, %%rsi; shl $47, %%rsi; syscall;"
    "test %%rax, %%rax; jz 1f; ud2; 1: mov %%fs:0, %%rax; hlt",
    "rdi", "rsi", "r11")

static const struct try tries[] = {
	{ "write of cr0", do_cr0 },
	{ "write of cr3", do_cr3 },
	{ "write of cr4", do_cr4 },
	{ "write of cr8", do_cr8 },
	{ "write of dr0", do_dr },
	{ "read of dr7", do_dr7 },
	{ "clts", do_clts },
	{ "lmsw", do_lmsw },
	{ "lidt", do_lidt },
	{ "lldt", do_lldt },
	{ "ltr", do_ltr },
	{ "invlpg", do_invlpg },
	{ "invd", do_invd },
	{ "wbinvd", do_wbinvd },
	{ "sysret", do_sysret },
	{ "sti", do_sti },
	{ "in from a port", do_in },
	{ "ins from a port", do_ins },
	{ "outs to a port", do_outs },
	{ "xsetbv", do_xsetbv },
	{ "the kernel's stack segment", do_kss },
	{ "the kernel's data segment", do_kds },
	{ "far return to the kernel's code", do_farkernel },
	{ "an FS base in the kernel", do_fs },
};

static int
attempt(void *arg)
{
	((const struct try *)arg)->t_do();
	return 0;
}

/* The frames must be distinct: no loop. */
static int __attribute__((noinline, noclone)) deeper(volatile int *above)
{
	volatile int frame[256];

	frame[0] = *above + 1;
	return frame[0] < 0 ? 0 : deeper(frame) + frame[0];
}

static int
overflow(void *arg)
{
	struct rlimit small = { 1 << 20, 1 << 20 };
	volatile int n = 0;

	(void)arg;
	setrlimit(RLIMIT_STACK, &small);
	return deeper(&n);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(tries); i++) {
		int st = run_child(attempt, (void *)(uintptr_t)&tries[i]);

		if (!ok(WIFSIGNALED(st) && (WTERMSIG(st) == SIGSEGV || WTERMSIG(st) == SIGILL),
			"%s", tries[i].t_name))
			diag("why: %s", status_text(st));
	}
	is_killed(run_child(overflow, NULL), SIGSEGV, "a stack that grows past its end");
	return tap_done();
}
