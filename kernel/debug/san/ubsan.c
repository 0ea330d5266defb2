/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run time of SAN=ubsan: what the compiler calls when an operation has no defined result. Each call gets a record in
 * the image, which begins with the place in the source, and the operands; values of up to 64 bits come as they are.
 * All end in a panic that names file, line and what was done.
 */
#include <kernel/panic.h>
#include <kernel/types.h>

struct place {
	const char *file;
	uint32_t line, column;
};

struct type {
	uint16_t kind; /* 0 = integer */
	uint16_t info; /* bit 0: signed; the rest: log2 of the bits */
	char name[];
};

struct arith {
	struct place at;
	const struct type *type;
};

struct shift {
	struct place at;
	const struct type *left, *right;
};

struct bounds {
	struct place at;
	const struct type *array, *index;
};

struct mismatch {
	struct place at;
	const struct type *type;
	uint8_t log_alignment;
	uint8_t what;
};

struct invalid {
	struct place at;
	const struct type *type;
};

struct vla {
	struct place at;
	const struct type *type;
};

struct nonnull {
	struct place at, attribute;
	int argument;
};

#define FAIL(d, fmt, ...) panic("ubsan: %s:%u: " fmt, (d)->at.file, (d)->at.line, ##__VA_ARGS__)

static bool
is_signed(const struct type *t)
{
	return t->kind == 0 && (t->info & 1) != 0;
}

static long
value(const struct type *t, uintptr_t v)
{
	unsigned bits = 1u << (t->info >> 1);

	if (!is_signed(t) || bits >= 64)
		return (long)v;
	return (long)(v << (64 - bits)) >> (64 - bits);
}

#define ARITH(check, text) \
	void __ubsan_handle_##check(const struct arith *, uintptr_t, uintptr_t); \
	void __ubsan_handle_##check(const struct arith *d, uintptr_t a, uintptr_t b) \
	{ \
		FAIL(d, "overflow: %ld " text " %ld does not fit %s", value(d->type, a), \
		    value(d->type, b), d->type->name); \
	}
ARITH(add_overflow, "+")
ARITH(sub_overflow, "-")
ARITH(mul_overflow, "*")

void __ubsan_handle_negate_overflow(const struct arith *, uintptr_t);
void
__ubsan_handle_negate_overflow(const struct arith *d, uintptr_t a)
{
	FAIL(d, "overflow: -(%ld) does not fit %s", value(d->type, a), d->type->name);
}

void __ubsan_handle_divrem_overflow(const struct arith *, uintptr_t, uintptr_t);
void
__ubsan_handle_divrem_overflow(const struct arith *d, uintptr_t a, uintptr_t b)
{
	FAIL(d, "division: %ld by %ld as %s", value(d->type, a), value(d->type, b), d->type->name);
}

void __ubsan_handle_shift_out_of_bounds(const struct shift *, uintptr_t, uintptr_t);
void
__ubsan_handle_shift_out_of_bounds(const struct shift *d, uintptr_t a, uintptr_t b)
{
	FAIL(d, "shift: %ld by %ld as %s", value(d->left, a), value(d->right, b), d->left->name);
}

void __ubsan_handle_out_of_bounds(const struct bounds *, uintptr_t);
void
__ubsan_handle_out_of_bounds(const struct bounds *d, uintptr_t i)
{
	FAIL(d, "index: %ld of %s", value(d->index, i), d->array->name);
}

static const char *const done[] = { "load", "store", "reference", "member", "call", "constructor",
	"cast", "cast", "cast", "cast", "cast", "cast" };

void __ubsan_handle_type_mismatch_v1(const struct mismatch *, uintptr_t);
void
__ubsan_handle_type_mismatch_v1(const struct mismatch *d, uintptr_t p)
{
	const char *what = d->what < ARRAY_SIZE(done) ? done[d->what] : "use";

	if (p == 0)
		FAIL(d, "pointer: %s of %s by NULL", what, d->type->name);
	if ((p & (((uintptr_t)1 << d->log_alignment) - 1)) != 0)
		FAIL(d, "pointer: %s of %s at %#lx, which is not aligned", what, d->type->name, p);
	FAIL(d, "pointer: %s of %s at %#lx, where there is no room for it", what, d->type->name, p);
}

void __ubsan_handle_pointer_overflow(const struct invalid *, uintptr_t, uintptr_t);
void
__ubsan_handle_pointer_overflow(const struct invalid *d, uintptr_t base, uintptr_t result)
{
	FAIL(d, "pointer: %#lx moved to %#lx", base, result);
}

void __ubsan_handle_load_invalid_value(const struct invalid *, uintptr_t);
void
__ubsan_handle_load_invalid_value(const struct invalid *d, uintptr_t v)
{
	FAIL(d, "value: %ld is none of %s", value(d->type, v), d->type->name);
}

void __ubsan_handle_vla_bound_not_positive(const struct vla *, uintptr_t);
void
__ubsan_handle_vla_bound_not_positive(const struct vla *d, uintptr_t n)
{
	FAIL(d, "array of %ld elements", value(d->type, n));
}

void __ubsan_handle_nonnull_arg(const struct nonnull *);
void
__ubsan_handle_nonnull_arg(const struct nonnull *d)
{
	FAIL(d, "pointer: argument %d is NULL", d->argument);
}

void __ubsan_handle_nonnull_return_v1(const struct nonnull *, const struct place *);
void
__ubsan_handle_nonnull_return_v1(const struct nonnull *d __unused, const struct place *at)
{
	panic("ubsan: %s:%u: pointer: NULL is returned", at->file, at->line);
}

void __ubsan_handle_invalid_builtin(const struct place *);
void
__ubsan_handle_invalid_builtin(const struct place *at)
{
	panic("ubsan: %s:%u: the count of leading or trailing zeros of 0 is asked for", at->file,
	    at->line);
}

void __ubsan_handle_builtin_unreachable(const struct place *);
void
__ubsan_handle_builtin_unreachable(const struct place *at)
{
	panic("ubsan: %s:%u: unreachable code is reached", at->file, at->line);
}

void __ubsan_handle_missing_return(const struct place *);
void
__ubsan_handle_missing_return(const struct place *at)
{
	panic("ubsan: %s:%u: no value is returned", at->file, at->line);
}
