/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console as a file. Options and sources of input: see <kernel/console.h>.
 *
 * Locking: con_writing is set for a whole write, so that writes do not mix; as a write may be long, and the line slow,
 * it is no mutex: a signal ends the wait for it, and the write itself after the piece at hand. con_reading is held by
 * the reader who takes bytes, not while it waits for them; it shows the bytes to user memory first
 * and takes them when they have arrived, so a bad address loses none. One reader is woken at a time; whoever
 * leaves bytes behind, or may not take them, wakes the next (pass_on()). The line discipline's state,
 * which the interrupt handler changes too, is guarded by the spin lock of the readers' sleep queue.
 * That is not held from the look at the bytes to their taking: con_reading keeps other readers out
 * of the gap, and the generation tells of a flush (TCSETSF, a signal) in it.
 *
 * A character that stands for a signal is noted in tty_signals by the interrupt, which may not take the locks that
 * signals need; a kernel thread sends it to the foreground group.
 */
#include <kernel/console.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/signal.h>
#include <arch/arch_if.h>
#include <kernel/ctty.h>
#include <kernel/cv.h>
#include <kernel/file.h>
#include <kernel/kmem.h>
#include <kernel/options.h>
#include <kernel/poll.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/uio.h>

#include "tty.h"

#define CHUNK    256
#define ITEM     "opt/threadbare/stdin"
#define ITEM_MAX ((size_t)4 << 20)
#define ROWS     24
#define COLUMNS  80

enum source { SOURCE_DEFAULT, SOURCE_NONE, SOURCE_TTY, SOURCE_SERIAL, SOURCE_ITEM };

static enum source source; /* constant after boot */
static bool cooked;        /* constant after boot */
static char *item;         /* constant after boot */
static size_t item_size;   /* constant after boot */
static size_t item_done;   /* under con_reading */

static struct mutex con_output = MUTEX_INIT("console output", RANK_INODE);
static bool con_writing;                                            /* under con_output */
static struct condvar con_written = CV_INIT(con_written, "ttyout"); /* with con_output */
static struct mutex con_reading = MUTEX_INIT("console input", RANK_INODE);
static struct tty tty;                           /* under sleepq_lock_of(&tty) */
static struct list readers = LIST_INIT(readers); /* under sleepq_lock_of(&tty) */
static struct pollhead pollers = POLLHEAD_INIT(pollers);
static sigset_t tty_signals;                     /* under sleepq_lock_of(&tty): to be sent */
static struct list senders = LIST_INIT(senders); /* under sleepq_lock_of(&tty): the thread */

/* ---- options and start ---- */

static int
set_console(const char *value)
{
	cooked = strcmp(value, "cooked") == 0;
	return cooked || strcmp(value, "raw") == 0 ? 0 : -EINVAL;
}
OPTION(console, "raw cooked", set_console);

static int
set_stdin(const char *value)
{
	if (strcmp(value, "none") == 0)
		source = SOURCE_NONE;
	else if (strcmp(value, "tty") == 0)
		source = SOURCE_TTY;
	else if (strcmp(value, "serial") == 0)
		source = SOURCE_SERIAL;
	else
		return -EINVAL;
	return 0;
}
OPTION(stdin, "none tty serial", set_stdin);

/* Kernel thread, for ever: sends what was typed to whoever is in the foreground. */
static void __noreturn
signal_thread(void *arg __unused)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	sigset_t set;

	for (;;) {
		spin_lock(lock);
		set = tty_signals;
		tty_signals = 0;
		if (set == 0) {
			sleepq_enter(lock);
			sleepq_enqueue(&senders, &tty_signals, "ttysig", &syncobj_cv, false);
			(void)sleepq_block(NSEC_FOREVER, false);
			continue;
		}
		spin_unlock(lock);
		for (; set != 0; set &= set - 1)
			ctty_signal(__builtin_ctzll(set) + 1);
	}
}

bool
console_is_tty(void)
{
	return source == SOURCE_TTY;
}

void
console_init(void)
{
	ssize_t size = arch_fwcfg_size(ITEM);
	int error;

	if (source == SOURCE_DEFAULT)
		source = cooked ? SOURCE_TTY : SOURCE_NONE;
	if (size >= 0) {
		if ((size_t)size > ITEM_MAX)
			panic("console: %zd bytes of standard input, at most %zu are possible",
			    size, ITEM_MAX);
		item_size = (size_t)size;
		if (size > 0 && (item = kmem_alloc(item_size)) == NULL)
			panic("console: no memory for %zd bytes of standard input", size);
		if (size > 0 && arch_fwcfg_read(ITEM, item, item_size) != 0)
			panic("console: cannot read the standard input");
		source = SOURCE_ITEM;
	}
	tty_init(&tty, source == SOURCE_SERIAL);
	if (!cooked)
		tty.t_modes.c_oflag = 0;
	if (source == SOURCE_TTY &&
	    (error = kthread_create("tty", PRI_KERNEL_RT, signal_thread, NULL, NULL)) != 0)
		panic("console: thread: error %d", error);
	arch_console_intr_enable(); /* for a break, whatever the source */
}

