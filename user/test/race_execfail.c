/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * B53: an exec that fails leaves every other thread alive and running, over
 * and over, and when several threads fail at once.  B55: parallel execs in one
 * process do not wait for each other's memory.  docs/protocol.md 4.3: BOUNDARY.
 *
 * test: timeout=60
 * test: name=b53 smp=2,4 append="fp=exec-commit:300,lend-restart:50" args="15" host=no
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define BEATS   4
#define FAILERS 3

extern char **environ;

static atomic_int beat_count[BEATS], stop, ready;
static const char *garbage;

static void *
beat(void *arg)
{
	atomic_int *c = &beat_count[(long)arg];

	word_add(&ready, 1);
	while (!atomic_load(&stop)) {
		atomic_fetch_add(c, 1);
		if ((long)arg & 1)
			sleep_ms(1);
	}
	return NULL;
}

static int
all_beat(void)
{
	int i, k, before[BEATS];

	for (i = 0; i < BEATS; i++)
		before[i] = atomic_load(&beat_count[i]);
	for (k = 0; k < 5000; k++) {
		for (i = 0; i < BEATS && atomic_load(&beat_count[i]) != before[i]; i++)
			;
		if (i == BEATS)
			return 1;
		sleep_ms(1);
	}
	return 0;
}

/* One failing exec of a kind; whether it failed as it should. */
static int
fail_once(long kind)
{
	char *argv[] = { (char *)"x", NULL };

	switch (kind % 4) {
	case 0:
		return execve("/no/such/file", argv, environ) == -1 && errno == ENOENT;
	case 1:
		return execve(garbage, argv, environ) == -1 && errno == ENOEXEC;
	case 2:
		return execve(self_path(), hide(8), environ) == -1 && errno == EFAULT;
	default:
		return execve("/", argv, environ) == -1 && errno == EACCES;
	}
}

struct failer {
	long f_kind, f_n, f_good;
};

static void *
fail_many(void *arg)
{
	struct failer *f = arg;
	long i;

	for (i = 0; i < f->f_n; i++)
		f->f_good += fail_once(f->f_kind + i);
	return NULL;
}

int
main(int argc, char **argv)
{
	long i, n = arg_rounds(argc, argv, 50), good = 0, alive = 0;
	struct failer f[FAILERS];
	pthread_t t[BEATS], ft[FAILERS];

	rng_arg(argc, argv);
	garbage = data_path("garbage");
	for (i = 0; i < BEATS; i++)
		pthread_create(&t[i], NULL, beat, (void *)i);
	word_wait(&ready, BEATS);
	for (i = 0; i < n; i++) {
		good += fail_once(i);
		alive += all_beat();
	}
	is_int(good, n, "B53: ENOENT, ENOEXEC, EFAULT, EACCES, with four threads alive");
	is_int(alive, n, "after each of them every thread goes on");
	for (i = 0; i < FAILERS; i++) {
		f[i] = (struct failer){ .f_kind = i, .f_n = n };
		/* Linux makes no thread while another is in exec: EAGAIN. */
		while (pthread_create(&ft[i], NULL, fail_many, &f[i]) != 0)
			sleep_ms(1);
	}
	for (i = good = 0; i < FAILERS; i++) {
		pthread_join(ft[i], NULL);
		good += f[i].f_good;
	}
	is_int(good, FAILERS * n, "B55: three threads fail at once");
	ok(all_beat(), "every other thread goes on");
	atomic_store(&stop, 1);
	for (i = 0; i < BEATS; i++)
		pthread_join(t[i], NULL);
	ok(1, "and can be joined");
	return tap_done();
}
