/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers for gdb. Where they are:
 *
 *	running on a CPU	in the frame of the trap that stopped it; what is in registers only (FPU, bases of
 *				FS and GS) in that CPU's save area, filled by arch_debug_save()
 *	switched out		what arch_switch() pushed, below md_rsp: RBX, RBP, R12 to R15, RIP, RSP. The rest
 *				has no value: the caller of arch_switch() expects none
 *
 * The FPU is user mode's: the kernel has no state of its own there.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <arch/insn.h>
#include <arch/md.h>
#include <kernel/atomic.h>
#include <kernel/cpu.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/string.h>

#include "gdbarch.h"

struct gdb_cpu gdb_cpus[MAXCPUS];

/* ---- saved and loaded on the CPU itself ---- */

void
arch_debug_save(void)
{
	struct gdb_cpu *g = &gdb_cpus[arch_curcpu()->ci_index];

	__asm volatile("movq %0, %%db7" : : "r"(0ul));
	g->gc_fsbase = rdmsr(MSR_FS_BASE);
	g->gc_user_gsbase = rdmsr(MSR_USER_GS_BASE);
	g->gc_changed = false;
	fpu_save(g->gc_fpu);
}

void
arch_debug_load(void)
{
	struct gdb_cpu *g = &gdb_cpus[arch_curcpu()->ci_index];
	paddr_t cr3;

	if (g->gc_changed) {
		wrmsr(MSR_FS_BASE, g->gc_fsbase);
		wrmsr(MSR_USER_GS_BASE, g->gc_user_gsbase);
		g->gc_changed = false;
	}
	/* Forget translations of pages that were replaced. */
	__asm volatile("movq %%cr3, %0\n\tmovq %0, %%cr3" : "=r"(cr3) : : "memory");
}

/*
 * The NMI stack has two halves. The handler is in the one that the TSS has named, and makes it name the other; that
 * stays, so another NMI finds a free half until the very end of this one. If it then is one that parks the CPU, both
 * are in use, and a third must wait.
 */
bool
arch_debug_nmi_begin(const struct trapframe *tf)
{
	struct cpu *ci = arch_curcpu();
	uint64_t top = ci->ci_md.md_tss.tss_ist[IST_NMI - 1], other = ci->ci_md.md_nmi_tops - top;

	if (tf->tf_rsp <= other && tf->tf_rsp > other - KSTACK_SIZE / 2)
		return false;
	ci->ci_md.md_tss.tss_ist[IST_NMI - 1] = other;
	gdb_unblock_nmi();
	return true;
}

void
arch_debug_woken(struct trapframe *tf)
{
	if (tf->tf_rip >= (uintptr_t)arch_debug_halt && tf->tf_rip < (uintptr_t)debug_halt_end)
		tf->tf_rip = (uintptr_t)debug_halt_end;
}

/* ---- where the registers are ---- */

static struct switch_frame *
switch_frame(const struct lwp *l)
{
	uintptr_t base = (uintptr_t)l->l_kstack, sp = l->l_md.md_rsp;

	/* An LWP that was never started may have nothing there yet. */
	if (base == 0 || sp < base || sp > base + KSTACK_SIZE - sizeof(struct switch_frame) ||
	    (sp & 7) != 0 || (l->l_stat == LS_IDL && (l->l_flag & LW_IDLE) == 0))
		return NULL;
	return (struct switch_frame *)sp;
}

struct switch_frame *
gdb_switch_frame(const struct lwp *l)
{
	return switch_frame(l);
}

static const uint16_t gpr_offset[] = {
#define TF(r) offsetof(struct trapframe, tf_##r)
	TF(rax), TF(rbx), TF(rcx), TF(rdx), TF(rsi), TF(rdi), TF(rbp), TF(rsp), TF(r8), TF(r9),
	TF(r10), TF(r11), TF(r12), TF(r13), TF(r14), TF(r15), TF(rip)
#undef TF
};

static uint64_t *
gpr_of_switch(const struct lwp *l, unsigned n)
{
	struct switch_frame *sf = switch_frame(l);

	if (sf == NULL)
		return NULL;
	switch (n) {
	case REG_RBX:
		return &sf->sf_rbx;
	case REG_RBP:
		return &sf->sf_rbp;
	case REG_R12:
		return &sf->sf_r12;
	case REG_R13:
		return &sf->sf_r13;
	case REG_R14:
		return &sf->sf_r14;
	case REG_R15:
		return &sf->sf_r15;
	case REG_RIP:
		return gdb_thunk_rip(l) != NULL ? gdb_thunk_rip(l) : &sf->sf_rip;
	default:
		return NULL;
	}
}

static uint64_t *
gpr(const struct lwp *l, struct trapframe *tf, unsigned n)
{
	return tf != NULL ? (uint64_t *)((char *)tf + gpr_offset[n]) : gpr_of_switch(l, n);
}

/* ---- the FPU ---- */

#define XSTATE_BV   512 /* in the save area: components that are not in their initial state */
#define AREA_ST(n)  (32 + 16 * (n))
#define AREA_XMM(n) (160 + 16 * (n))
#define AREA_MXCSR  24

