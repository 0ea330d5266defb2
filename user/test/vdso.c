/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO: it is found, its clocks are the kernel's on every CPU, its errors are the calls', and it can be taken
 * away. With an argument: what the option vdso= has left of it, or what only we promise.
 *
 * test:
 * test: name=rights args=rights host=no
 * test: name=calls append="vdso=calls" args=calls smp=1,4 host=no
 * test: name=off append="vdso=no" args=off smp=1,4 host=no
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "thr.h"
#include "util.h"

#define ROUNDS  2000
#define THREADS 4

static uintptr_t image;
static int (*v_clock)(int, struct timespec *);
static int (*v_timeofday)(struct timeval *, struct timezone *);
static time_t (*v_time)(time_t *);
static long (*v_getcpu)(unsigned *, unsigned *, void *);
static char stacks[THREADS][16384] __attribute__((aligned(64)));
static atomic_int tids[THREADS], go, back;
static atomic_llong latest;
static sigjmp_buf fault;

/* ---- the symbols, as a C library looks for them ---- */

struct dynamic {
	const Elf64_Sym *sym;
	const char *str;
	const uint32_t *hash;
	const uint16_t *versym;
	const Elf64_Verdef *verdef;
};

static void
find_dynamic(struct dynamic *d)
{
	const Elf64_Ehdr *eh = (const void *)image;
	const Elf64_Phdr *ph = (const void *)(image + eh->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	uintptr_t base = image;

	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD)
			base = image + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(image + ph[i].p_offset);
	for (; dyn != NULL && dyn->d_tag != DT_NULL; dyn++) {
		const void *p = (const void *)(base + dyn->d_un.d_ptr);

		switch (dyn->d_tag) {
		case DT_SYMTAB:
			d->sym = p;
			break;
		case DT_STRTAB:
			d->str = p;
			break;
		case DT_HASH:
			d->hash = p;
			break;
		case DT_VERSYM:
			d->versym = p;
			break;
		case DT_VERDEF:
			d->verdef = p;
			break;
		}
	}
}

static int
has_version(const struct dynamic *d, unsigned index, const char *name)
{
	const Elf64_Verdef *def = d->verdef;

	for (;;) {
		if ((def->vd_flags & VER_FLG_BASE) == 0 && def->vd_ndx == (index & 0x7fff))
			return strcmp(name,
				   d->str +
				       ((const Elf64_Verdaux *)(const void *)((const char *)def +
					    def->vd_aux))
					   ->vda_name) == 0;
		if (def->vd_next == 0)
			return 0;
		def = (const void *)((const char *)def + def->vd_next);
	}
}

static void *
find(const char *name)
{
	struct dynamic d = { 0 };

	find_dynamic(&d);
	if (d.sym == NULL || d.str == NULL || d.hash == NULL || d.versym == NULL ||
	    d.verdef == NULL)
		return NULL;
	for (uint32_t i = 0; i < d.hash[1]; i++)
		if (d.sym[i].st_shndx != SHN_UNDEF && strcmp(d.str + d.sym[i].st_name, name) == 0 &&
		    has_version(&d, d.versym[i], "LINUX_2.6"))
			return (void *)(image + d.sym[i].st_value);
	return NULL;
}

static void
test_image(void)
{
	image = getauxval(AT_SYSINFO_EHDR);
	ok(image != 0 && image % PAGE == 0, "AT_SYSINFO_EHDR is there");
	if (image == 0)
		bail_out("no vDSO");
	ok(memcmp((void *)image, ELFMAG, SELFMAG) == 0, "an ELF image");
	v_clock = (int (*)(int, struct timespec *))find("__vdso_clock_gettime");
	v_timeofday = (int (*)(struct timeval *, struct timezone *))find("__vdso_gettimeofday");
	v_time = (time_t(*)(time_t *))find("__vdso_time");
	v_getcpu = (long (*)(unsigned *, unsigned *, void *))find("__vdso_getcpu");
	ok(v_clock != NULL, "__vdso_clock_gettime@LINUX_2.6");
	ok(v_timeofday != NULL, "__vdso_gettimeofday@LINUX_2.6");
	ok(v_time != NULL, "__vdso_time@LINUX_2.6");
	ok(v_getcpu != NULL, "__vdso_getcpu@LINUX_2.6");
	if (v_clock == NULL || v_timeofday == NULL || v_time == NULL || v_getcpu == NULL)
		bail_out("a function is missing");
}

