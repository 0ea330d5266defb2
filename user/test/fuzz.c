/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random and half-valid system calls from many threads and processes: a round forks some processes with
 * some threads each, which share memory, descriptors and ids, and which call what the seed says. Whatever
 * they ask for, nothing but they themselves may die. The same seed gives each thread the same calls.
 *
 * Arguments: rounds, seed, calls of one thread. Only as PID 1 of our own kernel: it kills whatever it meets.
 *
 * test: host=no timeout=120
 * test: name=fp smp=2,4 timeout=180 host=no append="fp=exit-after-DEAD:100,switch-before-clear-RUNNING:50,sleep-queued-not-switched:50,lend-restart:30,exec-commit:100" args="4"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define PROCS   4
#define THREADS 3
#define CALLS   400
#define WORKERS 40 /* processes of a round */
#define STK     16384
#define STALL   20 /* ms without a call: all who are left sleep */

#define NUDGE 63 /* the signal that ends sleeps */

#define ARENA_PAGES 16
#define NIDS        64

/* What all processes of a round see; they may well write over it. */
struct board {
	atomic_int b_ids[NIDS];  /* ids seen lately */
	atomic_uint b_futex[16]; /* words to sleep at */
};

/* What no call is given the address of. */
struct count {
	atomic_llong c_calls; /* of all rounds */
};

static struct board *board;
static struct count *count;
static char *arena; /* private pages, every second one changes its protection at times */
static char *pool;  /* shared pages */
static int brave;   /* the callers are another user than init: they may send any signal */

/*
 * Kinds of arguments, a letter each:
 *   i small integer       n any integer            f descriptor      p address to read or write
 *   l length              I id of a process/LWP    s signal          t time limit: address
 *   w futex word          g bits, few of them set  S address of a path
 *   a address in the arena, page-aligned           z 0
 */
struct call {
	short c_number;
	short c_weight;
	const char *c_args;
};

