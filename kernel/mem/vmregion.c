/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of an address space.
 *
 * A red-black tree by address. Every region knows the free space between it and the region below
 * (vr_gap) and the largest such space of its subtree (vr_maxgap), so automatic placement finds the
 * highest gap that is big enough in O(log n), however many thread stacks and guard pages there are.
 * A remembered search position instead of the sums would be cheaper per insertion, but needs a linear
 * search whenever it fails, which 20,000 regions turn into a visible pause.
 *
 * rb_insert() and rb_remove() know nothing of the sums. They move nodes only along the path from the
 * place of the change to the root, and every node they move ends on that path or as a child of it;
 * fix_path() therefore recomputes the path with its children. rb_remove() replaces a node that has two
 * children by its successor. The host test checks all sums after each operation.
 *
 * Equal neighbours are joined, so that memory mapped in pieces stays one region.
 *
 * Locking: none here; the caller holds vm_lock.
 */
#include <kernel/vmregion.h>

#include <abi/errno.h>
#include <kernel/atomic.h>
#include <kernel/panic.h>
#include <kernel/vmobj.h>

#define REGION(n) container_of(n, struct vm_region, vr_node)

/* ---- sums ---- */

static inline size_t
stack_gap(const struct vm_region *r)
{
	return r->vr_flags & VR_GROWSDOWN ? VM_STACK_GAP : 0;
}

static inline size_t
gap_below(const struct vm_region *prev, const struct vm_region *r)
{
	size_t gap = r->vr_start - (prev != NULL ? prev->vr_end : 0);
	size_t guard = stack_gap(r);

	return gap > guard ? gap - guard : 0;
}

static inline size_t
subtree_gap(const struct vm_region *r)
{
	const struct rb_node *left = r->vr_node.left, *right = r->vr_node.right;
	size_t gap = r->vr_gap;

	if (left != NULL && REGION(left)->vr_maxgap > gap)
		gap = REGION(left)->vr_maxgap;
	if (right != NULL && REGION(right)->vr_maxgap > gap)
		gap = REGION(right)->vr_maxgap;
	return gap;
}

/* After insertion or removal at `n`. */
static void
fix_path(struct rb_node *n)
{
	struct rb_node *from = NULL; /* the child that the path comes from is right already */

	for (; n != NULL; from = n, n = n->parent) {
		if (n->left != NULL && n->left != from)
			REGION(n->left)->vr_maxgap = subtree_gap(REGION(n->left));
		if (n->right != NULL && n->right != from)
			REGION(n->right)->vr_maxgap = subtree_gap(REGION(n->right));
		REGION(n)->vr_maxgap = subtree_gap(REGION(n));
	}
}

/* The space below `r` changed; the tree did not. */
static void
fix_gap(struct vm_region *prev, struct vm_region *r)
{
	r->vr_gap = gap_below(prev, r);
	for (struct rb_node *n = &r->vr_node; n != NULL; n = n->parent) {
		size_t gap = subtree_gap(REGION(n));

		if (gap == REGION(n)->vr_maxgap)
			break;
		REGION(n)->vr_maxgap = gap;
	}
}

/* ---- walking ---- */

struct vm_region *
vm_region_next(const struct vm_region *r)
{
	struct rb_node *n = rb_next(&r->vr_node);

	return n != NULL ? REGION(n) : NULL;
}

struct vm_region *
vm_region_prev(const struct vm_region *r)
{
	struct rb_node *n = rb_prev(&r->vr_node);

	return n != NULL ? REGION(n) : NULL;
}

struct vm_region *
vm_region_first(const struct vm_regionset *rs, vaddr_t va)
{
	struct rb_node *n = rs->rs_tree.root;
	struct vm_region *found = NULL;

	while (n != NULL) {
		if (va < REGION(n)->vr_end) {
			found = REGION(n);
			if (va >= found->vr_start)
				break;
			n = n->left;
		} else
			n = n->right;
	}
	return found;
}

