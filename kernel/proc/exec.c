/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execve. docs/protocol.md 4.5.
 *
 * Everything that can fail is done while the other LWPs are only parked at the user boundary: on failure
 * they go on. The new image is built in an address space of its own, that nobody runs yet. Then the commit:
 * the others die, the survivor takes the PID as its id whatever it had, the address spaces are
 * exchanged, and only then a vfork parent wakes.
 */
#include <kernel/exec.h>

#include <abi/elf.h>
#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/failpoint.h>
#include <kernel/idtable.h>
#include <kernel/inode.h>
#include <kernel/kmem.h>
#include <kernel/process.h>
#include <kernel/random.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timers.h>
#include <kernel/trace.h>
#include <kernel/upcall.h>
#include <kernel/vm.h>

/* At the very top the vDSO, by the same page tables as the stack; unmapped pages around it. */
#define VDSO_BASE (USER_END - PAGE_SIZE - VDSO_SIZE)
#define STACK_TOP (VDSO_BASE - PAGE_SIZE)

/* ---- the initial stack ---- */

struct stack_builder {
	struct vmspace *vm;
	uintptr_t sp;
	int error;
};

static uintptr_t
push(struct stack_builder *sb, const void *data, size_t size)
{
	sb->sp -= size;
	if (sb->error == 0)
		sb->error = vm_write(sb->vm, sb->sp, data, size);
	if (unlikely(sb->error == -EFAULT)) /* the stack may not grow so far */
		sb->error = -E2BIG;
	return sb->sp;
}

/*
 * From the top down: strings, random bytes, platform name; then the vectors, which are made in one kernel buffer
 * and written at once so that the stack pointer ends 16-byte aligned at argc.
 */
static int
build_stack(struct vmspace *vm, const struct elf_image *im, const struct exec_args *args,
    const char *path, uintptr_t *sp)
{
	const struct cred_ids me = cred_self();
	struct stack_builder sb = { .vm = vm, .sp = STACK_TOP };
	uintptr_t execfn, strings, platform, rnd, s;
	uint64_t random[2], *vec;
	size_t words = 1 + args->argc + 1 + args->envc + 1 + 2 * 20, n = 0;
	const char *b = args->buf;

	execfn = push(&sb, path, strlen(path) + 1);
	strings = push(&sb, args->buf, args->used);
	platform = push(&sb, arch_platform, strlen(arch_platform) + 1);
	sb.sp &= ~(uintptr_t)15;
	random[0] = krandom();
	random[1] = krandom();
	rnd = push(&sb, random, sizeof(random));
	if (sb.error != 0)
		return sb.error;
	if ((vec = kmem_alloc(words * sizeof(*vec))) == NULL)
		return -ENOMEM;
	vec[n++] = args->argc;
	for (unsigned i = 0; i < args->argc + args->envc; i++) {
		if (i == args->argc)
			vec[n++] = 0;
		s = strings + (uintptr_t)(b - args->buf);
		vec[n++] = s;
		b += strlen(b) + 1;
	}
	if (args->envc == 0)
		vec[n++] = 0;
	vec[n++] = 0;
#define AUX(type, value) (vec[n++] = (type), vec[n++] = (value))
	AUX(AT_PHDR, im->phdr);
	AUX(AT_PHENT, sizeof(struct elf_phdr));
	AUX(AT_PHNUM, im->phnum);
	AUX(AT_PAGESZ, PAGE_SIZE);
	AUX(AT_BASE, 0);
	AUX(AT_FLAGS, 0);
	AUX(AT_ENTRY, im->entry);
	AUX(AT_UID, me.ruid);
	AUX(AT_EUID, me.euid);
	AUX(AT_GID, me.rgid);
	AUX(AT_EGID, me.egid);
	AUX(AT_SECURE, me.ruid != me.euid || me.rgid != me.egid);
	AUX(AT_RANDOM, rnd);
	AUX(AT_CLKTCK, 100);
	AUX(AT_HWCAP, arch_hwcap());
	AUX(AT_HWCAP2, arch_hwcap2());
	AUX(AT_EXECFN, execfn);
	AUX(AT_PLATFORM, platform);
	if (im->vdso != 0)
		AUX(AT_SYSINFO_EHDR, im->vdso);
	AUX(AT_NULL, 0);
#undef AUX
	KASSERT(n <= words);
	if ((n * 8) & 8)
		sb.sp -= 8; /* so that argc is aligned */
	*sp = push(&sb, vec, n * sizeof(*vec));
	kmem_free(vec, words * sizeof(*vec));
	return sb.error;
}