static const struct call calls[] = {
	{ SYS_read, 6, "fpl" },
	{ SYS_write, 6, "fpl" },
	{ SYS_open, 4, "Sgi" },
	{ SYS_close, 6, "f" },
	{ SYS_stat, 2, "Sp" },
	{ SYS_fstat, 3, "fp" },
	{ SYS_lstat, 1, "Sp" },
	{ SYS_poll, 1, "pii" },
	{ SYS_select, 1, "ipppp" },
	{ SYS_lseek, 3, "fni" },
	{ SYS_mmap, 8, "alggfz" },
	{ SYS_mprotect, 8, "alg" },
	{ SYS_munmap, 4, "al" },
	{ SYS_brk, 2, "p" },
	{ SYS_rt_sigaction, 4, "sppi" },
	{ SYS_rt_sigprocmask, 4, "ippi" },
	{ SYS_ioctl, 3, "fnp" },
	{ SYS_pread64, 2, "fpln" },
	{ SYS_pwrite64, 1, "fpln" },
	{ SYS_readv, 3, "fpi" },
	{ SYS_writev, 3, "fpi" },
	{ SYS_access, 1, "Si" },
	{ SYS_pipe, 4, "p" },
	{ SYS_sched_yield, 4, "" },
	{ SYS_mremap, 4, "allga" },
	{ SYS_madvise, 4, "ali" },
	{ SYS_mincore, 2, "alp" },
	{ SYS_dup, 3, "f" },
	{ SYS_dup2, 3, "fi" },
	{ SYS_nanosleep, 2, "tp" },
	{ SYS_getitimer, 1, "ip" },
	{ SYS_alarm, 1, "i" },
	{ SYS_setitimer, 2, "ipp" },
	{ SYS_getpid, 1, "" },
	{ SYS_clone, 6, "gpppp" },
	{ SYS_fork, 3, "" },
	{ SYS_vfork, 1, "" },
	{ SYS_execve, 2, "Spp" },
	{ SYS_exit, 1, "i" },
	{ SYS_wait4, 6, "Ipgp" },
	{ SYS_kill, 3, "Is" },
	{ SYS_uname, 1, "p" },
	{ SYS_fcntl, 4, "fin" },
	{ SYS_getcwd, 1, "pl" },
	{ SYS_chdir, 1, "S" },
	{ SYS_readlink, 1, "Spl" },
	{ SYS_umask, 1, "i" },
	{ SYS_gettimeofday, 1, "pp" },
	{ SYS_getrlimit, 1, "ip" },
	{ SYS_setrlimit, 1, "ip" },
	{ SYS_getrusage, 2, "np" },
	{ SYS_sysinfo, 1, "p" },
	{ SYS_times, 1, "p" },
	{ SYS_getuid, 1, "" },
	{ SYS_setpgid, 4, "II" },
	{ SYS_getppid, 1, "" },
	{ SYS_setsid, 2, "" },
	{ SYS_getpgid, 2, "I" },
	{ SYS_getsid, 2, "I" },
	{ SYS_rt_sigpending, 2, "pl" },
	{ SYS_rt_sigtimedwait, 2, "pptl" },
	{ SYS_rt_sigqueueinfo, 2, "Isp" },
	{ SYS_rt_sigsuspend, 1, "pi" },
	{ SYS_sigaltstack, 3, "pp" },
	{ SYS_sched_setparam, 1, "Ip" },
	{ SYS_sched_getparam, 1, "Ip" },
	{ SYS_sched_setscheduler, 1, "Iip" },
	{ SYS_sched_getscheduler, 1, "I" },
	{ SYS_getpriority, 1, "iI" },
	{ SYS_setpriority, 1, "iIn" },
	{ SYS_prctl, 1, "nnnnn" },
	{ SYS_arch_prctl, 2, "np" },
	{ SYS_gettid, 1, "" },
	{ SYS_tkill, 3, "Is" },
	{ SYS_time, 1, "p" },
	{ SYS_futex, 16, "wgitwn" },
	{ SYS_sched_setaffinity, 3, "Ilp" },
	{ SYS_sched_getaffinity, 3, "Ilp" },
	{ SYS_getdents64, 1, "fpl" },
	{ SYS_set_tid_address, 2, "p" },
	{ SYS_timer_create, 4, "ipp" },
	{ SYS_timer_settime, 4, "iipp" },
	{ SYS_timer_gettime, 2, "ip" },
	{ SYS_timer_getoverrun, 1, "i" },
	{ SYS_timer_delete, 2, "i" },
	{ SYS_clock_settime, 1, "ip" },
	{ SYS_clock_gettime, 2, "np" },
	{ SYS_clock_getres, 1, "np" },
	{ SYS_clock_nanosleep, 2, "iitp" },
	{ SYS_exit_group, 1, "i" },
	{ SYS_tgkill, 4, "IIs" },
	{ SYS_waitid, 4, "iIpgp" },
	{ SYS_openat, 2, "fSgi" },
	{ SYS_newfstatat, 2, "fSpg" },
	{ SYS_ppoll, 1, "pitpl" },
	{ SYS_set_robust_list, 3, "pl" },
	{ SYS_get_robust_list, 1, "Ipp" },
	{ SYS_dup3, 1, "fig" },
	{ SYS_pipe2, 2, "pg" },
	{ SYS_rt_tgsigqueueinfo, 2, "IIsp" },
	{ SYS_prlimit64, 2, "Iipp" },
	{ SYS_getcpu, 1, "ppp" },
	{ SYS_getrandom, 2, "plg" },
	{ SYS_clone3, 3, "pl" },
	{ 1024, 6, "pgp" }, /* _lwp_create and on, in the order of the kernel's table */
	{ 1025, 1, "" },
	{ 1026, 1, "" },
	{ 1027, 3, "Ip" },
	{ 1028, 2, "I" },
	{ 1029, 3, "I" },
	{ 1030, 6, "I" },
	{ 1031, 3, "I" },
	{ 1032, 2, "Is" },
	{ 1033, 3, "igtIpp" },
	{ 1034, 4, "Ip" },
	{ 1035, 2, "plp" },
	{ 1036, 1, "p" },
	{ 1037, 1, "" },
	{ 1038, 2, "Ip" },
	{ 1039, 2, "Ipl" },
	{ 1040, 2, "ip" },
};

static const char *const paths[] = { "/", "/bin/true", "/bin/false", "/dev/null", "/testdata/text",
	"/nothing", "", ".", "..", "/dev/zero", "/bin", "/dev/tty" };

static const uintptr_t wild[] = { 0, 1, 0x1000, 0x400000, 0x7ffffffff000, 0x7fffffffffff,
	0x800000000000, 0x8000000000000000, 0xffff7fffffffffff, 0xffff800000000000,
	0xffff888000000000, 0xffffffff80000000, 0xffffffff80100000, 0xfffffffffffff000,
	0xffffffffffffffff };

