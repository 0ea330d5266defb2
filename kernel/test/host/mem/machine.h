/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine under test_pmem.c and test_kmem.c: RAM is an array with holes, the test moves between CPUs as
 * it likes, spin locks check that they are released and of ascending rank.
 * layer: test
 */
#ifndef HOST_MEM_MACHINE_H
#define HOST_MEM_MACHINE_H

#include <kernel/bootinfo.h>
#include <kernel/cpu.h>
#include <kernel/pmem.h>
#include <kernel/spinlock.h>
#include <kernel/string.h>

#define HOST_CPUS 4
#define MIB       ((paddr_t)1 << 20)
#define HOST_RAM  (48 * MIB)

char *host_ram;
struct cpu *host_cpu;
struct lwp *host_lwp;
static struct cpu host_cpu_array[HOST_CPUS];
static unsigned locks_held, lock_rank;
static uint64_t seed = 88172645463325252u;

void *aligned_alloc(size_t, size_t);

static inline unsigned
rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 8) % n);
}

void
spin_init(struct spinlock *m, const char *name, enum lock_rank rank)
{
	*m = (struct spinlock){ .sl_rank = (uint16_t)rank, .sl_name = name };
}

void
spin_lock(struct spinlock *m)
{
	if (m->sl_word != 0 || (locks_held != 0 && lock_rank >= m->sl_rank))
		panic("spin_lock(%s)", m->sl_name);
	m->sl_word = 1;
	locks_held++;
	lock_rank = m->sl_rank;
}

void
spin_unlock(struct spinlock *m)
{
	if (m->sl_word != 1)
		panic("spin_unlock(%s)", m->sl_name);
	m->sl_word = 0;
	locks_held--;
}

/* Pages are poisoned by the allocator: zeroing and copying are the plain ones. */
void arch_zero_page(void *);

void
arch_zero_page(void *p)
{
	memset(p, 0, PAGE_SIZE);
}

/* Nothing is kept back. */
size_t
mem_reclaim(void)
{
	return 0;
}

static inline void
on_any_cpu(void)
{
	host_cpu = &host_cpu_array[rnd(HOST_CPUS)];
}

static inline void
machine_start(void)
{
	static struct bootinfo bi;

	for (unsigned i = 0; i < HOST_CPUS; i++)
		host_cpu_array[i].ci_index = i;
	host_cpu = &host_cpu_array[0];
	host_ram = aligned_alloc(PAGE_SIZE, HOST_RAM);
	memset(host_ram, 0x33, HOST_RAM);
	bi.bi_ram[0] = (struct memrange){ 0, 0x9f000 };
	bi.bi_ram[1] = (struct memrange){ 2 * MIB, 15 * MIB + 7 * PAGE_SIZE };
	bi.bi_ram[2] = (struct memrange){ 16 * MIB + 3 * PAGE_SIZE, HOST_RAM };
	bi.bi_nram = 3;
	pmem_early_init(&bi, 16 * MIB);
	for (unsigned i = 0; i < 5; i++)
		memset(host_ram + pmem_early_alloc(), 0x44, PAGE_SIZE);
	pmem_init(&bi);
}

#endif
