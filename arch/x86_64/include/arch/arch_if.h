/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that kernel/ may ask of the machine. An architecture supplies these functions and the headers
 * <arch/cpu_types.h> struct arch_cpu, <arch/lwp_types.h> struct arch_lwp, <arch/cpu_md.h> the inline
 * functions arch_curcpu(), arch_curlwp(), arch_intr_*, arch_cpu_relax(); and calls the upcalls at the end.
 * layer: arch_if
 */
#ifndef ARCH_ARCH_IF_H
#define ARCH_ARCH_IF_H

#include <abi/signal.h>
#include <arch/cpu_md.h>
#include <arch/physmap.h>
#include <kernel/kasan.h>
#include <kernel/san.h>
#include <kernel/types.h>

struct cpu;
struct lwp;
struct pmap;
struct trapframe; /* user registers at kernel entry; lies at the top of the kernel stack */
struct bootinfo;
struct vmspace;

/* ---- start and end ---- */

/* Descriptor tables, APIC, timer, time base on the boot CPU. After pmem and kmem are up. */
void arch_init(struct bootinfo *);
/* Starts all other CPUs; each runs cpu_main_ap(). Returns when all are online or given up (reported). */
void arch_start_cpus(void);
/* Ends the machine. `status` 0-255 is handed to tools/run as the log line "exit: status=N". */
void arch_poweroff(int status) __noreturn;
void arch_reboot(void) __noreturn;
/* Stops this CPU for ever, interrupts off. */
void arch_halt(void) __noreturn;

/* ---- time ---- */

nsec_t arch_time_ns(void);           /* monotonic since boot, the same on all CPUs; any context */
nsec_t arch_time_wall_at_boot(void); /* from the RTC */
/* How arch_cycles() counts: in a second, and its value when arch_time_ns() was 0. */
void arch_cycles_scale(uint64_t *hz, uint64_t *base);
/* Programs this CPU's one-shot timer; the upcall is timer_intr(). NSEC_FOREVER stops it. => interrupts off */
void arch_timer_set(nsec_t when);

/* ---- the vDSO: an image of at most a page, and its data on the page below ---- */

const void *arch_vdso_image(size_t *size);
/*
 * Fills the data page, which programs may be reading: the wall clock when arch_time_ns() was 0; `calls`: leave the
 * clocks to the kernel. => one caller at a time
 */
void arch_vdso_data(void *page, nsec_t wall, bool calls);

/* ---- interprocessor interrupts ---- */

void arch_ipi_resched(struct cpu *); /* upcall: sched_ipi() */
void arch_ipi_call(struct cpu *);    /* upcall: cpu_call_ipi() */
void arch_ipi_nmi(struct cpu *);     /* upcall: cpu_nmi() */

/* ---- switch; see docs/switch.md ---- */

/*
 * arch_switch: save `prev`, run `next`; returns the LWP that ran before on `next`'s CPU, on next's stack.
 * Saves callee-saved registers and, for user LWPs, FPU state and TLS bases; loads those of `next`, TSS.rsp0
 * and ci_curlwp. The address space is the caller's business (pmap_activate).
 * => interrupts off; exactly one spin lock held, prev's.
 */
struct lwp *arch_switch(struct lwp *prev, struct lwp *next);
/* A kernel stack is KSTACK_SIZE bytes from l->l_kstack. First run: lwp_startup(prev), then fn(arg), then return to user mode. */
void arch_lwp_init(struct lwp *, void (*fn)(void *), void *arg);
/*
 * Child of fork/clone: copies the current LWP's user registers, FPU state and TLS base to `child`; the
 * child sees 0 as result. `stack` != 0 replaces the stack pointer; `set_tls` sets the TLS base to `tls`.
 */
void arch_lwp_fork(struct lwp *child, uintptr_t stack, bool set_tls, uintptr_t tls);
/*
 * Replaces what `child` has from arch_lwp_fork() by the user context at `uctx` (<abi/lwp.h>); *mask too, if the
 * context has one. -EFAULT; -EINVAL: no registers, or such as user mode cannot have.
 */