static const uint8_t *
fpu_area(const struct lwp *l, const struct cpu *ci)
{
	if (ci != NULL)
		return gdb_cpus[ci->ci_index].gc_fpu;
	return l->l_md.md_hasuser ? l->l_md.md_fpu : NULL;
}

static bool
component(const uint8_t *area, unsigned n)
{
	return fpu_kind == FPU_FXSAVE || (area[XSTATE_BV] >> n & 1) != 0;
}

/* The full tag word: FXSAVE keeps a bit for each register, empty or not. */
static uint32_t
tag_word(const uint8_t *area)
{
	uint32_t tags = 0;

	for (unsigned n = 0; n < 8; n++)
		if ((area[4] >> n & 1) == 0)
			tags |= 3u << 2 * n;
	return tags;
}

static int
get_fpu(const struct lwp *l, const struct cpu *ci, unsigned n, void *buf)
{
	const uint8_t *area = fpu_area(l, ci);
	uint64_t pointer;
	uint32_t v = 0;

	if (area == NULL)
		return n < REG_FCTRL ? -10 : n < REG_XMM || n == REG_MXCSR ? -4 : -16;
	if (n < REG_FCTRL) {
		memset(buf, 0, 10);
		if (component(area, 0))
			memcpy(buf, area + AREA_ST(n - REG_ST), 10);
		return 10;
	}
	if (n >= REG_XMM && n < REG_MXCSR) {
		memset(buf, 0, 16);
		if (component(area, 1))
			memcpy(buf, area + AREA_XMM(n - REG_XMM), 16);
		return 16;
	}
	if (n == REG_MXCSR) {
		memcpy(buf, area + AREA_MXCSR, 4);
		return 4;
	}
	if (!component(area, 0)) {
		v = n == REG_FCTRL ? 0x37f : n == REG_FCTRL + 2 ? 0xffff : 0;
		memcpy(buf, &v, 4);
		return 4;
	}
	memcpy(&pointer, area + (n < REG_FCTRL + 5 ? 8 : 16), 8);
	switch (n - REG_FCTRL) {
	case 0:
	case 1:
		memcpy(&v, area + 2 * (n - REG_FCTRL), 2);
		break;
	case 2:
		v = tag_word(area);
		break;
	case 3: /* instruction: upper half, lower half; then operand */
	case 5:
		v = (uint32_t)(pointer >> 32);
		break;
	case 4:
	case 6:
		v = (uint32_t)pointer;
		break;
	case 7:
		memcpy(&v, area + 6, 2);
		break;
	}
	memcpy(buf, &v, 4);
	return 4;
}

/* ---- one register ---- */

static uint32_t
selector(const struct trapframe *tf, unsigned n)
{
	bool user = tf != NULL && tf_user(tf);

	switch (n) {
	case REG_CS:
		return tf != NULL ? (uint32_t)tf->tf_cs : SEL_KCODE;
	case REG_CS + 1:
		return tf != NULL ? (uint32_t)tf->tf_ss : SEL_KDATA;
	case REG_CS + 2:
	case REG_CS + 3:
		return user ? 0 : SEL_KDATA;
	default:
		return 0;
	}
}

static uint64_t
base(const struct lwp *l, const struct cpu *ci, const struct trapframe *tf, unsigned n)
{
	const struct gdb_cpu *g = ci != NULL ? &gdb_cpus[ci->ci_index] : NULL;
	uint64_t user_gs = g != NULL ? g->gc_user_gsbase : l->l_md.md_gsbase;

	switch (n) {
	case REG_FSBASE:
		return g != NULL ? g->gc_fsbase : l->l_md.md_fsbase;
	case REG_GSBASE:
		return tf != NULL && tf_user(tf) ? user_gs
						 : (uintptr_t)(ci != NULL ? ci : l->l_cpu);
	default:
		return user_gs;
	}
}

int
arch_debug_getreg(const struct lwp *l, const struct cpu *ci, unsigned n, void *buf)
{
	struct trapframe *tf = gdb_frame(ci);
	const uint64_t *p;
	uint64_t v;
	uint32_t v32;

	if (n <= REG_RIP) {
		if (tf == NULL && n == REG_RSP && switch_frame(l) != NULL)
			v = (uintptr_t)(switch_frame(l) + 1);
		else if ((p = gpr(l, tf, n)) != NULL)
			v = *p;
		else if (n != REG_RIP && n != REG_RSP)
			return -8;
		else
			v = 0; /* gdb wants to see some place for every thread */
		memcpy(buf, &v, sizeof(v));
		return sizeof(v);
	}
	if (n >= REG_FSBASE) {
		v = base(l, ci, tf, n);
		memcpy(buf, &v, sizeof(v));
		return sizeof(v);
	}
	if (n >= REG_ST)
		return get_fpu(l, ci, n, buf);
	if (n == REG_EFLAGS) {
		if (tf == NULL)
			return -4;
		v32 = (uint32_t)tf->tf_rflags;
	} else {
		v32 = selector(tf, n);
	}
	memcpy(buf, &v32, sizeof(v32));
	return sizeof(v32);
}

