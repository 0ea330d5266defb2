/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving bytes between the kernel and a vector of user buffers.
 */
#include <kernel/uio.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/kmem.h>
#include <kernel/sched.h>

/* Does the buffer lie in user space? As Linux, this is asked before anything else is done. */
static bool
in_user_space(uintptr_t buf, size_t len)
{
	return len <= USER_END && buf <= USER_END - len;
}

int
uio_single(struct uio *u, uintptr_t buf, size_t len)
{
	if ((int64_t)len < 0 || !in_user_space(buf, len))
		return -EFAULT;
	u->u_small[0] = (struct iovec){ buf, len };
	u->u_iov = u->u_small;
	u->u_off = 0;
	u->u_resid = min(len, MAX_RW);
	u->u_alloc = 0;
	return 0;
}

int
uio_vector(struct uio *u, uintptr_t uvec, uint64_t count)
{
	struct iovec *vec = u->u_small;
	size_t total = 0;
	int error = -EFAULT;

	if (count > IOV_MAX)
		return -EINVAL;
	u->u_alloc = 0;
	if (count > UIO_SMALL) {
		vec = kmem_alloc(count * sizeof(*vec));
		if (vec == NULL)
			return -ENOMEM;
		u->u_alloc = (uint32_t)count;
		u->u_vec = vec;
	}
	if (arch_copyin(vec, uvec, count * sizeof(*vec)) != 0)
		goto fail;
	for (uint64_t i = 0; i < count; i++) {
		if ((int64_t)vec[i].iov_len < 0) {
			error = -EINVAL;
			goto fail;
		}
		if (!in_user_space(vec[i].iov_base, vec[i].iov_len))
			goto fail;
		total += min(vec[i].iov_len, MAX_RW - total);
	}
	u->u_iov = vec;
	u->u_off = 0;
	u->u_resid = total;
	return 0;
fail:
	uio_free(u);
	return error;
}

void
uio_free(struct uio *u)
{
	if (u->u_alloc != 0)
		kmem_free(u->u_vec, u->u_alloc * sizeof(*u->u_vec));
}

/* The next piece of user memory, of at most n bytes, which is not 0. */
static size_t
next_piece(struct uio *u, size_t n, uintptr_t *addr)
{
	while (u->u_off == u->u_iov->iov_len) {
		u->u_iov++;
		u->u_off = 0;
	}
	*addr = u->u_iov->iov_base + u->u_off;
	return min(n, u->u_iov->iov_len - u->u_off);
}

static void
advance(struct uio *u, size_t n)
{
	u->u_off += n;
	u->u_resid -= n;
}

size_t
uio_put(struct uio *u, const void *src, size_t n)
{
	const char *s = src;
	size_t done = 0;

	n = min(n, u->u_resid);
	while (done < n) {
		uintptr_t addr;
		size_t piece = next_piece(u, n - done, &addr);

		if (arch_copyout(addr, s + done, piece) != 0)
			break;
		advance(u, piece);
		done += piece;
	}
	return done;
}

size_t
uio_get(struct uio *u, void *dst, size_t n)
{
	char *d = dst;
	size_t done = 0;

	n = min(n, u->u_resid);
	while (done < n) {
		uintptr_t addr;
		size_t piece = next_piece(u, n - done, &addr);

		if (arch_copyin(d + done, addr, piece) != 0)
			break;
		advance(u, piece);
		done += piece;
	}
	return done;
}

size_t
uio_zero(struct uio *u, size_t n)
{
	size_t done = 0;

	n = min(n, u->u_resid);
	while (done < n) {
		uintptr_t addr;
		size_t piece = next_piece(u, n - done, &addr);

		piece = min(piece, PAGE_SIZE);
		if (arch_uzero(addr, piece) != 0)
			break;
		advance(u, piece);
		done += piece;
		preempt_point();
		if (lwp_interrupted(curlwp()))
			break;
	}
	return done;
}