static uintptr_t
address(struct rng *r, int aligned)
{
	uint32_t kind = rng_below(r, 16);
	uintptr_t page = (uintptr_t)((kind & 1) != 0 ? pool : arena);

	page += PAGE * (uintptr_t)rng_below(r, ARENA_PAGES);
	if (aligned)
		return kind == 0 ? wild[rng_below(r, NELEM(wild))] : page;
	if (kind < 8) /* a sound place for a structure */
		return page + 64 * (uintptr_t)rng_below(r, 32);
	if (kind < 13) /* near the end of a page */
		return page + PAGE - rng_below(r, 64);
	if (kind == 13)
		return (uintptr_t)board + rng_below(r, sizeof(*board));
	if (kind == 14)
		return wild[rng_below(r, NELEM(wild))];
	return ((uint64_t)rng_next(r) << 32 | rng_next(r)) >> rng_below(r, 48);
}

/* Bytes that pass for a structure now and then: small words, ids, addresses, times. */
static void
fill(struct rng *r, uintptr_t at)
{
	uint64_t words[16];
	unsigned i;

	for (i = 0; i < NELEM(words); i++) {
		switch (rng_below(r, 6)) {
		case 0:
			words[i] = 0;
			break;
		case 1:
			words[i] = rng_below(r, 64);
			break;
		case 2:
			words[i] = address(r, 0);
			break;
		case 3:
			words[i] = (uint64_t)atomic_load(&board->b_ids[rng_below(r, NIDS)]);
			break;
		case 4:
			words[i] = (uint64_t)1 << rng_below(r, 64);
			break;
		default:
			words[i] = (uint64_t)rng_next(r) << 32 | rng_next(r);
		}
	}
	if (at % PAGE <= PAGE - sizeof(words) && at >= (uintptr_t)pool &&
	    at < (uintptr_t)pool + ARENA_PAGES * PAGE)
		memcpy((void *)at, words, sizeof(words));
}

static long
number(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return -1;
	case 1:
		return (long)rng_below(r, 5000);
	case 2:
		return (long)1 << rng_below(r, 64);
	case 3:
		return ((long)1 << rng_below(r, 64)) - 1;
	case 4:
		return -(long)rng_below(r, 5000);
	default:
		return (long)((uint64_t)rng_next(r) << 32 | rng_next(r));
	}
}

static long
id(struct rng *r)
{
	long one = atomic_load(&board->b_ids[rng_below(r, NIDS)]);

	switch (rng_below(r, 12)) {
	case 0:
		return 0;
	case 1:
		return rng_below(r, 4) == 0 ? -1 : one;
	case 2:
		return -one;
	case 3:
		return one + (long)rng_below(r, 5) - 2;
	case 4:
		return number(r);
	default:
		return one;
	}
}

static long
signal_number(struct rng *r)
{
	/* Those that kill or stop everybody would leave nobody to call. */
	static const char gentle[] = { 0, SIGCHLD, SIGURG, SIGWINCH, SIGCONT, 34, 35, 64 };

	long any = (long)rng_below(r, 70);

	if (rng_below(r, 8) == 0 && (brave || (any != SIGKILL && any != SIGSTOP)))
		return any;
	return gentle[rng_below(r, NELEM(gentle))];
}

/* A time limit: nearly always a short one, in shared memory that a thread keeps for itself. */
static uintptr_t
limit(struct rng *r, struct timespec *own)
{
	if (rng_below(r, 8) == 0)
		return address(r, 0);
	own->tv_sec = 0;
	own->tv_nsec = (long)rng_below(r, 200000);
	return (uintptr_t)own;
}

static long
argument(struct rng *r, char kind, struct timespec *own)
{
	uintptr_t at;

	switch (kind) {
	case 'z':
		return 0;
	case 'i':
		return rng_below(r, 8) == 0 ? number(r) : (long)rng_below(r, 9);
	case 'f':
		return rng_below(r, 8) == 0 ? number(r) : (long)rng_below(r, 24);
	case 'p':
		at = address(r, 0);
		if (rng_below(r, 2) == 0)
			fill(r, at);
		return (long)at;
	case 'a':
		return (long)address(r, 1);
	case 'l':
		return rng_below(r, 8) == 0 ? number(r)
		    : rng_below(r, 2) == 0  ? PAGE * (long)rng_below(r, 4)
					    : (long)rng_below(r, 512);
	case 'I':
		return id(r);
	case 's':
		return signal_number(r);
	case 't':
		return (long)limit(r, own);
	case 'w':
		return rng_below(r, 8) == 0 ? (long)address(r, 0)
					    : (long)&board->b_futex[rng_below(r, 16)];
	case 'g':
		return rng_below(r, 4) == 0 ? number(r)
					    : (long)(1u << rng_below(r, 24) | rng_below(r, 64));
	case 'S':
		return rng_below(r, 4) == 0 ? (long)address(r, 0)
					    : (long)paths[rng_below(r, NELEM(paths))];
	default:
		return number(r);
	}
}

