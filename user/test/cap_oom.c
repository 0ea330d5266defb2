/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of memory, in a small machine.  Touching memory without end gives
 * ENOMEM or SIGKILL for that process alone; fork at the end of memory fails
 * with ENOMEM or EAGAIN, three hundred times, and leaves nothing behind (B1).
 * Regions and page tables without end leave the kernel its reserve. Who faults when there is none left is not killed if another process
 * is larger. The machine goes on after each.
 *
 * test: timeout=120 mem=64 smp=1,4 host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define MAX_KIDS  4000
#define STK       16384
#define END_NOMEM 48

static struct {
	atomic_long r_kids, r_failed, r_odd, r_tries;
	atomic_int r_tid;
	pid_t r_pid[MAX_KIDS];
} * rep;

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* --- touch without end ----------------------------------------------------------- */
static int
touch_all(void *arg)
{
	size_t size = (size_t)(long)arg, i;
	char *p;

	for (;;) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return errno == ENOMEM ? END_NOMEM : 1;
		for (i = 0; i < size; i += PAGE)
			p[i] = 1;
	}
}

static void
test_touch(long n)
{
	static const long sizes[] = { 64 * PAGE, 1 << 20, 16 << 20, PAGE };
	long i, good = 0;
	int st;

	for (i = 0; i < n; i++) {
		st = run_child(touch_all, (void *)sizes[i % 4]);
		if ((WIFEXITED(st) && WEXITSTATUS(st) == END_NOMEM) ||
		    (WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL))
			good++;
		else
			diag("why: round %ld: %s", i, status_text(st));
	}
	is_int(good, n, "a process that takes all memory gets ENOMEM or is killed");
	is_exit(run_child(nothing, NULL), 0, "another process runs after it");
}

/* --- fork without end -------------------------------------------------------------- */
/*
 * The child does not touch memory, nor does the parent between two forks but
 * for shared pages: neither needs a page that is no longer there.
 */
