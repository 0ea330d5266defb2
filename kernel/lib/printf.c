/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output into a buffer. */
#include <kernel/printf.h>
#include <kernel/string.h>

/* Where the text goes: characters past `end` are only counted. */
struct out {
	char *p, *end;
	size_t n;
};

/* One conversion: flags, width and precision as parsed. */
struct spec {
	bool left, zero, alt, space, plus;
	int width;
	int prec; /* -1 = none */
	int size; /* bytes of the integer argument */
};

static void
put(struct out *o, char c)
{
	if (o->p < o->end)
		*o->p++ = c;
	o->n++;
}

static void
pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void
put_string(struct out *o, const struct spec *sp, const char *s)
{
	size_t len;

	if (s == NULL)
		s = "(null)";
	len = sp->prec < 0 ? strlen(s) : strnlen(s, (size_t)sp->prec);
	if (!sp->left)
		pad(o, ' ', sp->width - (int)len);
	for (size_t i = 0; i < len; i++)
		put(o, s[i]);
	if (sp->left)
		pad(o, ' ', sp->width - (int)len);
}

/* Prints v in `base` behind `prefix` (sign, or 0x). */
static void
put_number(
    struct out *o, const struct spec *sp, uint64_t v, unsigned base, bool upper, const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char buf[24];
	int len = 0, zeros, plen = (int)strlen(prefix);

	for (; v != 0; v /= base)
		buf[len++] = digits[v % base];
	if (sp->prec >= 0)
		zeros = sp->prec - len;
	else if (sp->zero && !sp->left)
		zeros = max(sp->width - len - plen, len == 0);
	else
		zeros = len == 0;
	if (base == 8 && sp->alt && zeros <= 0)
		zeros = 1;
	zeros = max(zeros, 0);
	if (!sp->left)
		pad(o, ' ', sp->width - len - plen - zeros);
	for (int i = 0; i < plen; i++)
		put(o, prefix[i]);
	pad(o, '0', zeros);
	for (int i = len; i-- > 0;)
		put(o, buf[i]);
	if (sp->left)
		pad(o, ' ', sp->width - len - plen - zeros);
}

static uint64_t
truncate_unsigned(uint64_t v, int size)
{
	return size == 8 ? v : v & (((uint64_t)1 << (size * 8)) - 1);
}

static int64_t
truncate_signed(uint64_t v, int size)
{
	int shift = 64 - size * 8;

	return (int64_t)(v << shift) >> shift;
}

static void
put_integer(struct out *o, const struct spec *sp, char conv, uint64_t arg)
{
	if (conv == 'd' || conv == 'i') {
		int64_t v = truncate_signed(arg, sp->size);
		const char *sign = v < 0 ? "-" : sp->plus ? "+" : sp->space ? " " : "";

		put_number(o, sp, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false, sign);
	} else {
		uint64_t v = truncate_unsigned(arg, sp->size);
		unsigned base = conv == 'u' ? 10 : conv == 'o' ? 8 : 16;
		const char *prefix =
		    base == 16 && sp->alt && v != 0 ? (conv == 'X' ? "0X" : "0x") : "";

		put_number(o, sp, v, base, conv == 'X', prefix);
	}
}

static const char *
parse_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		if (*f == '-')
			sp->left = true;
		else if (*f == '0')
			sp->zero = true;
		else if (*f == '#')
			sp->alt = true;
		else if (*f == ' ')
			sp->space = true;
		else if (*f == '+')
			sp->plus = true;
		else
			return f;
	}
}

static const char *
parse_number(const char *f, int *n)
{
	for (*n = 0; *f >= '0' && *f <= '9'; f++) {
		if (*n < 100000)
			*n = *n * 10 + (*f - '0');
	}
	return f;
}

static const char *
parse_length(const char *f, int *size)
{
	*size = (int)sizeof(int);
	if (f[0] == 'h' && f[1] == 'h') {
		*size = 1;
		return f + 2;
	}
	if (f[0] == 'l' && f[1] == 'l') {
		*size = 8;
		return f + 2;
	}
	if (*f == 'h') {
		*size = 2;
		return f + 1;
	}
	if (*f == 'l' || *f == 'z' || *f == 't' || *f == 'j') {
		*size = 8;
		return f + 1;
	}
	return f;
}

int
vsnprintf(char *buf, size_t size, const char *f, va_list ap)
{
	struct out o = { buf, size > 0 ? buf + size - 1 : buf, 0 };

	for (; *f != '\0'; f++) {
		struct spec sp = { .prec = -1 };
		const char *start = f;

		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_flags(f + 1, &sp);
		if (*f == '*') {
			sp.width = va_arg(ap, int);
			if (sp.width < 0) {
				sp.left = true;
				sp.width = -sp.width;
			}
			f++;
		} else {
			f = parse_number(f, &sp.width);
		}
		if (f[0] == '.' && f[1] == '*') {
			sp.prec = max(va_arg(ap, int), -1);
			f += 2;
		} else if (f[0] == '.') {
			f = parse_number(f + 1, &sp.prec);
		}
		f = parse_length(f, &sp.size);
		switch (*f) {
		case 'd':
		case 'i':
		case 'u':
		case 'o':
		case 'x':
		case 'X':
			put_integer(&o, &sp, *f,
			    sp.size == 8 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned));
			break;
		case 'p':
			sp.alt = true;
			sp.size = 8;
			put_integer(&o, &sp, 'x', (uintptr_t)va_arg(ap, void *));
			break;
		case 'c': {
			char c = (char)va_arg(ap, int);

			pad(&o, ' ', sp.left ? 0 : sp.width - 1);
			put(&o, c);
			pad(&o, ' ', sp.left ? sp.width - 1 : 0);
			break;
		}
		case 's':
			put_string(&o, &sp, va_arg(ap, const char *));
			break;
		case '%':
			put(&o, '%');
			break;
		default: /* not a conversion: shown as it stands */
			while (start < f)
				put(&o, *start++);
			if (*f == '\0')
				f--;
			else
				put(&o, *f);
		}
	}
	if (size > 0)
		*o.p = '\0';
	return (int)o.n;
}

int
snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
