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
 * interrupt may tell of a change. It is let go after each WAKE_BATCH, with a pollwait of nobody as the mark where to
 * go on: anybody may put thousands on a head, and interrupts are off meanwhile. For the same reason a poller is on
 * a head once, if nobody else comes between, however often it names the file. A poller holds its files from its first
 * look on; a descriptor that is closed or opened anew meanwhile does not matter, as on Linux.
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
#define WAKE_BATCH    32 /* pollers woken in one hold of poll_lock */

/* struct poller, field locks: (p) poll_lock */
struct poller {
	struct list po_sleeper; /* (p) sleep queue, of one LWP */
	bool po_woken;          /* (p) since it last looked */
};

/* struct pollwait, field locks: (p) poll_lock (o) its poller only */
struct pollwait {
	struct list pw_link;      /* (p) */
	struct poller *pw_poller; /* (o) constant while it is on a head; NULL: a mark */
	struct pollhead *pw_head; /* (o) NULL: it is on none */
	struct fref pw_file;      /* (o) */
};

static struct spinlock poll_lock = SPINLOCK_INIT("poll", RANK_SLEEPQ);

void
pollhead_init(struct pollhead *ph)
{
	list_init(&ph->ph_waits);
	ph->ph_count = 0;
}

/* Whose pollwait is this? NULL: a mark. => poll_lock held */
static struct poller *
poller_of(struct list *e)
{
	return container_of(e, struct pollwait, pw_link)->pw_poller;
}

/* Lets the lock go for a moment. Returns what is before the next now, which may be the head. => poll_lock held */
static struct list *
breathe_at(struct list *e)
{
	struct pollwait mark = { .pw_poller = NULL };

	list_insert_after(e, &mark.pw_link);
	spin_unlock(&poll_lock);
	spin_lock(&poll_lock);
	e = mark.pw_link.prev;
	list_remove(&mark.pw_link);
	return e;
}

/* Who comes while this is under way looks later anyway: as many as there were at the beginning are enough. */
void
poll_wake(struct pollhead *ph)
{
	struct list *e = &ph->ph_waits;
	uint32_t left;

	spin_lock(&poll_lock);
	left = ph->ph_count;
	while (left > 0 && (e = e->next) != &ph->ph_waits) {
		struct poller *po = poller_of(e);

		if (po == NULL)
			continue;
		if (!po->po_woken) { /* else it does not sleep */
			po->po_woken = true;
			sleepq_wake(&po->po_sleeper, po, 1);
		}
		if (--left % WAKE_BATCH == 0 && left > 0)
			e = breathe_at(e);
	}
	spin_unlock(&poll_lock);
}

/* Between the descriptors of a long list. */
static inline void
breathe(unsigned i)
{
	if (i % PREEMPT_EVERY == PREEMPT_EVERY - 1)
		preempt_point();
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
		breathe(i);
	}
	return ready;
}

static void
join(struct pollwait *pw)
{
	struct pollhead *ph = pw->pw_head;

	spin_lock(&poll_lock);
	if (ph->ph_count != 0 && poller_of(ph->ph_waits.prev) == pw->pw_poller)
		pw->pw_head = NULL; /* the one before it does for both */
	else {
		list_insert_tail(&ph->ph_waits, &pw->pw_link);
		atomic_store_relaxed(&ph->ph_count, ph->ph_count + 1);
	}
	spin_unlock(&poll_lock);
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
		if (pw->pw_head != NULL)
			join(pw);
		breathe(i);
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
		breathe(i);
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