struct vm_region *
vm_region_lookup(struct vm_regionset *rs, vaddr_t va)
{
	struct vm_region *r = atomic_load_relaxed(&rs->rs_hint);

	if (likely(r != NULL && va - r->vr_start < r->vr_end - r->vr_start))
		return r;
	r = vm_region_first(rs, va);
	if (r == NULL || va < r->vr_start)
		return NULL;
	atomic_store_relaxed(&rs->rs_hint, r); /* of any of those who look now */
	return r;
}

/* ---- linking ---- */

static void
link_region(struct vm_regionset *rs, struct vm_region *r, struct rb_node *parent,
    struct rb_node **link, struct vm_region *prev, struct vm_region *next)
{
	r->vr_gap = gap_below(prev, r);
	if (next != NULL)
		next->vr_gap = gap_below(r, next);
	rb_insert(&rs->rs_tree, parent, link, &r->vr_node);
	/* A new leaf's successor is one of its ancestors: one walk repairs both. */
	fix_path(&r->vr_node);
	rs->rs_count++;
	rs->rs_bytes += r->vr_end - r->vr_start;
}

static void
unlink_region(struct vm_regionset *rs, struct vm_region *r)
{
	struct rb_node *n = &r->vr_node, *from;
	struct vm_region *prev = vm_region_prev(r), *next = vm_region_next(r);

	if (n->left != NULL && n->right != NULL)
		from = next->vr_node.parent == n ? &next->vr_node : next->vr_node.parent;
	else if (n->left != NULL)
		from = n->left;
	else
		from = n->right != NULL ? n->right : n->parent;
	rb_remove(&rs->rs_tree, n);
	if (next != NULL)
		next->vr_gap = gap_below(prev, next);
	/* Passes the successor too: it was an ancestor, took r's place, or is `from`. */
	fix_path(from);
	if (rs->rs_hint == r)
		rs->rs_hint = NULL;
	rs->rs_count--;
	rs->rs_bytes -= r->vr_end - r->vr_start;
}

static void
set_end(struct vm_regionset *rs, struct vm_region *r, struct vm_region *next, vaddr_t end)
{
	rs->rs_bytes += end - r->vr_end;
	r->vr_end = end;
	if (next != NULL)
		fix_gap(r, next);
}

static void
set_start(struct vm_regionset *rs, struct vm_region *prev, struct vm_region *r, vaddr_t start)
{
	rs->rs_bytes += r->vr_start - start;
	if (r->vr_obj != NULL)
		r->vr_off -= r->vr_start - start;
	r->vr_start = start;
	fix_gap(prev, r);
}

static void
destroy(struct vm_region *r)
{
	if (r->vr_obj != NULL)
		vmobj_unref(r->vr_obj);
	vm_region_free(r);
}

static bool
joinable(const struct vm_region *a, const struct vm_region *b)
{
	return a->vr_end == b->vr_start && a->vr_prot == b->vr_prot &&
	    a->vr_maxprot == b->vr_maxprot && a->vr_flags == b->vr_flags &&
	    a->vr_obj == b->vr_obj &&
	    (a->vr_obj == NULL || a->vr_off + (a->vr_end - a->vr_start) == b->vr_off);
}

/* ---- changes ---- */

struct vm_region *
vm_region_add(struct vm_regionset *rs, struct vm_region *r)
{
	struct rb_node **link = &rs->rs_tree.root, *parent = NULL;
	struct vm_region *prev = NULL, *next = NULL, *into = r;

	KASSERT(r->vr_start < r->vr_end && ((r->vr_start | r->vr_end) & PAGE_MASK) == 0);
	while (*link != NULL) {
		parent = *link;
		if (r->vr_start < REGION(parent)->vr_start) {
			next = REGION(parent);
			link = &parent->left;
		} else {
			prev = REGION(parent);
			link = &parent->right;
		}
	}
	KASSERT(prev == NULL || prev->vr_end <= r->vr_start);
	KASSERT(next == NULL || r->vr_end <= next->vr_start);

	if (prev != NULL && joinable(prev, r)) {
		into = prev;
		if (next != NULL && joinable(r, next)) {
			vaddr_t end = next->vr_end;

			unlink_region(rs, next);
			destroy(next);
			set_end(rs, prev, vm_region_next(prev), end);
		} else
			set_end(rs, prev, next, r->vr_end);
		destroy(r);
	} else if (next != NULL && joinable(r, next)) {
		into = next;
		set_start(rs, prev, next, r->vr_start);
		destroy(r);
	} else
		link_region(rs, r, parent, link, prev, next);
	rs->rs_hint = into;
	return into;
}

