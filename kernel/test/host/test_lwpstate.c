/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The setter of LWP states: every legal change is let through with its locks, and each illegal one, and each
 * without its locks, panics.
 *
 * sources: kernel/sched/lwplock.c
 * cflags: -D_POSIX_C_SOURCE=200809L -include kernel/test/host/vm/cpu_md.h
 */
#include <hosttest.h>

#include <kernel/cpu.h>
#include <kernel/proc.h>
#include <kernel/sched.h>

static struct cpu the_cpu;
static struct lwp self;
struct cpu *host_cpu = &the_cpu;
struct lwp *host_lwp = &self;
static struct proc the_proc;
static struct spinlock lock;
static bool spin_is_held;

bool
spin_trylock(struct spinlock *m __unused)
{
	return true;
}

void
spin_lock(struct spinlock *m __unused)
{
}

void
spin_lock_slow(struct spinlock *m __unused)
{
}

void
spin_unlock(struct spinlock *m __unused)
{
}

bool
spin_held(const struct spinlock *m __unused)
{
	return spin_is_held;
}

enum { NOT, L, P };
static const uint8_t legal[LS_COUNT][LS_COUNT] = {
#define X(from, to, how, by) [LS_##from][LS_##to] = how,
	LWP_TRANSITIONS(X)
#undef X
};

/* Does it panic? */
static bool
refused(enum lwp_state from, unsigned to, bool spin, bool mutex)
{
	struct lwp l = {
		.l_stat = (uint8_t)from, .l_mutex = &lock, .l_proc = &the_proc, .l_lid = 7
	};

	spin_is_held = spin;
	the_proc.p_lock.mtx_word = mutex ? (uintptr_t)host_lwp : 0;
	host_panic_expected = true;
	if (setjmp(host_panic_jump) != 0) {
		host_panic_expected = false;
		return true;
	}
	lwp_setstat(&l, (enum lwp_state)to);
	host_panic_expected = false;
	return false;
}

int
main(void)
{
	unsigned from, to, n = 0;

	for (from = 0; from < LS_COUNT; from++)
		for (to = 0; to < LS_COUNT; to++) {
			enum lwp_state f = (enum lwp_state)from;

			n += legal[from][to] == NOT;
			QUIET_CHECK(refused(f, to, true, true) == (legal[from][to] == NOT));
			QUIET_CHECK(refused(f, to, false, true));
			QUIET_CHECK(refused(f, to, true, false) == (legal[from][to] != L));
		}
	CHECK_NAMED(n == LS_COUNT * LS_COUNT - 17, "32 changes are illegal, and panic");
	return host_done();
}
