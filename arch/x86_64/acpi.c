/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables: which CPUs and interrupt controllers there are, and where the timers and power registers are.
 *
 * Everything is read once at boot. Without believable tables the kernel says so and runs on the boot CPU
 * alone, with the local APIC where the processor says it is.
 */
#include "acpi_tables.h"

#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/machine.h>
#include <kernel/printf.h>
#include <kernel/string.h>

#define MAX_IOAPICS 8
#define MAX_NMIS    (MAXCPUS + 1)
#define ISA_IRQS    16
#define TABLE_MAX   0x400000u
#define UID_ALL     0xffffffffu

#define MSR_APIC_BASE  0x1b
#define APIC_BASE_MASK 0xffffffffff000ul

struct nmi_line {
	uint32_t uid;
	int lint;
};

/* All constant after acpi_init(). */
static uint32_t cpu_apicid[MAXCPUS], cpu_uid[MAXCPUS];
static unsigned ncpus, ncpus_ignored;
static struct acpi_ioapic ioapics[MAX_IOAPICS];
static unsigned nioapics;
static struct acpi_irq isa_irqs[ISA_IRQS];
static struct nmi_line nmis[MAX_NMIS];
static unsigned nnmis;
static paddr_t lapic_address, hpet_address;
static uint16_t pm_timer_port;
static bool pm_timer_32bit;
static uint8_t century_register;

static bool
checksum_ok(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (n-- > 0)
		sum += *b++;
	return sum == 0;
}

/* Maps a table and checks it; NULL, reported, if it is bad. `signature` NULL takes any. */
const struct acpi_header *
acpi_map_table(paddr_t pa, const char *signature)
{
	const struct acpi_header *h;

	if (pa == 0)
		return NULL;
	h = mmio_map(pa, sizeof(*h), true);
	if (signature != NULL && memcmp(h->signature, signature, sizeof(h->signature)) != 0)
		return NULL;
	if (h->length < sizeof(*h) || h->length > TABLE_MAX) {
		kprintf("acpi: %.4s at %#lx: length %u is not believable\n", h->signature, pa,
		    h->length);
		return NULL;
	}
	h = mmio_map(pa, h->length, true);
	if (!checksum_ok(h, h->length)) {
		kprintf("acpi: %.4s at %#lx: bad checksum\n", h->signature, pa);
		return NULL;
	}
	return h;
}

/* The root table, and whether its entries are 64 bits wide; NULL, reported, if there is none. */
static const struct acpi_header *
map_root(paddr_t rsdp_pa, bool *wide)
{
	const struct acpi_rsdp *r;
	const struct acpi_header *root = NULL;

	if (rsdp_pa == 0) {
		kprintf("acpi: the boot loader passed no RSDP\n");
		return NULL;
	}
	r = mmio_map(rsdp_pa, sizeof(*r), true);
	if (memcmp(r->signature, "RSD PTR ", sizeof(r->signature)) != 0 ||
	    !checksum_ok(r, ACPI_RSDP_V1_SIZE)) {
		kprintf("acpi: the RSDP at %#lx is bad\n", rsdp_pa);
		return NULL;
	}
	if (r->revision >= 2 && r->xsdt != 0 && checksum_ok(r, sizeof(*r))) {
		*wide = true;
		root = acpi_map_table(r->xsdt, "XSDT");
	}
	if (root == NULL) {
		*wide = false;
		root = acpi_map_table(r->rsdt, "RSDT");
	}
	if (root == NULL)
		kprintf("acpi: there is no usable root table\n");
	return root;
}

static const struct acpi_header *
find_table(const struct acpi_header *root, bool wide, const char *signature)
{
	const char *p = (const char *)(root + 1), *end = (const char *)root + root->length;
	size_t step = wide ? sizeof(uint64_t) : sizeof(uint32_t);

	for (; p + step <= end; p += step) {
		const struct acpi_header *h;
		uint64_t pa = 0;

		memcpy(&pa, p, step);
		h = acpi_map_table(pa, signature);
		if (h != NULL)
			return h;
	}
	return NULL;
}

/* The boot CPU is entry 0 from the start; the table fills in its UID. */
static void
add_cpu(uint32_t apicid, uint32_t uid, uint32_t flags)
{
	if ((flags & MADT_CPU_ENABLED) == 0)
		return;
	for (unsigned i = 0; i < ncpus; i++) {
		if (cpu_apicid[i] == apicid) {
			cpu_uid[i] = uid;
			return;
		}
	}
	if (ncpus == MAXCPUS) {
		ncpus_ignored++;
		return;
	}
	cpu_apicid[ncpus] = apicid;
	cpu_uid[ncpus++] = uid;
}

static void
add_ioapic(const struct madt_ioapic *e)
{
	if (nioapics < MAX_IOAPICS)
		ioapics[nioapics++] = (struct acpi_ioapic){ e->address, e->gsi_base };
	else
		kprintf("acpi: I/O APIC at %#x is one too many\n", e->address);
}

static void
add_override(const struct madt_override *e)
{
	if (e->bus != 0 || e->source >= ISA_IRQS)
		return;
	isa_irqs[e->source] = (struct acpi_irq){
		.gsi = e->gsi,
		.active_low = (e->flags & MADT_POLARITY) == MADT_ACTIVE_LOW,
		.level = (e->flags & MADT_TRIGGER) == MADT_LEVEL,
	};
}

static void
add_nmi(uint32_t uid, int lint)
{
	if (nnmis < MAX_NMIS)
		nmis[nnmis++] = (struct nmi_line){ uid, lint };
}

