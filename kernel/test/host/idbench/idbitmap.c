/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bit for each id that is in use, and a hash from ids to what they name.
 *
 * A search goes on where the last one ended, so an id comes back only when the numbers have gone round
 * once. It looks at 64 ids with each word. A process id must not be that of a group, session or subtree
 * either; these have maps of their own, since they outlive the process.
 *
 * Locks: one for the maps; for the chains one for each 64 buckets. A reader of a chain takes its lock
 * shared. No lock is held together with another.
 */
#include "idbitmap.h"

#include <stdlib.h>

#define MOVE_TO_FRONT 16 /* a member found behind more than so many goes to the head of its chain */

static bool
bit(const uint64_t *map, uint32_t i)
{
	return (map[i / 64] >> (i % 64) & 1) != 0;
}

/* => the first clear bit of [from, size), or -1 */
static int32_t
first_clear(const uint64_t *map, uint32_t from, uint32_t size)
{
	uint32_t word = from / 64, words = (size + 63) / 64;
	uint64_t clear;

	if (from >= size)
		return -1;
	clear = ~map[word] & ~0ull << (from % 64);
	while (clear == 0) {
		if (++word == words)
			return -1;
		clear = ~map[word];
	}
	from = word * 64 + (uint32_t)__builtin_ctzll(clear);
	return from < size ? (int32_t)from : -1;
}

int
idbitmap_init(struct idbitmap *b, uint32_t size, uint32_t lowest, int nmaps)
{
	*b = (struct idbitmap){ .ib_size = size,
		.ib_lowest = lowest,
		.ib_next = lowest,
		.ib_seed = 88172645463325252ull };
	for (int m = 0; m < nmaps; m++) {
		b->ib_map[m] = calloc((size + 63) / 64, sizeof(uint64_t));
		if (b->ib_map[m] == NULL) {
			idbitmap_fini(b);
			return -1;
		}
	}
	return 0;
}

void
idbitmap_fini(struct idbitmap *b)
{
	for (int m = 0; m < IDB_MAPS; m++)
		free(b->ib_map[m]);
}

static uint32_t
random_step(struct idbitmap *b)
{
	b->ib_seed ^= b->ib_seed << 13;
	b->ib_seed ^= b->ib_seed >> 7;
	b->ib_seed ^= b->ib_seed << 17;
	return (uint32_t)(b->ib_seed >> 33) % b->ib_random;
}

int32_t
idbitmap_alloc(struct idbitmap *b)
{
	bool wrapped = false;
	uint32_t from;
	int32_t i;

	host_lock(&b->ib_lock);
	from = b->ib_next;
	if (b->ib_random != 0)
		from += random_step(b);
	for (;;) {
		i = first_clear(b->ib_map[0], from, b->ib_size);
		if (i < 0) {
			if (wrapped)
				break;
			wrapped = true;
			from = b->ib_lowest;
		} else if (b->ib_map[1] != NULL &&
		    (bit(b->ib_map[1], (uint32_t)i) || bit(b->ib_map[2], (uint32_t)i) ||
			bit(b->ib_map[3], (uint32_t)i))) {
			from = (uint32_t)i + 1;
		} else {
			b->ib_map[0][i / 64] |= 1ull << (i % 64);
			b->ib_next = (uint32_t)i + 1;
			break;
		}
	}
	host_unlock(&b->ib_lock);
	return i;
}

void
idbitmap_free(struct idbitmap *b, uint32_t number)
{
	host_lock(&b->ib_lock);
	b->ib_map[0][number / 64] &= ~(1ull << (number % 64));
	host_unlock(&b->ib_lock);
}

void
idbitmap_reserve(struct idbitmap *b, int map, uint32_t number, bool yes)
{
	uint64_t mask = 1ull << (number % 64);

	host_lock(&b->ib_lock);
	if (yes)
		b->ib_map[map][number / 64] |= mask;
	else
		b->ib_map[map][number / 64] &= ~mask;
	host_unlock(&b->ib_lock);
}

