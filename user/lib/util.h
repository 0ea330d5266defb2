/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every test needs: children, shared words, time, CPUs, random numbers
 * and the kernel's debug device.
 */
#ifndef USER_UTIL_H
#define USER_UTIL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE     4096

/* --- time ---------------------------------------------------------------- */
long long now_ns(void);
void sleep_ms(int ms);

/* --- CPUs ---------------------------------------------------------------- */
#define CPU_MAX 64
int ncpu(void);                   /* CPUs the caller may run on */
int cpu_list(int *cpus, int max); /* their numbers; returns how many */
int pin_cpu(int cpu);             /* calling thread to one CPU; 0 or -errno */
int unpin_cpu(void);              /* back to every CPU the program began with */

/* --- arguments and random numbers ------------------------------------------ */
long arg_long(int argc, char **argv, int i, long def);
struct rng {
	uint64_t r_state;
};
void rng_seed(struct rng *r, uint64_t seed);
uint32_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);
/* argv[2] or a fixed seed; prints "# seed N". */
uint64_t rng_arg(int argc, char **argv);

/* --- children -------------------------------------------------------------- */
typedef int (*child_fn)(void *);
/* Fork a child that does _exit(fn(arg)); the pid, or -1 with errno. */
pid_t spawn(child_fn fn, void *arg);
/* Collect one child; its status, or -1. */
int reap(pid_t pid);
/* As reap() with a limit; a child that takes longer is killed and collected: -2. */
int reap_ms(pid_t pid, int ms);
/* spawn() with `shared` zeroed before; returns when the child has added 1 to *ready, which lies in it. */
pid_t spawn_ready(child_fn fn, void *arg, void *shared, size_t size, atomic_int *ready);
/* spawn() and reap(); -1 when the fork failed. */
int run_child(child_fn fn, void *arg);
/* For spawn(): returns its argument; raises that signal. */
int exit_with(void *arg);
int die_by(void *arg);
/* Fork and exec our own program with a role and up to two more arguments. */
pid_t spawn_self(const char *role, const char *a, const char *b);
/* Path of the running program. */
const char *self_path(void);
/* Orphans come to us, whether we are PID 1 or not. */
void become_reaper(void);
/* Collect every child until there is none; the number collected. */
int reap_all(void);

/* --- memory and words shared with children ---------------------------------- */
void *shared_mem(size_t size);  /* MAP_SHARED, zeroed; exits on failure */
void *private_mem(size_t size); /* MAP_PRIVATE, zeroed; exits on failure */
/* A pointer whose value the compiler cannot see, to be misused. */
static inline void *
hide(uintptr_t v)
{
	__asm__ volatile("" : "+r"(v));
	return (void *)v;
}
#define FUT_WAIT        0
#define FUT_WAKE        1
#define FUT_REQUEUE     3
#define FUT_CMP_REQUEUE 4
#define FUT_WAIT_BITSET 9
#define FUT_PRIVATE     128
struct timespec;
/* The raw call; -1 with errno. */
long futex(void *word, int op, int val, const struct timespec *to, void *word2, int val3);
/* Sleep until *w has reached n (in any process that shares the word). */
void word_wait(atomic_int *w, int n);
/* Add to *w and wake who waits. */
void word_add(atomic_int *w, int n);
/* As word_wait with a limit; 1 when reached, 0 when the time ran out. */
int word_wait_ms(atomic_int *w, int n, int ms);

/* --- files of the test data folder -------------------------------------------- */
/* Path of a file of user/test/data: /testdata in our machine, $TESTDATA or the tree's own. */
const char *data_path(const char *name);

/* --- kernel debug device ------------------------------------------------------ */
/* Write one command to /dev/debug: 0, -errno; -ENOSYS when there is no such device. */
int dbg_cmd(const char *cmd);
/* Arm a fail point (microseconds; 0 disarms). */
int fp_arm(const char *name, unsigned usec);

#endif /* USER_UTIL_H */
