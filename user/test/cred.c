/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Users: real, effective and saved ids, who may change to what, who may signal
 * whom.  B8: a thread made after a change of ids has the new ones.
 *
 * test: timeout=60
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define A 54321
#define B 54322
#define C 54323

static atomic_int *gate;

static int
ids_are(uid_t r, uid_t e, uid_t s)
{
	uid_t ruid, euid, suid;

	return getresuid(&ruid, &euid, &suid) == 0 && ruid == r && euid == e && suid == s &&
	    getuid() == r && geteuid() == e;
}

static int
gids_are(gid_t r, gid_t e, gid_t s)
{
	gid_t rgid, egid, sgid;

	return getresgid(&rgid, &egid, &sgid) == 0 && rgid == r && egid == e && sgid == s &&
	    getgid() == r && getegid() == e;
}

static int
refused(long ret)
{
	return ret == -1 && errno == EPERM;
}

static int
child_setuid(void *arg)
{
	(void)arg;
	if (setuid(A) == -1 || !ids_are(A, A, A))
		return 1;
	if (!refused(setuid(0)) || !refused(seteuid(0)) || !refused(setresuid(-1, B, -1)))
		return 2;
	if (!refused(setreuid(0, -1)) || !refused(setgid(A)) || !refused(setgroups(0, NULL)))
		return 3;
	return setuid(A) == 0 && setresuid(A, A, A) == 0 && setresuid(-1, -1, -1) == 0 ? 0 : 4;
}

static int
child_saved(void *arg)
{
	(void)arg;
	if (setresuid(A, B, 0) == -1 || !ids_are(A, B, 0))
		return 1;
	if (seteuid(A) == -1 || !ids_are(A, A, 0))
		return 2;
	if (!refused(seteuid(B)) || !ids_are(A, A, 0))
		return 3;
	if (setreuid(-1, 0) == -1 || !ids_are(A, 0, 0)) /* the saved one is among those */
		return 4;
	if (setresuid(A, B, A) == -1 || setreuid(B, A) == -1 || !ids_are(B, A, A))
		return 5;
	if (setreuid(A, B) == -1 || !ids_are(A, B, B))
		return 6;
	return 0;
}

static int
child_gids(void *arg)
{
	gid_t list[3] = { 7, 8, 9 }, got[4];

	(void)arg;
	if (setgroups(3, list) == -1 || getgroups(0, NULL) != 3 || getgroups(4, got) != 3 ||
	    memcmp(list, got, sizeof(list)) != 0)
		return 1;
	if (getgroups(2, got) != -1 || errno != EINVAL)
		return 2;
	if (setresgid(A, B, 0) == -1 || !gids_are(A, B, 0) || setgid(B) == -1 || !gids_are(B, B, B))
		return 3;
	if (setregid(A, -1) == -1 || !gids_are(A, B, B) || setuid(A) == -1)
		return 4;
	if (!refused(setgid(0)) || !refused(setresgid(0, -1, -1)) || setgid(A) == -1)
		return 5;
	return gids_are(A, A, B) && getgroups(4, got) == 3 ? 0 : 6;
}

static void
test_ids(void)
{
	ok(ids_are(0, 0, 0) && gids_are(0, 0, 0), "we are the superuser");
	is_exit(run_child(child_setuid, NULL), 0, "setuid of the superuser is for good");
	is_exit(run_child(child_saved, NULL), 0, "real, effective and saved ids are exchanged");
	is_exit(run_child(child_gids, NULL), 0, "the same with groups");
	is_err(setuid((uid_t)-1), EINVAL, "setuid(-1): EINVAL");
	is_err(syscall(SYS_getresuid, 8, 8, 8), EFAULT, "getresuid: EFAULT");
	ok(ids_are(0, 0, 0), "none of this has changed the parent");
}

static int
child_exec(void *arg)
{
	char *argv[] = { (char *)(long)self_path(), (char *)(long)"ids", NULL };

	(void)arg;
	if (setresgid(B, B, 0) == -1 || setresuid(A, A, 0) == -1)
		return 1;
	execv(argv[0], argv);
	return 2;
}

static int
after_exec(void)
{
	if (!ids_are(A, A, A) || !gids_are(B, B, B))
		return 3;
	return getauxval(AT_UID) == A && getauxval(AT_EUID) == A && getauxval(AT_GID) == B &&
		getauxval(AT_SECURE) == 0
	    ? 0
	    : 4;
}

/* --- who may signal whom -------------------------------------------------------- */

static uid_t victim_ids[3];

static int
victim(void *arg)
{
	(void)arg;
	if (setresuid(victim_ids[0], victim_ids[1], victim_ids[2]) == -1)
		return 1;
	word_add(gate, 1);
	pause();
	return 2;
}

static pid_t target;

static int
try_kill(void *arg)
{
	if (setresuid(((uid_t *)arg)[0], ((uid_t *)arg)[1], (uid_t)-1) == -1)
		return 1;
	if (kill(target, 0) == 0)
		return 0;
	return errno == EPERM ? 42 : 2;
}

