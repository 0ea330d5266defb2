/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsck of what is counted for users. All of it is covered by proc_lock.
 */
#include "fsck.h"

#include <kernel/cred.h>

static unsigned
count_list(const struct list *head)
{
	const struct proc *p;
	unsigned lwps = 0, n = 0;

	list_foreach (p, head, p_list) {
		if (fsck_endless(&n, head))
			break;
		if (p->p_flag & PK_SYSTEM)
			continue;
		CHECK(p->p_ncharged >= 1, "U1: pid %d is counted for nobody", p->p_pid);
		p->p_cred->cr_ui->ui_seen += p->p_ncharged;
		lwps += p->p_ncharged;
	}
	return lwps;
}

void
fsck_users(void)
{
	struct uidinfo *ui;
	unsigned lwps;

	for (ui = uid_next(NULL); ui != NULL; ui = uid_next(ui))
		ui->ui_seen = 0;
	lwps = count_list(&allproc) + count_list(&zombproc);
	CHECK(lwps == lwp_count, "U2: %u LWPs are counted, are %u", lwp_count, lwps);
	for (ui = uid_next(NULL); ui != NULL; ui = uid_next(ui))
		CHECK(ui->ui_seen == ui->ui_lwps, "U3: uid %u: %u LWPs are counted, are %u",
		    ui->ui_uid, ui->ui_lwps, ui->ui_seen);
}
