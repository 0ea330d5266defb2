/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of an address space against a model with one entry per page: random maps, unmaps, changes of
 * protection, growth and copies; after each, every sum of the tree is checked, and placement is
 * compared with a search over the model.
 *
 * sources: kernel/mem/vmregion.c kernel/lib/rb.c
 */
#include <hosttest.h>
#include <kernel/vmregion.h>

#include <abi/errno.h>

#define NPAGES    700
#define BASE      ((vaddr_t)0x100000)
#define VA(page)  (BASE + (vaddr_t)(page)*PAGE_SIZE)
#define GAP_PAGES ((int)(VM_STACK_GAP / PAGE_SIZE))
#define RWX       7

struct vmobj {
	int refs;
};
static struct vmobj objs[2];

struct slot {
	bool mapped;
	uint8_t prot, maxprot;
	uint16_t flags;
	struct vmobj *obj;
	uint64_t off;
};
static struct slot model[NPAGES];
static struct vm_regionset set;
static int live, fail_in = -1; /* regions allocated; allocations until one fails, -1 = never */

struct vm_region *
vm_region_alloc(void)
{
	struct vm_region *r;

	if (fail_in == 0)
		return NULL;
	if (fail_in > 0)
		fail_in--;
	r = malloc(sizeof(*r));
	live++;
	return r;
}

void
vm_region_free(struct vm_region *r)
{
	live--;
	free(r);
}

void
vmobj_ref(struct vmobj *obj)
{
	obj->refs++;
}

void
vmobj_unref(struct vmobj *obj)
{
	obj->refs--;
}

static uint64_t seed = 88172645463325252u;

static int
rnd(int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int)(seed % (uint64_t)n);
}

/* Does the set say what the model says? */
static bool
same(struct vm_regionset *rs)
{
	int objrefs[2] = { 0, 0 };
	size_t mapped = 0;
	const char *text = vm_region_check(rs);

	if (text != NULL) {
		printf("# %s\n", text);
		return false;
	}
	for (int i = 0; i < NPAGES; i++) {
		struct vm_region *r = vm_region_lookup(rs, VA(i) + (vaddr_t)rnd(PAGE_SIZE));

		if ((r != NULL) != model[i].mapped)
			return false;
		if (r == NULL)
			continue;
		mapped++;
		if (r->vr_prot != model[i].prot || r->vr_maxprot != model[i].maxprot ||
		    r->vr_flags != model[i].flags || r->vr_obj != model[i].obj)
			return false;
		if (r->vr_obj != NULL && r->vr_off + (VA(i) - r->vr_start) != model[i].off)
			return false;
	}
	for (struct vm_region *r = vm_region_first(rs, 0); r != NULL; r = vm_region_next(r)) {
		if (r->vr_obj != NULL)
			objrefs[r->vr_obj - objs]++;
	}
	return mapped * PAGE_SIZE == rs->rs_bytes && objrefs[0] == objs[0].refs &&
	    objrefs[1] == objs[1].refs && (size_t)live == rs->rs_count;
}

/* Highest place for n pages in [lo, hi) of the model, or -1. */
static int
model_gap(int lo, int hi, int n)
{
	for (int at = hi - n; at >= lo; at--) {
		bool fits = true;

		for (int i = at; i < at + n && fits; i++)
			fits = !model[i].mapped;
		/* Not within the stack gap of the next region. */
		for (int i = at + n; i < NPAGES && i < at + n + GAP_PAGES && fits; i++) {
			if (model[i].mapped) {
				fits = (model[i].flags & VR_GROWSDOWN) == 0;
				break;
			}
		}
		if (fits)
			return at;
	}
	return -1;
}

static void
do_map(int from, int n)
{
	struct vm_region *r;
	struct slot s = { .mapped = true, .prot = (uint8_t)rnd(8), .maxprot = RWX };

	if (vm_region_delete(&set, VA(from), VA(from + n)) != 0)
		return;
	for (int i = from; i < from + n; i++)
		model[i] = (struct slot){ 0 };
	r = vm_region_alloc();
	if (r == NULL)
		return;
	if (rnd(3) == 0) {
		s.obj = &objs[rnd(2)];
		s.off = (uint64_t)(from + NPAGES * rnd(2)) * PAGE_SIZE;
		s.flags = rnd(2) ? VR_SHARED : 0;
		s.maxprot = rnd(4) == 0 ? s.prot : RWX;
		s.obj->refs++;
	} else if (rnd(20) == 0)
		s.flags = VR_GROWSDOWN;
	*r = (struct vm_region){ .vr_start = VA(from),
		.vr_end = VA(from + n),
		.vr_prot = s.prot,
		.vr_maxprot = s.maxprot,
		.vr_flags = s.flags,
		.vr_obj = s.obj,
		.vr_off = s.off };
	vm_region_add(&set, r);
	for (int i = from; i < from + n; i++) {
		model[i] = s;
		s.off += s.obj != NULL ? PAGE_SIZE : 0;
	}
}

static void
do_unmap(int from, int n)
{
	if (vm_region_delete(&set, VA(from), VA(from + n)) != 0)
		return;
	for (int i = from; i < from + n; i++)
		model[i] = (struct slot){ 0 };
}

