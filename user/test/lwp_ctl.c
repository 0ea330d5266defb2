/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * _lwp_ctl: what it tells, to whom it belongs, and its errors; docs/protocol.md 3.6.
 *
 * test: host=no
 * test: name=fp smp=2,4 append="fp=vfork-release:200,switch-before-clear-RUNNING:20,zombie-before-switch:50,exec-commit:50" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lwputil.h"
#include "tap.h"
#include "util.h"

#define BOTH     (LWPCTL_FEATURE_CURCPU | LWPCTL_FEATURE_PCTR)
#define CROWD    200
#define CROWDS   4
#define STACK(i) (stacks + (size_t)(i)*LWP_STACK)

static char *stacks;
static struct lwpctl *mine, *of[CROWD];
static lwpid_t lids[CROWD];
static atomic_int here, leave, wrong;
static sigjmp_buf fault;

static int
cpu_now(void)
{
	unsigned cpu = 0;

	raw3(SYS_getcpu, (long)&cpu, 0, 0);
	return (int)cpu;
}

static void
on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static void
test_calls(void)
{
	struct lwpctl *again = NULL;

	is_err(_lwp_ctl(4, &mine), ENODEV, "a feature that is not there: ENODEV");
	is_err(_lwp_ctl(-1, &mine), ENODEV, "all features");
	is_err(_lwp_ctl(BOTH, hide(8)), EFAULT, "a bad address");
	is_ok(_lwp_ctl(BOTH, &mine), "_lwp_ctl");
	is_ok(_lwp_ctl(0, &again), "again, with no feature");
	ok(again == mine, "which gives the same address");
	is_int((long)((uintptr_t)mine % 64), 0, "aligned to a cache line");
}

static void
test_cpu(void)
{
	int cpus[CPU_MAX], n = cpu_list(cpus, CPU_MAX), i, k, good = 0, before;

	for (k = 0; k < 20; k++)
		for (i = 0; i < n; i++) {
			pin_cpu(cpus[i]);
			good += mine->lc_curcpu == cpus[i];
		}
	unpin_cpu();
	is_int(good, 20 * n, "lc_curcpu is the CPU that we are pinned to");
	before = mine->lc_pctr;
	for (i = 0; i < 5; i++)
		sleep_ms(1);
	ok(mine->lc_pctr - before >= 5, "lc_pctr has counted five sleeps");
}

static void
test_rights(void)
{
	struct sigaction sa = { .sa_handler = on_fault };
	int caught;

	sigaction(SIGSEGV, &sa, NULL);
	caught = sigsetjmp(fault, 1);
	if (caught == 0)
		mine->lc_curcpu = 77;
	is_int(caught, SIGSEGV, "nobody writes there");
	signal(SIGSEGV, SIG_DFL);
	is_err(mprotect((void *)((uintptr_t)mine & ~4095ul), PAGE, PROT_READ | PROT_WRITE), EACCES,
	    "nor may he");
	is_int(mine->lc_curcpu, cpu_now(), "it is as it was");
}

/* ---- LWPs ---- */

static void
crowd_lwp(void *arg)
{
	int i = (int)(long)arg;

	if (_lwp_ctl(BOTH, &of[i]) != 0)
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&here, 1);
	while (atomic_load(&leave) == 0)
		_lwp_park(CLOCK_MONOTONIC, 0, NULL, 0, NULL, NULL);
	if (of[i]->lc_curcpu < 0)
		atomic_fetch_add(&wrong, 1);
}

static void
all_are(int value, const char *what)
{
	int i, n = 0;

	for (int tries = 0; tries < 20000 && n < CROWD; tries++) {
		for (n = 0, i = 0; i < CROWD; i++)
			n += of[i]->lc_curcpu == value;
		if (n < CROWD)
			sleep_ms(1);
	}
	is_int(n, CROWD, "%s", what);
}

static int
pages(void)
{
	int i, k, n = 0;

	for (i = 0; i < CROWD; i++) {
		for (k = 0; k < i; k++)
			if (((uintptr_t)of[i] ^ (uintptr_t)of[k]) < PAGE)
				break;
		n += k == i;
	}
	return n;
}

