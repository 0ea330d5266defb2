/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uname, sysinfo, reboot, prctl, getrandom: Linux's values and layouts.
 * layer: lib
 */
#ifndef ABI_SYSTEM_H
#define ABI_SYSTEM_H

#include <kernel/types.h>

#define UTS_LEN 65

struct abi_utsname {
	char sysname[UTS_LEN];
	char nodename[UTS_LEN];
	char release[UTS_LEN];
	char version[UTS_LEN];
	char machine[UTS_LEN];
	char domainname[UTS_LEN];
};
_Static_assert(sizeof(struct abi_utsname) == 390, "struct utsname");

struct abi_sysinfo {
	int64_t uptime; /* seconds */
	uint64_t loads[3];
	uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad0;
	uint32_t pad1;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit, pad2; /* no hole could show what was on the stack */
};
_Static_assert(sizeof(struct abi_sysinfo) == 112, "struct sysinfo");

#define REBOOT_MAGIC1    0xfee1deadu
#define REBOOT_MAGIC2    672274793u
#define REBOOT_MAGIC2A   85072278u
#define REBOOT_MAGIC2B   369367448u
#define REBOOT_MAGIC2C   537993216u
#define REBOOT_RESTART   0x01234567u
#define REBOOT_HALT      0xcdef0123u
#define REBOOT_POWER_OFF 0x4321fedcu

#define PR_SET_PDEATHSIG       1
#define PR_GET_PDEATHSIG       2
#define PR_SET_NAME            15
#define PR_GET_NAME            16
#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37

#define GRND_NONBLOCK 1u
#define GRND_RANDOM   2u
#define GRND_INSECURE 4u

#define RUSAGE_SELF     0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD   1

#endif