static const struct call *
choose(struct rng *r)
{
	static unsigned total;
	unsigned i, at, sum = 0;

	for (i = 0; total == 0 && i < NELEM(calls); i++)
		sum += (unsigned)calls[i].c_weight;
	if (total == 0)
		total = sum;
	at = rng_below(r, total);
	for (i = 0; at >= (unsigned)calls[i].c_weight; i++)
		at -= (unsigned)calls[i].c_weight;
	return &calls[i];
}

/* A handler that returns by a frame that it has spoilt, as the seed of the moment has it. */
static void
spoil(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	struct rng r;
	uint64_t *words = (uint64_t *)u;

	(void)info;
	rng_seed(&r, (uint64_t)(uintptr_t)&r ^ (uint64_t)sig);
	switch (rng_below(&r, 16)) {
	case 0:
		words[rng_below(&r, sizeof(*u) / 8)] = (uint64_t)number(&r);
		break;
	case 1:
		u->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 1 << rng_below(&r, 22);
		break;
	case 2:
		u->uc_mcontext.gregs[REG_RIP] = (long)wild[rng_below(&r, NELEM(wild))];
		break;
	case 3:
		u->uc_mcontext.fpregs = (fpregset_t)hide(address(&r, 0));
		break;
	case 4:
		u->uc_mcontext.gregs[REG_CSGSFS] = number(&r);
		break;
	}
}

/* A child of clone or fork needs a place to go to; else every thread would end at its first one. */
static int
lost(void *arg)
{
	(void)arg;
	raw0(RAW_YIELD);
	return 0;
}

static void
one_call(struct rng *r, struct timespec *own)
{
	const struct call *c = choose(r);
	long a[6] = { 0 }, ret;
	int i;

	for (i = 0; c->c_args[i] != '\0'; i++)
		a[i] = argument(r, c->c_args[i], own);
	if (!brave && c->c_number == SYS_prlimit64) /* init's limits are not for them */
		a[0] = 0;
	if (c->c_number == SYS_vfork) /* the child would go on on our stack */
		return;
	/* Who ends makes no more calls. */
	if ((c->c_number == SYS_exit || c->c_number == SYS_exit_group ||
		c->c_number == SYS_execve || c->c_number == 1025) &&
	    rng_below(r, 16) != 0)
		return;
	if (c->c_number == SYS_clone || c->c_number == SYS_fork) {
		if (c->c_number == SYS_fork)
			a[0] = SIGCHLD;
		/* On a stack of its own, for flags as they come. */
		ret = thr_clone((unsigned long)a[0] & ~0x00004000ul /* VFORK */,
		    pool + PAGE * (1 + (uintptr_t)rng_below(r, ARENA_PAGES)), lost, NULL,
		    (void *)a[2], (void *)a[3], (unsigned long)a[4]);
	} else if (c->c_number == SYS_rt_sigaction && rng_below(r, 2) == 0) {
		struct {
			void (*handler)(int, siginfo_t *, void *);
			unsigned long flags;
			void *restorer;
			unsigned long mask;
		} act = { spoil, SA_SIGINFO | 0x04000000, NULL, 0 };

		ret = raw6(SYS_rt_sigaction, a[0], (long)&act, 0, 8, 0, 0);
	} else {
		ret = raw6(rng_below(r, 256) == 0 ? (long)rng_below(r, 1100) : c->c_number, a[0],
		    a[1], a[2], a[3], a[4], a[5]);
	}
	if (ret > 0 && ret < 70000 &&
	    strchr("If", c->c_args[0] == '\0' ? 'x' : c->c_args[0]) == NULL)
		atomic_store(&board->b_ids[rng_below(r, NIDS)], (int)ret);
}

struct worker {
	uint64_t w_seed;
	int w_calls;
	atomic_int w_tid;
};

static int
work(void *arg)
{
	struct worker *w = arg;
	struct timespec own;
	struct rng r;
	int i;

	rng_seed(&r, w->w_seed);
	atomic_store(&board->b_ids[rng_below(&r, NIDS)], (int)raw0(RAW_GETTID));
	for (i = 0; i < w->w_calls; i++) {
		one_call(&r, &own);
		atomic_fetch_add(&count->c_calls, 1);
	}
	return 0;
}

struct job {
	uint64_t j_seed;
	int j_calls;
};

