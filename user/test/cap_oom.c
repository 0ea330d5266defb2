/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of memory, in a small machine.  Touching memory without end gives
 * ENOMEM or SIGKILL for that process alone; fork at the end of memory fails
 * with ENOMEM or EAGAIN, three hundred times, and leaves nothing behind (B1).
 * The machine goes on after each.
 *
 * test: timeout=120 mem=64 smp=1,4 host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

int
main(int argc, char **argv)
{
	long n = arg_long(argc, argv, 1, 300);

	become_reaper();
	run_child(nothing, NULL); /* fill the kernel's caches */
	test_fork(1);
	is_int(dbg_cmd("ledger-begin"), 0, "take the ledger");
	test_touch(4);
	test_fork(n);
	is_int(dbg_cmd("ledger-end"), 0, "B1: nothing was lost");
	return tap_done();
}
