/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that wait for several files: poll ppoll select pselect6.
 *
 * select is poll with other clothes on: its sets become a list of descriptors, and what poll finds becomes sets.
 * A time that is left is written back, as on Linux, but for poll, which has no place for it. A call that starts
 * again when no handler has run goes on until its first deadline.
 */
#include <kernel/syscall.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/callout.h>
#include <kernel/cv.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/poll.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/timespec.h>

#define FEW 16 /* descriptors, or words of sets, for which no memory is asked for */

#define SELECT_IN  (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_OUT (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define SELECT_EX  POLLPRI

/* The deadline for a time from now: 0 = do not wait. */
static nsec_t
deadline_in(nsec_t t)
{
	return t == 0 ? 0 : time_now() + t;
}

static nsec_t
left_until(nsec_t deadline)
{
	nsec_t now = time_now();

	return deadline > now ? deadline - now : 0;
}

/* What both families do with a result: a call that is to start again keeps its deadline. */
static int64_t
result(int64_t r, nsec_t deadline)
{
	if (r == -ERESTARTNOHAND)
		curlwp()->l_restart_deadline = deadline;
	return r;
}

/* ---- poll ---- */

static int64_t
poll_user(uintptr_t ufds, uint32_t n, nsec_t deadline)
{
	struct abi_pollfd few[FEW], *items = few;
	size_t size = n * sizeof(*items);
	int64_t r;

	if (n > atomic_load_relaxed(&curproc()->p_rlimit[RLIMIT_NOFILE].cur) || n > FD_MAX)
		return -EINVAL;
	if (n > FEW && (!user_alloc_ok(size) || (items = kmem_alloc(size)) == NULL))
		return -ENOMEM;
	if (arch_copyin(items, ufds, size) != 0)
		r = -EFAULT;
	else
		r = poll_files(items, n, POLL_ALWAYS, deadline);
	for (uint32_t i = 0; r >= 0 && i < n; i++)
		if (arch_copyout(ufds + i * sizeof(*items) + offsetof(struct abi_pollfd, revents),
			&items[i].revents, sizeof(items[i].revents)) != 0)
			r = -EFAULT;
	if (items != few)
		kmem_free(items, size);
	return result(r, deadline);
}

/* (struct pollfd *fds, nfds_t n, int milliseconds) */
int64_t
sys_poll(const uint64_t *a)
{
	nsec_t deadline = restart_deadline(curlwp());
	int32_t ms = (int32_t)a[2];

	if (ms < 0)
		deadline = NSEC_FOREVER;
	else if (deadline == 0)
		deadline = deadline_in((nsec_t)ms * (NSEC_PER_SEC / 1000));
	return poll_user(a[0], (uint32_t)a[1], deadline);
}

/* ---- a signal mask and a time that is written back ---- */

/* What a call is to do about its mask; `umask` may be 0. */
static int
enter_mask(uintptr_t umask, uint64_t size)
{
	sigset_t mask;

	if (umask == 0)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (arch_ufetch_64(umask, &mask) != 0)
		return -EFAULT;
	sig_mask_enter(mask);
	return 0;
}

/* The deadline that a user's timespec stands for; `uts` may be 0. */
static int
read_timespec(uintptr_t uts, nsec_t *deadline)
{
	struct abi_timespec ts;
	nsec_t t, restarted = restart_deadline(curlwp());

	*deadline = NSEC_FOREVER;
	if (uts == 0)
		return 0;
	if (arch_copyin(&ts, uts, sizeof(ts)) != 0)
		return -EFAULT;
	if (from_timespec(&ts, &t) != 0)
		return -EINVAL;
	*deadline = restarted != 0 ? restarted : deadline_in(t);
	return 0;
}

/* Memory that cannot be written is no error, as on Linux: the call has done its work. */
static void
write_timespec(uintptr_t uts, nsec_t deadline)
{
	struct abi_timespec ts;

	if (uts == 0 || deadline == 0)
		return;
	ts = to_timespec(left_until(deadline));
	(void)arch_copyout(uts, &ts, sizeof(ts));
}

/* (struct pollfd *fds, unsigned n, struct timespec *time, const sigset_t *mask, size_t sigsetsize) */
int64_t
sys_ppoll(const uint64_t *a)
{
	nsec_t deadline;
	int64_t r;
	int error = read_timespec(a[2], &deadline);

	if (error != 0 || (error = enter_mask(a[3], a[4])) != 0)
		return error;
	r = poll_user(a[0], (uint32_t)a[1], deadline);
	if (a[3] != 0)
		sig_mask_leave(r == -ERESTARTNOHAND);
	write_timespec(a[2], deadline);
	return r;
}

/* ---- select ---- */

static const uint32_t select_events[3] = { SELECT_IN, SELECT_OUT, SELECT_EX };

static bool
in_set(const uint64_t *set, unsigned fd)
{
	return (set[fd / 64] >> fd % 64 & 1) != 0;
}

/* The events that the sets ask for at a descriptor; the sets follow one another. */
static uint32_t
asked(const uint64_t *sets, size_t words, unsigned fd)
{
	uint32_t events = 0;

	for (unsigned k = 0; k < 3; k++)
		if (in_set(sets + k * words, fd))
			events |= select_events[k];
	return events;
}

