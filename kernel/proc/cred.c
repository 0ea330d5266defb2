/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: who a process is. credsys.c has the calls that change them, limit.c what is counted by user.
 *
 * A process has one credential for all of its LWPs; it is constant, and replaced under proc_lock and p_lock, so
 * either of the two is enough to look at another process's. Its own LWPs look without a lock: p_credseq changes
 * with p_cred, before the old one is let go, and memory of credentials only ever becomes a credential again. So
 * what was read between two looks at the same p_credseq was in force.
 *
 * Locking: uid_lock, a leaf, covers the table of users.
 */
#include <kernel/cred.h>

#include <abi/errno.h>
#include <kernel/kmem.h>
#include <kernel/panic.h>
#include <kernel/sched.h>
#include <kernel/string.h>

#include "cred_internal.h"

#define UID_CHAINS 64

static struct kmem_cache *cred_cache;
static struct spinlock uid_lock;
static struct list uid_chain[UID_CHAINS]; /* under uid_lock */

static struct uidinfo uid_root = { .ui_creds = 2 }; /* of cred0, and one to stay */
static struct cred cred0 = { .cr_refs = 1, .cr_ui = &uid_root };

void
cred_init(void)
{
	cred_cache =
	    kmem_cache_create("cred", sizeof(struct cred), CACHE_LINE, KC_TYPESTABLE, NULL);
	if (cred_cache == NULL)
		panic("cred_init: no memory");
	spin_init(&uid_lock, "uid", RANK_SPIN_LEAF);
	for (int i = 0; i < UID_CHAINS; i++)
		list_init(&uid_chain[i]);
	list_insert_tail(&uid_chain[0], &uid_root.ui_link);
	proc0.p_cred = &cred0;
}

/* ---- users ---- */

/* => uid_lock held */
static struct uidinfo *
uid_lookup(uint32_t uid)
{
	struct uidinfo *ui;

	list_foreach (ui, &uid_chain[uid % UID_CHAINS], ui_link)
		if (ui->ui_uid == uid)
			return ui;
	return NULL;
}

/* With one more credential counted; NULL = no memory. */
static struct uidinfo *
uid_get(uint32_t uid)
{
	struct uidinfo *new, *ui;

	new = kmem_zalloc(sizeof(*new));
	spin_lock(&uid_lock);
	ui = uid_lookup(uid);
	if (ui == NULL && new != NULL) {
		ui = new;
		new = NULL;
		ui->ui_uid = uid;
		list_insert_tail(&uid_chain[uid % UID_CHAINS], &ui->ui_link);
	}
	if (ui != NULL)
		ui->ui_creds++;
	spin_unlock(&uid_lock);
	if (new != NULL)
		kmem_free(new, sizeof(*new));
	return ui;
}

/* => uid_lock held. Signals are counted only by who has a credential: a count of 0 stays 0. */
static bool
uid_unused(const struct uidinfo *ui)
{
	return ui->ui_creds == 0 && atomic_load_acquire(&ui->ui_sigpend) == 0;
}

static void
uid_put(struct uidinfo *ui)
{
	bool last;

	spin_lock(&uid_lock);
	KASSERT(ui->ui_creds > 0);
	ui->ui_creds--;
	last = uid_unused(ui);
	if (last)
		list_remove(&ui->ui_link);
	spin_unlock(&uid_lock);
	if (!last)
		return;
	KASSERTMSG(ui->ui_lwps == 0, "uid %u: %u LWPs", ui->ui_uid, ui->ui_lwps);
	kmem_free(ui, sizeof(*ui));
}

/* What the last of a user's signals left behind. */
size_t
uid_trim(void)
{
	struct uidinfo *ui, *next;
	struct list dead;
	size_t left = 0;

	list_init(&dead);
	spin_lock(&uid_lock);
	for (int i = 0; i < UID_CHAINS; i++)
		list_foreach_safe (ui, next, &uid_chain[i], ui_link) {
			if (uid_unused(ui)) {
				list_remove(&ui->ui_link);
				list_insert_tail(&dead, &ui->ui_link);
			} else
				left++;
		}
	spin_unlock(&uid_lock);
	list_foreach_safe (ui, next, &dead, ui_link)
		kmem_free(ui, sizeof(*ui));
	return left;
}

struct uidinfo *
uid_next(const struct uidinfo *ui)
{
	uint32_t chain = ui != NULL ? ui->ui_uid % UID_CHAINS : 0;
	const struct list *e = ui != NULL ? ui->ui_link.next : uid_chain[0].next;

	while (e == &uid_chain[chain]) {
		if (++chain == UID_CHAINS)
			return NULL;
		e = uid_chain[chain].next;
	}
	return container_of((struct list *)(uintptr_t)e, struct uidinfo, ui_link);
}

/* ---- credentials ---- */

void
cred_free(struct cred *cr)
{
	uid_put(cr->cr_ui);
	kmem_cache_free(cred_cache, cr);
}

struct cred *
cred_copy(const struct cred *from, const struct cred_ids *ids)
{
	struct cred *cr = kmem_cache_alloc(cred_cache);
	struct uidinfo *ui;

	if (cr == NULL)
		return NULL;
	if ((ui = uid_get(ids->ruid)) == NULL) {
		kmem_cache_free(cred_cache, cr);
		return NULL;
	}
	memcpy(cr->cr_group, from->cr_group, sizeof(cr->cr_group));
	cr->cr_ngroups = from->cr_ngroups;
	cr->cr_ids = *ids;
	cr->cr_ui = ui;
	atomic_store_relaxed(&cr->cr_refs, 1);
	return cr;
}

