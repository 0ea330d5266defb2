/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes: a ring of bytes in up to 16 pages, which are allocated when they are first written to.
 *
 * pi_read and pi_write count bytes for ever; their difference is what the pipe holds, their
 * remainders are places in the ring. When the pipe runs empty both start again at the first page,
 * and all pages but that are freed.
 *
 * Locking: pi_lock, held while bytes are copied from and to user memory, which may fault: its rank
 * is below that of address spaces. A write of up to PIPE_BUF bytes is one piece; it appears when
 * all of it is copied. One waiter is woken at a time; whoever leaves bytes or room behind wakes the
 * next (pass_on()), so that none sleeps beside work it could do.
 */
#include <kernel/pipe.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <arch/arch_if.h>
#include <kernel/cred.h>
#include <kernel/cv.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/poll.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/uio.h>

/* struct pipe, field locks: (i) pi_lock (c) constant (s) its own */
struct pipe {
	struct mutex pi_lock;
	struct condvar pi_rcv;            /* readers wait for bytes */
	struct condvar pi_wcv;            /* writers wait for room */
	struct pollhead pi_poll;          /* (s) who polls either end */
	uint32_t pi_read, pi_write;       /* (i) */
	bool pi_reader, pi_writer;        /* (i) that end is open */
	struct page *pi_page[PIPE_PAGES]; /* (i) */
	uint64_t pi_ino;                  /* (c) */
};

static struct kmem_cache *pipe_cache;

void
pipe_init(void)
{
	pipe_cache = kmem_cache_create("pipe", sizeof(struct pipe), 8, KC_USER, NULL);
}

int
pipe_create(uint32_t flags, struct file **reader, struct file **writer)
{
	struct pipe *pi = kmem_cache_alloc(pipe_cache);

	if (pi == NULL)
		return -ENOMEM;
	*reader = file_alloc(&pipe_read_ops, FREAD, O_RDONLY | flags);
	if (*reader == NULL)
		goto free_pipe;
	*writer = file_alloc(&pipe_write_ops, FWRITE, O_WRONLY | flags);
	if (*writer == NULL)
		goto free_reader;
	memset(pi, 0, sizeof(*pi));
	mutex_init(&pi->pi_lock, "pipe", RANK_INODE);
	cv_init(&pi->pi_rcv, "pipe_rd");
	cv_init(&pi->pi_wcv, "pipe_wr");
	pollhead_init(&pi->pi_poll);
	pi->pi_reader = pi->pi_writer = true;
	pi->pi_ino = inode_new_number();
	(*reader)->f_pipe = (*writer)->f_pipe = pi;
	return 0;
free_reader:
	file_discard(*reader);
free_pipe:
	kmem_cache_free(pipe_cache, pi);
	return -ENOMEM;
}

static uint32_t
pipe_used(const struct pipe *pi)
{
	return pi->pi_write - pi->pi_read;
}

/* => pi_lock held, or nobody else has the pipe */
static void
free_pages(struct pipe *pi, unsigned from)
{
	for (unsigned i = from; i < PIPE_PAGES; i++)
		if (pi->pi_page[i] != NULL) {
			page_unref(pi->pi_page[i]);
			pi->pi_page[i] = NULL;
		}
}

static void
pipe_close(struct file *f)
{
	struct pipe *pi = f->f_pipe;
	bool gone;

	mutex_lock(&pi->pi_lock);
	if (f->f_ops == &pipe_read_ops)
		pi->pi_reader = false;
	else
		pi->pi_writer = false;
	gone = !pi->pi_reader && !pi->pi_writer;
	cv_broadcast(&pi->pi_rcv);
	cv_broadcast(&pi->pi_wcv);
	poll_notify(&pi->pi_poll);
	mutex_unlock(&pi->pi_lock);
	if (!gone)
		return;
	free_pages(pi, 0);
	cv_destroy(&pi->pi_rcv);
	cv_destroy(&pi->pi_wcv);
	mutex_destroy(&pi->pi_lock);
	kmem_cache_free(pipe_cache, pi);
}