/* ---- input ---- */

/* Upcall: a character came. => interrupt context */
void
console_input(char c)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	char echo[TTY_ECHO];
	unsigned n;
	bool wake;
	int sig;

	if (source != SOURCE_TTY && source != SOURCE_SERIAL)
		return;
	spin_lock(lock);
	n = tty_input(&tty, c, echo, &wake, &sig);
	if (wake)
		sleepq_wake(&readers, &tty, 1);
	if (sig != 0) {
		tty_signals |= SIGBIT(sig);
		sleepq_wake(&senders, &tty_signals, 1);
	}
	spin_unlock(lock);
	if (wake)
		poll_notify(&pollers);
	arch_console_write(echo, n);
}

/* Upcall: may it come? A stream's sender waits rather than lose anything. => interrupt context */
bool
console_input_room(void)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	bool room;

	spin_lock(lock);
	room = tty_room(&tty);
	spin_unlock(lock);
	return room;
}

static int64_t
read_item(struct uio *u)
{
	size_t want, n;

	mutex_lock(&con_reading);
	want = min(u->u_resid, item_size - item_done);
	n = uio_put(u, item + item_done, want);
	item_done += n;
	mutex_unlock(&con_reading);
	return n == 0 && want != 0 ? -EFAULT : (int64_t)n;
}

/* Waits until the line discipline has something. 0, -EAGAIN, -ERESTART. */
static int
wait_for_input(bool nonblock)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	int error;

	spin_lock(lock);
	while (tty.t_tail == tty.t_line) {
		if (nonblock) {
			spin_unlock(lock);
			return -EAGAIN;
		}
		sleepq_enter(lock);
		sleepq_enqueue(&readers, &tty, "ttyin", &syncobj_cv, true);
		error = sleepq_block(NSEC_FOREVER, true);
		if (error != 0)
			return error;
		spin_lock(lock);
	}
	spin_unlock(lock);
	return 0;
}

/* What is there, up to the end of a line. Bytes; -EFAULT; *again: another reader was quicker. */
static int64_t
read_available(struct uio *u, bool *again)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	char bytes[CHUNK];
	uint32_t got, take, gen;
	int64_t done = 0;
	bool restart;
	size_t n;

	*again = false;
	mutex_lock(&con_reading);
	do {
		spin_lock(lock);
		got = tty_peek(&tty, bytes, (uint32_t)min(u->u_resid, sizeof(bytes)), &take);
		gen = tty.t_gen;
		spin_unlock(lock);
		*again = take == 0 && done == 0;
		n = uio_put(u, bytes, got);
		done += (int64_t)n;
		if (n < got) {
			take = (uint32_t)n;
			done = done == 0 ? -EFAULT : done;
		}
		spin_lock(lock);
		restart = tty_take(&tty, gen, take);
		spin_unlock(lock);
		if (restart)
			arch_console_resume();
		/* Go on only in a long line, or a stream, that the buffer cut. */
	} while (n == sizeof(bytes) && take == n && bytes[n - 1] != '\n' && u->u_resid > 0);
	mutex_unlock(&con_reading);
	return done;
}

static void
pass_on(void)
{
	struct spinlock *lock = sleepq_lock_of(&tty);

	spin_lock(lock);
	if (tty.t_tail != tty.t_line)
		sleepq_wake(&readers, &tty, 1);
	spin_unlock(lock);
}

static int
may_read(void)
{
	return source == SOURCE_TTY ? ctty_check(SIGTTIN) : 0;
}

static int64_t
console_read(struct file *f, struct uio *u, uint64_t *off __unused)
{
	bool nonblock = (atomic_load_relaxed(&f->f_flags) & O_NONBLOCK) != 0, again;
	int64_t n;
	int error;

	if (u->u_resid == 0 || source == SOURCE_NONE)
		return 0;
	if (source == SOURCE_ITEM)
		return read_item(u);
	do {
		/* Asked again after the wait: the foreground may have changed while it was stopped there. */
		if ((error = may_read()) != 0 || (error = wait_for_input(nonblock)) != 0 ||
		    (error = may_read()) != 0) {
			n = error;
			break;
		}
		n = read_available(u, &again);
	} while (again);
	pass_on();
	return n;
}

/* ---- output ---- */