int arch_lwp_context(struct lwp *child, uintptr_t uctx, sigset_t *mask);
/* exec: fresh user registers (all 0, FPU initial, TLS base 0) that start at `entry` with stack pointer `sp`. */
void arch_lwp_exec(struct lwp *, uintptr_t entry, uintptr_t sp);
/* Bytes that follow struct lwp in its allocation for FPU state; 64-byte aligned. Valid after arch_init. */
size_t arch_lwp_extra_size(void);
/* Once per allocation of a struct lwp (not per reuse). */
void arch_lwp_ctor(struct lwp *);
void arch_fpu_discard(struct lwp *); /* dying LWP: nothing is saved for it at its last switch */

/* ---- user registers and signals ---- */

struct trapframe *arch_user_frame(const struct lwp *);
uintptr_t arch_frame_pc(const struct trapframe *);
uintptr_t arch_frame_sp(const struct trapframe *);
void arch_frame_set_result(struct trapframe *, int64_t);
/* Rewinds to the system-call instruction with its original number. */
void arch_frame_restart_syscall(struct trapframe *);
/*
 * Pushes Linux's rt_sigframe on the user stack (the alternate one if asked and not in use) and points the
 * registers at the handler. -EFAULT when the stack cannot be written (caller forces SIGSEGV).
 */
int arch_sendsig(struct trapframe *, const struct k_sigaction *, const siginfo_t *,
    sigset_t oldmask, const stack_t *altstack);
/*
 * Undoes it from the frame at the user stack pointer. Privileged bits are masked, a bad frame gives -EFAULT
 * (caller forces SIGSEGV). *mask receives the mask, *ss the alternate stack. Result register as saved: the caller
 * returns -EJUSTRETURN.
 */
int arch_sigreturn(struct trapframe *, sigset_t *mask, stack_t *ss);
int arch_set_tls(uintptr_t base); /* -EPERM when not a user address */
uintptr_t arch_get_tls(void);
/* arch_prctl(2); GS base included. */
int arch_prctl(int code, uintptr_t addr);
uint64_t arch_hwcap(void), arch_hwcap2(void);
extern const char arch_platform[];

/* ---- user memory; LP_NOFAULT in l_pflag makes absent pages fail at once ---- */

#define USER_END ((uintptr_t)0x00007ffffffff000)   /* first address that is not the user's */
int arch_copyin(void *dst, uintptr_t src, size_t); /* 0 or -EFAULT, range checked */
int arch_copyout(uintptr_t dst, const void *src, size_t);
ssize_t arch_copyinstr(
    char *dst, uintptr_t src, size_t size); /* length without NUL, -EFAULT, -ENAMETOOLONG */
int arch_ufetch_32(uintptr_t addr, uint32_t *v);
int arch_ustore_32(uintptr_t addr, uint32_t v);
int arch_ucas_32(uintptr_t addr, uint32_t expected, uint32_t v, uint32_t *seen);
int arch_ufetch_64(uintptr_t addr, uint64_t *v);
int arch_ustore_64(uintptr_t addr, uint64_t v);
int arch_uzero(uintptr_t dst, size_t);
/* Kernel addresses that may be unmapped (debugger, backtrace). */
int arch_peek(uintptr_t addr, void *dst, size_t);

/* ---- physical memory and page tables ---- */

#define PROT_R 1
#define PROT_W 2
#define PROT_X 4
/* arch_phys_to_virt, arch_virt_to_phys: <arch/physmap.h> */
void arch_zero_page(void *); /* whole page, widest stores the machine has */
void arch_copy_page(void *restrict dst, const void *restrict src);

/*
 * Builds the final kernel page tables and loads them: the image by segment (text RX, constants R, data RW), the
 * direct map, nothing at low addresses. Takes pages from the RAM ranges with pmem_early_alloc().
 * => boot CPU, interrupts off, before pmem_init(); nothing at a low address (stack, GDT) is in use any more
 */
void pmap_bootstrap(const struct bootinfo *);
struct pmap *pmap_kernel(void);
/*
 * All pmap functions: => the owner's lock (vmspace lock) held; page-table pages come from pmem and may be -ENOMEM.
 * Where pmap_remove, pmap_remove_all (page_unref) and pmap_copy (page_ref) take `fn`, NULL stands for the function
 * named, done inline and in batches: the cheap way.
 */