static int
may_kill(uid_t ruid, uid_t euid)
{
	uid_t ids[2] = { ruid, euid };
	int st = run_child(try_kill, ids);

	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static int
child_other_calls(void *arg)
{
	siginfo_t si = { .si_code = SI_QUEUE };
	unsigned long set = ~0ul;
	struct timespec ts = { 5, 0 };

	(void)arg;
	if (setuid(C) == -1)
		return 1;
	if (!refused(syscall(SYS_tgkill, target, target, SIGKILL)) ||
	    !refused(syscall(SYS_tkill, target, SIGKILL)))
		return 2;
	if (!refused(syscall(SYS_rt_sigqueueinfo, target, SIGKILL, &si)))
		return 3;
	if (syscall(SYS_tgkill, target, target, 99) != -1 || errno != EINVAL)
		return 4;
	if (!refused(syscall(SYS_sched_setaffinity, target, sizeof(set), &set)))
		return 5;
	if (!refused(clock_settime(CLOCK_REALTIME, &ts)))
		return 6;
	if (kill(getpid(), 0) == -1 || syscall(SYS_tkill, getpid(), 0) == -1)
		return 7;
	return 0;
}

static void
test_kill(void)
{
	int st;

	victim_ids[0] = A;
	victim_ids[1] = B;
	victim_ids[2] = A;
	atomic_store(gate, 0);
	target = spawn(victim, NULL);
	word_wait(gate, 1);
	is_int(may_kill(A, A), 0, "his real id is ours: we may");
	is_int(may_kill(B, B), 42, "only his effective one is: EPERM");
	is_int(may_kill(A, B), 0, "our real id is his real one");
	is_int(may_kill(B, A), 0, "our effective id is his");
	is_int(may_kill(B, 0), 0, "the superuser may");
	is_exit(run_child(child_other_calls, NULL), 0,
	    "tgkill, tkill, sigqueue, sched_setaffinity, clock_settime: EPERM for others");
	kill(target, SIGKILL);
	is_int(waitid(P_PID, (id_t)target, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0, "it dies");
	is_int(may_kill(B, B), 42, "a zombie is still its user's: EPERM");
	is_killed((waitpid(target, &st, 0), st), SIGKILL, "and is collected");
	is_int(kill(1, 0) == 0 || errno == EPERM, 1, "process 1 is there");
}

/* --- threads -------------------------------------------------------------------- */

static atomic_int want, bad, quit;

static void *
check_id(void *arg)
{
	(void)arg;
	if ((int)geteuid() != atomic_load(&want))
		atomic_fetch_add(&bad, 1);
	return NULL;
}

static void *
leave(void *arg)
{
	return arg;
}

static void *
make_threads(void *arg)
{
	pthread_t t;

	(void)arg;
	while (!atomic_load(&quit))
		if (pthread_create(&t, NULL, leave, NULL) == 0)
			pthread_join(t, NULL);
	return NULL;
}

static int
child_threads(void *arg)
{
	pthread_t maker, t;
	int i;

	(void)arg;
	pthread_create(&maker, NULL, make_threads, NULL);
	for (i = 0; i < 40; i++) {
		uid_t id = i & 1 ? A : B;

		if (setresuid((uid_t)-1, id, (uid_t)-1) == -1)
			return 1;
		atomic_store(&want, (int)id);
		pthread_create(&t, NULL, check_id, NULL);
		pthread_join(t, NULL);
		if (setresuid((uid_t)-1, 0, (uid_t)-1) == -1)
			return 2;
	}
	atomic_store(&quit, 1);
	pthread_join(maker, NULL);
	return atomic_load(&bad) == 0 ? 0 : 3;
}

/* Raw calls: a C library would make each in all threads. */
static void *
change_gid(void *arg)
{
	gid_t gid;

	for (gid = 1; !atomic_load(&quit); gid++)
		syscall(SYS_setresgid, -1, -1, gid & 0xff);
	return arg;
}

static int
child_groups(void *arg)
{
	gid_t want_gid, got;
	int lost = 0;
	pthread_t t;

	(void)arg;
	pthread_create(&t, NULL, change_gid, NULL);
	for (want_gid = 1; want_gid <= 3000; want_gid++) {
		got = 0;
		if (syscall(SYS_setgroups, 1, &want_gid) == -1 || getgroups(1, &got) != 1)
			return 1;
		lost += got != want_gid;
	}
	atomic_store(&quit, 1);
	pthread_join(t, NULL);
	return lost != 0 ? 2 : 0;
}

/* --- what is for the owner alone ------------------------------------------------ */

static int
child_robust(void *arg)
{
	void *head;
	size_t size;

	(void)arg;
	if (syscall(SYS_get_robust_list, target, &head, &size) == -1)
		return 1;
	if (setresgid(C, C, C) == -1 || setresuid(C, C, C) == -1)
		return 2;
	if (!refused(syscall(SYS_get_robust_list, target, &head, &size)))
		return 3;
	return syscall(SYS_get_robust_list, getpid(), &head, &size) == -1 ? 4 : 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "ids") == 0)
		return after_exec();
	gate = shared_mem(PAGE);
	setgroups(0, NULL);
	test_ids();
	is_exit(
	    run_child(child_exec, NULL), 0, "exec: the effective id is saved; the vector says so");
	test_kill();
	is_exit(run_child(child_threads, NULL), 0, "B8: a new thread has the new id");
	is_exit(run_child(child_groups, NULL), 0,
	    "setgroups holds though another thread changes the group id");
	target = getpid();
	is_exit(run_child(child_robust, NULL), 0,
	    "get_robust_list: the superuser's and one's own; EPERM for another user's");
	return tap_done();
}
