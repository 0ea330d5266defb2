/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: actions, pending sets and masks. sigsend.c posts, sigdeliver.c delivers.
 *
 * A signal is pending for one LWP or for the process; the set says which ones are, and a queue holds what
 * came with them. A standard signal is pending at most once. A real-time signal is queued as often as it is
 * sent, up to RLIMIT_SIGPENDING of the user who gets it. Without memory the bit alone stands for one instance.
 *
 * All of it, masks included, is guarded by p_lock. The rule that makes signals arrive: whenever p_lock is
 * free, a signal pending for an LWP that does not block it has armed that LWP with LW_PENDSIG; and one pending
 * for the process that some live LWP does not block has armed such an LWP. So each of these looks again: posting,
 * a change of mask, the exit of an LWP. An LWP disarms itself in sig_deliver() when nothing is left to take.
 *
 * A stop signal whose action is the default is not delivered: its LWP takes it at its stop point (stop.c). Until
 * then SIGCONT finds it pending, and takes it away.
 */
#include "signal_internal.h"

#include <abi/errno.h>
#include <abi/resource.h>
#include <kernel/atomic.h>
#include <kernel/cred.h>
#include <kernel/kmem.h>
#include <kernel/panic.h>
#include <kernel/process.h>
#include <kernel/sched.h>
#include <kernel/string.h>
#include <kernel/timers.h>

#define KSIGINFO_MAX 65536 /* of a user, whatever his limit is, beside one in each set */

#define DEFAULT_T              1
#define DEFAULT_C              2
#define DEFAULT_I              4
#define DEFAULT_S              8
#define DEFAULT_R              16
#define X(name, value, action) | (DEFAULT_##action & (DEFAULT_I | DEFAULT_R) ? SIGBIT(value) : 0)
const sigset_t sigs_ignored = 0 SIGNALS(X);
#undef X
#define X(name, value, action) | (DEFAULT_##action & DEFAULT_S ? SIGBIT(value) : 0)
const sigset_t sigs_stop = 0 SIGNALS(X);
#undef X

static struct kmem_cache *ksiginfo_cache;
static struct kmem_cache *sigacts_cache;

/* Free sigacts stay in this state, so that making one costs what its process changed, not its size. */
static void
sigacts_ctor(void *arg)
{
	struct sigacts *sa = arg;

	memset(sa, 0, sizeof(*sa));
	sa->sa_ignored = sigs_ignored;
}

void
signal_init(void)
{
	ksiginfo_cache = kmem_cache_create("ksiginfo", sizeof(struct ksiginfo), 8, 0, NULL);
	sigacts_cache = kmem_cache_create(
	    "sigacts", sizeof(struct sigacts), CACHE_LINE, KC_TYPESTABLE, sigacts_ctor);
}

/* ---- actions ---- */

static inline int
sig_lowest(sigset_t set)
{
	return __builtin_ctzll(set) + 1;
}

struct sigacts *
sigacts_create(void)
{
	struct sigacts *sa = kmem_cache_alloc(sigacts_cache);

	KASSERT(sa == NULL || (sa->sa_set == 0 && sa->sa_ignored == sigs_ignored));
	return sa;
}

struct sigacts *
sigacts_copy(const struct sigacts *from)
{
	struct sigacts *sa = sigacts_create();

	if (sa == NULL)
		return NULL;
	sa->sa_set = from->sa_set;
	sa->sa_ignored = from->sa_ignored;
	for (sigset_t set = sa->sa_set; set != 0; set &= set - 1)
		sa->sa_act[sig_lowest(set)] = from->sa_act[sig_lowest(set)];
	return sa;
}

void
sigacts_free(struct sigacts *sa)
{
	for (sigset_t set = sa->sa_set; set != 0; set &= set - 1)
		sa->sa_act[sig_lowest(set)] = (struct k_sigaction){ 0 };
	sa->sa_set = 0;
	sa->sa_ignored = sigs_ignored;
	kmem_cache_free(sigacts_cache, sa);
}