void
vm_region_grow_down(struct vm_regionset *rs, struct vm_region *r, vaddr_t start)
{
	struct vm_region *prev = vm_region_prev(r);

	KASSERT(start < r->vr_start && (prev == NULL || prev->vr_end <= start));
	set_start(rs, prev, r, start);
}

/* Makes `at`, which lies inside `r`, a border: `r` keeps the lower part. */
static int
split(struct vm_regionset *rs, struct vm_region *r, vaddr_t at)
{
	struct vm_region *upper = vm_region_alloc();
	struct rb_node **link, *parent;
	struct vm_region *next;

	if (upper == NULL)
		return -ENOMEM;
	*upper = *r;
	upper->vr_start = at;
	if (r->vr_obj != NULL) {
		upper->vr_off += at - r->vr_start;
		vmobj_ref(r->vr_obj);
	}
	next = vm_region_next(r);
	rs->rs_bytes -= r->vr_end - at;
	r->vr_end = at;
	parent = &r->vr_node;
	link = &parent->right;
	while (*link != NULL) {
		parent = *link;
		link = &parent->left;
	}
	link_region(rs, upper, parent, link, r, next);
	return 0;
}

int
vm_region_clip(struct vm_regionset *rs, vaddr_t start, vaddr_t end)
{
	struct vm_region *r = vm_region_first(rs, start);
	int error;

	if (r == NULL || end <= r->vr_start || (start <= r->vr_start && r->vr_end == end))
		return 0;
	if (r->vr_start < start && (error = split(rs, r, start)) != 0)
		return error;
	r = vm_region_first(rs, end);
	if (r != NULL && r->vr_start < end && (error = split(rs, r, end)) != 0) {
		vm_region_coalesce(rs, start, start);
		return error;
	}
	return 0;
}

void
vm_region_coalesce(struct vm_regionset *rs, vaddr_t start, vaddr_t end)
{
	struct vm_region *r = vm_region_first(rs, start > 0 ? start - 1 : 0), *next;

	while (r != NULL && (next = vm_region_next(r)) != NULL && next->vr_start <= end) {
		if (joinable(r, next)) {
			vaddr_t upto = next->vr_end;

			unlink_region(rs, next);
			destroy(next);
			set_end(rs, r, vm_region_next(r), upto);
		} else
			r = next;
	}
}

int
vm_region_delete(struct vm_regionset *rs, vaddr_t start, vaddr_t end)
{
	struct vm_region *r, *next;
	int error = vm_region_clip(rs, start, end);

	if (error != 0)
		return error;
	for (r = vm_region_first(rs, start); r != NULL && r->vr_start < end; r = next) {
		next = vm_region_next(r);
		unlink_region(rs, r);
		destroy(r);
	}
	return 0;
}

int
vm_region_may_protect(const struct vm_regionset *rs, vaddr_t start, vaddr_t end, int prot)
{
	const struct vm_region *r = vm_region_first(rs, start);

	for (; start < end; start = r->vr_end, r = vm_region_next(r)) {
		if (r == NULL || start < r->vr_start)
			return -ENOMEM;
		if ((prot & ~r->vr_maxprot) != 0)
			return -EACCES;
	}
	return 0;
}

/* ---- free space ---- */

/*
 * Highest place for `size` bytes below `hi` in the gaps of a subtree, or 0. Left of the path to `hi`
 * everything lies below it, where vr_maxgap tells the truth: no descent fails there. So O(log n).
 */
static vaddr_t
search(const struct rb_node *n, vaddr_t hi, size_t size)
{
	for (; n != NULL && REGION(n)->vr_maxgap >= size; n = n->left) {
		const struct vm_region *r = REGION(n);
		vaddr_t top = r->vr_start - stack_gap(r), bottom = top - r->vr_gap, a;

		if (r->vr_end < hi && (a = search(n->right, hi, size)) != 0)
			return a;
		top = min(top, hi);
		if (r->vr_gap >= size && top > bottom && top - bottom >= size)
			return top - size;
	}
	return 0;
}

