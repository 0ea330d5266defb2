/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwp [prefix]: what the native LWP calls cost; see bench.h. Apart from bench, which Linux runs, too.
 *
 *	tools/run --build release --icount --smp 1 -- /bench/lwp
 */
#define _GNU_SOURCE
#include <errno.h>

#include "bench.h"
#include "lwputil.h"

static char stack[LWP_STACK] __attribute__((aligned(64)));
static lwpid_t first;

static void
quit(void *arg)
{
	(void)arg;
}

static long
create_wait(long n)
{
	long t0 = now();
	ucontext_t u;
	lwpid_t lid;

	while (n-- > 0) {
		_lwp_makecontext(&u, quit, NULL, NULL, stack, sizeof(stack));
		if (_lwp_create(&u, 0, &lid) != 0 || _lwp_wait(lid, NULL) != 0)
			return -1;
	}
	return since(t0);
}

/* Each park unparks the other: one call a switch. */
static void
park_peer(void *arg)
{
	long n = (long)arg;

	while (n-- > 0)
		_lwp_park(CLOCK_MONOTONIC, 0, NULL, first, NULL, NULL);
	_lwp_unpark(first, NULL);
}

static long
park_switch(long n)
{
	lwpid_t peer = lwp_start(stack, park_peer, (void *)(n / 2), 0);
	long t0, ns, i;

	if (peer == -1)
		return -1;
	first = _lwp_self();
	t0 = now();
	for (i = 0; i < n / 2; i++)
		_lwp_park(CLOCK_MONOTONIC, 0, NULL, peer, NULL, NULL);
	ns = since(t0);
	while (_lwp_wait(peer, NULL) != 0)
		if (errno == ESRCH)
			return -1;
	(void)_lwp_unpark(first, NULL);
	_lwp_park(CLOCK_MONOTONIC, 0, NULL, 0, NULL, NULL);
	return ns;
}

static const struct bench benches[] = {
	{ "lwp-create-wait", create_wait, 100 },
	{ "lwp-park-switch", park_switch, 400 },
};

int
main(int argc, char **argv)
{
	const char *prefix = argc > 1 ? argv[1] : "";

	return bench_run(benches, sizeof(benches) / sizeof(benches[0]), prefix);
}
