/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run time of SAN=kasan: the compiler calls it before each load and store, and it looks the bytes up in the shadow.
 *
 * Who hands memory out or takes it back keeps the shadow: pages (pmem_debug.c), objects (kmem_debug.c), kernel stacks
 * (kstack.c); redzones of local variables are the compiler's own work, those of globals are set by kasan_init(), which
 * runs the files' constructors. Not checked: anything while the world is stopped or panics, device registers, and
 * user addresses, where a plain access faults by itself.
 *
 * Freed objects wait in a quarantine of their cache (kmem.c), so that a late access finds them free and not somebody
 * else's. Type-stable ones may be looked at where kmem_cache_stable() says so.
 */
#include <kernel/kasan.h>

#include <arch/arch_if.h>
#include <kernel/atomic.h>
#include <kernel/kmem.h>
#include <kernel/lwp.h>
#include <kernel/panic.h>
#include <kernel/pmem.h>
#include <kernel/printf.h>
#include <kernel/san.h>

uint32_t san_paused;
static bool ready;        /* boot CPU, before there are others */
static uintptr_t map_end; /* same: end of the direct map */

/* ---- the shadow ---- */

static void
fill(const void *p, size_t n, uint8_t v)
{
	volatile uint8_t *s = (uint8_t *)kasan_shadow(p); /* volatile: no call of memset() */

	n /= KASAN_GRANULE;
	for (; n > 0 && ((uintptr_t)s & 7) != 0; n--)
		*s++ = v;
	for (; n >= 8; n -= 8, s += 8)
		*(volatile uint64_t *)s = v * 0x0101010101010101ul;
	while (n-- > 0)
		*s++ = v;
}

void
kasan_poison(const void *p, size_t n, uint8_t why)
{
	uintptr_t a = roundup((uintptr_t)p, KASAN_GRANULE), end = (uintptr_t)p + n;

	end = roundup(end, KASAN_GRANULE);
	if (a < end)
		fill((const void *)a, end - a, why);
}

/* => p is the start of a granule */
void
kasan_unpoison(const void *p, size_t n)
{
	fill(p, n, 0);
	if (n % KASAN_GRANULE != 0)
		*(uint8_t *)kasan_shadow((uintptr_t)p + n) = n % KASAN_GRANULE;
}

static bool
shadowed(uintptr_t a)
{
	return a >= KIMAGE_BASE || (a >= PHYSMAP_BASE && a < map_end) ||
	    (a >= KSTACK_BASE && a < KSTACK_BASE + KSTACK_AREA);
}

/* First byte of [a, a + n) that may not be touched, or 0. */
static uintptr_t
find_bad(uintptr_t a, size_t n)
{
	uintptr_t last = a + n - 1;
	const uint8_t *s = (const uint8_t *)kasan_shadow(a);
	const uint8_t *e = (const uint8_t *)kasan_shadow(last);

	for (; s <= e; s++) {
		uintptr_t granule = ((uintptr_t)s - KASAN_OFFSET) << 3;

		if (((uintptr_t)s & 7) == 0)
			while (s + 8 <= e && *(const uint64_t *)s == 0)
				s += 8;
		if (*s == 0)
			continue;
		granule = ((uintptr_t)s - KASAN_OFFSET) << 3;
		if (*s >= KASAN_GRANULE)
			return max(granule, a);
		if (min(last, granule + 7) >= granule + *s)
			return max(granule + *s, a);
	}
	return 0;
}

/* ---- the report ---- */

static struct kmem_object object; /* of the report */

static void
print_track(const char *what, const struct kasan_track *t)
{
	if (t->n == 0)
		return;
	kprintf("%s by lid%u:\n", what, t->lid);
	for (uint32_t i = 0; i < t->n && i < KASAN_FRAMES; i++) {
		kprintf("  ");
		panic_symbol(t->pc[i]);
		kprintf("\n");
	}
}

static void
detail(void)
{
	print_track("allocated", object.ko_alloc);
	print_track("freed", object.ko_free);
}

static const char *
kind(uintptr_t bad)
{
	uint8_t s = *(const uint8_t *)kasan_shadow(bad);

	if (s < KASAN_GRANULE) /* behind the end of something: what follows tells of what */
		s = ((const uint8_t *)kasan_shadow(bad))[1];
	switch (s) {
	case KASAN_GLOBAL:
		return "out of bounds of a global variable";
	case KASAN_FREE:
		return "use after free";
	case KASAN_REDZONE:
		return "out of bounds of an object";
	case KASAN_STACK:
		return "use of a freed kernel stack";
	case KASAN_PAGE:
		return "use of a free page";
	case 0xf8:
		return "use of a local variable after its block";
	default:
		return s >= 0xf1 && s <= 0xf3 ? "out of bounds of a local variable"
					      : "out of bounds";
	}
}

