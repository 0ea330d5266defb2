/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals of one process with a few LWPs, without a machine: what is queued and in which order, who is
 * armed, what a handler's start and the end of delivery do to masks, actions and interrupted calls.
 *
 * sources: kernel/proc/signal.c kernel/proc/sigsend.c kernel/proc/sigdeliver.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h
 */
#include <hosttest.h>

#include "../../proc/signal_internal.h"

#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/cred.h>
#include <kernel/failpoint.h>
#include <kernel/kmem.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/timers.h>

#define NLWPS   3
#define HANDLER 0x1000
#define RT      (SIGRTMIN + 2)

#include "signal/machine.h"

/* ---- helpers ---- */

static void
setup(void)
{
	memset(&proc, 0, sizeof(proc));
	memset(lwp, 0, sizeof(lwp));
	memset(&lwplock, 0, sizeof(lwplock));
	proc.p_stat = PS_ACTIVE;
	proc.p_cred = &cred;
	proc.p_rlimit[RLIMIT_SIGPENDING].cur = 8192;
	proc.p_sigacts = sigacts_create();
	sigpend_init(&proc.p_sigpend);
	list_init(&proc.p_lwps);
	for (int i = 0; i < NLWPS; i++) {
		lwp[i].l_proc = &proc;
		lwp[i].l_stat = LS_ONPROC;
		lwp[i].l_mutex = &lwplock;
		sigpend_init(&lwp[i].l_sigpend);
		list_insert_tail(&proc.p_lwps, &lwp[i].l_sibling);
	}
	host_lwp = &lwp[0];
	nsent = restarts = exit_sig = continued = 0;
	no_memory = no_stack = false;
}

static void
teardown(void)
{
	sigpend_drop(&proc.p_sigpend);
	for (int i = 0; i < NLWPS; i++)
		sigpend_drop(&lwp[i].l_sigpend);
	sigacts_free(proc.p_sigacts);
	QUIET_CHECK(live == 0);
}

static void
action(int sig, uint64_t handler, uint64_t flags, sigset_t mask)
{
	struct k_sigaction act = { .sa_handler = handler, .sa_flags = flags, .sa_mask = mask };

	mutex_lock(&proc.p_lock);
	sigacts_set(&proc, sig, &act);
	mutex_unlock(&proc.p_lock);
}

static void
setmask(int i, sigset_t mask)
{
	struct lwp *was = host_lwp;

	host_lwp = &lwp[i];
	mutex_lock(&proc.p_lock);
	sig_setmask(&lwp[i], mask);
	mutex_unlock(&proc.p_lock);
	host_lwp = was;
}

/* To LWP i, or with -1 to the process. */
static int
post(int i, int sig, uint64_t value)
{
	siginfo_t info;
	int error;

	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	info.u.rt.value = value;
	if (sig == SIGCONT)
		mutex_lock(&proc_lock);
	mutex_lock(&proc.p_lock);
	error = i < 0 ? sig_post_proc(&proc, sig, &info) : sig_post_lwp(&lwp[i], sig, &info);
	mutex_unlock(&proc.p_lock);
	if (sig == SIGCONT)
		mutex_unlock(&proc_lock);
	return error;
}

static bool
armed(int i)
{
	return (lwp[i].l_flag & LW_PENDSIG) != 0;
}

/* Returns the signal that ended the process, or 0. */
static int
deliver(int i)
{
	struct lwp *was = host_lwp;

	host_lwp = &lwp[i];
	exit_sig = 0;
	if (setjmp(exited) == 0) {
		sig_deliver(NULL);
		mutex_lock(&proc.p_lock);
		QUIET_CHECK((lwp[i].l_flag & LW_WSTOP) || !sig_deliverable(&lwp[i]));
		mutex_unlock(&proc.p_lock);
	}
	host_lwp = was;
	return exit_sig;
}

/* ---- tests ---- */

static void
test_queue(void)
{
	setup();
	action(SIGUSR1, HANDLER, SA_NODEFER, 0);
	action(RT, HANDLER, SA_NODEFER, 0);
	setmask(0, SIGBIT(SIGUSR1) | SIGBIT(RT));
	post(0, RT, 1);
	post(0, SIGUSR1, 10);
	post(0, SIGUSR1, 11);
	post(0, RT, 2);
	post(0, RT, 3);
	CHECK_NAMED(!armed(0), "a blocked signal does not arm");
	CHECK(deliver(0) == 0 && nsent == 0);
	setmask(0, 0);
	CHECK_NAMED(armed(0), "unblocking does");
	CHECK(deliver(0) == 0 && nsent == 4 && !armed(0));
	CHECK_NAMED(sent[0].sig == SIGUSR1 && sent[0].value == 10,
	    "a standard signal counts once, the first");
	CHECK_NAMED(sent[1].value == 1 && sent[2].value == 2 && sent[3].value == 3,
	    "real-time signals come as often as sent, in order");
	teardown();
}