/* Flags that gdb may change; in kernel mode also whether interrupts are on. */
#define FLAGS_WRITABLE \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_DF | RFLAGS_OF)

static bool
rip_allowed(const struct trapframe *tf, uint64_t v)
{
	return tf != NULL && tf_user(tf) ? v < USER_END : v >= KIMAGE_BASE;
}

int
arch_debug_setreg(struct lwp *l, const struct cpu *ci, unsigned n, const void *buf)
{
	struct trapframe *tf = gdb_frame(ci);
	uint64_t v, mask, *p;
	uint32_t v32;

	if (n <= REG_RIP) {
		memcpy(&v, buf, sizeof(v));
		p = gpr(l, tf, n);
		if (p == NULL)
			return -EPERM;
		/* IRETQ to another address, or a kernel stack elsewhere, would be the end. */
		if (n == REG_RIP && !rip_allowed(tf, v))
			return -EINVAL;
		if (n == REG_RSP && tf != NULL && !tf_user(tf) && v < KSTACK_BASE)
			return -EINVAL;
		*p = v;
		return 0;
	}
	if (n == REG_EFLAGS && tf != NULL) {
		memcpy(&v32, buf, sizeof(v32));
		mask = FLAGS_WRITABLE | (tf_user(tf) ? 0 : RFLAGS_IF);
		tf->tf_rflags = (tf->tf_rflags & ~mask) | (v32 & mask);
		return 0;
	}
	if (n != REG_FSBASE && n != REG_USER_GSBASE)
		return -EPERM;
	memcpy(&v, buf, sizeof(v));
	/* Between SWAPGS and the end of an entry or exit the bases stand the other way round. */
	if (v >= USER_END || !l->l_md.md_hasuser ||
	    (ci != NULL && gdb_cpus[ci->ci_index].gc_user_gsbase >= USER_END))
		return -EINVAL;
	*(n == REG_FSBASE ? &l->l_md.md_fsbase : &l->l_md.md_gsbase) = v;
	if (ci != NULL) {
		struct gdb_cpu *g = &gdb_cpus[ci->ci_index];

		*(n == REG_FSBASE ? &g->gc_fsbase : &g->gc_user_gsbase) = v;
		g->gc_changed = true;
	} else {
		l->l_md.md_cpu = NULL; /* what its last CPU holds is no longer its state */
	}
	return 0;
}

/* ---- the description ---- */

#define REG(name, bits, type) "<reg name=\"" name "\" bitsize=\"" #bits "\" type=\"" type "\"/>"
#define GPR(name)             REG(name, 64, "int64")
#define SEG(name)             REG(name, 32, "int32")
#define ST(name)              REG(name, 80, "i387_ext")
#define FPC(name)             "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define XMM(name)             REG(name, 128, "vec128")

const char arch_debug_target[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
    "<architecture>i386:x86-64</architecture><feature name=\"org.gnu.gdb.i386.core\">"
    "<flags id=\"i386_eflags\" size=\"4\"><field name=\"CF\" start=\"0\" end=\"0\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"AC\" start=\"18\" end=\"18\"/></flags>" GPR("rax") GPR("rbx") GPR("rcx") GPR(
	"rdx") GPR("rsi") GPR("rdi") REG("rbp", 64, "data_ptr") REG("rsp", 64, "data_ptr") GPR("r8")
	GPR("r9") GPR("r10") GPR("r11") GPR("r12") GPR("r13") GPR("r14") GPR("r15") REG(
	    "rip", 64, "code_ptr") REG("eflags", 32, "i386_eflags") SEG("cs") SEG("ss") SEG("ds")
	    SEG("es") SEG("fs") SEG("gs") ST("st0") ST("st1") ST("st2") ST("st3") ST("st4") ST(
		"st5") ST("st6") ST("st7") FPC("fctrl") FPC("fstat") FPC("ftag") FPC("fiseg")
		FPC("fioff") FPC("foseg") FPC("fooff") FPC(
		    "fop") "</feature><feature name=\"org.gnu.gdb.i386.sse\">"
			   "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
			   "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
			   "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
			   "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
			   "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
			   "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
			   "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
			   "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
			   "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
			   "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>" XMM(
			       "xmm0") XMM("xmm1") XMM("xmm2") XMM("xmm3") XMM("xmm4") XMM("xmm5")
			       XMM("xmm6") XMM("xmm7") XMM("xmm8") XMM("xmm9") XMM("xmm10")
				   XMM("xmm11") XMM("xmm12") XMM("xmm13") XMM("xmm14") XMM(
				       "xmm15") "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int32\" group=\"vector\"/>"
						"</feature><feature name=\"org.gnu.gdb.i386.segments\">" REG(
						    "fs_base", 64, "int") REG("gs_base", 64,
						    "int") "</feature><feature name=\"threadbare.user\">" REG("user_gs_base",
						    64, "int") "</feature></target>";
