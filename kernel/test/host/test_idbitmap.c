/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bitmap and the hash that docs/idbench.md compares our id table with, and both behind the interface of
 * that bench, against a reference that keeps every id in a plain array: otherwise the comparison would be
 * with something that does not work.
 *
 * sources: kernel/test/host/idbench/idbitmap.c kernel/test/host/idbench/design_bitmap.c
 * sources: kernel/test/host/idbench/design_table.c kernel/proc/idtable.c
 */
#include "hosttest.h"

#include "idbench/idbitmap.h"

#define SMALL   200 /* a space that is often full */
#define MAXID   (1 << 21)
#define OBJECTS 3000

static uint64_t rng = 88172645463325252ull;
static struct object objects[OBJECTS], *ref[MAXID];

static uint32_t
rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 33) % n;
}

/* The first number at or after `from` that nobody has, else the first at or after the lowest; -1: none. */
static int32_t
expected(const bool taken[][SMALL], uint32_t from, uint32_t lowest)
{
	for (uint32_t turn = 0; turn < 2; turn++, from = lowest)
		for (uint32_t i = from; i < SMALL; i++)
			if (!taken[0][i] && !taken[1][i] && !taken[2][i] && !taken[3][i])
				return (int32_t)i;
	return -1;
}

static void
test_bitmap(int nmaps)
{
	static bool taken[IDB_MAPS][SMALL];
	const uint32_t lowest = 2;
	uint32_t next = lowest, full = 0;
	bool good = true;
	struct idbitmap b;

	for (int m = 0; m < IDB_MAPS; m++)
		for (int i = 0; i < SMALL; i++)
			taken[m][i] = false;
	QUIET_CHECK(idbitmap_init(&b, SMALL, lowest, nmaps) == 0);
	for (int n = 0; n < 200000; n++) {
		uint32_t i = lowest + rnd(SMALL - lowest);
		/* Long runs of one kind, so that it is now full, now empty. */
		bool filling = n / 1000 % 2 == 0;

		if (rnd(4) != 0 ? filling : !filling) {
			int32_t want = expected(taken, next, lowest), got = idbitmap_alloc(&b);

			good &= got == want;
			if (got >= 0) {
				taken[0][got] = true;
				next = (uint32_t)got + 1;
			} else
				full++;
		} else if (taken[0][i]) {
			idbitmap_free(&b, i);
			taken[0][i] = false;
		} else if (nmaps > 1) {
			int m = 1 + (int)rnd(3);

			taken[m][i] = !taken[m][i];
			idbitmap_reserve(&b, m, i, taken[m][i]);
		}
	}
	for (int m = 0; m < nmaps; m++) {
		uint32_t count = 0;

		for (int i = 0; i < SMALL; i++)
			count += taken[m][i];
		good &= idbitmap_count(&b, m) == count;
	}
	CHECK_NAMED(good,
	    nmaps > 1 ? "process ids: the next that nothing has"
		      : "thread ids: the next that is free");
	CHECK_NAMED(full > 100, "the space was full, and said so");
	idbitmap_fini(&b);
}

static void
test_random(void)
{
	bool good = true, equal = true;
	int32_t last = -1;
	struct idbitmap b;

	QUIET_CHECK(idbitmap_init(&b, 10000, 2, 1) == 0);
	b.ib_random = 600;
	for (int n = 0; n < 9000; n++) {
		int32_t i = idbitmap_alloc(&b);

		good &= i >= 2 && i < 10000;
		equal &= i == last + 1 || n == 0;
		last = i;
	}
	CHECK_NAMED(
	    good && !equal && idbitmap_count(&b, 0) == 9000, "random steps: ids all differ");
	idbitmap_fini(&b);
}

/* Long chains: 500 ids in 4 buckets. */
static void
test_chains(void)
{
	bool good = true;
	struct idhash h;

	QUIET_CHECK(idhash_init(&h, 4) == 0);
	for (int i = 0; i < 500; i++) {
		objects[i].o_tid.in_id = 1000 + i;
		idhash_insert(&h, &objects[i].o_tid);
	}
	CHECK_NAMED(
	    idhash_find(&h, 1492) == &objects[492].o_tid && h.ih_bucket[0] == &objects[496].o_tid,
	    "one found near the head stays where it is");
	CHECK_NAMED(
	    idhash_find(&h, 1000) == &objects[0].o_tid && h.ih_bucket[0] == &objects[0].o_tid,
	    "one found far back goes to the head");
	for (int n = 0; n < 20000; n++) {
		uint32_t i = rnd(500);

		good &= idhash_find(&h, 1000 + (int32_t)i) == &objects[i].o_tid;
		good &= idhash_find(&h, 1500 + (int32_t)i) == NULL;
	}
	CHECK_NAMED(good, "members of long chains are found, wherever they move");
	CHECK(idhash_check(&h, 500) == NULL);
	for (int i = 0; i < 500; i++) {
		idhash_remove(&h, &objects[i].o_tid);
		objects[i].o_tid.in_id = 0;
	}
	CHECK(idhash_check(&h, 0) == NULL);
	idhash_fini(&h);
}

static bool
same(const struct design *d, void *space, int32_t id)
{
	struct object *o = d->d_find(space, id), *locked = d->d_get(space, id);

	if (locked != NULL)
		host_unlock(&locked->o_lock);
	return o == ref[id] && locked == o;
}

static void
test_design(const struct design *d)
{
	void *space = d->d_make();
	bool good = true;
	struct object one = { 0 };

	for (int i = 0; i < OBJECTS; i++)
		objects[i] = (struct object){ 0 };
	for (int n = 0; n < 300000 && good; n++) {
		struct object *o = &objects[rnd(OBJECTS)];
		int32_t id = o->o_id;

		if (id != 0) {
			good &= same(d, space, id);
			d->d_free(space, o);
			ref[id] = NULL;
		} else {
			id = d->d_alloc(space, o);
			good &= id > 0 && id < MAXID && o->o_id == id && ref[id] == NULL;
			ref[id] = o;
		}
		good &= same(d, space, id) && same(d, space, 2 + (int32_t)rnd(200000));
		if (n % 30000 == 0) {
			good &= d->d_fork(space, &one) > 0;
			d->d_exit(space, &one);
			d->d_collect(space, &one);
			good &= d->d_check(space) == NULL;
		}
	}
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i].o_id != 0) {
			ref[objects[i].o_id] = NULL;
			d->d_free(space, &objects[i]);
		}
	good &= d->d_check(space) == NULL;
	CHECK_NAMED(good, d->d_name);
	d->d_destroy(space);
}

int
main(void)
{
	test_bitmap(1);
	test_bitmap(IDB_MAPS);
	test_random();
	test_chains();
	test_design(&design_table);
	test_design(&design_bitmap);
	test_design(&design_bitmap_wide);
	return host_done();
}
