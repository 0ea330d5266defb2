/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lookups by id while ids are made and freed and the table grows.  B2 (a dying
 * thread is found), B4 (wild read past the table), B5 (two growers), B57
 * (lookup touches a recycled thread), B66 (a stale id is ESRCH).
 *
 * test: timeout=90
 * test: name=b5 smp=2,4 append="fp=id-grow-unlocked:2000" args="40" host=no
 * test: name=b4 smp=2,4 append="fp=id-published-not-started:100" args="40" host=no
 * test: name=b2 smp=2,4 append="fp=free-after-IDL-before-id:100,zombie-before-switch:100" args="40" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define MAKERS    4
#define PROCS     100 /* live processes of each maker at the peak */
#define THREADS   250 /* live threads of each maker */
#define STK       4096
#define CHURN_STK 16384

struct maker {
	atomic_int m_ready;
	atomic_int m_go;
	atomic_int m_bad_threads; /* a thread of ours was not found, or found after its end */
	atomic_int m_proc[PROCS];
	atomic_int m_tid[THREADS];
};

static struct maker *makers;
static atomic_int *stop, *odd, *looked;

static long
tgkill_raw(long pid, long tid)
{
	return raw3(SYS_tgkill, pid, tid, 0);
}

/* Another process and its thread: signal 0 to whatever id may be around. */
static int
hammer(void *arg)
{
	struct rng r;
	struct maker *m;
	long a, b, c, tid;

	rng_seed(&r, (uint64_t)(uintptr_t)arg);
	while (!atomic_load(stop)) {
		m = &makers[rng_below(&r, MAKERS)];
		tid = atomic_load(&m->m_tid[rng_below(&r, THREADS)]);
		a = tid <= 0 ? 0 : raw3(SYS_tkill, tid, 0, 0);
		b = tid <= 0 ? 0 : tgkill_raw(tid ^ 1, tid);
		tid = atomic_load(&m->m_proc[rng_below(&r, PROCS)]);
		c = tid <= 0 ? 0 : raw3(SYS_kill, tid, 0, 0);
		if ((a != 0 && a != -ESRCH) || (c != 0 && c != -ESRCH) || (b != 0 && b != -ESRCH))
			atomic_fetch_add(odd, 1);
		/* Ids that nobody has, near and far. */
		a = raw3(SYS_kill, (long)(rng_next(&r) >> 2) | 1 << 29, 0, 0);
		if (a != -ESRCH)
			atomic_fetch_add(odd, 1);
		raw3(SYS_tkill, 2 + rng_below(&r, 4096), 0, 0);
		if (atomic_fetch_add(looked, 1) % 64 == 0)
			raw0(RAW_YIELD);
	}
	return 0;
}

static int
parked(void *arg)
{
	struct maker *m = arg;

	while (atomic_load(&m->m_go) == 0)
		raw6(RAW_FUTEX, (long)&m->m_go, 0, 0, 0, 0, 0);
	return 0;
}

static int
parked_process(void *arg)
{
	struct maker *m = arg;

	word_wait(&m->m_go, 1);
	return 0;
}

static int
churn_thread(void *arg)
{
	(void)arg;
	return 0;
}

/* Grow to the peak, look everybody up, wait for the order to go down again. */
static int
maker_main(void *arg)
{
	struct maker *m = arg;
	char *stk = private_mem(THREADS * STK), *cs = private_mem(CHURN_STK);
	static atomic_int ctid;
	int i, bad = 0, pid;
	long id, r, stale = 0;

	for (i = 0; i < THREADS; i++) {
		if (thr_start(stk + (i + 1) * STK, parked, m, &m->m_tid[i]) < 0)
			return 90;
		if (i < PROCS) {
			pid = spawn(parked_process, m);
			if (pid == -1)
				return 91;
			atomic_store(&m->m_proc[i], pid);
		}
		id = thr_start(cs + CHURN_STK, churn_thread, NULL, &ctid);
		if (id < 0)
			return 92;
		tgkill_raw(raw0(RAW_GETPID), id);
		thr_join(&ctid);
		/* The id is freed a little after the word is cleared. */
		while ((r = tgkill_raw(raw0(RAW_GETPID), id)) == 0)
			raw0(RAW_YIELD);
		bad += r != -ESRCH;
		if (stale != 0)
			bad += tgkill_raw(raw0(RAW_GETPID), stale) != -ESRCH;
		stale = id;
	}
	for (i = 0; i < THREADS; i++)
		bad += tgkill_raw(raw0(RAW_GETPID), atomic_load(&m->m_tid[i])) != 0;
	atomic_store(&m->m_bad_threads, bad);
	word_add(&m->m_ready, 1);
	word_wait(&m->m_go, 1);
	for (i = 0; i < THREADS; i++)
		thr_join(&m->m_tid[i]);
	return reap_all() == PROCS ? 46 : 93;
}

static int
count_alive(void)
{
	int i, k, n = 0;

	for (i = 0; i < MAKERS; i++)
		for (k = 0; k < PROCS; k++)
			n += kill(atomic_load(&makers[i].m_proc[k]), 0) == 0;
	return n;
}

/* One process after the other: its id is found until it is collected, and not after. */
static long
churn_processes(long n)
{
	long i, good = 0;
	pid_t pid, old = 0;

	for (i = 0; i < n; i++) {
		pid = spawn(churn_thread, NULL);
		if (kill(pid, 0) != 0)
			continue;
		if (reap(pid) != 0 || kill(pid, 0) != -1 || errno != ESRCH)
			continue;
		if (old != 0 && (kill(old, 0) != -1 || errno != ESRCH))
			continue;
		old = pid;
		good++;
	}
	return good;
}

int
main(int argc, char **argv)
{
	long n = arg_rounds(argc, argv, 70), bad = 0;
	pid_t maker[MAKERS], hit[2];
	uint64_t seed;
	int i;

	seed = rng_arg(argc, argv);
	become_reaper();
	makers = shared_mem(MAKERS * sizeof(*makers));
	stop = shared_mem(PAGE);
	odd = stop + 16;
	looked = stop + 32;
	for (i = 0; i < 2; i++)
		hit[i] = spawn(hammer, (void *)(uintptr_t)(seed + (uint64_t)i));
	for (i = 0; i < MAKERS; i++)
		maker[i] = spawn(maker_main, &makers[i]);
	for (i = 0; i < MAKERS; i++)
		if (!word_wait_ms(&makers[i].m_ready, 1, 60000))
			bail_out("maker %d does not reach the peak", i);
	is_int(count_alive(), MAKERS * PROCS, "B5: at the peak every process is found");
	for (i = 0; i < MAKERS; i++)
		bad += atomic_load(&makers[i].m_bad_threads);
	is_int(bad, 0, "B66: each thread is found while it lives and never after");
	is_int(churn_processes(n), n, "B2: the same of processes, in the large table");
	for (i = 0; i < MAKERS; i++)
		word_add(&makers[i].m_go, 1);
	for (i = bad = 0; i < MAKERS; i++)
		bad += reap(maker[i]) != 46 << 8;
	is_int(bad, 0, "all end");
	is_int(count_alive(), 0, "B57: no id is found after its process was collected");
	atomic_store(stop, 1);
	for (i = bad = 0; i < 2; i++)
		bad += reap(hit[i]) != 0;
	is_int(bad, 0, "whoever looked up all the time is well");
	is_int(atomic_load(odd), 0, "B4: each lookup answers 0 or ESRCH");
	ok(atomic_load(looked) > 0, "and there were lookups");
	diag("%d lookups", atomic_load(looked));
	return tap_done();
}
