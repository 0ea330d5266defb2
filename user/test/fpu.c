/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers belong to their thread: general, x87, SSE and AVX registers, MXCSR
 * and the x87 control word survive preemption, system calls and handlers
 * (B19), and no process sees what another left in them, nor the kernel's memory
 * in the bytes of a signal frame that no register fills.
 *
 * test: timeout=90
 * test: name=b19 flavour=debug smp=2,4 append="fp=switch-before-clear-RUNNING:100" args="40"
 * test: name=b19-lend flavour=debug smp=2,4 append="fp=lend-restart:20" args="40"
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define POISON 0xabad1deaabad1deaULL

static long rounds = 200;
static int have_avx;

static int
probe_avx(void)
{
	unsigned a, b, c, d, lo, hi;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (lo & 6) == 6;
}

#define ALL16(op) \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) \
	    op(14) op(15)
#define SSE_LOAD(n)  "movups " #n "*16(%0), %%xmm" #n "\n\t"
#define SSE_STORE(n) "movups %%xmm" #n ", " #n "*16(%1)\n\t"
#define AVX_LOAD(n)  "vmovups " #n "*32(%0), %%ymm" #n "\n\t"
#define AVX_STORE(n) "vmovups %%ymm" #n ", " #n "*32(%1)\n\t"
#define XMM_CLOBBER \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
	    "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* Load every register from in, stay a while (spinning or calling), store to out. */
#define HOLD(load, store) \
	__asm__ volatile(ALL16(load) "1: test %3, %3\n\t" \
				     "jz 2f\n\t" \
				     "mov %3, %%eax\n\t" \
				     "syscall\n\t" \
				     "2: pause\n\t" \
				     "dec %2\n\t" \
				     "jnz 1b\n\t" ALL16(store) \
			 : "+r"(in), "+r"(out), "+r"(n) \
			 : "r"(call) \
			 : "rax", "rcx", "r11", "memory", "cc", XMM_CLOBBER)

static int
hold_vectors(uint64_t seed, long n, int call)
{
	uint64_t a[64], b[64], *in = a, *out = b;
	int i;

	for (i = 0; i < 64; i++)
		a[i] = seed * 0x9e3779b97f4a7c15ULL + (uint64_t)i;
	memset(b, 0, sizeof(b));
	if (have_avx) {
		HOLD(AVX_LOAD, AVX_STORE);
		return memcmp(a, b, 512) == 0;
	}
	HOLD(SSE_LOAD, SSE_STORE);
	return memcmp(a, b, 256) == 0;
}

static int
hold_controls(unsigned seed, long n)
{
	/* Rounding mode differs by thread in both units. */
	unsigned mx = 0x1f80 | (seed & 3) << 13, mx2;
	unsigned short cw = (unsigned short)(0x037f | (seed & 3) << 10), cw2;
	double x = seed + 0.5, y;

	__asm__ volatile("ldmxcsr %4; fldcw %5; fldl %6; fld1\n"
			 "1: pause; dec %3; jnz 1b\n\t"
			 "fstp %%st(0); fstpl %2; fnstcw %1; stmxcsr %0"
			 : "=m"(mx2), "=m"(cw2), "=m"(y), "+r"(n)
			 : "m"(mx), "m"(cw), "m"(x)
			 : "cc", "memory");
	mx &= 0xe000;
	mx2 &= 0xe000;
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(*(const unsigned[]){ 0x1f80 }));
	return mx == mx2 && cw == cw2 && x == y;
}

