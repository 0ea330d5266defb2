/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The red-black tree against a sorted reference, with its rules checked after every step.
 * sources: kernel/lib/rb.c
 */
#include <hosttest.h>
#include <kernel/rb.h>

#define N     200
#define STEPS 60000

struct item {
	struct rb_node node;
	int key;
	bool in;
};

static struct item items[N];
static struct rb_tree tree;

static struct item *
item_of(const struct rb_node *n)
{
	return container_of((struct rb_node *)(uintptr_t)n, struct item, node);
}

/* Black height of a subtree, or -1 if a rule is broken. */
static int
check_node(const struct rb_node *n, const struct rb_node *parent)
{
	int l, r;

	if (n == NULL)
		return 0;
	if (n->parent != parent)
		return -1;
	if (n->red && ((n->left && n->left->red) || (n->right && n->right->red)))
		return -1;
	if ((n->left && item_of(n->left)->key >= item_of(n)->key) ||
	    (n->right && item_of(n->right)->key <= item_of(n)->key))
		return -1;
	l = check_node(n->left, n);
	r = check_node(n->right, n);
	if (l < 0 || l != r)
		return -1;
	return l + !n->red;
}

static void
insert(struct item *it)
{
	struct rb_node **link = &tree.root, *parent = NULL;

	while (*link != NULL) {
		parent = *link;
		link = it->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_insert(&tree, parent, link, &it->node);
	it->in = true;
}

static bool
same_as_reference(void)
{
	const struct rb_node *n = rb_first(&tree), *back = rb_last(&tree);

	for (int i = 0; i < N; i++) {
		if (!items[i].in)
			continue;
		if (n != &items[i].node)
			return false;
		n = rb_next(n);
	}
	for (int i = N; i-- > 0;) {
		if (!items[i].in)
			continue;
		if (back != &items[i].node)
			return false;
		back = rb_prev(back);
	}
	return n == NULL && back == NULL;
}

int
main(void)
{
	unsigned seed = 1;

	CHECK(rb_first(&tree) == NULL && rb_last(&tree) == NULL);
	for (int i = 0; i < N; i++)
		items[i].key = i;

	for (int i = 0; i < N; i++)
		insert(&items[i]);
	CHECK(check_node(tree.root, NULL) >= 0 && !tree.root->red);
	CHECK(same_as_reference());
	for (int i = 0; i < N; i++) {
		rb_remove(&tree, &items[i].node);
		items[i].in = false;
		QUIET_CHECK(check_node(tree.root, NULL) >= 0);
	}
	CHECK(tree.root == NULL);

	for (int step = 0; step < STEPS; step++) {
		struct item *it;

		seed = seed * 1103515245 + 12345;
		it = &items[(seed >> 8) % N];
		if (it->in) {
			rb_remove(&tree, &it->node);
			it->in = false;
		} else {
			insert(it);
		}
		QUIET_CHECK(check_node(tree.root, NULL) >= 0);
		QUIET_CHECK(tree.root == NULL || !tree.root->red);
		if (step % 16 == 0)
			QUIET_CHECK(same_as_reference());
	}
	CHECK_NAMED(host_failures == 0, "random inserts and removals");
	return host_done();
}
