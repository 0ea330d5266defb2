/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ids from a bitmap, found through a hash: the design of FreeBSD 13 and later, written anew from its
 * description. What is modelled, and what is not, is in docs/idbench.md.
 */
#ifndef IDBENCH_IDBITMAP_H
#define IDBENCH_IDBITMAP_H

#include "ids.h"

#define IDB_MAPS 4 /* in use; and, for processes, by a group, by a session, by a subtree */

struct idbitmap {
	struct hostlock ib_lock;    /* guards the maps and ib_next */
	uint32_t ib_size;           /* bits of a map */
	uint32_t ib_lowest;         /* first bit that is given out */
	uint32_t ib_next;           /* where the next search begins */
	uint32_t ib_random;         /* the search begins up to so many further on; 0: not */
	uint64_t ib_seed;           /* of that */
	uint64_t *ib_map[IDB_MAPS]; /* those of no use are NULL */
};

/* Four words, as the kernel's: two locks share a cache line. */
struct idhash_lock {
	struct hostlock hl_lock;
} __attribute__((aligned(32)));

struct idhash {
	struct idnode **ih_bucket;
	struct idhash_lock *ih_lock; /* lock i guards the buckets whose number ends in i */
	uint32_t ih_mask, ih_lockmask;
};

/* => 0, or -1: no memory */
int idbitmap_init(struct idbitmap *, uint32_t size, uint32_t lowest, int nmaps);
void idbitmap_fini(struct idbitmap *);
/* Takes the first free number from where the last search ended, else from the lowest. => a number, or -1 */
int32_t idbitmap_alloc(struct idbitmap *);
void idbitmap_free(struct idbitmap *, uint32_t number);
/* Reserves a number for a group, session or subtree (map 1 to 3), or gives it back. */
void idbitmap_reserve(struct idbitmap *, int map, uint32_t number, bool);
/* => number of set bits of a map */
uint32_t idbitmap_count(const struct idbitmap *, int map);

/* buckets: a power of two. => 0, or -1: no memory */
int idhash_init(struct idhash *, uint32_t buckets);
void idhash_fini(struct idhash *);
void idhash_insert(struct idhash *, struct idnode *);
void idhash_remove(struct idhash *, struct idnode *);
struct idnode *idhash_find(struct idhash *, int32_t id);
/* => NULL, or what is wrong; the number of members is compared with `members` */
const char *idhash_check(const struct idhash *, uint32_t members);
size_t idhash_bytes(const struct idhash *);

#endif
