/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the machine layer's hand-over to the first process, and the end of the run when that exits.
 */
#include <abi/errno.h>
#include <abi/resource.h>
#include <arch/arch_if.h>
#include <kernel/bootinfo.h>
#include <kernel/console.h>
#include <kernel/ctty.h>
#include <kernel/debug.h>
#include <kernel/exec.h>
#include <kernel/exitmode.h>
#include <kernel/explore.h>
#include <kernel/fault.h>
#include <kernel/file.h>
#include <kernel/futex.h>
#include <kernel/gdbstub.h>
#include <kernel/idtable.h>
#include <kernel/kasan.h>
#include <kernel/kmem.h>
#include <kernel/log.h>
#include <kernel/options.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/process.h>
#include <kernel/random.h>
#include <kernel/san.h>
#include <kernel/sched.h>
#include <kernel/signal.h>
#include <kernel/timers.h>
#include <kernel/sleepq.h>
#include <kernel/string.h>
#include <kernel/trace.h>
#include <kernel/turnstile.h>
#include <kernel/vm.h>

static char init_path[EXEC_PATH_MAX] = "/bin/demo";
static struct ledger ledger_at_start;

static int
set_init(const char *value)
{
	if (value[0] != '/' || strlen(value) >= sizeof(init_path))
		return -EINVAL;
	strlcpy(init_path, value, sizeof(init_path));
	return 0;
}
OPTION(init, "absolute path of the first program", set_init);

/* ---- arguments of the first program ---- */

/* Room for `size` more bytes, or the end: init cannot run without all of its arguments. */
static char *
args_room(struct exec_args *args, size_t size)
{
	if (size > args->size - args->used)
		panic("init: arguments and environment of %zu bytes and more do not fit into %zu",
		    args->used + size, args->size);
	return args->buf + args->used;
}

/* Appends the strings of a fw_cfg item. Returns how many; 0 if there is none. */
static unsigned
item_strings(struct exec_args *args, const char *item)
{
	ssize_t size = arch_fwcfg_size(item);
	unsigned n = 0;

	if (size <= 0)
		return 0;
	if (arch_fwcfg_read(item, args_room(args, (size_t)size + 1), (size_t)size) != 0)
		panic("init: cannot read %s", item);
	if (args->buf[args->used + (size_t)size - 1] != '\0')
		args->buf[args->used + (size_t)size++] = '\0';
	for (ssize_t i = 0; i < size; i++)
		n += args->buf[args->used + (size_t)i] == '\0';
	args->used += (size_t)size;
	return n;
}

static unsigned
add_string(struct exec_args *args, const char *s)
{
	size_t len = strlen(s) + 1;

	memcpy(args_room(args, len), s, len);
	args->used += len;
	return 1;
}

static void
init_start(void *arg __unused)
{
	struct exec_args args = { .size = ARG_MAX_BYTES };
	struct proc *p = curproc();
	struct vmspace *vm;
	int error;

	ledger_get(&ledger_at_start);
	args.buf = kmem_alloc(args.size);
	vm = vmspace_create();
	if (args.buf == NULL || vm == NULL)
		panic("init: no memory");
	preempt_disable();
	p->p_vmspace = vm;
	vmspace_activate(vm);
	preempt_enable();
	args.argc = item_strings(&args, "opt/threadbare/argv");
	if (args.argc != 0)
		strlcpy(init_path, args.buf, sizeof(init_path));
	else
		args.argc = add_string(&args, init_path);
	args.envc = item_strings(&args, "opt/threadbare/envp");
	if (args.envc == 0) {
		args.envc = add_string(&args, "PATH=/bin:/usr/bin");
		args.envc += add_string(&args, "HOME=/");
		args.envc += add_string(&args, "TERM=linux");
	}
	if ((error = fd_init_console(&p->p_fd)) != 0)
		panic("init: console: error %d", error);
	kprintf("init: starting %s\n", init_path);
	explore_begin();
	error = do_execve(init_path, &args);
	kmem_free(args.buf, args.size);
	if (error != 0) {
		kprintf("init: %s: cannot be run: error %d\n", init_path, -error);
		arch_poweroff(error == -ENOENT || error == -ENOTDIR ? 127 : 126);
	}
	fault_boot();
}