static void
test_memory(void)
{
	int i;

	setup();
	action(SIGUSR1, HANDLER, SA_NODEFER, 0);
	no_memory = lwp[0].l_sigpend.sp_ownused = proc.p_sigpend.sp_ownused = true;
	CHECK_NAMED(post(0, SIGUSR1, 5) == 0, "without memory a standard signal is sent bare");
	CHECK_NAMED(post(0, RT, 5) == -EAGAIN, "a real-time one is refused");
	CHECK(deliver(0) == 0 && nsent == 1 && sent[0].code == SI_USER && sent[0].value == 0);
	no_memory = lwp[0].l_sigpend.sp_ownused = proc.p_sigpend.sp_ownused = false;
	setmask(0, SIGBIT(RT));
	proc.p_rlimit[RLIMIT_SIGPENDING].cur = 100;
	for (i = 0; post(0, RT, 0) == 0; i++)
		continue;
	CHECK_NAMED(i == 100, "the queue has a limit");
	mutex_lock(&proc.p_lock);
	proc.p_sigpend.sp_ownused = true;
	CHECK_NAMED(sig_post_proc(&proc, SIGTERM, NULL) == 0 && user.ui_sigpend == 101,
	    "which a standard signal of kill() is not held to");
	proc.p_sigpend.sp_ownused = false;
	mutex_unlock(&proc.p_lock);
	teardown();
	CHECK(live == 0 && user.ui_sigpend == 0);
}

static void
test_order(void)
{
	setup();
	action(SIGHUP, HANDLER, 0, 0);
	action(SIGUSR1, HANDLER, 0, 0);
	action(SIGSEGV, HANDLER, 0, 0);
	post(-1, SIGHUP, 0);
	post(0, SIGUSR1, 0);
	post(0, SIGSEGV, 0);
	CHECK(deliver(0) == 0 && nsent == 3);
	CHECK_NAMED(sent[0].sig == SIGSEGV && sent[1].sig == SIGUSR1 && sent[2].sig == SIGHUP,
	    "faults first, then the LWP's own, then the process's");
	CHECK_NAMED(sent[1].oldmask == SIGBIT(SIGSEGV) &&
		sent[2].oldmask == (SIGBIT(SIGSEGV) | SIGBIT(SIGUSR1)),
	    "each handler saves the mask that it was entered with");
	post(0, SIGTERM, 0);
	post(-1, SIGKILL, 0);
	CHECK_NAMED(deliver(0) == SIGKILL, "SIGKILL goes before all");
	teardown();
}

static void
test_ignored(void)
{
	setup();
	post(-1, SIGCHLD, 0);
	CHECK_NAMED(proc.p_sigpend.sp_set == 0 && !armed(0), "ignored by default: dropped");
	setmask(0, SIGBIT(SIGCHLD));
	post(0, SIGCHLD, 0);
	CHECK_NAMED(lwp[0].l_sigpend.sp_set == SIGBIT(SIGCHLD), "but not while blocked");
	setmask(0, 0);
	CHECK_NAMED(armed(0) && deliver(0) == 0 && nsent == 0 && !armed(0),
	    "then it is dropped at delivery");
	action(SIGUSR1, SIG_IGN, 0, 0);
	post(0, SIGUSR1, 0);
	CHECK(lwp[0].l_sigpend.sp_set == 0);
	setmask(0, ~(sigset_t)0);
	CHECK_NAMED(lwp[0].l_sigmask == ~SIGS_NEVER, "SIGKILL and SIGSTOP cannot be blocked");
	action(SIGCONT, HANDLER, 0, 0);
	action(SIGTSTP, HANDLER, 0, 0);
	post(0, SIGTSTP, 0);
	post(-1, SIGCONT, 0);
	CHECK_NAMED(lwp[0].l_sigpend.sp_set == 0, "SIGCONT takes pending stop signals away");
	post(0, SIGTSTP, 0);
	CHECK_NAMED(proc.p_sigpend.sp_set == 0 && lwp[0].l_sigpend.sp_set == SIGBIT(SIGTSTP),
	    "and they it");
	teardown();
}

static bool
stops(int i)
{
	return (lwp[i].l_flag & LW_WSTOP) != 0;
}