void
sigacts_set(struct proc *p, int sig, const struct k_sigaction *act)
{
	struct sigacts *sa = p->p_sigacts;
	sigset_t bit = SIGBIT(sig);

	KASSERT(mutex_owned(&p->p_lock) && sig >= 1 && sig <= NSIG);
	sa->sa_act[sig] = *act;
	sa->sa_set |= bit;
	if (act->sa_handler == SIG_IGN || (act->sa_handler == SIG_DFL && (sigs_ignored & bit)))
		sa->sa_ignored |= bit;
	else
		sa->sa_ignored &= ~bit;
}

sigset_t
sigacts_stops(const struct sigacts *sa)
{
	sigset_t stops = sigs_stop;

	for (sigset_t set = sigs_stop & sa->sa_set; set != 0; set &= set - 1)
		if (sa->sa_act[sig_lowest(set)].sa_handler != SIG_DFL)
			stops &= ~SIGBIT(sig_lowest(set));
	return stops;
}

void
sigacts_default(struct proc *p, int sig)
{
	static const struct k_sigaction dfl = { .sa_handler = SIG_DFL };

	sigacts_set(p, sig, &dfl);
}

void
sigacts_exec(struct proc *p)
{
	struct sigacts *sa = p->p_sigacts;

	KASSERT(mutex_owned(&p->p_lock));
	for (sigset_t set = sa->sa_set; set != 0; set &= set - 1) {
		int sig = sig_lowest(set);
		struct k_sigaction act = {
			.sa_handler = sa->sa_act[sig].sa_handler == SIG_IGN ? SIG_IGN : SIG_DFL
		};

		sigacts_set(p, sig, &act);
		if (act.sa_handler == SIG_DFL)
			sa->sa_set &= ~SIGBIT(sig);
	}
}

/* ---- pending sets ---- */

/*
 * The set's own one is for standard signals, and not counted. `forced`: a standard signal that is not held to the limit, as
 * those of kill() and the kernel are not.
 */
static struct ksiginfo *
ksiginfo_alloc(const struct proc *p, struct sigpend *sp, int sig, bool forced)
{
	uint64_t limit = KSIGINFO_MAX;
	struct uidinfo *ui;
	struct ksiginfo *ks;

	if (sig < SIGRTMIN && !sp->sp_ownused) {
		sp->sp_ownused = true;
		return &sp->sp_own;
	}
	if (sig >= SIGRTMIN || !forced)
		limit = min(p->p_rlimit[RLIMIT_SIGPENDING].cur, limit);
	ui = uid_sigpend_enter(p, limit);
	if (ui == NULL)
		return NULL;
	if ((ks = kmem_cache_alloc(ksiginfo_cache)) == NULL) {
		uid_sigpend_leave(ui);
		return NULL;
	}
	ks->ks_ui = ui;
	return ks;
}

static void
ksiginfo_free(struct sigpend *sp, struct ksiginfo *ks)
{
	if (ks == &sp->sp_own) {
		sp->sp_ownused = false;
		return;
	}
	uid_sigpend_leave(ks->ks_ui);
	kmem_cache_free(ksiginfo_cache, ks);
}

void
sigpend_init(struct sigpend *sp)
{
	sp->sp_set = 0;
	sp->sp_ownused = false;
	list_init(&sp->sp_queue);
}

void
sigpend_discard(struct sigpend *sp, sigset_t set)
{
	struct ksiginfo *ks, *next;

	if ((sp->sp_set & set) == 0)
		return;
	sp->sp_set &= ~set;
	list_foreach_safe (ks, next, &sp->sp_queue, ks_link) {
		if (SIGBIT(ks->ks_info.si_signo) & set) {
			list_remove(&ks->ks_link);
			ksiginfo_free(sp, ks);
		}
	}
}

void
sigpend_drop(struct sigpend *sp)
{
	sigpend_discard(sp, ~(sigset_t)0);
}

/* Is it of the kernel's timers, not one that a program made up? */
static inline bool
is_timer(const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->u.timer.seq != 0;
}

bool
sigpend_discard_timer(struct sigpend *sp, int32_t id)
{
	struct ksiginfo *ks, *found = NULL;
	int sig;
	bool others = false;

	list_foreach (ks, &sp->sp_queue, ks_link)
		if (is_timer(&ks->ks_info) && ks->ks_info.u.timer.tid == id)
			found = ks;
	if (found == NULL)
		return false;
	sig = found->ks_info.si_signo;
	list_remove(&found->ks_link);
	ksiginfo_free(sp, found);
	list_foreach (ks, &sp->sp_queue, ks_link)
		others |= ks->ks_info.si_signo == sig;
	if (!others)
		sp->sp_set &= ~SIGBIT(sig);
	return true;
}

