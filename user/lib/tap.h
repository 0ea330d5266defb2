/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test Anything Protocol, written with plain write(2) so that a fork never
 * duplicates buffered text.  Only one thread of one process may report.
 * The text of an ok line holds no pid, time or address: it is compared
 * between kernels.  Numbers that vary belong into diag().
 */
#ifndef USER_TAP_H
#define USER_TAP_H

#define TAP_PRINTF(a, b) __attribute__((format(printf, a, b)))

/* Announce the number of results up front; without it tap_done() does. */
void plan(int n);
/* Report one result; returns whether it was good. */
int ok(int good, const char *fmt, ...) TAP_PRINTF(2, 3);
/* As ok(got == want), telling both numbers when they differ. */
int is_int(long got, long want, const char *fmt, ...) TAP_PRINTF(3, 4);
/* The call failed: ret is -1 and errno is want. */
int is_err(long ret, int want, const char *fmt, ...) TAP_PRINTF(3, 4);
/* The call worked: ret is not -1. */
int is_ok(long ret, const char *fmt, ...) TAP_PRINTF(2, 3);
/* wait status: exited with code / killed by sig. */
int is_exit(int status, int code, const char *fmt, ...) TAP_PRINTF(3, 4);
int is_killed(int status, int sig, const char *fmt, ...) TAP_PRINTF(3, 4);
/* A result that this machine cannot give. */
void skip(const char *why, const char *fmt, ...) TAP_PRINTF(2, 3);
/* A comment line. */
void diag(const char *fmt, ...) TAP_PRINTF(1, 2);
/* Give up: the rest cannot work. */
void bail_out(const char *fmt, ...) TAP_PRINTF(1, 2) __attribute__((noreturn));
/* The exit status: 0 only when every result was good and the plan was kept. */
int tap_done(void);

/* "exited 3", "killed by signal 11" */
const char *status_text(int status);

#endif /* USER_TAP_H */