static void
test_stops(void)
{
	setup();
	post(0, SIGTSTP, 0);
	CHECK_NAMED(stops(0) && armed(0), "a stop signal sends its taker to the stop point");
	CHECK_NAMED(deliver(0) == 0 && lwp[0].l_sigpend.sp_set == SIGBIT(SIGTSTP) && stops(0),
	    "and is left for it");
	lwp[0].l_flag &= ~(uint32_t)LW_WSTOP;
	action(SIGTSTP, HANDLER, 0, 0);
	CHECK_NAMED(deliver(0) == 0 && nsent == 1 && !stops(0), "unless it is caught meanwhile");
	setmask(0, 0);
	action(SIGTSTP, SIG_DFL, 0, 0);
	post(0, SIGTSTP, 0);
	CHECK(deliver(0) == 0 && stops(0));
	action(SIGTSTP, HANDLER, 0, 0);
	lwp[0].l_flag &= ~(uint32_t)LW_WSTOP; /* the stop point, where it is of no use any more */
	CHECK_NAMED(armed(0) && deliver(0) == 0 && nsent == 2 && !armed(0),
	    "even after it was left for the stop point");
	setmask(0, SIGBIT(SIGTSTP));
	post(0, SIGTSTP, 0);
	action(SIGTSTP, SIG_DFL, 0, 0);
	CHECK(!stops(0));
	setmask(0, 0);
	CHECK_NAMED(deliver(0) == 0 && stops(0), "one that came to stop while it was blocked");
	post(-1, SIGCONT, 0);
	CHECK_NAMED(lwp[0].l_sigpend.sp_set == 0 && continued == 0, "nobody was stopped yet");
	proc.p_flag |= PK_STOP;
	post(-1, SIGSTOP, 0);
	CHECK_NAMED(proc.p_sigpend.sp_set == 0, "a stop of who is stopped is dropped");
	post(-1, SIGTERM, 0);
	CHECK_NAMED(proc.p_sigpend.sp_set == SIGBIT(SIGTERM) && !(proc.p_flag & PK_KILLED),
	    "a fatal signal waits");
	post(-1, SIGCONT, 0);
	CHECK_NAMED(continued == 1 && (proc.p_flag & PK_KILLED), "until SIGCONT");
	teardown();
	setup();
	proc.p_flag |= PK_STOP;
	post(-1, SIGKILL, 0);
	CHECK_NAMED((proc.p_flag & PK_KILLED) && proc.p_xsig == SIGKILL, "SIGKILL does not");
	teardown();
	setup();
	initproc = &proc;
	post(-1, SIGSTOP, 0);
	CHECK_NAMED(proc.p_sigpend.sp_set == 0, "init is not stopped");
	initproc = NULL;
	teardown();
}

static void
test_takers(void)
{
	setup();
	action(SIGUSR1, HANDLER, 0, 0);
	post(-1, SIGUSR1, 0);
	CHECK_NAMED(armed(0) && !armed(1) && !armed(2), "the sender takes it if it can");
	setmask(0, SIGBIT(SIGUSR1));
	CHECK_NAMED(armed(1) && !armed(2), "blocked there: another LWP is found");
	lwp[1].l_prflag |= LPR_EXITING;
	host_lwp = &lwp[1];
	mutex_lock(&proc.p_lock);
	sig_lwp_exit(&lwp[1]);
	mutex_unlock(&proc.p_lock);
	host_lwp = &lwp[0];
	CHECK_NAMED(armed(2), "that one exits: the next");
	CHECK(deliver(0) == 0 && nsent == 0 && deliver(2) == 0 && nsent == 1);
	lwp[0].l_flag = lwp[1].l_flag = lwp[2].l_flag = 0;
	setmask(2, SIGBIT(SIGUSR1));
	post(-1, SIGUSR1, 0);
	CHECK_NAMED(!armed(0) && !armed(1) && !armed(2), "blocked by all: it waits");
	setmask(2, 0);
	CHECK_NAMED(armed(2), "for the first that unblocks it");
	lwp[0].l_sigmask = 0;
	lwp[0].l_flag = lwp[2].l_flag = 0;
	lwp[0].l_stat = LS_SLEEP;
	host_lwp = &lwp[1];
	post(-1, SIGUSR1, 0);
	CHECK_NAMED(!armed(0) && armed(2), "one that cannot be interrupted is passed over");
	lwp[2].l_stat = LS_ZOMB;
	lwp[0].l_sigmask = SIGBIT(SIGTERM);
	post(-1, SIGTERM, 0);
	CHECK_NAMED((proc.p_flag & PK_KILLED) == 0, "a fatal signal that all block waits");
	post(-1, SIGKILL, 0);
	CHECK_NAMED((lwp[0].l_flag & LW_WEXIT) && !(lwp[2].l_flag & LW_WEXIT) &&
		proc.p_xsig == SIGKILL && (proc.p_flag & PK_KILLED),
	    "one that somebody takes ends all at once, whatever they wait for");
	proc.p_flag |= PK_EXITING;
	sigpend_drop(&proc.p_sigpend);
	post(-1, SIGTERM, 0);
	CHECK_NAMED(proc.p_sigpend.sp_set == 0, "nothing is posted to a process in exit");
	teardown();
}