static inline long
fork_parked(void)
{
	long ret;

	__asm__ volatile("mov	$57, %%eax\n\t"
			 "syscall\n\t"
			 "test	%%rax, %%rax\n\t"
			 "jnz	2f\n"
			 "1:	mov	$34, %%eax\n\t"
			 "syscall\n\t"
			 "jmp	1b\n"
			 "2:"
			 : "=a"(ret)
			 :
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

static int
fork_all(void *arg)
{
	long pid, i = 0;

	(void)arg;
	while (i < MAX_KIDS && (pid = fork_parked()) > 0)
		rep->r_pid[i++] = (pid_t)pid;
	rep->r_kids = i;
	for (i = 0; i < rep->r_tries; i++) {
		pid = fork_parked();
		if (pid == -ENOMEM || pid == -EAGAIN)
			rep->r_failed++;
		else if (pid > 0 && rep->r_kids < MAX_KIDS)
			rep->r_pid[rep->r_kids++] = (pid_t)pid;
		else
			rep->r_odd++;
	}
	for (i = 0; i < rep->r_kids; i++)
		raw3(SYS_kill, rep->r_pid[i], SIGKILL, 0);
	for (i = 0; i < rep->r_kids; i++)
		if (raw6(SYS_wait4, rep->r_pid[i], 0, 0, 0, 0, 0) != rep->r_pid[i])
			rep->r_odd++;
	return 0;
}

/* The forks are made by a thread whose stack is shared memory. */
static int
forker(void *arg)
{
	char *stk = shared_mem(STK);

	(void)arg;
	if (thr_start(stk + STK, fork_all, NULL, &rep->r_tid) < 0)
		return 1;
	thr_join(&rep->r_tid);
	return 49;
}

static void
test_fork(long tries)
{
	rep = shared_mem(sizeof(*rep));
	rep->r_tries = tries;
	is_exit(run_child(forker, NULL), 49, "a process forks until there is no memory");
	diag("%ld children, %ld forks failed", atomic_load(&rep->r_kids),
	    atomic_load(&rep->r_failed));
	ok(rep->r_kids > 10, "it had some children before");
	ok(rep->r_failed >= tries / 2,
	    "B1: then fork fails with ENOMEM or EAGAIN, time after time");
	is_int(rep->r_odd, 0, "and every child is collected");
	is_exit(run_child(nothing, NULL), 0, "another process can fork after it");
	munmap(rep, sizeof(*rep));
}

/* --- the kernel's reserve ---------------------------------------------------------- */
#define HOGS     12
#define FAR      (2ul << 20) /* a page table each */
#define HOG_ROOM (1ul << 32)

static long
free_permille(void)
{
	struct sysinfo si;

	sysinfo(&si);
	return (long)(si.freeram * 1000 / si.totalram);
}

static char *
room(int prot)
{
	return mmap(NULL, HOG_ROOM, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static atomic_int *hogs_done, *least_free;

/* Takes regions until it gets no more, and looks at what is left. */
static int
hog(void *arg)
{
	char *p = room(PROT_NONE);
	int now = (int)free_permille(); /* all that is needed below is in memory after this */

	(void)arg;
	word_add(hogs_done, 0);
	atomic_store(least_free, *least_free);
	for (size_t i = 0; p != MAP_FAILED && i < 65000; i++)
		if (mprotect(p + 2 * PAGE * i, PAGE, PROT_READ) != 0)
			break;
	now = (int)free_permille();
	if (now < atomic_load(least_free))
		atomic_store(least_free, now);
	word_add(hogs_done, 1);
	for (;;)
		pause();
	return 0;
}

/* Waits until the hog has all it gets: 1; or until it was killed for want of memory: 0. */
static int
hog_rests(pid_t pid, int done)
{
	long long end = now_ns() + 20000000000LL;
	int st;

	while (now_ns() < end) {
		if (word_wait_ms(hogs_done, done, 5))
			return 1;
		if (waitpid(pid, &st, WNOHANG) == pid)
			return 0;
	}
	return 1;
}

static void
test_reserve(void)
{
	pid_t pid[HOGS];
	int n = 0, killed = 0;

	hogs_done = shared_mem(PAGE);
	least_free = hogs_done + 1;
	*least_free = 1000;
	while (n + killed < HOGS && (pid[n] = spawn(hog, NULL)) > 0) {
		if (hog_rests(pid[n], n + 1))
			n++;
		else
			killed++;
	}
	diag("%d processes, %d killed, at least %d permille free", n, killed, *least_free);
	ok(*least_free < 100 && *least_free >= 5,
	    "regions without end leave the kernel its reserve");
	for (int i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < n; i++)
		reap(pid[i]);
	munmap(hogs_done, PAGE);
}

/* One page of a table each; then the tables are what is touched. */
static int
take_tables(void *arg)
{
	char *p;

	(void)arg;
	while ((p = room(PROT_READ | PROT_WRITE)) != MAP_FAILED)
		for (size_t at = 0; at < HOG_ROOM; at += FAR)
			p[at] = 1;
	return END_NOMEM;
}

/* --- who is killed ----------------------------------------------------------------- */
#define SMALL (8l << 20)

/* Takes all memory but a rest, and holds it. Free pages kept by CPUs are no use to others. */
static int
whale(void *arg)
{
	char *p = room(PROT_READ | PROT_WRITE);
	long rest = 25 + 10 * ncpu();

	(void)arg;
	for (size_t at = 0; free_permille() > rest; at += PAGE)
		p[at] = 1;
	word_add(hogs_done, 1);
	for (;;)
		pause();
	return 0;
}

/* Touches more than is left. */
static int
minnow(void *arg)
{
	char *p = mmap(NULL, SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (p == MAP_FAILED)
		return END_NOMEM;
	for (long i = 0; i < SMALL; i += PAGE)
		p[i] = 1;
	munmap(p, SMALL);
	return 0;
}

static void
test_victim(bool by_init)
{
	pid_t pid;
	int st;

	hogs_done = shared_mem(sizeof(*hogs_done));
	pid = spawn(whale, NULL);
	ok(word_wait_ms(hogs_done, 1, 20000), "a large process holds almost all memory");
	st = by_init ? minnow(NULL) << 8 : run_child(minnow, NULL);
	is_exit(st, 0, "%s that faults without memory goes on", by_init ? "init" : "a process");
	if (st != 0)
		kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "the largest process is killed in its place");
	munmap(hogs_done, sizeof(*hogs_done));
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 120);

	become_reaper();
	run_child(nothing, NULL); /* fill the kernel's caches */
	test_fork(1);
	is_int(dbg_cmd("ledger-begin"), 0, "take the ledger");
	test_touch(4);
	test_fork(n);
	test_reserve();
	is_killed(run_child(take_tables, NULL), SIGKILL, "page tables without end are the end");
	ok(free_permille() > 100, "and of nobody else");
	test_victim(false);
	test_victim(true);
	is_int(dbg_cmd("ledger-end"), 0, "B1: nothing was lost");
	return tap_done();
}