static void
start_crowd(void)
{
	atomic_store(&here, 0);
	atomic_store(&leave, 0);
	for (int i = 0; i < CROWD; i++)
		lids[i] = lwp_start(STACK(i), crowd_lwp, (void *)(long)i, 0);
	lwp_until(&here, CROWD);
}

static void
end_crowd(void)
{
	atomic_store(&leave, 1);
	for (int i = 0; i < CROWD; i++) {
		_lwp_unpark(lids[i], NULL);
		_lwp_wait(lids[i], NULL);
	}
}

static void
test_crowd(void)
{
	struct lwpctl *first[CROWD * CROWDS];
	int i, k, same = 0, n, known = 0;

	start_crowd();
	for (i = 0; i < CROWD; i++)
		for (k = 0; k < i; k++)
			same += of[i] == of[k] || of[i] == mine;
	is_int(same, 0, "each of %d LWPs has its own", CROWD);
	n = pages();
	is_int(n, (CROWD + 1 + 63) / 64, "in as few pages as hold them"); /* and us */
	all_are(LWPCTL_CPU_NONE, "who is parked is on no CPU");
	is_int(dbg_cmd("fsck"), 0, "fsck");
	end_crowd();
	all_are(LWPCTL_CPU_EXITED, "who has gone says so");
	sleep_ms(20);
	all_are(LWPCTL_CPU_EXITED, "and nothing changes that");
	for (int crowd = 0; crowd < CROWDS; crowd++) {
		start_crowd();
		for (i = 0; i < CROWD; i++) {
			for (k = 0; k < known; k++)
				if (((uintptr_t)of[i] ^ (uintptr_t)first[k]) < PAGE)
					break;
			if (k == known)
				first[known++] = of[i];
		}
		end_crowd();
	}
	is_int(known, n, "the crowds after it take the places of the first");
	is_int(atomic_load(&wrong), 0, "each was on a CPU while it ran");
}

static void
wanderer(void *arg)
{
	struct lwpctl *lc;
	unsigned long set;
	int n = ncpu();

	(void)arg;
	_lwp_ctl(BOTH, &lc);
	atomic_fetch_add(&here, 1);
	for (int i = 0; atomic_load(&leave) == 0; i++) {
		set = 1ul << i % n;
		raw3(SYS_sched_setaffinity, 0, sizeof(set), (long)&set);
		if (lc->lc_curcpu != i % n || cpu_now() != i % n)
			atomic_fetch_add(&wrong, 1);
		raw0(RAW_YIELD);
	}
}

/* LWPs that change their CPU and sleep while everything is checked. */
static void
test_move(void)
{
	int bad = 0, i;

	atomic_store(&here, 0);
	atomic_store(&leave, 0);
	for (i = 0; i < 4; i++)
		lids[i] = lwp_start(STACK(i), wanderer, NULL, 0);
	lwp_until(&here, 4);
	for (i = 0; i < 30; i++) {
		bad += dbg_cmd("fsck") != 0;
		sleep_ms(1);
	}
	atomic_store(&leave, 1);
	for (i = 0; i < 4; i++)
		_lwp_wait(lids[i], NULL);
	is_int(bad, 0, "fsck while LWPs move");
	is_int(atomic_load(&wrong), 0, "who see each CPU that they come to");
}

/* ---- processes ---- */

static int
look_there(void *arg)
{
	(void)arg;
	return mine->lc_curcpu == 12345;
}

static int
own_in_child(void *arg)
{
	struct lwpctl *lc = NULL;
	int before, i;

	(void)arg;
	if (_lwp_ctl(BOTH, &lc) != 0 || pin_cpu(cpu_now()) != 0)
		return 1;
	if (lc->lc_curcpu != cpu_now())
		return 2;
	before = lc->lc_pctr;
	for (i = 0; i < 10000 && lc->lc_pctr == before; i++)
		sleep_ms(2); /* one may be over before it has begun */
	return lc->lc_pctr > before ? 0 : 3;
}

