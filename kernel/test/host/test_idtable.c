/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The id table against a reference that keeps every id in a plain array: random allocation, release,
 * usurping and reverting, groups that outlive their process, growth; idt_check() after every step for the first steps,
 * then now and then. Also the facts that docs/protocol.md 1 states about reuse.
 *
 * sources: kernel/proc/idtable.c
 * cflags: -DDEBUG
 */
#include "hosttest.h"

#include <kernel/idtable.h>

#define MAXID (1 << 18)

static struct idtable t;
static char objects[MAXID * 4] __attribute__((aligned(64)));

/* What the reference knows of an id. */
enum kind { NONE, PROC, LWP };
static struct ref {
	enum kind kind;
	bool group;
	uint64_t last; /* when it was last given out */
} ref[MAXID];
static uint32_t live[MAXID], nlive;
static uint64_t clock_, rng = 88172645463325252ull;

static uint32_t
rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 33) % n;
}

static void *
object(pid_t id)
{
	return &objects[(size_t)id * 4];
}

static void
check(void)
{
	uint32_t bad;
	const char *what = idt_check(&t, &bad);

	if (what != NULL)
		panic("entry %u: %s", bad, what);
}

static void
grow_if_full(void)
{
	if (idt_full(&t)) {
		uint32_t size = (t.array->mask + 1) * 2;

		free(idt_grow(&t, calloc(1, id_array_size(size))));
		check();
	}
}

static void
start(void)
{
	free(t.array);
	t = (struct idtable){ 0 };
	for (int i = 0; i < MAXID; i++)
		ref[i] = (struct ref){ 0 };
	nlive = 0;
	idtable_init(&t, calloc(1, id_array_size(IDT_INITIAL)), object(0));
	check();
}

static pid_t
alloc(bool lwp)
{
	static char any[8] __attribute__((aligned(8)));
	pid_t id;

	grow_if_full();
	/* The object's address depends on the id, which is known only afterwards. */
	id = idt_alloc(&t, lwp ? NULL : (struct proc *)any, lwp ? (struct lwp *)any : NULL);
	if (lwp) {
		idt_set_proc(&t, id, object(id));
		idt_set_lwp(&t, id, object(id));
	} else {
		idt_set_lwp(&t, id, object(id));
		idt_set_proc(&t, id, object(id));
	}
	if (id <= 1 || id >= MAXID || ref[id].kind != NONE || ref[id].group)
		panic("id %d was given out while in use", id);
	ref[id] = (struct ref){ .kind = lwp ? LWP : PROC, .last = ++clock_ };
	live[nlive++] = (uint32_t)id;
	return id;
}

static void
release(uint32_t i)
{
	uint32_t id = live[i];

	idt_free(&t, (pid_t)id);
	ref[id].kind = NONE;
	if (!ref[id].group)
		live[i] = live[--nlive];
}

static void
compare(pid_t id)
{
	const struct ref *r = &ref[id];

	if (id <= 1)
		return;

	if ((idt_proc(&t, id) != NULL) != (r->kind == PROC) ||
	    (idt_lwp(&t, id) != NULL) != (r->kind == LWP) || (idt_pgrp(&t, id) != NULL) != r->group)
		panic("id %d: table and reference differ", id);
	if (r->kind == PROC && idt_proc(&t, id) != object(id))
		panic("id %d: wrong process", id);
	if (r->kind == LWP && idt_lwp(&t, id) != object(id))
		panic("id %d: wrong LWP", id);
}