/* Drops the lock and wakes the next who has something to do. */
static __always_inline void
pass_on(struct pipe *pi)
{
	bool bytes = pipe_used(pi) > 0, room = pipe_used(pi) < PIPE_SIZE;

	poll_notify(&pi->pi_poll);
	mutex_unlock(&pi->pi_lock);
	/* Our file keeps the pipe. */
	if (bytes)
		cv_signal(&pi->pi_rcv);
	if (room)
		cv_signal(&pi->pi_wcv);
}

/* The place of a position, and how far it reaches within its page. */
static char *
place(const struct pipe *pi, uint32_t pos, size_t *len)
{
	*len = PAGE_SIZE - (pos & PAGE_MASK);
	return (char *)page_to_virt(pi->pi_page[pos % PIPE_SIZE >> PAGE_SHIFT]) + (pos & PAGE_MASK);
}

/* Waits for bytes or the last writer's end. 1 = bytes, 0 = end of file, -EAGAIN, -ERESTART. */
static int
wait_for_bytes(struct pipe *pi, const struct file *f)
{
	int error;

	while (pipe_used(pi) == 0) {
		if (!pi->pi_writer)
			return 0;
		if ((atomic_load_relaxed(&f->f_flags) & O_NONBLOCK) != 0)
			return -EAGAIN;
		error = cv_wait_sig(&pi->pi_rcv, &pi->pi_lock);
		if (error != 0)
			return error;
	}
	return 1;
}

static int64_t
pipe_read(struct file *f, struct uio *u, uint64_t *off __unused)
{
	struct pipe *pi = f->f_pipe;
	int64_t done = 0;

	if (u->u_resid == 0)
		return 0;
	mutex_lock(&pi->pi_lock);
	done = wait_for_bytes(pi, f);
	if (done <= 0) {
		mutex_unlock(&pi->pi_lock);
		return done;
	}
	done = 0;
	while (u->u_resid > 0 && pipe_used(pi) > 0) {
		size_t chunk, n;
		const char *src = place(pi, pi->pi_read, &chunk);

		chunk = min(min(chunk, (size_t)pipe_used(pi)), u->u_resid);
		n = uio_put(u, src, chunk);
		pi->pi_read += (uint32_t)n;
		done += (int64_t)n;
		if (n < chunk) {
			if (done == 0)
				done = -EFAULT;
			break;
		}
	}
	if (pipe_used(pi) == 0) {
		if (pi->pi_write > PAGE_SIZE)
			free_pages(pi, 1);
		pi->pi_read = pi->pi_write = 0;
	}
	pass_on(pi);
	return done;
}

/*
 * Allocates what positions from pi_write on need, for up to n bytes; returns for how many there are
 * pages.
 */
static size_t
make_room(struct pipe *pi, size_t n)
{
	uint32_t pos = pi->pi_write, end = pi->pi_write + (uint32_t)n;

	while (pos != end) {
		struct page **pg = &pi->pi_page[pos % PIPE_SIZE >> PAGE_SHIFT];
		uint32_t next = (pos & ~(uint32_t)PAGE_MASK) + (uint32_t)PAGE_SIZE;

		if (*pg == NULL && (pmem_low() || (*pg = page_alloc(PG_MISC)) == NULL))
			return pos - pi->pi_write;
		pos = end - pos < next - pos ? end : next;
	}
	return n;
}

/* Copies n bytes, for which there is room, behind pi_write, which stays. Bytes copied. */
static size_t
append(struct pipe *pi, struct uio *u, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t chunk, got;
		char *dst = place(pi, pi->pi_write + (uint32_t)done, &chunk);

		chunk = min(chunk, n - done);
		got = uio_get(u, dst, chunk);
		done += got;
		if (got < chunk)
			break;
	}
	return done;
}

/*
 * One step of a write. Bytes written, or -EPIPE -EAGAIN -ERESTART -ENOMEM -EFAULT. => pi_lock held
 */
