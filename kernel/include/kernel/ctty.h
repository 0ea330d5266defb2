/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The controlling terminal, of which there is one: whose session's the console is, and which group of that
 * session is in the foreground. The terminal itself is in fs.
 * layer: proc
 */
#ifndef KERNEL_CTTY_H
#define KERNEL_CTTY_H

#include <kernel/proc.h>

/* All but the first three: => no lock held */

/* p, which leads a session, gets the console as its controlling terminal. => proc_lock held */
void ctty_give(struct proc *);
void ctty_pgrp_gone(const struct pgrp *); /* => proc_lock held */
/* p exits: if it leads the console's session, that loses it. => proc_lock held, no p_lock */
void ctty_exit(struct proc *);

bool ctty_is_own(void); /* is the console the current process's? */
/* To the foreground group. => sleeps */
void ctty_signal(int sig);
/*
 * May the current process do what a background group is stopped for by `sig`, SIGTTIN or SIGTTOU? 0; -ERESTART: its
 * group was sent `sig`; -EIO: nobody would continue it, or it does not take SIGTTIN.
 */
int ctty_check(int sig);
/* TIOCSCTTY TIOCNOTTY TIOCGPGRP TIOCSPGRP TIOCGSID. 0, a positive id or -errno */
int ctty_acquire(bool steal);
int ctty_release(void);
int ctty_get_pgrp(void);
int ctty_set_pgrp(pid_t);
int ctty_get_sid(void);

#endif