uint32_t
idbitmap_count(const struct idbitmap *b, int map)
{
	uint32_t n = 0;

	for (uint32_t word = 0; word < (b->ib_size + 63) / 64; word++)
		n += (uint32_t)__builtin_popcountll(b->ib_map[map][word]);
	return n;
}

/* --- The hash --------------------------------------------------------------------- */

int
idhash_init(struct idhash *h, uint32_t buckets)
{
	uint32_t locks = buckets / 64 != 0 ? buckets / 64 : 1;

	*h = (struct idhash){ .ih_mask = buckets - 1, .ih_lockmask = locks - 1 };
	h->ih_bucket = calloc(buckets, sizeof(struct idnode *));
	h->ih_lock = aligned_alloc(64, (locks * sizeof(struct idhash_lock) + 63) & ~(size_t)63);
	if (h->ih_bucket == NULL || h->ih_lock == NULL) {
		idhash_fini(h);
		return -1;
	}
	for (uint32_t i = 0; i < locks; i++)
		h->ih_lock[i] = (struct idhash_lock){ 0 };
	return 0;
}

void
idhash_fini(struct idhash *h)
{
	free(h->ih_bucket);
	free(h->ih_lock);
}

static struct hostlock *
lock_of(const struct idhash *h, int32_t id)
{
	return &h->ih_lock[(uint32_t)id & h->ih_lockmask].hl_lock;
}

static void
chain_insert(struct idnode **head, struct idnode *n)
{
	n->in_next = *head;
	n->in_prev = head;
	if (n->in_next != NULL)
		n->in_next->in_prev = &n->in_next;
	*head = n;
}

static void
chain_remove(struct idnode *n)
{
	if (n->in_next != NULL)
		n->in_next->in_prev = n->in_prev;
	*n->in_prev = n->in_next;
}

void
idhash_insert(struct idhash *h, struct idnode *n)
{
	host_lock(lock_of(h, n->in_id));
	chain_insert(&h->ih_bucket[(uint32_t)n->in_id & h->ih_mask], n);
	host_unlock(lock_of(h, n->in_id));
}

void
idhash_remove(struct idhash *h, struct idnode *n)
{
	host_lock(lock_of(h, n->in_id));
	chain_remove(n);
	host_unlock(lock_of(h, n->in_id));
}

struct idnode *
idhash_find(struct idhash *h, int32_t id)
{
	struct idnode **head = &h->ih_bucket[(uint32_t)id & h->ih_mask], *n;
	struct hostlock *lock = lock_of(h, id);
	uint32_t behind = 0;

	host_rlock(lock);
	for (n = *head; n != NULL && n->in_id != id; n = n->in_next)
		behind++;
	if (n != NULL && behind > MOVE_TO_FRONT &&
	    host_cas(&lock->hl_word, 1, HL_WRITER, __ATOMIC_ACQUIRE)) { /* the only reader */
		chain_remove(n);
		chain_insert(head, n);
		host_unlock(lock);
		return n;
	}
	host_runlock(lock);
	return n;
}

const char *
idhash_check(const struct idhash *h, uint32_t members)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= h->ih_mask; i++)
		for (struct idnode **link = &h->ih_bucket[i]; *link != NULL;
		     link = &(*link)->in_next, n++) {
			if ((*link)->in_prev != link)
				return "a link back is wrong";
			if (((uint32_t)(*link)->in_id & h->ih_mask) != i)
				return "a member is in another's bucket";
			if (n == members)
				return "the hash has more members than there are ids";
		}
	for (uint32_t i = 0; i <= h->ih_lockmask; i++)
		if (h->ih_lock[i].hl_lock.hl_word != 0)
			return "a lock was not given back";
	return n == members ? NULL : "the hash has fewer members than there are ids";
}

size_t
idhash_bytes(const struct idhash *h)
{
	return (h->ih_mask + 1) * sizeof(struct idnode *) +
	    (h->ih_lockmask + 1) * sizeof(struct idhash_lock);
}