/* Every general register but RSP, across preemption. */
static int
hold_general(uint64_t seed, long n)
{
	uint64_t bad;

	__asm__ volatile("push %%rbp; mov %1, %%rax\n\t"
			 "lea 1(%%rax), %%rbx; lea 2(%%rax), %%rdx; lea 3(%%rax), %%rsi\n\t"
			 "lea 4(%%rax), %%rdi; lea 5(%%rax), %%rbp; lea 6(%%rax), %%r8\n\t"
			 "lea 7(%%rax), %%r9; lea 8(%%rax), %%r10; lea 9(%%rax), %%r11\n\t"
			 "lea 10(%%rax), %%r12; lea 11(%%rax), %%r13; lea 12(%%rax), %%r14\n\t"
			 "lea 13(%%rax), %%r15\n"
			 "1: pause; dec %%rcx; jnz 1b\n\t"
			 "sub $1, %%rbx; xor %%rax, %%rbx; sub $2, %%rdx; xor %%rax, %%rdx\n\t"
			 "sub $3, %%rsi; xor %%rax, %%rsi; sub $4, %%rdi; xor %%rax, %%rdi\n\t"
			 "sub $5, %%rbp; xor %%rax, %%rbp; sub $6, %%r8; xor %%rax, %%r8\n\t"
			 "sub $7, %%r9; xor %%rax, %%r9; sub $8, %%r10; xor %%rax, %%r10\n\t"
			 "sub $9, %%r11; xor %%rax, %%r11; sub $10, %%r12; xor %%rax, %%r12\n\t"
			 "sub $11, %%r13; xor %%rax, %%r13; sub $12, %%r14; xor %%rax, %%r14\n\t"
			 "sub $13, %%r15; xor %%rax, %%r15\n\t"
			 "mov %%rbx, %%rax; or %%rdx, %%rax; or %%rsi, %%rax; or %%rdi, %%rax\n\t"
			 "or %%rbp, %%rax; or %%r8, %%rax; or %%r9, %%rax; or %%r10, %%rax\n\t"
			 "or %%r11, %%rax; or %%r12, %%rax; or %%r13, %%rax; or %%r14, %%rax\n\t"
			 "or %%r15, %%rax; pop %%rbp"
			 : "=&a"(bad), "+D"(seed), "+c"(n)
			 :
			 : "rbx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			 "r15", "cc", "memory");
	return bad == 0;
}

static void *
hold_all(void *arg)
{
	long i, bad = 0;
	uint64_t me = (uint64_t)(long)arg;

	for (i = 0; i < rounds; i++) {
		bad += !hold_vectors(me * 1000 + (uint64_t)i, 300, 0);
		bad += !hold_vectors(me * 1000 + (uint64_t)i, 5, SYS_sched_yield);
		bad += !hold_controls((unsigned)me + (unsigned)i, 300);
		bad += !hold_general(me << 32 | (uint64_t)i, 300);
	}
	return (void *)bad;
}

static int
hold_process(void *arg)
{
	return hold_all(arg) != NULL;
}

static void
test_preemption(void)
{
	pthread_t t[8];
	pid_t pid[4];
	long i, bad = 0;
	void *ret;

	for (i = 0; i < 4; i++)
		pid[i] = spawn(hold_process, (void *)(i + 20));
	for (i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, hold_all, (void *)i);
	for (i = 0; i < 8; i++) {
		pthread_join(t[i], &ret);
		bad += (long)ret;
	}
	for (i = 0; i < 4; i++)
		bad += reap(pid[i]) != 0;
	is_int(bad, 0, "8 threads and 4 processes keep every register");
}

/* --- a handler that uses every register -------------------------------------------------- */
static atomic_int stop, handled;

static void
on_sig(int sig)
{
	unsigned mx = 0x9f80;

	(void)sig;
	hold_vectors(POISON, 1, 0);
	__asm__ volatile("ldmxcsr %0; fninit; fld1; fld1" : : "m"(mx));
	atomic_fetch_add(&handled, 1);
}

/*
 * A bounded number of signals, one at a time and each after another pause. A sender without
 * bound finds the signal handled before the receiver is back from sigreturn, and can keep it
 * in its handler for ever.
 */
static void *
pelt(void *arg)
{
	unsigned seed = 1;
	long i, n;

	for (i = 0; i < rounds * 5 && atomic_load(&stop) == 0; i++) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		while (atomic_load(&handled) <= i)
			sched_yield();
		seed = seed * 1103515245u + 12345;
		for (n = seed >> 16 & 0xfff; n > 0; n--)
			__asm__ volatile("pause");
	}
	return (void *)i;
}

static void
test_handler(void)
{
	struct sigaction sa = { .sa_handler = on_sig };
	pthread_t t, self = pthread_self();
	long i, bad = 0;
	void *sent;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, pelt, &self);
	for (i = 0; i < rounds || atomic_load(&handled) == 0; i++) {
		bad += !hold_vectors((uint64_t)i, 2000, 0);
		bad += !hold_controls((unsigned)i, 2000);
		bad += !hold_general((uint64_t)i, 2000);
	}
	atomic_store(&stop, 1);
	pthread_join(t, &sent);
	is_int(bad, 0, "handlers that overwrite every register leave none changed");
	is_int(atomic_load(&handled), (long)sent, "every signal is handled once");
}

/* --- nothing leaks ------------------------------------------------------------------------- */
static void
poison(void)
{
	static const unsigned mx = 0x7f80;

	hold_vectors(POISON, 1, 0);
	__asm__ volatile("fldpi; fldpi; fldpi; ldmxcsr %0" : : "m"(mx));
}

/* Of the new image: start values, and nothing of the old one in registers nobody has used. */
static int
role_clean(void)
{
	uint64_t b[32], *out = b;
	unsigned mx;
	unsigned short cw, sw;
	int i;

	__asm__ volatile(ALL16(SSE_STORE) : : "r"(NULL), "r"(out) : "memory");
	__asm__ volatile("stmxcsr %0; fnstcw %1; fnstsw %2" : "=m"(mx), "=m"(cw), "=m"(sw));
	if (mx != 0x1f80)
		return 1;
	if (cw != 0x37f)
		return 2;
	if (sw & 0x3800)
		return 3; /* the x87 stack is not empty */
	for (i = 12; i < 32; i++)
		if (b[i] != 0)
			return 4;
	return 0;
}