static int
no_room(void *arg)
{
	struct rlimit none = { 0, 0 };
	struct lwpctl *lc = NULL;

	(void)arg;
	setrlimit(RLIMIT_AS, &none);
	if (_lwp_ctl(BOTH, &lc) != -1)
		return 1;
	return errno == ENOMEM ? 0 : 2;
}

static void
test_fork(void)
{
	is_killed(run_child(look_there, NULL), SIGSEGV, "a child of fork does not have the page");
	is_exit(run_child(own_in_child, NULL), 0, "it gets its own");
	is_exit(run_child(no_room, NULL), 0, "without room: ENOMEM");
	is_int(mine->lc_curcpu, cpu_now(), "ours is untouched");
}

/* The child has the parent's place, and the parent has it back afterwards. `how`: 0 exit, 1 exec. */
static void
test_vfork(int how)
{
	static char *const args[] = { "lwp_ctl", "fresh", NULL }, *const env[] = { NULL };
	volatile int cpu = -9, told = -8;
	struct lwpctl *volatile same = NULL;
	volatile int good = 0, i, n;
	int before = mine->lc_pctr, st = 0, cpus[CPU_MAX];
	pid_t pid;

	n = cpu_list(cpus, CPU_MAX);
	for (i = 0; i < 2 * n; i++) {
		pid = vfork();
		if (pid == 0) {
			struct lwpctl *lc;
			unsigned long set = 1ul << cpus[i % n];

			raw3(SYS_sched_setaffinity, 0, sizeof(set), (long)&set);
			told = mine->lc_curcpu;
			cpu = cpu_now();
			if (_lwp_ctl(BOTH, &lc) == 0)
				same = lc;
			if (how == 1)
				execve(self_path(), args, env);
			_exit(how == 1);
		}
		good += told == cpu && cpu == cpus[i % n];
		pin_cpu(cpu_now());
		good += mine->lc_curcpu == cpu_now();
		unpin_cpu();
		waitpid(pid, &st, 0);
		good += WIFEXITED(st) && WEXITSTATUS(st) == 0;
	}
	is_int(
	    good, 6 * n, how ? "vfork and exec: child, parent" : "vfork and exit: child, parent");
	ok(same == mine, "the child is told the same address");
	ok(mine->lc_pctr - before >= 2 * n, "lc_pctr has gone on");
}

static int
vfork_without(void *arg)
{
	volatile int error = 0;
	struct lwpctl *lc;
	pid_t pid;

	(void)arg;
	pid = vfork();
	if (pid == 0) {
		error = _lwp_ctl(BOTH, &lc) == -1 ? errno : -1;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return error == EBUSY ? 0 : 1;
}

static int
killed_lender(void *arg)
{
	atomic_int *word = arg;
	struct lwpctl *lc;

	if (_lwp_ctl(BOTH, &lc) != 0)
		return 1;
	if (vfork() == 0) {
		word_add(word, 1);
		for (int i = 0; i < 20; i++)
			sleep_ms(1);
		_exit(lc->lc_curcpu < 0);
	}
	return 0;
}

/* The parent dies in its wait: the child goes on in what is left. */
static void
test_killed_lender(void)
{
	atomic_int *word = shared_mem(PAGE);
	pid_t pid;
	int st;

	become_reaper();
	pid = spawn(killed_lender, word);
	word_wait(word, 1);
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "a vfork parent is killed");
	st = -1;
	waitpid(-1, &st, 0);
	is_exit(st, 0, "its child keeps the place");
	munmap(word, PAGE);
}

/* --- a chain of vforks whose middle is killed -------------------------------------- */

#define VFORK (0x100 /* VM */ | 0x4000 /* VFORK */ | SIGCHLD)

static struct {
	atomic_int ready, middle, gate, bad;
} * chain;

/* Am I told where I am? */
static void
look_around(const struct lwpctl *lc)
{
	unsigned long set;

	for (int i = 0; i < 200; i++) {
		set = 1ul << i % ncpu();
		raw3(SYS_sched_setaffinity, 0, sizeof(set), (long)&set);
		if (lc->lc_curcpu != i % ncpu())
			atomic_fetch_add(&chain->bad, 1);
		raw0(RAW_YIELD);
	}
}