static void
step(uint32_t target)
{
	uint32_t i;
	pid_t id;

	if (nlive == 0 || rnd(target * 2) >= nlive) {
		alloc(rnd(3) != 0);
		return;
	}
	i = rnd(nlive);
	id = (pid_t)live[i];
	switch (rnd(6)) {
	case 0:
		if (ref[id].kind == PROC && !ref[id].group) {
			idt_set_pgrp(&t, id, object(id));
			ref[id].group = true;
		}
		break;
	case 1:
		if (ref[id].group) {
			idt_clear_pgrp(&t, id);
			ref[id].group = false;
			if (ref[id].kind == NONE)
				live[i] = live[--nlive];
		}
		break;
	case 2:
		if (ref[id].kind == PROC) {
			idt_set_lwp(&t, id, object(id));
			ref[id].kind = LWP;
		} else if (ref[id].kind == LWP) {
			idt_set_proc(&t, id, object(id));
			ref[id].kind = PROC;
		}
		break;
	default:
		if (ref[id].kind != NONE)
			release(i);
		break;
	}
	compare(id);
	compare((pid_t)rnd(MAXID));
}

int
main(void)
{
	bool ascending = true;
	uint64_t closest = UINT64_MAX;
	pid_t id, group;

	start();
	for (pid_t want = 2; want < 30; want++)
		ascending &= alloc(want & 1) == want;
	CHECK_NAMED(ascending, "the first ids are 2, 3, 4 ...");
	for (int n = 0; n < 1000; n++)
		ascending &= alloc(n & 1) < 2048;
	CHECK_NAMED(ascending, "ids stay small while the table grows");

	start();
	for (int n = 0; n < 200000; n++) {
		step(20);
		if (n < 5000 || n % 97 == 0)
			check();
	}
	CHECK_NAMED(true, "200,000 random steps at about 20 ids agree with the reference");
	for (int n = 0; n < 400000; n++) {
		step(3000);
		if (n % 4999 == 0)
			check();
	}
	for (id = 0; id < MAXID; id++)
		compare(id);
	CHECK_NAMED(true, "400,000 random steps at about 3,000 ids agree with the reference");

	/* Reuse distance at a usual load. */
	start();
	for (int n = 0; n < 20; n++)
		alloc(true);
	for (int n = 0; n < 200000; n++) {
		uint64_t before[1];
		uint32_t i = rnd(nlive);

		release(i);
		grow_if_full();
		{
			static char any[8] __attribute__((aligned(8)));

			id = idt_alloc(&t, NULL, (struct lwp *)any);
		}
		before[0] = ref[id].last;
		clock_++;
		if (before[0] != 0 && clock_ - before[0] < closest)
			closest = clock_ - before[0];
		ref[id] = (struct ref){ .kind = LWP, .last = clock_ };
		live[nlive++] = (uint32_t)id;
	}
	printf("# closest reuse of an id: after %lu allocations\n", (unsigned long)closest);
	CHECK_NAMED(closest > 2000, "an id comes back only after thousands of allocations");

	/* A group keeps its id busy after its process has gone. */
	start();
	group = alloc(false);
	idt_set_pgrp(&t, group, object(group));
	idt_free(&t, group);
	check();
	CHECK(idt_proc(&t, group) == NULL);
	CHECK(idt_pgrp(&t, group) == object(group));
	ascending = true;
	for (int n = 0; n < 100000; n++) {
		grow_if_full();
		id = idt_alloc(&t, NULL, object(4));
		ascending &= id != group;
		idt_free(&t, id);
	}
	CHECK_NAMED(ascending, "the id of a living group is not given out");
	for (int n = 0; n < 5; n++) { /* growth with such an entry */
		uint32_t size = (t.array->mask + 1) * 2;

		free(idt_grow(&t, calloc(1, id_array_size(size))));
		check();
	}
	CHECK_NAMED(
	    idt_pgrp(&t, group) == object(group), "growth keeps an entry that only a group holds");
	idt_clear_pgrp(&t, group);
	check();
	CHECK(idt_pgrp(&t, group) == NULL);

	CHECK(idt_alloc_init(&t, object(1)) == 1);
	CHECK(idt_lwp(&t, 1) == object(1));
	HOST_EXPECT_PANIC(idt_free(&t, 12345));
	HOST_EXPECT_PANIC(idt_set_lwp(&t, 1, object(1)));
	free(t.array);
	return host_done();
}