static void
test_handler(void)
{
	setup();
	action(SIGUSR1, HANDLER, SA_RESETHAND, SIGBIT(SIGUSR2) | SIGBIT(SIGKILL));
	post(0, SIGUSR1, 0);
	CHECK(deliver(0) == 0 && nsent == 1);
	CHECK_NAMED(lwp[0].l_sigmask == (SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2)),
	    "its signal and its mask are blocked");
	CHECK_NAMED(proc.p_sigacts->sa_act[SIGUSR1].sa_handler == SIG_DFL, "SA_RESETHAND");
	setmask(0, 0);
	post(0, SIGUSR1, 0);
	CHECK(deliver(0) == SIGUSR1);

	action(SIGUSR1, HANDLER, SA_NODEFER, 0);
	post(0, SIGUSR1, 0);
	CHECK(deliver(0) == 0 && lwp[0].l_sigmask == 0);

	/* rt_sigsuspend: the frame saves the mask from before. */
	lwp[0].l_sigoldmask = SIGBIT(SIGUSR2);
	lwp[0].l_pflag |= LP_SIGRESTORE;
	post(0, SIGUSR1, 0);
	CHECK(deliver(0) == 0 && sent[nsent - 1].oldmask == SIGBIT(SIGUSR2) && lwp[0].l_pflag == 0);
	lwp[0].l_pflag |= LP_SIGRESTORE;
	CHECK(deliver(0) == 0 && lwp[0].l_sigmask == SIGBIT(SIGUSR2) && lwp[0].l_pflag == 0);
	teardown();
}

static void
restart(uint32_t how, int sig, int want, const char *what)
{
	lwp[0].l_sysrestart = how;
	restarts = 0;
	setmask(0, 0);
	if (sig != 0)
		post(0, sig, 0);
	deliver(0);
	CHECK_NAMED(restarts == want && lwp[0].l_sysrestart == 0, what);
}

static void
test_restart(void)
{
	setup();
	action(SIGUSR1, HANDLER, 0, 0);
	action(SIGUSR2, HANDLER, SA_RESTART, 0);
	restart(ERESTART, 0, 1, "no signal: restarted");
	restart(ERESTARTNOHAND, 0, 1, "pause, no signal: restarted");
	restart(ERESTART, SIGCHLD, 1, "an ignored signal: restarted");
	restart(ERESTART, SIGUSR1, 0, "a handler: not");
	restart(ERESTART, SIGUSR2, 1, "a handler with SA_RESTART: restarted, once");
	restart(ERESTARTNOHAND, SIGUSR2, 0, "pause: not even then");
	restart(ERESTARTNOINTR, SIGUSR1, 1, "a call that was only asked to wait: always");
	restart(0, SIGUSR2, 0, "no call was interrupted");
	lwp[0].l_restart_deadline = 5;
	restart(ERESTARTNOHAND, 0, 1, "a time limit...");
	CHECK_NAMED(lwp[0].l_restart_deadline == 5, "...goes on");
	restart(ERESTARTNOHAND, SIGUSR1, 0, "...unless a handler runs");
	CHECK(lwp[0].l_restart_deadline == 0);
	teardown();
}

static void
test_fault(void)
{
	setup();
	action(SIGSEGV, HANDLER, 0, 0);
	user_fault(SIGSEGV, SEGV_MAPERR, 0x1234);
	CHECK(deliver(0) == 0 && nsent == 1 && sent[0].code == SEGV_MAPERR);
	user_fault(SIGSEGV, SEGV_MAPERR, 0x1234);
	CHECK_NAMED(deliver(0) == SIGSEGV, "a fault whose signal is blocked is fatal");
	setmask(0, 0);
	action(SIGFPE, SIG_IGN, 0, 0);
	user_fault(SIGFPE, FPE_INTDIV, 0);
	CHECK_NAMED(deliver(0) == SIGFPE, "so is one that is ignored");
	action(SIGUSR1, HANDLER, 0, 0);
	action(SIGSEGV, HANDLER, 0, 0);
	no_stack = true;
	post(0, SIGUSR1, 0);
	CHECK_NAMED(
	    deliver(0) == SIGSEGV, "no stack for a frame: SIGSEGV, and none for its: fatal");
	teardown();
}

