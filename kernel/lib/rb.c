/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Red-black tree. Rules: the root is black; a red node has black children; every path from a node down
 * to an empty link passes the same number of black nodes. An insertion may break only the second rule
 * and a removal only the third; both are mended on the way up with at most three rotations.
 */
#include <kernel/rb.h>

/* The link that points to n: its parent's or the tree's. */
static inline struct rb_node **
link_of(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *p = n->parent;

	if (p == NULL)
		return &t->root;
	return p->left == n ? &p->left : &p->right;
}

static inline bool
is_red(const struct rb_node *n)
{
	return n != NULL && n->red;
}

/* n's right child takes its place, n becomes that one's left child. */
static void
rotate_left(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *r = n->right;

	*link_of(t, n) = r;
	r->parent = n->parent;
	n->right = r->left;
	if (r->left != NULL)
		r->left->parent = n;
	r->left = n;
	n->parent = r;
}

static void
rotate_right(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *l = n->left;

	*link_of(t, n) = l;
	l->parent = n->parent;
	n->left = l->right;
	if (l->right != NULL)
		l->right->parent = n;
	l->right = n;
	n->parent = l;
}

/*
 * rb_insert: link `n` in at `link`, an empty link of `parent` (the root link with parent NULL).
 * => the caller holds the tree's lock. Errors: none.
 */
void
rb_insert(struct rb_tree *t, struct rb_node *parent, struct rb_node **link, struct rb_node *n)
{
	struct rb_node *p, *g, *uncle;

	n->left = n->right = NULL;
	n->parent = parent;
	n->red = true;
	*link = n;

	while ((p = n->parent) != NULL && p->red) {
		g = p->parent; /* exists and is black: p is red, so not the root */
		uncle = g->left == p ? g->right : g->left;
		if (is_red(uncle)) {
			p->red = uncle->red = false;
			g->red = true;
			n = g;
			continue;
		}
		if (g->left == p) {
			if (p->right == n) {
				rotate_left(t, p);
				p = n;
			}
			rotate_right(t, g);
		} else {
			if (p->left == n) {
				rotate_right(t, p);
				p = n;
			}
			rotate_left(t, g);
		}
		p->red = false;
		g->red = true;
		break;
	}
	t->root->red = false;
}

/* Paths through `n` (child of p, perhaps empty) have one black node too few: mend that. */
static void
remove_fixup(struct rb_tree *t, struct rb_node *p, struct rb_node *n)
{
	struct rb_node *s; /* sibling: never empty, since its side has more black nodes */

	while (p != NULL && !is_red(n)) {
		bool left = p->left == n;

		s = left ? p->right : p->left;
		if (s->red) {
			s->red = false;
			p->red = true;
			if (left)
				rotate_left(t, p);
			else
				rotate_right(t, p);
			s = left ? p->right : p->left;
		}
		if (!is_red(s->left) && !is_red(s->right)) {
			s->red = true;
			n = p;
			p = n->parent;
			continue;
		}
		if (left) {
			if (!is_red(s->right)) {
				s->left->red = false;
				s->red = true;
				rotate_right(t, s);
				s = p->right;
			}
			s->right->red = false;
		} else {
			if (!is_red(s->left)) {
				s->right->red = false;
				s->red = true;
				rotate_left(t, s);
				s = p->left;
			}
			s->left->red = false;
		}
		s->red = p->red;
		p->red = false;
		if (left)
			rotate_left(t, p);
		else
			rotate_right(t, p);
		return;
	}
	if (n != NULL)
		n->red = false;
}

/*
 * rb_remove: take `n` out.
 * => n is in the tree; the caller holds the tree's lock. Other nodes stay where they are in memory.
 */
void
rb_remove(struct rb_tree *t, struct rb_node *n)
{
	struct rb_node *child, *parent, *next;
	bool red;

	if (n->left != NULL && n->right != NULL) {
		/* The successor, which has no left child, leaves its place and takes n's. */
		for (next = n->right; next->left != NULL; next = next->left)
			continue;
		child = next->right;
		parent = next->parent;
		red = next->red;
		*link_of(t, n) = next;
		if (parent == n) {
			parent = next;
		} else {
			parent->left = child;
			if (child != NULL)
				child->parent = parent;
			next->right = n->right;
			next->right->parent = next;
		}
		next->left = n->left;
		next->left->parent = next;
		next->parent = n->parent;
		next->red = n->red;
	} else {
		child = n->left != NULL ? n->left : n->right;
		parent = n->parent;
		red = n->red;
		*link_of(t, n) = child;
		if (child != NULL)
			child->parent = parent;
	}
	if (!red)
		remove_fixup(t, parent, child);
}

struct rb_node *
rb_first(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n != NULL && n->left != NULL)
		n = n->left;
	return n;
}

struct rb_node *
rb_last(const struct rb_tree *t)
{
	struct rb_node *n = t->root;

	while (n != NULL && n->right != NULL)
		n = n->right;
	return n;
}

struct rb_node *
rb_next(const struct rb_node *n)
{
	struct rb_node *m;

	if ((m = n->right) != NULL) {
		while (m->left != NULL)
			m = m->left;
		return m;
	}
	for (m = n->parent; m != NULL && m->right == n; m = m->parent)
		n = m;
	return m;
}

struct rb_node *
rb_prev(const struct rb_node *n)
{
	struct rb_node *m;

	if ((m = n->left) != NULL) {
		while (m->right != NULL)
			m = m->right;
		return m;
	}
	for (m = n->parent; m != NULL && m->left == n; m = m->parent)
		n = m;
	return m;
}
