/* SPDX-License-Identifier: BSD-2-Clause */
/* Symbol lookup in the table that tools/mksyms makes: sorted by address, names in one string. */
#include <kernel/ksyms.h>

#define KSYM_BASE 0xffffffff80000000u

struct ksym {
	uint32_t off;  /* from KSYM_BASE */
	uint32_t name; /* index into ksyms_names */
};

extern const struct ksym ksyms[];
extern const uint32_t ksyms_count;
extern const char ksyms_names[];
extern const char __text_start[], __text_end[]; /* linker script */

const char *
ksym_lookup(uintptr_t pc, uintptr_t *offset)
{
	uint32_t lo = 0, hi = ksyms_count;
	uint32_t off = (uint32_t)(pc - KSYM_BASE);

	if (pc < (uintptr_t)__text_start || pc >= (uintptr_t)__text_end)
		return NULL;
	while (lo < hi) { /* ksyms[lo - 1].off <= off < ksyms[hi].off */
		uint32_t mid = lo + (hi - lo) / 2;

		if (ksyms[mid].off <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return NULL;
	*offset = off - ksyms[lo - 1].off;
	return &ksyms_names[ksyms[lo - 1].name];
}
