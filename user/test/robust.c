/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Robust lists: a mutex whose owner ends is handed on with EOWNERDEAD, for
 * threads, for processes that share memory, at exec, and for bad lists.
 * B27: a list is not walked again after exec.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

extern char **environ;

struct head {
	void *next;
	long offset;
	void *pending;
};

static pthread_mutex_t *mtx;
static atomic_int *gate;

static void
init_mutex(void)
{
	pthread_mutexattr_t ma;

	pthread_mutexattr_init(&ma);
	is_int(pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST), 0, "robust is supported");
	is_int(
	    pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED), 0, "so is process-shared");
	pthread_mutex_init(mtx, &ma);
}

static void *
lock_and_end(void *arg)
{
	pthread_mutex_lock(mtx);
	word_add(gate, 1);
	if (arg != NULL)
		word_wait(gate, 2);
	return NULL;
}

static int
lock_and_exit(void *arg)
{
	lock_and_end(arg);
	return 0;
}

static int
lock_and_exec(void *arg)
{
	char *argv[] = { (char *)self_path(), (char *)"role-idle", NULL };

	lock_and_end(arg);
	execve(argv[0], argv, environ);
	return 1;
}

static int
lock_and_die(void *arg)
{
	lock_and_end(arg);
	raise(SIGKILL);
	return 0;
}

static void
expect_dead(const char *what)
{
	is_int(pthread_mutex_lock(mtx), EOWNERDEAD, "%s: EOWNERDEAD", what);
	is_int(pthread_mutex_consistent(mtx), 0, "%s: made consistent", what);
	pthread_mutex_unlock(mtx);
}

static int
recover(void *arg)
{
	int r;

	(void)arg;
	word_add(gate, 1);
	r = pthread_mutex_lock(mtx);
	pthread_mutex_consistent(mtx);
	pthread_mutex_unlock(mtx);
	return r == EOWNERDEAD ? 0 : 1;
}

static void
test_sleeping_waiter(void)
{
	pid_t owner, waiter;

	atomic_store(gate, 0);
	owner = spawn(lock_and_exit, (void *)1);
	word_wait(gate, 1);
	waiter = spawn(recover, NULL); /* brings the gate to 2 */
	is_exit(reap(waiter), 0, "a waiter that sleeps on the mutex is woken with EOWNERDEAD");
	reap(owner);
}

/* --- bare lists ------------------------------------------------------------------- */
static struct head bad_head;

static int
bad_list(void *arg)
{
	long which = (long)arg;
	static struct head h, loop;

	switch (which) {
	case 0: /* an entry at a bad address */
		h.next = hide(8);
		break;
	case 1: /* a cycle that does not reach the head */
		h.next = &loop;
		loop.next = &loop;
		break;
	case 2: /* a head at a bad address */
		syscall(SYS_set_robust_list, hide(0xffff800000000000), sizeof(h));
		return 0;
	default: /* a misaligned futex word */
		h.next = &loop;
		loop.next = &h;
		h.offset = 3;
		break;
	}
	syscall(SYS_set_robust_list, &h, sizeof(h));
	return 0;
}

static int
word_by_list(void *arg)
{
	struct head *h = arg;
	atomic_int *w = (atomic_int *)(h + 2);

	/* One entry: h[1], whose futex word lies at a distance of 24 bytes. */
	h[0].next = &h[1];
	h[0].offset = (char *)w - (char *)&h[1];
	h[0].pending = NULL;
	h[1].next = &h[0];
	atomic_store(w, (int)gettid() | (int)0x80000000);
	syscall(SYS_set_robust_list, h, sizeof(*h));
	return 0;
}

static void
test_bare(void)
{
	struct head *h = shared_mem(PAGE), *got = NULL;
	size_t len = 0;
	long i;

	is_err(syscall(SYS_set_robust_list, &bad_head, 8), EINVAL, "a wrong length: EINVAL");
	is_int(syscall(SYS_get_robust_list, 0, &got, &len), 0, "get_robust_list of oneself");
	is_int((long)len, sizeof(struct head), "gives the length");
	is_exit(run_child(word_by_list, h), 0, "a bare list");
	is_int(
	    (unsigned)*(atomic_int *)(h + 2), 0xc0000000, "its word: WAITERS kept, OWNER_DIED set");
	for (i = 0; i < 4; i++)
		is_exit(run_child(bad_list, (void *)i), 0, "bad list %ld does no harm", i);
}

int
main(int argc, char **argv)
{
	pthread_t t;

	if (argc > 1 && strcmp(argv[1], "role-idle") == 0)
		return 0;
	mtx = shared_mem(PAGE);
	gate = (atomic_int *)(mtx + 8);
	init_mutex();
	pthread_create(&t, NULL, lock_and_end, NULL);
	pthread_join(t, NULL);
	expect_dead("thread ended");
	is_exit(run_child(lock_and_exit, NULL), 0, "a process ends with the mutex held");
	expect_dead("process ended");
	is_killed(
	    run_child(lock_and_die, NULL), SIGKILL, "a process is killed with the mutex held");
	expect_dead("process killed");
	is_exit(run_child(lock_and_exec, NULL), 0, "B27: a process execs with the mutex held");
	expect_dead("process exec'ed");
	test_sleeping_waiter();
	is_int(pthread_mutex_lock(mtx), 0, "the mutex still works");
	pthread_mutex_unlock(mtx);
	test_bare();
	return tap_done();
}
