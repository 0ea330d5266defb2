/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write after fork, shared memory across fork, and a stack that grows:
 * what one side writes the other never sees, even when all write at once.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define PAGES 64

static unsigned char *priv;
static atomic_int *gate;

static int
all(unsigned char c)
{
	size_t i;

	for (i = 0; i < PAGES * PAGE; i += 64)
		if (priv[i] != c)
			return 0;
	return 1;
}

static int
write_own(void *arg)
{
	int me = (int)(long)arg, k;

	word_wait(gate, 1);
	for (k = 0; k < 20; k++) {
		if (!all((unsigned char)(k == 0 ? 100 : me)))
			return 1;
		memset(priv, me, PAGES * PAGE);
		if (!all((unsigned char)me))
			return 2;
	}
	return 0;
}

static int
grandchild(void *arg)
{
	if (!all(100))
		return 1;
	priv[0] = 101;
	if (run_child(write_own, arg) != 0x100) /* it sees 101 and ends with 1 */
		return 2;
	priv[0] = 100;
	return all(100) ? 0 : 3;
}

static void
test_isolation(void)
{
	pid_t pid[8];
	long i, good = 0;

	memset(priv, 100, PAGES * PAGE);
	for (i = 0; i < 8; i++)
		pid[i] = spawn(write_own, (void *)(i + 1));
	word_add(gate, 1);
	memset(priv, 99, PAGES * PAGE);
	for (i = 0; i < 8; i++)
		good += reap(pid[i]) == 0;
	is_int(good, 8, "eight children write the same pages at once: each sees its own");
	ok(all(99), "the parent sees its own");
	memset(priv, 100, PAGES * PAGE);
	is_exit(run_child(grandchild, (void *)3), 0, "pages shared by three generations");
}

/* Two threads of the child fault on the same shared page together. */
static void *
touch(void *arg)
{
	volatile unsigned char *p = priv;
	size_t i;

	word_add(gate, 1);
	while (atomic_load(gate) < 2)
		;
	for (i = 0; i < PAGES; i++)
		p[i * PAGE + (size_t)(long)arg] = (unsigned char)(10 + (long)arg);
	return NULL;
}

static int
two_threads(void *arg)
{
	pthread_t t[2];
	size_t i;

	(void)arg;
	atomic_store(gate, 0);
	pthread_create(&t[0], NULL, touch, (void *)0L);
	pthread_create(&t[1], NULL, touch, (void *)1L);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	for (i = 0; i < PAGES; i++)
		if (priv[i * PAGE] != 10 || priv[i * PAGE + 1] != 11 || priv[i * PAGE + 2] != 100)
			return 1;
	return 0;
}

static int
shared_write(void *arg)
{
	atomic_int *w = arg;
	int i;

	for (i = 0; i < 1000; i++)
		atomic_fetch_add(&w[i % 1024 * 8 % 4096], 1);
	return 0;
}

static void
test_shared(void)
{
	atomic_int *w = shared_mem(4 * PAGE);
	pid_t pid[4];
	int i, sum = 0;

	for (i = 0; i < 4; i++)
		pid[i] = spawn(shared_write, w);
	shared_write(w);
	for (i = 0; i < 4; i++)
		reap(pid[i]);
	for (i = 0; i < 4096; i++)
		sum += atomic_load(&w[i]);
	is_int(sum, 5000, "shared anonymous memory, first touched after the fork, is shared");
}

/* --- the stack ----------------------------------------------------------------------- */
static int
use_stack(void *arg)
{
	volatile char b[PAGE];
	long kb = (long)arg;

	b[0] = (char)kb;
	b[PAGE - 1] = 1;
	if (kb <= 0)
		return 0;
	return use_stack((void *)(kb - 4)) + (b[0] == (char)kb ? 0 : 1);
}

static int
small_stack(void *arg)
{
	struct rlimit rl = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_STACK, &rl);
	return use_stack(arg);
}

int
main(void)
{
	pid_t pid;
	int i, good = 0;

	gate = shared_mem(PAGE);
	priv = private_mem(PAGES * PAGE);
	test_isolation();
	memset(priv, 100, PAGES * PAGE);
	for (i = 0; i < 20; i++)
		good += run_child(two_threads, NULL) == 0;
	is_int(good, 20, "two threads break the same shared pages at once");
	ok(all(100), "the parent's are whole");
	test_shared();
	is_exit(run_child(use_stack, (void *)1024L), 0, "the stack grows to 1 MB");
	is_exit(run_child(use_stack, (void *)6000L), 0, "and to 6 MB");
	is_killed(run_child(use_stack, (void *)20000L), SIGSEGV, "but not to 20 MB");
	is_killed(run_child(small_stack, (void *)3000L), SIGSEGV, "RLIMIT_STACK lowers the limit");
	pid = spawn(use_stack, (void *)512L);
	is_exit(reap(pid), 0, "a fresh child has the same limit as before");
	return tap_done();
}
