/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What cred.c and credsys.c share.
 * layer: proc
 */
#ifndef PROC_CRED_INTERNAL_H
#define PROC_CRED_INTERNAL_H

#include <kernel/cred.h>

/* A new one with these ids and the groups of `from`; NULL = no memory. */
struct cred *cred_copy(const struct cred *from, const struct cred_ids *);
/* p has `cr` from now on, whose reference it takes; returns the old one. => proc_lock and p_lock held */
struct cred *cred_publish(struct proc *, struct cred *cr);

#endif