/* Leaves in the sets what is ready. Returns how many bits, or -EBADF. */
static int64_t
reduce(uint64_t *sets, size_t words, const struct abi_pollfd *items, unsigned count)
{
	int64_t bits = 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned fd = (unsigned)items[i].fd;
		uint32_t revents = (uint16_t)items[i].revents;

		if ((revents & POLLNVAL) != 0)
			return -EBADF;
		for (unsigned k = 0; k < 3; k++) {
			uint64_t *set = sets + k * words;

			if (!in_set(set, fd))
				continue;
			if ((revents & select_events[k]) != 0)
				bits++;
			else
				set[fd / 64] &= ~((uint64_t)1 << fd % 64);
		}
	}
	return bits;
}

/* => the sets hold no bit of `nfds` or above */
static int64_t
select_sets(uint64_t *sets, size_t words, unsigned nfds, nsec_t deadline)
{
	struct abi_pollfd few[FEW], *items = few;
	unsigned count = 0;
	size_t size;
	int64_t r;

	for (unsigned fd = 0; fd < nfds; fd++)
		count += asked(sets, words, fd) != 0;
	size = count * sizeof(*items);
	if (count > FEW && (!user_alloc_ok(size) || (items = kmem_alloc(size)) == NULL))
		return -ENOMEM;
	count = 0;
	for (unsigned fd = 0; fd < nfds; fd++) {
		uint32_t events = asked(sets, words, fd);

		if (events != 0)
			items[count++] =
			    (struct abi_pollfd){ .fd = (int32_t)fd, .events = (int16_t)events };
	}
	r = poll_files(items, count, POLLNVAL, deadline);
	if (r >= 0)
		r = reduce(sets, words, items, count);
	if (items != few)
		kmem_free(items, size);
	return r;
}

/*
 * (int nfds, fd_set *in, fd_set *out, fd_set *ex), and the deadline. As on Linux, the sets are not touched beyond the
 * table's size: programs pass the limit of descriptors, and sets that are smaller.
 */
static int64_t
select_user(const uint64_t *a, nsec_t deadline)
{
	int32_t nfds = (int32_t)a[0];
	unsigned n = min((unsigned)nfds, fd_bound());
	size_t words = (n + 63) / 64, size = 3 * words * sizeof(uint64_t);
	uint64_t few[3 * FEW], *sets = few;
	int64_t r = 0;

	if (nfds < 0)
		return -EINVAL;
	if (words > FEW && (!user_alloc_ok(size) || (sets = kmem_alloc(size)) == NULL))
		return -ENOMEM;
	memset(sets, 0, size);
	for (unsigned k = 0; k < 3 && r == 0; k++)
		if (a[1 + k] != 0)
			r = arch_copyin(sets + k * words, a[1 + k], words * sizeof(uint64_t));
	for (unsigned k = 0; k < 3 && n % 64 != 0; k++)
		sets[k * words + words - 1] &= ((uint64_t)1 << n % 64) - 1;
	if (r == 0)
		r = select_sets(sets, words, n, deadline);
	for (unsigned k = 0; k < 3 && r >= 0; k++)
		if (a[1 + k] != 0 &&
		    arch_copyout(a[1 + k], sets + k * words, words * sizeof(uint64_t)) != 0)
			r = -EFAULT;
	if (sets != few)
		kmem_free(sets, size);
	return result(r, deadline);
}

/* (int nfds, fd_set *in, fd_set *out, fd_set *ex, struct timeval *time) */
int64_t
sys_select(const uint64_t *a)
{
	nsec_t deadline = restart_deadline(curlwp()), t;
	struct abi_timespec ts;
	struct abi_timeval tv;
	int64_t r;

	if (a[4] == 0)
		return select_user(a, NSEC_FOREVER);
	if (arch_copyin(&tv, a[4], sizeof(tv)) != 0)
		return -EFAULT;
	if (tv.tv_sec < 0 || tv.tv_usec < 0)
		return -EINVAL;
	/* Microseconds may be more than a second. */
	ts.tv_sec =
	    (int64_t)min((uint64_t)tv.tv_sec + (uint64_t)tv.tv_usec / 1000000, (uint64_t)SEC_MAX);
	ts.tv_nsec = tv.tv_usec % 1000000 * 1000;
	(void)from_timespec(&ts, &t);
	if (deadline == 0)
		deadline = deadline_in(t);
	r = select_user(a, deadline);
	if (deadline != 0) {
		t = left_until(deadline);
		tv.tv_sec = (int64_t)(t / NSEC_PER_SEC);
		tv.tv_usec = (int64_t)(t % NSEC_PER_SEC / NSEC_PER_USEC);
		(void)arch_copyout(a[4], &tv, sizeof(tv)); /* as write_timespec() */
	}
	return r;
}

/*
 * (int nfds, fd_set *in, fd_set *out, fd_set *ex, struct timespec *time, const struct { const sigset_t *mask; size_t
 * size; } *)
 */
int64_t
sys_pselect6(const uint64_t *a)
{
	uint64_t mask[2] = { 0, 0 };
	nsec_t deadline;
	int64_t r;
	int error = read_timespec(a[4], &deadline);

	if (error == 0 && a[5] != 0)
		error = arch_copyin(mask, a[5], sizeof(mask));
	if (error != 0 || (error = enter_mask(mask[0], mask[1])) != 0)
		return error;
	r = select_user(a, deadline);
	if (mask[0] != 0)
		sig_mask_leave(r == -ERESTARTNOHAND);
	write_timespec(a[4], deadline);
	return r;
}
