/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real-time classes on one CPU: who runs before whom, who keeps his turn when
 * he is preempted (B17), slices of SCHED_RR, yields; and that a busy real-time
 * thread on every CPU can be ended.
 *
 * test: timeout=90
 * test: name=exact args="exact" smp=1 icount=yes flavour=release host=no timeout=180
 * test: name=kpreempt smp=1,4 append="kpreempt=256"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MAX 4

static int cpu[CPU_MAX], n_cpus, exact;
static atomic_int go, n_order, order[64];

static void
set_class(pid_t id, int policy, int pri)
{
	if (syscall(SYS_sched_setscheduler, id, policy, &pri) == -1)
		bail_out("sched_setscheduler: errno %d", errno);
}

static void
note(int who)
{
	int i = atomic_fetch_add(&n_order, 1);

	if (i < (int)NELEM(order))
		atomic_store(&order[i], who);
}

/* The notes as a string of letters. */
static const char *
notes(void)
{
	static char text[NELEM(order) + 1];
	int n = atomic_load(&n_order);

	n = n < (int)NELEM(order) ? n : (int)NELEM(order);
	for (int i = 0; i < n; i++)
		text[i] = (char)atomic_load(&order[i]);
	text[n] = '\0';
	return text;
}

static void
is_notes(const char *want, const char *what)
{
	const char *got = notes();

	if (!ok(strcmp(got, want) == 0, "%s", what))
		diag("got %s, expected %s", got, want);
}

/* Uses the CPU for a while of its own time. */
static void
burn_ms(int ms)
{
	struct timespec t0, t;
	long long ns;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		ns = (t.tv_sec - t0.tv_sec) * 1000000000LL + t.tv_nsec - t0.tv_nsec;
	} while (ns < ms * 1000000LL);
}

/* --- threads that wait on the CPU of the controller, which is more urgent, until it sleeps ------- */
struct member {
	int m_policy, m_pri, m_letter;
	void (*m_fn)(struct member *);
	atomic_int m_tid;
	pthread_t m_thread;
};

static void *
member_main(void *arg)
{
	struct member *m = arg;

	atomic_store(&m->m_tid, (int)syscall(SYS_gettid));
	word_wait(&go, 1);
	m->m_fn(m);
	return NULL;
}

/* They sleep for `go`, in the order of the table. We stay more urgent than all. */
static void
members_start(struct member *m, int n)
{
	atomic_store(&go, 0);
	atomic_store(&n_order, 0);
	for (int i = 0; i < n; i++) {
		pthread_create(&m[i].m_thread, NULL, member_main, &m[i]);
		while (atomic_load(&m[i].m_tid) == 0)
			sleep_ms(1);
		set_class(atomic_load(&m[i].m_tid), m[i].m_policy, m[i].m_pri);
		sleep_ms(2); /* until it sleeps */
	}
}

static void
members_join(struct member *m, int n)
{
	for (int i = 0; i < n; i++)
		pthread_join(m[i].m_thread, NULL);
}

static void
say(struct member *m)
{
	note(m->m_letter);
}

static void
test_order(void)
{
	struct member m[] = {
		{ SCHED_OTHER, 0, 'd', say, 0, 0 },
		{ SCHED_FIFO, 10, 'c', say, 0, 0 },
		{ SCHED_RR, 20, 'b', say, 0, 0 },
		{ SCHED_FIFO, 30, 'a', say, 0, 0 },
	};

	members_start(m, 4);
	word_add(&go, 1); /* all are queued; we go on */
	is_int(atomic_load(&n_order), 0, "who is less urgent does not run before us");
	members_join(m, 4);
	is_notes("abcd", "the most urgent first, time sharing last");
}

/* Equals run in the order in which they became runnable; a change moves one behind or before its new equals. */
static void
test_queue(void)
{
	struct member m[] = {
		{ SCHED_FIFO, 20, 'a', say, 0, 0 },
		{ SCHED_FIFO, 20, 'b', say, 0, 0 },
		{ SCHED_FIFO, 20, 'c', say, 0, 0 },
	};
	int pri = 20;

	members_start(m, 3);
	word_add(&go, 1);
	members_join(m, 3);
	is_notes("abc", "equals in order");
	for (int i = 0; i < 3; i++)
		m[i].m_tid = 0;
	m[0].m_pri = 10;
	members_start(m, 3);
	word_add(&go, 1);
	set_class(m[0].m_tid, SCHED_FIFO, 20);
	members_join(m, 3);
	is_notes("bca", "one that is raised comes behind its new equals");
	for (int i = 0; i < 3; i++)
		m[i].m_tid = 0;
	m[0].m_pri = 20;
	m[2].m_pri = 30;
	members_start(m, 3);
	word_add(&go, 1);
	syscall(SYS_sched_setparam, m[2].m_tid, &pri);
	members_join(m, 3);
	is_notes("cab", "one that is lowered before them");
	for (int i = 0; i < 3; i++)
		m[i].m_tid = 0;
	m[2].m_pri = 20;
	members_start(m, 3);
	word_add(&go, 1);
	syscall(SYS_sched_setparam, m[0].m_tid, &pri);
	members_join(m, 3);
	is_notes("abc", "one that stays what it is keeps its place");
}

static void
twice(struct member *m)
{
	note(m->m_letter);
	sched_yield();
	note(m->m_letter);
}

static void
test_yield(void)
{
	struct member m[] = {
		{ SCHED_FIFO, 20, 'a', twice, 0, 0 },
		{ SCHED_RR, 20, 'b', twice, 0, 0 },
		{ SCHED_FIFO, 19, 'c', twice, 0, 0 },
	};

	members_start(m, 3);
	word_add(&go, 1);
	members_join(m, 3);
	is_notes("ababcc", "a yield lets equals run, not others");
}