static void
start_init(void)
{
	struct proc *p = proc_alloc();
	struct lwp *l = p != NULL ? lwp_alloc(p) : NULL;

	if (l == NULL || (p->p_sigacts = sigacts_create()) == NULL)
		panic("init: no memory");
	p->p_vmspace = &vmspace_kernel;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		p->p_rlimit[i].cur = p->p_rlimit[i].max = RLIM_INFINITY;
	p->p_rlimit[RLIMIT_STACK].cur = 8 << 20;
	p->p_rlimit[RLIMIT_NICE].cur = p->p_rlimit[RLIMIT_NICE].max = 0;
	p->p_rlimit[RLIMIT_RTPRIO].cur = p->p_rlimit[RLIMIT_RTPRIO].max = 0;
	p->p_rlimit[RLIMIT_CORE].cur = 0;
	p->p_rlimit[RLIMIT_NOFILE].cur = 1024;
	p->p_rlimit[RLIMIT_NOFILE].max = 4096;
	p->p_rlimit[RLIMIT_NPROC].cur = p->p_rlimit[RLIMIT_NPROC].max = maxlwp / 2;
	p->p_rlimit[RLIMIT_SIGPENDING].cur = p->p_rlimit[RLIMIT_SIGPENDING].max = 8192;
	p->p_umask = 022;
	p->p_cred = cred_ref(proc0.p_cred);
	p->p_cwd = inode_root();
	inode_ref(p->p_cwd);
	p->p_exitsig = SIGCHLD;
	p->p_start = time_now();
	arch_lwp_init(l, init_start, NULL);

	mutex_lock(&proc_lock);
	p->p_pid = l->l_lid = idt_alloc_init(&idtable, l);
	if (proc_charge(p) != 0)
		panic("init: counts");
	proc_set_parent(p, &proc0);
	list_insert_tail(&proc0.p_children, &p->p_sibling);
	list_insert_tail(&allproc, &p->p_list);
	initproc = p;
	mutex_unlock(&proc_lock);
	if (session_create(p) != 0)
		panic("init: no memory");
	mutex_lock(&proc_lock);
	mutex_lock(&p->p_lock);
	proc_setstat(p, PS_ACTIVE);
	if (console_is_tty())
		ctty_give(p);
	mutex_unlock(&proc_lock);
	lwp_link(p, l);
	lwp_start(l);
	mutex_unlock(&p->p_lock);
}

/*
 * The first program is gone: kill and collect what it left, free what it had, check that nothing leaked,
 * and end the run with its status. => the exiting LWP of init, alone in its process
 */
void
init_exited(struct proc *p)
{
	struct proc *q;
	struct vmspace *vm = p->p_vmspace;
	int status = p->p_xsig != 0 ? 128 + p->p_xsig : p->p_xexit & 0xff;
	unsigned leaks;

	if (p->p_xsig != 0)
		kprintf("init: killed by signal %d\n", p->p_xsig);
	lwp_release_user_state(curlwp());
	mutex_lock(&proc_lock);
	list_foreach (q, &allproc, p_list)
		if (q != p && (q->p_flag & PK_SYSTEM) == 0) {
			mutex_lock(&q->p_lock);
			sig_post_proc(q, SIGKILL, NULL);
			mutex_unlock(&q->p_lock);
		}
	mutex_unlock(&proc_lock);
	mutex_lock(&p->p_lock);
	sigacts_default(p, SIGCHLD); /* orphans become zombies, and ours to wait for */
	sigpend_drop(&p->p_sigpend);
	sig_lwp_exit(curlwp());
	mutex_unlock(&p->p_lock);
	proc_collect_all(p);

	fd_unref(p->p_fd);
	p->p_fd = NULL;
	inode_unref(p->p_cwd);
	p->p_cwd = NULL;
	cred_set(cred_ref(proc0.p_cred));
	preempt_disable();
	p->p_vmspace = &vmspace_kernel;
	vmspace_activate(&vmspace_kernel);
	preempt_enable();
	vmspace_unref(vm);
	DEBUG_ONLY(fsck());
	/* The first thread may have ended before: we have an id beside the process's then. */
	if (curlwp()->l_lid != p->p_pid)
		ledger_at_start.ids++;
	leaks = ledger_compare(&ledger_at_start, true);
	if (leaks != 0)
		kprintf("init: %u leak%s\n", leaks, leaks == 1 ? "" : "s");
	explore_end(status, leaks);
	arch_poweroff(status);
}