static int
chain_last(void *arg)
{
	(void)arg;
	atomic_store(&chain->ready, 1);
	while (atomic_load(&chain->gate) == 0)
		raw0(RAW_YIELD);
	look_around(mine);
	return 0;
}

static int
chain_middle(void *arg)
{
	(void)arg;
	atomic_store(&chain->middle, (int)raw0(RAW_GETPID));
	thr_clone(VFORK, STACK(2), chain_last, NULL, NULL, NULL, 0);
	return 1;
}

static int
chain_first(void *arg)
{
	struct lwpctl *lc;

	(void)arg;
	if (_lwp_ctl(BOTH, &mine) != 0 ||
	    thr_clone(VFORK, STACK(1), chain_middle, NULL, NULL, NULL, 0) < 0)
		return 1;
	if (_lwp_ctl(BOTH, &lc) != 0 || lc == mine)
		return 2;
	atomic_store(&chain->gate, 1);
	look_around(lc);
	return 0;
}

/* The last one has the first one's place when the middle dies: neither is told of the other's CPU. */
static void
test_killed_borrower(void)
{
	pid_t pid;
	int st = -1;

	chain = shared_mem(PAGE);
	pid = spawn(chain_first, NULL);
	lwp_until(&chain->ready, 1);
	kill(atomic_load(&chain->middle), SIGKILL);
	is_exit(reap(pid), 0, "who lent to a killed borrower gets another place");
	waitpid(-1, NULL, 0);
	waitpid(-1, &st, 0);
	is_int(atomic_load(&chain->bad), 0, "and the last borrower keeps the old one");
	is_int(dbg_cmd("fsck"), 0, "fsck");
	munmap(chain, PAGE);
}

static int
unmapper(void *arg)
{
	struct lwpctl *lc, *again;
	lwpid_t lid;

	(void)arg;
	_lwp_ctl(BOTH, &lc);
	if (munmap((void *)((uintptr_t)lc & ~4095ul), PAGE) != 0)
		return 1;
	sleep_ms(2);
	atomic_store(&leave, 1);
	lid = lwp_start(STACK(0), crowd_lwp, NULL, 0); /* looks, and dies of it */
	_lwp_ctl(BOTH, &again);
	_lwp_wait(lid, NULL);
	return again == lc ? 0 : 2;
}

static int
forker(void *arg)
{
	struct lwpctl *lc;
	int i, bad = 0;

	(void)arg;
	atomic_store(&leave, 0);
	for (i = 0; i < 4; i++)
		lids[i] = lwp_start(STACK(i), crowd_lwp, (void *)(long)i, 0);
	bad += _lwp_ctl(BOTH, &lc) != 0;
	for (i = 0; i < 3; i++)
		bad += run_child(own_in_child, NULL) != 0;
	return bad; /* with four that are parked */
}

static void
test_ends(void)
{
	int i, bad = 0;

	is_killed(run_child(unmapper, NULL), SIGSEGV, "who unmaps the page harms himself");
	is_int(dbg_cmd("ledger-begin"), 0, "take the ledger");
	for (i = 0; i < 10; i++)
		bad += run_child(forker, NULL) != 0;
	is_int(bad, 0, "processes that end with threads that have places");
	is_int(dbg_cmd("ledger-end"), 0, "nothing was lost");
}

int
main(int argc, char **argv)
{
	struct lwpctl *lc = NULL;

	/* It has run once, and again if it was preempted. */
	if (argc > 1 && strcmp(argv[1], "fresh") == 0)
		return _lwp_ctl(BOTH, &lc) == 0 && lc->lc_pctr >= 1 ? 0 : 1;
	stacks = private_mem((size_t)CROWD * LWP_STACK);
	test_calls();
	test_cpu();
	test_rights();
	test_crowd();
	test_move();
	test_fork();
	test_vfork(0);
	test_vfork(1);
	is_exit(run_child(vfork_without, NULL), 0, "a vfork child of who has none: EBUSY");
	test_killed_lender();
	test_killed_borrower();
	test_ends();
	return tap_done();
}
