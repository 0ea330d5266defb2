/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two designs of an id space behind one interface, for the comparison of docs/idbench.md and its unit
 * test. Host code: it knows neither the kernel's headers nor the C library's, for they clash.
 *
 * A lock is one word: taking it and giving it back are one compare-and-swap each, as in both kernels when
 * nobody waits. Who must wait yields to the host's scheduler now and then.
 */
#ifndef IDBENCH_IDS_H
#define IDBENCH_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hostlock {
	uint32_t hl_word; /* 0, HL_WRITER, or the number of readers */
};

#define HL_WRITER 0x80000000u

void host_wait(uint32_t tries);

static inline bool
host_cas(uint32_t *word, uint32_t from, uint32_t to, int order)
{
	return __atomic_compare_exchange_n(word, &from, to, false, order, __ATOMIC_RELAXED);
}

static inline void
host_lock(struct hostlock *m)
{
	for (uint32_t tries = 0; !host_cas(&m->hl_word, 0, HL_WRITER, __ATOMIC_ACQUIRE);)
		host_wait(++tries);
}

static inline void
host_unlock(struct hostlock *m)
{
	host_cas(&m->hl_word, HL_WRITER, 0, __ATOMIC_RELEASE);
}

static inline void
host_rlock(struct hostlock *m)
{
	for (uint32_t tries = 0;; host_wait(++tries)) {
		uint32_t seen = __atomic_load_n(&m->hl_word, __ATOMIC_RELAXED);

		if ((seen & HL_WRITER) == 0 &&
		    host_cas(&m->hl_word, seen, seen + 1, __ATOMIC_ACQUIRE))
			return;
	}
}

static inline void
host_runlock(struct hostlock *m)
{
	uint32_t seen;

	do
		seen = __atomic_load_n(&m->hl_word, __ATOMIC_RELAXED);
	while (!host_cas(&m->hl_word, seen, seen - 1, __ATOMIC_RELEASE));
}

/* Membership of one hash chain. */
struct idnode {
	struct idnode *in_next, **in_prev;
	int32_t in_id;
};

/*
 * What ids name: a thread, or a process together with its first thread. Its memory is never given back,
 * in both kernels, so its lock may be taken by who found it a moment too late.
 */
struct object {
	struct idnode o_tid, o_pid; /* the bitmap's */
	int32_t o_id;               /* 0: none */
	struct hostlock o_lock;
} __attribute__((aligned(64)));

struct design {
	const char *d_name;
	/* An empty space, or NULL. */
	void *(*d_make)(void);
	void (*d_destroy)(void *);
	/* A thread is born: an id, which is in o_id too, or -1. */
	int32_t (*d_alloc)(void *, struct object *);
	/* A thread is gone. */
	void (*d_free)(void *, struct object *);
	/* The thread with the id, or NULL; by the time of return it may be gone. */
	struct object *(*d_find)(void *, int32_t id);
	/* The same with the object locked, and asked once more who it is. */
	struct object *(*d_get)(void *, int32_t id);
	/* A process is born; its one thread dies; it is collected. */
	int32_t (*d_fork)(void *, struct object *);
	void (*d_exit)(void *, struct object *);
	void (*d_collect)(void *, struct object *);
	/* A space of `ids` threads whose next d_worst() is the most expensive allocation there is. */
	void *(*d_make_worst)(uint32_t ids, struct object *);
	void (*d_worst)(void *, struct object *);
	/* Bytes of the space, and of its parts in an object. */
	size_t (*d_bytes)(const void *);
	size_t d_bytes_object;
	/* NULL, or what is wrong. => nobody else uses the space */
	const char *(*d_check)(const void *);
};

extern const struct design design_table;         /* ours: kernel/proc/idtable.c */
extern const struct design design_bitmap;        /* bitmap and hash, sized as FreeBSD does */
extern const struct design design_bitmap_wide;   /* the same with a bucket for every id */
extern const struct design design_bitmap_random; /* the same with process ids in random steps */

/* d_find of our table under the writers' lock, as proc_find() does it. */
struct object *table_find_locked(void *, int32_t id);

#endif