/* ---- start of the kernel ---- */

static void
parse_all_options(struct bootinfo *bi)
{
	static char words[1024];
	ssize_t size = arch_fwcfg_size("opt/threadbare/options");

	options_parse(bi->bi_cmdline);
	if (size >= (ssize_t)sizeof(words))
		panic("options: %zd bytes; at most %zu", size, sizeof(words) - 1);
	if (size > 0 && arch_fwcfg_read("opt/threadbare/options", words, (size_t)size) == 0)
		options_parse(words);
}

/*
 * The RAM disk that tools/run adds is read into memory that is cut off the largest range of RAM before the page
 * allocator sees it. => before pmem_init()
 */
static paddr_t added_disk;
static size_t added_size;

static void
read_added_ramdisk(struct bootinfo *bi)
{
	ssize_t size = arch_fwcfg_size("opt/threadbare/ramdisk");
	struct memrange *best = NULL;

	if (size <= 0)
		return;
	for (unsigned i = 0; i < bi->bi_nram; i++)
		if (bi->bi_ram[i].end <= (paddr_t)4 << 30 &&
		    (best == NULL ||
			bi->bi_ram[i].end - bi->bi_ram[i].start > best->end - best->start))
			best = &bi->bi_ram[i];
	if (best == NULL || best->end - best->start < 2 * (paddr_t)size)
		panic("ramdisk: no memory for the added one of %zd bytes", size);
	best->end -= round_page((size_t)size);
	added_disk = best->end;
	if (arch_fwcfg_read(
		"opt/threadbare/ramdisk", arch_phys_to_virt(added_disk), (size_t)size) != 0)
		panic("ramdisk: cannot read the added one of %zd bytes", size);
	added_size = (size_t)size;
}

static void
load_ramdisks(const struct bootinfo *bi)
{
	int error;

	if (bi->bi_ramdisk != 0)
		fs_init(arch_phys_to_virt(bi->bi_ramdisk), bi->bi_ramdisk_end - bi->bi_ramdisk);
	else
		fs_init(NULL, 0);
	if (added_size != 0 &&
	    (error = ramdisk_load(arch_phys_to_virt(added_disk), added_size)) != 0)
		kprintf("ramdisk: the added one is broken: error %d\n", -error);
}

/* The rest of the start, in a kernel thread that may sleep and that becomes the adopter. */
static void
start_thread(void *arg)
{
	load_ramdisks(arg);
	console_init();
	timers_init();
	exitmode_init();
	start_init();
	proc_adopter();
}

void
kernel_main(struct bootinfo *bi)
{
	int error;

	procs_init_early();
	parse_all_options(bi);
	explore_reserve(bi);
	read_added_ramdisk(bi);
	pmem_early_init(bi, (paddr_t)4 << 30);
	pmap_bootstrap(bi);
	kasan_init();
	pmem_init(bi);
	kmem_init();
	kstack_init();
	arch_init(bi);
	vm_init();
	vdso_init();
	sleepq_init();
	turnstile_init();
	procs_init();
	signal_init();
	futex_init();
	pifutex_init();
	arch_intr_enable();
	debug_init();
	arch_start_cpus();
	kprintf("threadbare: %u CPU%s, %zu MiB\n", ncpu, ncpu == 1 ? "" : "s",
	    pmem_total() >> (20 - PAGE_SHIFT));
	trace_init();
	explore_start();
	kcsan_init();
	if ((error = kthread_create("adopter", PRI_KERNEL_RT, start_thread, bi, NULL)) != 0)
		panic("adopter: error %d", error);
	cold = false;
	idle_loop();
}

/* An application processor, on its idle LWP's stack. */
void
cpu_main_ap(struct cpu *ci __unused)
{
	arch_intr_enable();
	idle_loop();
}
