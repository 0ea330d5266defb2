/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals of one process: handlers, masks, siginfo, flags, alternate stacks,
 * jumps out of handlers, restart, permissions and errors.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

static volatile int count, depth, max_depth, order[8], n_order;
static volatile siginfo_t info;
static volatile uintptr_t handler_sp;
static sigset_t mask_seen;
static sigjmp_buf jmp;

static void
on_sig(int sig, siginfo_t *si, void *uc)
{
	char here;

	(void)uc;
	count++;
	if (n_order < 8)
		order[n_order++] = sig;
	info = *si;
	handler_sp = (uintptr_t)&here;
	sigprocmask(SIG_SETMASK, NULL, &mask_seen);
}

static void
handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags, int block)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&sa.sa_mask);
	if (block != 0)
		sigaddset(&sa.sa_mask, block);
	sigaction(sig, &sa, NULL);
	count = n_order = 0;
}

static void
mask(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	if (sig != 0)
		sigaddset(&set, sig);
	sigprocmask(how, &set, NULL);
}

static void
test_basic(void)
{
	struct sigaction sa;

	handle(SIGUSR1, on_sig, 0, SIGUSR2);
	is_int(kill(getpid(), SIGUSR1), 0, "kill oneself");
	is_int(count, 1, "the handler ran before kill returned");
	is_int(info.si_signo, SIGUSR1, "si_signo");
	is_int(info.si_code, SI_USER, "si_code is SI_USER");
	ok(info.si_pid == getpid() && info.si_uid == getuid(), "si_pid and si_uid");
	ok(sigismember(&mask_seen, SIGUSR1) && sigismember(&mask_seen, SIGUSR2),
	    "the handler ran with its signal and its mask blocked");
	sigprocmask(SIG_SETMASK, NULL, &mask_seen);
	ok(!sigismember(&mask_seen, SIGUSR1) && !sigismember(&mask_seen, SIGUSR2),
	    "and both are free again");
	raise(SIGUSR1);
	is_int(info.si_code, SI_TKILL, "raise: si_code is SI_TKILL");
	sigaction(SIGUSR1, NULL, &sa);
	ok(sa.sa_sigaction == on_sig && (sa.sa_flags & SA_SIGINFO) &&
		sigismember(&sa.sa_mask, SIGUSR2),
	    "sigaction gives back what was set");
}