/* A fresh address space with the program and its stack. */
static int
build_image(struct inode *ino, const struct exec_args *args, const char *path, struct vmspace **vmp,
    uintptr_t *entry, uintptr_t *sp)
{
	struct vmspace *vm = vmspace_create();
	struct elf_image im;
	uint64_t limit = atomic_load_relaxed(&curproc()->p_rlimit[RLIMIT_STACK].cur);
	size_t stack =
	    min(64 * PAGE_SIZE, max(trunc_page(limit), 4 * PAGE_SIZE)) + round_page(args->used);
	vaddr_t va = STACK_TOP - stack;
	int error;

	if (vm == NULL)
		return -ENOMEM;
	error = elf_load(vm, ino, &im);
	if (error == 0)
		error = vdso_map(vm, VDSO_BASE, &im.vdso);
	if (error == 0)
		error = vm_map(vm, &va, stack, PROT_R | PROT_W, PROT_R | PROT_W | PROT_X,
		    VR_GROWSDOWN | VR_STACK | VM_FIXED | VM_NOREPLACE, NULL, 0);
	if (error == 0)
		error = build_stack(vm, &im, args, path, sp);
	if (error != 0) {
		vmspace_unref(vm);
		return error;
	}
	vm->vm_brk_start = vm->vm_brk = im.end;
	*entry = im.entry;
	*vmp = vm;
	return 0;
}

/* ---- commit ---- */

/* The survivor becomes the lead LWP: id == PID. => single-threaded, EXIT mode */
static void
take_pid(struct proc *p, struct lwp *l)
{
	lwpid_t old = l->l_lid;

	TRACE(EXEC, 0, p->p_pid, old);
	if (old == p->p_pid)
		return;
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	lwp_lock(l);
	KASSERT(p->p_single == l && p->p_singlemode == SINGLE_EXIT && p->p_nlwps == 1);
	KASSERT(idt_proc(&idtable, p->p_pid) == p);
	l->l_lid = p->p_pid;
	lwp_unlock(l);
	id_usurp(p, l);
	id_free(old);
	mutex_unlock(&p->p_lock);
	mutex_unlock(&proc_lock);
}

/* => single-threaded, EXIT mode; consumes the references to vm, cr and, if it is not the process's own, fd */
static void
commit(const char *path, struct vmspace *vm, struct cred *cr, struct filedesc *fd, uintptr_t entry,
    uintptr_t sp)
{
	struct lwp *l = curlwp();
	struct proc *p = l->l_proc;
	struct vmspace *old = p->p_vmspace;
	const char *name = strrchr(path, '/');

	KASSERT(p->p_single == l && p->p_singlemode == SINGLE_EXIT && p->p_nlwps == 1);
	KASSERT((p->p_flag & PK_EXITING) == 0 && l->l_vforkchild == NULL);
	lwp_release_user_state(l); /* with the old id, in the old address space */
	fp(exec_commit);
	take_pid(p, l);
	cred_set(cr);
	atomic_store_relaxed(&l->l_pigone, false);

	mutex_lock(&p->p_lock);
	p->p_ru.ru_maxrss = max(p->p_ru.ru_maxrss, (uint64_t)old->vm_maxpages);
	timers_exec(p);
	sigacts_exec(p);
	p->p_flag |= PK_EXEC;
	strlcpy(p->p_comm, name != NULL ? name + 1 : path, sizeof(p->p_comm));
	strlcpy(l->l_name, p->p_comm, sizeof(l->l_name));
	TRACE_NAME(l, false);
	l->l_sigstk = (stack_t){ .ss_flags = SS_DISABLE };
	l->l_clear_tid = l->l_robust_head = 0;
	l->l_sysrestart = 0;
	l->l_restart_deadline = 0;
	l->l_prflag &= ~(uint32_t)LPR_DETACHED;
	lwp_lock(l);
	l->l_flag &= ~(uint32_t)(LW_CANCELLED | LW_UNPARKED | LW_WSUSPEND | LW_WBOUNDARY);
	lwp_unlock(l);
	mutex_unlock(&p->p_lock);
	if (fd != p->p_fd) {
		fd_unref(p->p_fd);
		p->p_fd = fd;
	}
	fd_close_on_exec(fd);

	preempt_disable();
	p->p_vmspace = vm;
	vmspace_activate(vm);
	preempt_enable();
	p->p_stack_top = STACK_TOP;
	arch_lwp_exec(l, entry, sp);
	if (p->p_vforklwp != NULL || p->p_exitsig != SIGCHLD) {
		mutex_lock(&proc_lock);
		p->p_exitsig = SIGCHLD;
		vfork_release(p);
		mutex_unlock(&proc_lock);
	}
	vmspace_unref(old);

	mutex_lock(&p->p_lock);
	p->p_single = NULL;
	p->p_singlemode = SINGLE_NONE;
	if (p->p_flag & PK_KILLED)
		l->l_ast = AST_WORK;
	mutex_unlock(&p->p_lock);
	hold_poke();
}

