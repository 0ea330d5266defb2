/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwpctl: for each LWP that asks, the number of its CPU and a count of its runs, in memory that its process
 * reads without a call. docs/protocol.md 3.6.
 *
 * A page has places for 64 LWPs, a cache line each; an address space gets another page when all are taken, and
 * keeps them to its end. The page belongs to an object that is mapped in the address space, readable only; the kernel
 * writes through its own map of all memory. So nothing that the process does to its mapping can make a write
 * of the switch fault, or reach anything else.
 *
 * lc_curcpu is -1 off CPU, and -2 from the LWP's exit until another one gets the place; places are taken in
 * turn, so that is late. The pages belong to the address space, not the process: a child of fork has none. A child
 * of vfork runs in its parent's address space as the parent, and borrows the parent's place; the parent has it back
 * when the child has let go. If it is killed before, the place stays the child's, and with the address space it goes;
 * had the parent only borrowed it itself, then who lent it finds it lost.
 *
 * Locking: vm_lock covers the list of pages and who has which place; l_lwpctl is the LWP's own, and set while
 * interrupts are off together with what stands there. The contents are written by the switch, by the LWP that
 * leaves for both. Pages are added one at a time, under adding_lock: of many LWPs that find no place one makes a page.
 */
#include <kernel/lwpctl.h>

#include <abi/errno.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/mutex.h>
#include <kernel/panic.h>
#include <kernel/proc.h>
#include <kernel/vm.h>

#include "vm_internal.h"

#define PLACE  CACHE_LINE
#define PLACES (PAGE_SIZE / PLACE)
_Static_assert(sizeof(struct lwpctl) <= PLACE && PLACES == 64, "one word has a bit for each place");

static struct mutex adding_lock = MUTEX_INIT("lwpctl", RANK_LWPCTL);

/* struct lwpctl_page, field locks: (v) vm_lock of the address space (c) constant */
struct lwpctl_page {
	struct lwpctl_page *lp_next; /* (c) older one */
	uint64_t lp_used;            /* (v) places that are taken */
	uint64_t lp_lost;            /* (v) ... and never given back by who borrowed them */
	unsigned lp_rotor;           /* (v) where the search begins */
	struct vmobj *lp_obj;        /* (c) one reference; its only page is: */
	struct page *lp_page;        /* (c) one reference */
	vaddr_t lp_addr;             /* (c) where the process has it, unless it has changed that */
};

static void
page_destroy(struct lwpctl_page *lp)
{
	if (lp->lp_page != NULL)
		page_unref(lp->lp_page);
	vmobj_unref(lp->lp_obj);
	kmem_free(lp, sizeof(*lp));
}

static int
add_page(struct vmspace *vm)
{
	struct lwpctl_page *lp = kmem_zalloc(sizeof(*lp));
	int error = -ENOMEM;

	if (lp == NULL)
		return -ENOMEM;
	if ((lp->lp_obj = vmobj_create_anon(PAGE_SIZE)) == NULL) {
		kmem_free(lp, sizeof(*lp));
		return -ENOMEM;
	}
	if (vmobj_getpage(lp->lp_obj, 0, &lp->lp_page) != 0 ||
	    (error = vm_map(vm, &lp->lp_addr, PAGE_SIZE, PROT_R, PROT_R, VR_SHARED | VR_NOFORK,
		 lp->lp_obj, 0)) != 0) {
		page_destroy(lp);
		return error;
	}
	rw_enter(&vm->vm_lock, RW_WRITE);
	lp->lp_next = vm->vm_lwpctl;
	vm->vm_lwpctl = lp;
	rw_exit(&vm->vm_lock);
	return 0;
}

static inline struct lwpctl *
place(const struct lwpctl_page *lp, unsigned i)
{
	return (struct lwpctl *)(void *)((char *)page_to_virt(lp->lp_page) + i * PLACE);
}

/* Takes a free place; -1: there is none. */
static int
find_place(struct vmspace *vm, struct lwpctl_page **lpp)
{
	struct lwpctl_page *lp;
	int i = -1;

	rw_enter(&vm->vm_lock, RW_WRITE);
	for (lp = vm->vm_lwpctl; lp != NULL && ~lp->lp_used == 0; lp = lp->lp_next)
		continue;
	if (lp != NULL) {
		uint64_t later = ~lp->lp_used & ~(uint64_t)0 << lp->lp_rotor;

		i = __builtin_ctzll(later != 0 ? later : ~lp->lp_used);
		lp->lp_used |= (uint64_t)1 << i;
		lp->lp_rotor = (unsigned)(i + 1) % PLACES;
		*lpp = lp;
	}
	rw_exit(&vm->vm_lock);
	return i;
}

static void
set(struct lwp *l, struct lwpctl *lc)
{
	bool on = arch_intr_disable();

	lc->lc_curcpu = (int)arch_curcpu()->ci_index;
	lc->lc_pctr++;
	compiler_barrier();
	l->l_lwpctl = lc;
	arch_intr_restore(on);
}

/* => l is curlwp. `last`: what stands there from now on */
static struct lwpctl *
clear(struct lwp *l, int last)
{
	struct lwpctl *lc = l->l_lwpctl;

	l->l_lwpctl = NULL;
	compiler_barrier();
	lc->lc_curcpu = last;
	return lc;
}

