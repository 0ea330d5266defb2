/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execve of a single-threaded process: arguments, environment, the auxiliary
 * vector, errors, close-on-exec, what is reset and what is kept.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

extern char **environ;

/* --- roles of the exec'ed image: the exit status names the first failure ------- */

static int
role_args(int argc, char **argv)
{
	if (argc != 6 || argv[6] != NULL || strcmp(argv[2], "") != 0 ||
	    strcmp(argv[3], "two words") != 0 || strcmp(argv[4], "\xff\x01") != 0 ||
	    strlen(argv[5]) != 5000)
		return 1;
	if (environ[0] == NULL || strcmp(environ[0], "A=1") != 0 || environ[1] == NULL ||
	    strcmp(environ[1], "odd") != 0 || environ[2] != NULL)
		return 2;
	return 0;
}

static int
role_aux(char **argv)
{
	const unsigned char *rnd = (const unsigned char *)getauxval(AT_RANDOM);
	const Elf64_Phdr *ph = (const Elf64_Phdr *)getauxval(AT_PHDR);
	uintptr_t here = (uintptr_t)role_aux;
	unsigned long i, found = 0, sum = 0;

	if (getauxval(AT_PAGESZ) != 4096)
		return 1;
	if (getauxval(AT_PHENT) != sizeof(*ph) || ph == NULL)
		return 2;
	for (i = 0; i < getauxval(AT_PHNUM); i++)
		found |= ph[i].p_type == PT_LOAD &&
		    here % 0x10000000 - ph[i].p_vaddr % 0x10000000 < ph[i].p_memsz;
	if (!found)
		return 3;
	if (rnd == NULL)
		return 4;
	for (i = 0; i < 16; i++)
		sum |= rnd[i];
	if (sum == 0)
		return 5;
	if (getauxval(AT_UID) != getuid() || getauxval(AT_EUID) != geteuid() ||
	    getauxval(AT_GID) != getgid() || getauxval(AT_EGID) != getegid())
		return 6;
	if (getauxval(AT_SECURE) != 0 || getauxval(AT_ENTRY) == 0)
		return 7;
	if (getauxval(AT_CLKTCK) != 100)
		return 8;
	if (strcmp((const char *)getauxval(AT_EXECFN), argv[2]) != 0)
		return 9;
	if (getauxval(AT_PLATFORM) == 0 ||
	    strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") != 0)
		return 10;
	return ((uintptr_t)argv & 7) != 0 ? 11 : 0;
}

static int
role_fds(char **argv)
{
	int keep = atoi(argv[2]), gone = atoi(argv[3]);

	if (fcntl(keep, F_GETFD) == -1)
		return 1;
	return fcntl(gone, F_GETFD) == -1 && errno == EBADF ? 0 : 2;
}

static int
role_signals(void)
{
	struct sigaction sa;
	sigset_t set;
	stack_t ss;

	sigaction(SIGUSR1, NULL, &sa);
	if (sa.sa_handler != SIG_DFL)
		return 1; /* caught ones become default */
	sigaction(SIGUSR2, NULL, &sa);
	if (sa.sa_handler != SIG_IGN)
		return 2; /* ignored ones stay ignored */
	sigprocmask(SIG_SETMASK, NULL, &set);
	if (!sigismember(&set, SIGTERM) || sigismember(&set, SIGHUP))
		return 3; /* the mask is kept */
	sigaltstack(NULL, &ss);
	if (!(ss.ss_flags & SS_DISABLE))
		return 4;
	kill(getpid(), SIGUSR1); /* the default action ends us here */
	return 5;
}

/* --- the execs ------------------------------------------------------------------- */

struct job {
	const char *j_path;
	char *const *j_argv, *const *j_envp;
	void (*j_before)(void);
};

static int
do_exec(void *arg)
{
	struct job *j = arg;

	if (j->j_before != NULL)
		j->j_before();
	execve(j->j_path, j->j_argv, j->j_envp);
	return 100 + (errno < 100 ? errno : 0);
}

static int
exec_with(const char *path, char *const *argv, char *const *envp)
{
	struct job j = { path, argv, envp, NULL };

	return run_child(do_exec, &j);
}

static void
test_args(void)
{
	static char big[5001];
	char *argv[] = { (char *)"odd name", (char *)"role-args", (char *)"", (char *)"two words",
		(char *)"\xff\x01", big, NULL };
	char *envp[] = { (char *)"A=1", (char *)"odd", NULL };

	memset(big, 'b', 5000);
	is_exit(exec_with(self_path(), argv, envp), 0, "arguments and environment arrive");
	argv[1] = (char *)"role-aux";
	argv[2] = (char *)self_path();
	argv[3] = NULL;
	is_exit(exec_with(self_path(), argv, envp), 0, "the auxiliary vector is right");
	argv[1] = (char *)"role-noenv";
	is_exit(exec_with(self_path(), argv, NULL), 0, "a NULL environment is an empty one");
}

/* Empty strings: what counts is the vector. */
static int
exec_small_stack(void *arg)
{
	const struct rlimit small = { 65536, 65536 };
	static char *argv[20001], empty[1];

	for (int i = 0; i < 20000; i++)
		argv[i] = empty;
	if (setrlimit(RLIMIT_STACK, &small) == -1)
		return 1;
	execv(self_path(), argv);
	return arg == NULL && errno == E2BIG ? 0 : 2;
}

static void
test_big(void)
{
	enum { N = 2000 };
	static char *argv[N + 3];
	static char text[41], *huge;
	int i;

	memset(text, 'x', 40);
	argv[0] = (char *)self_path();
	argv[1] = (char *)"role-count";
	for (i = 2; i < N; i++)
		argv[i] = text;
	is_exit(exec_with(self_path(), argv, environ), 0, "2,000 arguments, 82 KB of text");
	huge = malloc(1 << 20);
	memset(huge, 'y', (1 << 20) - 1);
	huge[100000] = '\0';
	argv[2] = huge;
	argv[3] = NULL;
	is_exit(exec_with(self_path(), argv, environ), 0, "one argument of 100,000 bytes");
	huge[100000] = 'y';
	huge[(1 << 20) - 1] = '\0';
	is_exit(exec_with(self_path(), argv, environ), 100 + E2BIG, "one of a megabyte: E2BIG");
	free(huge);
	is_exit(run_child(exec_small_stack, NULL), 0, "more than the stack may hold: E2BIG");
}

static void
test_errors(void)
{
	char *argv[] = { (char *)"x", NULL };
	static char name[6000];

	memset(name, 'n', sizeof(name) - 1);
	is_exit(exec_with("/no/such", argv, environ), 100 + ENOENT, "missing file: ENOENT");
	is_exit(exec_with("", argv, environ), 100 + ENOENT, "empty path: ENOENT");
	is_exit(exec_with(name, argv, environ), 100 + ENAMETOOLONG, "long path: ENAMETOOLONG");
	is_exit(exec_with("/", argv, environ), 100 + EACCES, "a folder: EACCES");
	is_exit(exec_with(data_path("noexec"), argv, environ), 100 + EACCES, "mode 0644: EACCES");
	is_exit(exec_with(data_path("garbage"), argv, environ), 100 + ENOEXEC, "text: ENOEXEC");
	is_exit(exec_with(data_path("shortelf"), argv, environ), 100 + ENOEXEC, "4 bytes: ENOEXEC");
	is_exit(exec_with(data_path("empty"), argv, environ), 100 + ENOEXEC, "0 bytes: ENOEXEC");
	is_exit(
	    exec_with(data_path("elfarm"), argv, environ), 100 + ENOEXEC, "foreign ELF: ENOEXEC");
	is_exit(exec_with(hide(8), argv, environ), 100 + EFAULT, "bad path pointer: EFAULT");
	is_exit(exec_with(self_path(), hide(8), environ), 100 + EFAULT, "bad argv: EFAULT");
	is_exit(exec_with(self_path(), argv, hide(8)), 100 + EFAULT, "bad envp: EFAULT");
	argv[0] = hide(0xffff800000000000);
	is_exit(exec_with(self_path(), argv, environ), 100 + EFAULT, "bad string: EFAULT");
	snprintf(name, sizeof(name), "%s/x", data_path("text"));
	is_exit(exec_with(name, argv, environ), 100 + ENOTDIR, "a file as a folder: ENOTDIR");
}

/* Opens a descriptor after an exec that fails when the image is built. */
static void
test_shared_fds(void)
{
	char *argv[] = { (char *)"x", NULL };
	int fd = dup(1), st;
	pid_t pid;

	close(fd);
	pid = (pid_t)syscall(SYS_clone, (long)(CLONE_FILES | SIGCHLD), 0L, 0L, 0L, 0L);
	if (pid == 0) {
		execve(data_path("badphdr"), argv, environ);
		st = errno;
		dup2(1, fd);
		_exit(st);
	}
	st = reap(pid);
	is_exit(st, ENOEXEC, "a process that shares its descriptors fails to exec: ENOEXEC");
	is_ok(fcntl(fd, F_GETFD), "it shares them still");
	close(fd);
	pid = (pid_t)syscall(SYS_clone, (long)(CLONE_FILES | SIGCHLD), 0L, 0L, 0L, 0L);
	if (pid == 0) {
		fcntl(1, F_DUPFD_CLOEXEC, fd);
		argv[0] = (char *)self_path();
		execve(self_path(), (char *[]){ argv[0], (char *)"role-noenv", NULL }, argv + 1);
		_exit(1);
	}
	is_exit(reap(pid), 0, "one that execs");
	is_ok(fcntl(fd, F_GETFD), "closes its own copies on exec");
	close(fd);
}

static void
on_sig(int sig)
{
	(void)sig;
}

static void
set_signals(void)
{
	static char stk[16384];
	stack_t ss = { .ss_sp = stk, .ss_size = sizeof(stk) };
	sigset_t set;

	signal(SIGUSR1, on_sig);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigaltstack(&ss, NULL);
}

static void
test_state(void)
{
	char a[16], b[16], *argv[] = { (char *)self_path(), (char *)"role-fds", a, b, NULL };
	struct job j = { self_path(), argv, environ, set_signals };
	int keep = dup(1), gone = fcntl(1, F_DUPFD_CLOEXEC, 0), ids[2], got[2];

	snprintf(a, sizeof(a), "%d", keep);
	snprintf(b, sizeof(b), "%d", gone);
	is_exit(
	    exec_with(self_path(), argv, environ), 0, "close-on-exec closes only what it should");
	close(keep);
	close(gone);
	argv[1] = (char *)"role-signals";
	is_killed(
	    run_child(do_exec, &j), SIGUSR1, "signal dispositions, mask and stack after exec");

	pipe(ids);
	snprintf(a, sizeof(a), "%d", ids[1]);
	argv[1] = (char *)"role-ids";
	j.j_before = NULL;
	keep = spawn(do_exec, &j);
	got[0] = got[1] = 0;
	ok(read(ids[0], got, sizeof(got)) == sizeof(got) && got[0] == keep && got[1] == keep,
	    "pid and lid are those from before the exec");
	reap(keep);
}

int
main(int argc, char **argv)
{
	int ids[2] = { getpid(), gettid() };

	if (argc > 1 && strcmp(argv[1], "role-args") == 0)
		return role_args(argc, argv);
	if (argc > 1 && strcmp(argv[1], "role-aux") == 0)
		return role_aux(argv);
	if (argc > 1 && strcmp(argv[1], "role-noenv") == 0)
		return environ[0] != NULL;
	if (argc > 1 && strcmp(argv[1], "role-count") == 0)
		return argc == 2000 ? 0 : argc == 3 && strlen(argv[2]) == 100000 ? 0 : 1;
	if (argc > 1 && strcmp(argv[1], "role-fds") == 0)
		return role_fds(argv);
	if (argc > 1 && strcmp(argv[1], "role-signals") == 0)
		return role_signals();
	if (argc > 1 && strcmp(argv[1], "role-ids") == 0)
		return write(atoi(argv[2]), ids, sizeof(ids)) != sizeof(ids);
	test_args();
	test_big();
	test_errors();
	test_shared_fds();
	test_state();
	return tap_done();
}