struct cred *
cred_publish(struct proc *p, struct cred *cr)
{
	struct cred *old = p->p_cred;

	KASSERT(mutex_owned(&proc_lock) && mutex_owned(&p->p_lock));
	if (old->cr_ui != cr->cr_ui) {
		KASSERT(old->cr_ui->ui_lwps >= p->p_ncharged);
		old->cr_ui->ui_lwps -= p->p_ncharged;
		cr->cr_ui->ui_lwps += p->p_ncharged;
	}
	atomic_store_release(&p->p_cred, cr);
	atomic_store_release(&p->p_credseq, p->p_credseq + 1);
	return old;
}

/* Reads of p's credential, of one that is in force at some moment of it. */
#define READ_SELF(p, cr, reads) \
	do { \
		const struct cred *cr; \
		uint32_t seq_; \
		do { \
			seq_ = atomic_load_acquire(&(p)->p_credseq); \
			cr = atomic_load_acquire(&(p)->p_cred); \
			reads; \
			__atomic_thread_fence(__ATOMIC_ACQUIRE); \
		} while (unlikely(atomic_load_relaxed(&(p)->p_credseq) != seq_)); \
	} while (0)

struct cred_ids
cred_self(void)
{
	struct proc *p = curproc();
	struct cred_ids ids;

	READ_SELF(p, cr, {
		ids.ruid = atomic_load_relaxed(&cr->cr_ids.ruid);
		ids.euid = atomic_load_relaxed(&cr->cr_ids.euid);
		ids.suid = atomic_load_relaxed(&cr->cr_ids.suid);
		ids.rgid = atomic_load_relaxed(&cr->cr_ids.rgid);
		ids.egid = atomic_load_relaxed(&cr->cr_ids.egid);
		ids.sgid = atomic_load_relaxed(&cr->cr_ids.sgid);
	});
	return ids;
}

uint32_t
cred_ruid(void)
{
	struct proc *p = curproc();
	uint32_t uid;

	READ_SELF(p, cr, uid = atomic_load_relaxed(&cr->cr_ids.ruid));
	return uid;
}

bool
cred_in_group(uint32_t gid)
{
	struct proc *p = curproc();
	const struct cred *cr;
	bool found;

	mutex_lock(&p->p_lock);
	cr = p->p_cred;
	found = cr->cr_ids.egid == gid;
	for (uint32_t i = 0; i < cr->cr_ngroups && !found; i++)
		found = cr->cr_group[i] == gid;
	mutex_unlock(&p->p_lock);
	return found;
}

/* ---- permissions ---- */

/* What is the same for all: oneself and the superuser may. Fills *me if it must be looked at. */
static bool
may_anyway(const struct proc *p, struct cred_ids *me)
{
	KASSERT(mutex_owned(&p->p_lock) || mutex_owned(&proc_lock));
	if (p == curproc())
		return true;
	*me = cred_self();
	return me->euid == 0;
}

bool
cred_may_signal(const struct proc *p)
{
	const struct cred_ids *to = &p->p_cred->cr_ids;
	struct cred_ids me;

	return may_anyway(p, &me) || me.euid == to->suid || me.euid == to->ruid ||
	    me.ruid == to->suid || me.ruid == to->ruid;
}

bool
cred_may_control(const struct proc *p)
{
	const struct cred_ids *to = &p->p_cred->cr_ids;
	struct cred_ids me;

	return may_anyway(p, &me) || me.euid == to->euid || me.euid == to->ruid;
}

bool
cred_may_inspect(const struct proc *p)
{
	const struct cred_ids *to = &p->p_cred->cr_ids;
	struct cred_ids me;

	return may_anyway(p, &me) ||
	    (me.ruid == to->ruid && me.ruid == to->euid && me.ruid == to->suid &&
		me.rgid == to->rgid && me.rgid == to->egid && me.rgid == to->sgid);
}

bool
cred_may_access(uint32_t mode, uint32_t want, bool real)
{
	struct cred_ids me = cred_self();
	bool in_group;

	if ((real ? me.ruid : me.euid) == 0)
		return (want & 1) == 0 || (mode & 0111) != 0;
	in_group = real && me.rgid != me.egid ? me.rgid == 0 : cred_in_group(0);
	return (want & ~(in_group ? mode >> 3 : mode) & 7) == 0;
}

struct cred *
cred_exec(void)
{
	struct cred *cr = curproc()->p_cred; /* stable: one LWP runs */
	struct cred_ids ids = cr->cr_ids;

	if (ids.suid == ids.euid && ids.sgid == ids.egid)
		return cred_ref(cr);
	ids.suid = ids.euid;
	ids.sgid = ids.egid;
	return cred_copy(cr, &ids);
}

void
cred_set(struct cred *cr)
{
	struct proc *p = curproc();
	struct cred *old = cr;

	if (cr != p->p_cred) {
		mutex_lock(&proc_lock);
		mutex_lock(&p->p_lock);
		old = cred_publish(p, cr);
		mutex_unlock(&p->p_lock);
		mutex_unlock(&proc_lock);
	}
	cred_unref(old);
}
