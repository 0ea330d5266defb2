/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling: Linux's values.
 * layer: lib
 */
#ifndef ABI_SCHED_H
#define ABI_SCHED_H

#define SCHED_OTHER         0
#define SCHED_FIFO          1
#define SCHED_RR            2
#define SCHED_BATCH         3
#define SCHED_IDLE          5
#define SCHED_DEADLINE      6 /* has a range of priorities, and is refused */
#define SCHED_RESET_ON_FORK 0x40000000

#define SCHED_RTPRIO_MIN 1 /* of SCHED_FIFO and SCHED_RR; those of all others are 0 */
#define SCHED_RTPRIO_MAX 99

#define PRIO_PROCESS 0
#define PRIO_PGRP    1
#define PRIO_USER    2

#define NICE_MIN (-20)
#define NICE_MAX 19

#endif
