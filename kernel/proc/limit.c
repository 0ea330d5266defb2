/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits on LWPs and processes: for the system (options maxlwp and maxproc) and for each user (RLIMIT_NPROC).
 *
 * What is counted is an LWP that has an id, from the hold of proc_lock that gives it to the one that takes it back;
 * an unreaped zombie is one, too. So counting costs no lock, a birth that fails has nothing to undo but what it had
 * an id for (B1), and RLIMIT_NPROC counts threads, as on Linux. The superuser is held to the system's limits only,
 * and the last few are his.
 */
#include <kernel/cred.h>

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/time.h>
#include <kernel/callout.h>
#include <kernel/idtable.h>
#include <kernel/options.h>
#include <kernel/panic.h>
#include <kernel/printf.h>
#include <kernel/sched.h>

#define RESERVED    8 /* for the superuser */
#define LIMIT_MAX   65536
#define COMPLAIN_NS ((nsec_t)10 * NSEC_PER_SEC)

uint32_t lwp_count;
uint32_t proc_count;
uint32_t maxlwp = LIMIT_MAX;
static uint32_t maxproc = LIMIT_MAX;

static nsec_t next_complaint; /* under proc_lock */
static uint32_t unsaid;       /* under proc_lock: refusals since the last one */

static int
set_limit(const char *value, uint32_t *limit)
{
	uint64_t v;
	int error = option_u64(value, 16, LIMIT_MAX, &v);

	if (error == 0)
		*limit = (uint32_t)v;
	return error;
}

static int
set_maxlwp(const char *value)
{
	return set_limit(value, &maxlwp);
}
OPTION(maxlwp, "16..65536", set_maxlwp);

static int
set_maxproc(const char *value)
{
	return set_limit(value, &maxproc);
}
OPTION(maxproc, "16..65536", set_maxproc);

static bool
is_privileged(const struct cred *cr)
{
	return cr->cr_ids.euid == 0 || cr->cr_ids.ruid == 0;
}

/* => proc_lock held */
static void
complain(const char *what, uint32_t limit, const struct proc *p)
{
	nsec_t now = time_now();

	unsaid++;
	if (now < next_complaint)
		return;
	next_complaint = now + COMPLAIN_NS;
	kprintf("limit: %s=%u reached: %u refused, the last for uid %u (%s)\n", what, limit, unsaid,
	    p->p_cred->cr_ids.ruid, p->p_comm);
	unsaid = 0;
}

int
proc_charge(struct proc *p)
{
	struct uidinfo *ui = p->p_cred->cr_ui;
	bool first = p->p_ncharged == 0;

	KASSERT(mutex_owned(&proc_lock));
	if (unlikely(lwp_count + RESERVED >= maxlwp ||
		(first && proc_count + RESERVED >= maxproc) ||
		ui->ui_lwps >= p->p_rlimit[RLIMIT_NPROC].cur)) {
		bool privileged = is_privileged(p->p_cred);
		uint32_t reserved = privileged ? 0 : RESERVED;

		if (lwp_count + reserved >= maxlwp) {
			complain("maxlwp", maxlwp, p);
			return -EAGAIN;
		}
		if (first && proc_count + reserved >= maxproc) {
			complain("maxproc", maxproc, p);
			return -EAGAIN;
		}
		if (!privileged && ui->ui_lwps >= p->p_rlimit[RLIMIT_NPROC].cur)
			return -EAGAIN;
	}
	ui->ui_lwps++;
	lwp_count++;
	p->p_ncharged++;
	proc_count += first;
	return 0;
}

void
proc_uncharge(struct proc *p, uint32_t lwps)
{
	struct uidinfo *ui = p->p_cred->cr_ui;

	KASSERT(mutex_owned(&proc_lock));
	KASSERTMSG(p->p_ncharged >= lwps && ui->ui_lwps >= lwps && lwp_count >= lwps,
	    "pid %d: %u LWPs, uid %u: %u", p->p_pid, p->p_ncharged, ui->ui_uid, ui->ui_lwps);
	ui->ui_lwps -= lwps;
	lwp_count -= lwps;
	p->p_ncharged -= lwps;
	proc_count -= p->p_ncharged == 0;
}

bool
proc_limit_reached(const struct proc *p)
{
	const struct cred *cr = p->p_cred;

	KASSERT(mutex_owned(&p->p_lock));
	return unlikely(
		   atomic_load_relaxed(&cr->cr_ui->ui_lwps) >= p->p_rlimit[RLIMIT_NPROC].cur) &&
	    !is_privileged(cr);
}

bool
proc_over_limit(struct proc *p)
{
	bool over;

	if (likely((p->p_flag & PK_NPROC) == 0))
		return false;
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	over =
	    !is_privileged(p->p_cred) && p->p_cred->cr_ui->ui_lwps > p->p_rlimit[RLIMIT_NPROC].cur;
	if (!over)
		p->p_flag &= ~(uint32_t)PK_NPROC;
	mutex_unlock(&p->p_lock);
	mutex_unlock(&proc_lock);
	return over;
}