int
sigpend_put(const struct proc *p, struct sigpend *sp, int sig, const siginfo_t *info)
{
	bool timer = info != NULL && is_timer(info);
	struct ksiginfo *ks;

	if (sig < SIGRTMIN && (sp->sp_set & SIGBIT(sig)) && !timer)
		return 0;
	if (sig == SIGKILL) /* nobody sees what comes with it */
		ks = NULL;
	else
		ks = ksiginfo_alloc(p, sp, sig, info == NULL || info->si_code >= 0);
	if (ks != NULL) {
		if (info != NULL)
			siginfo_copy(&ks->ks_info, info);
		else {
			siginfo_clear(&ks->ks_info);
			ks->ks_info.si_code = SI_KERNEL;
		}
		ks->ks_info.si_signo = sig;
		list_insert_tail(&sp->sp_queue, &ks->ks_link);
	} else if (sig != SIGKILL &&
	    (timer ||
		(sig >= SIGRTMIN && info != NULL && info->si_code != SI_USER &&
		    info->si_code != SI_KERNEL)))
		return -EAGAIN;
	sp->sp_set |= SIGBIT(sig);
	return 0;
}

void
sigpend_take(struct sigpend *sp, int sig, siginfo_t *info)
{
	struct ksiginfo *ks, *first = NULL;
	bool more = false;

	KASSERT(sp->sp_set & SIGBIT(sig));
	list_foreach (ks, &sp->sp_queue, ks_link) {
		if (ks->ks_info.si_signo != sig)
			continue;
		if (first != NULL) {
			more = true;
			break;
		}
		first = ks;
	}
	if (!more)
		sp->sp_set &= ~SIGBIT(sig);
	if (first != NULL) {
		siginfo_copy(info, &first->ks_info);
		list_remove(&first->ks_link);
		ksiginfo_free(sp, first);
	} else {
		siginfo_clear(info);
		info->si_signo = sig;
		info->si_code = SI_USER;
	}
}

/* ---- masks ---- */

/*
 * Signals for the process that l blocks from now on find another taker; those that it blocks no longer
 * arm it, and so do its own.
 * => p_lock held; l is curlwp
 */
void
sig_setmask(struct lwp *l, sigset_t mask)
{
	struct proc *p = l->l_proc;
	sigset_t blocked;

	KASSERT(l == curlwp() && mutex_owned(&p->p_lock));
	mask &= ~SIGS_NEVER;
	blocked = mask & ~l->l_sigmask;
	l->l_sigmask = mask;
	if (p->p_sigpend.sp_set & blocked)
		sig_retarget(p, l, p->p_sigpend.sp_set & blocked);
	if ((l->l_sigpend.sp_set | p->p_sigpend.sp_set) & ~mask)
		lwp_interrupt(l, LW_PENDSIG);
}

bool
sig_deliverable(const struct lwp *l)
{
	const struct proc *p = l->l_proc;

	KASSERT(mutex_owned(&p->p_lock));
	return ((l->l_sigpend.sp_set | p->p_sigpend.sp_set) & ~l->l_sigmask &
		   ~p->p_sigacts->sa_ignored) != 0;
}

void
sig_lwp_fork(struct lwp *parent, struct lwp *child, bool keep_altstack)
{
	KASSERT(parent == curlwp() && child->l_stat == LS_IDL);
	child->l_sigmask = parent->l_sigmask;
	child->l_sigstk = keep_altstack ? parent->l_sigstk : (stack_t){ .ss_flags = SS_DISABLE };
	sigpend_init(&child->l_sigpend);
}

void
sig_lwp_exit(struct lwp *l)
{
	struct proc *p = l->l_proc;

	KASSERT(mutex_owned(&p->p_lock));
	sigpend_drop(&l->l_sigpend);
	if (unlikely(p->p_timers != NULL))
		timers_lwp_exit(p, l->l_lid);
	if (p->p_sigpend.sp_set & ~l->l_sigmask)
		sig_retarget(p, l, p->p_sigpend.sp_set & ~l->l_sigmask);
}
