/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials, what is counted for a user, and the limits on LWPs and processes.
 * layer: proc
 */
#ifndef KERNEL_CRED_H
#define KERNEL_CRED_H

#include <kernel/explore.h>
#include <kernel/list.h>
#include <kernel/panic.h>
#include <kernel/proc.h>

#define NGROUPS 32 /* supplementary groups */

/*
 * struct uidinfo, field locks: (u) the uid lock (x) proc_lock (a) atomic (c) constant
 *
 * One for each real user id in use. It is freed when no credential and no signal refers to it.
 */
struct uidinfo {
	struct list ui_link; /* (u) */
	uint32_t ui_uid;     /* (c) */
	uint32_t ui_creds;   /* (u) credentials with this real user id */
	uint32_t ui_lwps;    /* (x) LWPs of its processes, zombies included: against RLIMIT_NPROC */
	uint32_t ui_sigpend; /* (a) queued signals and POSIX timers: against RLIMIT_SIGPENDING */
	uint32_t ui_seen;    /* (x) of fsck: ui_lwps counted again */
};

struct cred_ids {
	uint32_t ruid, euid, suid;
	uint32_t rgid, egid, sgid;
};

/*
 * struct cred, field locks: (a) atomic (c) constant once a process has it
 *
 * Shared by the processes that a fork made; who changes its ids gets a new one. Type-stable: see cred_self().
 */
struct cred {
	uint32_t cr_refs;           /* (a) */
	uint32_t cr_ngroups;        /* (c) */
	struct cred_ids cr_ids;     /* (c) */
	struct uidinfo *cr_ui;      /* (c) of the real user id */
	uint32_t cr_group[NGROUPS]; /* (c) */
};

void cred_init(void);          /* proc0 gets the superuser's */
void cred_free(struct cred *); /* => nobody refers to it; no spin lock held */

static inline struct cred *
cred_ref(struct cred *cr)
{
	atomic_add(&cr->cr_refs, 1);
	return cr;
}

static inline void
cred_unref(struct cred *cr) /* => no spin lock held */
{
	KASSERT(atomic_load_relaxed(&cr->cr_refs) > 0);
	EXPLORE_POINT(ATOMIC, &cr->cr_refs);
	if (unlikely(atomic_sub(&cr->cr_refs, 1) == 1))
		cred_free(cr);
}

/* The ids of the current process. => nothing; a sibling may be changing them */
struct cred_ids cred_self(void);
uint32_t cred_ruid(void);
bool cred_in_group(
    uint32_t gid); /* effective or supplementary, of the current process. => no p_lock held */

static inline bool
cred_is_root(void)
{
	return cred_self().euid == 0;
}

/* May the current process signal p? Its own always; SIGCONT in a session is not looked at. => p_lock or proc_lock held */
bool cred_may_signal(const struct proc *p);
/* May it change p's scheduling? => p_lock or proc_lock held */
bool cred_may_control(const struct proc *p);
/* May it see what p keeps to itself, or change its limits? Who is p's user in every respect. => p_lock or proc_lock held */
bool cred_may_inspect(const struct proc *p);
/*
 * May the current process read, write or execute (4, 2, 1) what has this mode? All files are the superuser's, and
 * his group's. `real`: by its real ids.
 */
bool cred_may_access(uint32_t mode, uint32_t want, bool real);
/*
 * Exec: the saved ids become the effective ones. NULL: no memory; the credential in force if nothing changes.
 * cred_set() gives it to the process, and consumes the reference. => single-threaded
 */
struct cred *cred_exec(void);
void cred_set(struct cred *);

/* ---- counts ---- */

/*
 * One more LWP, and with its first one a process. 0 or -EAGAIN: a limit is reached, nothing is counted. Undone by
 * proc_uncharge(). => proc_lock held
 */
int proc_charge(struct proc *);
void proc_uncharge(struct proc *, uint32_t lwps); /* => proc_lock held */
/* Would a fork fail now? A hint, without any lock but p_lock. */
bool proc_limit_reached(const struct proc *);
/* After setuid too many LWPs may belong to the new user: exec asks this, as Linux's does. */
bool proc_over_limit(struct proc *);
extern uint32_t lwp_count;  /* (x) LWPs of user processes that have an id */
extern uint32_t proc_count; /* (x) processes, zombies included */
extern uint32_t maxlwp;     /* (c) after boot */

/* Counts one signal or timer for p's user against `limit`; NULL: too many. => p_lock held */
static inline struct uidinfo *
uid_sigpend_enter(const struct proc *p, uint64_t limit)
{
	struct uidinfo *ui = p->p_cred->cr_ui;

	KASSERT(mutex_owned(&p->p_lock));
	if (likely(atomic_add(&ui->ui_sigpend, 1) < limit))
		return ui;
	atomic_sub(&ui->ui_sigpend, 1);
	return NULL;
}

static inline void
uid_sigpend_leave(struct uidinfo *ui)
{
	atomic_sub(&ui->ui_sigpend, 1); /* from here on it may be freed */
}

/* Frees the uidinfos that nothing refers to; returns how many are left. */
size_t uid_trim(void);
/* For fsck: the first of all, then the next; NULL at the end. => all other CPUs parked, proc_lock held */
struct uidinfo *uid_next(const struct uidinfo *);

#endif