static int
process(void *arg)
{
	static struct worker workers[THREADS];
	struct job *job = arg;
	char *stacks = private_mem(THREADS * STK);
	struct sigaction act = { 0 };
	uint64_t none = 0;
	int fds[2], i;

	brave = setgid(1000) == 0 && setuid(1000) == 0 && kill(1, 0) != 0;
	raw6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0);
	for (i = 0; i < 3; i++)
		close(i);
	for (i = 0; i < 3; i++)
		open("/testdata/text", O_RDONLY);
	pipe(fds);
	act.sa_sigaction = spoil;
	act.sa_flags = SA_SIGINFO;
	for (i = 1; i <= 64; i++)
		if (i != SIGSEGV && i != SIGBUS && i != SIGILL && i != SIGTRAP && i != SIGFPE)
			sigaction(i, &act, NULL);
	for (i = 0; i < THREADS; i++) {
		workers[i].w_seed = job->j_seed * 31 + (uint64_t)i;
		workers[i].w_calls = job->j_calls;
	}
	for (i = 1; i < THREADS; i++)
		thr_start(stacks + (i + 1) * STK, work, &workers[i], &workers[i].w_tid);
	work(&workers[0]);
	for (i = 1; i < THREADS; i++)
		thr_join(&workers[i].w_tid);
	return 0;
}

/* As many workers as one round has, PROCS at a time. What is left in the end sleeps for good. */
static void
round_of(struct job *job, int total, int ends[128])
{
	struct timespec stall = { 0, STALL * 1000000L };
	uint64_t child = 1ull << (SIGCHLD - 1);
	int alive = 0, made = 0, nudged = 0, status;
	long long before = 0;
	pid_t pid, workers[PROCS] = { 0 };
	int i;

	while (made < total || (alive > 0 && nudged < 3)) {
		for (i = 0; i < PROCS && made < total; i++) {
			if (workers[i] != 0)
				continue;
			workers[i] = spawn(process, job);
			if (workers[i] == -1)
				bail_out("fork of worker %d: %s", made, strerror(errno));
			board->b_ids[i] = workers[i];
			job->j_seed++;
			made++;
			alive++;
		}
		before = atomic_load(&count->c_calls);
		if (raw6(SYS_rt_sigtimedwait, (long)&child, 0, (long)&stall, 8, 0, 0) != -EAGAIN ||
		    before != atomic_load(&count->c_calls))
			nudged = 0;
		else if (nudged++ < 3)
			kill(-1, NUDGE); /* a sleep that a signal ends goes on from there */
		else
			kill(-1, SIGKILL);
		while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
			ends[WIFSIGNALED(status) ? WTERMSIG(status) : 0]++;
			for (i = 0; i < PROCS; i++)
				if (workers[i] == pid) {
					workers[i] = 0;
					alive--;
				}
		}
	}
	kill(-1, SIGKILL);
	while ((pid = waitpid(-1, &status, __WALL)) > 0)
		ends[WIFSIGNALED(status) ? WTERMSIG(status) : 0]++;
}

int
main(int argc, char **argv)
{
	int rounds = (int)arg_long(argc, argv, 1, 6), ncalls = (int)arg_long(argc, argv, 3, CALLS);
	uint64_t seed = rng_arg(argc, argv);
	int round, i, broken = 0, ends[128] = { 0 };
	struct job job;
	uint64_t all = ~0ull; /* musl's call would leave its own three out */

	if (getpid() != 1 || dbg_cmd("fsck") != 0)
		bail_out("only for init of our own kernel: it kills what it meets");
	raw6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8, 0, 0);
	board = shared_mem(sizeof(*board));
	/* Between pages that nobody can write: calls with a large length run on. */
	count = (struct count *)((char *)shared_mem(3 * PAGE) + PAGE);
	mprotect((char *)count - PAGE, PAGE, PROT_NONE);
	mprotect((char *)count + PAGE, PAGE, PROT_NONE);
	pool = shared_mem(ARENA_PAGES * PAGE);
	arena = private_mem(ARENA_PAGES * PAGE);
	job.j_seed = seed * 1000003;
	job.j_calls = ncalls;
	for (round = 0; round < rounds; round++) {
		memset(board, 0, sizeof(*board));
		round_of(&job, WORKERS, ends);
		if (dbg_cmd("fsck") != 0)
			broken++;
	}
	for (i = 0; i < 128; i++)
		if (ends[i] != 0)
			diag("%4d: %s", ends[i], i == 0 ? "exited" : status_text(i));
	diag("%lld calls in %d rounds", (long long)atomic_load(&count->c_calls), rounds);
	ok(broken == 0, "the kernel is whole after every round");
	ok(1, "and all who called are gone");
	return tap_done();
}
