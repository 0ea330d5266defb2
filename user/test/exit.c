/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every way a process can end: return, exit_group with 64 live threads, the
 * lead first, all threads singly (B47, B56), and what waits see of it.
 * docs/protocol.md 4.3: EXIT.
 *
 * test: timeout=90
 * test: name=b47 flavour=debug smp=2,4 append="fp=zombie-before-switch:200"
 * test: name=b46 flavour=debug smp=2,4 append="fp=switch-before-clear-RUNNING:150"
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define MANY 64

static atomic_int *ready;
static atomic_int *late;
static atomic_int *lead; /* not 0 while the lead lives */

static void
start_threads(int n, void *(*fn)(void *))
{
	pthread_attr_t attr;
	pthread_t t;
	long i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (i = 0; i < n; i++)
		if (pthread_create(&t, &attr, fn, (void *)i) != 0)
			_exit(99);
}

/* A third sleeps in the kernel, a third spins, a third makes calls. */
static void *
busy_thread(void *arg)
{
	word_add(ready, 1);
	for (;;) {
		switch ((long)arg % 3) {
		case 0:
			pause();
			break;
		case 1:
			atomic_fetch_add(late, 1);
			break;
		default:
			getppid();
			break;
		}
	}
	return NULL;
}

static int
group_exit_by_lead(void *arg)
{
	start_threads(MANY, busy_thread);
	word_wait(ready, MANY);
	syscall(SYS_exit_group, (int)(long)arg);
	return 1;
}

static void *
exit_thread(void *arg)
{
	word_wait(ready, MANY - 1);
	exit((int)(long)arg + 50);
}

static int
group_exit_by_thread(void *arg)
{
	(void)arg;
	start_threads(MANY - 1, busy_thread);
	start_threads(1, exit_thread);
	pause();
	return 1;
}

static int
return_with_threads(void *arg)
{
	(void)arg;
	start_threads(MANY, busy_thread);
	word_wait(ready, MANY);
	return 8; /* spawn() does _exit() */
}

static void *
leave_singly(void *arg)
{
	word_add(ready, 1);
	word_wait(late, 1);
	(void)arg;
	syscall(SYS_exit, 6);
	return NULL;
}

/* Waits until the lead's id word, 1 until then, is cleared by its exit: it is not counted among the live any more. */
static void
lead_gone(void)
{
	while (atomic_load(lead) != 0)
		sleep_ms(1);
}

static void
leave_as_lead(int status)
{
	syscall(SYS_set_tid_address, lead);
	syscall(SYS_exit, status);
}

/* The lead leaves first, and the process lives on in the others. */
static int
lead_first(void *arg)
{
	atomic_store(lead, 1);
	start_threads(8, leave_singly);
	word_wait(ready, 8);
	leave_as_lead((int)(long)arg);
	return 1;
}

static void *
last_one(void *arg)
{
	lead_gone();
	exit((int)(long)arg + 12);
}

static int
lead_first_then_exit(void *arg)
{
	(void)arg;
	atomic_store(lead, 1);
	start_threads(1, last_one);
	leave_as_lead(3);
	return 1;
}

static void *
die_in_thread(void *arg)
{
	(void)arg;
	*(volatile int *)hide(16) = 1;
	return NULL;
}

static int
fault_kills_all(void *arg)
{
	(void)arg;
	start_threads(8, busy_thread);
	word_wait(ready, 8);
	start_threads(1, die_in_thread);
	pause();
	return 1;
}

static int
killed_from_outside(void *arg)
{
	(void)arg;
	start_threads(MANY, busy_thread);
	word_wait(ready, MANY);
	word_add(ready, 1);
	pause();
	return 1;
}

static void
reset(void)
{
	atomic_store(ready, 0);
	atomic_store(late, 0);
}

static void
test_vfork_single_exits(void)
{
	pid_t pid;
	int st;

	/* B47: the vfork child ends by exit of its only thread; the parent resumes. */
	pid = vfork();
	if (pid == 0) {
		syscall(SYS_exit, 0);
		for (;;)
			;
	}
	st = reap(pid);
	is_exit(st, 0, "vfork child that leaves by SYS_exit: parent resumes, status 0");
}

int
main(void)
{
	pid_t pid;
	int v, st;

	ready = shared_mem(PAGE);
	late = ready + 64;
	lead = ready + 128;

	is_exit(
	    run_child(group_exit_by_lead, (void *)7), 7, "exit_group by the lead, 64 threads live");
	v = atomic_load(late);
	sleep_ms(20);
	is_int(atomic_load(late), v, "none of them runs after wait");
	reset();
	is_exit(run_child(group_exit_by_thread, NULL), 50, "exit by a thread, 63 others live");
	reset();
	is_exit(run_child(return_with_threads, NULL), 8, "return with 64 threads live");

	reset();
	pid = spawn(lead_first, (void *)5);
	word_wait(ready, 8);
	lead_gone();
	is_int(waitpid(pid, &st, WNOHANG), 0, "B56: the lead has left, the process lives");
	is_int(kill(pid, 0), 0, "and its pid is valid");
	word_add(late, 1);
	is_int(waitpid(pid, &st, 0), pid, "it ends when the last thread leaves");
	is_exit(st, 6, "with the status of the last");
	is_exit(run_child(lead_first_then_exit, NULL), 12, "lead first, then exit(12) by another");
	test_vfork_single_exits();

	reset();
	is_killed(run_child(fault_kills_all, NULL), SIGSEGV, "a fault of one thread ends all");
	reset();
	pid = spawn(killed_from_outside, NULL);
	word_wait(ready, MANY + 1);
	kill(pid, SIGKILL);
	is_killed(reap(pid), SIGKILL, "SIGKILL ends a process of 65 threads");
	reset();
	pid = spawn(killed_from_outside, NULL);
	word_wait(ready, MANY + 1);
	kill(pid, SIGTERM);
	is_killed(reap(pid), SIGTERM, "SIGTERM as well");
	is_int(reap_all(), 0, "no child is left");
	return tap_done();
}