vaddr_t
vm_region_findgap(const struct vm_regionset *rs, vaddr_t lo, vaddr_t hi, size_t size)
{
	struct rb_node *last = rb_last(&rs->rs_tree);
	vaddr_t end = last != NULL ? REGION(last)->vr_end : 0, a;

	if (size > hi || lo > hi - size)
		return 0;
	if (end <= hi && hi - end >= size)
		a = hi - size;
	else
		a = search(rs->rs_tree.root, hi, size);
	/* The highest place is too low: so are all others. */
	return a >= lo ? a : 0;
}

bool
vm_region_isfree(const struct vm_regionset *rs, vaddr_t start, vaddr_t end, bool guard)
{
	const struct vm_region *r = vm_region_first(rs, start);

	if (r == NULL)
		return true;
	return end <= r->vr_start && (!guard || r->vr_start - end >= stack_gap(r));
}

/* ---- whole sets ---- */

int
vm_region_clone(struct vm_regionset *dst, const struct vm_regionset *src)
{
	const struct rb_node *s = src->rs_tree.root;
	struct rb_node *parent = NULL, **link = &dst->rs_tree.root;

	KASSERT(dst->rs_tree.root == NULL);
	dst->rs_hint = NULL;
	dst->rs_count = src->rs_count;
	dst->rs_bytes = src->rs_bytes;
	while (s != NULL) {
		struct vm_region *r = vm_region_alloc();
		struct rb_node *d;

		if (r == NULL) {
			vm_region_clear(dst);
			return -ENOMEM;
		}
		*r = *REGION(s);
		if (r->vr_obj != NULL)
			vmobj_ref(r->vr_obj);
		if (REGION(s) == src->rs_hint)
			dst->rs_hint = r;
		d = &r->vr_node;
		d->parent = parent;
		d->left = d->right = NULL;
		*link = d;
		if (s->left != NULL) {
			s = s->left;
			parent = d;
			link = &d->left;
			continue;
		}
		/* Up to the next node whose right subtree is still to be copied. */
		while (s != NULL && (s->right == NULL || d->right != NULL)) {
			s = s->parent;
			d = d->parent;
		}
		if (s != NULL) {
			s = s->right;
			parent = d;
			link = &d->right;
		}
	}
	return 0;
}

void
vm_region_clear(struct vm_regionset *rs)
{
	struct rb_node *n = rs->rs_tree.root;

	while (n != NULL) {
		if (n->left != NULL)
			n = n->left;
		else if (n->right != NULL)
			n = n->right;
		else {
			struct rb_node *up = n->parent;

			if (up != NULL && up->left == n)
				up->left = NULL;
			else if (up != NULL)
				up->right = NULL;
			destroy(REGION(n));
			n = up;
		}
	}
	*rs = (struct vm_regionset){ 0 };
}

const char *
vm_region_check(const struct vm_regionset *rs)
{
	const struct vm_region *prev = NULL;
	size_t count = 0, bytes = 0;
	bool hinted = rs->rs_hint == NULL;

	for (const struct rb_node *n = rb_first(&rs->rs_tree); n != NULL; n = rb_next(n)) {
		const struct vm_region *r = REGION(n);

		if (r->vr_start >= r->vr_end || ((r->vr_start | r->vr_end) & PAGE_MASK) != 0)
			return "region is empty or not page-aligned";
		if (prev != NULL && prev->vr_end > r->vr_start)
			return "regions overlap or are out of order";
		if (prev != NULL && joinable(prev, r))
			return "equal neighbours were not joined";
		if (r->vr_gap != gap_below(prev, r))
			return "gap below a region is wrong";
		if (r->vr_maxgap != subtree_gap(r))
			return "largest gap of a subtree is wrong";
		if ((r->vr_prot & ~r->vr_maxprot) != 0)
			return "protection beyond its bound";
		hinted |= r == rs->rs_hint;
		bytes += r->vr_end - r->vr_start;
		count++;
		prev = r;
	}
	if (count != rs->rs_count || bytes != rs->rs_bytes)
		return "count of regions or bytes is wrong";
	return hinted ? NULL : "hint is not a region of the set";
}