struct pmap *pmap_create(void);
/* => on no CPU (active set empty, asserted), all user mappings removed. */
void pmap_destroy(struct pmap *);
/* Loads / unloads on this CPU: => preemption off. pmap_activate(pmap_kernel()) leaves the user's. */
void pmap_activate(struct pmap *);
cpuset_t pmap_active_cpus(const struct pmap *);
int pmap_enter(struct pmap *, vaddr_t, paddr_t,
    int prot); /* user page; replaces, flushing if it was present */
/* The same where nothing may be; if there is something, it stays: -EEXIST. */
int pmap_enter_new(struct pmap *, vaddr_t, paddr_t, int prot);
/* Returns false if nothing is mapped at `va`. *prot as entered. */
bool pmap_extract(struct pmap *, vaddr_t va, paddr_t *pa, int *prot);
/* The first address of [va,end) from which on there may be pages, found without a look at all that is empty; or `end`. */
vaddr_t pmap_next(struct pmap *, vaddr_t va, vaddr_t end);
/* Walks present user pages of [start,end), calling fn(arg, va, pa, prot); fn must not change this pmap. */
void pmap_walk(struct pmap *, vaddr_t start, vaddr_t end, void (*fn)(void *, vaddr_t, paddr_t, int),
    void *arg);
/*
 * Removes [start,end) and calls fn(arg, pa) for each page that was mapped AFTER the other CPUs' TLBs are clean (in batches).
 * Empty page-table pages are freed.
 */
void pmap_remove(struct pmap *, vaddr_t start, vaddr_t end, void (*fn)(void *, paddr_t), void *arg);
/* Whole address space at exit: no flush needed, asserts that no CPU has it active. */
void pmap_remove_all(struct pmap *, void (*fn)(void *, paddr_t), void *arg);
void pmap_protect(
    struct pmap *, vaddr_t start, vaddr_t end, int prot); /* lowers or sets; flushes */
/*
 * fork: enters each page of src's [start,end) into dst. fn(arg, pa) is called for each (takes a reference).
 * `cow`: both become read-only (one flush of src at the end by pmap_flush). -ENOMEM leaves what was done.
 */
int pmap_copy(struct pmap *dst, struct pmap *src, vaddr_t start, vaddr_t end, bool cow,
    void (*fn)(void *, paddr_t), void *arg);
void pmap_flush(struct pmap *); /* all user TLB entries, on every CPU where it is active */
/* Kernel mappings (stacks, kmem arena); never fails after boot for ranges whose tables exist. */
int pmap_kenter(vaddr_t, paddr_t, int prot);
vaddr_t pmap_kreserve(
    size_t); /* whole pages of address space for pmap_kenter(), for ever; 0 = none left */
void pmap_kremove(
    vaddr_t, size_t); /* flushed on all CPUs before return => interrupts on, no spin lock */
void pmap_kclear(
    vaddr_t, size_t);   /* the same without the flush, which pmap_kflush() does for any number */
void pmap_kflush(void); /* all kernel mappings, on all CPUs => interrupts on, no spin lock */
bool pmap_kextract(vaddr_t, paddr_t *);
/* Debug: makes mapped pages inaccessible, or shows them again; flushes on this CPU only. */
void pmap_kshow(vaddr_t, size_t, bool show);
size_t pmap_table_pages(void); /* page-table pages of user address spaces in use, without caches */
size_t pmap_cached(void);      /* destroyed pmaps kept for reuse; a kmem block each */
size_t pmap_resident(const struct pmap *); /* user pages entered => owner's lock */

/* ---- switched branches; see <arch/branch_md.h> ---- */

/*
 * Turns the branches on whose key's bit is set, and all others off.
 * => the other CPUs are parked by cpu_stop_others(false); one caller at a time
 */
void arch_branches_set(uint64_t keys);

/* ---- debugging ---- */