static void __noinline
report(uintptr_t a, size_t n, bool write, uintptr_t bad, uintptr_t pc)
{
	char where[64] = "";

	atomic_add(&san_paused, 1);
	if (bad >= PHYSMAP_BASE && bad < map_end && kmem_find_object((const void *)bad, &object)) {
		long off = (long)(bad - (uintptr_t)object.ko_base);

		snprintf(where, sizeof(where), ", byte %ld of %zu of %s %p", off, object.ko_size,
		    object.ko_cache, object.ko_base);
		panic_detail = detail;
	}
	kprintf("kasan: at ");
	panic_symbol(pc);
	kprintf("\n");
	panic("kasan: %s: %s of %zu bytes at %#lx%s (shadow %#x)", kind(bad),
	    write ? "write" : "read", n, a, where, *(const uint8_t *)kasan_shadow(bad));
}

static inline void
check(uintptr_t a, size_t n, bool write, uintptr_t pc)
{
	uintptr_t bad;

	if (unlikely(!ready || n == 0) || !shadowed(a))
		return;
	bad = find_bad(a, n);
	if (unlikely(bad != 0) && atomic_load_relaxed(&san_paused) == 0 &&
	    !atomic_load_relaxed(&panicking))
		report(a, n, write, bad, pc);
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

void
san_read(const void *p, size_t n)
{
	check((uintptr_t)p, n, false, CALLER);
}

void
san_write(const void *p, size_t n)
{
	check((uintptr_t)p, n, true, CALLER);
}

/* ---- who allocated, who freed ---- */

void
kasan_track(struct kasan_track *t)
{
	const uintptr_t *fp = __builtin_frame_address(0);

	t->lid = (uint32_t)arch_curlwp()->l_lid;
	for (t->n = 0; t->n < KASAN_FRAMES; t->n++) {
		const uintptr_t *next = (const uintptr_t *)fp[0];

		t->pc[t->n] = fp[1];
		/* Frames of one stack lie above each other; the outermost has 0. */
		if (next <= fp || (uintptr_t)next - (uintptr_t)fp > KSTACK_SIZE ||
		    ((uintptr_t)next & 7) != 0) {
			t->n++;
			break;
		}
		fp = next;
	}
}

void
kasan_left_frames(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t low = (uintptr_t)arch_curlwp()->l_kstack;

	if (here > low && here - low < KSTACK_SIZE)
		kasan_unpoison((const void *)low, (here - low) & ~(uintptr_t)7);
}

/* ---- what the compiler calls ---- */

#define ACCESS(n) \
	void __asan_load##n##_noabort(uintptr_t); \
	void __asan_load##n##_noabort(uintptr_t a) \
	{ \
		check(a, n, false, CALLER); \
	} \
	void __asan_store##n##_noabort(uintptr_t); \
	void __asan_store##n##_noabort(uintptr_t a) \
	{ \
		check(a, n, true, CALLER); \
	}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __asan_loadN_noabort(uintptr_t, size_t);
void
__asan_loadN_noabort(uintptr_t a, size_t n)
{
	check(a, n, false, CALLER);
}

void __asan_storeN_noabort(uintptr_t, size_t);
void
__asan_storeN_noabort(uintptr_t a, size_t n)
{
	check(a, n, true, CALLER);
}

/* Before a call that does not return. A stack that is left for good is cleared when it is given out again. */
void __asan_handle_no_return(void);
void
__asan_handle_no_return(void)
{
}

struct asan_global {
	const char *g_start;
	size_t g_size;
	size_t g_all; /* with the redzone */
	const void *g_rest[5];
};

void __asan_register_globals(struct asan_global *, size_t);
void
__asan_register_globals(struct asan_global *g, size_t n)
{
	for (; n-- > 0; g++) {
		size_t whole = roundup(g->g_size, KASAN_GRANULE);

		kasan_unpoison(g->g_start, g->g_size);
		kasan_poison(g->g_start + whole, g->g_all - whole, KASAN_GLOBAL);
	}
}

void __asan_unregister_globals(struct asan_global *, size_t);
void
__asan_unregister_globals(struct asan_global *g __unused, size_t n __unused)
{
}

extern void (*const __init_array_start[])(void); /* linker script */
extern void (*const __init_array_end[])(void);
extern uintptr_t arch_kasan_end;

void
kasan_init(void)
{
	map_end = arch_kasan_end;
	for (void (*const *fn)(void) = __init_array_start; fn < __init_array_end; fn++)
		(*fn)();
	ready = true;
}
