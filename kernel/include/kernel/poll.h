/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for one of several files: poll, select. See kernel/fs/poll.c.
 * layer: fs
 */
#ifndef KERNEL_POLL_H
#define KERNEL_POLL_H

#include <abi/poll.h>
#include <kernel/atomic.h>
#include <kernel/list.h>

/*
 * Whoever waits for a change of a file's readiness. A file that can be unready has one, and tells of changes
 * by poll_notify().
 *
 * struct pollhead, field locks: (p) poll_lock (a) atomic, written under poll_lock
 */
struct pollhead {
	struct list ph_waits; /* (p) */
	uint32_t ph_count;    /* (a) how many */
};

#define POLLHEAD_INIT(h) \
	{ \
		.ph_waits = LIST_INIT((h).ph_waits) \
	}
#define POLL_READABLE (POLLIN | POLLRDNORM)
#define POLL_WRITABLE (POLLOUT | POLLWRNORM)
#define POLL_ALWAYS   (POLLERR | POLLHUP | POLLNVAL) /* what poll reports unasked */

void pollhead_init(struct pollhead *);
void poll_wake(struct pollhead *) __cold;

/*
 * The file has become ready, or may have. => after the change, which was made under the lock that fo_poll
 * takes; that may be held or not, but the head stays; no spin lock of rank RANK_SLEEPQ or above held; any context
 */
static inline void
poll_notify(struct pollhead *ph)
{
	if (unlikely(atomic_load_relaxed(&ph->ph_count) != 0))
		poll_wake(ph);
}

/*
 * poll_files: wait until one of n descriptors has an event that was asked for or is in `always`, and set all
 * revents. `deadline` is absolute; 0 = do not wait, NSEC_FOREVER. A negative descriptor is left out.
 * Returns how many have events, 0 = time is over, -ENOMEM -EINTR -ERESTARTNOHAND.
 * => no lock held; sleeps
 */
int poll_files(struct abi_pollfd *, unsigned n, uint32_t always, nsec_t deadline);

#endif
