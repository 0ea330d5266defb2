/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: Linux's numbers and structures for x86-64; and the pending set that processes and LWPs hold.
 * layer: lib
 */
#ifndef ABI_SIGNAL_H
#define ABI_SIGNAL_H

#include <kernel/list.h>
#include <kernel/types.h>

typedef uint64_t sigset_t; /* bit n-1 = signal n */
#define SIGBIT(n) ((sigset_t)1 << ((n)-1))
#define NSIG      64
#define SIGRTMIN  32 /* this and above: real-time signals, each instance is queued */

/* X(name, number, default action: T terminate, C terminate with core, I ignore, S stop, R continue) */
#define SIGNALS(X) \
	X(SIGHUP, 1, T) \
	X(SIGINT, 2, T) \
	X(SIGQUIT, 3, C) \
	X(SIGILL, 4, C) \
	X(SIGTRAP, 5, C) \
	X(SIGABRT, 6, C) \
	X(SIGBUS, 7, C) \
	X(SIGFPE, 8, C) \
	X(SIGKILL, 9, T) \
	X(SIGUSR1, 10, T) \
	X(SIGSEGV, 11, C) \
	X(SIGUSR2, 12, T) \
	X(SIGPIPE, 13, T) \
	X(SIGALRM, 14, T) \
	X(SIGTERM, 15, T) \
	X(SIGSTKFLT, 16, T) \
	X(SIGCHLD, 17, I) \
	X(SIGCONT, 18, R) \
	X(SIGSTOP, 19, S) \
	X(SIGTSTP, 20, S) \
	X(SIGTTIN, 21, S) \
	X(SIGTTOU, 22, S) \
	X(SIGURG, 23, I) \
	X(SIGXCPU, 24, C) \
	X(SIGXFSZ, 25, C) \
	X(SIGVTALRM, 26, T) \
	X(SIGPROF, 27, T) \
	X(SIGWINCH, 28, I) \
	X(SIGIO, 29, T) \
	X(SIGPWR, 30, T) \
	X(SIGSYS, 31, C)

enum signal_number {
#define X(name, value, action) name = value,
	SIGNALS(X)
#undef X
};

#define SIG_DFL      0
#define SIG_IGN      1
#define SA_NOCLDSTOP 0x00000001ul
#define SA_NOCLDWAIT 0x00000002ul
#define SA_SIGINFO   0x00000004ul
#define SA_RESTORER  0x04000000ul
#define SA_ONSTACK   0x08000000ul
#define SA_RESTART   0x10000000ul
#define SA_NODEFER   0x40000000ul
#define SA_RESETHAND 0x80000000ul
#define SIG_BLOCK    0
#define SIG_UNBLOCK  1
#define SIG_SETMASK  2
#define SS_ONSTACK   1
#define SS_DISABLE   2
#define MINSIGSTKSZ  2048

#define SI_USER       0
#define SI_KERNEL     0x80
#define SI_QUEUE      (-1)
#define SI_TIMER      (-2)
#define SI_TKILL      (-6)
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define CLD_STOPPED   5
#define CLD_CONTINUED 6
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define FPE_INTDIV    1
#define ILL_ILLOPN    2
#define TRAP_BRKPT    1
#define BUS_ADRALN    1
#define BUS_ADRERR    2

struct k_sigaction { /* argument of rt_sigaction */
	uint64_t sa_handler;
	uint64_t sa_flags;
	uint64_t sa_restorer;
	sigset_t sa_mask;
};

typedef struct {
	uint64_t ss_sp;
	int32_t ss_flags;
	uint64_t ss_size;
} stack_t;

typedef struct { /* 128 bytes, Linux's layout */
	int32_t si_signo;
	int32_t si_errno;
	int32_t si_code;
	int32_t si_pad0;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			uint64_t value;
		} rt; /* kill, tgkill, sigqueue */
		struct {
			int32_t tid, overrun;
			uint64_t value;
			uint32_t seq; /* the kernel's mark while it is pending: not 0 */
		} timer;
		struct {
			int32_t pid;
			uint32_t uid;
			int32_t status;
			int64_t utime, stime;
		} chld;
		struct {
			uint64_t addr;
		} fault;
		uint8_t pad[112];
	} u;
} siginfo_t;
_Static_assert(sizeof(siginfo_t) == 128, "siginfo_t");
/* The part that has a meaning; while a signal is pending only this is kept. Zeros follow. */
#define SIGINFO_USED 48

#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD    2
#define SIGEV_THREAD_ID 4

struct abi_sigevent {
	uint64_t sigev_value;
	int32_t sigev_signo;
	int32_t sigev_notify;
	int32_t sigev_tid; /* SIGEV_THREAD_ID */
	int32_t sigev_pad[11];
};
_Static_assert(sizeof(struct abi_sigevent) == 64, "sigevent");

/* struct ksiginfo, field locks: (p) p_lock of the process that it is pending in */
struct ksiginfo {
	struct list ks_link;   /* (p) sp_queue */
	struct uidinfo *ks_ui; /* (p) whom it is counted for; not that of a set itself */
	siginfo_t ks_info;     /* (p) */
};

/*
 * Signals that are pending; the queue holds a struct ksiginfo for those that carry information. One is here already:
 * mostly it is the only one.
 * struct sigpend, field locks: (p) p_lock
 */
struct sigpend {
	sigset_t sp_set;        /* (p) */
	struct list sp_queue;   /* (p) */
	bool sp_ownused;        /* (p) sp_own is on the queue */
	struct ksiginfo sp_own; /* (p) */
};

#endif