struct arch_walk {
	uintptr_t pc, fp;
	bool trap;
};
/* Frames of a switched-out LWP or, with NULL, of the caller. Returns false at the end. */
void arch_walk_start(struct arch_walk *, const struct lwp *);
bool arch_walk_next(struct arch_walk *);
/* Frames below the one that a trap interrupted, whose address is arch_frame_pc(). */
void arch_walk_frame(struct arch_walk *, const struct trapframe *);
bool arch_frame_user(const struct trapframe *); /* from user mode */
bool arch_frame_intr(const struct trapframe *); /* interrupts were on */
/* Calls fn(arg): 0, or -EFAULT if a fault of the kernel's own ended it. => interrupts off, one CPU at a time */
int arch_try(void (*fn)(void *), void *arg);
void arch_log_putc(char);                      /* log device (debug console); any context */
void arch_console_write(const char *, size_t); /* COM1, polled; caller serialises */
void arch_console_intr_enable(void); /* then console_input(c) is the upcall per character */
/* console_input_room() has said no and would say yes now. => interrupts on or off, no lock that console_input takes */
void arch_console_resume(void);
int arch_console_getc(void);   /* polled; -1 = nothing came => others stopped, interrupts off */
void arch_console_flush(void); /* waits until the last bit is on the wire */
/* fw_cfg: returns size or -ENOENT; arch_fwcfg_read copies the whole item. */
ssize_t arch_fwcfg_size(const char *name);
int arch_fwcfg_read(const char *name, void *dst, size_t);
int arch_random(void *, size_t); /* hardware random numbers; -ENODEV without them */

/* ---- the gdb stub's machine half; => interrupts off, the world stopped, unless said otherwise ---- */

#define ARCH_BREAK_INSN 0xcc /* one byte; the trap leaves the program counter behind it */
#define ARCH_DEBUG_REGS 60

/* Claims the second serial port; its interrupt's upcall is debug_input(). 0 or -ENODEV. => boot */
int arch_debug_open(void);
int arch_debug_getc(void); /* -1: nothing has come */
void arch_debug_putc(char);
/* A breakpoint instruction: enters the stub. */
void arch_breakpoint(void);
void arch_debug_self_ipi(void); /* upcall: debug_self_ipi(), when interrupts are on again */
/*
 * In the NMI handler: from here on another NMI may come. It returns at once, and ends arch_debug_halt(). False: it may
 * not, this one came at the very end of one before.
 */
bool arch_debug_nmi_begin(const struct trapframe *);
void arch_debug_halt(const cpuset_t *set, cpuset_t bit); /* unless the bit is clear */
void arch_debug_woken(struct trapframe *);
/* Kernel stop and go, on the CPU itself: saves what lies in registers only; puts it, and gdb's changes, into force. */
void arch_debug_save(void);
void arch_debug_load(void);
/* The debug registers: what the caller touches from here on, gdb may be watching. */
void arch_debug_arm(void);
/*
 * Register n in gdb's numbering; `ci` is the stopped CPU that runs l, NULL if none does. Returns its size, negative
 * if its value is not known. arch_debug_setreg: 0, -EINVAL (value not allowed), -EPERM (not to be written).
 */
int arch_debug_getreg(const struct lwp *l, const struct cpu *ci, unsigned n, void *buf);
int arch_debug_setreg(struct lwp *l, const struct cpu *ci, unsigned n, const void *buf);
extern const char arch_debug_target[]; /* the target description, XML */
/*
 * Steps l by one instruction once the world goes on; `alone`: other CPUs do not. True: the kernel may do more than
 * that one in between, and wait for them. Ends it, done or not.
 */
bool arch_debug_step_begin(struct lwp *l, const struct cpu *ci, bool alone);
void arch_debug_step_end(struct lwp *l, const struct cpu *ci);
/*
 * Debug registers, on all CPUs from the next arch_debug_arm() on. type: as in gdb's Z packets, 1 to 4, or a write that
 * is not for gdb: DEBUG_AWAIT.
 */
#define ARCH_DEBUG_AWAIT 5
int arch_debug_hw_insert(unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *);
int arch_debug_hw_remove(unsigned type, uintptr_t addr, uint64_t len, const struct vmspace *);
/* The frame goes on over a debug register that matches its first instruction: gdb has been told. */
void arch_debug_pass(struct trapframe *);
bool arch_debug_watching(uintptr_t addr);
unsigned arch_debug_watch_type(uintptr_t addr); /* 0: none there */
void arch_debug_clear(void);
/* The address space is about to be freed: its debug registers match nothing any more. => any context */
void arch_debug_hw_gone(const struct vmspace *);
/* Memory, by walking the page tables in software. Byte count read, not beyond the page. */
size_t arch_debug_kread(uintptr_t addr, void *dst, size_t);
bool arch_debug_kpage(uintptr_t addr, paddr_t *); /* of the byte, if it is RAM */
bool arch_debug_upage(const struct pmap *, uintptr_t addr, paddr_t *page, int *prot);
/* Another page in place of the one that is mapped there, with the same rights. */
void arch_debug_remap(struct pmap *, uintptr_t addr, paddr_t page);

