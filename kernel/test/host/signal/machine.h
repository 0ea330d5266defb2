/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the signal code calls, for its unit test: one process, locks that only assert, memory that can run out.
 */
#ifndef HOST_SIGNAL_MACHINE_H
#define HOST_SIGNAL_MACHINE_H

struct cpu *host_cpu;
struct lwp *host_lwp;
struct mutex proc_lock;

uint32_t fp_usec[FP_COUNT];

static struct proc proc;
static struct lwp lwp[NLWPS];
static struct spinlock lwplock;
static int live; /* objects */
static bool no_memory, no_stack;

static struct {
	int sig, code;
	uint64_t value;
	sigset_t oldmask;
} sent[16];
static int nsent, restarts, exit_sig;
static jmp_buf exited;

static struct uidinfo user;
static struct cred cred = { .cr_refs = 1, .cr_ui = &user };

static int taken_id;

void
timers_taken(struct proc *p __unused, siginfo_t *info)
{
	taken_id = info->u.timer.tid;
}

void
timers_alarm_taken(struct proc *p __unused)
{
}

void
timers_wake(struct proc *p __unused, sigset_t set __unused)
{
}

void
timers_discarded(struct proc *p __unused, sigset_t set __unused)
{
}

void
timers_lwp_exit(struct proc *p __unused, lwpid_t lid __unused)
{
}

struct kmem_cache {
	size_t size;
	void (*ctor)(void *);
	void *free;
};

struct kmem_cache *
kmem_cache_create(const char *name __unused, size_t size, size_t align __unused,
    unsigned flags __unused, void (*ctor)(void *))
{
	struct kmem_cache *kc = calloc(1, sizeof(*kc));

	kc->size = size;
	kc->ctor = ctor;
	return kc;
}

/* Hands the object freed last out again as it was. */
void *
kmem_cache_alloc(struct kmem_cache *kc)
{
	void *o = kc->free;

	if (no_memory)
		return NULL;
	kc->free = NULL;
	if (o == NULL) {
		o = malloc(kc->size);
		if (kc->ctor != NULL)
			kc->ctor(o);
	}
	live++;
	return o;
}

void
kmem_cache_free(struct kmem_cache *kc, void *o)
{
	free(kc->free);
	kc->free = o;
	live--;
}

void
fp_hit(enum failpoint f __unused)
{
}

void
mutex_lock(struct mutex *m)
{
	KASSERT(m->mtx_word == 0);
	m->mtx_word = (uintptr_t)host_lwp;
}

void
mutex_unlock(struct mutex *m)
{
	KASSERT(mutex_owned(m));
	m->mtx_word = 0;
}

void
lwp_lock(struct lwp *l)
{
	KASSERT(l->l_mutex->sl_word == 0);
	l->l_mutex->sl_word = 1;
}

void
lwp_lock_self(struct lwp *l)
{
	lwp_lock(l);
}

void
lwp_unlock(struct lwp *l)
{
	l->l_mutex->sl_word = 0;
}

void
lwp_interrupt(struct lwp *l, uint32_t flag)
{
	KASSERT(mutex_owned(&l->l_proc->p_lock));
	l->l_flag |= flag;
}

void
proc_exit(int code __unused, int sig)
{
	KASSERT(proc.p_lock.mtx_word == 0);
	exit_sig = sig;
	longjmp(exited, 1);
}

int
arch_sendsig(struct trapframe *tf __unused, const struct k_sigaction *act, const siginfo_t *info,
    sigset_t oldmask, const stack_t *ss __unused)
{
	KASSERT(act->sa_handler == HANDLER && proc.p_lock.mtx_word == 0);
	if (no_stack)
		return -EFAULT;
	sent[nsent].sig = info->si_signo;
	sent[nsent].code = info->si_code;
	sent[nsent].value = info->u.rt.value;
	sent[nsent++].oldmask = oldmask;
	return 0;
}

void
arch_frame_restart_syscall(struct trapframe *tf __unused)
{
	restarts++;
}

/* What is stopped goes on; the LWPs are another file's affair. */
const struct syncobj syncobj_turnstile;
struct proc *initproc;
static int continued;

void
proc_continue(struct proc *p)
{
	KASSERT(mutex_owned(&proc_lock) && mutex_owned(&p->p_lock));
	p->p_flag &= ~(uint32_t)PK_STOP;
	continued++;
}

#endif
