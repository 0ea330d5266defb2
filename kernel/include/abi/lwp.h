/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native LWP calls, docs/suspension.md: flags of _lwp_create and of the context that it takes.
 * layer: abi
 */
#ifndef ABI_LWP_H
#define ABI_LWP_H

/* _lwp_create */
#define LWP_DETACHED  0x00000040 /* nobody waits for it */
#define LWP_SUSPENDED 0x00000080 /* suspended before its first instruction */

/* What a ucontext_t holds, in uc_flags: besides, and apart from, Linux's own flags. */
#define _UC_CPU     0x00010000ul /* uc_mcontext: general registers, flags */
#define _UC_SIGMASK 0x00020000ul /* uc_sigmask; else the creator's mask */
#define _UC_TLSBASE 0x00040000ul /* TLS base in the first reserved word; else the creator's */

/*
 * _lwp_ctl: what the kernel tells of an LWP without being asked, in memory that the process can read. Aligned to
 * 64 bytes, so that no two LWPs share a cache line.
 */
struct lwpctl {
	volatile int lc_curcpu; /* CPU that it is on, or LWPCTL_CPU_* */
	volatile int lc_pctr;   /* goes up whenever it gets a CPU */
};

#define LWPCTL_CPU_NONE       (-1) /* it is on no CPU */
#define LWPCTL_CPU_EXITED     (-2) /* it runs no more; until another LWP gets the place */
#define LWPCTL_FEATURE_CURCPU 0x00000001
#define LWPCTL_FEATURE_PCTR   0x00000002

#define LWP_NAME_MAX   16   /* with the NUL */
#define LWP_UNPARK_MAX 1024 /* ids that _lwp_unpark_all takes at once */

#endif
