/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Planted bugs for the sanitizers: one of each kind, which the kernel built with that sanitizer must report.
 */
#include <abi/errno.h>
#include <arch/arch_if.h>
#include <kernel/debug.h>
#include <kernel/kmem.h>
#include <kernel/pmem.h>
#include <kernel/process.h>
#include <kernel/sched.h>

/* What the compiler must not know. */
#define hidden(v) \
	({ \
		__typeof__(v) hidden_ = (v); \
		__asm volatile("" : "+r"(hidden_)); \
		hidden_; \
	})

#ifdef UBSAN
static int
ubsan_overflow(void)
{
	return hidden(INT32_MAX) + hidden(1) == 0 ? 0 : -EIO;
}
KTEST(ubsan_overflow, "ubsan-overflow", ubsan_overflow);

static int
ubsan_shift(void)
{
	return 1 << hidden(33) == 0 ? 0 : -EIO;
}
KTEST(ubsan_shift, "ubsan-shift", ubsan_shift);

static int
ubsan_index(void)
{
	int a[4] = { 1, 2, 3, 4 };

	return a[hidden(5)] == 0 ? 0 : -EIO;
}
KTEST(ubsan_index, "ubsan-index", ubsan_index);

static int
ubsan_align(void)
{
	uint64_t a[2] = { 1, 2 };

	return *(uint32_t *)hidden((uintptr_t)a + 1) == 0 ? 0 : -EIO;
}
KTEST(ubsan_align, "ubsan-align", ubsan_align);
#endif

#ifdef KASAN
static int
kasan_heap(void)
{
	char *p = kmem_alloc(100);

	if (p == NULL)
		return -ENOMEM;
	p[hidden(100)] = 1;
	kmem_free(p, 100);
	return -EIO;
}
KTEST(kasan_heap, "kasan-heap", kasan_heap);

static int
kasan_free(void)
{
	char *p = kmem_alloc(100);

	if (p == NULL)
		return -ENOMEM;
	kmem_free(p, 100);
	return hidden(p)[50] == 0 ? 0 : -EIO;
}
KTEST(kasan_free, "kasan-free", kasan_free);

static int
kasan_stack(void)
{
	volatile char a[10];

	a[0] = 0;
	return a[hidden(10)] == a[0] ? 0 : -EIO;
}
KTEST(kasan_stack, "kasan-stack", kasan_stack);

static char in_image[10];

static int
kasan_global(void)
{
	in_image[hidden(12)] = 1;
	return -EIO;
}
KTEST(kasan_global, "kasan-global", kasan_global);

/* A free LWP: its lock may be looked at, its mask may not. */
static int
kasan_lwp(void)
{
	struct lwp *l = lwp_alloc(curproc());

	if (l == NULL)
		return -ENOMEM;
	lwp_unalloc(l);
	if (atomic_load_relaxed(&hidden(l)->l_mutex) == NULL)
		return -EINVAL;
	return hidden(l)->l_sigmask == 0 ? 0 : -EIO;
}
KTEST(kasan_lwp, "kasan-lwp", kasan_lwp);

static int
kasan_proc(void)
{
	struct proc *p = proc_alloc();

	if (p == NULL)
		return -ENOMEM;
	proc_free(p);
	return hidden(p)->p_exitsig == 0 ? 0 : -EIO;
}
KTEST(kasan_proc, "kasan-proc", kasan_proc);

static int
kasan_page(void)
{
	struct page *pg = page_alloc(PG_MISC);

	if (pg == NULL)
		return -ENOMEM;
	page_free(pg);
	return *(char *)hidden(page_to_virt(pg)) == 0 ? 0 : -EIO;
}
KTEST(kasan_page, "kasan-page", kasan_page);
#endif

#ifdef KCSAN
static uint32_t plain;
static bool stop; /* (a) */

static void
racer(void *arg __unused)
{
	while (!atomic_load_relaxed(&stop))
		plain++;
	kthread_exit();
}

/* Both count without a lock. */
static int
kcsan_plain(void)
{
	nsec_t end = arch_time_ns() + 10000000000ull;
	int error = kthread_create("racer", PRI_DEFAULT, racer, NULL, NULL);

	if (error != 0)
		return error;
	while (arch_time_ns() < end)
		plain++;
	atomic_store_relaxed(&stop, true);
	return -EIO;
}
KTEST(kcsan_plain, "kcsan-plain", kcsan_plain);

/* One stores through the helper, the other reads without: a race all the same. */
static void
marked_writer(void *arg __unused)
{
	while (!atomic_load_relaxed(&stop))
		atomic_store_relaxed(&plain, 1);
	kthread_exit();
}

static int
kcsan_marked(void)
{
	nsec_t end = arch_time_ns() + 10000000000ull;
	int error = kthread_create("racer", PRI_DEFAULT, marked_writer, NULL, NULL);
	uint32_t sum = 0;

	if (error != 0)
		return error;
	while (arch_time_ns() < end)
		sum += *hidden(&plain);
	atomic_store_relaxed(&stop, true);
	return sum == 0 ? 0 : -EIO;
}
KTEST(kcsan_marked, "kcsan-marked", kcsan_marked);
#endif
