/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices without hardware: null, zero, full, random; stats, the kernel's counters as text; and, in debug builds, debug, to which
 * commands for the kernel's self-tests are written.
 */
#include <kernel/file.h>

#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/cpu.h>
#include <kernel/debug.h>
#include <kernel/printf.h>
#include <kernel/random.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/uio.h>

static int64_t
null_read(struct file *f __unused, struct uio *u __unused, uint64_t *off __unused)
{
	return 0;
}

static int64_t
null_write(struct file *f __unused, struct uio *u, uint64_t *off __unused)
{
	return (int64_t)u->u_resid;
}

static int64_t
zero_read(struct file *f __unused, struct uio *u, uint64_t *off __unused)
{
	size_t want = u->u_resid, n = uio_zero(u, want);

	return n == 0 && want != 0 ? -EFAULT : (int64_t)n;
}

static int64_t
full_write(struct file *f __unused, struct uio *u, uint64_t *off __unused)
{
	return u->u_resid == 0 ? 0 : -ENOSPC;
}

static int64_t
random_read(struct file *f __unused, struct uio *u, uint64_t *off __unused)
{
	uint8_t bytes[256];
	int64_t done = 0;

	while (u->u_resid > 0) {
		size_t chunk = min(u->u_resid, sizeof(bytes)), n;

		random_bytes(bytes, chunk);
		n = uio_put(u, bytes, chunk);
		done += (int64_t)n;
		if (n < chunk)
			return done > 0 ? done : -EFAULT;
		preempt_point();
		if (lwp_interrupted(curlwp()))
			break; /* as on Linux, any signal ends it */
	}
	return done;
}

/* Counters of all CPUs, a line each. */
static int64_t
stats_read(struct file *f __unused, struct uio *u, uint64_t *off)
{
	uint64_t exits = 0, switches = 0, syscalls = 0, lwps = 0, stacks = 0, pages = 0;
	char text[256];
	struct cpu *ci;
	size_t len, n;

	for_each_cpu(ci)
	{
		exits += ci->ci_nexit;
		switches += ci->ci_nswitch;
		syscalls += ci->ci_nsyscall;
		lwps += ci->ci_xlwps;
		stacks += ci->ci_xstacks;
		pages += ci->ci_xpages;
	}
	len = (size_t)snprintf(text, sizeof(text),
	    "exits %lu\nswitches %lu\nsyscalls %lu\nremote_lwps %lu\nremote_stacks %lu\n"
	    "remote_pages %lu\n",
	    exits, switches, syscalls, lwps, stacks, pages);
	if (*off >= len)
		return 0;
	n = min(u->u_resid, len - (size_t)*off);
	if (uio_put(u, text + *off, n) < n)
		return -EFAULT;
	*off += n;
	return (int64_t)n;
}

static const struct file_ops stats_ops = { .fo_seek = SEEKS_FILE, .fo_read = stats_read };

const struct file_ops null_ops = {
	.fo_seek = SEEKS_ZERO, .fo_read = null_read, .fo_write = null_write
};
const struct file_ops zero_ops = {
	.fo_seek = SEEKS_ZERO, .fo_read = zero_read, .fo_write = null_write
};
const struct file_ops full_ops = {
	.fo_seek = SEEKS_ZERO, .fo_read = zero_read, .fo_write = full_write
};
const struct file_ops random_ops = {
	.fo_seek = SEEKS_ZERO, .fo_read = random_read, .fo_write = null_write
};

#ifdef DEBUG
/* A write is one command; its result is that of the write. */
static int64_t
debug_write(struct file *f __unused, struct uio *u, uint64_t *off __unused)
{
	char cmd[256];
	size_t len = u->u_resid;
	int error;

	if (len >= sizeof(cmd))
		return -EINVAL;
	if (uio_get(u, cmd, len) < len)
		return -EFAULT;
	cmd[len] = '\0';
	if (len > 0 && cmd[len - 1] == '\n')
		cmd[len - 1] = '\0';
	error = debug_command(cmd);
	return error != 0 ? error : (int64_t)len;
}

const struct file_ops debug_ops = {
	.fo_seek = SEEKS_NOT, .fo_read = null_read, .fo_write = debug_write
};
#endif

static const struct {
	const char *name;
	uint32_t mode;
	uint64_t rdev;
	const struct file_ops *ops;
} devices[] = {
	{ "null", 0666, DEV(1, 3), &null_ops },
	{ "zero", 0666, DEV(1, 5), &zero_ops },
	{ "full", 0666, DEV(1, 7), &full_ops },
	{ "random", 0666, DEV(1, 8), &random_ops },
	{ "urandom", 0666, DEV(1, 9), &random_ops },
	{ "stats", 0444, DEV(240, 1), &stats_ops },
	{ "tty", 0666, DEV(5, 0), &tty_ops },
	{ "console", 0600, DEV(5, 1), &console_ops },
#ifdef DEBUG
	{ "debug", 0600, DEV(240, 0), &debug_ops },
#endif
};

void
devices_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (inode_add_device(
			devices[i].name, devices[i].mode, devices[i].rdev, devices[i].ops) != 0)
			panic("fs: cannot make /dev/%s", devices[i].name);
}
