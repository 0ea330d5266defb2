/* SPDX-License-Identifier: BSD-2-Clause */
#include "tap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAP_LINE 512

static int tap_planned = -1;
static int tap_count;
static int tap_failed;

static void
tap_write(const char *s, size_t n)
{
	ssize_t r;

	while (n > 0) {
		r = write(1, s, n);
		if (r <= 0)
			return;
		s += r;
		n -= (size_t)r;
	}
}

static void
tap_vline(const char *head, const char *fmt, va_list ap, const char *tail)
{
	char b[TAP_LINE];
	size_t n;

	n = (size_t)snprintf(b, sizeof(b), "%s", head);
	n += (size_t)vsnprintf(b + n, sizeof(b) - n, fmt, ap);
	if (n < sizeof(b))
		n += (size_t)snprintf(b + n, sizeof(b) - n, "%s", tail);
	if (n > sizeof(b) - 2)
		n = sizeof(b) - 2;
	b[n++] = '\n';
	tap_write(b, n);
}

static int
tap_result(int good, const char *fmt, va_list ap)
{
	char head[32];

	tap_count++;
	if (!good)
		tap_failed++;
	snprintf(head, sizeof(head), "%sok %d - ", good ? "" : "not ", tap_count);
	tap_vline(head, fmt, ap, "");
	return good;
}

void
plan(int n)
{
	char b[32];

	tap_planned = n;
	tap_write(b, (size_t)snprintf(b, sizeof(b), "1..%d\n", n));
}

void
diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_vline("# ", fmt, ap, "");
	va_end(ap);
}

int
ok(int good, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(good, fmt, ap);
	va_end(ap);
	return good;
}

int
is_int(long got, long want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(got == want, fmt, ap);
	va_end(ap);
	if (got != want)
		diag("why: expected %ld (0x%lx), got %ld (0x%lx)", want, want, got, got);
	return got == want;
}

int
is_err(long ret, int want, const char *fmt, ...)
{
	int e = errno, good = ret == -1 && e == want;
	va_list ap;

	va_start(ap, fmt);
	tap_result(good, fmt, ap);
	va_end(ap);
	if (!good && ret != -1)
		diag("why: expected -1 with errno %d (%s), got %ld", want, strerror(want), ret);
	else if (!good)
		diag("why: expected errno %d (%s), got %d (%s)", want, strerror(want), e,
		    strerror(e));
	return good;
}

int
is_ok(long ret, const char *fmt, ...)
{
	int e = errno;
	va_list ap;

	va_start(ap, fmt);
	tap_result(ret != -1, fmt, ap);
	va_end(ap);
	if (ret == -1)
		diag("why: expected success, got errno %d (%s)", e, strerror(e));
	return ret != -1;
}

const char *
status_text(int status)
{
	static char b[64];

	if (WIFEXITED(status))
		snprintf(b, sizeof(b), "exited %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(b, sizeof(b), "killed by signal %d", WTERMSIG(status));
	else
		snprintf(b, sizeof(b), "status 0x%x", (unsigned)status);
	return b;
}

int
is_exit(int status, int code, const char *fmt, ...)
{
	int good = WIFEXITED(status) && WEXITSTATUS(status) == code;
	va_list ap;

	va_start(ap, fmt);
	tap_result(good, fmt, ap);
	va_end(ap);
	if (!good)
		diag("why: expected exited %d, got %s", code, status_text(status));
	return good;
}

int
is_killed(int status, int sig, const char *fmt, ...)
{
	int good = WIFSIGNALED(status) && WTERMSIG(status) == sig;
	va_list ap;

	va_start(ap, fmt);
	tap_result(good, fmt, ap);
	va_end(ap);
	if (!good)
		diag("why: expected killed by signal %d, got %s", sig, status_text(status));
	return good;
}

void
skip(const char *why, const char *fmt, ...)
{
	char head[32], tail[128];
	va_list ap;

	tap_count++;
	snprintf(head, sizeof(head), "ok %d - ", tap_count);
	snprintf(tail, sizeof(tail), " # SKIP %s", why);
	va_start(ap, fmt);
	tap_vline(head, fmt, ap, tail);
	va_end(ap);
}

void
bail_out(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_vline("Bail out! ", fmt, ap, "");
	va_end(ap);
	_exit(99);
}

int
tap_done(void)
{
	char b[32];

	if (tap_planned < 0) {
		tap_planned = tap_count;
		tap_write(b, (size_t)snprintf(b, sizeof(b), "1..%d\n", tap_count));
	}
	if (tap_planned != tap_count)
		diag("why: planned %d results, gave %d", tap_planned, tap_count);
	if (tap_failed > 0)
		diag("%d of %d failed", tap_failed, tap_count);
	return tap_failed > 0 || tap_planned != tap_count;
}
