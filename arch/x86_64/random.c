/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware random numbers, by RDRAND. */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <kernel/string.h>

#define CPUID1_ECX_RDRAND (1u << 30)
#define RDRAND_TRIES      10

static bool
rdrand(uint64_t *v)
{
	bool ok = false;

	for (int i = 0; i < RDRAND_TRIES && !ok; i++)
		__asm volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

/* => any context. 0, or -ENODEV when there is no source or it does not answer. */
int
arch_random(void *dst, size_t size)
{
	static int present = -1; /* 1 yes, 0 no; every CPU finds the same */
	char *d = dst;

	if (present < 0)
		present = (cpuid(1, 0).ecx & CPUID1_ECX_RDRAND) != 0;
	if (!present)
		return -ENODEV;
	while (size > 0) {
		uint64_t v;
		size_t n = min(size, sizeof(v));

		if (!rdrand(&v))
			return -ENODEV;
		memcpy(d, &v, n);
		d += n;
		size -= n;
	}
	return 0;
}
