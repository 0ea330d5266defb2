/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic() and assertions.
 * layer: lib
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <kernel/types.h>

/*
 * panic: stop the other CPUs, print `panic: cpuN lidN: message`, a backtrace, the held locks and the
 * id table, and power off with status 125. The message names the object, its id and the CPU.
 */
void panic(const char *fmt, ...) __printflike(1, 2) __noreturn __cold;

/* Set once, by the first CPU that panics; code that waits for others must give up when it is set. */
extern bool panicking;

/*
 * Upcall of the NMI handler, for an NMI that no CPU sent: somebody outside asks a machine that hangs where
 * it is. A panic whose report has the backtrace of every LWP, made by the first CPU: all CPUs get such an NMI.
 */
void panic_asked(void);
extern bool panic_everyone; /* the report tells where each LWP is */

/* Upcall: adds to the report, such as the id table; the default adds nothing. */
void panic_report(void);

extern void (*panic_detail)(void); /* who panics may set it: prints more, behind the backtrace */

/* Prints an address of the image, with its function and offset. */
void panic_symbol(uintptr_t pc);

struct lwp;
/* Prints the kernel frames of a switched-out LWP or, with NULL, of the caller. => any context */
void backtrace(const struct lwp *);
extern char panic_message[]; /* of the panic, for the debugger */

#ifdef DEBUG
#define KASSERT(e) \
	do { \
		if (unlikely(!(e))) \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #e); \
	} while (0)
#define KASSERTMSG(e, fmt, ...) \
	do { \
		if (unlikely(!(e))) \
			panic("%s:%d: assertion failed: %s: " fmt, __FILE__, __LINE__, #e, \
			    ##__VA_ARGS__); \
	} while (0)
#define DEBUG_ONLY(x) x
#else
#define KASSERT(e)         ((void)sizeof(!(e)))
#define KASSERTMSG(e, ...) ((void)sizeof(!(e)))
#define DEBUG_ONLY(x)
#endif

#endif