static int64_t
write_some(struct pipe *pi, const struct file *f, struct uio *u, bool whole)
{
	size_t want = whole ? u->u_resid : 1, n, got;
	int error;

	for (;;) {
		if (!pi->pi_reader)
			return -EPIPE;
		if (PIPE_SIZE - pipe_used(pi) >= want)
			break;
		if ((atomic_load_relaxed(&f->f_flags) & O_NONBLOCK) != 0)
			return -EAGAIN;
		error = cv_wait_sig(&pi->pi_wcv, &pi->pi_lock);
		if (error != 0)
			return error;
	}
	n = min(u->u_resid, (size_t)(PIPE_SIZE - pipe_used(pi)));
	got = make_room(pi, n);
	if (got == 0 || (whole && got < n))
		return -ENOMEM;
	n = got;
	got = append(pi, u, n);
	if (got < n && (whole || got == 0))
		return -EFAULT;
	pi->pi_write += (uint32_t)got;
	return (int64_t)got;
}

static void __noinline
tell_readers(struct pipe *pi)
{
	cv_signal(&pi->pi_rcv);
	poll_notify(&pi->pi_poll);
}

/* The writer's own signal, and its own in name, as on Linux. */
static void __noinline
broken_pipe(void)
{
	struct lwp *l = curlwp();
	siginfo_t info = { .si_signo = SIGPIPE, .si_code = SI_USER };

	info.u.rt.pid = l->l_proc->p_pid;
	info.u.rt.uid = cred_ruid();
	mutex_lock(&l->l_proc->p_lock);
	(void)sig_post_lwp(l, SIGPIPE, &info);
	mutex_unlock(&l->l_proc->p_lock);
}

static int64_t
pipe_write(struct file *f, struct uio *u, uint64_t *off __unused)
{
	struct pipe *pi = f->f_pipe;
	bool whole = u->u_resid <= PIPE_BUF;
	int64_t done = 0, n = 0;

	if (u->u_resid == 0)
		return 0;
	mutex_lock(&pi->pi_lock);
	for (;;) {
		n = write_some(pi, f, u, whole);
		if (n < 0)
			break;
		done += n;
		if (u->u_resid == 0)
			break;
		tell_readers(pi); /* before we wait for room */
	}
	pass_on(pi);
	if (unlikely(n == -EPIPE))
		broken_pipe();
	return done > 0 ? done : n;
}

static int64_t
pipe_ioctl(struct file *f, uint32_t cmd, uintptr_t arg)
{
	struct pipe *pi = f->f_pipe;
	uint32_t used;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&pi->pi_lock);
	used = pipe_used(pi);
	mutex_unlock(&pi->pi_lock);
	return arch_ustore_32(arg, used);
}

/* As on Linux: a write of PIPE_BUF bytes has room, or would find that nobody reads. */
static uint32_t
pipe_poll(struct file *f, struct pollhead **head)
{
	struct pipe *pi = f->f_pipe;
	uint32_t events = 0;

	*head = &pi->pi_poll;
	mutex_lock(&pi->pi_lock);
	if (f->f_ops == &pipe_read_ops) {
		events |= pipe_used(pi) > 0 ? POLL_READABLE : 0;
		events |= pi->pi_writer ? 0 : POLLHUP;
	} else {
		events |= PIPE_SIZE - pipe_used(pi) >= PIPE_BUF ? POLL_WRITABLE : 0;
		events |= pi->pi_reader ? 0 : POLLERR;
	}
	mutex_unlock(&pi->pi_lock);
	return events;
}

static void
pipe_stat(struct file *f, struct abi_stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = f->f_pipe->pi_ino;
	st->st_mode = S_IFIFO | 0600;
	st->st_nlink = 1;
	st->st_blksize = PAGE_SIZE;
}

int64_t
pipe_capacity(const struct file *f)
{
	return f->f_ops == &pipe_read_ops || f->f_ops == &pipe_write_ops ? (int64_t)PIPE_SIZE
									 : -EBADF;
}

const struct file_ops pipe_read_ops = {
	.fo_seek = SEEKS_NOT,
	.fo_read = pipe_read,
	.fo_ioctl = pipe_ioctl,
	.fo_poll = pipe_poll,
	.fo_stat = pipe_stat,
	.fo_close = pipe_close,
};

const struct file_ops pipe_write_ops = {
	.fo_seek = SEEKS_NOT,
	.fo_write = pipe_write,
	.fo_ioctl = pipe_ioctl,
	.fo_poll = pipe_poll,
	.fo_stat = pipe_stat,
	.fo_close = pipe_close,
};
