/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lwpctl pages: docs/lwp.md.
 * layer: mem
 */
#ifndef KERNEL_LWPCTL_H
#define KERNEL_LWPCTL_H

#include <abi/lwp.h>
#include <kernel/types.h>

struct cpu;
struct lwp;
struct vmspace;

/*
 * The user address of curlwp's struct lwpctl, which it gets if it has none. -ENOMEM
 * => vm is curlwp's; no lock held; may sleep
 */
int lwpctl_get(struct vmspace *vm, uintptr_t *addr);
/* curlwp runs no more user code here: exit, exec. => its address space is still `vm`; no lock held; may sleep */
void lwpctl_release(struct vmspace *vm);
/*
 * vfork: the child has its parent's until it lets go of the address space; meanwhile the parent has none.
 * lwpctl_lend: => curlwp is the parent, the child has not started. Returns what lwpctl_return() wants.
 */
struct lwpctl *lwpctl_lend(struct lwp *child);
/* => curlwp is the parent, the child has let go, or it is lost; no lock held; may sleep */
void lwpctl_return(struct vmspace *, struct lwpctl *);
/* The parent does not wait for the child's end: nobody gets the place back. => as lwpctl_return() */
void lwpctl_lose(struct vmspace *, struct lwpctl *);
/* curlwp `l` leaves CPU ci, `new` gets it; one of them has a struct lwpctl. => in the switch */
void lwpctl_switch(struct lwp *l, struct lwp *new, const struct cpu *ci);
/* => nobody uses the address space, its regions are gone */
void lwpctl_destroy(struct vmspace *);
/* fsck: NULL, or what is wrong. `ci`: the CPU that l runs on, or NULL. => other CPUs parked */
const char *lwpctl_check(const struct lwp *l, const struct cpu *ci);

#endif
