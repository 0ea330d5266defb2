/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intrusive red-black tree with the order given by the user: he walks down himself to find the place
 * and calls rb_insert() with the link that he found, as in
 *
 *	struct rb_node **link = &t->root, *parent = NULL;
 *	while (*link != NULL) {
 *		parent = *link;
 *		link = key < KEY(parent) ? &parent->left : &parent->right;
 *	}
 *	rb_insert(t, parent, link, &new->node);
 *
 * layer: lib
 */
#ifndef KERNEL_RB_H
#define KERNEL_RB_H

#include <kernel/types.h>

struct rb_node {
	struct rb_node *left;
	struct rb_node *right;
	struct rb_node *parent;
	bool red;
};

struct rb_tree {
	struct rb_node *root;
};

void rb_insert(struct rb_tree *, struct rb_node *parent, struct rb_node **link, struct rb_node *);
void rb_remove(struct rb_tree *, struct rb_node *);
struct rb_node *rb_first(const struct rb_tree *);
struct rb_node *rb_last(const struct rb_tree *);
struct rb_node *rb_next(const struct rb_node *);
struct rb_node *rb_prev(const struct rb_node *);

#endif
