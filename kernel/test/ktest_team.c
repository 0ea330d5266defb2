/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The team of kernel threads of an in-kernel test. Tests run one at a time.
 */
#include "ktest_team.h"

#include <abi/errno.h>
#include <kernel/cv.h>
#include <kernel/mutex.h>
#include <kernel/sched.h>

static struct mutex team_lock = MUTEX_INIT("ktest", RANK_INODE);
static struct condvar team_cv = CV_INIT(team_cv, "ktest");
static unsigned team_left, team_base; /* base: live kernel threads without the team */
struct lwp *team[TEAM_MAX];
bool ktest_failed;

void
team_begin(void)
{
	ktest_failed = false;
	team_left = 0;
	mutex_lock(&proc0.p_lock);
	team_base = proc0.p_nlive;
	mutex_unlock(&proc0.p_lock);
}

int
team_add(int pri, void (*fn)(void *), void *arg)
{
	struct lwp *l;
	int error;

	mutex_lock(&team_lock);
	KASSERT(team_left < TEAM_MAX);
	error = kthread_create("ktest", pri, fn, arg, &l);
	if (error == 0)
		team[team_left++] = l;
	mutex_unlock(&team_lock);
	EXPECT(error == 0);
	return error;
}

void
team_leave(void)
{
	mutex_lock(&team_lock);
	team_left--;
	cv_broadcast(&team_cv);
	mutex_unlock(&team_lock);
	kthread_exit();
}

/* Until all have left, and are dead: what is counted afterwards must not depend on how far they got. */
int
team_wait(void)
{
	bool alive = true;

	mutex_lock(&team_lock);
	while (team_left != 0)
		cv_wait(&team_cv, &team_lock);
	mutex_unlock(&team_lock);
	while (alive) {
		mutex_lock(&proc0.p_lock);
		alive = proc0.p_nlive != team_base;
		mutex_unlock(&proc0.p_lock);
		if (alive)
			kpause("ktest", false, time_now() + MSEC / 4);
	}
	return ktest_failed ? -EIO : 0;
}