static void
madt_entry(const struct madt_entry *e)
{
	switch (e->type) {
	case MADT_LAPIC: {
		const struct madt_lapic *c = (const void *)e;

		add_cpu(c->apicid, c->uid, c->flags);
		break;
	}
	case MADT_X2APIC: {
		const struct madt_x2apic *c = (const void *)e;

		add_cpu(c->apicid, c->uid, c->flags);
		break;
	}
	case MADT_IOAPIC:
		add_ioapic((const void *)e);
		break;
	case MADT_OVERRIDE:
		add_override((const void *)e);
		break;
	case MADT_LAPIC_NMI: {
		const struct madt_lapic_nmi *n = (const void *)e;

		add_nmi(n->uid == 0xff ? UID_ALL : n->uid, n->lint);
		break;
	}
	case MADT_X2APIC_NMI: {
		const struct madt_x2apic_nmi *n = (const void *)e;

		add_nmi(n->uid, n->lint);
		break;
	}
	case MADT_LAPIC_ADDRESS:
		lapic_address = ((const struct madt_lapic_address *)(const void *)e)->address;
		break;
	}
}

/* Shortest legal entry of each type that is read. */
static const uint8_t madt_sizes[] = {
	[MADT_LAPIC] = sizeof(struct madt_lapic),
	[MADT_IOAPIC] = sizeof(struct madt_ioapic),
	[MADT_OVERRIDE] = sizeof(struct madt_override),
	[MADT_LAPIC_NMI] = sizeof(struct madt_lapic_nmi),
	[MADT_LAPIC_ADDRESS] = sizeof(struct madt_lapic_address),
	[MADT_X2APIC] = sizeof(struct madt_x2apic),
	[MADT_X2APIC_NMI] = sizeof(struct madt_x2apic_nmi),
};

static void
parse_madt(const struct acpi_madt *madt)
{
	const char *p = (const char *)(madt + 1), *end = (const char *)madt + madt->header.length;

	lapic_address = madt->lapic_address;
	while (p + sizeof(struct madt_entry) <= end) {
		const struct madt_entry *e = (const void *)p;

		if (e->length < sizeof(*e) || p + e->length > end ||
		    (e->type < ARRAY_SIZE(madt_sizes) && e->length < madt_sizes[e->type])) {
			kprintf(
			    "acpi: MADT: entry of type %u has length %u, the rest is not read\n",
			    e->type, e->length);
			break;
		}
		madt_entry(e);
		p += e->length;
	}
	if (ncpus_ignored > 0)
		kprintf(
		    "acpi: %u CPUs more than the %u that can be used\n", ncpus_ignored, MAXCPUS);
}

static void
parse_fadt(const struct acpi_fadt *f)
{
	if (f->header.length < offsetof(struct acpi_fadt, reset)) {
		kprintf("acpi: FADT of %u bytes is too short\n", f->header.length);
		return;
	}
	pm_timer_port = f->pm_timer_length == 4 ? (uint16_t)f->pm_timer : 0;
	pm_timer_32bit = (f->flags & FADT_TIMER_32BIT) != 0;
	century_register = f->century < 128 ? f->century : 0;
	acpi_power_init(f);
}

/* What holds without tables. */
static void
set_defaults(void)
{
	struct cpuid extended = cpuid(0xb, 0);

	cpu_apicid[0] = extended.ebx != 0 ? extended.edx : cpuid(1, 0).ebx >> 24;
	ncpus = 1;
	lapic_address = rdmsr(MSR_APIC_BASE) & APIC_BASE_MASK;
	for (unsigned i = 0; i < ISA_IRQS; i++)
		isa_irqs[i] = (struct acpi_irq){ .gsi = i };
}

void
acpi_init(paddr_t rsdp)
{
	const struct acpi_header *root, *t;
	bool wide = false;

	set_defaults();
	root = map_root(rsdp, &wide);
	if (root == NULL) {
		kprintf("acpi: going on with one CPU\n");
		return;
	}
	t = find_table(root, wide, "APIC");
	if (t != NULL)
		parse_madt((const void *)t);
	else
		kprintf("acpi: no MADT, going on with one CPU\n");
	t = find_table(root, wide, "FACP");
	if (t != NULL)
		parse_fadt((const void *)t);
	else
		kprintf("acpi: no FADT, the machine cannot be turned off\n");
	t = find_table(root, wide, "HPET");
	if (t != NULL && t->length >= sizeof(struct acpi_hpet))
		hpet_address = ((const struct acpi_hpet *)(const void *)t)->base.address;
}

unsigned
acpi_cpu_count(void)
{
	return ncpus;
}

uint32_t
acpi_cpu_apicid(unsigned i)
{
	return cpu_apicid[i];
}

paddr_t
acpi_lapic_address(void)
{
	return lapic_address;
}

unsigned
acpi_ioapic_count(void)
{
	return nioapics;
}

const struct acpi_ioapic *
acpi_ioapic(unsigned i)
{
	return &ioapics[i];
}

struct acpi_irq
acpi_isa_irq(unsigned irq)
{
	return isa_irqs[irq];
}

int
acpi_nmi_lint(uint32_t apicid)
{
	for (unsigned i = 0; i < ncpus; i++) {
		if (cpu_apicid[i] != apicid)
			continue;
		for (unsigned n = 0; n < nnmis; n++) {
			if (nmis[n].uid == UID_ALL || nmis[n].uid == cpu_uid[i])
				return nmis[n].lint;
		}
	}
	return -1;
}

uint16_t
acpi_pm_timer_port(void)
{
	return pm_timer_port;
}

bool
acpi_pm_timer_32bit(void)
{
	return pm_timer_32bit;
}

paddr_t
acpi_hpet_address(void)
{
	return hpet_address;
}

uint8_t
acpi_century_register(void)
{
	return century_register;
}