/* --- preemption ---------------------------------------------------------------------------------------- */
static void
work(struct member *m)
{
	note(m->m_letter);
	burn_ms(30);
	note(m->m_letter);
}

/* The controller wakes up again and again while they work. */
static void
test_preempted(int policy, const char *want, const char *what)
{
	struct member m[] = {
		{ policy, 20, 'a', work, 0, 0 },
		{ policy, 20, 'b', work, 0, 0 },
	};

	members_start(m, 2);
	word_add(&go, 1);
	for (int i = 0; i < 6; i++)
		sleep_ms(7);
	members_join(m, 2);
	if (exact || policy == SCHED_FIFO) {
		is_notes(want, what);
	} else { /* a host that is busy may use up a slice */
		const char *got = notes();
		int as = 0;

		diag("turns %s", got);
		for (int i = 0; got[i] != '\0'; i++)
			as += got[i] == 'a';
		ok(strlen(got) == 4 && as == 2, "%s", what);
	}
}

static void
work_long(struct member *m)
{
	for (int i = 0; i < 5; i++) {
		note(m->m_letter);
		burn_ms(60);
	}
}

/* a runs for 100 ms, then b: who has less than the others left goes on with it. */
static void
test_slice(void)
{
	struct member m[] = {
		{ SCHED_RR, 20, 'a', work_long, 0, 0 },
		{ SCHED_RR, 20, 'b', work_long, 0, 0 },
	};
	const char *got;
	int turns = 0;

	members_start(m, 2);
	word_add(&go, 1);
	members_join(m, 2);
	got = notes();
	for (int i = 1; got[i] != '\0'; i++)
		turns += got[i] != got[i - 1];
	diag("turns %s", got);
	if (exact)
		is_notes("aabbaabbab", "slices of 100 ms");
	else
		ok(turns >= 1, "SCHED_RR: equals take turns");
}

static void
work_fifo(struct member *m)
{
	note(m->m_letter);
	burn_ms(150);
	note(m->m_letter);
}

static void
test_fifo(void)
{
	struct member m[] = {
		{ SCHED_FIFO, 20, 'a', work_fifo, 0, 0 },
		{ SCHED_FIFO, 20, 'b', work_fifo, 0, 0 },
		{ SCHED_OTHER, 0, 'c', say, 0, 0 },
	};

	members_start(m, 3);
	word_add(&go, 1);
	members_join(m, 3);
	is_notes("aabbc", "SCHED_FIFO: nobody takes turns");
}

/* One that runs is lowered below one that waits. */
static void
lower_self(struct member *m)
{
	int pri = 5;

	note(m->m_letter);
	syscall(SYS_sched_setparam, 0, &pri);
	note(m->m_letter);
}

static void
test_lower(void)
{
	struct member m[] = {
		{ SCHED_FIFO, 20, 'a', lower_self, 0, 0 },
		{ SCHED_FIFO, 10, 'b', say, 0, 0 },
		{ SCHED_FIFO, 5, 'c', say, 0, 0 },
	};

	members_start(m, 3);
	word_add(&go, 1);
	members_join(m, 3);
	is_notes(
	    "abac", "one that lowers itself lets the more urgent run, and its new equals wait");
}

/* --- a busy thread on every CPU -------------------------------------------------------------------------- */
static void *
hog(void *arg)
{
	pin_cpu(cpu[(long)arg]);
	for (;;)
		atomic_fetch_add(&n_order, 1);
	return NULL;
}

static int __attribute__((noreturn)) hogs(void *arg)
{
	pthread_t t;

	(void)arg;
	set_class(0, SCHED_FIFO, 50);
	for (long i = 0; i < n_cpus; i++)
		pthread_create(&t, NULL, hog, (void *)i);
	for (;;)
		pause();
}

static int __attribute__((noreturn)) hogs_alarm(void *arg)
{
	alarm(1);
	hogs(arg);
}

static const char *const hog_result[] = { "its alarm ends a process that has every CPU",
	"when it is time", "so does a signal of who is more urgent", "at once" };

static void
test_hogs(void)
{
	long long t0 = now_ns();
	pid_t pid;

	if (dbg_cmd("fsck") == -ENOSYS) {
		for (int i = 0; i < 4; i++)
			skip("others use this machine", "%s", hog_result[i]);
		return;
	}
	pid = spawn(hogs_alarm, NULL);
	/* We do not run before it ends, and need not: the kernel sees to its clock. */
	is_killed(reap(pid), SIGALRM, "%s", hog_result[0]);
	ok(now_ns() - t0 >= 900000000LL, "%s", hog_result[1]);
	set_class(0, SCHED_FIFO, 60);
	pid = spawn(hogs, NULL);
	sleep_ms(100);
	is_int(kill(pid, SIGINT), 0, "%s", hog_result[2]);
	is_killed(reap(pid), SIGINT, "%s", hog_result[3]);
	set_class(0, SCHED_OTHER, 0);
}

int
main(int argc, char **argv)
{
	int pri = 1;

	exact = argc > 1 && strcmp(argv[1], "exact") == 0;
	n_cpus = cpu_list(cpu, CPU_MAX);
	if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &pri) == -1)
		bail_out("no right to real-time priorities here: errno %d", errno);
	pin_cpu(cpu[0]);
	set_class(0, SCHED_FIFO, 90);
	test_order();
	test_queue();
	test_yield();
	test_lower();
	test_preempted(SCHED_FIFO, "aabb", "a preempted SCHED_FIFO thread keeps its turn");
	test_preempted(SCHED_RR, "aabb", "so does a SCHED_RR one within its slice");
	test_fifo();
	test_slice();
	set_class(0, SCHED_OTHER, 0);
	unpin_cpu();
	test_hogs();
	return tap_done();
}