/* ---- clocks ---- */

static long long
ns(const struct timespec *ts)
{
	return ts->tv_sec * 1000000000ll + ts->tv_nsec;
}

/* By the call if i is odd. */
static long long
read_clock(int clock, int i)
{
	struct timespec ts = { 0, 0 };
	long r = i & 1 ? raw3(SYS_clock_gettime, clock, (long)&ts, 0) : v_clock(clock, &ts);

	return r == 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000 ? ns(&ts) : -1;
}

static void
test_order(int clock, const char *name)
{
	int cpus[CPU_MAX], n = cpu_list(cpus, CPU_MAX), bad = 0, i;
	long long last = 0, t;

	for (i = 0; i < ROUNDS; i++) {
		if (i % 50 == 0)
			pin_cpu(cpus[i / 50 % n]);
		t = read_clock(clock, i);
		bad += t <= 0 || t < last;
		last = t;
	}
	unpin_cpu();
	is_int(bad, 0, "%s: in order with the call's, on each CPU", name);
}

static void
test_clocks(void)
{
	struct timespec ts;
	long r;

	test_order(CLOCK_MONOTONIC, "CLOCK_MONOTONIC");
	test_order(CLOCK_REALTIME, "CLOCK_REALTIME");
	test_order(CLOCK_BOOTTIME, "CLOCK_BOOTTIME");
	test_order(CLOCK_TAI, "CLOCK_TAI");
	test_order(CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID");
	r = v_clock(99, &ts);
	is_int(r, -EINVAL, "no such clock: EINVAL");
	r = v_clock(-1, &ts);
	ok(r == -EINVAL || r == 0, "a negative clock is asked for");
}

static int
reader(void *arg)
{
	int i = (int)(long)arg;

	thr_meet(&go, THREADS);
	for (int k = 0; k < ROUNDS; k++) {
		long long seen = atomic_load(&latest), t = read_clock(CLOCK_MONOTONIC, k + i);

		if (t < seen)
			atomic_fetch_add(&back, 1);
		while (t > seen && !atomic_compare_exchange_weak(&latest, &seen, t))
			;
	}
	return 0;
}

static void
test_threads(void)
{
	for (long i = 0; i < THREADS; i++)
		thr_start(stacks[i] + sizeof(stacks[i]), reader, (void *)i, &tids[i]);
	for (int i = 0; i < THREADS; i++)
		thr_join(&tids[i]);
	is_int(atomic_load(&back), 0, "no thread is shown a time before what another has read");
}

static void
test_wall(void)
{
	struct timeval tv = { 0, -1 };
	int zone[2] = { 5, 5 };
	time_t a, b = 0, c;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	is_int(v_timeofday(&tv, NULL), 0, "gettimeofday");
	ok(tv.tv_sec - ts.tv_sec <= 1 && tv.tv_usec >= 0 && tv.tv_usec < 1000000,
	    "is the wall clock");
	is_int(v_timeofday(NULL, (struct timezone *)zone), 0, "the time zone alone");
	is_int(zone[0] == 0 && zone[1] == 0, 1, "is UTC");
	is_int(v_timeofday(NULL, NULL), 0, "nothing");
	a = raw3(SYS_time, 0, 0, 0);
	c = v_time(&b);
	ok(c - a >= 0 && c - a <= 1, "time is the call's");
	ok(b == c, "and stored");
	ok(v_time(NULL) - c <= 1, "or not");
}

static void
test_cpu(void)
{
	int cpus[CPU_MAX], n = cpu_list(cpus, CPU_MAX), good = 0, i;
	unsigned cpu, node;

	for (i = 0; i < 10 * n; i++) {
		pin_cpu(cpus[i % n]);
		cpu = node = 99;
		good += v_getcpu(&cpu, &node, NULL) == 0 && (int)cpu == cpus[i % n] && node != 99;
	}
	unpin_cpu();
	is_int(good, 10 * n, "getcpu is the CPU that we are pinned to");
	is_int(v_getcpu(NULL, NULL, NULL), 0, "getcpu of nothing");
}

/* ---- processes ---- */

static int
in_child(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_MONOTONIC, 0) > 0 && read_clock(CLOCK_REALTIME, 0) > 0 ? 0 : 1;
}