/* The file at a path, if it may be executed; with a reference. -EACCES, and those of inode_lookup() */
static int
find_program(const char *path, struct inode **inop)
{
	struct inode *ino;
	int error = inode_lookup(curproc()->p_cwd, path, &ino);

	if (error != 0)
		return error;
	if (!inode_is_file(ino) || !cred_may_access(ino->i_mode, 1, false)) {
		inode_unref(ino);
		return -EACCES;
	}
	*inop = ino;
	return 0;
}

/* Consumes the reference to `ino`. */
static int
exec_inode(struct inode *ino, const char *path, const struct exec_args *args)
{
	struct proc *p = curproc();
	struct filedesc *fd;
	struct vmspace *vm;
	struct cred *cr;
	uintptr_t entry, sp;
	int error;

	if (proc_over_limit(p)) {
		inode_unref(ino);
		return -EAGAIN;
	}
	if ((error = single_begin(SINGLE_BOUNDARY)) != 0) {
		inode_unref(ino);
		return error;
	}
	fd = fd_unshared(p->p_fd);
	cr = cred_exec();
	error = fd != NULL && cr != NULL ? build_image(ino, args, path, &vm, &entry, &sp) : -ENOMEM;
	inode_unref(ino);
	if (error != 0) {
		if (cr != NULL)
			cred_unref(cr);
		if (fd != NULL && fd != p->p_fd)
			fd_unref(fd);
		single_end();
		return error;
	}
	(void)single_begin(SINGLE_EXIT);
	commit(path, vm, cr, fd, entry, sp);
	return 0;
}

int
do_execve(const char *path, const struct exec_args *args)
{
	struct inode *ino;
	int error = find_program(path, &ino);

	return error != 0 ? error : exec_inode(ino, path, args);
}

/* ---- the system call ---- */

/* Copies a NULL-terminated vector of strings behind what args holds. NULL counts as empty, as in Linux. */
static int
copy_vector(struct exec_args *args, uintptr_t vec, unsigned *count)
{
	uint64_t s;
	ssize_t len;

	if (vec == 0)
		return 0;
	for (;; vec += 8) {
		if (arch_ufetch_64(vec, &s) != 0)
			return -EFAULT;
		if (s == 0)
			return 0;
		len = arch_copyinstr(args->buf + args->used, s, args->size - args->used);
		if (len < 0)
			return len == -ENAMETOOLONG ? -E2BIG : (int)len;
		args->used += (size_t)len + 1;
		(*count)++;
	}
}

int64_t
sys_execve(const uint64_t *a)
{
	struct exec_args args = { .size = ARG_MAX_BYTES };
	struct inode *ino;
	struct pathbuf pb;
	int error;

	if ((error = pathbuf_copyin(&pb, a[0])) != 0)
		return error;
	ino = NULL;
	error = find_program(pb.pb_path, &ino);
	if (error != 0)
		goto free_path;
	error = -ENOMEM;
	if ((args.buf = kmem_alloc(args.size)) == NULL)
		goto unref;
	error = copy_vector(&args, a[1], &args.argc);
	if (error == 0)
		error = copy_vector(&args, a[2], &args.envc);
	if (error == 0 && args.argc == 0) { /* as Linux since 5.18: argv[0] is there, and empty */
		if (args.used + 1 > args.size)
			error = -E2BIG;
		else {
			memmove(args.buf + 1, args.buf, args.used);
			args.buf[0] = '\0';
			args.used++;
			args.argc = 1;
		}
	}
	if (error == 0) {
		error = exec_inode(ino, pb.pb_path, &args);
		ino = NULL;
	}
	kmem_free(args.buf, args.size);
unref:
	if (ino != NULL)
		inode_unref(ino);
free_path:
	pathbuf_free(&pb);
	return error != 0 ? error : -EJUSTRETURN;
}
