/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for one of several files.
 *
 * A waiting LWP puts a struct pollwait on the head of each file, looks at all of them once more, and sleeps.
 * Whoever changes a file wakes those on its head, which look again: what they find is all that counts, so a
 * wakeup too many does no harm. None is missed: the change and the look are both made under the file's own
 * lock. A change that comes after the look sees the pollwait that was there before it.
 *
 * Locking: poll_lock guards all heads and lists, and is the lock lent to whoever sleeps here; a poller is on
 * many heads at once, and one lock for all is taken only where somebody polls. It is of rank RANK_SLEEPQ, so an
 * interrupt may tell of a change. A poller holds its files from its first look on; a descriptor that is closed
 * or opened anew meanwhile does not matter, as on Linux.
 */
#include <kernel/poll.h>

#include <abi/errno.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>

#define FEW           8  /* descriptors for which no memory is asked for */
#define PREEMPT_EVERY 64 /* descriptors looked at in a row */

/* struct poller, field locks: (p) poll_lock */
struct poller {
	struct list po_sleeper; /* (p) sleep queue, of one LWP */
	bool po_woken;          /* (p) since it last looked */
};

/* struct pollwait, field locks: (p) poll_lock (o) its poller only */
struct pollwait {
	struct list pw_link;      /* (p) */
	struct poller *pw_poller; /* (o) constant while it is on a head */
	struct pollhead *pw_head; /* (o) NULL: the file is always ready */
	struct fref pw_file;      /* (o) */
};

static struct spinlock poll_lock = SPINLOCK_INIT("poll", RANK_SLEEPQ);

void
pollhead_init(struct pollhead *ph)
{
	list_init(&ph->ph_waits);
	ph->ph_count = 0;
}

void
poll_wake(struct pollhead *ph)
{
	struct list *e;

	spin_lock(&poll_lock);
	for (e = ph->ph_waits.next; e != &ph->ph_waits; e = e->next) {
		struct poller *po = container_of(e, struct pollwait, pw_link)->pw_poller;

		po->po_woken = true;
		sleepq_wake(&po->po_sleeper, po, 1);
	}
	spin_unlock(&poll_lock);
}

/* What is the case now. */
static uint32_t
look(struct file *f, struct pollhead **head)
{
	*head = NULL;
	if (f == NULL || f->f_ops == &path_ops)
		return POLLNVAL;
	return f->f_ops->fo_poll != NULL ? f->f_ops->fo_poll(f, head)
					 : POLL_READABLE | POLL_WRITABLE;
}

/* Sets all revents; returns how many are not 0. `waits` is NULL, or has the files. */
static int
scan(struct abi_pollfd *items, struct pollwait *waits, unsigned n, uint32_t always)
{
	struct pollhead *head;
	int ready = 0;

	for (unsigned i = 0; i < n; i++) {
		struct abi_pollfd *pfd = &items[i];
		struct fref r;

		pfd->revents = 0;
		if (pfd->fd < 0)
			continue;
		r = waits != NULL ? waits[i].pw_file : fd_get(pfd->fd);
		pfd->revents = (int16_t)(look(r.fr_file, &head) & ((uint16_t)pfd->events | always));
		if (waits == NULL && r.fr_file != NULL)
			fd_put(r);
		ready += pfd->revents != 0;
		if (i % PREEMPT_EVERY == PREEMPT_EVERY - 1)
			preempt_point();
	}
	return ready;
}

static void
enrol(const struct abi_pollfd *items, struct pollwait *waits, unsigned n, struct poller *po)
{
	for (unsigned i = 0; i < n; i++) {
		struct pollwait *pw = &waits[i];

		pw->pw_poller = po;
		pw->pw_head = NULL;
		pw->pw_file = (struct fref){ NULL, false };
		if (items[i].fd < 0)
			continue;
		pw->pw_file = fd_get(items[i].fd);
		(void)look(pw->pw_file.fr_file, &pw->pw_head);
		if (pw->pw_head == NULL)
			continue;
		spin_lock(&poll_lock);
		list_insert_tail(&pw->pw_head->ph_waits, &pw->pw_link);
		atomic_store_relaxed(&pw->pw_head->ph_count, pw->pw_head->ph_count + 1);
		spin_unlock(&poll_lock);
	}
}

static void
withdraw(struct pollwait *waits, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct pollwait *pw = &waits[i];

		if (pw->pw_head != NULL) {
			spin_lock(&poll_lock);
			list_remove(&pw->pw_link);
			atomic_store_relaxed(&pw->pw_head->ph_count, pw->pw_head->ph_count - 1);
			spin_unlock(&poll_lock);
		}
		if (pw->pw_file.fr_file != NULL)
			fd_put(pw->pw_file);
	}
}

/* Sleeps unless somebody has told of a change since the last time. 0 or as sleepq_block(). */
static int
await_change(struct poller *po, nsec_t deadline)
{
	bool woken;
	int error = 0;

	spin_lock(&poll_lock);
	woken = po->po_woken;
	po->po_woken = false;
	if (woken) {
		spin_unlock(&poll_lock);
		return 0;
	}
	sleepq_enter(&poll_lock);
	sleepq_enqueue(&po->po_sleeper, po, "poll", &syncobj_cv, true);
	error = sleepq_block(deadline, true);
	return error;
}

int
poll_files(struct abi_pollfd *items, unsigned n, uint32_t always, nsec_t deadline)
{
	struct pollwait few[FEW], *waits = few;
	size_t size = n * sizeof(*waits);
	struct poller po = { .po_woken = false };
	int ready = scan(items, NULL, n, always), error = 0;

	if (ready != 0)
		return ready;
	if (deadline == 0)
		return lwp_interrupted(curlwp()) ? -ERESTARTNOHAND : 0;
	if (n > FEW && (!user_alloc_ok(size) || (waits = kmem_alloc(size)) == NULL))
		return -ENOMEM;
	list_init(&po.po_sleeper);
	enrol(items, waits, n, &po);
	while ((ready = scan(items, waits, n, always)) == 0 && error == 0)
		error = await_change(&po, deadline);
	withdraw(waits, n);
	if (waits != few)
		kmem_free(waits, size);
	if (ready != 0 || error == -EWOULDBLOCK)
		return ready;
	return error == -ERESTART ? -ERESTARTNOHAND : error;
}