static int
without(void *arg)
{
	struct timespec ts;

	(void)arg;
	if (munmap((void *)image, PAGE) != 0)
		return 1;
	return raw3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&ts, 0) == 0 ? 0 : 2;
}

static int
without_and_call(void *arg)
{
	(void)arg;
	return munmap((void *)image, PAGE) == 0 ? in_child(NULL) : 1;
}

static int
bad_pointer(void *arg)
{
	(void)arg;
	return v_clock(CLOCK_MONOTONIC, hide(8));
}

static void
test_processes(void)
{
	is_exit(run_child(in_child, NULL), 0, "a child of fork has it");
	is_exit(reap(spawn_self("fresh", "", "")), 0, "so has a new program");
}

/* ---- rights ---- */

static void
on_fault(int sig)
{
	siglongjmp(fault, sig);
}

static int
writes(uintptr_t addr)
{
	int caught = sigsetjmp(fault, 1);

	if (caught == 0) {
		*(volatile char *)addr = 1;
		return 0;
	}
	return caught;
}

static void
test_rights(void)
{
	struct sigaction sa = { .sa_handler = on_fault };

	is_killed(run_child(bad_pointer, NULL), SIGSEGV, "a bad pointer is the caller's fault");
	is_exit(run_child(without, NULL), 0, "who unmaps it lives on");
	is_killed(run_child(without_and_call, NULL), SIGSEGV, "unless he calls it");
	sigaction(SIGSEGV, &sa, NULL);
	is_int(writes(image), SIGSEGV, "nobody writes to the image");
	is_int(writes(image - PAGE), SIGSEGV, "or to its data");
	is_err(mprotect((void *)image, PAGE, PROT_READ | PROT_WRITE), EACCES, "or may");
	is_err(mprotect((void *)(image - PAGE), PAGE, PROT_READ | PROT_WRITE), EACCES, "either");
	is_ok(mprotect((void *)image, PAGE, PROT_NONE), "it may be hidden");
	is_ok(mprotect((void *)image, PAGE, PROT_READ | PROT_EXEC), "and shown");
	is_int(in_child(NULL), 0, "and it works");
	is_ok(madvise((void *)(image - PAGE), 2 * PAGE, MADV_DONTNEED), "it may be dropped");
	is_int(in_child(NULL), 0, "and works");
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct timespec ts;

	if (strcmp(what, "off") == 0) {
		is_int((long)getauxval(AT_SYSINFO_EHDR), 0, "there is no vDSO");
		is_int(clock_gettime(CLOCK_MONOTONIC, &ts), 0, "the time is known all the same");
		return tap_done();
	}
	if (strcmp(what, "fresh") == 0) {
		image = getauxval(AT_SYSINFO_EHDR);
		v_clock = (int (*)(int, struct timespec *))find("__vdso_clock_gettime");
		return v_clock == NULL || in_child(NULL);
	}
	test_image();
	test_clocks();
	test_threads();
	test_wall();
	test_cpu();
	test_processes();
	if (strcmp(what, "rights") == 0)
		test_rights();
	return tap_done();
}
