/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts instructions: the scenario runs in a child, which traps at both ends of an operation, and the
 * parent steps it from one trap to the other. So the figure needs no counters of the processor, which
 * virtual machines often lack, and is the same on every run. Locked ones are those with a LOCK prefix.
 */
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRAP 0xcc /* int3 */
#define LOCK 0xf0

const char *const meter_units[METER_UNITS + 1] = { "insn", "locked", NULL };
struct meter *meter;

void
meter_reset(void)
{
	memset(meter, 0, sizeof(*meter));
}

void __attribute__((noinline)) meter_begin(void)
{
	__asm__ volatile("int3" ::: "memory");
}

void __attribute__((noinline)) meter_end(void)
{
	__asm__ volatile("int3" ::: "memory");
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Waits for the child's next trap. => false: it has exited, with *status */
static int
stopped(pid_t child, int *status)
{
	if (waitpid(child, status, 0) != child)
		fail("idbench: waitpid");
	if (WIFEXITED(*status))
		return 0;
	if (WIFSIGNALED(*status) || WSTOPSIG(*status) != SIGTRAP) {
		fprintf(stderr, "idbench: the child got a signal, status %#x\n", *status);
		ptrace(PTRACE_KILL, child, 0, 0);
		exit(1);
	}
	return 1;
}

static void
step_to_next_trap(pid_t child)
{
	uint64_t count[METER_UNITS] = { 0 };
	struct user_regs_struct regs;
	int status;

	for (;;) {
		const unsigned char *insn;

		if (ptrace(PTRACE_GETREGS, child, 0, &regs) != 0)
			fail("idbench: PTRACE_GETREGS");
		/* The child's text is ours, at the same address. */
		insn = (const unsigned char *)regs.rip;
		if (*insn == TRAP)
			break;
		count[0]++;
		count[1] += *insn == LOCK;
		if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) != 0)
			fail("idbench: PTRACE_SINGLESTEP");
		if (!stopped(child, &status))
			fail("idbench: the child exited in the middle of an operation");
	}
	meter->m_ops++;
	for (int i = 0; i < METER_UNITS; i++) {
		meter->m_sum[i] += count[i];
		if (count[i] > meter->m_most[i])
			meter->m_most[i] = count[i];
	}
}

int
meter_run(int (*work)(void))
{
	pid_t child;
	int status;

	meter =
	    mmap(NULL, sizeof(*meter), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (meter == MAP_FAILED)
		fail("idbench: mmap");
	child = fork();
	if (child < 0)
		fail("idbench: fork");
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
			fail("idbench: PTRACE_TRACEME");
		status = work();
		fflush(stdout);
		_exit(status);
	}
	while (stopped(child, &status)) {
		step_to_next_trap(child); /* from the first trap to the second */
		if (ptrace(PTRACE_CONT, child, 0, 0) != 0 || !stopped(child, &status))
			fail("idbench: the child did not reach its trap");
		if (ptrace(PTRACE_CONT, child, 0, 0) != 0)
			fail("idbench: PTRACE_CONT");
	}
	return WEXITSTATUS(status);
}