static void
test_actions(void)
{
	struct sigacts *copy;

	setup();
	action(SIGUSR1, HANDLER, SA_RESTART, 4);
	action(SIGUSR2, SIG_IGN, SA_RESTART, 4);
	action(SIGCHLD, HANDLER, 0, 0);
	mutex_lock(&proc.p_lock);
	copy = sigacts_copy(proc.p_sigacts);
	CHECK_NAMED(memcmp(copy, proc.p_sigacts, sizeof(*copy)) == 0, "a copy is equal");
	sigacts_exec(&proc);
	mutex_unlock(&proc.p_lock);
	CHECK_NAMED(proc.p_sigacts->sa_ignored == (sigs_ignored | SIGBIT(SIGUSR2)) &&
		proc.p_sigacts->sa_act[SIGUSR1].sa_handler == SIG_DFL &&
		proc.p_sigacts->sa_act[SIGUSR2].sa_handler == SIG_IGN &&
		proc.p_sigacts->sa_act[SIGUSR2].sa_flags == 0,
	    "exec keeps what is ignored, and nothing else");
	sigacts_free(copy);
	copy = sigacts_create();
	CHECK_NAMED(copy->sa_act[SIGUSR1].sa_handler == 0 && copy->sa_act[SIGUSR2].sa_flags == 0 &&
		copy->sa_act[SIGCHLD].sa_handler == 0,
	    "one that is used again is all default");
	sigacts_free(copy);
	teardown();
}

/* As the timer thread posts it. */
static int
post_timer(struct lwp *l, int sig, int32_t id)
{
	siginfo_t info = { .si_signo = sig, .si_code = SI_TIMER };
	int r;

	info.u.timer.tid = id;
	info.u.timer.seq = 7;
	mutex_lock(&proc.p_lock);
	r = sig_post_timer(&proc, l, sig, &info);
	mutex_unlock(&proc.p_lock);
	return r;
}

static void
test_timers(void)
{
	siginfo_t info;

	setup();
	for (int i = 0; i < NLWPS; i++)
		setmask(i, SIGBIT(SIGUSR1));
	CHECK_NAMED(post_timer(NULL, SIGUSR1, 1) == 0 && post_timer(NULL, SIGUSR1, 2) == 0,
	    "two timers send one standard signal");
	mutex_lock(&proc.p_lock);
	CHECK_NAMED(sig_take(&lwp[0], SIGBIT(SIGUSR1), &info) == SIGUSR1 && taken_id == 1,
	    "the first is taken, and its timer told");
	sig_discard_timer(&proc, 2);
	CHECK_NAMED(proc.p_sigpend.sp_set == 0, "that of a deleted timer is discarded");
	mutex_unlock(&proc.p_lock);
	no_memory = lwp[0].l_sigpend.sp_ownused = proc.p_sigpend.sp_ownused = true;
	CHECK_NAMED(post_timer(NULL, SIGUSR1, 1) == -EAGAIN && proc.p_sigpend.sp_set == 0,
	    "no memory: a timer's signal is not sent at all");
	no_memory = lwp[0].l_sigpend.sp_ownused = proc.p_sigpend.sp_ownused = false;
	teardown();
}

static void
test_waiter(void)
{
	siginfo_t info;

	setup();
	for (int i = 0; i < NLWPS; i++)
		setmask(i, SIGBIT(SIGUSR1) | SIGBIT(SIGCHLD));
	lwp[1].l_sigwait = SIGBIT(SIGUSR1) | SIGBIT(SIGCHLD);
	post(-1, SIGUSR1, 0);
	CHECK_NAMED(armed(1) && !armed(0) && !armed(2) && (proc.p_flag & PK_KILLED) == 0,
	    "who waits for a fatal signal that he blocks is armed, and nobody is killed");
	post(-1, SIGCHLD, 0);
	host_lwp = &lwp[1];
	mutex_lock(&proc.p_lock);
	CHECK_NAMED(sig_take(&lwp[1], lwp[1].l_sigwait, &info) == SIGUSR1 &&
		sig_take(&lwp[1], lwp[1].l_sigwait, &info) == SIGCHLD,
	    "he gets it, and an ignored one too");
	mutex_unlock(&proc.p_lock);
	teardown();
}

int
main(void)
{
	signal_init();
	test_queue();
	test_memory();
	test_order();
	test_ignored();
	test_stops();
	test_takers();
	test_handler();
	test_restart();
	test_fault();
	test_actions();
	test_timers();
	test_waiter();
	return host_done();
}