static void *
clean_thread(void *arg)
{
	unsigned mx;

	(void)arg;
	__asm__ volatile("stmxcsr %0" : "=m"(mx));
	return (void *)(long)(mx & 0x6000);
}

/* --- the reserved bytes of a frame's FPU state ------------------------------------------ */
#define ALT_SIZE    65536
#define FRAME_FPU   576 /* FXSAVE's area and XSAVE's header */
#define FRAME_MAGIC 0x46505853u

static unsigned char frame[FRAME_FPU];

static void
on_frame(int sig, siginfo_t *info, void *ctx)
{
	const ucontext_t *uc = ctx;

	(void)sig;
	(void)info;
	memcpy(frame, uc->uc_mcontext.fpregs, sizeof(frame));
}

static int
nonzero(const char *what, int from, int to)
{
	for (int i = from; i < to; i++)
		if (frame[i] != 0) {
			diag("why: byte %d, in %s, is %02x", i, what, frame[i]);
			return 1;
		}
	return 0;
}

static int
frame_is_dirty(void)
{
	uint32_t magic;
	int n = nonzero("the control words", 5, 6);

	for (int r = 0; r < 8; r++)
		n += nonzero("an x87 register", 32 + 16 * r + 10, 32 + 16 * r + 16);
	n += nonzero("the end of the legacy area", 416, 464);
	memcpy(&magic, frame + 464, sizeof(magic));
	if (magic == FRAME_MAGIC)
		n += nonzero("XSAVE's header", 520, 576);
	return n;
}

static int
leave(void *arg)
{
	(void)arg;
	return 0;
}

/* On a stack of zeros: a kernel that leaves those bytes alone passes, too. */
static void
test_reserved(void)
{
	struct sigaction sa = { .sa_sigaction = on_frame, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t ss = { .ss_sp = private_mem(ALT_SIZE), .ss_size = ALT_SIZE };
	char *none[] = { NULL }, text[64];
	struct stat st;
	int bad = 0;

	sigaction(SIGUSR2, &sa, NULL);
	sigaltstack(&ss, NULL);
	for (int i = 0; i < 200 && bad == 0; i++) {
		/* Calls that leave something behind on the kernel's stack. */
		stat("/bin", &st);
		readlink("/no/such/file", text, sizeof(text));
		execve("/no/such/file", none, none);
		if (i % 20 == 0)
			reap(spawn(leave, NULL));
		memset(ss.ss_sp, 0, ALT_SIZE);
		kill(getpid(), SIGUSR2);
		bad += frame_is_dirty();
	}
	is_int(bad, 0, "no old memory in the reserved bytes of a signal frame");
}

/* --- selectors ------------------------------------------------------------------- */

/* FS and GS, which C libraries need, are left alone. */
static unsigned
selectors(void)
{
	unsigned ds, es;

	__asm__ volatile("movl %%ds, %0; movl %%es, %1" : "=r"(ds), "=r"(es));
	return (ds & 0xffff) | es << 16;
}

static int
load_selectors(void *arg)
{
	unsigned ss;

	__asm__ volatile("movl %%ss, %0; movl %0, %%ds; movl %0, %%es" : "=&r"(ss));
	if (arg != NULL)
		execl(self_path(), self_path(), "role-selectors", (char *)NULL);
	return 0;
}

/* On one CPU, so that the parent is the next to have it. */
static void
test_selectors(void)
{
	int cpu;

	cpu_list(&cpu, 1);
	pin_cpu(cpu);
	is_exit(run_child(load_selectors, NULL), 0, "a program may load data selectors");
	is_int(selectors(), 0, "but no other process sees them");
	is_exit(run_child(load_selectors, &cpu), 0, "nor does a new image");
	unpin_cpu();
}

int
main(int argc, char **argv)
{
	long i, bad = 0;
	pid_t pid;

	if (argc > 1 && strcmp(argv[1], "role-clean") == 0)
		return role_clean();
	if (argc > 1 && strcmp(argv[1], "role-selectors") == 0)
		return selectors() != 0;
	have_avx = probe_avx();
	rounds = arg_long(argc, argv, 1, rounds);
	test_preemption();
	test_handler();
	test_reserved();
	poison();
	for (i = 0; i < 8; i++) {
		poison();
		pid = spawn_self("role-clean", NULL, NULL);
		bad += reap(pid) != 0;
	}
	is_int(bad, 0, "a new image starts with clean registers");
	poison();
	pid = fork();
	if (pid == 0)
		_exit((long)clean_thread(NULL) == 0x6000 ? 9 : 1);
	is_exit(reap(pid), 9, "fork copies the rounding mode");
	test_selectors();
	return tap_done();
}