static void
do_protect(int from, int n)
{
	int prot = rnd(8), want = 0;

	for (int i = from; i < from + n && want == 0; i++) {
		if (!model[i].mapped)
			want = -ENOMEM;
		else if ((prot & ~model[i].maxprot) != 0)
			want = -EACCES;
	}
	QUIET_CHECK(vm_region_may_protect(&set, VA(from), VA(from + n), prot) == want);
	if (want != 0 || vm_region_clip(&set, VA(from), VA(from + n)) != 0)
		return;
	for (struct vm_region *r = vm_region_first(&set, VA(from));
	     r != NULL && r->vr_start < VA(from + n); r = vm_region_next(r)) {
		QUIET_CHECK(r->vr_start >= VA(from) && r->vr_end <= VA(from + n));
		r->vr_prot = (uint8_t)prot;
	}
	vm_region_coalesce(&set, VA(from), VA(from + n));
	for (int i = from; i < from + n; i++)
		model[i].prot = (uint8_t)prot;
}

static void
do_grow(void)
{
	for (struct vm_region *r = vm_region_first(&set, 0), *prev = NULL; r != NULL;
	     prev = r, r = vm_region_next(r)) {
		int at = (int)((r->vr_start - BASE) / PAGE_SIZE) - 1;

		if ((r->vr_flags & VR_GROWSDOWN) == 0 || at < 0 ||
		    (prev != NULL && prev->vr_end == r->vr_start))
			continue;
		model[at] = model[at + 1];
		vm_region_grow_down(&set, r, VA(at));
		vm_region_coalesce(&set, VA(at), VA(at));
		return;
	}
}

static void
do_search(void)
{
	int lo = rnd(NPAGES / 2), hi = lo + rnd(NPAGES - lo), n = 1 + rnd(40),
	    want = model_gap(lo, hi, n);
	vaddr_t got = vm_region_findgap(&set, VA(lo), VA(hi), (size_t)n * PAGE_SIZE);
	bool isfree = true;

	QUIET_CHECK(got == (want < 0 ? 0 : VA(want)));
	for (int i = lo; i < hi; i++)
		isfree &= !model[i].mapped;
	if (lo < hi)
		QUIET_CHECK(vm_region_isfree(&set, VA(lo), VA(hi), false) == isfree);
}

static void
do_clone(void)
{
	struct vm_regionset copy = { 0 };
	size_t count = set.rs_count;
	int before = live, refs0 = objs[0].refs, refs1 = objs[1].refs;

	fail_in = count > 0 && rnd(2) ? rnd((int)count) : -1;
	if (fail_in >= 0) {
		QUIET_CHECK(vm_region_clone(&copy, &set) == -ENOMEM);
		QUIET_CHECK(copy.rs_count == 0 && copy.rs_tree.root == NULL);
	} else {
		QUIET_CHECK(vm_region_clone(&copy, &set) == 0);
		QUIET_CHECK(vm_region_check(&copy) == NULL && copy.rs_count == count &&
		    copy.rs_bytes == set.rs_bytes);
		vm_region_clear(&set); /* go on with the copy */
		set = copy;
	}
	fail_in = -1;
	QUIET_CHECK(live == before && objs[0].refs == refs0 && objs[1].refs == refs1);
}

static void
random_changes(void)
{
	for (int round = 0; round < 30000 && host_failures == 0; round++) {
		int from = rnd(NPAGES), n = 1 + rnd(min(NPAGES - from, rnd(4) == 0 ? 100 : 8));

		if (rnd(16) == 0)
			fail_in = rnd(2);
		switch (rnd(10)) {
		case 0:
		case 1:
		case 2:
			do_map(from, n);
			break;
		case 3:
		case 4:
			do_unmap(from, n);
			break;
		case 5:
		case 6:
			do_protect(from, n);
			break;
		case 7:
			do_grow();
			break;
		case 8:
			do_search();
			break;
		default:
			fail_in = -1;
			if (rnd(8) == 0)
				do_clone();
			break;
		}
		fail_in = -1;
		QUIET_CHECK(same(&set));
	}
	vm_region_clear(&set);
	CHECK_NAMED(host_failures == 0, "30,000 random changes agree with the model");
	CHECK(live == 0 && objs[0].refs == 0 && objs[1].refs == 0);
}

/* 10,000 thread stacks with guard pages, placed automatically, then freed in another order. */
static void
many_stacks(void)
{
	enum { STACKS = 10000, PAGES = 20 };
	const size_t size = PAGES * PAGE_SIZE;
	static vaddr_t at[STACKS];
	vaddr_t top = 0x7ffff7000000;
	bool ok = true;

	for (int i = 0; i < STACKS; i++) {
		struct vm_region *r = vm_region_alloc();

		at[i] = vm_region_findgap(&set, 0x10000, top, size);
		ok &= at[i] == top - (size_t)(i + 1) * size;
		*r = (struct vm_region){
			.vr_start = at[i], .vr_end = at[i] + size, .vr_maxprot = RWX
		};
		vm_region_add(&set, r);
		ok &= vm_region_clip(&set, at[i] + PAGE_SIZE, at[i] + size) == 0;
		vm_region_lookup(&set, at[i] + PAGE_SIZE)->vr_prot = 3;
		vm_region_coalesce(&set, at[i] + PAGE_SIZE, at[i] + size);
	}
	CHECK_NAMED(ok, "each stack lies directly below the one before");
	CHECK(set.rs_count == 2 * STACKS && vm_region_check(&set) == NULL);
	ok = true;
	for (int i = 0; i < STACKS; i++) {
		int k = (int)((long)i * 7919 % STACKS);

		ok &= vm_region_delete(&set, at[k], at[k] + size) == 0;
		if (i % 100 == 0)
			ok &= vm_region_check(&set) == NULL;
		/* The highest free place is found again at once. */
		if (i == 0)
			ok &= vm_region_findgap(&set, 0x10000, top, size) == at[k];
	}
	CHECK_NAMED(ok, "they are removed in any order");
	CHECK(set.rs_count == 0 && set.rs_bytes == 0 && live == 0);
}

int
main(void)
{
	random_changes();
	many_stacks();
	return host_done();
}