/* ---- schedule exploration, debug builds; see <kernel/explore.h> ---- */

/* As an interrupt would: here, with interrupts on, or at the entry to user mode. */
void arch_explore_intr(int which /* enum explore_intr */);
void arch_explore_intr_user(struct trapframe *, int which);
void arch_explore_wake(struct cpu *); /* a real interrupt */
void arch_explore_clock(
    void); /* user mode on this CPU reads the driver's clock for the counter of cycles */
/* The frame executes one instruction of user mode, and comes back with a debug exception. */
void arch_frame_step(struct trapframe *, bool on);
bool arch_frame_stepped(const struct trapframe *); /* is it that exception? */
struct arch_context;
/* False; true when arch_context_resume() has come back here, with the page tables of then. */
bool arch_context_save(struct arch_context *) __attribute__((returns_twice));
void arch_context_resume(const struct arch_context *) __noreturn;
/* Calls fn(), which does not return, on another stack and on the kernel's page tables. */
void arch_call_on_stack(void *top, void (*fn)(void)) __noreturn;
/* ---- sanitizers: the kernel's side of copies in assembly ---- */

#ifdef SAN_MEMORY
#define arch_copyin(dst, src, n)       (san_write(dst, n), arch_copyin(dst, src, n))
#define arch_copyout(dst, src, n)      (san_read(src, n), arch_copyout(dst, src, n))
#define arch_zero_page(page)           (san_write(page, PAGE_SIZE), arch_zero_page(page))
#define arch_copy_page(dst, src)       (san_write(dst, PAGE_SIZE), arch_copy_page(dst, src))
#define arch_copyinstr(dst, src, size) (san_write(dst, size), arch_copyinstr(dst, src, size))
#endif

static inline int
arch_try_clean(void (*fn)(void *), void *arg)
{
	int error = arch_try(fn, arg);

	if (error != 0)
		kasan_left_frames();
	return error;
}

/* ---- upcalls: supplied by kernel/, called by the machine layer ---- */

void kernel_main(struct bootinfo *) __noreturn; /* boot CPU, on its stack, interrupts off */
void cpu_main_ap(
    struct cpu *) __noreturn; /* every other CPU, on its idle LWP's stack, interrupts off */
struct lwp *cpu_prepare_ap(
    struct cpu *); /* makes idle LWP, run queue ... before an AP starts; returns idle LWP */
void timer_intr(bool user); /* interrupts off; did it interrupt user mode? */
void sched_ipi(void);
void cpu_call_ipi(void);
void cpu_nmi(struct trapframe *);
void console_input(char);
bool console_input_room(void); /* asked before each character */
void console_break(void);      /* a break on the console's line; interrupts off, no lock held */
void lwp_startup(struct lwp *prev); /* first thing on a new stack; ends the switch */
/* args: the six argument registers in ABI order, inside the frame. Returns the result register's value. */
int64_t syscall_dispatch(uint64_t nr, const uint64_t args[6]);
void user_return(
    struct trapframe *); /* l_ast was set: signals, suspension, resched. Interrupts on */
void kpreempt_intr(
    void); /* l_dopreempt was set, at interrupt return to kernel mode; interrupts off on entry and exit */
/*
 * A fault in user mode, or in kernel mode on a user address through the functions above.
 * Page faults: returns 0 when resolved, else -EFAULT (kernel: the extable fixup is taken); for user mode the
 * signal is posted by the callee.
 */
int vm_fault_trap(uintptr_t addr, int access /* PROT_*, FAULT_PRESENT */, bool user);
#define FAULT_PRESENT 8                             /* what is mapped there forbids the access */
void user_fault(int sig, int code, uintptr_t addr); /* any other user fault: post the signal */

#endif