static inline uint64_t
place_bit(const struct lwpctl *lc)
{
	return (uint64_t)1 << ((uintptr_t)lc & PAGE_MASK) / PLACE;
}

/* => vm_lock held */
static struct lwpctl_page *
page_of(struct vmspace *vm, const struct lwpctl *lc)
{
	struct lwpctl_page *lp = vm->vm_lwpctl;

	while (page_to_virt(lp->lp_page) != (void *)trunc_page((uintptr_t)lc)) {
		KASSERT(lp->lp_next != NULL);
		lp = lp->lp_next;
	}
	return lp;
}

/* Takes a place, if need be on a new page; its number, or -ENOMEM. */
static int
take_place(struct vmspace *vm, struct lwpctl_page **lpp)
{
	int i = find_place(vm, lpp), error = 0;

	if (likely(i >= 0))
		return i;
	mutex_lock(&adding_lock);
	while ((i = find_place(vm, lpp)) < 0 && error == 0)
		error = add_page(vm);
	mutex_unlock(&adding_lock);
	return i >= 0 ? i : error;
}

int
lwpctl_get(struct vmspace *vm, uintptr_t *addr)
{
	struct lwp *l = arch_curlwp();
	struct lwpctl_page *lp;

	KASSERT(vm == l->l_proc->p_vmspace && l->l_nlocks == 0);
	if (l->l_lwpctl == NULL) {
		int i = take_place(vm, &lp);

		if (i < 0)
			return i;
		l->l_lwpctlpage = lp;
		set(l, place(lp, (unsigned)i));
	}
	lp = l->l_lwpctlpage;
	if (lp == NULL) { /* borrowed: whose page is it? */
		rw_enter(&vm->vm_lock, RW_WRITE);
		lp = page_of(vm, l->l_lwpctl);
		rw_exit(&vm->vm_lock);
	}
	*addr = lp->lp_addr + ((uintptr_t)l->l_lwpctl & PAGE_MASK);
	return 0;
}

void
lwpctl_release(struct vmspace *vm)
{
	struct lwp *l = arch_curlwp();
	struct lwpctl_page *lp = l->l_lwpctlpage;
	struct lwpctl *lc;

	if (likely(l->l_lwpctl == NULL))
		return;
	KASSERT(vm == l->l_proc->p_vmspace);
	if (lp == NULL) {
		(void)clear(l, LWPCTL_CPU_NONE);
		return;
	}
	l->l_lwpctlpage = NULL;
	lc = clear(l, LWPCTL_CPU_EXITED);
	rw_enter(&vm->vm_lock, RW_WRITE);
	lp->lp_used &= ~place_bit(lc);
	rw_exit(&vm->vm_lock);
}

struct lwpctl *
lwpctl_lend(struct lwp *child)
{
	struct lwp *l = arch_curlwp();

	KASSERT(child->l_stat == LS_IDL && child->l_lwpctl == NULL);
	if (l->l_lwpctl == NULL)
		return NULL;
	child->l_lwpctl = clear(l, LWPCTL_CPU_NONE);
	return child->l_lwpctl;
}

void
lwpctl_return(struct vmspace *vm, struct lwpctl *lc)
{
	bool lost;

	rw_enter(&vm->vm_lock, RW_WRITE);
	lost = (page_of(vm, lc)->lp_lost & place_bit(lc)) != 0;
	rw_exit(&vm->vm_lock);
	if (!lost)
		set(arch_curlwp(), lc);
}

void
lwpctl_lose(struct vmspace *vm, struct lwpctl *lc)
{
	rw_enter(&vm->vm_lock, RW_WRITE);
	page_of(vm, lc)->lp_lost |= place_bit(lc);
	rw_exit(&vm->vm_lock);
}

void
lwpctl_switch(struct lwp *l, struct lwp *new, const struct cpu *ci)
{
	struct lwpctl *lc = l->l_lwpctl;

	if (lc != NULL) {
		KASSERTMSG(lc->lc_curcpu == (int)ci->ci_index && l->l_stat != LS_ZOMB,
		    "lid %d: lwpctl says %d", l->l_lid, lc->lc_curcpu);
		lc->lc_curcpu = LWPCTL_CPU_NONE;
	}
	lc = new->l_lwpctl;
	if (lc != NULL) {
		KASSERTMSG(lc->lc_curcpu == LWPCTL_CPU_NONE, "lid %d: lwpctl says %d", new->l_lid,
		    lc->lc_curcpu);
		lc->lc_curcpu = (int)ci->ci_index;
		lc->lc_pctr++;
	}
}

void
lwpctl_destroy(struct vmspace *vm)
{
	struct lwpctl_page *lp;

	while ((lp = vm->vm_lwpctl) != NULL) {
		vm->vm_lwpctl = lp->lp_next;
		page_destroy(lp);
	}
}

const char *
lwpctl_check(const struct lwp *l, const struct cpu *ci)
{
	const struct lwpctl *lc = l->l_lwpctl;

	if (lc == NULL)
		return NULL;
	if (l->l_stat == LS_ZOMB)
		return "a dead LWP has a lwpctl place";
	if (lc->lc_curcpu != (ci != NULL ? (int)ci->ci_index : LWPCTL_CPU_NONE))
		return "lwpctl names another CPU";
	return NULL;
}
