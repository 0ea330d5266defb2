/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait4 and waitid: Linux's values.
 * layer: lib
 */
#ifndef ABI_WAIT_H
#define ABI_WAIT_H

#define WNOHANG    0x00000001
#define WUNTRACED  0x00000002
#define WSTOPPED   WUNTRACED
#define WEXITED    0x00000004
#define WCONTINUED 0x00000008
#define WNOWAIT    0x01000000
#define WNOTHREAD  0x20000000
#define WALL       0x40000000
#define WCLONE     ((int)0x80000000)

#define P_ALL  0
#define P_PID  1
#define P_PGID 2

#endif
