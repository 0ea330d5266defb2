/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests that run on the build machine. A test is one file test_NAME.c with its own main(), which ends
 * with `return host_done();`. A comment in it names what else is compiled, and flags if it needs any:
 *
 *	 * sources: kernel/lib/rb.c
 *	 * cflags: -Dmemcpy=k_memcpy
 *
 * The file is compiled with the sanitizers and -Ikernel/test/host -Ikernel/include. CHECK(e) is one TAP
 * line; QUIET_CHECK(e) prints only when it fails, for loops. panic() and kprintf() are supplied here; a test
 * that expects a panic calls HOST_EXPECT_PANIC(statement).
 */
#ifndef HOSTTEST_H
#define HOSTTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* The host's stdio is declared here by hand, since <stdio.h> clashes with the kernel's headers. */
int printf(const char *, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *, va_list) __attribute__((format(printf, 1, 0)));
int puts(const char *);
int fflush(void *);

static int host_tests, host_failures;
static jmp_buf host_panic_jump;
static bool host_panic_expected;

static inline bool
host_check(bool ok, const char *what, const char *file, int line)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++host_tests, what);
	if (!ok) {
		host_failures++;
		printf("# %s:%d\n", file, line);
	}
	return ok;
}

#define CHECK(e) host_check((e), #e, __FILE__, __LINE__)
/* With a text of its own. */
#define CHECK_NAMED(e, name) host_check((e), name, __FILE__, __LINE__)
#define QUIET_CHECK(e)       ((e) ? (void)0 : (void)host_check(false, #e, __FILE__, __LINE__))
#define HOST_EXPECT_PANIC(statement) \
	do { \
		host_panic_expected = true; \
		if (setjmp(host_panic_jump) == 0) { \
			statement; \
			host_check(false, "panics: " #statement, __FILE__, __LINE__); \
		} else { \
			host_check(true, "panics: " #statement, __FILE__, __LINE__); \
		} \
		host_panic_expected = false; \
	} while (0)

static inline int
host_done(void)
{
	printf("1..%d\n", host_tests);
	return host_failures != 0;
}

void panic(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
void kprintf(const char *, ...) __attribute__((format(printf, 1, 2)));

void
panic(const char *fmt, ...)
{
	va_list ap;

	printf("# panic: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	puts("");
	if (host_panic_expected)
		longjmp(host_panic_jump, 1);
	puts("Bail out! unexpected panic");
	fflush(0);
	abort();
}

void
kprintf(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

#endif