static void
put_text(const char *s, size_t n)
{
	char out[2 * CHUNK];
	size_t k = 0;

	if ((tty.t_modes.c_oflag & (OPOST | ONLCR)) !=
	    (OPOST | ONLCR)) { /* one word, read without the lock */
		arch_console_write(s, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n')
			out[k++] = '\r';
		out[k++] = s[i];
	}
	arch_console_write(out, k);
}

/* 0; -ERESTART, -EINTR */
static int
write_begin(void)
{
	int error = 0;

	mutex_lock(&con_output);
	while (con_writing && error == 0)
		error = cv_wait_sig(&con_written, &con_output);
	if (error == 0)
		con_writing = true;
	mutex_unlock(&con_output);
	return error;
}

static void
write_end(void)
{
	mutex_lock(&con_output);
	con_writing = false;
	cv_signal(&con_written);
	mutex_unlock(&con_output);
}

static int64_t
console_write(struct file *f __unused, struct uio *u, uint64_t *off __unused)
{
	char text[CHUNK];
	int64_t done = 0;
	int error;

	/* One word, read without the lock. */
	if (unlikely(tty.t_modes.c_lflag & TOSTOP) && source == SOURCE_TTY &&
	    (error = ctty_check(SIGTTOU)) != 0)
		return error;
	if ((error = write_begin()) != 0)
		return error;
	while (u->u_resid > 0) {
		size_t chunk = min(u->u_resid, sizeof(text)), n = uio_get(u, text, chunk);

		put_text(text, n);
		done += (int64_t)n;
		if (n < chunk) {
			done = done == 0 ? -EFAULT : done;
			break;
		}
		preempt_point();
		if (lwp_interrupted(curlwp()))
			break; /* as on Linux, any signal ends it */
	}
	write_end();
	return done;
}

/* ---- terminal calls: only a person's terminal is one ---- */

static int64_t
set_modes(uintptr_t arg, bool flush)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	struct abi_termios modes;
	bool restart;
	int error;

	if ((error = ctty_check(SIGTTOU)) != 0)
		return error;
	if (arch_copyin(&modes, arg, sizeof(modes)) != 0)
		return -EFAULT;
	spin_lock(lock);
	restart = tty_set_modes(&tty, &modes, flush);
	if (tty.t_tail != tty.t_line)
		sleepq_wake(&readers, &tty, 1);
	spin_unlock(lock);
	poll_notify(&pollers);
	if (restart)
		arch_console_resume();
	return 0;
}

static int64_t
set_foreground(uintptr_t arg)
{
	int error = ctty_check(SIGTTOU);
	pid_t id;

	if (error != 0)
		return error == -EIO ? -ENOTTY : error; /* as in Linux */
	if (!ctty_is_own())
		return -ENOTTY;
	if (arch_ufetch_32(arg, (uint32_t *)&id) != 0)
		return -EFAULT;
	return ctty_set_pgrp(id);
}

static int64_t
tell_id(int id, uintptr_t arg)
{
	return id < 0 ? id : arch_ustore_32(arg, (uint32_t)id);
}

static int64_t
console_ioctl(struct file *f __unused, uint32_t cmd, uintptr_t arg)
{
	const struct abi_winsize ws = { .ws_row = ROWS, .ws_col = COLUMNS };
	struct spinlock *lock = sleepq_lock_of(&tty);
	struct abi_termios modes;
	uint32_t n;

	if (source != SOURCE_TTY)
		return -ENOTTY;
	switch (cmd) {
	case TCGETS:
		spin_lock(lock);
		modes = tty.t_modes;
		spin_unlock(lock);
		return arch_copyout(arg, &modes, sizeof(modes));
	case TCSETS:
	case TCSETSW: /* output is never behind */
		return set_modes(arg, false);
	case TCSETSF:
		return set_modes(arg, true);
	case TIOCSCTTY:
		return ctty_acquire(arg == 1);
	case TIOCNOTTY:
		return ctty_release();
	case TIOCGPGRP:
		return tell_id(ctty_get_pgrp(), arg);
	case TIOCSPGRP:
		return set_foreground(arg);
	case TIOCGSID:
		return tell_id(ctty_get_sid(), arg);
	case TIOCGWINSZ:
		return arch_copyout(arg, &ws, sizeof(ws));
	case FIONREAD:
		spin_lock(lock);
		n = tty_available(&tty);
		spin_unlock(lock);
		return arch_ustore_32(arg, n);
	default:
		return -ENOTTY;
	}
}

static uint32_t
console_poll(struct file *f __unused, struct pollhead **head)
{
	struct spinlock *lock = sleepq_lock_of(&tty);
	bool readable = true; /* the end of the file, if nothing else */

	*head = NULL;
	if (source == SOURCE_TTY || source == SOURCE_SERIAL) {
		*head = &pollers;
		spin_lock(lock);
		readable = tty.t_tail != tty.t_line;
		spin_unlock(lock);
	}
	return POLL_WRITABLE | (readable ? POLL_READABLE : 0);
}

/* /dev/tty is there only for whoever has a controlling terminal. */
static int
tty_open(struct file *f __unused)
{
	return source == SOURCE_TTY && ctty_is_own() ? 0 : -ENXIO;
}

const struct file_ops console_ops = {
	.fo_seek = SEEKS_NOT,
	.fo_read = console_read,
	.fo_write = console_write,
	.fo_ioctl = console_ioctl,
	.fo_poll = console_poll,
};

const struct file_ops tty_ops = {
	.fo_seek = SEEKS_NOT,
	.fo_open = tty_open,
	.fo_read = console_read,
	.fo_write = console_write,
	.fo_ioctl = console_ioctl,
	.fo_poll = console_poll,
};
