/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program ends from a thread that is not its first one: by exit_group while the first one waits, or as the
 * last one, with the status of the process. What the first program's end leaves is looked at as ever.
 *
 * test: smp=1,4
 * test: name=alone args="alone" smp=1,4
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

static pthread_t first;

static void *
end(void *alone)
{
	if (alone != NULL)
		pthread_join(first, NULL);
	ok(gettid() != getpid(), "another thread than the first one ends it");
	if (alone == NULL)
		exit(tap_done());
	syscall(SYS_exit, tap_done());
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_t t;

	(void)argv;
	first = pthread_self();
	if (pthread_create(&t, NULL, end, argc > 1 ? &t : NULL) != 0)
		bail_out("no thread");
	if (argc > 1)
		pthread_exit(NULL);
	pthread_join(t, NULL);
	return 1;
}
