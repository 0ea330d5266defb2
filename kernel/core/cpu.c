/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU table and the structures of the boot CPU.
 */
#include <kernel/cpu.h>

#include <kernel/lwp.h>

struct cpu cpu0 = { .ci_self = &cpu0, .ci_curlwp = &lwp0 };
struct cpu *cpus[MAXCPUS] = { &cpu0 };
unsigned ncpu = 1;
cpuset_t cpu_online_set = 1;