static void
test_mask(void)
{
	sigset_t set;

	handle(SIGUSR1, on_sig, 0, 0);
	mask(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	is_int(count, 0, "a blocked signal waits");
	mask(SIG_UNBLOCK, SIGUSR1);
	is_int(count, 1, "and comes once when unblocked");
	mask(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	handle(SIGUSR1, on_sig, 0, 0);
	mask(SIG_UNBLOCK, SIGUSR1);
	is_int(count, 0, "ignoring a pending signal drops it");
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigprocmask(SIG_SETMASK, NULL, &set);
	ok(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP),
	    "SIGKILL and SIGSTOP cannot be blocked");
	mask(SIG_SETMASK, 0);
	handle(SIGUSR1, on_sig, 0, 0);
	handle(SIGUSR2, on_sig, 0, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	mask(SIG_SETMASK, 0);
	is_int(n_order, 2, "two kinds of pending signals both come");
	signal(SIGCHLD, SIG_DFL);
	is_int(kill(getpid(), SIGCHLD), 0, "a signal ignored by default does nothing");
}

static void
on_nest(int sig)
{
	(void)sig;
	count++;
	depth++;
	if (depth > max_depth)
		max_depth = depth;
	if (count < 5)
		raise(SIGUSR1);
	depth--;
}

static void
test_flags(void)
{
	struct sigaction sa = { .sa_handler = on_nest, .sa_flags = SA_NODEFER };

	sigaction(SIGUSR1, &sa, NULL);
	count = max_depth = 0;
	raise(SIGUSR1);
	ok(count == 5 && max_depth == 5, "SA_NODEFER: the handler nests");
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	count = max_depth = 0;
	raise(SIGUSR1);
	ok(count == 5 && max_depth == 1, "without it, it runs again afterwards");
	handle(SIGUSR1, on_sig, (int)SA_RESETHAND, 0);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &sa);
	ok(count == 1 && sa.sa_handler == SIG_DFL, "SA_RESETHAND: default after the first");
}

static void
test_altstack(void)
{
	static char alt[32768];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, got;
	char here;

	is_int(sigaltstack(&ss, NULL), 0, "set an alternate stack");
	handle(SIGUSR1, on_sig, SA_ONSTACK, 0);
	raise(SIGUSR1);
	ok(handler_sp >= (uintptr_t)alt && handler_sp < (uintptr_t)alt + sizeof(alt),
	    "SA_ONSTACK: the handler runs on it");
	handle(SIGUSR1, on_sig, 0, 0);
	raise(SIGUSR1);
	ok(handler_sp < (uintptr_t)&here && handler_sp > (uintptr_t)&here - 65536,
	    "without the flag it does not");
	sigaltstack(NULL, &got);
	ok(got.ss_sp == alt && got.ss_size == sizeof(alt) && got.ss_flags == 0, "it is reported");
	ss.ss_size = 100;
	is_err(sigaltstack(&ss, NULL), ENOMEM, "a small one: ENOMEM");
	ss.ss_flags = 1234;
	is_err(syscall(SYS_sigaltstack, &ss, NULL), EINVAL, "bad flags: EINVAL");
	ss.ss_flags = SS_DISABLE;
	is_int(sigaltstack(&ss, NULL), 0, "disable it");
}

static void
on_jump(int sig)
{
	siglongjmp(jmp, sig);
}

static void
test_jump(void)
{
	struct sigaction sa = { .sa_handler = on_jump };
	volatile int n = 0;
	sigset_t set;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	for (n = 0; n < 100; n++)
		if (sigsetjmp(jmp, 1) == 0) {
			if (n & 1)
				raise(SIGUSR1);
			else
				*(volatile int *)hide(16) = 1;
			break;
		}
	is_int(n, 100, "siglongjmp out of a hundred handlers, faults among them");
	sigprocmask(SIG_SETMASK, NULL, &set);
	ok(!sigismember(&set, SIGUSR1) && !sigismember(&set, SIGSEGV), "the mask is restored");
	signal(SIGSEGV, SIG_DFL);
}

static int
poke(void *arg)
{
	int *fd = arg;

	sleep_ms(60);
	kill(getppid(), SIGUSR1);
	sleep_ms(60);
	return write(fd[1], "z", 1) == 1 ? 0 : 1;
}

static void
test_restart(void)
{
	int fd[2];
	pid_t pid;
	char c = 0;

	pipe(fd);
	handle(SIGUSR1, on_sig, 0, 0);
	pid = spawn(poke, fd);
	is_err(read(fd[0], &c, 1), EINTR, "a handler ends a read: EINTR");
	reap(pid);
	is_int(read(fd[0], &c, 1), 1, "the data comes later");
	handle(SIGUSR1, on_sig, SA_RESTART, 0);
	pid = spawn(poke, fd);
	is_int(read(fd[0], &c, 1), 1, "SA_RESTART: the read goes on");
	is_int(count, 1, "and the handler ran meanwhile");
	reap(pid);
	handle(SIGUSR1, on_sig, SA_RESTART, 0);
	pid = spawn(poke, fd);
	is_err(pause(), EINTR, "pause ends by a handler: EINTR");
	reap(pid);
	is_int(read(fd[0], &c, 1), 1, "(the byte)");
	mask(SIG_BLOCK, SIGUSR1);
	pid = spawn(poke, fd);
	is_int(read(fd[0], &c, 1), 1, "a blocked signal does not end a read");
	mask(SIG_UNBLOCK, SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	pid = spawn(poke, fd);
	is_int(read(fd[0], &c, 1), 1, "nor an ignored one");
	reap_all();
	close(fd[0]);
	close(fd[1]);
}

static void
test_errors(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	is_err(kill(getpid(), 65), EINVAL, "kill: signal 65: EINVAL");
	is_err(kill(getpid(), -1), EINVAL, "kill: signal -1: EINVAL");
	is_int(kill(getpid(), 0), 0, "kill: signal 0 probes");
	is_err(kill(0x0fffffff, 0), ESRCH, "kill: nobody: ESRCH");
	is_err(kill(INT_MIN, 0), ESRCH, "B21: kill of INT_MIN: ESRCH");
	is_err(kill(-0x0fffffff, 0), ESRCH, "kill: no such group: ESRCH");
	is_err(sigaction(SIGKILL, &sa, NULL), EINVAL, "SIGKILL cannot be ignored: EINVAL");
	is_err(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL, "signal 0: EINVAL");
	is_err(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL, "signal 65: EINVAL");
	is_err(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL, "set size 4: EINVAL");
	is_err(syscall(SYS_rt_sigprocmask, 7, &mask_seen, NULL, 8), EINVAL, "bad how: EINVAL");
	is_err(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask_seen, NULL, 16), EINVAL,
	    "set size 16: EINVAL");
}

static int
child_mask(void *arg)
{
	sigset_t set;

	(void)arg;
	sigprocmask(SIG_SETMASK, NULL, &set);
	if (!sigismember(&set, SIGUSR2))
		return 1;
	count = 0;
	mask(SIG_SETMASK, 0);
	return count == 0 ? 0 : 2; /* pending signals are not inherited */
}

int
main(void)
{
	test_basic();
	test_mask();
	test_flags();
	test_altstack();
	test_jump();
	test_restart();
	test_errors();
	handle(SIGUSR2, on_sig, 0, 0);
	mask(SIG_BLOCK, SIGUSR2);
	kill(getpid(), SIGUSR2);
	is_exit(run_child(child_mask, NULL), 0, "fork inherits the mask, not what is pending");
	mask(SIG_SETMASK, 0);
	is_int(count, 1, "the parent's own was still pending");
	return tap_done();
}
