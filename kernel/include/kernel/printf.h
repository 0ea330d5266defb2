/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted output. Conversions: d i u x X o c s p %, flags 0 - # space +, width, precision, `*`,
 * length hh h l ll z t j.
 * layer: lib
 */
#ifndef KERNEL_PRINTF_H
#define KERNEL_PRINTF_H

#include <kernel/types.h>
#include <stdarg.h>

/* Both return the length that the whole text would have; the result is always terminated if size > 0. */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printflike(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printflike(3, 0);

/*
 * kprintf: append a message to the kernel log (ring read by dmesg) and the log device.
 * => any context, NMI and panic included; any lock may be held; never sleeps.
 */
void kprintf(const char *fmt, ...) __printflike(1, 2);
void kvprintf(const char *fmt, va_list ap) __printflike(1, 0);

#endif
